"""Reminders: making them, what rings now, snoozing and acknowledging."""

from collections.abc import Sequence
from typing import Final, Literal

from attrs import frozen

from flow.new_reminder import make_reminder
from flow.restoring import bring_back
from flow.ringing import (
    NOTHING_OPEN,
    close_open,
    delivery_of,
    end_reminder,
    next_fields,
    open_delivery,
    save,
    series_of,
)
from flow.schema import Delivery, Reminder, Task, WebhookAttempt
from flow.settings import Settings, settings_of
from flow.task_reminders import add_offset
from flow.time.lateness import LATE_RINGS_MAX
from flow.time.recurrence import Occurrence, Series, complete, occurrence_of
from flow.time.snooze import Preset
from flow.time.snooze import snooze_presets as presets_now
from flow_backend import (
    AppError,
    Date,
    Id,
    Instant,
    MutationCtx,
    QueryCtx,
    Time,
    mutation,
    query,
)

LISTED_MAX: Final = 200
RINGING_MAX: Final = 1_000
AT_ONCE: Final = 200
AWAY_MAX: Final = 50
ATTEMPTS_MAX: Final = 50
SUMMARY: Final = "late"
"""The occurrence of the one entry that stands for many late rings."""

_SNOOZE_DAYS_MAX: Final = 366


@frozen(kw_only=True)
class Ringing:
    """A ring that nobody has acknowledged: what a toast shows.

    Attributes:
        delivery: its identity on the screen: the same one after a reconnect is the same toast.
        occurrence: what to acknowledge it by; ``late`` for the entry that sums up.
        late_seconds: 0 if it was on time.
        missed: how many occurrences it stands for that could not ring.
        silent: it is too late to make a noise: it belongs in the list alone.
        count: how many late rings this entry stands for; 1 is itself.
    """

    delivery: Id[Delivery]
    reminder: Id[Reminder]
    occurrence: str
    title: str
    rang_at: Instant
    due_at: Instant
    late_seconds: int
    missed: int
    silent: bool
    task: Id[Task] | None
    count: int = 1


@frozen(kw_only=True)
class Attempt:
    """One call of the webhook: its status, or why there is none."""

    at: Instant
    status: int | None
    error: str | None


# --- Making


@mutation
def create(
    ctx: MutationCtx,
    title: str,
    due_date: Date | None = None,
    due_time: Time | None = None,
    zone: str | None = None,
    at: Instant | None = None,
    rule: str | None = None,
    anchor: Literal["schedule", "done"] = "schedule",
    task: Id[Task] | None = None,
    offset: str | None = None,
) -> Id[Reminder]:
    """Make a reminder: at a wall time, or at an instant; once, or by a rule.

    Without ``due_time`` it rings when reminders of whole days do. Without ``zone`` it follows the
    home zone. What is past rings at once, and says how late it is. With ``task`` and ``offset`` it
    rings that far from when the task is due, and moves with it.
    """
    if offset is not None:
        found = None if task is None else ctx.db.get(task)
        if found is None:
            raise AppError("A reminder with an offset belongs to a task: pass the id of one.")
        return add_offset(ctx, found, offset)
    return make_reminder(
        ctx,
        title=title,
        due_date=due_date,
        due_time=due_time,
        zone=zone,
        at=at,
        rule=rule,
        anchor=anchor,
        task=task,
    )


# --- Reading


@query(name="list")
def list_reminders(ctx: QueryCtx) -> list[Reminder]:
    """Give the reminders that ring or wait, the next one first."""
    found = [
        *ctx.db.scan(Reminder.by_state["ringing"]).take(LISTED_MAX),
        *ctx.db.scan(Reminder.by_state["waiting"]).take(LISTED_MAX),
    ]
    return sorted(found, key=_rings_next)


def _rings_next(row: Reminder) -> float:
    waits = (row.snoozed_until, row.held_until, row.next_at)
    return min((at for at in waits if at is not None), default=0.0)


@query
def ringing(ctx: QueryCtx) -> list[Ringing]:
    """Give what rings now and nobody has acknowledged, the newest last.

    More than five that came late, after downtime, are one entry: ``count`` says for how many it
    stands, and acknowledging its ``occurrence`` acknowledges them all.
    """
    newest = ctx.db.scan(Delivery.by_state["app", "ringing"]).desc().take(RINGING_MAX)
    found = _entries(newest[::-1])
    late = [each for each in found if each.late_seconds and not each.silent]
    if len(late) <= LATE_RINGS_MAX:
        return found
    last = late[-1]
    summary = Ringing(
        delivery=last.delivery,
        reminder=last.reminder,
        occurrence=SUMMARY,
        title=f"{len(late)} reminders came late",
        rang_at=last.rang_at,
        due_at=min(each.due_at for each in late),
        late_seconds=max(each.late_seconds for each in late),
        missed=sum(each.missed for each in late),
        silent=False,
        task=None,
        count=len(late),
    )
    return [*(each for each in found if each.silent or not each.late_seconds), summary]


@query
def away(ctx: QueryCtx) -> list[Ringing]:
    """Give what came while Flow was away and nobody has acknowledged, the newest first.

    A repeat that is more than a day late is only here; what rang late is here too.
    """
    rang = ctx.db.scan(Delivery.by_state["app", "ringing"]).desc().take(LISTED_MAX)
    late = [each for each in rang if each.late_seconds]
    late += ctx.db.scan(Delivery.by_state["app", "listed"]).desc().take(AWAY_MAX)
    late.sort(key=lambda each: each.due_at, reverse=True)
    return _entries(late[:AWAY_MAX])


