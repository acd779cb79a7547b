"""Snooze presets, quiet hours and late rings: the tables of the product's page, row by row.

Source: the product's page on reminders, sections 9, 11 and 12.
"""

from datetime import time

import pytest

from flow.settings import Settings
from flow.time.lateness import Ring, ring_for
from flow.time.recurrence import Occurrence, Series, occurrence_at, occurrences
from flow.time.snooze import quiet_until, snooze_presets
from tests.flow.test_recurrence import BERLIN, NY, WORKDAYS, at, local, nominal, series, utc

AT_NIGHT = Settings(home_zone=NY, quiet_from=time(22), quiet_until=time(7))

# --- Presets: now, then each that is shown after ten minutes and an hour

PRESETS = [
    (
        "2026-10-28 09:30",
        NY,
        {
            "3_hours": "10-28 16:30",
            "this_evening": "10-28 22:00",
            "tomorrow": "10-29 13:00",
            "this_weekend": "10-31 13:00",
            "next_week": "11-02 14:00",
        },
    ),
    (
        # The weekend begins tomorrow, which is offered already.
        "2026-10-30 19:00",
        NY,
        {
            "3_hours": "10-31 02:00",
            "tonight": "10-31 01:00",
            "tomorrow": "10-31 13:00",
            "next_week": "11-02 14:00",
        },
    ),
    (
        "2026-10-31 23:30",
        NY,
        {"3_hours": "11-01 06:30", "tomorrow": "11-01 14:00", "next_week": "11-02 14:00"},
    ),
    (
        "2027-03-14 00:30",
        NY,
        {"3_hours": "03-14 08:30", "this_morning": "03-14 13:00", "next_week": "03-15 13:00"},
    ),
    (
        # The clocks go back in this night: 01:15 is before, 03:15 is four hours later.
        "2026-10-25 01:15",
        BERLIN,
        {"3_hours": "10-25 02:15", "this_morning": "10-25 08:00", "next_week": "10-26 08:00"},
    ),
    (
        "2027-03-27 22:00",
        BERLIN,
        {"3_hours": "03-28 00:00", "tomorrow": "03-28 07:00", "next_week": "03-29 07:00"},
    ),
    (
        # On a Sunday, tomorrow is next week.
        "2026-11-15 12:00",
        NY,
        {"3_hours": "11-15 20:00", "this_evening": "11-15 23:00", "tomorrow": "11-16 14:00"},
    ),
]


@pytest.mark.parametrize(("now", "zone", "expected"), PRESETS)
def test_presets(now: str, zone: str, expected: dict[str, str]) -> None:
    found = snooze_presets(local(now, zone), Settings(home_zone=zone))

    assert [each.key for each in found[:2]] == ["10_minutes", "1_hour"]
    assert {each.key: utc(each.at)[5:] for each in found[2:]} == expected
    assert all(each.at > local(now, zone) for each in found)


def test_next_week_is_the_persons() -> None:
    settings = Settings(home_zone=NY, week_starts="sunday")

    found = {each.key: utc(each.at) for each in snooze_presets(local("2026-10-28 09:30"), settings)}

    assert found["next_week"] == "2026-11-01 14:00"


# --- Quiet hours

QUIET = [
    (NY, "2026-11-01 03:15", "2026-11-01 12:00"),
    (NY, "2027-03-14 06:30", "2027-03-14 11:00"),
    (BERLIN, "2026-10-25 00:30", "2026-10-25 06:00"),
    (NY, "2026-11-04 03:00", "2026-11-04 12:00"),
    (NY, "2026-11-04 02:59", None),
    (NY, "2026-11-04 12:00", None),
]


@pytest.mark.parametrize(("zone", "instant", "until"), QUIET)
def test_quiet_hours_end_on_the_wall(zone: str, instant: str, until: str | None) -> None:
    settings = Settings(home_zone=zone, quiet_from=time(22), quiet_until=time(7))

    found = quiet_until(at(instant), settings)

    assert (found and utc(found)) == until


def test_quiet_hours_within_a_day_and_none() -> None:
    at_noon = Settings(home_zone=NY, quiet_from=time(12), quiet_until=time(14))

    assert quiet_until(local("2026-11-04 12:30"), at_noon) == local("2026-11-04 14:00")
    assert quiet_until(local("2026-11-04 14:00"), at_noon) is None
    assert quiet_until(local("2026-11-04 12:30"), Settings(home_zone=NY)) is None


