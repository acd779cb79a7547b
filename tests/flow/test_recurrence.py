"""Reminders' time: the tables of the product's page, row by row, and what must hold of any rule.

Source: the product's page on reminders, sections 3 to 8.
"""

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice

import pytest

from flow.time.instants import (
    check_offset,
    day_bounds,
    due_at,
    offset_at,
    shown_instead,
    to_instant,
    to_wall,
)
from flow.time.recurrence import (
    Occurrence,
    Series,
    complete,
    first_occurrence,
    latest_occurrence,
    occurrence_at,
    occurrence_of,
    occurrences,
)
from flow.time.rules import read_rule
from flow_backend import AppError, Instant

NY, BERLIN = "America/New_York", "Europe/Berlin"
MORNING = time(9)
END_OF_MONTH = "FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1"
WORKDAYS = "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"


def at(utc: str) -> Instant:
    """Read an instant: ``2026-11-01 05:30`` in UTC."""
    return Instant(datetime.fromisoformat(utc).replace(tzinfo=UTC).timestamp() * 1000)


def utc(instant: Instant) -> str:
    return to_wall(instant, "UTC").isoformat(" ", "minutes")


def local(text: str, zone: str = NY) -> Instant:
    return to_instant(datetime.fromisoformat(text), zone)


def series(rule: str, start: str, zone: str = NY, anchor: str = "schedule") -> Series:
    """Make a series of its first wall time, ``2026-10-31`` or ``2026-10-31 18:00``."""
    wall = datetime.fromisoformat(start)
    clock = wall.time() if " " in start else None
    return Series(rule=rule, start=wall.date(), time=clock, zone=zone, anchor=anchor)


def nominal(zone: str, text: str) -> Occurrence:
    wall = datetime.fromisoformat(text)
    return occurrence_of(wall.date(), wall.time() if " " in text else None, zone)


def keys(found: Series, count: int) -> list[str]:
    return [each.key for each in islice(occurrences(found), count)]


# --- Changes of the clocks

INSIDE_A_CHANGE = [
    (NY, "2026-03-07 02:30", ["2026-03-07 07:30", "2026-03-08 07:30", "2026-03-09 06:30"]),
    (NY, "2027-03-13 02:30", ["2027-03-13 07:30", "2027-03-14 07:30", "2027-03-15 06:30"]),
    (NY, "2026-10-31 01:30", ["2026-10-31 05:30", "2026-11-01 05:30", "2026-11-02 06:30"]),
    (NY, "2027-11-06 01:30", ["2027-11-06 05:30", "2027-11-07 05:30", "2027-11-08 06:30"]),
    (BERLIN, "2026-03-28 02:30", ["2026-03-28 01:30", "2026-03-29 01:30", "2026-03-30 00:30"]),
    (BERLIN, "2027-03-27 02:30", ["2027-03-27 01:30", "2027-03-28 01:30", "2027-03-29 00:30"]),
    (BERLIN, "2026-10-24 02:30", ["2026-10-24 00:30", "2026-10-25 00:30", "2026-10-26 01:30"]),
    (BERLIN, "2027-10-30 02:30", ["2027-10-30 00:30", "2027-10-31 00:30", "2027-11-01 01:30"]),
    (NY, "2026-03-07 09:00", ["2026-03-07 14:00", "2026-03-08 13:00"]),
    (NY, "2026-10-31 09:00", ["2026-10-31 13:00", "2026-11-01 14:00"]),
    (NY, "2027-03-13 09:00", ["2027-03-13 14:00", "2027-03-14 13:00"]),
    (NY, "2027-11-06 09:00", ["2027-11-06 13:00", "2027-11-07 14:00"]),
    (BERLIN, "2026-03-28 09:00", ["2026-03-28 08:00", "2026-03-29 07:00"]),
    (BERLIN, "2026-10-24 09:00", ["2026-10-24 07:00", "2026-10-25 08:00"]),
    (BERLIN, "2027-03-27 09:00", ["2027-03-27 08:00", "2027-03-28 07:00"]),
    (BERLIN, "2027-10-30 09:00", ["2027-10-30 07:00", "2027-10-31 08:00"]),
]


