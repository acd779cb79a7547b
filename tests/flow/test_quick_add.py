"""Quick add, row by row, and what holds for any line."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flow.quick_add.parse import parse
from flow.quick_add.result import Names, QuickAdd
from flow.settings import Settings
from flow.time.instants import to_instant, to_wall
from tests.effort import cases

TABLE = json.loads(Path("fixtures/quick_add.json").read_text())
NAMES = Names(projects=TABLE["projects"], people=TABLE["people"])
ZONE = "America/New_York"
NOW = to_instant(datetime.fromisoformat("2026-10-28T09:30"), ZONE)


def shown(item: QuickAdd) -> dict[str, Any]:
    """Write an item as the rows of the table do: what is not there is left out."""
    row: dict[str, Any] = {"title": item.title}
    if item.kind != "task":
        row["kind"] = item.kind
    if item.due_date is not None:
        row["due"] = f"{item.due_date}" + (f"T{item.due_time:%H:%M}" if item.due_time else "")
    for name in ("zone", "duration", "rule", "project", "section", "priority"):
        if (value := getattr(item, name)) is not None:
            row[name] = value
    if item.anchor == "done":
        row["anchor"] = "done"
    if item.reminders is not None:
        row["reminders"] = list(item.reminders)
    for name in ("labels", "assignees", "warnings"):
        if value := getattr(item, name):
            row[name] = list(value)
    if item.body:
        row["body"] = item.body
    if item.hints:
        row["hints"] = [f"{each.text}→{each.meaning}".lstrip("→") for each in item.hints]
    return row


def read(line: str, now: float = NOW, zone: str = ZONE, words: str = "") -> QuickAdd:
    """Read a line by the table's clock, or another."""
    chosen = Settings()
    if "Sunday" in words:
        chosen = evolve(chosen, week_starts="sunday")
    if "day/month" in words:
        chosen = evolve(chosen, date_order="dmy")
    return parse(line, now, zone, chosen, NAMES)  # type: ignore[arg-type]  # Any number will do.


@pytest.mark.parametrize("row", TABLE["rows"], ids=lambda row: f"{row['row']}: {row['line']}")
def test_the_table_row_by_row(row: dict[str, Any]) -> None:
    """The acceptance test: what a line says, and the instant at which that is due."""
    now = to_instant(datetime.fromisoformat(row["now"]), row["zone"])

    item = read(row["line"], now, row["zone"], row.get("settings", ""))

    assert shown(item) == row["result"]
    due = item.due_at
    told = None if due is None else f"{to_wall(due, 'UTC'):%Y-%m-%dT%H:%MZ}"
    assert told == row["due_at"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Call Tom tomorrow", {"title": "Call Tom", "due": "2026-10-29"}),
        ("Dinner tonight at 8", {"title": "Dinner", "due": "2026-10-28T20:00"}),
        ("friday morning standup", {"title": "standup", "due": "2026-10-30T09:00"}),
        ("jan 5: dentist", {"title": "dentist", "due": "2027-01-05"}),
        ("Check (tomorrow 9am) status", {"title": "Check status", "due": "2026-10-29T09:00"}),
        ("Read book (friday)", {"title": "Read book", "due": "2026-10-30"}),
        (
            "Lunch 12:30-1:30pm fri",
            {"title": "Lunch", "due": "2026-10-30T12:30", "duration": "PT1H"},
        ),
        ("Meet 11-1pm tomorrow", {"title": "Meet", "due": "2026-10-29T11:00", "duration": "PT2H"}),
        (
            'Buy paint #"Garden Party"/Tools',
            {"title": "Buy paint", "project": "Garden Party", "section": "Tools"},
        ),
        ("Buy paint #home reno.", {"title": "Buy paint.", "project": "Home Reno"}),
        ("Finish eow", {"title": "Finish", "due": "2026-10-30"}),
        ("Plan next month", {"title": "Plan", "due": "2026-11-01"}),
        (
            "Pay rent every month on the last day",
            {"title": "Pay rent", "due": "2026-10-31", "rule": "FREQ=MONTHLY;BYMONTHDAY=-1"},
        ),
        (
            "Club every month on the 2nd tuesday",
            {"title": "Club", "due": "2026-11-10", "rule": "FREQ=MONTHLY;BYDAY=2TU"},
        ),
        (
            "Course every tue 18:00 until dec 15",
            {
                "title": "Course",
                "due": "2026-11-03T18:00",
                "rule": "FREQ=WEEKLY;BYDAY=TU;UNTIL=20261215",
            },
        ),
        (
            "Water plants every 10 days after completion",
            {
                "title": "Water plants",
                "due": "2026-10-28",
                "rule": "FREQ=DAILY;INTERVAL=10",
                "anchor": "done",
            },
        ),
        (
            "Call mom tomorrow 5pm, remind me at 4pm",
            {"title": "Call mom", "due": "2026-10-29T17:00", "reminders": ["2026-10-29T16:00"]},
        ),
        (
            "Meeting fri 3pm remind me 1 day and 30m before",
            {"title": "Meeting", "due": "2026-10-30T15:00", "reminders": ["-P1D", "-PT30M"]},
        ),
        (
            "Walk every 2 weeks on sun and mon",
            {"title": "Walk", "due": "2026-11-01", "rule": "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU"},
        ),
        ("Fix 10:30 bug", {"title": "Fix 10:30 bug"}),
        ("1/2 cup of milk", {"title": "1/2 cup of milk", "hints": ["1/2→2027-01-02"]}),
        ("note:", {"title": "note:"}),
        ("every friday", {"title": "every friday", "hints": ["needs a title"]}),
    ],
)
def test_lines_beside_the_table(line: str, expected: dict[str, Any]) -> None:
    """The rules hold for other lines, too."""
    assert shown(read(line)) == expected


