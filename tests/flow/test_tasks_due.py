"""Dates of tasks: what they say, how repeats go on, and what a line is made into."""

from collections.abc import Iterator
from datetime import datetime

import pytest

from flow.time.instants import to_instant
from tests.flow.support import Said
from tests.flow.timeline import Timeline, open_timeline

NEW_YORK = "America/New_York"
NOW = to_instant(datetime.fromisoformat("2026-10-28T09:30"), NEW_YORK)


@pytest.fixture
def dated() -> Iterator[Timeline]:
    """Flow in New York, on a Wednesday."""
    with open_timeline("2026-10-28T13:30Z") as opened:
        opened.do("people:change_settings", home_zone=NEW_YORK)
        yield opened


def refusal(flow: Timeline, path: str, **arguments: object) -> str:
    with pytest.raises(Said) as refused:
        flow.do(path, **arguments)
    return str(refused.value)


def a_board(flow: Timeline) -> str:
    return str(flow.do("boards:create", title="Kitchen"))


def at(text: str, zone: str = NEW_YORK) -> float:
    """Give the instant of a wall time."""
    return to_instant(datetime.fromisoformat(text), zone)


def test_a_whole_day_is_over_at_the_midnight_that_ends_it(dated: Timeline) -> None:
    """On the day the clocks go back it is 25 hours long; a time is an instant."""
    board = a_board(dated)

    day = dated.do("tasks:add", board=board, title="Pay", due_date="2026-11-01")
    timed = dated.do(
        "tasks:add", board=board, title="Call", due_date="2026-11-01", due_time="01:30"
    )
    berlin = dated.do(
        "tasks:add",
        board=board,
        title="Ring",
        due_date="2026-11-01",
        due_time="09:00",
        zone="Europe/Berlin",
    )

    assert dated.query("tasks:get", task=day)["due_at"] == at("2026-11-02T00:00")
    assert dated.query("tasks:get", task=timed)["due_at"] == at("2026-11-01T01:30")
    found = dated.query("tasks:get", task=berlin)
    assert (found["due_at"], found["zone"]) == (
        at("2026-11-01T09:00", "Europe/Berlin"),
        "Europe/Berlin",
    )


def test_a_date_is_set_moved_and_taken_away(dated: Timeline) -> None:
    """What follows from it goes with it."""
    task = dated.do("tasks:add", board=a_board(dated), title="Pay", due_date="2026-11-01")

    dated.do("tasks:set_due", task=task, due_date="2026-12-24", due_time="17:00")
    moved = dated.query("tasks:get", task=task)
    dated.do("tasks:set_repeat", task=task, rule="FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24")
    dated.do("tasks:set_due", task=task, due_date=None)
    bare = dated.query("tasks:get", task=task)

    assert (moved["due_date"], moved["due_time"]) == ("2026-12-24", "17:00")
    assert [bare[name] for name in ("due_date", "due_time", "due_at", "rule", "repeat")] == [
        None
    ] * 5


def test_what_cannot_be_due_is_refused(dated: Timeline) -> None:
    """In words that a person can act on, and nothing is written."""
    board = a_board(dated)
    task = dated.do("tasks:add", board=board, title="Pay")

    said = [
        refusal(dated, "tasks:add", board=board, title="x", due_time="09:00"),
        refusal(
            dated,
            "tasks:add",
            board=board,
            title="x",
            due_date="2026-11-01",
            due_time="09:00",
            zone="Mars",
        ),
        refusal(dated, "tasks:add", board=board, title="x", priority=5),
        refusal(dated, "tasks:edit", task=task, priority=0),
        refusal(dated, "tasks:set_repeat", task=task, rule="FREQ=DAILY"),
        refusal(dated, "tasks:set_repeat", task=task, rule="often"),
    ]

    assert all(text.endswith(".") for text in said)
    assert len(set(said[2:4])) == 2
    assert len(dated.query("tasks:list", board=board)) == 1


