"""How reminders ring: the one job that waits for each, and what happens when its time has come."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from attrs import evolve

from flow.due import series_of_task
from flow.schema import Canceled, Delivery, DeliveryState, Reminder
from flow.settings import Settings, settings_of
from flow.time.instants import offset_at, to_wall
from flow.time.lateness import ON_TIME_SECONDS, RINGS_SECONDS_MAX, Ring, judge, ring_for
from flow.time.recurrence import Occurrence, Series, occurrence_at, occurrence_of, occurrences
from flow.time.rules import read_rule
from flow.time.snooze import quiet_until
from flow.webhook import end_webhook, queue_webhook
from flow_backend import (
    Date,
    Id,
    Instant,
    MutationCtx,
    ScheduledFunction,
    Time,
    internal_mutation,
)

KEPT_DELIVERIES: Final = 20
"""How many of a reminder's deliveries are kept: a repeat would add to them for ever."""

NOTHING_OPEN: Final[dict[str, Any]] = {"open": None, "snoozed_until": None, "held_until": None}

_RINGS_WALKED_MAX: Final = 2_000
_DAY_MS: Final = 86_400_000.0
_FARTHEST_MS: Final = 300 * _DAY_MS
"""A job is at most this far ahead; then it looks, and waits on."""

# --- What a row says


def zone_of_row(row: Reminder, settings: Settings) -> str:
    """Give the zone in which a reminder's wall times are read."""
    return row.zone or settings.home_zone


def series_of(row: Reminder, settings: Settings) -> Series | None:
    """Give the repeat of a reminder, None if it rings once."""
    if row.rule is None:
        return None
    return Series(
        rule=row.rule,
        start=row.due_date,
        time=row.due_time,
        zone=zone_of_row(row, settings),
        anchor=row.anchor,
        start_at=row.at,
        all_day_at=settings.all_day_reminder,
        closed=row.closed,
    )


def waiting_of(row: Reminder, settings: Settings) -> Occurrence | None:
    """Give what a reminder rings for next, its instant derived anew; None if that is nothing.

    The nominal wall time is the identity. Its instant follows from the zone, so that a change of
    the home zone needs no more than this.
    """
    if row.occurrence is None or row.next_at is None or row.next_date is None:
        return None
    zone = zone_of_row(row, settings)
    if row.offset is not None:
        known = row.at
        if known is not None and to_wall(known, zone).time() != row.due_time:
            known = None  # It stands for another zone's wall time.
        at = offset_at(
            row.offset, row.due_date, row.due_time, zone, settings.all_day_reminder, known
        )
        return Occurrence(key=row.occurrence, date=row.next_date, time=row.next_time, begins_at=at)
    if row.occurrence.endswith("Z"):
        return occurrence_at(row.next_at, zone)
    return occurrence_of(row.next_date, row.next_time, zone, settings.all_day_reminder)


def next_fields(occurrence: Occurrence | None) -> dict[str, Any]:
    """Give the fields that say what a reminder rings for next."""
    if occurrence is None:
        return {"occurrence": None, "next_date": None, "next_time": None, "next_at": None}
    return {
        "occurrence": occurrence.key,
        "next_date": occurrence.date,
        "next_time": occurrence.time,
        "next_at": occurrence.begins_at,
    }


def open_delivery(ctx: MutationCtx, row: Reminder) -> Delivery | None:
    """Give the delivery in the app of the occurrence that is open."""
    return None if row.open is None else delivery_of(ctx, row.id, row.open)


def delivery_of(ctx: MutationCtx, reminder: Id[Reminder], occurrence: str) -> Delivery | None:
    """Give the delivery of an occurrence in the app."""
    return ctx.db.scan(Delivery.by_occurrence[reminder, occurrence, "app"]).first()


# --- The one job of each


