"""What another home zone does to tasks and reminders."""

from typing import Final

from flow.ringing import save, waiting_of
from flow.schema import Reminder, Task
from flow.settings import settings_of
from flow.time.instants import due_at
from flow_backend import MutationCtx, PaginationOptions, internal_mutation

MOVED_AT_ONCE: Final = 200


def tasks_moved(ctx: MutationCtx) -> None:
    """Derive anew when tasks are due that belong to no zone: the home zone is another.

    Their dates and times stay as they are. It is done right after, piece by piece.
    """
    ctx.scheduler.run_after(0, move_more_tasks, cursor=None)


@internal_mutation
def move_more_tasks(ctx: MutationCtx, cursor: str | None) -> None:
    """Go on with :func:`tasks_moved`."""
    zone = settings_of(ctx).home_zone
    options = PaginationOptions(num_items=MOVED_AT_ONCE, cursor=cursor)
    # By creation, an order that does not change while this goes through it. Those that are done are
    # moved too, since they may be reopened.
    page = ctx.db.scan(Task).paginate(options)
    for task in page.page:
        if task.due_date is None or task.zone is not None:
            continue
        due = due_at(task.due_date, task.due_time, zone)
        if due != task.due_at:
            ctx.db.patch(task.id, due_at=due)
    if not page.is_done:
        ctx.scheduler.run_after(0, move_more_tasks, cursor=page.continue_cursor)


def reminders_moved(ctx: MutationCtx) -> None:
    """Derive anew when reminders ring: the home zone, or the time of whole days, is another.

    The nominal wall time stays, so what has rung does not ring again, and what has not rings at
    once if its time has passed. Many are done piece by piece.
    """
    _derive_some(ctx, None)


@internal_mutation
def derive_more(ctx: MutationCtx, cursor: str) -> None:
    """Go on with :func:`reminders_moved`."""
    _derive_some(ctx, cursor)


def _derive_some(ctx: MutationCtx, cursor: str | None) -> None:
    settings = settings_of(ctx)
    options = PaginationOptions(num_items=MOVED_AT_ONCE, cursor=cursor)
    # By creation: an order that does not change while this goes through it.
    page = ctx.db.scan(Reminder.by_zone[None]).paginate(options)
    for row in page.page:
        waiting = waiting_of(row, settings)
        if waiting is not None and waiting.begins_at != row.next_at:
            save(ctx, row, next_at=waiting.begins_at)
    if not page.is_done:
        ctx.scheduler.run_after(0, derive_more, cursor=page.continue_cursor)
