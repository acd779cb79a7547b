"""Load on a ledger app from clients of every kind, and the comparison at its end."""

import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import trio
from attrs import define, field

from tests.server_process import ServerProcess
from tests.wire.client import PACES, LedgerClient, in_sequence


@define
class HttpCaller:
    """Moves amounts over HTTP, one after the other, each under a key until it is answered."""

    port: int
    session_id: str = field(factory=lambda: f"http {uuid4()}")
    places: dict[int, float] = field(factory=dict[int, float])
    unanswered: int = 0
    resent: int = 0
    stops: bool = False

    async def run(self) -> None:
        """Call, and call again with the same key when there was no answer."""
        async with httpx.AsyncClient(timeout=10) as http:
            while not self.stops:
                number = len(self.places)
                self.unanswered = 1
                self.places[number] = await self._move(http, number, str(uuid4()))
                self.unanswered = 0

    async def _move(self, http: httpx.AsyncClient, number: int, key: str) -> float:
        args = {"session": self.session_id, "number": number}
        body = {"path": "ledger:move", "args": args}
        headers = {"Idempotency-Key": key}
        while True:
            try:
                answer = await http.post(self._url, json=body, headers=headers)
            except httpx.TransportError:
                self.resent += 1
                await trio.sleep(PACES)
                continue
            if answer.status_code == 503:
                self.resent += 1
                continue
            told = answer.json()
            assert told["status"] == "success", told
            place: float = told["value"]
            return place

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/mutation"

    @property
    def is_done(self) -> bool:
        """Whether it was told to stop and nothing is left to be answered."""
        return self.stops and not self.unanswered

    @property
    def acknowledged(self) -> int:
        """How many calls were answered."""
        return len(self.places)


@define
class Load:
    """Clients that come back whatever happens to the server."""

    clients: list[LedgerClient]
    callers: list[HttpCaller]

    @property
    def acknowledged(self) -> int:
        """How many requests were answered."""
        return sum(each.acknowledged for each in (*self.clients, *self.callers))

    @property
    def unanswered(self) -> int:
        """How many requests are under way."""
        return sum(len(each.unanswered) for each in self.clients)

    @property
    def resent(self) -> int:
        """How many requests were sent again."""
        return sum(each.resent for each in (*self.clients, *self.callers))

    async def finish(self) -> None:
        """Send nothing new, and wait until all is answered."""
        for each in (*self.clients, *self.callers):
            each.stops = True
        # One that only watches would wait for a message that never comes.
        busy = [each for each in (*self.clients, *self.callers) if each.acknowledged]
        await until(lambda: all(each.is_done for each in busy))

    def compare(self, server: ServerProcess) -> int:
        """Hold the data to what was acknowledged; give the number of moves.

        B1 and C1: each acknowledged move is there, once, and nothing else. C3: in the order sent.
        """
        movers = [each for each in (*self.clients, *self.callers) if each.places]
        told = call(server, "query", "ledger:sessions")
        assert sorted(told) == sorted(each.session_id for each in movers)
        for each in movers:
            numbers = call(server, "query", "ledger:numbers", session=each.session_id)
            assert numbers == sorted(each.places), (
                each.session_id,
                "lost, doubled or out of order",
            )
            places = [each.places[number] for number in sorted(each.places)]
            assert places[0] == 0, (each.session_id, places[:9])
            assert in_sequence(places), (each.session_id, places)
        given, taken = call(server, "query", "ledger:given"), call(server, "query", "ledger:taken")
        assert taken == -given == sum(sum(each.places) for each in movers)
        return sum(len(each.places) for each in movers)


@asynccontextmanager
async def loaded(
    port: int, *, writers: int, watchers: int = 0, callers: int = 0, at_once: int = 4
) -> AsyncGenerator[Load]:
    """Let clients work on a port, whoever listens there."""
    load = Load(
        [LedgerClient(port=port, at_once=at_once) for _ in range(writers)]
        + [LedgerClient(port=port, at_once=0) for _ in range(watchers)],
        [HttpCaller(port) for _ in range(callers)],
    )
    async with trio.open_nursery() as nursery:
        for each in (*load.clients, *load.callers):
            nursery.start_soon(each.run)
        yield load
        nursery.cancel_scope.cancel()


def call(server: ServerProcess, kind: str, path: str, **args: Any) -> Any:
    """Call a function over HTTP."""
    body = {"path": path, "args": args}
    answer = httpx.post(f"{server.url}/api/{kind}", json=body, timeout=30).json()
    assert answer["status"] == "success", answer
    return answer["value"]


def free_port() -> int:
    """Give a port that nobody listens on: clients must find the next server where the last was."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def until(holds: Callable[[], bool]) -> None:
    """Wait for other tasks; what they do is up to processes and sockets."""
    while not holds():  # noqa: ASYNC110  # There is no event that a dying server sets.
        await trio.sleep(0.003)


async def started(server: ServerProcess) -> ServerProcess:
    """Start a server while the clients go on."""
    await trio.to_thread.run_sync(server.start)
    return server