def save(ctx: MutationCtx, row: Reminder, **changes: Any) -> None:
    """Write what has changed of a reminder, and let its one job wait for what comes next.

    The job is moved in the same transaction, so there is never none for a reminder that waits, and
    never a second. One that was overtaken finds another ``wakes_at`` and does nothing.
    """

    def value(name: str) -> Any:
        return changes[name] if name in changes else getattr(row, name)

    now = ctx.clock.now()
    waits = [value(name) for name in ("next_at", "snoozed_until", "held_until")]
    ahead = [at for at in waits if at is not None]
    if changes.get("state") != "canceled":
        is_open = value("open") is not None
        found = delivery_of(ctx, row.id, value("open")) if is_open else None
        rings = found is not None and found.state == "ringing"
        changes["state"] = "ringing" if rings else "waiting" if ahead else "done"
    else:
        ahead = []
    wakes_at = Instant(min(*ahead, now + _FARTHEST_MS)) if ahead else None
    if wakes_at != value("wakes_at") or (value("job") is None and wakes_at is not None):
        if value("job") is not None:
            stop_job(ctx, value("job"))
        changes["wakes_at"] = wakes_at
        changes["job"] = (
            None
            if wakes_at is None
            else ctx.scheduler.run_at(wakes_at, ring, reminder=row.id, wakes_at=wakes_at)
        )
    ctx.db.patch(row.id, **changes)


def stop_job(ctx: MutationCtx, job: Id[ScheduledFunction] | None) -> None:
    """Cancel a job, if it is still known."""
    if job is not None and ctx.db.get(job) is not None:
        ctx.scheduler.cancel(job)


@internal_mutation
def ring(ctx: MutationCtx, reminder: Id[Reminder], wakes_at: Instant) -> None:
    """Do what is due of a reminder, however late it is. A job that was overtaken does nothing."""
    row = ctx.db.get(reminder)
    if row is None or row.wakes_at != wakes_at:
        return
    settings, now = settings_of(ctx), ctx.clock.now()
    changes: dict[str, Any] = {"job": None, "wakes_at": None}
    waiting = waiting_of(row, settings)
    again = row.snoozed_until if row.held_until is None else row.held_until
    if waiting is not None and waiting.begins_at <= now:
        changes |= _come(ctx, row, waiting, settings)
    elif again is not None and again <= now:
        changes |= _come_again(ctx, row, again, settings)
    elif waiting is not None:
        # It waits for another instant than it was stored with: the zone has changed.
        changes["next_at"] = waiting.begins_at
    save(ctx, row, **changes)


# --- Ringing


def _come(
    ctx: MutationCtx, row: Reminder, waiting: Occurrence, settings: Settings
) -> dict[str, Any]:
    """Ring for an occurrence, list it, or hold it. Returns: what changes of the reminder."""
    now, urgent = ctx.clock.now(), _is_urgent(ctx, row)
    moved_on: dict[str, Any] = {}
    rings = rings_of_task(ctx, row, row.due_date, row.due_time, settings)
    if rings is None:
        series = series_of(row, settings) if row.anchor == "schedule" else None
        found = ring_for(series, waiting, now, settings, even_at_night=urgent)
    else:
        # A task that nobody does still rings for each of its days.
        latest, count, after = waiting, 1, None
        for each in rings:
            if each.begins_at > now:
                after = each
                break
            latest, count = each, count + 1
        found = judge(latest, count, after, now, settings, repeats=True, even_at_night=urgent)
        if after is not None:
            moved_on = {"due_date": after.date, "due_time": after.time, "at": None}
    # One is open at a time: the next one replaces what nobody acknowledged.
    close_open(ctx, row, "replaced")
    _deliver(ctx, row, found)
    return {
        **next_fields(found.next),
        **moved_on,
        "open": None if found.how == "listed" else found.occurrence.key,
        "rang": found.occurrence.key,
        "held_until": found.at if found.how == "hold" else None,
        "snoozed_until": None,
    }


def rings_of_task(
    ctx: MutationCtx, row: Reminder, date: Date, time: Time | None, settings: Settings
) -> Iterator[Occurrence] | None:
    """Give when a reminder rings for the task's occurrences after the one at a date and time.

    Returns: None if its task does not repeat by the calendar, or the reminder is at a fixed time.
    """
    task = None if row.task is None else ctx.db.get(row.task)
    series = None if task is None or row.offset is None else series_of_task(ctx, task)
    if series is None or series.anchor == "done" or "P" not in (row.offset or ""):
        return None
    if read_rule(series.rule).step_seconds is not None:
        return None
    zone, all_day, offset = series.zone, settings.all_day_reminder, row.offset or ""
    since = occurrence_of(date, time, zone).begins_at
    return (
        evolve(each, begins_at=offset_at(offset, each.date, each.time, zone, all_day))
        for each in islice(occurrences(series, since), 1, _RINGS_WALKED_MAX)
    )


