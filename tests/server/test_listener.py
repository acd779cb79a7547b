"""Taking connections, at the bounds and past them; and how a server stops."""

import errno
import socket
from collections.abc import Callable

import httpx
import pytest
import trio
import trio.testing

from flow_backend.actors.transport import Disconnected, Transport
from flow_backend.errors import StartError
from flow_backend.server.app import Server, open_server
from flow_backend.server.config import Settings
from flow_backend.server.frames import text_frame
from flow_backend.server.listener import open_listeners
from tests.server.stand_in import StandIn, masked, raw, running, upgraded


async def test_one_connection_too_many_is_told_to_come_again():
    async with (
        running(connections_max=1) as server,
        upgraded(server) as first,
        raw(server) as second,
    ):
        await second.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")

        head = await second.read_head()
        assert b" 503 " in head
        assert b"Retry-After: 5" in head
        await first.send(masked(0x81, b"still served"))
        assert await first.read_frame() == (0x81, b"still served")
        assert server.counters.refused == 1


async def test_a_connection_that_ends_makes_room():
    async with running(connections_max=1) as server:
        async with upgraded(server) as first:
            await first.send(masked(0x88, b""))
            await first.read_all()
        while server.counters.open:
            await trio.lowlevel.checkpoint()
        async with upgraded(server):
            assert server.counters.accepted == 2


async def test_a_head_that_does_not_come_costs_no_connection_for_long():
    async with running(head_seconds=0.05) as server, raw(server) as slow:
        await slow.send(b"GET /api/sync HTTP/1.1\r\nHost")

        assert await slow.read_all() == b""
        assert server.counters.head_timeouts == 1


async def test_garbage_is_answered_and_hung_up():
    async with running() as server, raw(server) as client:
        await client.send(b"\x16\x03\x01 is how TLS begins\r\n\r\n")

        assert (await client.read_all()).startswith(b"HTTP/1.1 400 ")


class FullOnce:
    """A listening socket that finds no free file descriptor, once."""

    def __init__(self, real: socket.socket) -> None:
        self.real = real
        self.failed = False

    def accept(self) -> tuple[socket.socket, object]:
        if not self.failed:
            self.failed = True
            raise OSError(errno.EMFILE, "Too many open files")
        return self.real.accept()

    def __getattr__(self, name: str) -> Callable[..., object]:
        return getattr(self.real, name)


async def test_the_accept_loop_outlives_a_lack_of_file_descriptors():
    settings = Settings(port=0)
    listening = [FullOnce(one) for one in open_listeners("127.0.0.1", 0, 20)]
    async with open_server(StandIn(), settings, listening=listening) as server:  # type: ignore[arg-type]
        async with upgraded(server) as client:
            await client.send(masked(0x81, b"in"))
            assert await client.read_frame() == (0x81, b"in")
            await client.send(masked(0x88, b""))
            await client.read_all()
        assert server.counters.accept_pauses == 1


def test_a_port_that_is_taken_is_named_with_what_to_try():
    [taken] = open_listeners("127.0.0.1", 0, 20)
    port = taken.getsockname()[1]

    with taken, pytest.raises(StartError, match=rf"Port {port} .* is taken.*--port {port + 1}"):
        open_listeners("127.0.0.1", port, 20)


def test_a_host_without_an_address_is_named():
    with pytest.raises(StartError, match="no address for the host 'no such host'"):
        open_listeners("no such host", 0, 20)


# --- Stopping


async def test_a_stop_answers_what_was_taken_then_says_goodbye():
    """Work that a session had begun is finished; what comes later is left for the next server."""
    may_answer = trio.Event()
    answered = trio.Event()

    async def answer_late(transport: Transport) -> None:
        await transport.receive()
        await may_answer.wait()
        transport.push(text_frame([b"answer"]))
        answered.set()

    backend = StandIn(on_session=answer_late)
    async with (
        trio.open_nursery() as nursery,
        open_server(backend, Settings(port=0, linger_seconds=0.5), drain=answered.wait) as server,
        upgraded(server) as client,
    ):
        await client.send(masked(0x81, b"request"))
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(server.stop)
        await trio.testing.wait_all_tasks_blocked()
        await client.send(masked(0x81, b"too late"))
        may_answer.set()

        assert await client.read_frame() == (0x81, b"answer")
        assert (await client.read_close())[0] == 1001
        await client.send(masked(0x88, (1001).to_bytes(2, "big")))
    assert backend.ends == [Disconnected]
    assert server.counters.sockets.messages_in == 1


