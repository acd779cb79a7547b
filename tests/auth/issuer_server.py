"""An issuer on loopback: real sockets, real HTTP, and whatever answer a test wants."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import h11
import trio
from attrs import define, field

from tests.auth.signing import key_set

DISCOVERY = "/.well-known/openid-configuration"
KEYS = "/keys"


@define
class Answer:
    """What is sent for one path. ``declared`` is the Content-Length, if it is to be a lie."""

    body: bytes = b""
    status: int = 200
    headers: list[tuple[str, str]] = field(factory=list[tuple[str, str]])
    declared: int | None = None


@define
class IssuerServer:
    """Owns: the answers by path, and the paths that were asked for, in order."""

    port: int = 0
    answers: dict[str, Answer] = field(factory=dict[str, Answer])
    asked: list[str] = field(factory=list[str])
    gate: trio.Event = field(factory=trio.Event)
    """Until it is set no answer goes out; see :meth:`hold`."""

    reached: trio.Event = field(factory=trio.Event)
    """Set once a request waits at the gate."""

    def __attrs_post_init__(self) -> None:
        self.gate.set()

    def hold(self) -> None:
        """Let the next requests wait at the gate."""
        self.gate, self.reached = trio.Event(), trio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def publish(self, *keys: dict[str, object]) -> None:
        """Be a good issuer with these keys."""
        discovery = {"issuer": self.url, "jwks_uri": self.url + KEYS}
        self.answers[DISCOVERY] = Answer(json.dumps(discovery).encode())
        self.answers[KEYS] = Answer(key_set(*keys))

    async def serve(self, stream: trio.SocketStream) -> None:
        http = h11.Connection(h11.SERVER)
        try:
            while True:
                request = await self._request(http, stream)
                if request is None:
                    return
                self.reached.set()
                await self.gate.wait()
                await self._answer(http, stream, request)
                if http.our_state is not h11.DONE:
                    return
                http.start_next_cycle()
        except (trio.BrokenResourceError, h11.ProtocolError):
            return  # The client went away, as it does from an answer that is too long.
        finally:
            await trio.aclose_forcefully(stream)

    async def _request(self, http: h11.Connection, stream: trio.SocketStream) -> str | None:
        path: str | None = None
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await stream.receive_some())
            elif isinstance(event, h11.Request):
                path = event.target.decode()
                self.asked.append(path)
            elif isinstance(event, h11.EndOfMessage):
                return path
            elif isinstance(event, h11.ConnectionClosed):
                return None

    async def _answer(self, http: h11.Connection, stream: trio.SocketStream, path: str) -> None:
        answer = self.answers.get(path, Answer(status=404))
        length = str(len(answer.body) if answer.declared is None else answer.declared)
        head = h11.Response(
            status_code=answer.status, headers=[("Content-Length", length), *answer.headers]
        )
        await stream.send_all(http.send(head) or b"")
        await stream.send_all(http.send(h11.Data(answer.body)) or b"")
        if answer.declared is not None:
            await trio.sleep_forever()  # The rest never comes.
        await stream.send_all(http.send(h11.EndOfMessage()) or b"")


@asynccontextmanager
async def issuer_server() -> AsyncGenerator[IssuerServer]:
    server = IssuerServer()
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, host="127.0.0.1")
        listeners: list[trio.SocketListener] = await nursery.start(serve, server.serve, 0)
        server.port = listeners[0].socket.getsockname()[1]
        yield server
        nursery.cancel_scope.cancel()
