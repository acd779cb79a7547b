"""What is overdue, due today, and due soon: lists that change by themselves as time passes."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from attrs import frozen

from flow.due import due_day
from flow.schema import Task
from flow.settings import settings_of
from flow.time.instants import day_bounds, to_wall
from flow_backend import AppError, Date, Instant, QueryCtx

OVERDUE_MAX: Final = 1_000
DAY_MAX: Final = 1_000
DAYS_MAX: Final = 366
_FIRST: Final = Instant(-8.64e15)
"""The first instant of a JavaScript date: null, which is no instant, sorts before it."""


@frozen(kw_only=True)
class Day:
    """The open tasks that are due on a day, by their time; those of all of the day come last."""

    date: Date
    tasks: tuple[Task, ...]


Today = Day


def overdue_tasks(ctx: QueryCtx) -> list[Task]:
    """Give the open tasks that are overdue, the longest first.

    The scan ends at the first task that is not: its instant is the one that the list waits for.
    """
    found = list[Task]()
    for task in ctx.db.scan(Task.by_due[None, _FIRST:]):
        if task.due_at is None or not ctx.clock.passed(task.due_at) or len(found) == OVERDUE_MAX:
            break
        found.append(task)
    return found


def tasks_today(ctx: QueryCtx) -> Day:
    """Give the open tasks of today that are not overdue."""
    zone = settings_of(ctx).home_zone
    today = to_wall(ctx.clock.now("day", zone), zone).date()
    tasks = [
        task
        for task in _between(ctx, today, today, zone)
        if task.due_at is not None and not ctx.clock.passed(task.due_at)
    ]
    return Day(date=today, tasks=tuple(tasks[:DAY_MAX]))


def tasks_upcoming(ctx: QueryCtx, days: int) -> list[Day]:
    """Give the open tasks of the days after today, by their days.

    Raises: AppError for no days, or more than a year of them.
    """
    if not 1 <= days <= DAYS_MAX:
        raise AppError(f"Ask for 1 to {DAYS_MAX} days, not {days}.")
    zone = settings_of(ctx).home_zone
    today = to_wall(ctx.clock.now("day", zone), zone).date()
    first, last = today + timedelta(days=1), today + timedelta(days=days)
    found: dict[Date, list[Task]] = {}
    for task in _between(ctx, first, last, zone):
        day = due_day(task, zone)
        if day is not None:
            found.setdefault(day, []).append(task)
    return [Day(date=day, tasks=tuple(found[day][:DAY_MAX])) for day in sorted(found)]


def _between(ctx: QueryCtx, first: Date, last: Date, zone: str) -> Iterator[Task]:
    """Give the open tasks of these days, by their instants.

    A whole day is due at the midnight that ends it: the one that begins the first day belongs to
    the day before, and the one that ends the last day still belongs to it.
    """
    start, stop = day_bounds(first, zone)[0], day_bounds(last, zone)[1]
    for task in ctx.db.scan(Task.by_due[None, start : Instant(stop + 1)]):
        of_all_day = task.due_time is None
        if task.due_at == (start if of_all_day else stop):
            continue
        yield task
