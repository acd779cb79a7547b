"""Sockets at their bounds, and peers that have gone while nobody reads what they said."""

import socket
from typing import Any

import pytest
import trio

from flow_backend.actors.transport import Transport
from flow_backend.server.app import Server
from flow_backend.server.frames import text_frame
from tests.server.stand_in import StandIn, masked, raw, running, upgraded

QUICK: dict[str, Any] = {"ping_seconds": 0.04, "message_seconds": 0.06, "silence_seconds": 0.2}


async def test_g_a_client_that_is_not_read_is_not_taken_for_silent():
    """A session that waits for room reads no pongs: its client must not pay for that."""
    may_read = trio.Event()

    async def wait_for_room(transport: Transport) -> None:
        await may_read.wait()

    backend = StandIn(on_session=wait_for_room)
    async with running(backend, **QUICK) as server, upgraded(server) as client:
        await client.send(masked(0x81, b"waits for room"))
        for _ in range(12):  # Each is due only after more than half of the silence allowed.
            while (await client.read_frame())[0] != 0x89:
                pass
            await client.send(masked(0x8A, b""))
        assert server.counters.sockets.silent == 0
        may_read.set()

        while (frame := await client.read_frame())[1] != b"waits for room":
            assert frame[0] != 0x88


@pytest.mark.parametrize("end", ["close", "half-close", "reset"])
async def test_g_a_peer_that_goes_while_it_is_not_read_is_noticed(end: str):
    """Else a session that waits for room would stay until it has some."""
    gone = trio.Event()

    async def read_nothing(transport: Transport) -> None:
        transport.when_closed(gone.set)
        await gone.wait()

    backend = StandIn(on_session=read_nothing)
    with trio.fail_after(10):
        async with running(backend, **QUICK) as server, upgraded(server) as client:
            await client.send(masked(0x81, b"unread"))
            match end:
                case "close":
                    await client.stream.aclose()
                case "half-close":
                    client.stream.socket.shutdown(socket.SHUT_WR)
                case _:
                    linger = (1).to_bytes(4, "little") + bytes(4)
                    client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    await client.stream.aclose()
            await backend.ended.wait()
            assert server.counters.sockets.silent == 0


async def test_g_who_asks_after_the_end_is_told_at_once():
    told: list[bool] = []

    async def close_first(transport: Transport) -> None:
        transport.close(1000, "")
        transport.when_closed(lambda: told.append(True))

    backend = StandIn(on_session=close_first)
    async with running(backend) as server, upgraded(server) as client:
        await client.read_close()
    assert told == [True]


# --- Messages


