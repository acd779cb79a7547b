"""Titles of pages, from a server on this machine and from bytes."""

from collections.abc import AsyncIterator

import httpx
import pytest
import trio

from flow.text import page_title
from flow.text.page_title import READ_MAX, title_at, title_of
from flow_backend import AppError
from tests.flow.pages import HUGE_BYTES, Pages, open_pages


@pytest.fixture
async def pages() -> AsyncIterator[Pages]:
    async with open_pages() as opened:
        yield opened


async def ask(url: str) -> str | None:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await title_at(http, url)


async def refusal(url: str) -> str:
    with pytest.raises(AppError) as refused:
        await ask(url)
    return str(refused.value.data)


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/plain", "A page & more"),
        ("/shared", "For those who & share"),
        ("/empty-shared", "Its own"),
        ("/none", None),
        ("/latin", "Café €"),
        ("/meta", "Привет"),
        ("/japan", "日本"),
        ("/utf16", "Wide"),
        ("/wrong", "Café"),
        ("/unknown", "Café"),
        ("/hex", "Café"),
        ("/untyped", "Untyped"),
        ("/packs", "Not packed"),
        ("/control", "A bell and right to left"),
        ("/to/to/to/plain", "A page & more"),
    ],
)
async def test_titles_of_all_kinds_of_pages(pages: Pages, path: str, title: str | None) -> None:
    assert await ask(pages.url(path)) == title


async def test_a_long_title_is_cut(pages: Pages) -> None:
    title = await ask(pages.url("/long"))
    assert title is not None
    assert len(title) == page_title.TITLE_MAX
    assert title.endswith("…")


async def test_of_a_huge_page_only_the_beginning_is_read(pages: Pages) -> None:
    """The rest would only fill the memory, and the line to the world."""
    assert await ask(pages.url("/huge")) == "Huge"
    assert READ_MAX <= pages.sent < HUGE_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/hangs", "/hangs-later"])
async def test_a_page_that_hangs_is_given_up(
    pages: Pages, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(page_title, "SECONDS_MAX", 0.1)
    assert await refusal(pages.url(path)) == f"{pages.url(path)} did not answer within 0.1 s."


@pytest.mark.slow
async def test_why_there_is_no_title_is_said(pages: Pages) -> None:
    """It stands in the record of the job, for whoever asks why."""
    said = {
        "/lost": "answered 404.",
        "/pdf": "is no page: it is application/pdf.",
        "/packed": "answers packed, though it was asked not to.",
        "/garbage": "cannot be read:",
        "/cut": "cannot be read:",
        "/to/lost": "answered 404.",
    }
    for path, words in said.items():
        assert words in await refusal(pages.url(path)), path
    assert "cannot be read:" in await refusal("http://127.0.0.1:1/")
    assert "cannot be read:" in await refusal("http://[")


async def test_redirects_in_a_circle_end(pages: Pages, nursery: trio.Nursery) -> None:
    async def turn(stream: trio.SocketStream) -> None:
        await stream.receive_some(65_536)
        await stream.send_all(b"HTTP/1.1 302 F\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, turn, listeners)

    said = await refusal(f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/")

    assert "cannot be read: Exceeded maximum allowed redirects." in said
    nursery.cancel_scope.cancel()


def test_a_title_that_is_cut_off_amid_a_character() -> None:
    """The first 256 KB may end anywhere."""
    page = "<title>Café é".encode()
    assert title_of(page[:-1], "text/html") == "Café"
    assert title_of(b"", "text/html") is None
