"""What becomes of a ring that comes late: after downtime, a jump of the clock, a change of zone."""

from typing import Final, Literal

from attrs import frozen

from flow.settings import Settings
from flow.time.recurrence import Occurrence, Series, begun_between, next_occurrence
from flow.time.snooze import quiet_until
from flow_backend import Instant

ON_TIME_SECONDS: Final = 60
"""Up to here a ring is not called late."""

RINGS_SECONDS_MAX: Final = 24 * 3600
"""A ring that is later than this makes no noise any more."""

LATE_RINGS_MAX: Final = 5
"""More late rings than this are shown as one summary."""

How = Literal["ring", "silent", "listed", "hold"]
"""``ring``; ``silent``: it is delivered and makes no noise; ``listed``: it does not ring and stands
in what came while Flow was away; ``hold``: quiet hours keep it until ``at``."""


@frozen(kw_only=True)
class Ring:
    """What to do with a reminder whose time has come.

    Attributes:
        how: see :data:`How`.
        at: now, or the end of the quiet hours.
        occurrence: for which it rings: the latest that has begun.
        late_seconds: since it should have; 0 if that is under a minute.
        missed: how many occurrences came and could not ring on time.
        next: the occurrence after, by the schedule; always later than now.
    """

    how: How
    at: Instant
    occurrence: Occurrence
    late_seconds: int
    missed: int
    next: Occurrence | None


def ring_for(
    series: Series | None,
    waiting: Occurrence,
    now: Instant,
    settings: Settings,
    *,
    even_at_night: bool = False,
) -> Ring:
    """Say what becomes of an occurrence whose time has come, maybe long ago.

    A repeat rings once for all that it missed, for the latest, and not at all if that is more than
    a day ago. A single reminder always arrives. Quiet hours hold what rings, unless the next
    occurrence comes first: then it is dropped in favour of that.

    Args:
        series: the repeat, if it is one that goes by its schedule.
        waiting: the first occurrence that has not rung; it has begun.
        now: the present.
        settings: for the quiet hours.
        even_at_night: whether it rings in quiet hours too.
    """
    if series is None:
        return judge(waiting, 1, None, now, settings, repeats=False, even_at_night=even_at_night)
    passed, count = begun_between(series, waiting, now)
    latest = passed[-1] if passed else waiting
    after = next_occurrence(series, now)
    return judge(latest, count, after, now, settings, repeats=True, even_at_night=even_at_night)


def judge(
    latest: Occurrence,
    count: int,
    after: Occurrence | None,
    now: Instant,
    settings: Settings,
    *,
    repeats: bool,
    even_at_night: bool,
) -> Ring:
    """Say what becomes of the latest of ``count`` occurrences that have begun; see above."""
    late = max(0.0, now - latest.begins_at) / 1000
    is_late = late >= ON_TIME_SECONDS
    end = None if even_at_night else quiet_until(now, settings)
    how: How = "ring"
    if late > RINGS_SECONDS_MAX:
        how = "listed" if repeats else "silent"
    elif end is not None:
        how = "listed" if after is not None and after.begins_at <= end else "hold"
    return Ring(
        how=how,
        at=end if how == "hold" and end is not None else now,
        occurrence=latest,
        late_seconds=int(late) if is_late else 0,
        missed=count if is_late else count - 1,
        next=after,
    )