@pytest.mark.parametrize(("zone", "start", "expected"), INSIDE_A_CHANGE)
def test_every_day_over_a_change_of_the_clocks(zone: str, start: str, expected: list[str]) -> None:
    found = list(islice(occurrences(series("FREQ=DAILY", start, zone)), len(expected)))

    assert [utc(each.begins_at) for each in found] == expected
    # The wall time is the identity, also on the day on which the clocks do not show it.
    assert {each.key[-5:] for each in found} == {start[-5:]}


def test_a_time_that_is_skipped_rings_an_hour_later_on_the_wall() -> None:
    wall = datetime.fromisoformat("2026-03-08 02:30")

    assert shown_instead(wall, NY) == datetime.fromisoformat("2026-03-08 03:30")
    assert shown_instead(datetime.fromisoformat("2026-03-08 03:30"), NY) is None
    assert shown_instead(datetime.fromisoformat("2026-11-01 01:30"), NY) is None


def test_every_other_friday_keeps_its_wall_time() -> None:
    found = islice(occurrences(series("FREQ=WEEKLY;INTERVAL=2;BYDAY=FR", "2026-10-30 17:00")), 5)

    assert [utc(each.begins_at) for each in found] == [
        "2026-10-30 21:00",
        *[f"2026-{day} 22:00" for day in ("11-13", "11-27", "12-11", "12-25")],
    ]


ELAPSED = [
    (
        ("FREQ=HOURLY;INTERVAL=6", "2026-10-31 21:00", NY),
        ["11-01 01:00", "11-01 07:00", "11-01 13:00", "11-01 19:00"],
        ["21:00", "02:00", "08:00", "14:00"],
    ),
    (
        ("FREQ=HOURLY;INTERVAL=12", "2027-03-27 20:00", BERLIN),
        ["03-27 19:00", "03-28 07:00", "03-28 19:00"],
        ["20:00", "09:00", "21:00"],
    ),
]


@pytest.mark.parametrize(("what", "expected", "shown"), ELAPSED)
def test_hours_are_elapsed_time(
    what: tuple[str, str, str], expected: list[str], shown: list[str]
) -> None:
    found = list(islice(occurrences(series(*what)), len(expected)))

    assert [utc(each.begins_at)[5:] for each in found] == expected
    assert [f"{each.time:%H:%M}" for each in found] == shown
    assert [each.key for each in found] == [
        f"{what[1][:4]}-{each.replace(' ', 'T')}:00Z" for each in expected
    ]


# --- Offsets

OFFSETS = [
    ("2026-11-01 09:00", NY, "2026-10-31 13:00", "2026-10-31 14:00"),
    ("2027-03-14 09:00", NY, "2027-03-13 14:00", "2027-03-13 13:00"),
    ("2026-10-25 09:00", BERLIN, "2026-10-24 07:00", "2026-10-24 08:00"),
    ("2027-03-28 09:00", BERLIN, "2027-03-27 08:00", "2027-03-27 07:00"),
]


@pytest.mark.parametrize(("due", "zone", "a_day", "hours"), OFFSETS)
def test_a_day_before_is_the_calendars_and_24_hours_are_elapsed(
    due: str, zone: str, a_day: str, hours: str
) -> None:
    wall = datetime.fromisoformat(due)
    day, clock = wall.date(), wall.time()

    assert utc(offset_at("-P1D", day, clock, zone, MORNING)) == a_day
    assert utc(offset_at("-PT24H", day, clock, zone, MORNING)) == hours


@pytest.mark.parametrize(
    ("due", "zone", "expected"),
    [
        ("2027-03-14 03:15", NY, "2027-03-14 06:45"),
        ("2026-03-29 03:10", BERLIN, "2026-03-29 00:40"),
        ("2026-11-01 01:45", NY, "2026-11-01 05:15"),
    ],
)
def test_half_an_hour_before_over_a_change(due: str, zone: str, expected: str) -> None:
    wall = datetime.fromisoformat(due)

    assert utc(offset_at("-PT30M", wall.date(), wall.time(), zone, MORNING)) == expected


