"""The load's side of the sync protocol: raw sockets, and no more parsing than counting needs."""

import select
import socket
import time
from binascii import a2b_base64
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, TypeVar
from uuid import uuid4

import orjson

HEAD_BYTES: Final = 512
"""How much of a message is looked at; the versions of a transition stand within it."""

_RECEIVE_BYTES: Final = 1 << 18
_TS_CHARACTERS: Final = 12
_TEXT: Final = 0x81
_PING: Final = 0x89
_CLOSE: Final = 0x88

Address = tuple[str, int]
Queries = Sequence[tuple[str, dict[str, object]]]
"""Paths and arguments of what one client watches."""


class LoadError(Exception):
    """The server did something that makes the measurement void."""


def upgrade(address: Address) -> bytes:
    """Write the request by which npm's client 1.48.0 opens its WebSocket."""
    host, port = address
    return (
        f"GET /api/1.48.0/sync HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def client_frame(opcode: int, payload: bytes) -> bytes:
    """Write a client's frame; its mask is zero, so that masking costs the load nothing."""
    size = len(payload)
    if size < 126:
        header = bytes((opcode, 0x80 | size))
    elif size < 1 << 16:
        header = bytes((opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        header = bytes((opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    return header + b"\0\0\0\0" + payload


def text_frame(message: object) -> bytes:
    """Write a client's message."""
    return client_frame(_TEXT, orjson.dumps(message))


def connect_message() -> dict[str, object]:
    """Make the first message of a new client."""
    return {
        "type": "Connect",
        "sessionId": str(uuid4()),
        "connectionCount": 0,
        "lastCloseReason": "InitialConnect",
        "clientTs": 0,
    }


def add_queries(queries: Queries) -> dict[str, object]:
    """Make the message that subscribes a new client to queries, given by path and arguments."""
    added = [
        {"type": "Add", "queryId": number, "udfPath": path, "args": [arguments]}
        for number, (path, arguments) in enumerate(queries)
    ]
    return {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, "modifications": added}


def _size_and_start(data: memoryview, at: int, end: int) -> tuple[int, int] | None:
    """Give the payload's size and where it starts, None if the header is cut."""
    if end - at < 2:
        return None
    size = data[at + 1]
    if size < 126:
        return size, at + 2
    width = 2 if size == 126 else 8
    start = at + 2 + width
    return None if end < start else (int.from_bytes(data[at + 2 : start], "big"), start)


class Reader(Protocol):
    """What a hub looks after: a socket, and what is done with the bytes that it gives."""

    socket: socket.socket

    def feed(self, data: memoryview, /) -> None: ...


class Peer:
    """One connection: follows the frames, and remembers the newest timestamp that was shown.

    ``ts`` counts once the whole transition is there, as an application could use it only then.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.ts = 0
        self.transitions = 0
        self.transition_bytes = 0
        self._next_ts = 0
        self._left = 0
        self._cut = b""
        self._in_transition = False

    def send(self, message: object) -> None:
        """Send a message; it is small, so that the kernel takes it whole."""
        frame = text_frame(message)
        if self.socket.send(frame) != len(frame):
            raise LoadError("the server does not read: a small message was not taken whole")

    def feed(self, data: memoryview) -> None:
        """Take what the socket gave."""
        if self._cut:
            data = memoryview(self._cut + data)
            self._cut = b""
        at, end = 0, len(data)
        while at < end:
            if self._left:
                step = min(self._left, end - at)
                self._left -= step
                at += step
            else:
                found = _size_and_start(data, at, end)
                if found is None or end - found[1] < min(found[0], HEAD_BYTES):
                    self._cut = bytes(data[at:])
                    return
                opcode = data[at]
                self._left, at = found
                self._begin(opcode, bytes(data[at : at + min(self._left, HEAD_BYTES)]))
            if not self._left and self._in_transition:
                self._in_transition = False
                self.ts = self._next_ts
                self.transitions += 1
                self.shown()

    def shown(self) -> None:
        """A transition has arrived whole."""

    def answered(self, head: bytes) -> None:
        """The response to a mutation has arrived, or its beginning."""

    def _begin(self, opcode: int, head: bytes) -> None:
        if opcode == _TEXT:
            if head.startswith(b'{"type":"Transition"'):
                at = head.index(b'"ts":"', head.index(b'"endVersion"')) + 6
                self._next_ts = decode_ts(head[at : at + _TS_CHARACTERS])
                self._in_transition = True
                self.transition_bytes = self._left
            elif head.startswith(b'{"type":"MutationResponse"'):
                self.answered(head)
            elif not head.startswith(b'{"type":"Ping"'):
                raise LoadError(f"the server sent what nobody expected: {head!r}")
        elif opcode == _PING:
            self.socket.send(client_frame(0x8A, head))
        elif opcode == _CLOSE:
            raise LoadError(f"the server closed a connection: {head[2:]!r}")
        else:
            raise LoadError(f"the server sent a frame of another kind: {opcode:#x}")


def decode_ts(text: bytes) -> int:
    """Read a timestamp: base64 of eight bytes, the least one first."""
    return int.from_bytes(a2b_base64(text), "little")


PeerKind = TypeVar("PeerKind", bound=Peer)


class Writer(Peer):
    """A client that runs one mutation after the other."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.requests = 0
        self.answers = 0
        self.answer_ts = 0
        self.result: object = None
        self.on_answer: Callable[[Writer], None] | None = None

    def mutate(self, path: str, arguments: dict[str, object]) -> None:
        """Ask for a mutation."""
        message = {"type": "Mutation", "requestId": self.requests, "udfPath": path}
        self.send({**message, "args": [arguments]})
        self.requests += 1

    def answered(self, head: bytes) -> None:
        """Take the response; any failure makes the measurement void."""
        message = orjson.loads(head)
        if not message["success"]:
            raise LoadError(f"a mutation failed: {message['result']}")
        self.answers += 1
        self.answer_ts = decode_ts(message["ts"])
        self.result = message["result"]
        if self.on_answer is not None:
            self.on_answer(self)


class Hub:
    """All connections of the load to one server, waited for together."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._epoll = select.epoll()
        self._peers = dict[int, Reader]()
        self._buffer = memoryview(bytearray(_RECEIVE_BYTES))

    def poll(self, seconds: float = 0.05) -> None:
        """Wait for bytes and give them to whom they belong."""
        buffer, peers = self._buffer, self._peers
        for number, _ in self._epoll.poll(seconds):
            peer = peers[number]
            try:
                size = peer.socket.recv_into(buffer)
            except BlockingIOError:
                continue
            if not size:
                raise LoadError("the server hung up")
            peer.feed(buffer[:size])

    def wait(self, ready: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        """Poll until something holds.

        Raises: LoadError if it does not within ``seconds``.
        """
        until = time.perf_counter() + seconds
        while not ready():
            self.poll()
            if time.perf_counter() > until:
                raise LoadError(f"waited {seconds:g} s in vain: {what}")

    def settle(self, seconds: float = 0.02) -> None:
        """Read what is left over, until nothing has come for a moment."""
        while found := self._epoll.poll(seconds):
            for number, _ in found:
                peer = self._peers[number]
                peer.feed(self._buffer[: peer.socket.recv_into(self._buffer)])

    def add(self, peer: Reader) -> None:
        """Look after a connection whose handshake is done."""
        peer.socket.setblocking(False)
        self._peers[peer.socket.fileno()] = peer
        self._epoll.register(peer.socket.fileno(), select.EPOLLIN)

    def discard(self, peers: Iterable[Reader]) -> None:
        """Close connections."""
        for peer in peers:
            del self._peers[peer.socket.fileno()]
            self._epoll.unregister(peer.socket.fileno())
            peer.socket.close()

    def close(self) -> None:
        """Close all connections."""
        self.discard(list(self._peers.values()))
        self._epoll.close()

    def open_writers(self, count: int) -> list[Writer]:
        """Connect clients that write; like the official ones they say that they watch nothing."""
        writers = [Writer(connection) for connection in open_sockets(self.address, count)]
        for writer in writers:
            self.add(writer)
            writer.send(connect_message())
            writer.send(add_queries([]))
        self.wait(lambda: all(writer.transitions for writer in writers), "the writers' first words")
        return writers

    def open_watchers(
        self, queries: Iterable[Queries], make: Callable[[socket.socket], PeerKind]
    ) -> list[PeerKind]:
        """Connect a client for each list of queries, and wait until all have their results."""
        wanted = list(queries)
        peers = [make(connection) for connection in open_sockets(self.address, len(wanted))]
        for peer, added in zip(peers, wanted, strict=True):
            # Before it is non-blocking, since many queries may not fit into the kernel's buffer.
            peer.socket.sendall(text_frame(connect_message()) + text_frame(add_queries(added)))
            self.add(peer)
        self.wait(lambda: all(peer.transitions for peer in peers), "the first results", 60.0)
        return peers


def open_sockets(address: Address, count: int, at_once: int = 64) -> list[socket.socket]:
    """Open WebSockets, some at once; returns them after the server's answer, blocking."""
    opened: list[socket.socket] = []
    while len(opened) < count:
        few = [socket.socket() for _ in range(min(at_once, count - len(opened)))]
        for one in few:
            one.connect(address)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.sendall(upgrade(address))
        for one in few:
            _read_answer(one)
        opened += few
    return opened


def _read_answer(connection: socket.socket) -> None:
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        piece = connection.recv(4096)
        if not piece:
            raise LoadError(f"the server refused a connection: {answer!r}")
        answer += piece
    if not answer.startswith(b"HTTP/1.1 101 "):
        raise LoadError(f"the server refused a connection: {answer!r}")
