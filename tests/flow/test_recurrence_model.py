"""Any rule, in any zone: occurrences go forward, and each nominal time is one instant.

Source: the product's page on reminders, section 14.
"""

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st
from whenever import PlainDateTime, TimeZoneNotFoundError

from flow.time.instants import day_bounds, to_instant, to_wall
from flow.time.recurrence import (
    Series,
    complete,
    latest_occurrence,
    next_occurrence,
    occurrence_at,
    occurrence_of,
    occurrences,
)
from flow.time.rules import read_rule
from flow_backend import AppError, Instant
from tests.effort import cases

# Zones with changes at odd hours, by odd steps, at midnight, and of a whole day.
ODD = (
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/Havana",
    "Africa/Cairo",
    "Asia/Beirut",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Antarctica/Troll",
)
ZONES = sorted(zone for zone in available_timezones() if "/" in zone and zone[0].isupper())
zones = st.sampled_from(ODD) | st.sampled_from(ZONES)
dates = st.dates(date(2007, 1, 1), date(2037, 12, 31))
times = st.times().map(lambda clock: clock.replace(second=0, microsecond=0))
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@st.composite
def rules(draw: st.DrawFn) -> str:
    interval = draw(st.integers(1, 5))
    days = ",".join(draw(st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=3, unique=True)))
    number = draw(st.sampled_from([1, 2, 3, 4, -1]))
    month = draw(st.integers(1, 12))
    day = draw(st.integers(1, 28))
    body = draw(
        st.sampled_from(
            [
                "FREQ=DAILY",
                "FREQ=DAILY;BYHOUR=2,3,14;BYMINUTE=30",
                f"FREQ=DAILY;BYDAY={days}",
                f"FREQ=WEEKLY;BYDAY={days}",
                f"FREQ=WEEKLY;BYDAY={days};WKST=SU",
                f"FREQ=MONTHLY;BYMONTHDAY={day}",
                "FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1",
                f"FREQ=MONTHLY;BYDAY={number}{days[:2]}",
                f"FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS={number}",
                f"FREQ=YEARLY;BYMONTH={month};BYMONTHDAY={day}",
                "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=28,29;BYSETPOS=-1",
            ]
        )
    )
    return f"{body};INTERVAL={interval}"


@st.composite
def around_a_change(draw: st.DrawFn) -> tuple[str, datetime]:
    """Give a zone, and a wall time within two days of one of its changes if it has any."""
    zone = draw(zones)
    year = draw(st.integers(2007, 2036))
    begins = datetime(year, 1, 1, tzinfo=UTC)
    info = ZoneInfo(zone)
    days = [begins + timedelta(days=day) for day in range(366)]
    changes = [
        day
        for day, after in pairwise(days)
        if day.astimezone(info).utcoffset() != after.astimezone(info).utcoffset()
    ]
    near = draw(st.sampled_from(changes)) if changes else begins
    minutes = draw(st.integers(-2 * 24 * 60, 3 * 24 * 60))
    return zone, near.replace(tzinfo=None) + timedelta(minutes=minutes)


@pytest.mark.slow
@given(where=around_a_change())
@settings(max_examples=cases(3_000), deadline=None)
def test_wall_times_become_the_instants_that_another_library_says(
    where: tuple[str, datetime],
) -> None:
    zone, wall = where

    try:
        said = PlainDateTime(wall.year, wall.month, wall.day, wall.hour, wall.minute).assume_tz(
            zone, disambiguation="compatible"
        )
    except TimeZoneNotFoundError:
        return

    assert to_instant(wall, zone) == said.timestamp(unit="millisecond")


@pytest.mark.slow
@given(where=around_a_change())
@settings(max_examples=cases(1_000), deadline=None)
def test_days_follow_each_other_without_a_gap(where: tuple[str, datetime]) -> None:
    zone, wall = where
    day = wall.date()

    begins, ends = day_bounds(day, zone)

    assert day_bounds(day + timedelta(days=1), zone)[0] == ends
    if ends > begins:  # Samoa and others have left out a day.
        assert to_wall(begins, zone).date() == day
        assert to_wall(Instant(ends - 1), zone).date() == day
        assert to_wall(Instant(begins - 1), zone).date() < day
        said = PlainDateTime(day.year, day.month, day.day).assume_tz(
            zone, disambiguation="compatible"
        )
        assert begins == said.timestamp(unit="millisecond")


@pytest.mark.slow
@given(rule=rules(), where=around_a_change(), whole_day=st.booleans())
@settings(max_examples=cases(1_000), deadline=None)
def test_each_nominal_time_rings_once_and_time_goes_forward(
    rule: str, where: tuple[str, datetime], whole_day: bool
) -> None:
    """Over any change: as many instants as nominal times, but for those that fall together."""
    zone, wall = where
    series = Series(
        rule=rule,
        start=wall.date() - timedelta(days=400),
        time=None if whole_day else wall.time(),
        zone=zone,
    )
    since = to_instant(wall - timedelta(days=2), zone)

    found = list(islice(occurrences(series, since), 20))

    assert all(a.begins_at < b.begins_at for a, b in pairwise(found))
    assert len({each.key for each in found}) == len(found)
    # Walking from one to the next finds the same, and so does looking back.
    for before, after in pairwise(found):
        assert next_occurrence(series, before.begins_at) == after
        assert latest_occurrence(series, Instant(after.begins_at - 1)) == before


