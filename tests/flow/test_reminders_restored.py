"""Restoring a reminder that was canceled: it is as it was, and rings for nothing twice.

Source: the product's page on reminders; the guarantees, F8.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.flow.support import Said
from tests.flow.test_recurrence import BERLIN, NY, at
from tests.flow.test_reminders import create, has_one_job_each, rang, ringing, row, waits_until
from tests.flow.timeline import Timeline, open_timeline

# The job is another one, and it is noted for restoring alone what was canceled.
OTHERWISE = {"job", "canceled"}


@pytest.fixture
def time() -> Iterator[Timeline]:
    """Give Flow on the evening of 28 October 2026, at home in New York."""
    with open_timeline("2026-10-28 22:00") as opened:
        opened.do("people:change_settings", home_zone=NY)
        opened.catch_up()
        yield opened


@pytest.fixture
def task(time: Timeline) -> str:
    """Give a task that is due on 30 October at 15:00 in New York, or 19:00 in UTC."""
    board = time.do("boards:create", title="Health")
    due = {"due_date": "2026-10-30", "due_time": "15:00"}
    return str(time.do("tasks:add", board=board, title="Dentist", **due))


def fields(time: Timeline, reminder: str) -> dict[str, Any]:
    return {name: value for name, value in row(time, reminder).items() if name not in OTHERWISE}


def cancel(time: Timeline, reminder: str) -> None:
    time.do("reminders:cancel", reminder=reminder)


def restore(time: Timeline, reminder: str) -> None:
    time.do("reminders:restore", reminder=reminder)


def check_same_again(time: Timeline, reminder: str) -> None:
    """Check that to cancel and to restore changes nothing at all but the job."""
    before, deliveries = fields(time, reminder), time.rows("deliveries")
    cancel(time, reminder)
    assert fields(time, reminder) != before
    restore(time, reminder)
    assert fields(time, reminder) == before
    assert time.rows("deliveries") == deliveries
    assert has_one_job_each(time)


@pytest.mark.parametrize(
    ("wall", "more"),
    [
        ("2026-10-29 08:00", {}),
        ("2026-10-29", {}),
        ("2026-10-29 12:00Z", {}),
        ("2026-10-29 08:00", {"zone": BERLIN}),
        ("2026-10-26 08:00", {"rule": "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO"}),
        ("2026-10-28 12:00Z", {"rule": "FREQ=HOURLY;INTERVAL=6"}),
        ("2026-10-29 08:00", {"rule": "FREQ=DAILY;INTERVAL=3", "anchor": "done"}),
    ],
)
def test_f8_any_reminder_is_as_it_was(time: Timeline, wall: str, more: dict[str, Any]) -> None:
    tea = create(time, wall, **more)

    check_same_again(time, tea)
    assert rang(time) == []
    assert [each["_id"] for each in time.query("reminders:list")] == [tea]


def test_a_repeat_goes_on_with_the_next_that_is_to_come(time: Timeline) -> None:
    tea = create(time, "2026-10-29 08:00", rule="FREQ=DAILY;COUNT=6")
    time.go("2026-10-29 13:00")
    cancel(time, tea)
    time.go("2026-11-01 20:00")  # Three have passed; the clocks went back on the last day.
    restore(time, tea)
    time.catch_up()

    assert waits_until(time, tea) == "2026-11-02 13:00"
    assert ringing(time) == []
    time.go("2026-11-06 00:00")
    assert rang(time) == [
        ("2026-10-29 08:00", "2026-10-29 12:00"),
        ("2026-11-02 08:00", "2026-11-02 13:00"),
        ("2026-11-03 08:00", "2026-11-03 13:00"),
    ]


def test_one_that_counts_from_completion_does_not_ring_at_once(time: Timeline) -> None:
    plants = create(time, "2026-10-29 08:00", rule="FREQ=DAILY;INTERVAL=3", anchor="done")
    time.go("2026-10-30 18:00")
    time.do("reminders:acknowledge", reminder=plants)
    assert waits_until(time, plants) == "2026-11-02 13:00"

    check_same_again(time, plants)
    assert row(time, plants)["closed"] == 1

    # Of one whose day has passed meanwhile it is as if it had been done now.
    cancel(time, plants)
    time.go("2026-11-05 18:00")
    restore(time, plants)
    assert waits_until(time, plants) == "2026-11-08 13:00"
    assert ringing(time) == []


def test_one_of_no_zone_is_of_no_zone_again(time: Timeline) -> None:
    tea = create(time, "2026-10-29 08:00", rule="FREQ=DAILY")
    fixed = create(time, "2026-10-29 08:00", rule="FREQ=DAILY", zone=NY)
    for each in (tea, fixed):
        cancel(time, each)

    time.do("people:change_settings", home_zone=BERLIN)
    for each in (tea, fixed):
        restore(time, each)

    # 08:00 in Berlin has not come yet either.
    assert waits_until(time, tea) == "2026-10-29 07:00"
    assert waits_until(time, fixed) == "2026-10-29 12:00"
    time.do("people:change_settings", home_zone=NY)
    assert waits_until(time, tea) == "2026-10-29 12:00"
    assert has_one_job_each(time)


def test_to_restore_twice_or_what_stands_is_harmless(time: Timeline) -> None:
    tea = create(time, "2026-10-29 08:00", rule="FREQ=DAILY")
    before = row(time, tea)
    restore(time, tea)
    assert row(time, tea) == before

    cancel(time, tea)
    restore(time, tea)
    once = row(time, tea)
    restore(time, tea)

    assert row(time, tea) == once
    time.go("2026-10-29 12:00")
    assert len(ringing(time)) == 1


# --- What is open


def test_f8_what_rang_is_on_the_screen_again_and_has_rung_once(time: Timeline) -> None:
    tea = create(time, "2026-10-29 08:00")
    time.go("2026-10-29 12:10")
    before = ringing(time)

    check_same_again(time, tea)

    # The same ring, of 12:00: a window that shows it takes it for no new one.
    assert ringing(time) == before
    time.go("2026-10-30 12:00")
    assert [each["rings"] for each in time.rows("deliveries")] == [1]
    time.do("reminders:acknowledge", reminder=tea)
    assert row(time, tea)["state"] == "done"


def test_f8_the_webhook_is_not_called_again(time: Timeline) -> None:
    address = {"webhook_url": "https://example.com/hook", "webhook_secret": "s" * 24}
    time.do("people:change_settings", **address)
    tea = create(time, "2026-10-29 08:00", rule="FREQ=DAILY")
    time.go("2026-10-29 12:00")
    cancel(time, tea)
    time.catch_up()
    before = list(time.ran)

    restore(time, tea)
    time.catch_up()

    assert time.ran == before
    assert len(time.rows("deliveries")) == 2


def test_a_snooze_goes_on(time: Timeline) -> None:
    tea = create(time, "2026-10-29 08:00")
    time.go("2026-10-29 12:00")
    time.do("reminders:snooze", reminder=tea, until=at("2026-10-29 14:00"))

    check_same_again(time, tea)

    time.go("2026-10-29 13:59")
    assert ringing(time) == []
    time.go("2026-10-29 14:00")
    assert len(ringing(time)) == 1


def test_what_quiet_hours_hold_is_held_again(time: Timeline) -> None:
    time.do("people:change_settings", quiet_from="22:00", quiet_until="07:00")
    tea = create(time, "2026-10-28 23:00")
    time.go("2026-10-29 04:00")

    check_same_again(time, tea)

    time.go("2026-10-29 11:00")
    assert len(ringing(time)) == 1


def test_what_the_next_one_would_have_replaced_stays_closed(time: Timeline) -> None:
    tea = create(time, "2026-10-29 08:00", rule="FREQ=DAILY")
    time.go("2026-10-29 12:00")
    cancel(time, tea)
    time.go("2026-10-30 18:00")

    restore(time, tea)

    assert ringing(time) == []
    assert row(time, tea)["state"] == "waiting"
    assert waits_until(time, tea) == "2026-10-31 12:00"


# --- Of tasks


def test_one_of_a_task_follows_it_again(time: Timeline, task: str) -> None:
    dentist = time.do("reminders:create", title="-", task=task, offset="-PT30M")
    check_same_again(time, dentist)
    assert waits_until(time, dentist) == "2026-10-30 18:30"

    cancel(time, dentist)
    time.do("tasks:set_due", task=task, due_date="2026-10-31", due_time="15:00")
    time.do("tasks:edit", task=task, title="Doctor")
    assert row(time, dentist)["state"] == "canceled"
    restore(time, dentist)

    assert waits_until(time, dentist) == "2026-10-31 18:30"
    assert row(time, dentist)["title"] == "Doctor"
    time.do("tasks:set_due", task=task, due_date="2026-11-02", due_time="15:00")
    assert waits_until(time, dentist) == "2026-11-02 19:30"
    assert has_one_job_each(time)


def test_one_of_a_repeating_task_waits_for_its_next_day(time: Timeline) -> None:
    made = time.do(
        "tasks:quick_add", line="Pills every day 8am !30m", captured_at=time.now, zone=NY
    )
    [pills] = [each["_id"] for each in time.rows("reminders")]
    time.go("2026-10-29 11:30")
    check_same_again(time, pills)

    cancel(time, pills)
    time.go("2026-11-01 18:00")
    restore(time, pills)
    time.catch_up()

    assert ringing(time) == []
    assert waits_until(time, pills) == "2026-11-02 12:30"
    time.go("2026-11-02 12:30")
    assert [each["task"] for each in ringing(time)] == [made["id"]]
    assert len(rang(time)) == 2


def test_one_of_a_task_that_is_done_waits_for_its_being_reopened(time: Timeline, task: str) -> None:
    dentist = time.do("reminders:create", title="-", task=task, offset="-PT30M")
    alone = create(time, "2026-10-30 08:00", task=task)
    for each in (dentist, alone):
        cancel(time, each)
    time.do("tasks:complete", task=task)
    # What was canceled stays so, whatever becomes of its task.
    assert {each["state"] for each in time.rows("reminders")} == {"canceled"}

    for each in (dentist, alone):
        restore(time, each)

    assert time.pending() == []
    time.do("tasks:reopen", task=task)
    assert waits_until(time, dentist) == "2026-10-30 18:30"


def test_f8_one_that_was_canceled_does_not_come_back_with_its_task(
    time: Timeline, task: str
) -> None:
    dentist = time.do("reminders:create", title="-", task=task, offset="-PT30M")
    cancel(time, dentist)

    time.do("tasks:complete", task=task)
    time.do("tasks:reopen", task=task)

    assert row(time, dentist)["state"] == "canceled"
    assert time.pending() == []


def test_however_many_were_canceled_a_task_knows_those_it_has(time: Timeline, task: str) -> None:
    for _ in range(25):
        cancel(time, time.do("reminders:create", title="-", task=task, offset="-PT30M"))
    kept = time.do("reminders:create", title="-", task=task, offset="-PT30M")

    assert time.do("reminders:create", title="-", task=task, offset="-PT30M") == kept
    time.do("tasks:remove", task=task)
    assert time.rows("reminders") == []


# --- What cannot be restored


def check_refused(time: Timeline, reminder: str, why: str) -> None:
    before = time.rows("reminders"), time.rows("deliveries"), time.pending()
    with pytest.raises(Said, match=why):
        restore(time, reminder)
    assert (time.rows("reminders"), time.rows("deliveries"), time.pending()) == before


@pytest.mark.parametrize(
    "more", [{}, {"rule": "FREQ=DAILY;COUNT=2"}, {"rule": "FREQ=DAILY;COUNT=1", "anchor": "done"}]
)
def test_what_has_nothing_left_to_come_is_refused(time: Timeline, more: dict[str, Any]) -> None:
    tea = create(time, "2026-10-29 08:00", **more)
    cancel(time, tea)
    time.go("2026-10-30 18:00")

    check_refused(time, tea, "has passed")


def test_what_was_due_within_the_minute_still_rings(time: Timeline) -> None:
    tea = create(time, "2026-10-29 08:00")
    time.go("2026-10-29 11:59")
    cancel(time, tea)
    time.go("2026-10-29 12:00")
    restore(time, tea)
    time.catch_up()

    assert [each["late_seconds"] for each in ringing(time)] == [0]


def test_one_that_its_task_has_again_is_refused(time: Timeline, task: str) -> None:
    dentist = time.do("reminders:create", title="-", task=task, offset="-PT30M")
    cancel(time, dentist)
    other = time.do("reminders:create", title="-", task=task, offset="-PT30M")

    check_refused(time, dentist, "for the same time again")
    cancel(time, other)
    restore(time, dentist)

    offsets = [f"-PT{number}M" for number in range(1, 11)]
    cancel(time, dentist)
    time.do("tasks:set_reminders", task=task, offsets=offsets)
    check_refused(time, dentist, "at most 10")


def test_one_that_is_gone_is_refused(time: Timeline, task: str) -> None:
    dentist = time.do("reminders:create", title="-", task=task, offset="-PT30M")
    cancel(time, dentist)
    time.do("tasks:remove", task=task)

    check_refused(time, dentist, "is gone")
