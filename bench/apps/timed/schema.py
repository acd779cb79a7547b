"""What the work leaves behind."""

from flow_backend import Document, Index, document


@document("ran")
class Ran(Document):
    """One run of the work, and how late it began, in ms."""

    number: int
    late: float

    by_number = Index("number")
