"""How a canceled reminder comes back: it waits for what it waited for, if that is still to come."""

from typing import Any, Final

from flow import task_reminders
from flow.ringing import (
    NOTHING_OPEN,
    delivery_of,
    next_fields,
    rings_of_task,
    save,
    series_of,
    waiting_of,
)
from flow.schema import Canceled, DeliveryState, Reminder
from flow.settings import Settings, settings_of
from flow.time.lateness import ON_TIME_SECONDS
from flow.time.recurrence import Occurrence, complete, next_occurrence
from flow_backend import AppError, MutationCtx

_NO_MORE: Final = "The time of this reminder has passed, so it cannot be restored. Make a new one."


def bring_back(ctx: MutationCtx, row: Reminder) -> None:
    """Restore a canceled reminder; see ``reminders:restore``.

    Raises: AppError if it cannot be restored any more; nothing has changed then.
    """
    canceled = row.canceled
    if canceled is None:
        raise AppError("This reminder was canceled before they could be restored. Make a new one.")
    task = None if row.task is None else ctx.db.get(row.task)
    if row.task is not None and task is None:
        raise AppError("The task of this reminder is gone: someone has removed it.")
    task_reminders.check_restorable(ctx, row)
    waits = {
        "occurrence": canceled.occurrence,
        "next_date": canceled.next_date,
        "next_time": canceled.next_time,
        "next_at": canceled.next_at,
    }
    ctx.db.patch(row.id, canceled=None, **waits)
    changes = _changes(ctx, _stored(ctx, row), canceled)
    save(ctx, _stored(ctx, row), **changes)
    if task is not None:
        task_reminders.restored(ctx, _stored(ctx, row), task)


def _stored(ctx: MutationCtx, row: Reminder) -> Reminder:
    stored = ctx.db.get(row.id)
    assert stored is not None, row.id
    return stored


def _changes(ctx: MutationCtx, row: Reminder, canceled: Canceled) -> dict[str, Any]:
    """Give what changes of a row that has its ``waits`` back already."""
    settings, now = settings_of(ctx), ctx.clock.now()
    waiting = waiting_of(row, settings)
    if waiting is not None and waiting.begins_at <= now - ON_TIME_SECONDS * 1000:
        # It would have replaced what was open before it.
        return {**_skip(ctx, row, waiting, settings), **NOTHING_OPEN}
    opened = _open_again(ctx, row, canceled)
    if waiting is None and opened["open"] is None and row.offset is None:
        raise AppError(_NO_MORE)
    return {**next_fields(waiting), **opened}


def _skip(
    ctx: MutationCtx, row: Reminder, passed: Occurrence, settings: Settings
) -> dict[str, Any]:
    """Go on after an occurrence that came while the reminder was canceled, to one in the future."""
    now = ctx.clock.now()
    rings = rings_of_task(ctx, row, row.due_date, row.due_time, settings)
    if rings is not None:
        after = next((each for each in rings if each.begins_at > now), None)
        moved = {} if after is None else {"due_date": after.date, "due_time": after.time}
        return {**next_fields(after), **moved, "at": None}
    series = series_of(row, settings)
    if series is None:
        after = None
    elif series.anchor == "done":
        after = complete(series, passed, now).next
    else:
        after = next_occurrence(series, now)
    if after is None and row.offset is None:
        raise AppError(_NO_MORE)
    closed = row.closed + (series is not None and series.anchor == "done")
    return {**next_fields(after), "closed": closed}


def _open_again(ctx: MutationCtx, row: Reminder, canceled: Canceled) -> dict[str, Any]:
    """Open again what was open. It does not ring anew: its delivery is the one it had."""
    delivery = None if canceled.open is None else delivery_of(ctx, row.id, canceled.open)
    if delivery is None:
        return NOTHING_OPEN
    state: DeliveryState = "ringing"
    if canceled.snoozed_until is not None:
        state = "snoozed"
    elif canceled.held_until is not None:
        state = "held"
    ctx.db.patch(delivery.id, state=state)
    return {
        "open": canceled.open,
        "snoozed_until": canceled.snoozed_until,
        "held_until": canceled.held_until,
    }
