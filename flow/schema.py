"""The documents of Flow, and the indexes that its functions read by."""

from typing import Final, Literal

from attrs import frozen

from flow_backend import Document, Id, Index, Instant, Time, document

# The parts of a day, as long as nobody has said otherwise.
MORNING: Final = Time(9, 0)
AFTERNOON: Final = Time(14, 0)
EVENING: Final = Time(18, 0)
NIGHT: Final = Time(21, 0)
WORKDAY_END: Final = Time(17, 0)
ALL_DAY_REMINDER: Final = Time(9, 0)


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


@document("settings")
class SettingsRow(Document):
    """The settings: one row, once something was changed. Read it by :mod:`flow.settings`."""

    home_zone: str | None = None
    morning: Time = MORNING
    afternoon: Time = AFTERNOON
    evening: Time = EVENING
    night: Time = NIGHT
    workday_end: Time = WORKDAY_END
    all_day_reminder: Time = ALL_DAY_REMINDER
    week_starts: Literal["monday", "sunday"] = "monday"
    date_order: Literal["mdy", "dmy"] = "mdy"
    quiet_from: Time | None = None
    quiet_until: Time | None = None
    webhook_url: str | None = None
    webhook_secret: str | None = None