def test_a_weekend_typed_at_the_weekend_is_this_one() -> None:
    """On a Sunday, "this weekend" cannot mean the Saturday after it."""
    sunday = to_instant(datetime.fromisoformat("2026-11-01T09:30"), ZONE)

    assert shown(read("Tidy this weekend", sunday))["due"] == "2026-11-01"
    assert shown(read("Tidy next weekend", sunday))["due"] == "2026-11-14"


def test_what_week_a_repeat_counts_in_follows_the_setting() -> None:
    """Sunday and Monday of every second week are of one week, or of two."""
    line = "Walk every 2 weeks on sun and mon"

    item = read(line, words="week starts Sunday")

    assert item.rule == "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU"


# --- Any line at all

_WORDS = st.sampled_from(
    [
        *("buy", "milk", "Call", "the", "for", "at", "on", "by", "to", "and", "every", "every!"),
        *("friday", "fri", "mon-fri", "next", "week", "weekend", "tomorrow", "tonight", "today"),
        *("5pm", "10:30", "noon", "2-4pm", "in", "20", "min", "jan", "5", "31st", "feb", "30"),
        *("2026-12-24", "12/31", "+2h", "+3d", "p1", "#Work", "#Home", "Reno", "@shop", "+anna"),
        *("remind", "me", "30m", "before", "!15m", "starting", "until", "3", "times", "weekly"),
        *("//", '"', "\\friday", "`x`", "[[a", "b]]", "http://a/b", "(", ")", "note:", "eod"),
        *("other", "2nd", "last", "workday", "of", "month", "morning", "UTC", "no", "reminder"),
        *("half", "an", "hour", "day", "after", "completion", "9:30", "12am", "midnight", "24/7"),
    ]
)
LINES = st.one_of(st.lists(_WORDS, max_size=10).map(" ".join), st.text(max_size=60))
WHENS = st.datetimes(datetime.fromisoformat("1971-01-01"), datetime.fromisoformat("2100-01-01"))


@given(LINES, WHENS, st.sampled_from(["America/New_York", "Europe/Berlin", "UTC", "Asia/Kolkata"]))
@settings(max_examples=cases(2_000, 30_000))
@example("remind me", datetime.fromisoformat("2026-10-28T09:30"), "UTC")
def test_nothing_is_read_silently(line: str, wall: datetime, zone: str) -> None:
    """Every word is in the title, or in a phrase that was read; and nothing is raised."""
    item = read(line, to_instant(wall, zone), zone)

    if not line.split():
        assert item.title == ""
        return
    assert item.title
    place = 0
    for span in item.spans:
        assert place <= span.start < span.end <= len(line)
        place = span.end
    left = list(line)
    for span in item.spans:
        left[span.start : span.end] = " " * (span.end - span.start)
    for word in re.findall(r"\w+", "".join(left)):
        assert word in item.title
    if item.due_time is not None:
        assert item.due_date is not None
        assert item.due_at is not None
    if item.rule is None:
        assert item.anchor == "schedule"


@given(LINES)
@settings(max_examples=cases(1_000, 10_000))
def test_a_backslash_takes_a_reading_back(line: str) -> None:
    """The chip's × does that: the phrase stays, as text, and no other reading is lost by it."""
    item = read(line)
    dates = [span for span in item.spans if span.kind in {"label", "priority", "project"}]
    if not dates or "\\" in line:
        return
    span = dates[0]

    again = read(line[: span.start] + "\\" + line[span.start :])

    assert all(each.start != span.start for each in again.spans)
    first = line[span.start : span.end].split()[0]
    assert first in again.title or again.title.startswith("\\")


@pytest.mark.slow
@pytest.mark.parametrize("part", ["remind me ", "every day until ", "every ", "every 2 ", "at 5 "])
def test_a_hostile_line_is_read_soon_and_kept_whole(part: str) -> None:
    """Anybody may send one: without a bound on what is read, such a line took many minutes.

    No time is asserted; without the bound this test does not end.
    """
    text = (part * 5_000)[:9_990].strip() + " x"

    item = read(text)

    assert item.title.endswith(" x")
    assert len(item.title) > 9_000


def test_a_phrase_behind_the_part_that_is_read_is_title() -> None:
    """The first 500 characters are read, and no word of the rest is lost."""
    rest = " ".join(["word"] * 120)

    item = read(f"call tomorrow {rest} friday p1")

    assert (str(item.due_date), item.priority) == ("2026-10-29", None)
    assert item.title == f"call {rest} friday p1"
