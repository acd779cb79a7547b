"""Reminders of tasks: so far before each is due, they move with it and end with it."""

from collections.abc import Sequence
from typing import Final, Protocol

from flow.ringing import (
    NOTHING_OPEN,
    close_open,
    end_reminder,
    next_fields,
    open_delivery,
    rings_of_task,
    save,
)
from flow.schema import Reminder, Task
from flow.settings import settings_of
from flow.time.instants import check_offset, offset_at, to_wall
from flow.time.recurrence import Occurrence, occurrence_of
from flow_backend import AppError, Date, Id, Instant, MutationCtx, Time

OFFSETS_MAX: Final = 10


class Dated(Protocol):
    """What a task says about when it is due."""

    @property
    def id(self) -> Id[Task]:
        """Its id."""
        ...

    @property
    def title(self) -> str:
        """What is shown when it rings."""
        ...

    @property
    def due_date(self) -> Date | None:
        """The day, None if it has none."""
        ...

    @property
    def due_time(self) -> Time | None:
        """The time, None for all of the day."""
        ...

    @property
    def zone(self) -> str | None:
        """Its own zone, None for home."""
        ...

    @property
    def due_at(self) -> Instant | None:
        """The instant, derived or the primary one."""
        ...

    @property
    def completed_at(self) -> Instant | None:
        """When it was done, None while it is open."""
        ...


def set_for_task(ctx: MutationCtx, task: Dated, offsets: Sequence[str]) -> None:
    """Let a task have these reminders, and no others.

    Args:
        ctx: the mutation.
        task: as it is stored now.
        offsets: ``-PT30M`` before it is due, ``PT0S`` when it is, ``-P1D``, or a wall time.

    Raises: AppError for an offset that cannot be read, or too many of them.
    """
    wanted = dict.fromkeys(check_offset(each) for each in offsets)
    if len(wanted) > OFFSETS_MAX:
        raise AppError(f"A task has at most {OFFSETS_MAX} reminders, not {len(wanted)}.")
    for row in _rows(ctx, task.id):
        if row.offset not in wanted:
            end_reminder(ctx, row)
            ctx.db.delete(row.id)
        else:
            del wanted[row.offset]
    for offset in wanted:
        _make(ctx, task, offset)


def add_offset(ctx: MutationCtx, task: Dated, offset: str) -> Id[Reminder]:
    """Give a task one reminder more; one that it has already is that one."""
    rows = _rows(ctx, task.id)
    for row in rows:
        if row.offset == check_offset(offset):
            return row.id
    _check_room(rows)
    return _make(ctx, task, check_offset(offset))


def check_restorable(ctx: MutationCtx, row: Reminder) -> None:
    """Check that a task can have a canceled reminder again.

    Raises: AppError if it has one for the same time meanwhile, or too many others.
    """
    if row.task is None or row.offset is None:
        return
    rows = _rows(ctx, row.task)
    if row.offset in {each.offset for each in rows}:
        raise AppError("Its task has a reminder for the same time again: there is none to restore.")
    _check_room(rows)


def _check_room(rows: Sequence[Reminder]) -> None:
    if len(rows) >= OFFSETS_MAX:
        raise AppError(f"A task has at most {OFFSETS_MAX} reminders.")


def restored(ctx: MutationCtx, row: Reminder, task: Dated) -> None:
    """Let a reminder that is restored take part in what has become of its task meanwhile."""
    if task.completed_at is not None:
        close_open(ctx, row, "ended")
        _rest(ctx, row)
    elif row.offset is not None:
        _follow(ctx, row, task)


def moved(ctx: MutationCtx, task: Dated) -> None:
    """Let the reminders of a task follow it: it is due at another time, renamed or reopened.

    What rings for its old time stops, and it rings for the new one. What has rung for the time at
    which it still is due does not ring again.
    """
    for row in _rows(ctx, task.id):
        _follow(ctx, row, task)