@pytest.mark.slow
@given(rule=rules(), start=dates, clock=times, ahead=st.integers(0, 4_000))
@settings(max_examples=cases(1_500), deadline=None)
def test_an_old_series_goes_on_as_if_it_were_walked_from_its_start(
    rule: str, start: date, clock: time, ahead: int
) -> None:
    """The start is moved forward by whole intervals; plain rrule walks all the way."""
    wall = datetime.combine(start, clock)
    series = Series(rule=rule, start=start, time=clock, zone="UTC")
    since = wall + timedelta(days=ahead)

    found = [to_wall(o.begins_at, "UTC") for o in islice(_since(series, since), 5)]

    # dateutil's types have no place for a Protocol of their own.
    plain: Any = rrulestr(rule, dtstart=wall)
    walked = list(islice(plain.xafter(since, inc=True), 5))
    assert found == walked


def _since(series: Series, wall: datetime) -> Any:
    return occurrences(series, to_instant(wall, "UTC"))


@pytest.mark.slow
@given(
    rule=rules(), start=dates, clock=times | st.none(), zone=zones, hours=st.integers(-500, 9_000)
)
@settings(max_examples=cases(1_500), deadline=None)
def test_completing_closes_what_has_begun_and_opens_what_has_not(
    rule: str, start: date, clock: time | None, zone: str, hours: int
) -> None:
    series = Series(rule=rule, start=start, time=clock, zone=zone)
    open_one = next(occurrences(series))
    done_at = Instant(open_one.begins_at + hours * 3_600_000)

    found = complete(series, open_one, done_at)

    assert found.next is not None
    assert found.next.begins_at > max(done_at, open_one.begins_at)
    assert found.closes == open_one or found.closes.begins_at <= done_at
    # Nothing stands between what was closed and what is open, and nothing is lost on the way.
    assert next_occurrence(series, found.closes.begins_at) == found.next
    walked = [found.closes] if hours < 0 else []
    if not walked:
        until = found.closes.begins_at
        for each in occurrences(series, open_one.begins_at):
            if each.begins_at > until:
                break
            walked.append(each)
    assert found.missed_count == len(walked) - 1
    assert list(found.missed) == walked[:-1][-100:]


@pytest.mark.slow
@given(rule=rules(), start=dates, clock=times | st.none(), zone=zones, hours=st.integers(0, 9_000))
@settings(max_examples=cases(1_000), deadline=None)
def test_from_completion_the_next_is_later(
    rule: str, start: date, clock: time | None, zone: str, hours: int
) -> None:
    series = Series(rule=rule, start=start, time=clock, zone=zone, anchor="done")
    open_one = occurrence_of(start, clock, zone)
    done_at = Instant(open_one.begins_at + hours * 3_600_000)

    after = complete(series, open_one, done_at).next

    assert after is not None
    assert after.date > to_wall(done_at, zone).date()


@pytest.mark.parametrize("unit", ["HOURLY", "MINUTELY"])
@given(start=dates, clock=times, zone=zones, step=st.integers(1, 90), ahead=st.integers(0, 10_000))
@settings(max_examples=cases(500), deadline=None)
def test_elapsed_repeats_are_evenly_apart(
    unit: str, start: date, clock: time, zone: str, step: int, ahead: int
) -> None:
    series = Series(rule=f"FREQ={unit};INTERVAL={step}", start=start, time=clock, zone=zone)
    first = to_instant(datetime.combine(start, clock), zone)
    since = Instant(first + ahead * 60_000)
    step_ms = step * (3_600_000 if unit == "HOURLY" else 60_000)

    found = list(islice(occurrences(series, since), 10))

    assert found[0].begins_at - since < step_ms
    assert all((each.begins_at - first) % step_ms == 0 for each in found)
    assert all(b.begins_at - a.begins_at == step_ms for a, b in pairwise(found))
    assert latest_occurrence(series, found[3].begins_at) == found[3]
    assert occurrence_at(found[2].begins_at, zone) == found[2]


@pytest.mark.slow
@given(text=st.text(alphabet="FREQ=DAILYWKMONTHUCSBP;,-0123456789", max_size=60) | st.text())
@settings(max_examples=cases(2_000), deadline=None)
def test_no_text_is_more_than_refused(text: str) -> None:
    try:
        read_rule(text)
    except AppError as error:
        said = str(error)
    else:
        return

    assert "FREQ=WEEKLY" in said
