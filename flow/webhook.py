"""Reminders sent to a webhook: a row for each, signed calls with retries, and a record of each."""

import json
from datetime import UTC, datetime
from typing import Any, Final

import trio
from attrs import frozen

from flow.schema import Delivery, Reminder, WebhookAttempt
from flow.settings import settings_row, webhook_of
from flow_backend import (
    ActionCtx,
    Id,
    Instant,
    MutationCtx,
    QueryCtx,
    internal_action,
    internal_mutation,
    internal_query,
    sign_webhook,
)

ATTEMPTS_MAX: Final = 8
ANSWER_SECONDS_MAX: Final = 20.0
FIRST_SECONDS: Final = 5.0
LONGEST_SECONDS: Final = 6 * 3600.0

_GUARD_SECONDS: Final = 60.0
"""After this long an attempt that said nothing was interrupted: the server died in the middle."""

_GONE: Final = 410
_ERROR_CHARS: Final = 300


@frozen
class Message:
    """A call to make: where, and what is signed."""

    url: str
    secret: str
    message_id: str
    body: str


# --- Written with the ring


def queue_webhook(ctx: MutationCtx, reminder: Id[Reminder], occurrence: str) -> None:
    """Let the webhook hear of a ring, if there is one: a row now, and a call after the commit."""
    if webhook_of(ctx) is None:
        return
    app = ctx.db.scan(Delivery.by_occurrence[reminder, occurrence, "app"]).first()
    assert app is not None, occurrence
    fields: dict[str, Any] = {
        "state": "due",
        "title": app.title,
        "task": app.task,
        "due_at": app.due_at,
        "rang_at": app.rang_at,
        "late_seconds": app.late_seconds,
        "missed": app.missed,
        "silent": app.silent,
        "rings": app.rings,
        "attempts": 0,
        "error": None,
    }
    found = _row_of(ctx, reminder, occurrence)
    if found is None:
        made = Delivery(reminder=reminder, occurrence=occurrence, channel="webhook", **fields)
        delivery = ctx.db.insert(made)
    else:
        delivery = found.id
        _stop(ctx, found)
        ctx.db.patch(delivery, **fields)
    job = ctx.scheduler.run_after(0, turn, delivery=delivery, rings=app.rings, attempt=1)
    ctx.db.patch(delivery, job=job)


def end_webhook(ctx: MutationCtx, reminder: Id[Reminder], occurrence: str) -> None:
    """End what is still to be sent of an occurrence that nobody waits for any more."""
    found = _row_of(ctx, reminder, occurrence)
    if found is not None and found.state == "due":
        _stop(ctx, found)
        ctx.db.patch(found.id, state="ended", job=None)


def _row_of(ctx: MutationCtx, reminder: Id[Reminder], occurrence: str) -> Delivery | None:
    return ctx.db.scan(Delivery.by_occurrence[reminder, occurrence, "webhook"]).first()


def _stop(ctx: MutationCtx, delivery: Delivery) -> None:
    if delivery.job is not None and ctx.db.get(delivery.job) is not None:
        ctx.scheduler.cancel(delivery.job)


# --- Attempts


@internal_mutation
def turn(ctx: MutationCtx, delivery: Id[Delivery], rings: int, attempt: int) -> None:
    """Begin an attempt, if it is still wanted.

    It looks first, so it may come once too often. The turn after it is made together with it: if
    the server dies before the action has said how it went, that one finds the attempt without an
    end, and tries again.
    """
    row = ctx.db.get(delivery)
    if row is None or row.state != "due" or (row.rings, row.attempts + 1) != (rings, attempt):
        return
    _note_interrupted(ctx, row)
    if webhook_of(ctx) is None:
        ctx.db.patch(delivery, state="ended", job=None)
        return
    if attempt > ATTEMPTS_MAX:
        ctx.db.patch(delivery, state="failed", job=None)
        return
    made = ctx.db.insert(
        WebhookAttempt(reminder=row.reminder, delivery=delivery, at=ctx.clock.now())
    )
    guard = ctx.scheduler.run_after(
        _GUARD_SECONDS + _pause(ctx, attempt),
        turn,
        delivery=delivery,
        rings=rings,
        attempt=attempt + 1,
    )
    ctx.db.patch(delivery, attempts=attempt, job=guard)
    ctx.scheduler.run_after(0, send, delivery=delivery, attempt=made)


