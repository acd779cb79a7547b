"""Reminders of tasks: so far before each is due, moving and ending with it.

Source: the product's page on reminders, section 4 and rule 11.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from attrs import frozen

from flow import schema
from flow.schema import Task
from flow.task_reminders import add_offset, ended, moved, removed, set_for_task
from flow_backend import Date, Document, Id, Instant, MutationCtx, Time, mutation
from flow_backend.functions.registry import make_app
from tests.flow.support import APP, Said
from tests.flow.test_recurrence import BERLIN, NY, at, utc
from tests.flow.timeline import Timeline, open_timeline


@frozen(kw_only=True)
class Dated:
    """A task as it is stored after a change."""

    id: Id[Task]
    title: str
    due_date: Date | None
    due_time: Time | None
    zone: str | None
    due_at: Instant | None
    completed_at: Instant | None


@mutation
def follow(
    ctx: MutationCtx,
    task: Id[Task],
    what: str,
    title: str = "Dentist",
    due_date: Date | None = None,
    due_time: Time | None = None,
    zone: str | None = None,
    due_at: Instant | None = None,
    completed_at: Instant | None = None,
    offsets: list[str] | None = None,
) -> None:
    """Tell a task's reminders what has become of it."""
    dated = Dated(
        id=task,
        title=title,
        due_date=due_date,
        due_time=due_time,
        zone=zone,
        due_at=due_at,
        completed_at=completed_at,
    )
    match what:
        case "set":
            set_for_task(ctx, dated, offsets or [])
        case "add":
            add_offset(ctx, dated, (offsets or [""])[0])
        case "moved":
            moved(ctx, dated)
        case "ended":
            ended(ctx, task)
        case _:
            removed(ctx, task)


TABLES = [
    each
    for each in vars(schema).values()
    if isinstance(each, type) and issubclass(each, Document) and each.__module__ == "flow.schema"
]
TASKS_APP = make_app("flow", TABLES, {**APP.functions, "test:follow": follow})


@pytest.fixture
def time() -> Iterator[Timeline]:
    """Give Flow on the evening of 28 October 2026, at home in New York."""
    with open_timeline("2026-10-28 22:00", TASKS_APP) as opened:
        opened.do("people:change_settings", home_zone=NY)
        opened.catch_up()  # Another home zone moves tasks, piece by piece.
        yield opened


@pytest.fixture
def task(time: Timeline) -> str:
    board = time.do("boards:create", title="Health")
    return str(time.do("tasks:add", board=board, title="Dentist"))


def tell(time: Timeline, task: str, what: str, due: str | None = None, **more: Any) -> None:
    """Tell what has become of a task that is due at ``2026-10-30 15:00``, or on a day."""
    parts = [] if due is None else due.split(" ")
    wall = dict(zip(("due_date", "due_time"), parts, strict=False))
    time.do("test:follow", task=task, what=what, **wall, **more)


def waits(time: Timeline) -> dict[str, str | None]:
    """Give when each of the task's reminders rings next, by its offset."""
    return {
        row["offset"]: None if row["next_at"] is None else utc(row["next_at"])
        for row in time.rows("reminders")
        if row["state"] != "canceled"
    }


def ringing(time: Timeline) -> list[tuple[str, str]]:
    return [(each["title"], utc(each["rang_at"])) for each in time.query("reminders:ringing")]


def test_each_offset_rings_at_its_own_time(time: Timeline, task: str) -> None:
    tell(time, task, "set", "2026-11-02 09:00", offsets=["-PT15M", "-P1D", "-PT15M"])

    # Over the change of the clocks a day before is 09:00 as well.
    assert waits(time) == {"-PT15M": "2026-11-02 13:45", "-P1D": "2026-11-01 14:00"}
    time.go("2026-11-01 14:00")
    assert ringing(time) == [("Dentist", "2026-11-01 14:00")]
    assert time.query("reminders:ringing")[0]["task"] == task
    time.go("2026-11-02 13:45")
    assert len(ringing(time)) == 2


def test_reminders_of_a_day_count_from_its_morning(time: Timeline, task: str) -> None:
    tell(time, task, "set", "2026-11-02", offsets=["PT0S", "-P1D", "2026-10-30T18:00"])

    assert waits(time) == {
        "PT0S": "2026-11-02 14:00",
        "-P1D": "2026-11-01 14:00",
        "2026-10-30T18:00": "2026-10-30 22:00",
    }