@pytest.mark.parametrize("parts", [1, 3])
async def test_g_a_message_at_the_bound_arrives_and_one_past_it_closes_1009(parts: int):
    """The header alone decides: of a message that is too large, nothing is stored."""
    most = 4096

    def message(size: int) -> bytes:
        sizes = [size // parts] * (parts - 1) + [size - size // parts * (parts - 1)]
        frames = [
            masked((0x01 if place == 0 else 0x00) | (0x80 if place == parts - 1 else 0), b"x" * one)
            for place, one in enumerate(sizes)
        ]
        return b"".join(frames)

    async with running(message_bytes_max=most) as server, upgraded(server) as client:
        await client.send(message(most))
        assert await client.read_frame() == (0x81, b"x" * most)
        await client.send(message(most + 1))
        assert (await client.read_close())[0] == 1009


async def test_g_a_message_too_large_by_its_header_is_never_waited_for():
    async with running() as server, upgraded(server) as client:
        await client.send(b"\x81\xff" + ((32 << 20) + 1).to_bytes(8, "big"))

        assert (await client.read_close())[0] == 1009


# --- Connections


async def test_g_the_last_connection_is_served_and_the_next_is_told_when_to_come():
    async with (
        running(connections_max=2) as server,
        upgraded(server) as first,
        upgraded(server) as second,
        raw(server) as third,
    ):
        await third.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await third.read_head()
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: " in head
        for client in (first, second):
            await client.send(masked(0x81, b"?"))
            assert await client.read_frame() == (0x81, b"?")


async def test_g_the_outgoing_side_of_a_full_socket_ends_when_its_peer_takes_nothing():
    """What a peer does not take for ``stall_seconds`` is given up, and its session with it."""

    async def push_much(transport: Transport) -> None:
        transport.push(text_frame([b"x" * 20_000_000]))
        gone = trio.Event()
        transport.when_closed(gone.set)
        await gone.wait()

    backend = StandIn(on_session=push_much)
    async with running(backend, stall_seconds=0.05) as server, upgraded(server):
        await backend.ended.wait()
        assert server.counters.sockets.stalled == 1


# --- HTTP


async def test_j9_a_head_that_comes_byte_by_byte_is_given_up():
    """The time is that of the whole head, not of its first line."""
    async with running(head_seconds=0.2, keep_alive_seconds=30) as server, raw(server) as client:
        with trio.move_on_after(10):
            await client.send(b"GET / HTTP/1.1\r\nHost: x\r\nSlow: ")
            try:
                while True:
                    await client.send(b"x")
                    await trio.sleep(0.01)
            except trio.BrokenResourceError:
                pass
        assert server.counters.head_timeouts == 1


async def test_j9_a_head_at_the_bound_is_answered_and_one_past_it_is_not():
    most = 4096
    start = b"GET /healthz HTTP/1.1\r\nHost: x\r\nLong: "
    async with running(head_bytes_max=most) as server:
        async with raw(server) as client:
            await client.send(start + b"x" * (most - len(start) - 4) + b"\r\n\r\n")
            assert b" 200 " in await client.read_head()
        async with raw(server) as client:
            await client.send(start + b"x" * (most + 1))
            assert (await client.read_head()).startswith(b"HTTP/1.1 431 ")


async def test_j9_the_second_head_of_a_connection_is_bounded_too():
    async with running(keep_alive_seconds=0.2) as server, raw(server) as client:
        await client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.read_head()
        await client.send(b"GET /healthz HTTP/1.1\r\nHost: ")
        with trio.fail_after(10):
            assert await client.read_all() == b"live"


SLOW_BODY = b"POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"


async def test_j9_a_body_without_progress_is_given_up():
    settings: dict[str, Any] = {"body_stall_seconds": 0.2}
    async with running(**settings) as server, raw(server) as client:
        await client.send(SLOW_BODY + b"{")
        with trio.fail_after(10):
            assert b" 408 " in (await client.read_all())
            while server.counters.open:
                await trio.lowlevel.checkpoint()


async def test_j9_a_body_that_trickles_is_given_up_in_the_end():
    settings: dict[str, Any] = {"body_stall_seconds": 5.0, "body_seconds": 0.3}
    async with running(**settings) as server, raw(server) as client:
        await client.send(SLOW_BODY)
        async with trio.open_nursery() as nursery:

            async def trickle() -> None:
                with trio.CancelScope():
                    try:
                        while True:
                            await client.send(b" ")
                            await trio.sleep(0.02)
                    except trio.BrokenResourceError:
                        pass

            nursery.start_soon(trickle)
            with trio.fail_after(10):
                assert b" 408 " in (await client.read_all())
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("chunked", [False, True])
async def test_j9_a_body_at_the_bound_is_read_and_one_past_it_is_not(chunked: bool):
    most = 2048
    async with running(body_bytes_max=most) as server:
        for size, status in ((most, b" 200 "), (most + 1, b" 413 ")):
            body = b'{"path":"t:echo","format":"json"'.ljust(size - 1) + b"}"
            head = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
            if chunked:
                body = b"%x\r\n%b\r\n0\r\n\r\n" % (size, body)
            async with raw(server) as client:
                await client.send(b"POST /api/query HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")
                await client.send(body)
                assert status in await client.read_head()


@pytest.mark.parametrize("first", [True, False])
async def test_j9_nobody_talks_the_server_into_http_2(first: bool):
    """There, a peer that grants no window could keep answers in memory for ever."""
    upgrade = (
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAAAA\r\n\r\n"
    )
    async with running() as server, raw(server) as client:
        if not first:
            await client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            await client.read_head()
            await client.read(4)
        await client.send(upgrade)
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
        await client.read(4)
        await client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        assert (await client.read_head()).startswith(b"HTTP/1.1 4")


async def test_g_full_mailboxes_are_answered_with_503_and_when_to_come():
    body = b'{"path":"t:full","args":{}}'
    async with running() as server, raw(server) as client:
        head = b"POST /api/mutation HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        await client.send(head % len(body) + body)

        answer = await client.read_head()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: " in answer.lower()


# --- HTTP connections end with their peers, whatever hypercorn waits for

CALL = b"POST /api/%b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b"
HUGE_BODY = b'{"path":"t:huge","format":"convex_encoded_json"}'
SLOW = b'{"path":"t:slow"}'


async def wait_none_open(server: Server) -> None:
    with trio.fail_after(10):
        while server.counters.open:  # noqa: ASYNC110  # There is no event that a socket's end sets.
            await trio.sleep(0.01)


async def test_g_requests_in_a_row_that_are_not_read_do_not_keep_a_connection():
    """Hypercorn waits to read the second one until the first is answered, which never happens."""
    async with running(stall_seconds=0.1) as server, raw(server) as client:
        await client.send(2 * (CALL % (b"query", len(HUGE_BODY), HUGE_BODY)))
        await wait_none_open(server)


@pytest.mark.slow
async def test_g_the_request_after_the_last_of_a_connection_does_not_keep_it():
    """After a thousand requests hypercorn says that it will close, and then it waits for ever."""
    async with running(keep_alive_seconds=60) as server, raw(server) as client:
        await client.send(1002 * b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        # The reset that follows may overtake the last answers.
        assert (await client.read_all()).count(b" 200 ") <= 1000
        await wait_none_open(server)


@pytest.mark.parametrize("requests", [1, 2])
@pytest.mark.parametrize("end", ["close", "half-close"])
async def test_g_a_request_whose_peer_has_gone_keeps_no_connection(requests: int, end: str):
    """Its action may go on for minutes; nobody is left to be told of its end."""
    backend = StandIn()
    async with running(backend) as server, raw(server) as client:
        await client.send(requests * (CALL % (b"action", len(SLOW), SLOW)))
        while not backend.calls:
            await trio.lowlevel.checkpoint()
        if end == "close":
            await client.stream.aclose()
        else:
            client.stream.socket.shutdown(socket.SHUT_WR)
        await wait_none_open(server)


async def test_g_the_answer_to_a_body_that_is_refused_arrives():
    """A reset for the unread rest of the body would overtake it."""
    async with running(body_bytes_max=2048) as server:
        for _ in range(20):
            async with raw(server) as client:
                await client.send(CALL % (b"query", 1_000_000, b" " * 300_000))
                answer = await client.read_head()
                assert b" 413 " in answer
                await client.send(b" " * 300_000)
                assert (await client.read_all()).startswith(b'{"code":')
        await wait_none_open(server)


async def test_g_the_results_of_a_batch_are_bounded_together():
    """A thousand queries of 16 MiB each would be 16 GiB in one answer."""
    backend = StandIn()
    one = b'{"path":"t:echo","args":{"text":"%b"}}' % (b"x" * 1000)
    async with running(backend, batch_bytes_max=10_000) as server:
        for count, status in ((8, b" 200 "), (30, b" 400 ")):
            body = b'{"queries":[%b]}' % b",".join([one] * count)
            async with raw(server) as client:
                await client.send(CALL % (b"query_batch", len(body), body))
                assert status in await client.read_head()
                assert (b"at most 10000 bytes" in await client.read(100)) == (count == 30)
    assert len(backend.calls) < 30