def test_half_an_hour_before_the_second_of_two_equal_times() -> None:
    """The instant is the primary one; the wall time alone would give the first."""
    due = at("2026-11-01 06:30")

    rings = offset_at("-PT30M", date(2026, 11, 1), time(1, 30), NY, MORNING, due)

    assert utc(rings) == "2026-11-01 06:00"


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        ("PT0S", "2026-11-03 14:00"),
        ("PT10M", "2026-11-03 14:10"),
        ("-P1W", "2026-10-27 13:00"),
        ("-P1DT2H", "2026-11-02 12:00"),
        ("2026-10-30T18:00", "2026-10-30 22:00"),
    ],
)
def test_other_offsets(offset: str, expected: str) -> None:
    assert utc(offset_at(offset, date(2026, 11, 3), time(9), NY, MORNING)) == expected


@pytest.mark.parametrize("offset", ["", "P", "-PT", "30m", "-P1M", "2026-13-01T09:00", "PT1.5H"])
def test_an_offset_that_cannot_be_read_is_refused_with_examples(offset: str) -> None:
    with pytest.raises(AppError, match="-PT30M"):
        check_offset(offset)


# --- All of a day

ALL_DAY = [
    (
        "2026-03-29",
        BERLIN,
        "03-28 23:00",
        "03-29 22:00",
        23,
        "03-29 07:00",
        "03-28 08:00",
    ),
    (
        "2026-10-25",
        BERLIN,
        "10-24 22:00",
        "10-25 23:00",
        25,
        "10-25 08:00",
        "10-24 07:00",
    ),
    ("2027-03-14", NY, "03-14 05:00", "03-15 04:00", 23, "03-14 13:00", "03-13 14:00"),
    ("2027-11-07", NY, "11-07 04:00", "11-08 05:00", 25, "11-07 14:00", "11-06 13:00"),
]


@pytest.mark.parametrize(("day", "zone", "begins", "ends", "hours", "rings", "before"), ALL_DAY)
def test_a_day_may_have_23_or_25_hours(
    day: str, zone: str, begins: str, ends: str, hours: int, rings: str, before: str
) -> None:
    on = date.fromisoformat(day)
    bounds = day_bounds(on, zone)

    assert [utc(each)[5:] for each in bounds] == [begins, ends]
    assert (bounds[1] - bounds[0]) / 3_600_000 == hours
    assert due_at(on, None, zone) == bounds[1]
    assert utc(offset_at("PT0S", on, None, zone, MORNING))[5:] == rings
    assert utc(offset_at("-P1D", on, None, zone, MORNING))[5:] == before


def test_a_day_that_begins_within_a_change_begins_when_the_clocks_have_changed() -> None:
    """In Havana the clocks skip midnight itself in spring."""
    begins, ends = day_bounds(date(2026, 3, 8), "America/Havana")

    assert to_wall(begins, "America/Havana").time() == time(1)
    assert (ends - begins) / 3_600_000 == 23


# --- Months, leap days, counting