def test_completing_a_repeat_opens_the_next_and_can_be_taken_back(dated: Timeline) -> None:
    """Done late, it skips what has passed; reopened, the very occurrence is open that was."""
    made = dated.do(
        "tasks:quick_add", line="Pay rent every monday 9am", captured_at=NOW, zone=NEW_YORK
    )
    task = made["id"]
    before = dated.query("tasks:get", task=task)
    dated.clock[0] = at("2026-11-11T12:00")  # The second of them was on the 9th.

    following = dated.do("tasks:complete", task=task)
    rolled = dated.query("tasks:get", task=task)
    dated.do("tasks:reopen", task=task)

    assert before["due_date"] == "2026-11-02"
    assert following == {"date": "2026-11-16", "at": at("2026-11-16T09:00")}
    assert (rolled["due_date"], rolled["completed_at"]) == ("2026-11-16", None)
    assert dated.query("tasks:get", task=task) == before


def test_two_devices_complete_one_occurrence_once(dated: Timeline) -> None:
    """Both saw the same day; the second would otherwise skip one that nobody has done."""
    made = dated.do("tasks:quick_add", line="Jog every day", captured_at=NOW, zone=NEW_YORK)
    seen = dated.query("tasks:get", task=made["id"])["due_at"]

    first = dated.do("tasks:complete", task=made["id"], due_at=seen)
    second = dated.do("tasks:complete", task=made["id"], due_at=seen)

    assert first == second
    assert first["date"] == "2026-10-29"
    assert dated.query("tasks:get", task=made["id"])["due_date"] == "2026-10-29"


def test_a_repeat_that_ends_is_done_for_good(dated: Timeline) -> None:
    """After its last time the task is completed, and reopening gives that time back."""
    made = dated.do(
        "tasks:quick_add", line="Physio every mon, 2 times", captured_at=NOW, zone=NEW_YORK
    )
    task = made["id"]

    first = dated.do("tasks:complete", task=task)
    last = dated.query("tasks:get", task=task)
    second = dated.do("tasks:complete", task=task)
    done = dated.query("tasks:get", task=task)
    dated.do("tasks:reopen", task=task)

    assert first["date"] == "2026-11-09"
    assert second is None
    assert done["completed_at"] == NOW
    assert dated.query("tasks:get", task=task) == last


def test_from_completion_counts_from_the_day_it_was_done(dated: Timeline) -> None:
    """``every!`` has no memory of the schedule."""
    made = dated.do(
        "tasks:quick_add", line="Water plants every! 3 days", captured_at=NOW, zone=NEW_YORK
    )
    dated.clock[0] = at("2026-10-30T22:00")

    assert dated.do("tasks:complete", task=made["id"])["date"] == "2026-11-02"


def test_removing_a_repeat_leaves_nothing_behind(dated: Timeline) -> None:
    """Its past goes with it."""
    made = dated.do("tasks:quick_add", line="Jog every day", captured_at=NOW, zone=NEW_YORK)
    dated.do("tasks:complete", task=made["id"])

    dated.do("tasks:remove", task=made["id"])

    assert dated.rows("completions") == []


# --- Quick add


def test_a_line_goes_where_it_says(dated: Timeline) -> None:
    """The board by its name in any case, the column too; what is not there is said."""
    home = dated.do("boards:create", title="Home")

    made = dated.do(
        "tasks:quick_add",
        line="Fix tap fri 5pm #home/Doing @diy p2 // the kitchen one",
        captured_at=NOW,
        zone=NEW_YORK,
    )
    task = dated.query("tasks:get", task=made["id"])
    new = dated.do(
        "tasks:quick_add", line="Dig #Garden/Later", captured_at=NOW, zone=NEW_YORK, board=home
    )

    assert made["warnings"] == []
    assert (task["board"], task["column"], task["title"]) == (home, "doing", "Fix tap")
    assert (task["labels"], task["priority"], task["body"]) == (["diy"], 2, "the kitchen one")
    assert task["due_at"] == at("2026-10-30T17:00")
    assert [board["title"] for board in dated.query("boards:list")] == ["Home", "Garden"]
    assert len(new["warnings"]) == 2


def test_a_line_without_a_project_goes_to_the_board_that_is_shown(dated: Timeline) -> None:
    """Else to the oldest; and the first line of all makes a board."""
    first = dated.do("tasks:quick_add", line="Buy milk", captured_at=NOW, zone=NEW_YORK)
    other = dated.do("boards:create", title="Other")
    shown = dated.do("tasks:quick_add", line="Buy tea", captured_at=NOW, zone=NEW_YORK, board=other)
    oldest = dated.do("tasks:quick_add", line="Buy salt", captured_at=NOW, zone=NEW_YORK)

    assert dated.query("boards:list")[0]["title"] == "Tasks"
    assert shown["board"] == other
    assert oldest["board"] == first["board"] == dated.query("boards:list")[0]["_id"]


