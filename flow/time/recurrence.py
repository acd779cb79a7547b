"""Repeats: which occurrences a series has, and what completing one of them closes and opens."""

from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, Literal

from attrs import evolve, frozen

from flow.time.instants import MIDNIGHT, day_bounds, to_instant, to_wall, wall_of
from flow.time.rules import Rule, read_rule, walls
from flow_backend import Date, Instant, Time

Anchor = Literal["schedule", "done"]
"""Whether a repeat follows its schedule, or counts from the time at which it was done."""

MISSED_LISTED: Final = 100
_WALKED_MAX: Final = 10_000
_DAY: Final = timedelta(days=1)
_PERIOD_DAYS: Final = {"DAILY": 1, "WEEKLY": 7, "MONTHLY": 31, "YEARLY": 366}


@frozen(kw_only=True)
class Series:
    """A repeat: a rule, and where it begins.

    Attributes:
        rule: the body of an RRULE.
        start: the date of the first occurrence, from which intervals count.
        time: the time of day of the first; None for all of the day.
        zone: its own zone, or the home zone of the person.
        anchor: whether it counts by the schedule or from completion.
        start_at: the first instant, if the rule counts elapsed time and the wall time does not say.
        all_day_at: from when on a day counts as begun, for occurrences that have no time.
        closed: how many were closed so far; only COUNT of a repeat from completion asks for it.
    """

    rule: str
    start: Date
    time: Time | None
    zone: str
    anchor: Anchor = "schedule"
    start_at: Instant | None = None
    all_day_at: Time = MIDNIGHT
    closed: int = 0


@frozen(kw_only=True)
class Occurrence:
    """One time that a series comes round.

    Attributes:
        key: its identity, the nominal wall time: ``2026-11-10 08:00``, or ``2026-11-10`` for all of
            the day. Of a rule that counts elapsed time it is the instant: ``2026-11-10T13:00:00Z``.
        date: its day.
        time: its time of day; None for all of the day.
        begins_at: the instant of that time; for all of the day the one at which the day begins.
    """

    key: str
    date: Date
    time: Time | None
    begins_at: Instant


@frozen(kw_only=True)
class Completion:
    """What completing does to a series that goes by its schedule.

    Attributes:
        closes: the occurrence that the completion counts for.
        missed: those between the open one and that, the oldest first; of very many the newest.
        missed_count: how many those are; of more than 10,000 it is the least that there are.
        next: what is open now; None if the series has ended.
    """

    closes: Occurrence
    missed: tuple[Occurrence, ...]
    missed_count: int
    next: Occurrence | None


# --- Occurrences


def occurrence_of(
    date: Date, time: Time | None, zone: str, all_day_at: Time = MIDNIGHT
) -> Occurrence:
    """Give the occurrence with a nominal wall time, such as a single item has."""
    wall = datetime.combine(date, all_day_at if time is None else time)
    key = f"{date:%Y-%m-%d}" if time is None else f"{date:%Y-%m-%d} {time:%H:%M}"
    return Occurrence(key=key, date=date, time=time, begins_at=to_instant(wall, zone))


def occurrence_at(instant: Instant, zone: str) -> Occurrence:
    """Give the occurrence that is an instant first, and a wall time only for people to read."""
    wall, utc = to_wall(instant, zone), to_wall(instant, "UTC")
    digits = utc.isoformat(timespec="seconds" if utc.microsecond == 0 else "milliseconds")
    # What is stored as a time of day has whole seconds; the instant is what counts here.
    time = wall.time().replace(microsecond=0)
    return Occurrence(key=f"{digits}Z", date=wall.date(), time=time, begins_at=instant)


def occurrences(series: Series, since: Instant | None = None) -> Iterator[Occurrence]:
    """Yield occurrences by the schedule, in order of their instants, which strictly increase.

    Two wall times fall on one instant if one of them is skipped by the clocks and the other stands
    where it is moved to; then the one that is skipped is left out.

    Args:
        series: what repeats.
        since: those that begin earlier are left out.
    """
    rule = read_rule(series.rule)
    found = _by_calendar(series, rule, since) if rule.step_seconds is None else None
    for each in _elapsed(series, rule, since) if found is None else found:
        if since is None or each.begins_at >= since:
            yield each