MONTHS = [
    (END_OF_MONTH, "2026-10-31", "10-31 11-30 12-31 01-31 02-28 03-31 04-30 05-31"),
    # A rule that names no day remembers that of its start, to the month's end.
    ("FREQ=MONTHLY", "2026-10-31", "10-31 11-30 12-31 01-31 02-28 03-31 04-30 05-31"),
    (
        "FREQ=MONTHLY;BYMONTHDAY=28,29,30;BYSETPOS=-1",
        "2026-12-30",
        "12-30 01-30 02-28 03-30 04-30",
    ),
    ("FREQ=MONTHLY;BYMONTHDAY=28,29;BYSETPOS=-1", "2026-12-29", "12-29 01-29 02-28 03-29"),
    ("FREQ=MONTHLY;BYMONTHDAY=28,29;BYSETPOS=-1", "2027-12-29", "12-29 01-29 02-29 03-29"),
    ("FREQ=MONTHLY;BYMONTHDAY=-1", "2026-10-31", "10-31 11-30 12-31 01-31 02-28 03-31"),
    (f"{END_OF_MONTH};INTERVAL=3", "2026-10-31", "10-31 01-31 04-30 07-31 10-31"),
    ("FREQ=MONTHLY;BYDAY=2TU", "2026-11-10", "11-10 12-08 01-12 02-09"),
    ("FREQ=MONTHLY;BYDAY=-1FR", "2026-10-30", "10-30 11-27 12-25 01-29"),
    ("FREQ=MONTHLY;BYDAY=5FR", "2026-10-30", "10-30 01-29 04-30 07-30"),
    (
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1",
        "2026-11-02",
        "11-02 12-01 01-01 02-01",
    ),
    (
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        "2026-10-30",
        "10-30 11-30 12-31 01-29",
    ),
    ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO", "2026-11-01", "11-01 11-09 11-15 11-23"),
    ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU", "2026-11-01", "11-01 11-02 11-15 11-16"),
]


@pytest.mark.parametrize(("rule", "start", "expected"), MONTHS)
def test_months_remember_their_end(rule: str, start: str, expected: str) -> None:
    days = expected.split()

    assert [key[5:] for key in keys(series(rule, start), len(days))] == days


@pytest.mark.parametrize(
    "rule", ["FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=28,29;BYSETPOS=-1", "FREQ=YEARLY"]
)
def test_the_29th_of_february_is_the_28th_in_other_years(rule: str) -> None:
    start = "2027-02-28" if "BYMONTH" in rule else "2024-02-29"
    since = local("2027-01-01 00:00")

    found = islice(occurrences(series(rule, start), since), 6)

    assert [each.key for each in found] == [
        "2027-02-28",
        "2028-02-29",
        "2029-02-28",
        "2030-02-28",
        "2031-02-28",
        "2032-02-29",
    ]


def test_until_includes_the_evening_of_its_day() -> None:
    found = list(occurrences(series("FREQ=WEEKLY;BYDAY=TU;UNTIL=20261215", "2026-11-03 18:00")))

    assert len(found) == 7
    assert utc(found[-1].begins_at) == "2026-12-15 23:00"


def test_count_counts_from_the_first() -> None:
    found = series("FREQ=WEEKLY;BYDAY=MO;COUNT=6", "2026-11-02 09:00")

    assert len(list(occurrences(found))) == 6
    since = list(occurrences(found, local("2026-11-20 00:00")))
    assert [each.key for each in since] == [
        "2026-11-23 09:00",
        "2026-11-30 09:00",
        "2026-12-07 09:00",
    ]


def test_several_times_a_day() -> None:
    rule = "FREQ=DAILY;BYHOUR=8,20;BYMINUTE=0"

    first = first_occurrence(rule, local("2026-10-28 09:30"), NY)

    assert first is not None
    assert first.key == "2026-10-28 20:00"
    assert keys(series(rule, first.key), 3) == [
        "2026-10-28 20:00",
        "2026-10-29 08:00",
        "2026-10-29 20:00",
    ]
    # Also where an aligned start stands on a day with both.
    monthly = "FREQ=MONTHLY;BYMONTHDAY=1;BYHOUR=8,20;BYMINUTE=0"
    later = occurrences(series(monthly, "2026-10-01 20:00"), local("2027-01-01 00:00"))
    assert next(later).key == "2027-01-01 08:00"


def test_two_times_on_one_instant_are_one_occurrence() -> None:
    """02:30 does not exist and is read as 03:30, where the series has an occurrence of its own."""
    rule = "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=30"

    assert keys(series(rule, "2026-03-07 02:30"), 5) == [
        "2026-03-07 02:30",
        "2026-03-07 03:30",
        "2026-03-08 03:30",
        "2026-03-09 02:30",
        "2026-03-09 03:30",
    ]


# --- The first of a repeat, said on Wednesday 28 October 2026 at 09:30 in New York

