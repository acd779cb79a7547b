"""What the simulation's app stores."""

from flow_backend import Document, Index, document


@document("applied")
class Applied(Document):
    """One row for each mutation that ran, never deleted: what ran twice stands here twice.

    ``version`` is the number of the version whose code wrote it.
    """

    token: str
    version: int = 0
    by_token = Index("token")


@document("entries")
class Entry(Document):
    list: str
    token: str
    by_list = Index("list", "token")


@document("counters")
class Counter(Document):
    name: str
    value: int
    by_name = Index("name")


@document("lefts")
class Left(Document):
    key: str
    amount: int
    by_key = Index("key")


@document("rights")
class Right(Document):
    key: str
    amount: int
    by_key = Index("key")


@document("notes")
class Note(Document):
    owner: str
    text: str
    by_owner = Index("owner")