def next_occurrence(series: Series, after: Instant) -> Occurrence | None:
    """Give the first occurrence that begins after an instant; None if there is none any more."""
    return next((o for o in occurrences(series, after) if o.begins_at > after), None)


def latest_occurrence(series: Series, until: Instant) -> Occurrence | None:
    """Give the last occurrence that begins at an instant or before it; None if there is none."""
    rule = read_rule(series.rule)
    if rule.step_seconds is not None:
        return _latest_elapsed(series, rule, until)
    start = to_instant(_start_wall(series), series.zone)
    days = _PERIOD_DAYS[rule.frequency] * rule.interval + 2
    while True:
        since = Instant(max(start, until - days * 86_400_000.0))
        found: Occurrence | None = None
        for each in occurrences(series, since):
            if each.begins_at > until:
                break
            found = each
        if found is not None or since <= start:
            return found
        days *= 4


def first_occurrence(
    rule: str,
    now: Instant,
    zone: str,
    *,
    time: Time | None = None,
    start: Date | None = None,
) -> Occurrence | None:
    """Give the occurrence at which a repeat begins: the ``start`` of its :class:`Series`.

    On the calendar it is the first day that the rule names, whatever its interval: later than now
    if it has a time, else from today on. A repeat of hours or minutes begins at its wall time, and
    without one a step from now.

    Args:
        rule: the body of an RRULE.
        now: when it was said.
        zone: its own zone, or the home zone.
        time: its time of day.
        start: the day on or after which it is to begin; without one, today.

    Returns: None if there is no such day within fifty years.
    """
    read, today = read_rule(rule), to_wall(now, zone).date()
    if read.step_seconds is not None:
        return _first_elapsed(read.step_seconds, now, zone, time, start)
    # COUNT and the interval count from the first one, and this looks for the first one.
    begins = today if start is None else max(start, today)
    series = Series(rule=rule, start=begins, time=time, zone=zone)
    for each in _by_calendar(series, evolve(read, interval=1, count=None), None):
        if each.time is None or each.begins_at > now:
            return each
    return None


def _first_elapsed(
    step_seconds: int, now: Instant, zone: str, time: Time | None, start: Date | None
) -> Occurrence:
    if time is None and start is None:
        return occurrence_at(Instant(now + step_seconds * 1000), zone)
    date = to_wall(now, zone).date() if start is None else start
    at = to_instant(wall_of(date, time), zone)
    if start is None and at <= now:
        at = to_instant(wall_of(date + _DAY, time), zone)
    return occurrence_at(at, zone)


