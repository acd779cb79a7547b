"""Servers that hang up, are none, fall silent or break the protocol: the client comes back."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from flow_backend.client import Client, connect
from flow_backend.errors import ConnectionLost, FunctionFailed, ServerRefused
from tests.interop.support import Proxy, open_proxy
from tests.server_process import ServerProcess

pytestmark = pytest.mark.slow

Handler = Callable[[trio.SocketStream], Awaitable[None]]


@asynccontextmanager
async def listening(handler: Handler) -> AsyncGenerator[str]:
    """A server that does what a test wants with each connection."""
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, handler, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def talking(
    talk: Callable[[WebSocketConnection], Awaitable[None]],
) -> AsyncGenerator[str]:
    """A server that opens WebSockets, and then says what a test wants."""

    async def accept(request: WebSocketRequest) -> None:
        socket = await request.accept()
        try:
            await talk(socket)
        except ConnectionClosed:
            return

    async with trio.open_nursery() as nursery:
        serve = partial(serve_websocket, accept, "127.0.0.1", 0, None)
        server = await nursery.start(serve)
        yield f"http://127.0.0.1:{server.port}"
        nursery.cancel_scope.cancel()


async def reason(client: Client, text: str) -> None:
    """Wait until the client has come back at least twice, for this reason."""
    async for state in client.states():
        if state.retries > 1 and text in (state.last_close_reason or ""):
            return


async def test_a_server_that_hangs_up_amid_the_handshake_is_asked_again() -> None:
    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.receive_some()

    async with listening(hang_up) as url, connect(url) as client:
        await reason(client, "hung up")


async def test_what_is_no_flow_server_is_told() -> None:
    async def answer(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nnope\n")
        await stream.receive_some()

    async with listening(answer) as url, connect(url) as client:
        await reason(client, "404: nope")


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async def be_silent(stream: trio.SocketStream) -> None:
        async for _ in stream:
            pass

    async def be_silent_later(socket: WebSocketConnection) -> None:
        while True:
            await socket.get_message()

    for server in (listening(be_silent), talking(be_silent_later)):
        async with server as url, connect(url, silence_seconds=0.1) as client:
            await reason(client, "InactiveServer")


async def test_a_server_that_breaks_the_protocol_is_asked_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def babble(socket: WebSocketConnection) -> None:
        await socket.send_message('{"type":"Ponder"}')
        await socket.get_message()
        await trio.sleep_forever()

    async with talking(babble) as url, connect(url) as client:
        await reason(client, "no message")
    assert "breaks the protocol" in caplog.text


async def test_a_fatal_error_ends_the_client() -> None:
    """It would be the same again: whoever waits is told, and nothing is asked any more."""
    opened = 0

    async def refuse(socket: WebSocketConnection) -> None:
        nonlocal opened
        opened += 1
        await socket.send_message('{"type":"FatalError","error":"you again"}')
        await socket.get_message()

    async with talking(refuse) as url, connect(url) as client:
        with pytest.raises(ServerRefused, match="you again"):
            await client.mutation("m:f")
        with pytest.raises(ServerRefused, match="you again"):
            client.set_token("x")
        with pytest.raises(ServerRefused, match="you again"):
            await client.wait_connected()
    assert opened == 1


async def test_an_action_whose_connection_is_lost_says_so(server: ServerProcess) -> None:
    """A mutation beside it is sent again."""

    def cut(proxy: Proxy, chunk: bytes) -> bool:
        return b"Response" in chunk and not proxy.cuts

    proxy = Proxy(server.port, cut_downstream=cut)
    async with open_proxy(proxy), connect(proxy.url) as client:
        with pytest.raises(ConnectionLost, match="values:act"):
            await client.action("values:act", value="x")
        assert await client.action("values:act", value="y") == "y"
    assert proxy.cuts == 1


async def test_admins_call_what_is_hidden_and_act_as_others(
    server: ServerProcess, tmp_path: Path
) -> None:
    from flow_backend.server.local import find_local

    local = find_local(server.data)
    assert local is not None
    someone = {"issuer": "https://issuer.example", "subject": "bea"}
    async with connect(server.url, admin_key=local.admin_key, acting_as=someone) as admin:
        assert await admin.query("refusals:hidden") == "not for clients"
        assert await admin.query("people:me") == "bea"
    async with connect(server.url) as client:
        with pytest.raises(FunctionFailed):
            await client.query("refusals:hidden")
