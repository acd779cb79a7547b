"""When a task is due: what its date, time and zone mean, and how a repeat goes on."""

from typing import Any, Final

from attrs import evolve

from flow.schema import Completion, RepeatState, Task
from flow.settings import checked_zone, settings_of
from flow.time.instants import due_at, to_wall
from flow.time.recurrence import (
    Anchor,
    Occurrence,
    Series,
    complete,
    first_occurrence,
    occurrence_at,
    occurrence_of,
)
from flow.time.rules import read_rule
from flow_backend import AppError, Date, Instant, MutationCtx, Time

PRIORITIES: Final = range(1, 5)

NO_DUE: Final[dict[str, Any]] = {
    "due_date": None,
    "due_time": None,
    "zone": None,
    "due_at": None,
    "duration": None,
    "rule": None,
    "repeat": None,
}


def due_fields(
    date: Date | None,
    time: Time | None,
    zone: str | None,
    home_zone: str,
    at: Instant | None = None,
) -> dict[str, Any]:
    """Give a task's fields for when it is due.

    Args:
        date: the day; None for none at all.
        time: the time of that day; None for all of it.
        zone: where the time is read; None for home. A whole day belongs to no zone.
        home_zone: the zone of home.
        at: the instant, if that is known and the wall time alone does not say it.

    Raises: AppError for a time without a day, or an unknown zone.
    """
    if date is None:
        if time is not None:
            raise AppError("A time needs a day: give due_date as well.")
        return {name: NO_DUE[name] for name in ("due_date", "due_time", "zone", "due_at")}
    if zone is not None:
        checked_zone(zone)
    if time is None:
        zone = None
    else:
        time = time.replace(second=0, microsecond=0, tzinfo=None)
    instant = at if at is not None and time is not None else due_at(date, time, zone or home_zone)
    return {"due_date": date, "due_time": time, "zone": zone, "due_at": instant}


def repeat_fields(
    rule: str | None,
    anchor: Anchor,
    date: Date | None,
    at: Instant | None,
) -> dict[str, Any]:
    """Give a task's fields for its repeat, which begins on the day that it is due.

    Raises: AppError for a rule that is none, or a task without a date.
    """
    if rule is None:
        return {"rule": None, "repeat": None}
    elapsed = read_rule(rule).step_seconds is not None
    if date is None:
        raise AppError("A repeat needs a day to begin with: give due_date as well.")
    start_at = at if elapsed else None
    return {"rule": rule, "repeat": RepeatState(date, anchor, start_at)}


def first_day(rule: str, now: Instant, zone: str, time: Time | None) -> Occurrence:
    """Give the first time that a repeat comes round. Raises: AppError if it never does."""
    found = first_occurrence(rule, now, zone, time=time)
    if found is None:
        raise AppError(f'"{rule}" names no day to come. Choose another rule.')
    return found


def checked_priority(priority: int | None) -> int | None:
    """Give the priority. Raises: AppError if there is no such one."""
    if priority is not None and priority not in PRIORITIES:
        raise AppError(f"A priority is 1, the highest, to 4, not {priority}.")
    return priority


def due_day(task: Task, home_zone: str) -> Date | None:
    """Give the day on which a task is due, as home sees it."""
    if task.due_date is None or task.due_time is None or task.due_at is None:
        return task.due_date
    return to_wall(task.due_at, home_zone).date()


# --- Repeats


def roll_on(ctx: MutationCtx, task: Task) -> Task | None:
    """Close the open occurrence of a repeating task, and open the next one.

    Returns: the task as it is now; None if there is no next one, or it does not repeat.
    """
    series = series_of_task(ctx, task)
    if series is None or task.due_date is None or task.repeat is None:
        return None
    now = ctx.clock.now()
    if read_rule(series.rule).step_seconds is not None and task.due_at is not None:
        opened = occurrence_at(task.due_at, series.zone)
    else:
        opened = occurrence_of(task.due_date, task.due_time, series.zone)
    done = complete(series, opened, now)
    ctx.db.insert(
        Completion(
            task=task.id,
            occurrence=done.closes.key,
            done_at=now,
            missed=done.missed_count,
            due_date=task.due_date,
            due_time=task.due_time,
            due_at=task.due_at,
            repeat=task.repeat,
        )
    )
    if done.next is None:
        return None
    time, at = done.next.time, done.next.begins_at if done.next.time is not None else None
    repeat = evolve(task.repeat, closed=task.repeat.closed + 1)
    fields = due_fields(done.next.date, time, task.zone, settings_of(ctx).home_zone, at)
    ctx.db.patch(task.id, **fields, repeat=repeat)
    return ctx.db.get(task.id)


def roll_back(ctx: MutationCtx, task: Task) -> None:
    """Open the very occurrence again that was closed last, if the task repeats."""
    last = ctx.db.scan(Completion.by_task[task.id]).desc().first()
    changes: dict[str, Any] = {"completed_at": None}
    if last is not None and task.rule is not None:
        changes |= {
            "due_date": last.due_date,
            "due_time": last.due_time,
            "due_at": last.due_at,
            "repeat": last.repeat,
        }
        ctx.db.delete(last.id)
    ctx.db.patch(task.id, **changes)


def series_of_task(ctx: MutationCtx, task: Task) -> Series | None:
    """Give the repeat of a task, None if it has none."""
    if task.rule is None or task.repeat is None:
        return None
    return Series(
        rule=task.rule,
        start=task.repeat.start,
        time=task.due_time,
        zone=task.zone or settings_of(ctx).home_zone,
        anchor=task.repeat.anchor,
        start_at=task.repeat.start_at,
        closed=task.repeat.closed,
    )
