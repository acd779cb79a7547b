"""What a new connection wants: a session, or anything else that HTTP can say."""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha1
from typing import Final

import h11
import orjson
from attrs import define, field, frozen

from flow_backend.sync.client_identity import ClientIdentity, client_of

_WEBSOCKET_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SYNC_PATH: Final = re.compile(r"/api/(?:([^/]+)/)?sync")
_SYNC_LINE: Final = re.compile(rb"GET /api/(?:[^/ ?]+/)?sync[ ?]")
_HEAD_END: Final = re.compile(rb"\n\r?\n")
_HEAD_END_BYTES: Final = 3
_KEY_BYTES: Final = 16
_REASONS: Final = {400: b"Bad Request", 403: b"Forbidden", 426: b"Upgrade Required"} | {
    404: b"Not Found",
    431: b"Request Header Fields Too Large",
    429: b"Too Many Requests",
    503: b"Service Unavailable",
}


@frozen
class Upgrade:
    """A client asks for a session: what to answer, who it is, and what it sent already.

    ``forwarded`` are the headers in which proxies say for whom they speak.
    """

    answer: bytes
    client: ClientIdentity
    rest: bytes
    forwarded: tuple[str, ...] = ()


@frozen
class Plain:
    """Anything else: the bytes that were read go to the HTTP server."""

    data: bytes


@frozen
class Refusal:
    """A request that gets no further: the whole answer, after which the connection ends."""

    answer: bytes


Opening = Upgrade | Plain | Refusal


@define
class OpeningReader:
    """Takes the first bytes of a connection until its first head is whole.

    Only the head of a request for a session is parsed here; others go on as they are.
    """

    head_bytes_max: int
    origins: Sequence[str] = ()
    _data: bytearray = field(factory=bytearray)
    _size: int = 0
    _connection: h11.Connection | None = field(default=None)

    def feed(self, data: bytes) -> Opening | None:
        """Take bytes; None as long as more are needed. Empty ``data`` says that none will come."""
        if self._connection is not None:
            return self._parse(data)
        looked_at = len(self._data)
        self._data += data
        if _SYNC_LINE.match(self._data):
            self._connection = h11.Connection(
                h11.SERVER, max_incomplete_event_size=self.head_bytes_max
            )
            return self._parse(bytes(self._data))
        # The end of the head may lie across two pieces; what was looked at is not looked at again.
        ends = _HEAD_END.search(self._data, max(0, looked_at - _HEAD_END_BYTES))
        if ends or not data or len(self._data) > self.head_bytes_max:
            return Plain(bytes(self._data))
        return None

    def _parse(self, data: bytes) -> Opening | None:
        assert self._connection is not None
        self._size += len(data)
        try:
            self._connection.receive_data(data)
            event = self._connection.next_event()
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint if error.error_status_hint in _REASONS else 400
            return refusal(status, "BadRequest", f"This is no request in HTTP/1.1: {error}.")
        if event is h11.NEED_DATA:
            return None
        if not isinstance(event, h11.Request):
            return Plain(b"")  # The peer hung up.
        rest = self._connection.trailing_data[0]
        if self._size - len(rest) > self.head_bytes_max:
            # h11 bounds what is unfinished: a head that a last piece completes may be longer.
            return refusal(431, "BadRequest", f"A head has at most {self.head_bytes_max} bytes.")
        return answer_upgrade(event, rest, self.origins)


def answer_upgrade(request: h11.Request, rest: bytes, origins: Sequence[str]) -> Opening:
    """Decide on a request for a session. No extension is agreed on, compression least of all.

    Source: RFC 6455, section 4.2; the sync protocol, "Endpoint".
    """
    headers = _joined(request.headers)
    target = request.target.decode("latin-1").partition("?")[0]
    path = _SYNC_PATH.fullmatch(target)
    assert path is not None, target  # The first line was matched before.
    client = client_of(path[1], headers.get("convex-client"))
    if path[1] is not None and client.name != "npm":
        return refusal(
            400, "InvalidVersion", "The path names no version of a client: /api/1.48.0/sync does."
        )
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    if request.http_version != b"1.1" or has_body:
        # A proxy in between would take what follows for a body, and frames for its next request.
        return refusal(400, "BadRequest", "An upgrade is a request in HTTP/1.1 without a body.")
    if not _names(headers, "upgrade", "websocket") or not _names(headers, "connection", "upgrade"):
        return refusal(
            426, "UpgradeRequired", "This address speaks WebSocket.", upgrade="websocket"
        )
    if headers.get("sec-websocket-version") != "13":
        return refusal(
            426,
            "UpgradeRequired",
            "This server speaks version 13 of WebSocket.",
            sec_websocket_version="13",
        )
    key = headers.get("sec-websocket-key", "").strip()
    if not _is_key(key):
        return refusal(400, "BadRequest", "Sec-WebSocket-Key is 16 bytes in base64.")
    origin = headers.get("origin")
    if origin is not None and not origin_allowed(origin, origins):
        return refusal(
            403, "OriginNotAllowed", "Pages of this origin may not call (setting FLOW_ORIGINS)."
        )
    # SHA-1 is what the protocol asks for; nothing secret hangs on it.
    digest = sha1(key.encode() + _WEBSOCKET_GUID, usedforsecurity=False).digest()
    answer = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n\r\n" % b64encode(digest)
    )
    forwarded = [value for name, value in request.headers if name == b"x-forwarded-for"]
    return Upgrade(answer, client, rest, tuple(value.decode("latin-1") for value in forwarded))


def origin_allowed(origin: str, origins: Sequence[str]) -> bool:
    """Tell whether a page of this origin may call; an empty list allows all."""
    return not origins or origin in origins


def refusal(status: int, code: str, message: str, **headers: str) -> Refusal:
    """Write an answer with the error body that all clients know. It ends the connection."""
    body = orjson.dumps({"code": code, "message": message})
    lines = [b"HTTP/1.1 %d %b" % (status, _REASONS[status])]
    fields = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **{name.replace("_", "-").title(): value for name, value in headers.items()},
    }
    lines += [f"{name}: {value}".encode() for name, value in fields.items()]
    return Refusal(b"\r\n".join(lines) + b"\r\n\r\n" + body)


def _joined(lines: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Give each header by its name; one that stands on several lines is a list with commas."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in lines:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _names(headers: Mapping[str, str], header: str, token: str) -> bool:
    given = headers.get(header, "").split(",")
    return any(part.strip().lower() == token for part in given)


def _is_key(key: str) -> bool:
    try:
        return len(b64decode(key, validate=True)) == _KEY_BYTES
    except ValueError:
        return False
