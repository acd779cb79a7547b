"""``ctx.clock``: what a call is told of time, and from when on that would be something else."""

from datetime import UTC, datetime, timedelta
from math import inf, nan
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from flow_backend.errors import InvalidTime
from flow_backend.functions.clock import Clock
from flow_backend.functions.spans import DAY, HOUR, MINUTE, span_at
from flow_backend.schema.document import Instant
from tests.effort import cases

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Havana",
    "America/Santiago",
    "Africa/Cairo",
    "Asia/Beirut",
    "America/St_Johns",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Atlantic/Azores",
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "Asia/Tehran",
    "Pacific/Chatham",
    "Antarctica/Troll",
    "Europe/Dublin",
]


def clock(at: float = 1_000.0) -> Clock:
    return Clock(Instant(at))


def test_a_clock_that_is_not_asked_waits_for_nothing() -> None:
    it = clock()
    assert it.now() == 1_000.0
    assert it.wakes_at is None


def test_the_earliest_instant_to_come_counts() -> None:
    it = clock()

    assert it.passed(Instant(1_000.0))
    assert it.wakes_at == inf
    assert not it.passed(Instant(3_000))
    assert not it.passed(Instant(2_000.5))
    assert not it.passed(Instant(1e300))

    assert it.wakes_at == 2_000.5
    assert it.now("minute") == 0.0
    assert it.wakes_at == 2_000.5


@pytest.mark.parametrize("what", [nan, inf, -inf, None, "2027-01-01", True])
def test_what_is_no_instant_is_refused(what: Any) -> None:
    it = clock()
    with pytest.raises(InvalidTime, match="takes an instant in ms"):
        it.passed(what)
    assert it.wakes_at is None


@pytest.mark.parametrize("zone", ["Mars/Olympus", "America", "../etc/passwd", "", "x" * 300, 7])
def test_a_zone_that_there_is_not_is_refused(zone: Any) -> None:
    with pytest.raises(InvalidTime, match="no time zone"):
        clock().now("day", zone)


def test_a_granularity_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidTime, match="granularities 'minute', 'hour', 'day', not 'week'"):
        clock().now("week")  # type: ignore[arg-type]
    with pytest.raises(InvalidTime, match="needs a granularity"):
        clock().now(zone="UTC")


def _label(at: int, unit: int, zone: ZoneInfo) -> tuple[object, ...]:
    local = datetime.fromtimestamp(at, UTC).astimezone(zone)
    if unit == DAY:
        return (local.date(),)
    return (local.date(), local.hour, local.minute if unit == MINUTE else 0, local.utcoffset())


@pytest.mark.parametrize("unit", [MINUTE, HOUR, DAY])
def test_f5_spans_are_what_a_walk_minute_by_minute_finds(unit: int) -> None:
    """Days of 23 and 25 hours, midnights that do not exist or come twice, half an hour's change."""
    random = Random(unit)
    for number in range(cases(300, 5000)):
        name = ZONES[number % len(ZONES)]
        zone = ZoneInfo(name)
        at = int(datetime(2005, 1, 1, tzinfo=UTC).timestamp()) + random.randrange(25 * 365 * DAY)
        if random.random() < 0.7:
            at = _near_change(zone, at, random)
        at -= at % 60
        label = _label(at, unit, zone)
        stop = at
        while _label(stop, unit, zone) == label:
            stop += 60
        day_before = at - 27 * HOUR if unit == DAY else at - unit
        start = at
        for each in range(at, day_before, -60):
            if _label(each, unit, zone) == label:
                start = each
            elif unit != DAY:
                break

        span = span_at(at * 1000.0, unit, name)

        assert (span.start / 1000, span.stop / 1000) == (start, stop), (name, at, unit)


def _near_change(zone: ZoneInfo, at: int, random: Random) -> int:
    """Give an instant around the next change of the clocks, if there is one within a year."""
    first = datetime.fromtimestamp(at, UTC)
    offset = first.astimezone(zone).utcoffset()
    for day in range(366):
        moment = first + timedelta(days=day)
        if moment.astimezone(zone).utcoffset() != offset:
            return at + day * DAY - random.randrange(2 * DAY)
    return at
