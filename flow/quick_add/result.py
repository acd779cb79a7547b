"""What quick add makes of a line, and what it is told of the writer."""

from collections.abc import Sequence
from typing import Final, Literal

from attrs import frozen

from flow.quick_add.line import Hint, Span
from flow.time.recurrence import Anchor
from flow_backend import Date, Instant, Time

ItemKind = Literal["task", "note", "reminder"]
LINE_MAX: Final = 10_000
"""The longest line that is read, in characters; one that is longer is all title."""

READ_MAX: Final = 500
"""So many characters from its start phrases are read in; what stands behind them is title."""


@frozen(kw_only=True)
class Names:
    """The names that a line may mean: projects with their spelling, and members."""

    projects: Sequence[str] = ()
    people: Sequence[str] = ()


@frozen(kw_only=True)
class QuickAdd:
    """An item, as a line describes it.

    Attributes:
        title: what is left of the line; never empty if the line is not.
        due_date, due_time: when it is due, on the wall; without a time it is due all of the day.
        zone: an IANA name, only if one was typed; else the writer's own.
        due_at: the instant, if there is a time.
        elapsed: whether the instant came first ("in 3 hours") and the wall time follows from it.
        duration: ISO 8601, such as ``PT90M``.
        rule: the body of an RRULE; ``anchor`` says what it counts from.
        reminders: offsets before due or wall times; None for the usual, empty for none at all.
        hints: phrases that were left in the title although they could be read.
        spans: the phrases that were read, in the order of the line.
    """

    title: str
    kind: ItemKind = "task"
    due_date: Date | None = None
    due_time: Time | None = None
    zone: str | None = None
    due_at: Instant | None = None
    elapsed: bool = False
    duration: str | None = None
    rule: str | None = None
    anchor: Anchor = "schedule"
    reminders: tuple[str, ...] | None = None
    project: str | None = None
    section: str | None = None
    labels: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    priority: int | None = None
    body: str = ""
    hints: tuple[Hint, ...] = ()
    warnings: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()


@frozen(kw_only=True)
class Marks:
    """What the sigils of a line say: everything but when."""

    project: str | None = None
    section: str | None = None
    labels: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    priority: int | None = None
    body: str = ""