async def test_a_stop_finishes_requests_and_closes_idle_connections():
    backend = StandIn()
    answers: list[httpx.Response] = []
    async with running(backend) as server, raw(server) as idle, trio.open_nursery() as nursery:
        await idle.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        await idle.read_head()

        async def ask() -> None:
            async with httpx.AsyncClient(base_url=server.url) as client:
                answers.append(await client.post("/api/action", json={"path": "t:slow"}))

        nursery.start_soon(ask)
        while not backend.calls:
            await trio.lowlevel.checkpoint()
        nursery.start_soon(server.stop)
        assert await idle.read_all() == b"live"
        assert not answers
        with pytest.raises(OSError, match="all attempts to connect"):
            await trio.open_tcp_stream("127.0.0.1", server.port)
        backend.may_end.set()
    assert [answer.json()["status"] for answer in answers] == ["success"]


BODY = b'{"path":"t:huge","format":"convex_encoded_json"}'
HUGE = b"POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


@pytest.mark.parametrize("kind", ["session", "request", "answer"])
async def test_peers_that_never_read_cannot_hold_up_a_stop(kind: str):
    async def push_much(transport: Transport) -> None:
        transport.push(text_frame([b"x" * 20_000_000]))

    backend = StandIn(on_session=push_much)
    times = {"stop_seconds": 0.05, "linger_seconds": 0.05}
    with trio.fail_after(5):
        async with running(backend, **times) as server, raw(server) as client:  # type: ignore[arg-type]
            match kind:
                case "session":
                    async with upgraded(server):
                        await trio.testing.wait_all_tasks_blocked()
                        await server.stop()
                case "request":
                    body = b'{"path":"t:slow"}'
                    await client.send(
                        b"POST /api/action HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b"
                        % (len(body), body)
                    )
                    while not backend.calls:
                        await trio.lowlevel.checkpoint()
                    await server.stop()
                case _:
                    await client.send(HUGE)
                    await trio.testing.wait_all_tasks_blocked()
                    await server.stop()
            assert server.counters.open == 0


async def test_a_connection_that_says_nothing_is_hung_up_on_at_once():
    with trio.fail_after(5):
        async with running(stop_seconds=60, head_seconds=60) as server, raw(server) as client:
            await client.send(b"GET ")
            await trio.testing.wait_all_tasks_blocked()
            await server.stop()
            assert await client.read_all() == b""


async def test_a_peer_that_does_not_read_its_answer_is_given_up():
    """Hypercorn would wait for ever, where no cancellation reaches it."""
    with trio.fail_after(5):
        async with running(stall_seconds=0.05) as server, raw(server) as client:
            await client.send(HUGE)
            await trio.testing.wait_all_tasks_blocked()
            while server.counters.open:
                await trio.lowlevel.checkpoint()


async def test_readiness_ends_with_the_first_sign_of_the_stop():
    async with running() as server:
        assert server.readiness.ready
        await server.stop()
        assert not server.readiness.ready
        await server.stop()


async def test_a_backend_that_ends_by_itself_closes_sockets_so_that_clients_come_back():
    """As after a failed fsync: nobody is answered any more, and every client hears 1011."""
    async with trio.open_nursery() as outer:
        started = trio.Event()
        servers: list[Server] = []

        async def serve() -> None:
            async with running() as server:
                servers.append(server)
                started.set()
                await trio.sleep_forever()

        scope = trio.CancelScope()

        async def serve_until_cancelled() -> None:
            with scope:
                await serve()

        outer.start_soon(serve_until_cancelled)
        await started.wait()
        async with upgraded(servers[0]) as client:
            scope.cancel()

            assert await client.read_close() == (1011, "InternalServerError")
