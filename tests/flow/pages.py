"""A web server on this machine with the pages that one meets: good, huge, slow and broken ones."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import trio
from attrs import define, field

HUGE_BYTES = 30_000_000


@define
class Pages:
    """The server: what was asked of it, and how much it could send of what is huge."""

    port: int
    asked: list[str] = field(factory=list[str])
    sent: int = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def _serve(self, stream: trio.SocketStream) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            chunk = await stream.receive_some(65_536)
            if not chunk:
                return
            request += chunk
        path = request.split()[1].decode()
        self.asked.append(path)
        if path == "/packs" and b"gzip" in request:
            path = "/packed"
        # Whoever asked may have heard enough.
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._answer(stream, path)

    async def _answer(self, stream: trio.SocketStream, path: str) -> None:
        if path == "/hangs":
            await trio.sleep_forever()
        if path == "/hangs-later":
            await stream.send_all(head("text/html") + b"<p>and now")
            await trio.sleep_forever()
        if path == "/huge":
            await self._send_huge(stream)
            return
        if path.startswith("/to/"):
            target = path.removeprefix("/to")
            await stream.send_all(
                f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
            )
            return
        await stream.send_all(ANSWERS.get(path, NOT_FOUND))

    async def _send_huge(self, stream: trio.SocketStream) -> None:
        await stream.send_all(head("text/html") + b"<html><head><title>Huge")
        filler = b"</title>" + b"<!-- filler -->" * 4_000
        while self.sent < HUGE_BYTES:
            await stream.send_all(filler)
            self.sent += len(filler)


def head(content_type: str, status: str = "200 OK", more: str = "") -> bytes:
    kind = f"Content-Type: {content_type}\r\n" if content_type else ""
    return f"HTTP/1.1 {status}\r\n{kind}{more}Connection: close\r\n\r\n".encode()


def page(
    title: str, encoding: str = "utf-8", content_type: str = "text/html", meta: str = ""
) -> bytes:
    html = f"<!doctype html><html><head>{meta}<title>{title}</title></head><body>Hi</body></html>"
    return head(content_type) + html.encode(encoding)


NOT_FOUND = head("text/html", "404 Not Found") + b"<title>Lost</title>"
OG = '<meta property="og:title" content="For those who &amp; share">'
ANSWERS = {
    "/plain": page("  A\n page &amp; more "),
    "/shared": page("Its own", meta=OG),
    "/empty-shared": page("Its own", meta='<meta property="og:title" content=" ">'),
    "/none": head("text/html") + b"<h1>No title</h1><svg><title>A picture</title></svg>",
    "/long": page("long " * 1_000),
    "/latin": page("Caf\u00e9 \u20ac", "cp1252", "text/html; charset=ISO-8859-1"),
    "/meta": page(
        "\u041f\u0440\u0438\u0432\u0435\u0442", "windows-1251", meta='<meta charset="windows-1251">'
    ),
    "/japan": page("\u65e5\u672c", "shift_jis", "text/html; charset=Shift_JIS"),
    "/utf16": head("text/html") + b"\xff\xfe" + "<title>Wide</title>".encode("utf-16-le"),
    "/wrong": page("Caf\u00e9", "cp1252", "text/html"),
    "/unknown": page("Caf\u00e9", "utf-8", "text/html; charset=klingon"),
    "/hex": page("Caf\u00e9", "utf-8", "text/html; charset=hex"),
    "/cut": head("text/html", more="Content-Length: 1000\r\n") + b"<title>Cut</title>",
    "/pdf": head("application/pdf") + b"%PDF-1.4",
    "/packed": head("text/html", more="Content-Encoding: gzip\r\n") + b"\x1f\x8b",
    "/packs": page("Not packed"),
    "/untyped": page("Untyped", content_type=""),
    "/garbage": b"This is no HTTP\r\n\r\n",
    "/control": page("A\x07bell\u200b and \u202e right to left"),
}


@asynccontextmanager
async def open_pages() -> AsyncGenerator[Pages]:
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        pages = Pages(listeners[0].socket.getsockname()[1])
        nursery.start_soon(trio.serve_listeners, pages._serve, listeners)
        yield pages
        nursery.cancel_scope.cancel()