# --- The server was down from 30 October 2026 08:00Z to 2 November 08:00Z, 03:00 in New York

BACK = at("2026-11-02 08:00")


def after_downtime(of: Series | None, waiting: Occurrence, settings: Settings) -> Ring:
    return ring_for(of, waiting, BACK, settings)


def waiting_since_friday(of: Series) -> Occurrence:
    return next(occurrences(of, at("2026-10-30 08:00")))


def test_once_twelve_hours_late_is_held_by_quiet_hours() -> None:
    found = after_downtime(None, occurrence_at(at("2026-11-01 20:00"), NY), AT_NIGHT)

    assert (found.how, utc(found.at)) == ("hold", "2026-11-02 12:00")
    assert (found.late_seconds, found.missed) == (12 * 3600, 1)
    assert found.next is None


def test_once_more_than_a_day_late_is_silent() -> None:
    found = after_downtime(None, occurrence_at(at("2026-10-31 12:00"), NY), AT_NIGHT)

    assert found.how == "silent"
    assert (found.late_seconds, found.missed) == (44 * 3600, 1)


SUNDAYS, FIRSTS = "FREQ=WEEKLY;BYDAY=SU", "FREQ=MONTHLY;BYMONTHDAY=1"
FOUR_HOURS = "FREQ=HOURLY;INTERVAL=4"

REPEATS = [
    (("FREQ=DAILY", "2026-10-01 09:00", NY), "ring", "11-01 14:00", 18, 3, "11-02 14:00"),
    ((WORKDAYS, "2026-10-01 07:30", NY), "listed", "10-30 11:30", 68.5, 1, "11-02 12:30"),
    ((SUNDAYS, "2026-10-04 01:30", NY), "listed", "11-01 05:30", 26.5, 1, "11-08 06:30"),
    ((FIRSTS, "2026-10-01 10:00", BERLIN), "ring", "11-01 09:00", 23, 1, "12-01 09:00"),
    ((FOUR_HOURS, "2026-10-30 00:00", "UTC"), "ring", "11-02 08:00", 0, 18, "11-02 12:00"),
]


@pytest.mark.parametrize(("what", "how", "latest", "hours", "missed", "after"), REPEATS)
def test_a_repeat_rings_at_most_once_for_all_that_it_missed(
    what: tuple[str, str, str], how: str, latest: str, hours: float, missed: int, after: str
) -> None:
    of = series(*what)

    found = after_downtime(of, waiting_since_friday(of), Settings(home_zone=NY))

    assert found.how == how
    assert utc(found.occurrence.begins_at)[5:] == latest
    assert (found.late_seconds, found.missed) == (hours * 3600, missed)
    assert found.next is not None
    assert utc(found.next.begins_at)[5:] == after


def test_a_late_repeat_is_held_until_the_morning() -> None:
    of = series("FREQ=DAILY", "2026-10-01 09:00")

    found = after_downtime(of, waiting_since_friday(of), AT_NIGHT)

    assert (found.how, utc(found.at)) == ("hold", "2026-11-02 12:00")
    assert (found.occurrence.key, found.missed) == ("2026-11-01 09:00", 3)


def test_what_would_be_held_past_the_next_is_dropped_in_its_favour() -> None:
    of = series("FREQ=HOURLY;INTERVAL=4", "2026-10-30 00:00", "UTC")

    found = after_downtime(of, waiting_since_friday(of), AT_NIGHT)

    assert found.how == "listed"
    assert found.next is not None
    assert utc(found.next.begins_at) == "2026-11-02 12:00"


def test_what_may_ring_at_night_does() -> None:
    waiting = nominal(NY, "2026-11-02 02:59")

    held = ring_for(None, waiting, BACK, AT_NIGHT)
    rings = ring_for(None, waiting, BACK, AT_NIGHT, even_at_night=True)

    assert (held.how, rings.how, rings.at) == ("hold", "ring", BACK)


def test_a_minute_is_not_called_late() -> None:
    waiting = occurrence_at(at("2026-11-02 07:59:01"), NY)

    found = ring_for(None, waiting, BACK, Settings())

    assert (found.how, found.late_seconds, found.missed) == ("ring", 0, 0)
