"""Captures: put down once, listed, triaged once, and what their links are called."""

import time
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import pytest

from flow import captures
from flow.captures import first_address
from flow_backend.actors.backend import BackendSettings
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
        "parsed_kind": capture["parsed_kind"],
        "state": "open",
        "became": None,
        "settled_at": None,
    }


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
    before = time.time() * 1000 - 1
    for number, at in enumerate([-5.0, 9e15]):
        add(flow, str(number), at=at, zone="Mars/Base")

    for capture in flow.query("captures:list"):
        assert before < capture["captured_at"] <= time.time() * 1000
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


@pytest.mark.slow
async def test_the_title_of_a_link_is_fetched(outside: RunningFlow, pages: Pages) -> None:
    """By the action that the capture schedules."""
    url = pages.url("/to/shared")
    capture = await capture_link(outside, url)

    await outside.act("captures:fetch_title", capture=capture, url=url)

    [found] = await outside.query("captures:list")
    assert found["url"] == url
    assert found["page_title"] == "For those who & share"


async def test_why_a_link_has_no_title_is_told_to_the_job(
    outside: RunningFlow, pages: Pages
) -> None:
    """The capture itself is as good as before."""
    for path, words in {"/none": "has no title", "/lost": "answered 404"}.items():
        capture = await capture_link(outside, pages.url(path))
        with pytest.raises(Said, match=words):
            await outside.act("captures:fetch_title", capture=capture, url=pages.url(path))

    assert [c["page_title"] for c in await outside.query("captures:list")] == [None, None]


async def test_an_address_inside_is_not_asked(running: RunningFlow, pages: Pages) -> None:
    """Else whoever may put down a line could look around in the network of the server."""
    capture = await capture_link(running, pages.url("/plain"))

    with pytest.raises(AssertionError, match="no public address"):
        await running.act("captures:fetch_title", capture=capture, url=pages.url("/plain"))

    assert pages.asked == []