def ended(ctx: MutationCtx, task: Id[Task]) -> None:
    """Stop the reminders of a task that is done; :func:`moved` lets them begin again."""
    for row in ctx.db.scan(Reminder.by_task[task]).collect():
        if row.state != "canceled":
            close_open(ctx, row, "ended")
            _rest(ctx, row)


def removed(ctx: MutationCtx, task: Id[Task]) -> None:
    """Remove the reminders of a task that is removed."""
    for row in ctx.db.scan(Reminder.by_task[task]).collect():
        end_reminder(ctx, row)
        ctx.db.delete(row.id)


def _rows(ctx: MutationCtx, task: Id[Task]) -> list[Reminder]:
    """Give the reminders that follow a task; others name it and have a time of their own."""
    # All are looked at: there is no telling how many were canceled.
    found = ctx.db.scan(Reminder.by_task[task]).collect()
    return [row for row in found if row.offset is not None and row.state != "canceled"]


def _make(ctx: MutationCtx, task: Dated, offset: str) -> Id[Reminder]:
    made = ctx.db.insert(
        Reminder(
            title=task.title,
            due_date=task.due_date or Date(1970, 1, 1),
            task=task.id,
            offset=offset,
            state="done",
        )
    )
    row = ctx.db.get(made)
    assert row is not None, made
    _follow(ctx, row, task)
    return made


def _follow(ctx: MutationCtx, row: Reminder, task: Dated) -> None:
    found = None if task.completed_at is not None else _ring_of(ctx, row, task)
    if found is not None and row.rang is not None and found.key in {row.rang, row.base}:
        # It has rung for this due time, or a later day of it: only its name may be another.
        _rename(ctx, row, task.title)
        ctx.db.patch(row.id, base=found.key)
        return
    close_open(ctx, row, "ended")
    base = None if found is None else found.key
    due_date, due_time, due_at = task.due_date, task.due_time, task.due_at
    # A time that had passed when it was chosen does not ring, but the later days of a repeat do.
    # One that waits already may be late.
    now = ctx.clock.now()
    if found is not None and found.key != row.occurrence and found.begins_at < now:
        assert due_date is not None, task.id
        later = rings_of_task(ctx, row, due_date, due_time, settings_of(ctx)) or ()
        found = next((each for each in later if each.begins_at > now), None)
        if found is not None:
            due_date, due_time, due_at = found.date, found.time, None
    if found is None or due_date is None:
        _rest(ctx, row)
        return
    save(
        ctx,
        row,
        title=task.title,
        due_date=due_date,
        due_time=due_time,
        zone=task.zone,
        at=None if due_time is None else due_at,
        open=None,
        rang=None,
        base=base,
        snoozed_until=None,
        held_until=None,
        **next_fields(found),
    )


def _rename(ctx: MutationCtx, row: Reminder, title: str) -> None:
    if row.title == title:
        return
    ctx.db.patch(row.id, title=title)
    delivery = open_delivery(ctx, row)
    if delivery is not None:
        ctx.db.patch(delivery.id, title=title)


def _ring_of(ctx: MutationCtx, row: Reminder, task: Dated) -> Occurrence | None:
    """Give what a reminder rings for; None if its task has no date."""
    settings = settings_of(ctx)
    if task.due_date is None or row.offset is None:
        return None
    zone, all_day = task.zone or settings.home_zone, settings.all_day_reminder
    due = task.due_at
    if due is not None and to_wall(due, zone).time() != task.due_time:
        due = None  # It is of all of the day, or not derived anew yet.
    at = offset_at(row.offset, task.due_date, task.due_time, zone, all_day, due)
    nominal = occurrence_of(task.due_date, task.due_time, zone, all_day)
    return Occurrence(key=nominal.key, date=task.due_date, time=task.due_time, begins_at=at)


def _rest(ctx: MutationCtx, row: Reminder) -> None:
    save(ctx, row, **next_fields(None), **NOTHING_OPEN)
