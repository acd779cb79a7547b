"""The documents of Flow, and the indexes that its functions read by."""

from attrs import frozen

from flow_backend import Document, Id, Index, Instant, document


@frozen
class Column:
    """A column of a board. Tasks name it by its key, so that a title can change."""

    key: str
    title: str


@document("boards")
class Board(Document):
    """A board: columns of tasks."""

    title: str
    columns: tuple[Column, ...]


@document("tasks")
class Task(Document):
    """A card on a board. ``rank`` orders the cards of a column."""

    board: Id[Board]
    column: str
    rank: str
    title: str
    body: str = ""
    labels: tuple[str, ...] = ()
    completed_at: Instant | None = None

    by_place = Index("board", "column", "rank")