FIRST = [
    ("FREQ=WEEKLY;INTERVAL=2;BYDAY=FR", time(17), None, "2026-10-30 17:00"),
    (WORKDAYS, time(9, 30), None, "2026-10-29 09:30"),
    ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH", time(18), None, "2026-10-29 18:00"),
    ("FREQ=DAILY;INTERVAL=2", None, None, "2026-10-28"),
    (END_OF_MONTH, None, None, "2026-10-31"),
    ("FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=28", None, None, "2026-10-28"),
    ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=28,29;BYSETPOS=-1", None, None, "2027-02-28"),
    ("FREQ=WEEKLY;BYDAY=FR", None, date(2026, 11, 9), "2026-11-13"),
    ("FREQ=DAILY", time(9), None, "2026-10-29 09:00"),
    ("FREQ=HOURLY;INTERVAL=2", None, None, "2026-10-28T15:30:00Z"),
    ("FREQ=HOURLY;INTERVAL=12", time(19), None, "2026-10-28T23:00:00Z"),
    ("FREQ=HOURLY;INTERVAL=12", time(7), None, "2026-10-29T11:00:00Z"),
    ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", None, None, None),
]


@pytest.mark.parametrize(("rule", "clock", "start", "expected"), FIRST)
def test_the_first_of_a_repeat(
    rule: str, clock: time | None, start: date | None, expected: str | None
) -> None:
    found = first_occurrence(rule, local("2026-10-28 09:30"), NY, time=clock, start=start)

    assert (found and found.key) == expected


# --- Completing

BY_SCHEDULE = [
    ("FREQ=DAILY", "10-05", "10-08 10:00", "10-08", "10-05 10-06 10-07", "10-09"),
    ("FREQ=DAILY", "10-05 18:00", "10-08 10:00", "10-07 18:00", "10-05 10-06", "10-08 18:00"),
    ("FREQ=WEEKLY;BYDAY=MO", "10-05", "10-07 12:00", "10-05", "", "10-12"),
    ("FREQ=WEEKLY;BYDAY=MO", "10-05", "10-12 08:00", "10-12", "10-05", "10-19"),
    ("FREQ=WEEKLY;BYDAY=MO", "10-05 09:00", "10-12 08:00", "10-05 09:00", "", "10-12 09:00"),
    ("FREQ=WEEKLY;BYDAY=FR", "10-09", "10-07 12:00", "10-09", "", "10-16"),
    ("FREQ=WEEKLY;INTERVAL=2;BYDAY=FR", "10-30", "11-20 12:00", "11-13", "10-30", "11-27"),
]


@pytest.mark.parametrize(("rule", "since", "done", "closes", "missed", "after"), BY_SCHEDULE)
def test_completing_by_schedule(
    rule: str, since: str, done: str, closes: str, missed: str, after: str
) -> None:
    of = series(rule, f"2026-{since}")

    found = complete(of, nominal(NY, f"2026-{since}"), local(f"2026-{done}"))

    assert found.closes.key == f"2026-{closes}"
    assert [each.key[5:10] for each in found.missed] == missed.split()
    assert found.missed_count == len(found.missed)
    assert found.next is not None
    assert found.next.key == f"2026-{after}"


@pytest.mark.parametrize(
    ("done", "closes", "missed", "after"),
    [
        ("2027-02-10 12:00", "2027-01-31", [], "2027-02-28"),
        ("2027-03-02 12:00", "2027-02-28", ["2027-01-31"], "2027-03-31"),
    ],
)
def test_completing_every_31st(done: str, closes: str, missed: list[str], after: str) -> None:
    found = complete(series(END_OF_MONTH, "2026-10-31"), nominal(NY, "2027-01-31"), local(done))

    assert found.closes.key == closes
    assert [each.key for each in found.missed] == missed
    assert found.next is not None
    assert found.next.key == after


