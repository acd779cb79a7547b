"""The documents of Flow, and the indexes that its functions read by."""

from typing import Final, Literal

from attrs import frozen

from flow_backend import (
    Date,
    Document,
    Id,
    Index,
    Instant,
    Reference,
    ScheduledFunction,
    SearchIndex,
    Time,
    document,
)

# The parts of a day, as long as nobody has said otherwise.
MORNING: Final = Time(9, 0)
AFTERNOON: Final = Time(14, 0)
EVENING: Final = Time(18, 0)
NIGHT: Final = Time(21, 0)
WORKDAY_END: Final = Time(17, 0)
ALL_DAY_REMINDER: Final = Time(9, 0)


ItemKind = Literal["task", "note", "reminder"]


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


@frozen
class RepeatState:
    """Where a repeating task stands.

    Attributes:
        start: the day of its first occurrence, from which intervals count; ``start_at`` is the
            instant of it, if the rule counts elapsed time.
        closed: how many occurrences were closed.
    """

    start: Date
    anchor: Literal["schedule", "done"] = "schedule"
    start_at: Instant | None = None
    closed: int = 0


@document("tasks")
class Task(Document):
    """A card on a board. ``rank`` orders the cards of a column.

    Attributes:
        due_date: the day it is due; ``due_time`` None is all of the day.
        zone: where the time is read; None is home, wherever that will be.
        due_at: follows from these: the instant of the time, or the midnight that ends the day. From
            then on it is overdue.
        priority: 1, the highest, to 4.
        duration: ISO 8601, such as ``PT90M``.
        rule: the body of an RRULE, if it repeats; there is one open occurrence at a time.
        capture: the line that it was made of.
    """

    board: Id[Board]
    column: str
    rank: str
    title: str
    body: str = ""
    labels: tuple[str, ...] = ()
    completed_at: Instant | None = None
    due_date: Date | None = None
    due_time: Time | None = None
    zone: str | None = None
    due_at: Instant | None = None
    priority: int | None = None
    duration: str | None = None
    rule: str | None = None
    repeat: RepeatState | None = None
    capture: "Id[Capture] | None" = None

    by_place = Index("board", "column", "rank")
    by_due = Index("completed_at", "due_at")
    text = SearchIndex("title", "labels", "body", within=("board",))


@document("completions")
class Completion(Document):
    """An occurrence of a repeating task that was done, and what was open before: to take it back.

    Attributes:
        occurrence: its nominal wall time; ``missed`` counts those that it stands for.
        due_date, due_time, due_at, repeat: the task's, before.
    """

    task: Id[Task]
    occurrence: str
    done_at: Instant
    missed: int
    due_date: Date
    due_time: Time | None
    due_at: Instant | None
    repeat: RepeatState

    by_task = Index("task", "done_at")
    of_task = Reference("task", on_delete="cascade")


@document("quick_adds")
class QuickAdded(Document):
    """What a line was made into, by the key that the device gave it: a line sent twice is one."""

    key: str
    kind: ItemKind
    item: str

    by_key = Index("key", unique=True)


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
    webhook_gone_at: Instant | None = None


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


@document("note_texts")
class NoteText(Document):
    """The text of a note as it is now, to be searched: neither a list nor a version is that."""

    note: Id[Note]
    title: str
    body: str
    tags: tuple[str, ...]

    by_note = Index("note", unique=True)
    of_note = Reference("note", on_delete="cascade")
    text = SearchIndex("title", "tags", "body")


ReminderState = Literal["waiting", "ringing", "done", "canceled"]
DeliveryState = Literal[
    "ringing", "snoozed", "held", "listed", "acknowledged", "replaced", "ended", "due", "failed"
]


@frozen
class Canceled:
    """What a reminder waited for when it was canceled: a restored one waits for that again."""

    occurrence: str | None = None
    next_date: Date | None = None
    next_time: Time | None = None
    next_at: Instant | None = None
    open: str | None = None
    snoozed_until: Instant | None = None
    held_until: Instant | None = None


@document("reminders")
class Reminder(Document):
    """Something to be reminded of: one row, however often it rings.

    Attributes:
        due_date: the day of it, or of the first of a repeat; ``due_time`` None is all of the day.
        zone: where that is read; None is home, wherever that will be.
        at: the instant of it, if that came first and the wall time follows from it.
        task: what it belongs to, and ``offset`` how far from that task's due it rings.
        occurrence: the nominal wall time that it rings for next; ``next_at`` is when.
        next_date: the day of that, for when another zone makes it another instant.
        open: the occurrence that has rung, or is held or snoozed, and nobody acknowledged.
        rang: the occurrence that it rang for last.
        base: the due time of its task that it was set by.
        held_until: the end of the quiet hours that keep it.
        closed: how many occurrences were closed by a repeat that counts from completion.
        wakes_at: the instant of ``job``, the one job that waits for it.
        canceled: of one that is canceled, what is needed to restore it.
    """

    title: str
    due_date: Date
    due_time: Time | None = None
    zone: str | None = None
    at: Instant | None = None
    rule: str | None = None
    anchor: Literal["schedule", "done"] = "schedule"
    task: Id[Task] | None = None
    offset: str | None = None
    capture: Id[Capture] | None = None
    state: ReminderState = "waiting"
    occurrence: str | None = None
    next_date: Date | None = None
    next_time: Time | None = None
    next_at: Instant | None = None
    open: str | None = None
    rang: str | None = None
    base: str | None = None
    snoozed_until: Instant | None = None
    held_until: Instant | None = None
    closed: int = 0
    wakes_at: Instant | None = None
    job: Id[ScheduledFunction] | None = None
    canceled: Canceled | None = None

    by_state = Index("state", "next_at")
    by_task = Index("task", "offset")
    by_zone = Index("zone")


@document("deliveries")
class Delivery(Document):
    """One occurrence of a reminder on its way to people: in the app, or to the webhook.

    Attributes:
        title, task: the reminder's, so that a screen full of rings is read as one range.
        state: in the app ringing, snoozed, held, or listed (too late to ring), then acknowledged,
            replaced (by the next occurrence) or ended (with what it belongs to); of a webhook due,
            then acknowledged (by its receiver), failed or ended.
        rang_at: when it rang last, or would have.
        late_seconds: by how much that was too late; 0 if it was not.
        missed: how many occurrences it stands for that came and could not ring.
        silent: it is too late to make a noise.
        rings: how often it rang, as it may be snoozed.
        attempts: how often the webhook was called for its last ring.
        job: what looks at the webhook next.
        error: why the webhook failed, the last time.
    """

    reminder: Id[Reminder]
    occurrence: str
    channel: Literal["app", "webhook"]
    state: DeliveryState
    title: str = ""
    task: Id[Task] | None = None
    due_at: Instant
    rang_at: Instant
    late_seconds: int = 0
    missed: int = 0
    silent: bool = False
    rings: int = 1
    attempts: int = 0
    job: Id[ScheduledFunction] | None = None
    error: str | None = None

    by_occurrence = Index("reminder", "occurrence", "channel", unique=True)
    by_reminder = Index("reminder")
    by_state = Index("channel", "state", "rang_at")


@document("webhook_attempts")
class WebhookAttempt(Document):
    """One call of the webhook; without a status and an error it is under way, or was cut off."""

    reminder: Id[Reminder]
    delivery: Id[Delivery]
    at: Instant
    status: int | None = None
    error: str | None = None

    by_reminder = Index("reminder")
    by_delivery = Index("delivery")
    of_delivery = Reference("delivery", on_delete="cascade")
