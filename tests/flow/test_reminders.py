"""Reminders through Flow's functions: they ring once, in time or late, and stop for everyone.

Source: the product's page on reminders; the guarantees, F8.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.flow.support import Said
from tests.flow.test_recurrence import BERLIN, NY, WORKDAYS, at, utc
from tests.flow.timeline import Timeline, open_timeline


@pytest.fixture
def time() -> Iterator[Timeline]:
    """Give Flow on the evening of 28 October 2026, at home in New York."""
    with open_timeline("2026-10-28 22:00") as opened:
        opened.do("people:change_settings", home_zone=NY)
        opened.catch_up()  # Another home zone moves tasks, piece by piece.
        yield opened


def create(time: Timeline, wall: str, **more: Any) -> str:
    """Make a reminder at ``2026-11-01 20:00`` or on a day; in UTC if it ends in Z."""
    if wall.endswith("Z"):
        made = time.do("reminders:create", title="Tea", at=at(wall[:-1]), **more)
    else:
        parts = wall.split(" ")
        due: dict[str, str] = {"due_date": parts[0]}
        if len(parts) == 2:
            due["due_time"] = parts[1]
        made = time.do("reminders:create", title="Tea", **due, **more)
    assert isinstance(made, str)
    return made


def row(time: Timeline, reminder: str) -> dict[str, Any]:
    return next(each for each in time.rows("reminders") if each["_id"] == reminder)


def ringing(time: Timeline) -> list[dict[str, Any]]:
    return list(time.query("reminders:ringing"))


def rang(time: Timeline) -> list[tuple[str, str]]:
    """Give what was delivered in the app: the occurrence, and when it rang last."""
    found = [each for each in time.rows("deliveries") if each["channel"] == "app"]
    return [(each["occurrence"], utc(each["rang_at"])) for each in found]


def waits_until(time: Timeline, reminder: str) -> str | None:
    found = row(time, reminder)["next_at"]
    return None if found is None else utc(found)


def has_one_job_each(time: Timeline) -> bool:
    """Tell whether each reminder that waits has its one job, and no other does."""
    jobs = [each for each in time.pending() if each["name"] == "ringing:ring"]
    wanted = {each["job"] for each in time.rows("reminders") if each["wakes_at"] is not None}
    return {each["_id"] for each in jobs} == wanted and len(jobs) == len(wanted)


# --- Ringing


def test_a_reminder_rings_at_its_time_and_stops_when_somebody_has_seen_it(time: Timeline) -> None:
    tea = create(time, "2026-10-29 08:00")

    time.go("2026-10-29 11:59")
    assert ringing(time) == []
    assert [each["_id"] for each in time.query("reminders:list")] == [tea]
    time.go("2026-10-29 12:00")

    [toast] = ringing(time)
    assert (toast["reminder"], toast["title"], toast["occurrence"]) == (
        tea,
        "Tea",
        "2026-10-29 08:00",
    )
    assert (toast["rang_at"], toast["late_seconds"], toast["silent"]) == (
        at("2026-10-29 12:00"),
        0,
        False,
    )
    assert row(time, tea)["state"] == "ringing"

    time.do("reminders:acknowledge", reminder=tea, occurrence=toast["occurrence"])

    assert ringing(time) == []
    assert row(time, tea)["state"] == "done"
    assert time.query("reminders:list") == []
    assert time.pending() == []


def test_two_who_acknowledge_at_once_are_one(time: Timeline) -> None:
    """The second comes after the next occurrence has rung, and must not stop that."""
    tea = create(time, "2026-10-29 08:00", rule="FREQ=DAILY")
    time.go("2026-10-29 12:00")
    seen = ringing(time)[0]["occurrence"]

    time.do("reminders:acknowledge", reminder=tea, occurrence=seen)
    time.go("2026-10-30 12:00")
    time.do("reminders:acknowledge", reminder=tea, occurrence=seen)

    assert [each["occurrence"] for each in ringing(time)] == ["2026-10-30 08:00"]


def test_f8_the_next_occurrence_replaces_what_nobody_acknowledged(time: Timeline) -> None:
    tea = create(time, "2026-10-29 08:00", rule="FREQ=DAILY")

    time.go("2026-11-02 14:00")

    assert [each["occurrence"] for each in ringing(time)] == ["2026-11-02 08:00"]
    # Five rings, each at 08:00 on the wall: the clocks went back on the first of November.
    assert [utc_ for _, utc_ in rang(time)] == [
        "2026-10-29 12:00",
        "2026-10-30 12:00",
        "2026-10-31 12:00",
        "2026-11-01 13:00",
        "2026-11-02 13:00",
    ]
    assert waits_until(time, tea) == "2026-11-03 13:00"
    assert has_one_job_each(time)


def test_all_of_a_day_rings_when_reminders_of_days_do(time: Timeline) -> None:
    tea = create(time, "2026-11-01")

    assert waits_until(time, tea) == "2026-11-01 14:00"
    time.do("people:change_settings", all_day_reminder="07:30")
    assert waits_until(time, tea) == "2026-11-01 12:30"
    time.go("2026-11-01 12:30")
    assert [each["occurrence"] for each in ringing(time)] == ["2026-11-01"]


def test_a_repeat_from_completion_waits_for_that(time: Timeline) -> None:
    plants = create(time, "2026-10-29 08:00", rule="FREQ=DAILY;INTERVAL=3", anchor="done")
    time.go("2026-11-01 18:00")

    assert [each["occurrence"] for each in ringing(time)] == ["2026-10-29 08:00"]
    time.do("reminders:acknowledge", reminder=plants)

    assert waits_until(time, plants) == "2026-11-04 13:00"
    assert row(time, plants)["state"] == "waiting"


def test_a_repeat_ends_after_its_last(time: Timeline) -> None:
    tea = create(time, "2026-10-29 08:00", rule="FREQ=DAILY;COUNT=2")

    time.go("2026-11-05 12:00")
    assert [each["occurrence"] for each in ringing(time)] == ["2026-10-30 08:00"]
    time.do("reminders:acknowledge", reminder=tea)

    assert row(time, tea)["state"] == "done"
    assert time.pending() == []


def test_what_is_years_off_waits_in_steps(time: Timeline) -> None:
    """A job can be five years off at most; a passport lasts ten."""
    passport = create(time, "2036-10-28 09:00")

    time.go("2036-10-28 12:59")
    assert ringing(time) == []
    assert has_one_job_each(time)
    time.go("2036-10-28 13:00")

    assert [each["reminder"] for each in ringing(time)] == [passport]


def test_cancel_ends_it_on_every_screen(time: Timeline) -> None:
    tea = create(time, "2026-10-29 08:00", rule="FREQ=DAILY")
    time.go("2026-10-29 12:00")

    time.do("reminders:cancel", reminder=tea)
    time.do("reminders:cancel", reminder=tea)
    time.go("2026-11-05 12:00")

    assert ringing(time) == []
    assert len(rang(time)) == 1
    assert time.query("reminders:list") == []
    assert time.pending() == []


def test_a_job_that_was_overtaken_does_nothing(time: Timeline) -> None:
    tea = create(time, "2026-10-29 08:00", rule="FREQ=DAILY")
    old = row(time, tea)["wakes_at"]
    time.go("2026-10-29 12:00")
    before = time.rows("deliveries"), row(time, tea)

    time.internal("ringing:ring", reminder=tea, wakes_at=old)

    assert (time.rows("deliveries"), row(time, tea)) == before


def test_a_clock_that_goes_back_rings_nothing_twice(time: Timeline) -> None:
    tea = create(time, "2026-10-29 08:00", rule="FREQ=DAILY")
    time.go("2026-10-29 12:30")
    time.do("reminders:acknowledge", reminder=tea)

    time.jump("2026-10-29 11:00")
    time.go("2026-10-29 13:00")

    assert rang(time) == [("2026-10-29 08:00", "2026-10-29 12:00")]


@pytest.mark.slow
def test_old_deliveries_are_forgotten(time: Timeline) -> None:
    create(time, "2026-10-29 00:00Z", rule="FREQ=HOURLY")

    time.go("2026-11-03 00:00")

    kept = rang(time)
    assert 40 <= len(kept) <= 45
    assert kept[-1][1] == "2026-11-03 00:00"


# --- Snoozing


def test_a_snooze_moves_the_ring_and_not_the_due_date(time: Timeline) -> None:
    tea = create(time, "2026-10-29 08:00")
    time.go("2026-10-29 12:01")

    time.do("reminders:snooze", reminder=tea, preset="1_hour")

    assert ringing(time) == []
    assert row(time, tea)["snoozed_until"] == at("2026-10-29 13:01")
    assert [each["_id"] for each in time.query("reminders:list")] == [tea]
    time.go("2026-10-29 13:01")
    [toast] = ringing(time)
    assert (utc(toast["due_at"]), utc(toast["rang_at"])) == ("2026-10-29 12:00", "2026-10-29 13:01")
    assert toast["late_seconds"] == 0
    assert len(time.rows("deliveries")) == 1


def test_the_later_of_two_snoozes_counts(time: Timeline) -> None:
    tea = create(time, "2026-10-29 08:00")
    time.go("2026-10-29 12:00")

    time.do("reminders:snooze", reminder=tea, until=at("2026-10-29 18:00"))
    time.do("reminders:snooze", reminder=tea, until=at("2026-10-29 14:00"))
    time.go("2026-10-29 20:00")

    assert rang(time) == [("2026-10-29 08:00", "2026-10-29 14:00")]


def test_the_next_occurrence_replaces_a_snooze(time: Timeline) -> None:
    tea = create(time, "2026-10-29 08:00", rule="FREQ=DAILY")
    time.go("2026-10-29 12:00")

    time.do("reminders:snooze", reminder=tea, until=at("2026-10-30 15:00"))
    time.go("2026-10-30 12:00")
    assert row(time, tea)["snoozed_until"] is None
    time.go("2026-10-30 16:00")

    assert rang(time)[1:] == [("2026-10-30 08:00", "2026-10-30 12:00")]


def test_a_snooze_that_cannot_be_is_refused(time: Timeline) -> None:
    tea = create(time, "2026-10-29 08:00")

    with pytest.raises(Said, match="does not ring"):
        time.do("reminders:snooze", reminder=tea, preset="1_hour")
    time.go("2026-10-29 12:00")
    with pytest.raises(Said, match="Now there are 10_minutes"):
        time.do("reminders:snooze", reminder=tea, preset="tonight")
    with pytest.raises(Said, match="later than now"):
        time.do("reminders:snooze", reminder=tea, until=at("2026-10-29 12:00"))
    with pytest.raises(Said, match="until when"):
        time.do("reminders:snooze", reminder=tea)

    assert [each["key"] for each in time.query("reminders:snooze_presets")][:3] == [
        "10_minutes",
        "1_hour",
        "3_hours",
    ]


# --- Downtime: from 30 October 08:00Z to 2 November 08:00Z, which is 03:00 in New York


def be_away(time: Timeline) -> None:
    time.go("2026-10-30 07:59")
    time.jump("2026-11-02 08:00")
    time.catch_up()


def with_quiet_hours(time: Timeline) -> None:
    time.do("people:change_settings", quiet_from="22:00", quiet_until="07:00")


def only_entry(time: Timeline) -> tuple[str, int, int, bool]:
    [toast] = ringing(time)
    return toast["occurrence"], toast["late_seconds"] // 3600, toast["missed"], toast["silent"]


def test_down_a_single_reminder_comes_late(time: Timeline) -> None:
    create(time, "2026-11-01 20:00Z")

    be_away(time)

    assert only_entry(time) == ("2026-11-01T20:00:00Z", 12, 1, False)


def test_down_a_single_reminder_is_held_by_quiet_hours(time: Timeline) -> None:
    with_quiet_hours(time)
    create(time, "2026-11-01 20:00Z")

    be_away(time)
    assert ringing(time) == []
    time.go("2026-11-02 12:00")

    assert only_entry(time) == ("2026-11-01T20:00:00Z", 16, 1, False)
    assert rang(time)[0][1] == "2026-11-02 12:00"


def test_down_a_single_reminder_of_long_ago_is_silent(time: Timeline) -> None:
    create(time, "2026-10-31 12:00Z")

    be_away(time)

    assert only_entry(time) == ("2026-10-31T12:00:00Z", 44, 1, True)
    assert len(time.query("reminders:away")) == 1


def test_down_what_was_canceled_or_acknowledged_stays_quiet(time: Timeline) -> None:
    tea = create(time, "2026-11-01 20:00Z")
    time.do("reminders:cancel", reminder=tea)

    be_away(time)

    assert ringing(time) == []


def test_down_a_daily_one_rings_once_for_three(time: Timeline) -> None:
    daily = create(time, "2026-10-29 09:00", rule="FREQ=DAILY")

    be_away(time)

    assert only_entry(time) == ("2026-11-01 09:00", 18, 3, False)
    assert waits_until(time, daily) == "2026-11-02 14:00"
    # The one of the 29th rang before, and was replaced.
    assert [key for key, _ in rang(time)] == ["2026-10-29 09:00", "2026-11-01 09:00"]


def test_down_a_daily_one_is_held_until_seven(time: Timeline) -> None:
    with_quiet_hours(time)
    create(time, "2026-10-29 09:00", rule="FREQ=DAILY")

    be_away(time)
    assert ringing(time) == []
    time.go("2026-11-02 12:00")
    assert only_entry(time) == ("2026-11-01 09:00", 22, 3, False)
    time.go("2026-11-02 14:00")

    assert only_entry(time) == ("2026-11-02 09:00", 0, 0, False)


@pytest.mark.parametrize(
    ("wall", "rule", "zone", "listed", "after"),
    [
        ("2026-10-29 07:30", WORKDAYS, None, "2026-10-30 07:30", "2026-11-02 12:30"),
        ("2026-10-29 01:30", "FREQ=WEEKLY;BYDAY=SU", None, "2026-11-01 01:30", "2026-11-08 06:30"),
    ],
)
def test_down_a_repeat_of_more_than_a_day_ago_is_listed_and_does_not_ring(
    time: Timeline, wall: str, rule: str, zone: str | None, listed: str, after: str
) -> None:
    made = create(time, wall, rule=rule, zone=zone)

    be_away(time)

    assert ringing(time) == []
    assert [each["occurrence"] for each in time.query("reminders:away")] == [listed]
    assert waits_until(time, made) == after
    time.do("reminders:acknowledge", reminder=made, occurrence=listed)
    assert time.query("reminders:away") == []


def test_down_the_first_of_the_month_in_berlin(time: Timeline) -> None:
    made = create(time, "2026-10-29 10:00", rule="FREQ=MONTHLY;BYMONTHDAY=1", zone=BERLIN)

    be_away(time)

    assert only_entry(time) == ("2026-11-01 10:00", 23, 1, False)
    assert waits_until(time, made) == "2026-12-01 09:00"


def test_down_every_four_hours_rings_in_time_and_says_what_it_missed(time: Timeline) -> None:
    made = create(time, "2026-10-30 00:00Z", rule="FREQ=HOURLY;INTERVAL=4")

    be_away(time)

    assert only_entry(time) == ("2026-11-02T08:00:00Z", 0, 18, False)
    assert waits_until(time, made) == "2026-11-02 12:00"


def test_down_more_than_five_late_ones_are_one_entry(time: Timeline) -> None:
    made = [create(time, f"2026-11-01 {hour:02}:00Z") for hour in range(12, 18)]

    be_away(time)

    [summary] = ringing(time)
    assert (summary["count"], summary["occurrence"]) == (6, "late")
    assert summary["title"] == "6 reminders came late"
    assert len(time.query("reminders:away")) == 6
    # Five are five; and the entry stands for all of them.
    time.do("reminders:acknowledge", reminder=made[0])
    assert len(ringing(time)) == 5
    time.do("reminders:acknowledge", reminder=made[1], occurrence="late")
    assert ringing(time) == []
    assert {each["state"] for each in time.rows("reminders")} == {"done"}


@pytest.mark.slow
def test_down_very_many_late_ones_are_acknowledged_together(time: Timeline) -> None:
    made = [create(time, f"2026-11-01 12:{minute % 60:02}Z") for minute in range(210)]

    be_away(time)
    [summary] = ringing(time)
    assert (summary["count"], summary["missed"]) == (210, 210)
    time.do("reminders:acknowledge", reminder=made[0], occurrence="late")
    assert [each["count"] for each in ringing(time)] == [10]
    time.catch_up()

    assert ringing(time) == []


@pytest.mark.slow
def test_down_nothing_is_left_half_way(time: Timeline) -> None:
    """After the catch-up the next ring of every repeat lies in the future."""
    with_quiet_hours(time)
    rules = [
        "FREQ=DAILY",
        WORKDAYS,
        "FREQ=HOURLY;INTERVAL=5",
        "FREQ=MONTHLY",
        "FREQ=MINUTELY;INTERVAL=45",
    ]
    for rule in rules:
        create(time, "2026-10-29 08:00", rule=rule)

    be_away(time)

    assert all(each["next_at"] > time.now for each in time.rows("reminders"))
    assert all(each["due"] > time.now for each in time.pending())
    assert has_one_job_each(time)


def test_down_a_snooze_of_then_comes_late(time: Timeline) -> None:
    tea = create(time, "2026-10-29 08:00")
    time.go("2026-10-29 12:00")
    time.do("reminders:snooze", reminder=tea, until=at("2026-11-02 00:00"))

    be_away(time)

    assert only_entry(time) == ("2026-10-29 08:00", 8, 0, False)


# --- Another home zone, on 10 November 2026; a reminder every day at 08:00


@pytest.mark.parametrize(
    ("before", "after", "now", "rings", "late", "following"),
    [
        (NY, BERLIN, "2026-11-10 07:30", "2026-11-10 08:00", 1800, "2026-11-11 07:00"),
        (NY, BERLIN, "2026-11-10 14:00", None, 0, "2026-11-11 07:00"),
        (BERLIN, NY, "2026-11-10 12:00", None, 0, "2026-11-11 13:00"),
        (BERLIN, NY, "2026-11-10 14:00", None, 0, "2026-11-11 13:00"),
    ],
)
def test_another_home_zone_moves_what_has_not_rung(
    before: str, after: str, now: str, rings: str | None, late: int, following: str
) -> None:
    with open_timeline("2026-11-09 20:00") as time:
        time.do("people:change_settings", home_zone=before)
        floating = create(time, "2026-11-10 08:00", rule="FREQ=DAILY")
        fixed = create(time, "2026-11-10 08:00", rule="FREQ=DAILY", zone=NY)
        time.go(now)
        for each in (floating, fixed):
            time.do("reminders:acknowledge", reminder=each)
        fixed_before = waits_until(time, fixed)

        time.do("people:change_settings", home_zone=after)
        time.catch_up()

        found = [each for each in ringing(time) if each["reminder"] == floating]
        assert [each["occurrence"] for each in found] == ([] if rings is None else [rings])
        assert [each["late_seconds"] for each in found] == ([] if rings is None else [late])
        assert waits_until(time, floating) == following
        assert waits_until(time, fixed) == fixed_before
        assert has_one_job_each(time)
        # Whatever was moved, one morning rings once.
        time.go("2026-11-12 20:00")
        keys = [key for key, _ in rang(time)]
        assert sorted(keys) == sorted(2 * [f"2026-11-{day} 08:00" for day in (10, 11, 12)])


@pytest.mark.slow
def test_another_home_zone_moves_very_many_piece_by_piece(time: Timeline) -> None:
    made = [create(time, f"2026-11-{day:02} 08:00") for day in range(2, 27) for _ in range(20)]

    time.do("people:change_settings", home_zone=BERLIN)
    time.catch_up()

    assert time.ran.count("zone_moves:derive_more") == 2
    found = {each["_id"]: utc(each["next_at"])[11:] for each in time.rows("reminders")}
    assert {found[each] for each in made} == {"07:00"}
    assert has_one_job_each(time)


@pytest.mark.slow
def test_what_rings_before_it_was_derived_anew_goes_by_the_new_zone() -> None:
    """Its job may come first, when very many are moved piece by piece."""
    with open_timeline("2026-11-09 20:00") as time:
        time.do("people:change_settings", home_zone=BERLIN)
        for _ in range(220):
            create(time, "2026-11-10 08:00", rule="FREQ=DAILY")
        time.jump("2026-11-10 07:30")

        time.do("people:change_settings", home_zone=NY)
        time.catch_up()

        assert ringing(time) == []
        assert {utc(each["next_at"]) for each in time.rows("reminders")} == {"2026-11-10 13:00"}
        assert has_one_job_each(time)


# --- What is refused


def test_a_reminder_needs_a_time_a_zone_and_a_rule_that_exist(time: Timeline) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({}, "Say when"),
        ({"due_date": "2026-11-01", "zone": "Mars/Base"}, "Europe/Berlin"),
        ({"due_date": "2026-11-01", "rule": "FREQ=NEVER"}, "no rule"),
        ({"due_date": "2026-11-01", "rule": "FREQ=DAILY;UNTIL=20261001"}, "no day to come"),
        ({"due_date": "9999-01-01"}, "too far"),
        ({"at": 1e18}, "no instant"),
    ]
    for more, said in wrong:
        with pytest.raises(Said, match=said):
            time.do("reminders:create", title="Tea", **more)
    with pytest.raises(Said, match="title of a reminder is empty"):
        time.do("reminders:create", title=" ", due_date="2026-11-01")

    assert time.rows("reminders") == []
    assert time.pending() == []


def test_what_was_to_ring_before_it_arrived_rings_at_once(time: Timeline) -> None:
    """What is typed without a network, "in 20 minutes", reaches the server two hours later."""
    create(time, "2026-10-28 20:20Z")

    time.catch_up()

    assert only_entry(time)[:2] == ("2026-10-28T20:20:00Z", 1)


def test_an_instant_may_have_a_fraction_of_a_second(time: Timeline) -> None:
    """A device says when by its clock, in milliseconds."""
    made = time.do("reminders:create", title="Tea", at=at("2026-10-28 22:20") + 123.0)

    found = row(time, made)
    assert found["occurrence"] == "2026-10-28T22:20:00.123Z"
    assert (found["next_at"], found["next_time"]) == (at("2026-10-28 22:20") + 123.0, "18:20")
    time.go("2026-10-28 22:21")
    assert len(ringing(time)) == 1


def test_times_are_to_the_minute(time: Timeline) -> None:
    made = time.do("reminders:create", title="Tea", due_date="2026-11-01", due_time="08:00:30")

    found = row(time, made)
    assert (found["due_time"], utc(found["next_at"])) == ("08:00", "2026-11-01 13:00")
    assert datetime.fromisoformat(found["occurrence"]).second == 0