def _elapsed(series: Series, rule: Rule, since: Instant | None) -> Iterator[Occurrence]:
    first, step = _first_instant(series), (rule.step_seconds or 0) * 1000
    number = 0 if since is None else max(0, int((since - first) // step))
    end = None if rule.until is None else to_instant(rule.until, series.zone) + 1000
    while rule.count is None or number < rule.count:
        at = Instant(first + number * step)
        if end is not None and at >= end:
            return
        yield occurrence_at(at, series.zone)
        number += 1


def _latest_elapsed(series: Series, rule: Rule, until: Instant) -> Occurrence | None:
    first, step = _first_instant(series), (rule.step_seconds or 0) * 1000
    if rule.until is not None:
        until = min(until, Instant(to_instant(rule.until, series.zone) + 999))
    number = int((until - first) // step)
    if rule.count is not None:
        number = min(number, rule.count - 1)
    return None if number < 0 else occurrence_at(Instant(first + number * step), series.zone)


def _first_instant(series: Series) -> Instant:
    if series.start_at is not None:
        return series.start_at
    return to_instant(wall_of(series.start, series.time), series.zone)


def _start_wall(series: Series) -> datetime:
    # A rule that names its times of day has them on the first day too, from its first minute.
    return wall_of(series.start, series.time)


def _by_calendar(series: Series, rule: Rule, since: Instant | None) -> Iterator[Occurrence]:
    """Yield occurrences of wall times. Those that the clocks skip come where they are moved to."""
    start = _start_wall(series)
    # A skipped wall time stands ahead of its instant by as much as the clocks skip: a day at most.
    low = start if since is None else to_wall(since, series.zone) - _DAY
    whole_days = series.time is None and not rule.names_time
    moved: list[Occurrence] = []
    for wall in walls(rule, start, low):
        time = None if whole_days else wall.time()
        each = occurrence_of(wall.date(), time, series.zone, series.all_day_at)
        shown = datetime.combine(wall.date(), series.all_day_at) if whole_days else wall
        if to_wall(each.begins_at, series.zone) != shown:
            moved.append(each)
            continue
        yield from (held for held in moved if held.begins_at < each.begins_at)
        moved = [held for held in moved if held.begins_at > each.begins_at]
        yield each
    yield from moved


# --- Completing


def complete(series: Series, open_one: Occurrence, done_at: Instant) -> Completion:
    """Say what completing closes, what it leaves missed, and what is open then.

    A repeat by its schedule closes the latest occurrence that has begun, or the open one if that
    has not begun: late completion skips what has passed, early completion keeps the schedule. A
    repeat from completion closes the open one, and the next is counted from the local date of
    ``done_at`` (hours and minutes from the instant).
    """
    if series.anchor == "done":
        return Completion(
            closes=open_one, missed=(), missed_count=0, next=_after_done(series, done_at)
        )
    passed, count = begun_between(series, open_one, done_at)
    closes = passed[-1] if passed else open_one
    missed = tuple(passed[:-1])
    after = next_occurrence(series, Instant(max(closes.begins_at, open_one.begins_at)))
    return Completion(closes=closes, missed=missed, missed_count=max(0, count - 1), next=after)


def begun_between(
    series: Series, first: Occurrence, until: Instant
) -> tuple[list[Occurrence], int]:
    """Give the occurrences from ``first`` to the last that has begun at ``until``.

    Returns: the newest of them (a hundred and one at most), and how many there are in all.
    """
    if first.begins_at > until:
        return [], 0
    kept, count = deque([first], MISSED_LISTED + 1), 1
    step = read_rule(series.rule).step_seconds
    since = first.begins_at
    if step is not None:
        # Of a step of minutes there may be very many: they are counted, not walked.
        skipped = int((until - since) // (step * 1000)) - MISSED_LISTED
        count += max(0, skipped)
        since = Instant(since + max(0, skipped) * step * 1000)
    for each in occurrences(series, since):
        if each.begins_at > until:
            break
        if each.begins_at > since:
            kept.append(each)
            count += 1
        if count == _WALKED_MAX and step is None:
            latest = latest_occurrence(series, until)
            kept.extend([] if latest is None else [latest])
            break
    return list(kept), count


def _after_done(series: Series, done_at: Instant) -> Occurrence | None:
    rule = read_rule(series.rule)
    if rule.count is not None and series.closed + 1 >= rule.count:
        return None
    if rule.step_seconds is not None:
        found = occurrence_at(Instant(done_at + rule.step_seconds * 1000), series.zone)
        end = None if rule.until is None else day_bounds(rule.until.date(), series.zone)[1]
        return None if end is not None and found.begins_at >= end else found
    base = _plus(to_wall(done_at, series.zone).date(), rule)
    if not rule.names_day and not rule.names_time:
        if rule.until is not None and wall_of(base, series.time) > rule.until:
            return None
        return occurrence_of(base, series.time, series.zone, series.all_day_at)
    named = evolve(series, start=base, time=None if rule.names_time else series.time)
    return next(_by_calendar(named, evolve(rule, interval=1, count=None), None), None)


def _plus(date: Date, rule: Rule) -> Date:
    """Add a rule's interval to a date; months and years clamp to the month's end."""
    if rule.frequency in {"DAILY", "WEEKLY"}:
        return date + timedelta(days=rule.interval * _PERIOD_DAYS[rule.frequency])
    months = (
        date.year * 12 + date.month - 1 + rule.interval * (12 if rule.frequency == "YEARLY" else 1)
    )
    year, month = divmod(months, 12)
    after = Date(year + (month + 1) // 12, (month + 1) % 12 + 1, 1)
    return Date(year, month + 1, min(date.day, (after - _DAY).day))
