"""Captures: put down once, listed, triaged once, and what their links are called."""

from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import pytest
import trio

from flow import captures
from flow.captures import first_address
from flow_backend.actors.settings import BackendSettings
from tests.flow.pages import Pages, open_pages
from tests.flow.support import Flow, RunningFlow, Said, open_running_flow

ZONE = "Europe/Berlin"
AT = 1_790_000_000_000.0


def add(flow: Flow, line: str, key: str | None = None, at: float = AT, zone: str = ZONE) -> str:
    made = flow.do("captures:add", line=line, captured_at=at, zone=zone, key=key or line)
    return str(made)


def lines(flow: Flow) -> list[str]:
    return [capture["text"] for capture in flow.query("captures:list")]


def refusal(flow: Flow, path: str, **arguments: object) -> str:
    with pytest.raises(Said) as refused:
        flow.do(path, **arguments)
    return str(refused.value)


def test_captures_are_listed_by_when_they_were_put_down(flow: Flow) -> None:
    """Not by when they came: a phone may send them hours later, in another order."""
    add(flow, "second", at=AT + 1)
    add(flow, " the \n first ", at=AT)
    add(flow, "third", at=AT + 2)

    assert lines(flow) == ["third", "second", "the first"]
    [capture, *_] = flow.query("captures:list")
    assert {name: capture[name] for name in capture if not name.startswith("_")} == {
        "text": "third",
        "key": "third",
        "captured_at": AT + 2,
        "zone": ZONE,
        "url": None,
        "page_title": None,
        "parsed_kind": "task",
        "state": "open",
        "became": None,
        "settled_at": None,
    }


def test_what_a_line_reads_like_is_noted(flow: Flow) -> None:
    """So that the inbox can offer the likely one first."""
    for line in ("milk", "note: milk", "remind me to get milk tomorrow"):
        add(flow, line)
    kinds = [capture["parsed_kind"] for capture in flow.query("captures:list")]
    assert kinds == ["reminder", "note", "task"]


def test_a_line_that_is_sent_again_is_one_capture(flow: Flow) -> None:
    """The device could not know that the first time had worked; also after it was removed."""
    first = add(flow, "milk", key="a")

    again = flow.mutate("captures:add", line="milk", captured_at=AT, zone=ZONE, key="a")
    assert (again.value, again.written) == (first, 0)
    assert add(flow, "milk", key="b") != first
    assert lines(flow) == ["milk", "milk"]

    flow.do("captures:remove", capture=first)
    assert add(flow, "milk", key="a") == first
    assert lines(flow) == ["milk"]
    assert flow.mutate("captures:remove", capture=first).written == 0


def test_no_line_is_lost_by_a_wrong_clock_or_zone(flow: Flow) -> None:
    """The line is what counts; when and where it was is put right."""
    flow.do("people:change_settings", home_zone="Asia/Tokyo")
    before = flow.app.now
    for number, at in enumerate([-5.0, 9e15]):
        add(flow, str(number), at=at, zone="Mars/Base")

    for capture in flow.query("captures:list"):
        assert before < capture["captured_at"] <= flow.app.now
        assert capture["zone"] == "Asia/Tokyo"


def test_a_line_that_is_none_is_refused(flow: Flow) -> None:
    given: dict[str, Any] = {"captured_at": AT, "zone": ZONE}
    assert "Type at least one letter" in refusal(flow, "captures:add", line=" \n", key="k", **given)
    long = "x" * (captures.LINE_MAX + 1)
    said = refusal(flow, "captures:add", line=long, key="k", **given)
    assert "2001 characters; 2000 is the most. Put a longer text into a note." in said
    for key in ("", "k" * 101):
        assert "such as a UUID" in refusal(flow, "captures:add", line="x", key=key, **given)
    assert lines(flow) == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("see https://example.com/a?b=c#d tomorrow", "https://example.com/a?b=c#d"),
        ("(https://example.com/a).", "https://example.com/a"),
        ("https://example.com/a_(b), or", "https://example.com/a_(b)"),
        ("<https://example.com>", "https://example.com"),
        ("HTTPS://Example.com!", "HTTPS://Example.com"),
        ("https:// http://x", "http://x"),
        ("example.com ftp://example.com https://", None),
    ],
)
def test_the_address_in_a_line(text: str, address: str | None) -> None:
    assert first_address(text) == address