def _is_urgent(ctx: MutationCtx, row: Reminder) -> bool:
    task = None if row.task is None else ctx.db.get(row.task)
    return getattr(task, "priority", None) == 1


def _deliver(ctx: MutationCtx, row: Reminder, found: Ring) -> None:
    states: dict[str, DeliveryState] = {"hold": "held", "listed": "listed"}
    fields: dict[str, Any] = {
        "state": states.get(found.how, "ringing"),
        "title": row.title,
        "task": row.task,
        "due_at": found.occurrence.begins_at,
        "rang_at": ctx.clock.now(),
        "late_seconds": found.late_seconds,
        "missed": found.missed,
        "silent": found.how == "silent",
    }
    key = found.occurrence.key
    delivery = delivery_of(ctx, row.id, key)
    if delivery is None:
        ctx.db.insert(Delivery(reminder=row.id, occurrence=key, channel="app", **fields))
        _forget_old(ctx, row.id)
    else:
        # A task that was moved away and back rings again; so does one from another zone.
        ctx.db.patch(delivery.id, rings=delivery.rings + 1, **fields)
    if found.how in {"ring", "silent"}:
        queue_webhook(ctx, row.id, key)


def _come_again(
    ctx: MutationCtx, row: Reminder, asked_at: Instant, settings: Settings
) -> dict[str, Any]:
    """Ring for what was snoozed or held. Returns: what changes of the reminder."""
    ended: dict[str, Any] = {"snoozed_until": None, "held_until": None}
    delivery = open_delivery(ctx, row)
    if delivery is None or delivery.state not in {"snoozed", "held"}:
        return ended
    now = ctx.clock.now()
    # A snooze is late from the time that was asked for, a held ring from when it was due.
    since = asked_at if delivery.state == "snoozed" else delivery.due_at
    late = int((now - since) / 1000)
    quiet = quiet_until(now, settings) if now - asked_at >= ON_TIME_SECONDS * 1000 else None
    if quiet is not None and not _is_urgent(ctx, row):
        ctx.db.patch(delivery.id, state="held")
        return {"snoozed_until": None, "held_until": quiet}
    ctx.db.patch(
        delivery.id,
        state="ringing",
        rang_at=now,
        rings=delivery.rings + 1,
        late_seconds=late if late >= ON_TIME_SECONDS else 0,
        silent=late > RINGS_SECONDS_MAX,
    )
    queue_webhook(ctx, row.id, delivery.occurrence)
    return ended


def close_open(ctx: MutationCtx, row: Reminder, state: DeliveryState) -> bool:
    """Bring the open occurrence to its end, on every channel. Returns: whether one was open."""
    delivery = open_delivery(ctx, row)
    if delivery is None or delivery.state not in {"ringing", "snoozed", "held"}:
        return False
    ctx.db.patch(delivery.id, state=state)
    end_webhook(ctx, row.id, delivery.occurrence)
    return True


def end_reminder(ctx: MutationCtx, row: Reminder) -> None:
    """End a reminder and what is open of it, and keep what it waited for."""
    close_open(ctx, row, "ended")
    canceled = Canceled(
        occurrence=row.occurrence,
        next_date=row.next_date,
        next_time=row.next_time,
        next_at=row.next_at,
        open=row.open,
        snoozed_until=row.snoozed_until,
        held_until=row.held_until,
    )
    save(ctx, row, state="canceled", canceled=canceled, **next_fields(None), **NOTHING_OPEN)


def _forget_old(ctx: MutationCtx, reminder: Id[Reminder]) -> None:
    """Delete a delivery that is old; each new one makes at most one too many on each channel."""
    newest = ctx.db.scan(Delivery.by_reminder[reminder]).desc().take(2 * KEPT_DELIVERIES + 4)
    for each in newest[2 * KEPT_DELIVERIES :]:
        if each.state not in {"ringing", "snoozed", "held", "due"}:
            end_webhook(ctx, reminder, each.occurrence)
            ctx.db.delete(each.id)
