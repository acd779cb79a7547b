"""Making reminders that stand by themselves."""

from typing import Final, Literal

from flow.boards import clean_title
from flow.ringing import next_fields, save, series_of
from flow.schema import Capture, Reminder, Task
from flow.settings import Settings, checked_zone, settings_of
from flow.time.instants import to_wall
from flow.time.recurrence import Occurrence, next_occurrence, occurrence_at, occurrence_of
from flow.time.rules import read_rule
from flow_backend import AppError, Date, Id, Instant, MutationCtx, Time

_TITLE: Final = "The title of a reminder"


def make_reminder(
    ctx: MutationCtx,
    *,
    title: str,
    due_date: Date | None = None,
    due_time: Time | None = None,
    zone: str | None = None,
    at: Instant | None = None,
    rule: str | None = None,
    anchor: Literal["schedule", "done"] = "schedule",
    task: Id[Task] | None = None,
    capture: Id[Capture] | None = None,
) -> Id[Reminder]:
    """Make a reminder that stands by itself; see :func:`create`. Other functions call this.

    Raises: AppError for a time, zone or rule that is none, or a task that is gone.
    """
    settings = settings_of(ctx)
    if zone is not None:
        checked_zone(zone)
    where = zone or settings.home_zone
    if at is not None:
        wall = to_wall(at, where)
        # With a date the wall time is what was meant, unless no instant fits: "in 3 hours".
        due_date, due_time = due_date or wall.date(), due_time or wall.time()
    if due_date is None:
        raise AppError("Say when: a reminder needs a date (due_date) or an instant (at).")
    if due_time is not None:
        due_time = due_time.replace(second=0, microsecond=0, tzinfo=None)
    if task is not None and ctx.db.get(task) is None:
        raise AppError("This task is gone: someone has removed it.")
    row = Reminder(
        title=clean_title(title, _TITLE),
        due_date=due_date,
        due_time=due_time,
        zone=zone,
        at=at,
        rule=rule,
        anchor=anchor,
        task=task,
        capture=capture,
    )
    first = _first(row, where, settings, ctx.clock.now())
    made = ctx.db.insert(row)
    stored = ctx.db.get(made)
    assert stored is not None, made
    save(ctx, stored, **next_fields(first))
    return made


def _first(row: Reminder, zone: str, settings: Settings, now: Instant) -> Occurrence:
    """Give what it rings for first. A repeat does not ring for what was before it was made."""
    if row.rule is not None:
        read_rule(row.rule)
        series = series_of(row, settings)
        assert series is not None, row.rule
        first = next_occurrence(series, now) if row.anchor == "schedule" else None
        if first is None and row.anchor == "schedule":
            raise AppError(f'"{row.rule}" names no day to come. Choose another rule or date.')
        if first is not None:
            return first
    if row.at is not None:
        return occurrence_at(row.at, zone)
    return occurrence_of(row.due_date, row.due_time, zone, settings.all_day_reminder)
