"""The one document of the bank."""

from flow_backend import Document, Index, document


@document("accounts")
class Account(Document):
    """An account; people know it by its number."""

    number: int
    balance: int

    by_number = Index("number", unique=True)
