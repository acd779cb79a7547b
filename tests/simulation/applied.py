"""The row that each mutation of the simulation's app leaves."""

from flow_backend import Document, Index, document


@document("applied")
class Applied(Document):
    """One row for each mutation that ran, never deleted: what ran twice stands here twice."""

    token: str
    by_token = Index("token")
