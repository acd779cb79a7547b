"""A client of the sync protocol that checks all it is told, and sends again what was unanswered."""

import math
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, Final
from uuid import uuid4

import orjson
import trio
from attrs import define, field

from bench.wire import client_frame, text_frame, upgrade
from flow_backend.values.timestamp import CommitTs, decode_ts, encode_ts

Message = dict[str, Any]

HANDSHAKE_SECONDS: Final = 5.0
"""A server that dies in the middle of a handshake leaves its client waiting for ever."""

PACES: Final = 0.02
"""Seconds between two tries to connect; a client that waited longer would mean less load."""

_TEXT: Final = 0x81
_PING: Final = 0x89
_PONG: Final = 0x8A


class Gone(Exception):
    """The connection ended; the client comes back."""


@define
class Socket:
    """A WebSocket, as far as tests need one: whole messages out, whole messages in."""

    stream: trio.SocketStream
    _data: bytearray = field(factory=bytearray)

    async def send(self, *messages: Message) -> None:
        """Send messages with one system call. Raises: Gone."""
        await self._write(b"".join(text_frame(message) for message in messages))

    async def receive(self) -> Message:
        """Give the next message; answer pings on the way. Raises: Gone."""
        while True:
            opcode, payload = await self._frame()
            if opcode == _TEXT:
                message: Message = orjson.loads(payload)
                return message
            if opcode != _PING:
                raise Gone(f"frame {opcode:#x}: {payload!r}")
            await self._write(client_frame(_PONG, payload))

    async def upgrade(self, port: int) -> None:
        """Make a plain connection a WebSocket. Raises: Gone."""
        with trio.move_on_after(HANDSHAKE_SECONDS):
            await self._write(upgrade(("127.0.0.1", port)))
            while (end := self._data.find(b"\r\n\r\n")) < 0:
                await self._read()
            head = bytes(self._data[:end])
            del self._data[: end + 4]
            if head.startswith(b"HTTP/1.1 101 "):
                return
            raise Gone(head.decode())
        raise Gone("no handshake")

    async def _frame(self) -> tuple[int, bytes]:
        await self._until(2)
        size, start = self._data[1], 2
        if size > 125:
            start = 4 if size == 126 else 10
            await self._until(start)
            size = int.from_bytes(self._data[2:start], "big")
        await self._until(start + size)
        opcode, payload = self._data[0], bytes(self._data[start : start + size])
        del self._data[: start + size]
        return opcode, payload

    async def _until(self, size: int) -> None:
        while len(self._data) < size:
            await self._read()

    async def _read(self) -> None:
        try:
            piece = await self.stream.receive_some()
        except trio.BrokenResourceError as error:
            raise Gone(str(error)) from None
        if not piece:
            raise Gone("the server hung up")
        self._data += piece

    async def _write(self, data: bytes) -> None:
        try:
            await self.stream.send_all(data)
        except trio.BrokenResourceError as error:
            raise Gone(str(error)) from None


@asynccontextmanager
async def connected(port: int) -> AsyncGenerator[Socket]:
    """Open a WebSocket. Raises: Gone, also if nobody listens."""
    try:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
    except OSError as error:
        raise Gone(str(error)) from None
    async with stream:
        socket = Socket(stream)
        await socket.upgrade(port)
        yield socket


@define
class Request:
    """A mutation that is sent until it is answered."""

    number: int
    path: str = "ledger:move"