def test_a_task_that_moves_takes_its_reminders_along(time: Timeline, task: str) -> None:
    tell(time, task, "set", "2026-10-30 15:00", offsets=["-PT30M"])

    tell(time, task, "moved", "2026-10-31 16:00", title="Dentist, again")
    assert waits(time) == {"-PT30M": "2026-10-31 19:30"}
    time.go("2026-10-31 19:30")
    assert ringing(time) == [("Dentist, again", "2026-10-31 19:30")]

    # It rings for a time that is not its time any more.
    tell(time, task, "moved", "2026-11-01 16:00")
    assert ringing(time) == []
    time.go("2026-11-01 20:30")
    assert ringing(time) == [("Dentist", "2026-11-01 20:30")]
    # And back to the time for which it rang: that has passed.
    time.go("2026-11-01 20:31")
    tell(time, task, "moved", "2026-11-03 16:00")
    tell(time, task, "moved", "2026-11-01 16:00")
    assert waits(time) == {"-PT30M": None}


def test_a_task_that_is_renamed_rings_on_under_its_new_name(time: Timeline, task: str) -> None:
    tell(time, task, "set", "2026-10-30 15:00", offsets=["PT0S"])
    time.go("2026-10-30 19:05")

    tell(time, task, "moved", "2026-10-30 15:00", title="Orthodontist")

    assert ringing(time) == [("Orthodontist", "2026-10-30 19:00")]
    time.do("reminders:acknowledge", reminder=time.rows("reminders")[0]["_id"])
    tell(time, task, "moved", "2026-10-30 15:00", title="Dentist")
    time.go("2026-11-05 00:00")
    assert ringing(time) == []


def test_what_is_overdue_by_the_server_and_renamed_still_rings(time: Timeline, task: str) -> None:
    """The rename reaches the server before the catch-up after a downtime does."""
    tell(time, task, "set", "2026-10-30 15:00", offsets=["PT0S"])
    time.jump("2026-10-30 19:30")

    tell(time, task, "moved", "2026-10-30 15:00", title="Orthodontist")
    time.catch_up()

    assert ringing(time) == [("Orthodontist", "2026-10-30 19:30")]


def test_a_task_that_is_done_rings_no_more_and_reopened_it_does(time: Timeline, task: str) -> None:
    tell(time, task, "set", "2026-10-30 15:00", offsets=["PT0S", "-P1D"])
    time.go("2026-10-29 19:00")
    assert len(ringing(time)) == 1

    tell(time, task, "ended")
    assert ringing(time) == []
    assert time.pending() == []
    assert set(waits(time).values()) == {None}

    tell(time, task, "moved", "2026-10-30 15:00")
    assert waits(time) == {"PT0S": "2026-10-30 19:00", "-P1D": None}


def test_a_task_that_is_removed_leaves_nothing(time: Timeline, task: str) -> None:
    tell(time, task, "set", "2026-10-30 15:00", offsets=["PT0S", "-P1D"])
    time.go("2026-10-29 19:00")

    tell(time, task, "removed")

    assert time.rows("reminders") == []
    assert time.pending() == []
    assert ringing(time) == []


def test_without_a_date_they_wait_for_one(time: Timeline, task: str) -> None:
    tell(time, task, "set", offsets=["PT0S"])
    assert waits(time) == {"PT0S": None}

    tell(time, task, "moved", "2026-10-30 15:00")
    assert waits(time) == {"PT0S": "2026-10-30 19:00"}
    tell(time, task, "moved")
    assert waits(time) == {"PT0S": None}


def test_an_offset_whose_time_has_passed_does_not_ring(time: Timeline, task: str) -> None:
    """A day before something that is due in an hour: that it is too late for is no news."""
    tell(time, task, "set", "2026-10-28 19:00", offsets=["-P1D", "-PT30M"])

    time.catch_up()

    assert ringing(time) == []
    assert waits(time) == {"-P1D": None, "-PT30M": "2026-10-28 22:30"}


def test_other_offsets_replace_those_that_were(time: Timeline, task: str) -> None:
    tell(time, task, "set", "2026-10-30 15:00", offsets=["PT0S", "-P1D"])

    tell(time, task, "set", "2026-10-30 15:00", offsets=["-P1D", "-PT5M"])
    assert set(waits(time)) == {"-P1D", "-PT5M"}
    tell(time, task, "add", "2026-10-30 15:00", offsets=["-PT5M"])
    tell(time, task, "add", "2026-10-30 15:00", offsets=["-PT1M"])
    assert set(waits(time)) == {"-P1D", "-PT5M", "-PT1M"}
    assert len(time.pending()) == 3


def test_one_that_a_person_canceled_does_not_come_back(time: Timeline, task: str) -> None:
    tell(time, task, "set", "2026-10-30 15:00", offsets=["PT0S"])
    time.do("reminders:cancel", reminder=time.rows("reminders")[0]["_id"])

    tell(time, task, "moved", "2026-10-31 15:00")
    assert waits(time) == {}
    tell(time, task, "set", "2026-10-31 15:00", offsets=["PT0S"])
    assert waits(time) == {"PT0S": "2026-10-31 19:00"}


