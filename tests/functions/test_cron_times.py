"""When crons come round: over changes of the clocks, leap days, ends of months."""

from datetime import UTC, datetime
from random import Random
from zoneinfo import ZoneInfo

import pytest

from flow_backend.errors import AppDefinitionError
from flow_backend.functions.cron_times import Interval, WallTimes, wall_times
from tests.effort import cases
from tests.functions.test_clock import ZONES

NEW_YORK, BERLIN = "America/New_York", "Europe/Berlin"

# Each expression, its zone, an instant, and the runs after it, by UTC.
TABLE = [
    # The clocks go forward: 2026-03-08 and 2027-03-14 in New York, 2026-03-29 and 2027-03-28 in
    # Berlin. 02:30 is not there that day, and becomes 03:30.
    ("30 2 * * *", NEW_YORK, "2026-03-07T00:00", "03-07T07:30 03-08T07:30 03-09T06:30"),
    ("30 2 * * *", NEW_YORK, "2027-03-13T00:00", "03-13T07:30 03-14T07:30 03-15T06:30"),
    ("30 2 * * *", BERLIN, "2026-03-28T00:00", "03-28T01:30 03-29T01:30 03-30T00:30"),
    ("30 2 * * *", BERLIN, "2027-03-27T00:00", "03-27T01:30 03-28T01:30 03-29T00:30"),
    # Back: 2026-11-01 and 2027-11-07, 2026-10-25 and 2027-10-31: the first of the two counts.
    ("30 1 * * *", NEW_YORK, "2026-10-31T00:00", "10-31T05:30 11-01T05:30 11-02T06:30"),
    ("30 1 * * *", NEW_YORK, "2027-11-06T00:00", "11-06T05:30 11-07T05:30 11-08T06:30"),
    ("30 2 * * *", BERLIN, "2026-10-24T00:00", "10-24T00:30 10-25T00:30 10-26T01:30"),
    ("30 2 * * *", BERLIN, "2027-10-30T00:00", "10-30T00:30 10-31T00:30 11-01T01:30"),
    # A time that is moved falls on one that is there: one run.
    ("30 2,3 * * *", BERLIN, "2026-03-29T00:00", "03-29T01:30 03-30T00:30 03-30T01:30"),
    # A time that is moved is overtaken by one that is there.
    ("30,0 2,3 * * *", BERLIN, "2026-03-29T00:00", "03-29T01:00 03-29T01:30 03-30T00:00"),
    # What counts elapsed time goes on through both hours, and leaves out none that is there.
    ("0 * * * *", BERLIN, "2026-10-24T23:30", "10-25T00:00 10-25T01:00 10-25T02:00"),
    ("*/30 * * * *", BERLIN, "2026-03-29T00:29", "03-29T00:30 03-29T01:00 03-29T01:30"),
    ("0 */2 * * *", BERLIN, "2026-03-28T22:30", "03-28T23:00 03-29T02:00 03-29T04:00"),
    # Ends of months: a month that lacks the day is left out; L is the last one of each.
    ("0 9 31 * *", "UTC", "2027-01-01T00:00", "01-31T09:00 03-31T09:00 05-31T09:00"),
    ("0 9 L * *", "UTC", "2028-01-31T10:00", "02-29T09:00 03-31T09:00 04-30T09:00"),
    ("0 9 29 2 *", "UTC", "2026-01-01T00:00", "2028-02-29T09:00 2032-02-29T09:00"),
    ("0 9 * * MON", NEW_YORK, "2026-10-31T00:00", "11-02T14:00 11-09T14:00"),
]