# --- Triage


def triage(flow: Flow, capture: str, kind: str, **given: object) -> dict[str, Any]:
    return dict(flow.do("captures:triage", capture=capture, kind=kind, **given))


def test_a_capture_becomes_a_note(flow: Flow) -> None:
    """What it says is not read further: a date in a note is a date in a note."""
    capture = add(flow, "the meter stood at 48,213 on friday")

    became = triage(flow, capture, "note")

    note = flow.query("notes:get", note=became["id"])["note"]
    assert became["kind"] == "note"
    assert note["title"] == "the meter stood at 48,213 on friday"
    assert (note["body"], note["capture"]) == ("", capture)
    assert lines(flow) == []


@pytest.mark.parametrize(
    ("line", "title", "body"),
    [
        ("note: the meter stood at 3", "the meter stood at 3", ""),
        ("Read https://e.org/a.", "Read https://e.org/a.", "<https://e.org/a>"),
        ("https://e.org/a", "Its title", "<https://e.org/a>"),
        ("word " * 60 + "end", "word " * 39 + "word…", "word " * 60 + "end"),
    ],
)
def test_what_a_note_of_a_capture_says(flow: Flow, line: str, title: str, body: str) -> None:
    capture = add(flow, line, key="k")
    if "://" in line:
        flow.internally("captures:note_title", capture=capture, title="Its title")

    became = triage(flow, capture, "note")

    note = flow.query("notes:get", note=became["id"])["note"]
    assert (note["title"], note["body"]) == (title, body)


def test_a_capture_becomes_a_reminder_at_the_time_that_was_meant(flow: Flow) -> None:
    """It was put down in New York, on Wednesday: nine on Friday is nine there."""
    wednesday = 1_793_194_200_000.0  # 2026-10-28T13:30Z, 09:30 in New York.
    flow.do("people:change_settings", home_zone="Europe/Berlin")
    zone = "America/New_York"
    capture = add(flow, "remind me to call the bank friday 9am", at=wednesday, zone=zone)

    became = triage(flow, capture, "reminder")

    [reminder] = flow.rows("reminders")
    assert became == {"kind": "reminder", "id": reminder["_id"]}
    assert (reminder["title"], reminder["capture"]) == ("call the bank", capture)
    assert (reminder["due_date"], reminder["due_time"]) == ("2026-10-30", "09:00")
    assert reminder["zone"] == zone
    assert reminder["next_at"] == 1_793_365_200_000.0  # 13:00Z: not yet winter there.


def test_a_reminder_without_a_time_asks_for_one(flow: Flow) -> None:
    """And takes the line with it, then."""
    capture = add(flow, "call the bank")

    said = refusal(flow, "captures:triage", capture=capture, kind="reminder")
    assert said.startswith('"call the bank" does not say when to remind you. Add a time')
    assert lines(flow) == ["call the bank"]

    triage(flow, capture, "reminder", line="call the bank every monday 10:00")
    [reminder] = flow.rows("reminders")
    assert (reminder["title"], reminder["due_time"]) == ("call the bank", "10:00")
    assert reminder["rule"] == "FREQ=WEEKLY;BYDAY=MO"


def test_a_capture_becomes_a_task(flow: Flow) -> None:
    """On the board that is named, else on the oldest; the first one makes a board."""
    made = triage(flow, add(flow, "milk"), "task")
    board = flow.board()
    triage(flow, add(flow, "bread"), "task")
    capture = add(flow, "eggs")
    there = triage(flow, capture, "task", board=board)

    [tasks] = [each for each in flow.query("boards:list") if each["_id"] != board]
    assert tasks["title"] == "Tasks"
    assert flow.titles(tasks["_id"]) == ["milk", "bread"]
    assert flow.titles(board) == ["eggs"]
    assert made["id"] == flow.tasks(tasks["_id"])[0]["_id"]
    assert flow.query("tasks:get", task=there["id"])["capture"] == capture
    long = triage(flow, add(flow, "word " * 50 + "end", key="long"), "task")
    task = flow.query("tasks:get", task=long["id"])
    assert (len(task["title"]), task["body"]) == (200, "word " * 50 + "end")