def test_a_line_that_is_sent_twice_is_one_item(dated: Timeline) -> None:
    """A device that heard no answer sends it again, with the same key."""
    line = {"line": "Buy milk", "captured_at": NOW, "zone": NEW_YORK, "key": "k1"}

    first, again = dated.do("tasks:quick_add", **line), dated.do("tasks:quick_add", **line)

    assert again["id"] == first["id"]
    assert len(dated.query("tasks:list", board=first["board"])) == 1


def test_a_line_can_be_a_note_or_a_reminder(dated: Timeline) -> None:
    """By how it begins; a reminder has to say when."""
    note = dated.do(
        "tasks:quick_add", line="note: Ana's birthday friday", captured_at=NOW, zone=NEW_YORK
    )
    ring = dated.do(
        "tasks:quick_add",
        line="remind me to call the bank tomorrow at 9am",
        captured_at=NOW,
        zone=NEW_YORK,
    )
    no_time = refusal(
        dated, "tasks:quick_add", line="remind me to call", captured_at=NOW, zone=NEW_YORK
    )

    assert note["kind"] == "note"
    assert dated.query("notes:get", note=note["id"])["note"]["title"] == "Ana's birthday friday"
    assert (ring["kind"], ring["due_at"]) == ("reminder", at("2026-10-29T09:00"))
    [row] = dated.query("reminders:list")
    assert (row["_id"], row["title"]) == (ring["id"], "call the bank")
    assert "tomorrow at 9am" in no_time


def test_a_task_gets_the_reminders_that_its_line_asks_for(dated: Timeline) -> None:
    """They go with it: moved with its date, gone when it is done."""
    made = dated.do(
        "tasks:quick_add",
        line="Dentist fri 3pm remind me 30m before",
        captured_at=NOW,
        zone=NEW_YORK,
    )
    task = made["id"]
    [row] = dated.query("reminders:list")
    dated.do("tasks:set_due", task=task, due_date="2026-11-02", due_time="09:00")
    [moved] = dated.query("reminders:list")
    dated.do("tasks:edit", task=task, title="Dentist!")
    [renamed] = dated.query("reminders:list")
    dated.do("tasks:complete", task=task)
    done = dated.query("reminders:list")
    dated.do("tasks:reopen", task=task)

    assert (row["task"], row["next_at"]) == (task, at("2026-10-30T14:30"))
    assert moved["next_at"] == at("2026-11-02T08:30")
    assert renamed["title"] == "Dentist!"
    assert done == []
    assert [each["next_at"] for each in dated.query("reminders:list")] == [moved["next_at"]]


def test_a_time_is_that_of_where_it_was_typed(dated: Timeline) -> None:
    """A traveller's 5 pm is that of the place, and stays so at home."""
    made = dated.do("tasks:quick_add", line="Call 5pm", captured_at=NOW, zone="Europe/Berlin")

    task = dated.query("tasks:get", task=made["id"])

    assert (task["zone"], task["due_at"]) == (
        "Europe/Berlin",
        at("2026-10-28T17:00", "Europe/Berlin"),
    )


def test_a_line_too_long_for_a_title_keeps_every_word(dated: Timeline) -> None:
    """The title is cut, the text is whole."""
    line = "word " * 100

    made = dated.do("tasks:quick_add", line=line, captured_at=NOW, zone=NEW_YORK)

    task = dated.query("tasks:get", task=made["id"])
    assert len(task["title"]) <= 200
    assert task["body"].split() == line.split()


def test_a_preview_shows_what_would_be_made(dated: Timeline) -> None:
    """Its places count as browsers do: an emoji is two."""
    line = "🦷 Zahnarzt fri 15:00 every friday #Home"

    view = dated.query("capture_bar:preview", line=line, captured_at=NOW, zone=NEW_YORK)

    assert view["title"] == "🦷 Zahnarzt"
    assert view["rule_text"] == "every Friday"
    units = line.encode("utf-16-le")
    told = [
        (units[2 * int(each["start"]) : 2 * int(each["end"])].decode("utf-16-le"), each["label"])
        for each in view["spans"]
    ]
    assert told == [
        ("fri", "Fri 30 Oct"),
        ("15:00", "15:00"),
        ("every friday", "every Friday"),
        ("#Home", "Home"),
    ]
    assert dated.query("boards:list") == []