def _ms(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000


@pytest.mark.parametrize(("expression", "zone", "begin", "runs"), TABLE)
def test_f5_crons_over_changes_of_the_clocks_and_ends_of_months(
    expression: str, zone: str, begin: str, runs: str
) -> None:
    times, at = wall_times(expression, zone), _ms(begin)
    for run in runs.split():
        at = times.after(at, at)
        whole = run if len(run) > 11 else f"{begin[:5]}{run}"
        assert datetime.fromtimestamp(at / 1000, UTC).isoformat()[:16] == whole


def test_an_interval_counts_from_the_run_that_was_due() -> None:
    every = Interval(60)
    assert every.first(7.0) == 7.0
    assert every.after(7.0, 7.0) == 60_007.0
    assert every.after(7.0, 60_006.9) == 60_007.0
    assert every.after(7.0, 60_007.0) == 120_007.0
    assert every.after(7.0, 1e9) == 1e9 - 1e9 % 60_000 + 7.0 + 60_000 * (1e9 % 60_000 >= 7.0)


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "61 * * * *", "* * 31 2 *", "a b c d e", "* * * * * *", "0 0 30 2 *"],
)
def test_what_is_no_cron_expression_is_refused(expression: str) -> None:
    with pytest.raises(AppDefinitionError, match=r"cron expression|no time ever"):
        wall_times(expression, "UTC")


@pytest.mark.slow
def test_f5_crons_are_what_a_walk_minute_by_minute_finds() -> None:
    """Around changes of the clocks in twenty zones, against a walk that knows no cron library."""
    random = Random(5)
    for number in range(cases(400, 10_000)):
        name = ZONES[number % len(ZONES)]
        zone = ZoneInfo(name)
        minutes = random.sample(range(0, 60, 5), random.choice([1, 2]))
        hours = random.sample(range(5), random.choice([1, 2]))
        elapsed = random.random() < 0.5
        minute = "*/15" if elapsed else ",".join(map(str, minutes))
        if elapsed:
            minutes = [0, 15, 30, 45]
        times = WallTimes(f"{minute} {','.join(map(str, hours))} * * *", name)
        at = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) + random.randrange(2 * 365) * 86_400
        at = _day_of_change(zone, at) - random.randrange(86_400) // 60 * 60
        want = _walk(zone, at, minutes, hours, elapsed)

        found, last = [], at * 1000.0
        while (last := times.after(last, last)) < (at + 3 * 86_400) * 1000:
            found.append(int(last / 1000))

        assert found == want, (times, at)


def _day_of_change(zone: ZoneInfo, at: int) -> int:
    before = datetime.fromtimestamp(at, UTC).astimezone(zone).utcoffset()
    for day in range(366):
        moment = datetime.fromtimestamp(at + day * 86_400, UTC).astimezone(zone)
        if moment.utcoffset() != before:
            return at + day * 86_400
    return at


def _walk(
    zone: ZoneInfo, at: int, minutes: list[int], hours: list[int], elapsed: bool
) -> list[int]:
    """Look at each minute: at its wall time, and at those that the clocks leave out there."""
    seen: set[tuple[object, ...]] = set()
    runs: list[int] = []
    last = datetime.fromtimestamp(at - 86_400, UTC).astimezone(zone).replace(tzinfo=None)
    skipped: dict[int, bool] = {}
    for each in range(at - 86_400 + 60, at + 3 * 86_400, 60):
        wall = datetime.fromtimestamp(each, UTC).astimezone(zone).replace(tzinfo=None)
        gap = round((wall - last).total_seconds()) - 60
        for ahead in range(0, gap, 60):
            # Of a time that is left out the instant is as far behind the change as it was in it.
            missing = divmod((last.hour * 60 + last.minute + 1) * 60 + ahead, 3600)
            if missing[0] % 24 in hours and missing[1] // 60 in minutes:
                skipped[each + ahead] = True
        key = (wall.date(), wall.hour, wall.minute)
        fits = wall.hour in hours and wall.minute in minutes
        is_first = elapsed or key not in seen
        seen.add(key)
        if each > at and ((fits and is_first) or (not elapsed and each in skipped)):
            runs.append(each)
        last = wall
    return runs