def test_a_capture_is_triaged_once(flow: Flow) -> None:
    """Two windows sort the same inbox: the second gets what the first made."""
    capture = add(flow, "milk")
    first = triage(flow, capture, "note")

    again = flow.mutate("captures:triage", capture=capture, kind="note", line="other")

    assert (again.value, again.written) == (first, 0)
    assert len(flow.query("notes:list")) == 1


def test_what_was_triaged_is_listed_with_what_it_became(flow: Flow) -> None:
    made = [triage(flow, add(flow, str(number)), "note") for number in range(22)]

    recent = flow.query("captures:recent")

    assert [capture["became"] for capture in recent] == made[:1:-1]
    flow.do("captures:remove", capture=recent[0]["_id"])
    assert flow.query("captures:recent")[0]["became"] == made[-2]
    assert len(flow.query("notes:list")) == 22


def test_what_is_gone_cannot_be_triaged(flow: Flow) -> None:
    capture = add(flow, "milk")
    flow.do("captures:remove", capture=capture)
    for kind in ("note", "task", "reminder"):
        said = refusal(flow, "captures:triage", capture=capture, kind=kind)
        assert said == "This line is gone: someone has removed it."


# --- Titles of links


@pytest.fixture
async def outside() -> AsyncIterator[RunningFlow]:
    """The app in the whole backend, which may call this machine."""
    settings = BackendSettings(outgoing_allow=(ip_network("127.0.0.0/8"),))
    async with open_running_flow(settings) as opened:
        yield opened


@pytest.fixture
async def pages() -> AsyncIterator[Pages]:
    async with open_pages() as opened:
        yield opened


async def capture_link(flow: RunningFlow, url: str) -> str:
    made = await flow.do("captures:add", line=f"Read {url}", captured_at=AT, zone=ZONE, key=url)
    return str(made)


async def ended_job(flow: RunningFlow, capture: str) -> dict[str, Any]:
    """Wait for the job of a capture, and give its record."""
    with trio.fail_after(30):
        while True:
            for job in flow.rows("_scheduled_functions"):
                if job["args"][0].get("capture") == capture and job["completedTime"] is not None:
                    return job
            await trio.sleep(0.01)


@pytest.mark.slow
async def test_the_title_of_a_link_is_fetched(outside: RunningFlow, pages: Pages) -> None:
    """Nobody waits for it: the capture is there at once, and the title comes."""
    capture = await capture_link(outside, pages.url("/to/shared"))

    job = await ended_job(outside, capture)

    assert (job["name"], job["state"]["kind"]) == ("captures:fetch_title", "success")
    [found] = await outside.query("captures:list")
    assert found["url"] == pages.url("/to/shared")
    assert found["page_title"] == "For those who & share"
    assert pages.asked == ["/to/shared", "/shared"]


@pytest.mark.slow
async def test_why_a_link_has_no_title_is_told_by_the_job(
    outside: RunningFlow, pages: Pages
) -> None:
    """The capture itself is as good as before."""
    for path, words in {"/none": "has no title", "/lost": "answered 404"}.items():
        job = await ended_job(outside, await capture_link(outside, pages.url(path)))
        assert job["state"]["kind"] == "failed"
        assert words in job["state"]["error"]

    assert [c["page_title"] for c in await outside.query("captures:list")] == [None, None]


async def test_an_address_inside_is_not_asked(running: RunningFlow, pages: Pages) -> None:
    """Else whoever may put down a line could look around in the network of the server."""
    job = await ended_job(running, await capture_link(running, pages.url("/plain")))

    assert "no public address" in job["state"]["error"]
    assert pages.asked == []