@define(kw_only=True)
class LedgerClient:
    """Watches both sums and its own count, and moves amounts; it keeps its session.

    Each message is checked when it comes. One client has one session over all connections.

    Attributes:
        at_once: how many requests may be unanswered; 0 for one that only watches.
        places: the answer to each move that was acknowledged, by its request id.
        stops: set it, and the client ends when all it sent is answered.
        queries_down: for the test of disk errors, which answers may be failures.
    """

    port: int
    at_once: int = 4
    refuse_each: int = 7
    most: float = math.inf
    session_id: str = field(factory=lambda: str(uuid4()))
    unanswered: dict[int, Request] = field(factory=dict[int, Request])
    places: dict[int, float] = field(factory=dict[int, float])
    refused: int = 0
    answers: list[tuple[int, int]] = field(factory=list[tuple[int, int]])
    may_fail: Callable[[Message], bool] = lambda _message: False
    failures: list[Message] = field(factory=list[Message])
    connections: int = 0
    transitions: int = 0
    resent: int = 0
    observed: int = 0
    stops: bool = False
    _next_id: int = 0
    _inherited: int = 0
    _values: dict[int, float] = field(factory=dict[int, float])
    _version: Message | None = None

    async def run(self) -> None:
        """Connect, work, connect again."""
        while not self.is_done:
            try:
                async with connected(self.port) as socket:
                    await self._talk(socket)
            except Gone:
                await trio.sleep(PACES)

    @property
    def is_done(self) -> bool:
        """Whether it was told to stop and nothing is left to be answered."""
        return self.stops and not self.unanswered

    @property
    def _has_room(self) -> bool:
        return len(self.unanswered) < self.at_once and not self.stops and self._next_id < self.most

    @property
    def acknowledged(self) -> int:
        """How many requests were answered, refusals too."""
        return len(self.places) + self.refused

    async def _talk(self, socket: Socket) -> None:
        self._begin()
        await socket.send(self._connect(), self._watch(), *map(self._mutation, self._in_order()))
        while not self.is_done:
            fresh: list[Request] = []
            while self._has_room:
                fresh.append(self._new_request())
            if fresh:
                await socket.send(*map(self._mutation, fresh))
            self._take(await socket.receive())

    def _begin(self) -> None:
        # What was under way when the last connection ended may show before its answer comes.
        self._inherited = len(self.unanswered)
        self.resent += len(self.unanswered)
        self._values = {}
        self._version = None
        self.connections += 1

    def _in_order(self) -> list[Request]:
        return [self.unanswered[number] for number in sorted(self.unanswered)]

    def _new_request(self) -> Request:
        number = self._next_id
        self._next_id += 1
        refuses = number % self.refuse_each == self.refuse_each - 1
        request = Request(number, "ledger:refuse" if refuses else "ledger:move")
        self.unanswered[number] = request
        return request

    def _connect(self) -> Message:
        hello: Message = {"type": "Connect", "sessionId": self.session_id}
        hello |= {"connectionCount": self.connections - 1, "lastCloseReason": "InitialConnect"}
        if self.observed:
            hello["maxObservedTimestamp"] = encode_ts(CommitTs(self.observed))
        return hello

    def _watch(self) -> Message:
        own = {"session": self.session_id}
        paths = [("ledger:given", {}), ("ledger:taken", {}), ("ledger:count", own)]
        added = [
            {"type": "Add", "queryId": number, "udfPath": path, "args": [args]}
            for number, (path, args) in enumerate(paths)
        ]
        edit = {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1}
        return {**edit, "modifications": added}

    def _mutation(self, request: Request) -> Message:
        args = {"session": self.session_id, "number": float(request.number)}
        message = {"type": "Mutation", "requestId": request.number, "udfPath": request.path}
        return {**message, "args": [args]}

    def _take(self, message: Message) -> None:
        match message["type"]:
            case "Transition":
                self._transition(message)
            case "MutationResponse":
                self._answer(message)
            case "Ping":
                pass
            case _:
                raise AssertionError(message)

    def _answer(self, message: Message) -> None:
        number = message["requestId"]
        if not message["success"] and self.may_fail(message):
            self.failures.append(message)
            del self.unanswered[number]
            return
        # C3: one session's requests are answered in the order in which they were sent.
        assert number == min(self.unanswered), (number, sorted(self.unanswered))
        request = self.unanswered.pop(number)
        if request.path == "ledger:refuse":
            assert not message["success"], message
            assert message["errorData"] == {"refused": number}, message
            self.refused += 1
        else:
            assert message["success"], message
            self.places[number] = message["result"]
            ts = decode_ts(message["ts"])
            assert not self.answers or ts > self.answers[-1][1], (message, self.answers[-1])
            self.answers.append((number, ts))

    def _transition(self, message: Message) -> None:
        start, end = message["startVersion"], message["endVersion"]
        # D4: there is no gap; a new connection starts at nothing.
        if self._version is None:
            assert (start["querySet"], start["identity"]) == (0, 0), message
        else:
            assert start == self._version, (start, self._version)
        self._version = end
        # D2: time never goes back, also over reconnects and restarts.
        ts = decode_ts(end["ts"])
        assert ts >= self.observed, (ts, self.observed, message)
        self.observed = ts
        for change in message["modifications"]:
            assert change["type"] == "QueryUpdated", change
            self._values[change["queryId"]] = change["value"]
        self.transitions += 1
        if len(self._values) == 3:
            self._check(ts)

    def _check(self, ts: int) -> None:
        given, taken, count = (self._values[number] for number in range(3))
        assert given + taken == 0, f"a torn sum at {ts}: {given} and {taken}"  # D1.
        # D3: what was answered at M stands in each transition from M on, and in none before
        # its answer; only what the last connection left unanswered may.
        own = sum(1 for _, answered_ts in self.answers if answered_ts <= ts)
        assert own <= count <= len(self.places) + self._inherited, (own, count, len(self.places))


def in_sequence(places: list[float]) -> bool:
    """Tell whether answers number the moves of a session: none left out, none twice."""
    return all(after == before + 1 for before, after in pairwise(places))