def _pause(ctx: MutationCtx, attempt: int) -> float:
    """Give the seconds to wait after an attempt: five times as long each time, and by chance."""
    longest = min(LONGEST_SECONDS, FIRST_SECONDS * 5.0 ** (attempt - 1))
    return longest * (0.75 + 0.25 * ctx.random.random())


def _note_interrupted(ctx: MutationCtx, row: Delivery) -> None:
    last = ctx.db.scan(WebhookAttempt.by_delivery[row.id]).desc().first()
    if last is not None and last.status is None and last.error is None:
        error = "Interrupted: the server ended, or took too long, before an answer was noted."
        ctx.db.patch(last.id, error=error)
        ctx.db.patch(row.id, error=error)


@internal_query
def message(ctx: QueryCtx, delivery: Id[Delivery]) -> Message | None:
    """Give what is to be sent, None if that is nothing any more."""
    row, webhook = ctx.db.get(delivery), webhook_of(ctx)
    if row is None or row.state != "due" or webhook is None:
        return None
    data = {
        "reminder": row.reminder,
        "delivery": row.id,
        "occurrence": row.occurrence,
        "title": row.title,
        "task": row.task,
        "due_at": _utc(row.due_at),
        "late_seconds": row.late_seconds,
        "missed": row.missed,
        "silent": row.silent,
    }
    body = {"type": "reminder.rang", "timestamp": _utc(row.rang_at), "data": data}
    # Whoever gets it may drop doubles by this id. A ring after a snooze is none.
    ident = row.id if row.rings == 1 else f"{row.id}-{row.rings}"
    return Message(webhook.url, webhook.secret, ident, json.dumps(body, ensure_ascii=False))


def _utc(instant: Instant) -> str:
    wall = datetime.fromtimestamp(instant / 1000, UTC)
    return wall.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@internal_action
async def send(ctx: ActionCtx, delivery: Id[Delivery], attempt: Id[WebhookAttempt]) -> None:
    """Call the webhook once, and note how that went."""
    asked = await ctx.run(message, delivery=delivery)
    if asked is None:
        return
    status, error = await _post(ctx, asked)
    await ctx.run(note, delivery=delivery, attempt=attempt, status=status, error=error)


async def _post(ctx: ActionCtx, asked: Message) -> tuple[int | None, str | None]:
    body = asked.body.encode()
    now_seconds = int(ctx.clock.now() / 1000)
    headers = sign_webhook(asked.secret, asked.message_id, now_seconds, body)
    headers["content-type"] = "application/json"
    try:
        with trio.fail_after(ANSWER_SECONDS_MAX):
            # The body of the answer is nobody's business, and might have no end.
            async with ctx.http.stream("POST", asked.url, content=body, headers=headers) as answer:
                status = answer.status_code
    except trio.TooSlowError:
        return None, f"No answer within {ANSWER_SECONDS_MAX:g} s."
    except Exception as failed:  # What httpx and the network raise has no common base.
        return None, f"{type(failed).__name__}: {failed}"[:_ERROR_CHARS]
    return status, None if 200 <= status < 300 else f"The answer was status {status}."


@internal_mutation
def note(
    ctx: MutationCtx,
    delivery: Id[Delivery],
    attempt: Id[WebhookAttempt],
    status: int | None,
    error: str | None,
) -> None:
    """Write down how an attempt went, and what follows from it."""
    tried, row = ctx.db.get(attempt), ctx.db.get(delivery)
    if tried is not None:
        ctx.db.patch(attempt, status=status, error=error)
    if row is None or row.state != "due":
        return
    if error is None:
        _stop(ctx, row)
        ctx.db.patch(delivery, state="acknowledged", job=None, error=None)
        return
    last = ctx.db.scan(WebhookAttempt.by_delivery[delivery]).desc().first()
    if last is None or last.id != attempt:
        return  # The next attempt is under way already.
    _stop(ctx, row)
    if status == _GONE:
        _switch_off(ctx)
    if status == _GONE or row.attempts >= ATTEMPTS_MAX:
        ctx.db.patch(delivery, state="failed", job=None, error=error)
        return
    again = ctx.scheduler.run_after(
        _pause(ctx, row.attempts),
        turn,
        delivery=delivery,
        rings=row.rings,
        attempt=row.attempts + 1,
    )
    ctx.db.patch(delivery, job=again, error=error)


def _switch_off(ctx: MutationCtx) -> None:
    """Call no more: the receiver said that it is gone. The address stays, for people to see."""
    row = settings_row(ctx)
    if row is not None:
        ctx.db.patch(row.id, webhook_gone_at=ctx.clock.now())
