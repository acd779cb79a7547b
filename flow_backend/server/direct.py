"""Calls of functions over HTTP, answered directly: the usual request of a usual client.

A request goes through hypercorn and Starlette for ten times what its mutation costs. So the plain
POST that all clients send is read here; whatever is unusual in the least goes the long way, with
all its bytes. Both ways end in the same functions and give the same answers.
"""

import re
import time
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, Literal, Protocol

import trio
from attrs import define, field, frozen
from starlette.responses import Response

from flow_backend.server.calls import FunctionApi, Kind, answered
from flow_backend.server.config import Settings
from flow_backend.server.metrics import ServerCounters

_LINE: Final = re.compile(rb"POST (/api/(query|mutation|action)) HTTP/1\.1")
_NAME: Final = re.compile(rb"[0-9A-Za-z-]+")
_LENGTH: Final = re.compile(r"0|[1-9][0-9]{0,6}")
_KINDS: Final[Mapping[bytes, Kind]] = {
    b"query": "query",
    b"mutation": "mutation",
    b"action": "action",
}
# What changes how a request is read or answered: all of it is understood on the long way only.
_UNUSUAL: Final = frozenset(
    {"connection", "content-encoding", "expect", "origin", "te", "trailer", "transfer-encoding"}
    | {"upgrade", "http2-settings"}
)
_HEADERS_MAX: Final = 50
_HEAD_BYTES_MAX: Final = 8 << 10
_BODY_BYTES_MAX: Final = 256 << 10
_LOOKS: Final = 8  # In the time that a connection may wait for its next call.
_REST_SECONDS: Final = 1.0
"""How long the rest of a request may take; the long way has its own patience, and begins anew."""


@frozen
class DirectCall:
    """A call that was read whole; ``rest`` are the bytes after it."""

    kind: Kind
    path: str
    headers: Mapping[str, str]
    body: bytes
    rest: bytes


def read_call(data: bytes, body_bytes_max: int) -> DirectCall | Literal["more", "unusual"]:
    """Read a request, if it is a usual call; else say whether more bytes could make it one.

    It accepts a part of what RFC 9112 allows, so that nothing is taken here that hypercorn would
    refuse, or read in another way.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return "more" if len(data) < _HEAD_BYTES_MAX else "unusual"
    line, *fields = data[:end].split(b"\r\n")
    called = _LINE.fullmatch(line)
    headers = _read_headers(fields)
    if called is None or headers is None or end > _HEAD_BYTES_MAX:
        return "unusual"
    length = headers.get("content-length", "")
    if not _LENGTH.fullmatch(length) or int(length) > min(body_bytes_max, _BODY_BYTES_MAX):
        return "unusual"
    start = end + 4
    stop = start + int(length)
    if len(data) < stop:
        return "more"
    path = called[1].decode()
    return DirectCall(_KINDS[called[2]], path, headers, data[start:stop], data[stop:])


def _read_headers(fields: list[bytes]) -> dict[str, str] | None:
    """Give the headers by their names in small letters; None if any of them is unusual."""
    headers: dict[str, str] = {}
    for one in fields:
        name, colon, value = one.partition(b":")
        text = value.strip(b" \t").decode("latin-1")
        if not (colon and _NAME.fullmatch(name) and text.isascii() and text.isprintable()):
            return None
        headers[name.decode().lower()] = text
    # One name twice leaves fewer headers than there were lines.
    if len(headers) != len(fields) or len(fields) > _HEADERS_MAX or not headers.get("host"):
        return None
    if headers.get("connection", "").lower() == "keep-alive":
        return headers if len(_UNUSUAL.intersection(headers)) == 1 else None
    return headers if _UNUSUAL.isdisjoint(headers) else None


class CallStream(Protocol):
    """A connection, as far as calls need it."""

    async def receive_some(self) -> bytes:
        """Read what has come; empty at the end."""
        ...

    async def send_all(self, data: bytes) -> None:
        """Write all of ``data``."""
        ...

    def unread(self, data: bytes) -> None:
        """Put bytes back, to be read first."""
        ...

    def abort(self) -> None:
        """Close at once; whoever reads is woken with an error."""
        ...


@define
class DirectCalls:
    """Answers usual calls on the connections that it is given, one after the other.

    Owns: which connections wait for their next call, since when, and that the server is stopping.
    """

    api: FunctionApi
    settings: Settings
    counters: ServerCounters
    _idle: dict[CallStream, float] = field(factory=dict[CallStream, float])
    _stopping: bool = False

    async def serve(self, stream: CallStream) -> bool:
        """Answer calls until something unusual comes, which is put back into ``stream``.

        Returns: whether the connection goes on; else it is to be closed.
        """
        data = await stream.receive_some()
        while True:
            call = read_call(data, self.settings.body_bytes_max)
            if call == "more":
                call, data = await self._read_rest(stream, data)
            if not isinstance(call, DirectCall):
                stream.unread(data)
                return True
            self.counters.http_requests += 1
            run = self.api.call(call.kind, call.headers, call.body)
            response = await answered(run, call.path, call.headers)
            await stream.send_all(written(response, closing=self._stopping))
            if self._stopping:
                return False
            data = call.rest or await self._next(stream)
            if not data:
                return False

    async def _read_rest(
        self, stream: CallStream, data: bytes
    ) -> tuple[DirectCall | Literal["more", "unusual"], bytes]:
        call: DirectCall | Literal["more", "unusual"] = "more"
        patience = min(_REST_SECONDS, self.settings.body_stall_seconds)
        with trio.move_on_after(patience):
            while call == "more" and (piece := await stream.receive_some()):
                data += piece
                call = read_call(data, self.settings.body_bytes_max)
        return call, data

    async def _next(self, stream: CallStream) -> bytes:
        """Wait for the next call; nothing comes if the client is done."""
        self._idle[stream] = trio.current_time()
        try:
            return await stream.receive_some()
        finally:
            del self._idle[stream]

    async def run(self) -> None:
        """End connections that wait too long for their next call, for as long as they are served.

        One task for all, since a deadline for each would cost as much as reading a call.
        """
        patience = self.settings.keep_alive_seconds
        while True:
            await trio.sleep(patience / _LOOKS)
            over = trio.current_time() - patience
            # The first have waited longest.
            for stream, since in self._idle.items():
                if since > over:
                    break
                stream.abort()

    def stop(self) -> None:
        """Close idle connections, and the others after the answer that is under way."""
        self._stopping = True
        for stream in tuple(self._idle):
            stream.abort()


def written(response: Response, *, closing: bool) -> bytes:
    """Write an answer as it goes onto the wire, with the headers that hypercorn would send."""
    status = response.status_code
    lines = [b"HTTP/1.1 %d %b" % (status, _REASONS.get(status, b""))]
    lines += [b"%b: %b" % header for header in response.raw_headers]
    lines.append(b"date: " + _date())
    if closing:
        lines.append(b"connection: close")
    return b"\r\n".join([*lines, b"", bytes(response.body)])


_REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
_dates: Final = {0: b""}


def _date() -> bytes:
    """Give the time as HTTP writes it; it changes once in a second."""
    now = int(time.time())
    found = _dates.get(now)
    if found is None:
        _dates.clear()
        found = _dates[now] = formatdate(now, usegmt=True).encode()
    return found