def _entries(deliveries: Sequence[Delivery]) -> list[Ringing]:
    return [
        Ringing(
            delivery=each.id,
            reminder=each.reminder,
            occurrence=each.occurrence,
            title=each.title,
            rang_at=each.rang_at,
            due_at=each.due_at,
            late_seconds=each.late_seconds,
            missed=each.missed,
            silent=each.silent,
            task=each.task,
        )
        for each in deliveries
    ]


@query
def attempts(ctx: QueryCtx, reminder: Id[Reminder]) -> list[Attempt]:
    """Give the calls of the webhook for a reminder, the newest first."""
    found = ctx.db.scan(WebhookAttempt.by_reminder[reminder]).desc().take(ATTEMPTS_MAX)
    return [Attempt(at=each.at, status=each.status, error=each.error) for each in found]


# --- Answering a ring


@query
def snooze_presets(ctx: QueryCtx) -> list[Preset]:
    """Give the snoozes that make sense at the moment, in the order in which to show them."""
    return presets_now(ctx.clock.now(), settings_of(ctx))


@mutation
def snooze(
    ctx: MutationCtx,
    reminder: Id[Reminder],
    until: Instant | None = None,
    preset: str | None = None,
) -> None:
    """Let what rings come again later; when it is due stays as it is.

    The next occurrence of a repeat replaces it, if that comes first. Two who snooze: the later one
    counts.
    """
    row, now = _existing(ctx, reminder), ctx.clock.now()
    if (until is None) == (preset is None):
        raise AppError("Say until when: an instant (until) or one of the presets (preset).")
    if until is None:
        until = _preset(now, settings_of(ctx), preset)
    if not now < until <= now + _SNOOZE_DAYS_MAX * 86_400_000:
        raise AppError("A snooze ends later than now, and within a year.")
    delivery = open_delivery(ctx, row)
    if delivery is None or delivery.state not in {"ringing", "snoozed", "held"}:
        raise AppError("This reminder does not ring (any more): there is nothing to snooze.")
    ctx.db.patch(delivery.id, state="snoozed")
    save(ctx, row, snoozed_until=until, held_until=None)


def _preset(now: Instant, settings: Settings, key: str | None) -> Instant:
    offered = presets_now(now, settings)
    for each in offered:
        if each.key == key:
            return each.at
    keys = ", ".join(each.key for each in offered)
    raise AppError(f'There is no snooze "{key}" at this time of day. Now there are {keys}.')


@mutation
def acknowledge(ctx: MutationCtx, reminder: Id[Reminder], occurrence: str | None = None) -> None:
    """Note that somebody has seen it: it stops on every screen.

    Of two who do, the second changes nothing. ``occurrence`` says which one was seen, so that one
    that has come meanwhile goes on ringing; ``late`` is all that rang late.
    """
    if occurrence == SUMMARY:
        _acknowledge_late(ctx, reminder)
        return
    _acknowledge(ctx, reminder, occurrence)


def _acknowledge_late(ctx: MutationCtx, reminder: Id[Reminder]) -> None:
    rings = ctx.db.scan(Delivery.by_state["app", "ringing"]).take(RINGING_MAX)
    late = [each for each in rings if each.late_seconds]
    for each in late[:AT_ONCE]:
        _acknowledge(ctx, each.reminder, each.occurrence)
    if len(late) > AT_ONCE:
        # All in one mutation would hold up everybody else's.
        ctx.scheduler.run_after(0, acknowledge, reminder=reminder, occurrence=SUMMARY)


def _acknowledge(ctx: MutationCtx, reminder: Id[Reminder], occurrence: str | None) -> None:
    row = ctx.db.get(reminder)
    if row is None:
        return
    if occurrence is not None and occurrence != row.open:
        listed = delivery_of(ctx, reminder, occurrence)
        if listed is not None and listed.state == "listed":
            ctx.db.patch(listed.id, state="acknowledged")
        return
    closes = row.open
    if closes is None or not close_open(ctx, row, "acknowledged"):
        return
    changes = dict(NOTHING_OPEN)
    settings = settings_of(ctx)
    series = series_of(row, settings)
    if series is not None and series.anchor == "done":
        changes |= next_fields(_after_done(ctx, row, series)) | {"closed": row.closed + 1}
    save(ctx, row, **changes)


def _after_done(ctx: MutationCtx, row: Reminder, series: Series) -> Occurrence | None:
    now = ctx.clock.now()
    closed = occurrence_of(row.due_date, row.due_time, series.zone, series.all_day_at)
    return complete(series, closed, now).next


@mutation
def cancel(ctx: MutationCtx, reminder: Id[Reminder]) -> None:
    """End a reminder: it rings no more, and is gone from every screen. Twice is once.

    It is kept, so that :func:`restore` can bring it back.
    """
    row = ctx.db.get(reminder)
    if row is not None and row.state != "canceled":
        end_reminder(ctx, row)


@mutation
def restore(ctx: MutationCtx, reminder: Id[Reminder]) -> None:
    """Bring back a reminder that was canceled, as it was. Twice is once; so is one that stands.

    What rang or was snoozed is so again, without a new ring. A repeat skips what came while it was
    canceled; what was due within the last minute still rings. One of a task follows it again.

    Raises: AppError if it is gone, if nothing of it is left to come, or if its task has a reminder
    for the same time meanwhile.
    """
    row = _existing(ctx, reminder)
    if row.state == "canceled":
        bring_back(ctx, row)


def _existing(ctx: MutationCtx, reminder: Id[Reminder]) -> Reminder:
    row = ctx.db.get(reminder)
    if row is None:
        raise AppError("This reminder is gone: someone has removed it.")
    return row