FROM_DONE = [
    ("FREQ=DAILY;INTERVAL=3", None, "2026-10-08 21:40", "2026-10-11", None),
    ("FREQ=DAILY;INTERVAL=3", "08:00", "2026-10-08 21:40", "2026-10-11 08:00", "2026-10-11 12:00"),
    ("FREQ=DAILY;INTERVAL=2", None, "2026-10-28 22:30", "2026-10-30", None),
    ("FREQ=WEEKLY;INTERVAL=3;BYDAY=SA", None, "2024-05-28 12:00", "2024-06-22", None),
    ("FREQ=MONTHLY", None, "2027-01-31 12:00", "2027-02-28", None),
    ("FREQ=MONTHLY", None, "2027-02-28 12:00", "2027-03-28", None),
    ("FREQ=MONTHLY", None, "2026-12-31 12:00", "2027-01-31", None),
    ("FREQ=YEARLY", None, "2028-02-29 12:00", "2029-02-28", None),
    (
        "FREQ=HOURLY;INTERVAL=8",
        None,
        "2026-11-01 00:30",
        "2026-11-01T12:30:00Z",
        "2026-11-01 12:30",
    ),
    ("FREQ=DAILY", "02:30", "2027-03-13 12:00", "2027-03-14 02:30", "2027-03-14 07:30"),
    ("FREQ=MONTHLY;BYMONTHDAY=1", None, "2026-11-20 12:00", "2027-01-01", None),
    ("FREQ=DAILY;BYHOUR=8,20;BYMINUTE=0", "20:00", "2026-11-20 12:00", "2026-11-21 08:00", None),
    ("FREQ=DAILY;INTERVAL=3;UNTIL=20261010", None, "2026-10-08 21:40", None, None),
    ("FREQ=HOURLY;UNTIL=20261008", None, "2026-10-08 23:40", None, None),
]


@pytest.mark.parametrize(("rule", "clock", "done", "expected", "instant"), FROM_DONE)
def test_completing_from_completion(
    rule: str, clock: str | None, done: str, expected: str | None, instant: str | None
) -> None:
    start = "2024-01-01" if clock is None else f"2024-01-01 {clock}"
    of = series(rule, start, anchor="done")

    found = complete(of, nominal(NY, start), local(done)).next

    assert (found and found.key) == expected
    if instant is not None and found is not None:
        assert utc(found.begins_at) == instant


def test_from_completion_ends_after_its_count() -> None:
    of = Series(
        rule="FREQ=DAILY;COUNT=2", start=date(2026, 10, 1), time=None, zone=NY, anchor="done"
    )
    open_one = nominal(NY, "2026-10-01")

    first = complete(of, open_one, local("2026-10-01 12:00")).next
    closed_one = Series(rule=of.rule, start=of.start, time=None, zone=NY, anchor="done", closed=1)

    assert first is not None
    assert complete(closed_one, first, local("2026-10-02 12:00")).next is None


def test_completing_very_late_counts_what_it_does_not_list() -> None:
    of = series("FREQ=MINUTELY", "2026-01-01 00:00", "UTC")
    open_one = next(occurrences(of))

    found = complete(of, open_one, at("2026-12-31 00:00"))

    assert found.missed_count == 364 * 24 * 60
    assert len(found.missed) == 100
    assert found.missed[-1].key == "2026-12-30T23:59:00Z"
    assert found.next == occurrence_at(at("2026-12-31 00:01"), "UTC")


@pytest.mark.slow
def test_a_series_that_nobody_looked_at_for_a_century_is_bounded() -> None:
    """It is run in a mutation, for which all others wait."""
    of = series("FREQ=DAILY;BYHOUR=0,6,12,18;BYMINUTE=0,20,40", "1950-01-01 00:00")
    open_one = next(occurrences(of))

    found = complete(of, open_one, local("2050-01-01 12:00"))

    assert found.missed_count >= 9_000
    assert found.closes.key == "2050-01-01 06:40" or found.closes.key == "2050-01-01 12:00"


def test_the_latest_of_a_sparse_series_is_found() -> None:
    rule = "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=TU"

    found = latest_occurrence(series(rule, "2000-02-29"), local("2027-06-01 00:00"))

    assert found is not None
    assert found.key == "2000-02-29"
    assert latest_occurrence(series(rule, "2000-02-29"), local("1999-06-01 00:00")) is None