def test_another_home_zone_moves_what_belongs_to_none(dated: Timeline) -> None:
    """Dates and times stay, their instants are those of the new home; the others stay put."""
    board = a_board(dated)
    many = [
        dated.do("tasks:add", board=board, title=str(n), due_date="2026-11-10", due_time="08:00")
        for n in range(201)
    ]
    day = dated.do("tasks:add", board=board, title="Day", due_date="2026-11-10")
    fixed = dated.do(
        "tasks:add",
        board=board,
        title="Fixed",
        due_date="2026-11-10",
        due_time="08:00",
        zone=NEW_YORK,
    )
    soon = dated.do("tasks:quick_add", line="Oven in 3 hours", captured_at=NOW, zone=NEW_YORK)

    dated.do("people:change_settings", home_zone="Europe/Berlin")
    dated.catch_up()

    def due(task: str) -> float:
        return float(dated.query("tasks:get", task=task)["due_at"])

    assert {due(task) for task in many} == {at("2026-11-10T08:00", "Europe/Berlin")}
    assert due(day) == at("2026-11-11T00:00", "Europe/Berlin")
    assert due(fixed) == at("2026-11-10T08:00")
    assert due(soon["id"]) == NOW + 3 * 3_600_000


# --- Lists


def titles(flow: Timeline, path: str) -> list[str]:
    return [task["title"] for task in flow.query(path)]


def test_what_is_due_moves_from_list_to_list_as_time_passes(dated: Timeline) -> None:
    """A task is upcoming, then of today, then overdue, and in one of them at a time."""
    board = a_board(dated)
    for title, date, time in [
        ("yesterday", "2026-10-27", None),
        ("this morning", "2026-10-28", "08:00"),
        ("tonight", "2026-10-28", "21:00"),
        ("some time today", "2026-10-28", None),
        ("first thing tomorrow", "2026-10-29", "00:00"),
        ("tomorrow", "2026-10-29", None),
        ("in a week", "2026-11-04", "09:00"),
        ("later", "2026-11-05", None),
    ]:
        dated.do("tasks:add", board=board, title=title, due_date=date, due_time=time)
    dated.do("tasks:add", board=board, title="never")
    done = dated.do("tasks:add", board=board, title="done", due_date="2026-10-28")
    dated.do("tasks:complete", task=done)

    def lists() -> tuple[list[str], list[str], dict[str, list[str]]]:
        today = dated.query("tasks:today")
        soon = dated.query("tasks:upcoming")
        return (
            titles(dated, "tasks:overdue"),
            [task["title"] for task in today["tasks"]],
            {day["date"]: [task["title"] for task in day["tasks"]] for day in soon},
        )

    assert lists() == (
        ["yesterday", "this morning"],
        ["tonight", "some time today"],
        {"2026-10-29": ["first thing tomorrow", "tomorrow"], "2026-11-04": ["in a week"]},
    )
    dated.clock[0] = at("2026-10-28T21:00")
    assert lists()[0] == ["yesterday", "this morning", "tonight"]
    assert lists()[1] == ["some time today"]
    dated.clock[0] = at("2026-10-29T00:00")
    assert lists() == (
        ["yesterday", "this morning", "tonight", "some time today", "first thing tomorrow"],
        ["tomorrow"],
        {"2026-11-04": ["in a week"], "2026-11-05": ["later"]},
    )


def test_a_day_is_that_of_home(dated: Timeline) -> None:
    """What is due tonight in New York is due tomorrow in Berlin, for whoever lives there."""
    board = a_board(dated)
    dated.do(
        "tasks:add",
        board=board,
        title="Call",
        due_date="2026-10-28",
        due_time="21:00",
        zone=NEW_YORK,
    )

    before = dated.query("tasks:today")["tasks"]
    dated.do("people:change_settings", home_zone="Europe/Berlin")
    dated.catch_up()
    [day] = dated.query("tasks:upcoming")

    assert [task["title"] for task in before] == ["Call"]
    assert dated.query("tasks:today")["tasks"] == []
    assert day["date"] == "2026-10-29"


def test_days_are_asked_for_in_reason(dated: Timeline) -> None:
    """None, and more than a year, are mistakes."""
    with pytest.raises(Said, match="1 to 366"):
        dated.query("tasks:upcoming", days=0)
