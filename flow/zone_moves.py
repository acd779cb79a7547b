"""What another home zone does to reminders."""

from typing import Final

from flow.ringing import save, waiting_of
from flow.schema import Reminder
from flow.settings import settings_of
from flow_backend import MutationCtx, PaginationOptions, internal_mutation

MOVED_AT_ONCE: Final = 200


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
