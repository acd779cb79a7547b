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


ItemKind = Literal["task", "note", "reminder"]


@frozen
class Became:
    """What a capture was made into; ``id`` is one of the table that belongs to the kind."""

    kind: ItemKind
    id: str


@document("captures")
class Capture(Document):
    """A line that somebody put down, to be looked at later.

    Attributes:
        key: made by the client, so that a line that is sent twice is one capture.
        captured_at: when it was put down, on the clock of the device, which may have been offline.
        zone: where that was; "tomorrow" counts from there.
        url: the first address in the line; ``page_title`` is what its page says it is called.
        parsed_kind: what the line reads like.
        became: what it was made into; ``settled_at`` is when that was, or when it was removed.
    """

    text: str
    key: str
    captured_at: Instant
    zone: str
    url: str | None = None
    page_title: str | None = None
    parsed_kind: ItemKind | None = None
    state: Literal["open", "triaged", "removed"] = "open"
    became: Became | None = None
    settled_at: Instant | None = None

    by_key = Index("key", unique=True)
    by_state = Index("state", "captured_at")
    by_settled = Index("state", "settled_at")


@document("notes")
class Note(Document):
    """A note, without its text: that is in its newest version. So a list of notes stays small."""

    title: str
    excerpt: str
    tags: tuple[str, ...]
    pinned: bool
    version: int
    edited_at: Instant
    capture: Id[Capture] | None = None

    by_edited = Index("pinned", "edited_at")


@document("note_versions")
class NoteVersion(Document):
    """A note as it once was. What an edit began with is found here when it has to be merged."""

    note: Id[Note]
    version: int
    title: str
    body: str
    tags: tuple[str, ...]
    edited_at: Instant

    by_version = Index("note", "version", unique=True)