def test_another_home_zone_moves_them(time: Timeline, task: str) -> None:
    tell(time, task, "set", "2026-11-02 09:00", offsets=["-PT30M"], due_at=at("2026-11-02 14:00"))

    time.do("people:change_settings", home_zone=BERLIN)

    assert waits(time) == {"-PT30M": "2026-11-02 07:30"}


def test_the_second_of_two_equal_times_is_kept(time: Timeline, task: str) -> None:
    """Due "in 3 hours", in the night in which 01:30 comes twice."""
    time.go("2026-11-01 03:30")
    tell(time, task, "set", "2026-11-01 01:30", offsets=["-PT10M"], due_at=at("2026-11-01 06:30"))

    assert waits(time) == {"-PT10M": "2026-11-01 06:20"}
    time.go("2026-11-01 06:20")
    assert ringing(time) == [("Dentist", "2026-11-01 06:20")]


def test_too_many_or_wrong_ones_are_refused(time: Timeline, task: str) -> None:
    with pytest.raises(Said, match="at most 10"):
        tell(time, task, "set", offsets=[f"-PT{number}M" for number in range(11)])
    with pytest.raises(Said, match="-PT30M"):
        tell(time, task, "set", offsets=["soon"])
    assert time.rows("reminders") == []


# --- By the functions of tasks


def test_a_tasks_own_functions_take_its_reminders_along(time: Timeline, task: str) -> None:
    time.do("tasks:set_due", task=task, due_date="2026-10-30", due_time="15:00")
    made = time.do("reminders:create", title="-", task=task, offset="-PT30M")
    assert time.do("reminders:create", title="-", task=task, offset="-PT30M") == made
    assert waits(time) == {"-PT30M": "2026-10-30 18:30"}

    time.do("tasks:set_due", task=task, due_date="2026-10-31", due_time="15:00")
    assert waits(time) == {"-PT30M": "2026-10-31 18:30"}
    time.do("people:change_settings", home_zone=BERLIN)
    time.catch_up()
    assert waits(time) == {"-PT30M": "2026-10-31 13:30"}
    time.go("2026-10-31 13:30")
    assert ringing(time) == [("Dentist", "2026-10-31 13:30")]
    time.do("tasks:complete", task=task)
    assert ringing(time) == []
    time.do("tasks:remove", task=task)
    assert time.rows("reminders") == []


def test_a_repeating_task_rings_for_each_of_its_days(time: Timeline) -> None:
    line = "Water plants every day 8am !30m"
    made = time.do("tasks:quick_add", line=line, captured_at=time.now, zone=NY)

    time.go("2026-10-29 11:30")
    assert ringing(time) == [("Water plants", "2026-10-29 11:30")]
    time.do("tasks:complete", task=made["id"])
    assert ringing(time) == []
    assert waits(time) == {"-PT30M": "2026-10-30 11:30"}
    # Nobody does it for days: it is one task, and rings for each of them all the same.
    time.go("2026-11-03 12:30")
    assert ringing(time) == [("Water plants", "2026-11-03 12:30")]
    assert waits(time) == {"-PT30M": "2026-11-04 12:30"}
    time.do("tasks:edit", task=made["id"], title="Water flowers")
    assert ringing(time) == [("Water flowers", "2026-11-03 12:30")]
    assert waits(time) == {"-PT30M": "2026-11-04 12:30"}
    # After a downtime it rings once, for the last of them.
    time.jump("2026-11-06 13:00")
    time.catch_up()
    [late] = time.query("reminders:ringing")
    assert (late["occurrence"], late["missed"]) == ("2026-11-06 08:00", 3)
    time.do("tasks:complete", task=made["id"])
    assert ringing(time) == []
    assert waits(time) == {"-PT30M": "2026-11-07 12:30"}
    # Taken back, it is open since long ago, and rings for the days to come.
    time.do("tasks:reopen", task=made["id"])
    assert waits(time) == {"-PT30M": "2026-11-07 12:30"}
    time.do("tasks:set_due", task=made["id"], due_date="2026-11-05", due_time="08:00")
    assert waits(time) == {"-PT30M": "2026-11-07 12:30"}


def test_a_line_becomes_a_reminder_that_rings(time: Timeline) -> None:
    line = "remind me in 20 min to check the oven"
    time.do("tasks:quick_add", line=line, captured_at=time.now, zone=NY)

    time.go("2026-10-28 22:20")

    assert ringing(time) == [("check the oven", "2026-10-28 22:20")]


def test_an_offset_needs_a_task(time: Timeline) -> None:
    with pytest.raises(Said, match="belongs to a task"):
        time.do("reminders:create", title="-", offset="-PT30M")
