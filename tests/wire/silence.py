"""Peers that say too little or take too little: raw sockets, each silent in a way of its own."""

import ctypes
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from attrs import define, field

from tests.server.stand_in import UPGRADE, masked

APP = """
import trio
from flow_backend import Document, document
from flow_backend import ActionCtx, MutationCtx, QueryCtx, action, mutation, query

@document("notes")
class Note(Document):
    text: str

@mutation
def write(ctx: MutationCtx, text: str) -> None:
    for note in ctx.db.scan(Note):
        ctx.db.delete(note.id)
    ctx.db.insert(Note(text=text))

@query
def texts(ctx: QueryCtx) -> list[str]:
    return [note.text for note in ctx.db.scan(Note)]

@query
def large(ctx: QueryCtx) -> str:
    return "x" * 15_000_000

@action
async def sleep(ctx: ActionCtx) -> None:
    await trio.sleep(3600)
"""

_SO_ATTACH_FILTER: Final = 26
_RETURN_NOTHING: Final = struct.pack("HBBI", 0x06, 0, 0, 0)
_NOBODY: Final = "00000000-0000-4000-8000-000000000000"


@define
class Peer:
    """One connection to a server."""

    address: tuple[str, int]
    receive_bytes: int | None = None
    link: socket.socket = field(init=False)
    _buffer: bytes = b""

    def __attrs_post_init__(self) -> None:
        self.link = socket.socket()
        if self.receive_bytes is not None:
            self.link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_bytes)
        self.link.settimeout(60)
        self.link.connect(self.address)

    def close(self) -> None:
        self.link.close()

    def send(self, data: bytes) -> None:
        self.link.sendall(data)

    def upgrade(self) -> "Peer":
        """Become a WebSocket."""
        self.send(UPGRADE % (b"/api/1.48.0/sync", b""))
        while b"\r\n\r\n" not in self._buffer:
            self._read_more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        assert b" 101 " in head, head
        return self

    def say(self, message: Mapping[str, Any]) -> None:
        self.send(masked(0x81, orjson.dumps(message)))

    def greet(self) -> "Peer":
        """Begin a session."""
        self.say({"type": "Connect", "sessionId": _NOBODY, "connectionCount": 0})
        return self

    def watch(self, path: str) -> "Peer":
        """Open the session's first query."""
        add: dict[str, Any] = {"type": "Add", "queryId": 0, "udfPath": path, "args": [{}]}
        edit = {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1}
        self.say({**edit, "modifications": [add]})
        return self

    def read_message(self) -> dict[str, Any]:
        """Read the next message; answer pings on the way."""
        while True:
            first, size = self._read(2)
            if size == 126:
                size = int.from_bytes(self._read(2), "big")
            elif size == 127:
                size = int.from_bytes(self._read(8), "big")
            payload = self._read(size)
            if first == 0x81:
                message: dict[str, Any] = orjson.loads(payload)
                return message
            assert first == 0x89, (first, payload)
            self.send(masked(0x8A, payload))

    def _read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._read_more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _read_more(self) -> None:
        piece = self.link.recv(1 << 20)
        assert piece, "the server hung up"
        self._buffer += piece

    def vanish(self) -> None:
        """Let the kernel drop all that comes: nothing is answered any more, not even with a reset.

        So it looks to the server when a machine loses its power or its network.
        """
        program = ctypes.create_string_buffer(_RETURN_NOTHING)
        packed = struct.pack("HL", 1, ctypes.addressof(program))
        self.link.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, packed)


def _says_nothing(_peer: Peer) -> None:
    pass


def _half_a_head(peer: Peer) -> None:
    peer.send(b"GET /api/sync HTTP/1.1\r\nHost: x\r\nUpgr")


def _half_a_plain_head(peer: Peer) -> None:
    peer.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")


def _half_a_body(peer: Peer) -> None:
    head = b"POST /api/mutation HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n{"
    peer.send(head % 1_000_000)


def _a_body_in_chunks(peer: Peer) -> None:
    head = b"POST /api/mutation HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    peer.send(head + b"1\r\n{\r\nff\r\n")


def _an_answer_unread(peer: Peer) -> None:
    peer.send(b"GET /api/query?path=notes:large HTTP/1.1\r\nHost: x\r\n\r\n")


def _answers_in_a_row_unread(peer: Peer) -> None:
    peer.send(20 * b"GET /api/query?path=notes:large HTTP/1.1\r\nHost: x\r\n\r\n")


def _a_direct_answer_unread(peer: Peer) -> None:
    body = b'{"path":"notes:large","args":{}}'
    head = b"POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    peer.send(head % len(body) + body)


def _a_session_that_never_begins(peer: Peer) -> None:
    peer.upgrade()


def _half_a_frame(peer: Peer) -> None:
    peer.upgrade().greet().send(masked(0x81, b"x" * 1000)[:300])


def _a_frame_without_a_payload(peer: Peer) -> None:
    peer.upgrade().greet().send(b"\x81\xff" + (30 << 20).to_bytes(8, "big"))


def _results_unread(peer: Peer) -> None:
    peer.upgrade().greet().watch("notes:large")


def _half_closed(peer: Peer) -> None:
    peer.upgrade().greet().watch("notes:texts")
    peer.link.shutdown(socket.SHUT_WR)


def _half_closed_before_the_head(peer: Peer) -> None:
    peer.send(b"GET / HT")
    peer.link.shutdown(socket.SHUT_WR)


def _vanished(peer: Peer) -> None:
    peer.upgrade().greet().watch("notes:texts").vanish()


def _vanished_amid_results(peer: Peer) -> None:
    peer.upgrade().greet().watch("notes:large").vanish()


SILENCES: Final[Mapping[str, Callable[[Peer], None]]] = {
    each.__name__.strip("_"): each
    for each in (
        *(_says_nothing, _half_a_head, _half_a_plain_head, _half_a_body, _a_body_in_chunks),
        *(_an_answer_unread, _answers_in_a_row_unread, _a_direct_answer_unread),
        *(_a_session_that_never_begins, _half_a_frame, _a_frame_without_a_payload),
        *(_results_unread, _half_closed, _half_closed_before_the_head),
        *(_vanished, _vanished_amid_results),
    )
}
"""Ways to be silent, by name."""
