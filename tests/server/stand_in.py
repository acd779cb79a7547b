"""A small backend that answers from a few lines, so that the server is tested by itself."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import trio
from attrs import define, field

from flow_backend.actors.messages.calls import Call
from flow_backend.actors.messages.to_query import QueryDone
from flow_backend.actors.transport import Disconnected, Transport
from flow_backend.errors import AuthRejected, NotCommitted, Overloaded, RemoteProtocolError
from flow_backend.functions.context import NOBODY, Caller
from flow_backend.functions.exchange import Exchange
from flow_backend.server.app import Server, open_server
from flow_backend.server.config import Settings
from flow_backend.server.frames import text_frame
from flow_backend.storage.base import Done, Outcome, Refused, RequestKey
from flow_backend.sync.client_identity import ClientIdentity
from flow_backend.sync.messages import AdminToken, NoToken, Token
from flow_backend.values.encode import encode
from flow_backend.values.timestamp import CommitTs
from flow_backend.values.value import Int64

SEVEN = CommitTs(7)


@define
class StandIn:
    """Echoes what sessions say; functions are named for what comes of them."""

    clients: list[ClientIdentity] = field(factory=list[ClientIdentity])
    transports: list[Transport] = field(factory=list[Transport])
    calls: list[tuple[Call, object]] = field(factory=list[tuple[Call, object]])
    ends: list[type[Exception]] = field(factory=list[type[Exception]])
    ended: trio.Event = field(factory=trio.Event)
    on_session: Callable[[Transport], Awaitable[None]] | None = None
    may_end: trio.Event = field(factory=trio.Event)

    async def query(self, call: Call, at: CommitTs | None = None) -> QueryDone:
        self.calls.append((call, at))
        return QueryDone(await self._result(call), at or SEVEN)

    async def mutate(self, call: Call, request: RequestKey | None = None) -> Outcome:
        self.calls.append((call, request))
        return Outcome(await self._result(call), SEVEN)

    async def act(self, call: Call, http: Exchange | None = None) -> Done | Refused:
        self.calls.append((call, None))
        return await self._result(call)

    async def _result(self, call: Call) -> Done | Refused:
        match call.path:
            case "t:echo":
                return Done(orjson.dumps(call.args), ("[LOG] 'x'",))
            case "t:rich":
                return Done(encode({"i": Int64(5), "f": 1.0, "b": b"\x00", "n": float("nan")}))
            case "t:fails":
                return Refused(
                    "[Request ID: 0] Server Error\nUncaught Error: no", data=b'{"a":1.0}'
                )
            case "t:huge":
                return Done(b'"%b"' % (b"x" * 20_000_000))
            case "t:full":
                raise Overloaded("The queue is full.")
            case "t:lost":
                raise NotCommitted("The disk is full.")
            case "t:bug":
                raise ZeroDivisionError("secret")
            case "t:slow":
                await self.may_end.wait()
                return Done(b"null")
            case _:
                return Refused(f"Could not find public function for '{call.path}'.")

    async def pin_snapshot(self) -> CommitTs:
        return SEVEN

    async def authenticate(self, token: Token) -> Caller:
        match token:
            case NoToken():
                return NOBODY
            case AdminToken("key"):
                return Caller(admin=True)
            case _:
                raise AuthRejected("The token is wrong.", "BadToken")

    async def run_session(self, transport: Transport, client: ClientIdentity) -> None:
        self.clients.append(client)
        self.transports.append(transport)
        try:
            if self.on_session is not None:
                await self.on_session(transport)
            while True:
                transport.push(text_frame([await transport.receive()]))
        except (Disconnected, RemoteProtocolError) as error:
            self.ends.append(type(error))
            self.ended.set()

    def metrics(self) -> Mapping[str, float]:
        return {"commits_total": 3, "live_queries": 2}


@asynccontextmanager
async def running(
    backend: StandIn | None = None, web: Path | None = None, **settings: Any
) -> AsyncGenerator[Server, None]:
    """A server on a free port."""
    chosen: dict[str, Any] = {"port": 0, "linger_seconds": 0.5, "stop_seconds": 2.0, **settings}
    async with open_server(backend or StandIn(), Settings(**chosen), web=web) as server:
        yield server


UPGRADE = (
    b"GET %b HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%b\r\n"
)


def masked(first: int, payload: bytes, *, mask: bytes = b"\x01\x02\x03\x04") -> bytes:
    """A client's frame."""
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65536:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    hidden = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return head + mask + hidden


@define
class RawClient:
    """A client that says exactly what it is told to."""

    stream: trio.SocketStream
    _buffer: bytes = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            piece = await self.stream.receive_some(65536)
            assert piece, f"the server hung up after {self._buffer!r}"
            self._buffer += piece
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    async def read_head(self) -> bytes:
        while b"\r\n\r\n" not in self._buffer:
            piece = await self.stream.receive_some(65536)
            assert piece, f"the server hung up after {self._buffer!r}"
            self._buffer += piece
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head

    async def read_frame(self) -> tuple[int, bytes]:
        first, size = await self.read(2)
        if size == 126:
            size = int.from_bytes(await self.read(2), "big")
        elif size == 127:
            size = int.from_bytes(await self.read(8), "big")
        return first, await self.read(size)

    async def read_close(self) -> tuple[int, str]:
        first, payload = await self.read_frame()
        assert first == 0x88, (first, payload)
        return int.from_bytes(payload[:2], "big"), payload[2:].decode()

    async def read_all(self) -> bytes:
        """All that comes until the server hangs up, however it does."""
        data, self._buffer = self._buffer, b""
        try:
            while piece := await self.stream.receive_some(65536):
                data += piece
        except trio.BrokenResourceError:
            pass
        return data


@asynccontextmanager
async def raw(server: Server) -> AsyncGenerator[RawClient, None]:
    """A connection."""
    stream = await trio.open_tcp_stream("127.0.0.1", server.port)
    async with stream:
        yield RawClient(stream)


@asynccontextmanager
async def upgraded(
    server: Server, path: bytes = b"/api/sync", headers: bytes = b""
) -> AsyncGenerator[RawClient, None]:
    """A connection after its handshake."""
    async with raw(server) as client:
        await client.send(UPGRADE % (path, headers))
        assert b" 101 " in await client.read_head()
        yield client