# --- Rules that are none

WRONG = [
    ("", "is no part"),
    ("FREQ=SECONDLY", "FREQ is"),
    ("BYDAY=MO", "FREQ is"),
    ("FREQ=DAILY;INTERVAL=0", "INTERVAL is a whole number from 1"),
    ("FREQ=DAILY;COUNT=x", "is no part"),
    ("FREQ=DAILY;COUNT=X", "COUNT is a whole number"),
    ("FREQ=DAILY;COUNT=3;UNTIL=20260101", "exclude each other"),
    ("FREQ=DAILY;UNTIL=20260230", "UNTIL is a local date"),
    ("FREQ=WEEKLY;BYDAY=2MO", "needs FREQ=MONTHLY"),
    ("FREQ=WEEKLY;BYDAY=XX", "BYDAY has weekdays"),
    ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY is a whole number"),
    ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY is a whole number"),
    ("FREQ=HOURLY;BYDAY=MO", "elapsed time"),
    ("FREQ=DAILY;BYMINUTE=30", "BYMINUTE needs BYHOUR"),
    ("FREQ=DAILY;WKST=1", "WKST is one of"),
    ("FREQ=DAILY;BYEASTER=0", "BYEASTER is not known"),
    ("FREQ=DAILY;FREQ=DAILY", "stands twice"),
    ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS needs"),
]


@pytest.mark.parametrize(("rule", "why"), WRONG)
def test_what_is_no_rule_is_refused_with_the_reason(rule: str, why: str) -> None:
    with pytest.raises(AppError) as refused:
        read_rule(rule)

    assert why in str(refused.value)


def test_an_unknown_zone_and_a_far_year_are_refused() -> None:
    with pytest.raises(AppError, match="Europe/Berlin"):
        to_instant(datetime.fromisoformat("2026-01-01 00:00"), "Mars/Olympus")
    with pytest.raises(AppError, match="too far"):
        to_instant(datetime.fromisoformat("9999-01-01 00:00"), NY)
    with pytest.raises(AppError, match="no instant"):
        to_wall(Instant(1e18), NY)


def test_a_day_later_is_no_day_later_on_the_wall_of_apia() -> None:
    """Samoa skipped 30 December 2011: the day has no hours, and nothing rings twice."""
    of = series("FREQ=DAILY", "2011-12-28 09:00", "Pacific/Apia")

    found = list(islice(occurrences(of), 4))

    assert [each.key for each in found] == [
        "2011-12-28 09:00",
        "2011-12-29 09:00",
        "2011-12-31 09:00",
        "2012-01-01 09:00",
    ]
    assert timedelta(milliseconds=found[2].begins_at - found[1].begins_at) == timedelta(days=1)


@pytest.mark.parametrize(
    ("rule", "until", "expected"),
    [
        ("FREQ=HOURLY;INTERVAL=4", "2026-11-05 05:00", "2026-11-05T04:00:00Z"),
        ("FREQ=HOURLY;INTERVAL=4", "2026-11-05 04:00", "2026-11-05T04:00:00Z"),
        ("FREQ=HOURLY;INTERVAL=4", "2026-10-31 23:59", None),
        ("FREQ=HOURLY;INTERVAL=4;COUNT=3", "2026-11-05 05:00", "2026-11-01T08:00:00Z"),
        ("FREQ=HOURLY;INTERVAL=4;UNTIL=20261102", "2026-11-05 05:00", "2026-11-02T20:00:00Z"),
    ],
)
def test_the_latest_of_elapsed_time(rule: str, until: str, expected: str | None) -> None:
    of = series(rule, "2026-11-01 00:00", "UTC")

    found = latest_occurrence(of, at(until))

    assert (found and found.key) == expected
    # The walk ends where this says it does.
    if "=3" in rule or "UNTIL" in rule:
        assert list(occurrences(of))[-1].key == expected
