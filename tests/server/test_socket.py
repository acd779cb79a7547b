"""A client's WebSocket over real sockets: messages, closes, slow and broken peers."""

import socket
import struct
from typing import Any

import pytest
import trio
import trio.lowlevel
import trio.testing
from trio_websocket import open_websocket_url

from flow_backend.actors.transport import Disconnected, Transport
from flow_backend.errors import MalformedMessage, MessageTooLarge
from flow_backend.server.frames import text_frame
from tests.server.stand_in import UPGRADE, StandIn, masked, raw, running, upgraded


async def test_both_addresses_open_a_session_and_say_who_the_client_is():
    backend = StandIn()
    async with running(backend) as server:
        async with open_websocket_url(f"ws://127.0.0.1:{server.port}/api/1.48.0/sync") as client:
            await client.send_message('{"type":"Connect"} ü')

            assert await client.get_message() == '{"type":"Connect"} ü'
        headers = [(b"Convex-Client", b"python-0.8.1")]
        url = server.sync_url
        async with open_websocket_url(url, extra_headers=headers) as client:
            await client.send_message("x" * 70_000)

            assert await client.get_message() == "x" * 70_000
    assert [(one.name, one.version) for one in backend.clients] == [
        ("npm", "1.48.0"),
        ("python", "0.8.1"),
    ]


async def test_a_path_that_names_no_version_is_refused():
    async with running() as server, raw(server) as client:
        await client.send(UPGRADE % (b"/api/latest/sync", b""))

        answer = await client.read_all()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"InvalidVersion"' in answer


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET /api/sync HTTP/1.1\r\nHost: x\r\n\r\n", b"426"),
        (UPGRADE.replace(b"13", b"12") % (b"/api/sync", b""), b"426"),
        (UPGRADE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"abc") % (b"/api/sync", b""), b"400"),
        (UPGRADE % (b"/api/sync", b"Origin: https://elsewhere.example\r\n"), b"403"),
        (b"GET /api/sync HTTP/1.1\r\nHost: x\r\nbroken\r\n\r\n", b"400"),
        (b"GET /api/sync HTTP/1.1\r\nHost: x\r\nLong: " + b"x" * 70_000, b"431"),
    ],
)
async def test_bad_handshakes_get_an_http_error(request_head: bytes, status: bytes):
    async with running(origins=("https://app.example",)) as server, raw(server) as client:
        await client.send(request_head)

        answer = await client.read_all()
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b'"code":' in answer
    assert b'"message":' in answer


async def test_the_handshake_agrees_on_no_extension():
    """Compression would cost a compressor and 250 KB for each client."""
    offer = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    async with running() as server, raw(server) as client:
        await client.send(UPGRADE % (b"/api/1.48.0/sync", offer))

        head = await client.read_head()
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    assert b"xtension" not in head


async def test_a_message_may_come_with_the_handshake_and_in_single_bytes():
    async with running() as server, raw(server) as client:
        await client.send(UPGRADE % (b"/api/sync", b"") + masked(0x81, b"early")[:3])
        await client.read_head()
        for byte in masked(0x81, b"early")[3:] + masked(0x81, b"x" * 200):
            await client.send(bytes((byte,)))

        assert await client.read_frame() == (0x81, b"early")
        assert await client.read_frame() == (0x81, b"x" * 200)


async def test_pings_are_answered_between_fragments():
    async with running() as server, upgraded(server) as client:
        await client.send(masked(0x01, b"one ") + masked(0x89, b"?") + masked(0x00, b"two "))
        assert await client.read_frame() == (0x8A, b"?")
        await client.send(masked(0x80, b"three"))

        assert await client.read_frame() == (0x81, b"one two three")


@pytest.mark.parametrize(
    ("data", "code", "error"),
    [
        (masked(0x82, b"binary"), 1003, MalformedMessage),
        (masked(0x81, b"\xff\xfe"), 1007, MalformedMessage),
        (masked(0x01, b"\xc3") + masked(0x80, b"x"), 1007, MalformedMessage),
        (masked(0xC1, b"reserved bit"), 1002, MalformedMessage),
        (masked(0x83, b"no such opcode"), 1002, MalformedMessage),
        (masked(0x8B, b"no such control"), 1002, MalformedMessage),
        (masked(0x09, b"control in parts"), 1002, MalformedMessage),
        (masked(0x89, b"x" * 126), 1002, MalformedMessage),
        (masked(0x80, b"nothing to continue"), 1002, MalformedMessage),
        (masked(0x01, b"a") + masked(0x81, b"b"), 1002, MalformedMessage),
        (b"\x81\x05hello", 1002, MalformedMessage),
        (b"\x81\xfe\x00\x05" + b"\0" * 9, 1002, MalformedMessage),
        (b"\x81\xff" + (5).to_bytes(8, "big") + b"\0" * 9, 1002, MalformedMessage),
        (b"\x81\xff" + (1 << 63).to_bytes(8, "big"), 1002, MalformedMessage),
        (masked(0x88, b"\x03"), 1002, MalformedMessage),
        (masked(0x88, (1005).to_bytes(2, "big")), 1002, MalformedMessage),
        (masked(0x88, (1000).to_bytes(2, "big") + b"\xff"), 1007, MalformedMessage),
        (b"\x81\xff" + (4097).to_bytes(8, "big"), 1002, MalformedMessage),
        (b"\x81\xfe" + (4097).to_bytes(2, "big"), 1009, MessageTooLarge),
        (b"\x81\xff" + (1 << 40).to_bytes(8, "big"), 1009, MessageTooLarge),
        (masked(0x01, b"x" * 4000) + masked(0x80, b"x" * 97), 1009, MessageTooLarge),
    ],
)
async def test_broken_frames_end_the_connection(data: bytes, code: int, error: type[Exception]):
    """Each rule of RFC 6455; for a size the header is enough, before any payload has come."""
    backend = StandIn()
    async with running(backend, message_bytes_max=4096) as server, upgraded(server) as client:
        await client.send(masked(0x81, b"before") + data)

        assert await client.read_frame() == (0x81, b"before")
        assert (await client.read_close())[0] == code
        assert await client.read_all() == b""
    assert backend.ends == [error]


async def test_a_message_at_the_bound_is_taken():
    async with running(message_bytes_max=4096) as server, upgraded(server) as client:
        await client.send(masked(0x81, b"x" * 4096) + masked(0x01, b"y" * 4000))
        await client.send(masked(0x80, b"y" * 96))

        assert await client.read_frame() == (0x81, b"x" * 4096)
        assert await client.read_frame() == (0x81, b"y" * 4000 + b"y" * 96)


async def test_a_close_of_the_client_is_answered_with_its_code():
    backend = StandIn()
    async with running(backend) as server, upgraded(server) as client:
        await client.send(masked(0x88, (4001).to_bytes(2, "big") + b"bye"))

        assert await client.read_close() == (4001, "")
        assert await client.read_all() == b""
    assert backend.ends == [Disconnected]


async def test_a_close_of_the_server_comes_after_what_was_pushed_and_cuts_its_reason():
    async def say_goodbye(transport: Transport) -> None:
        transport.push(text_frame([b"last words"]))
        transport.close(1013, "é" * 100)
        transport.push(text_frame([b"too late"]))

    async with running(StandIn(on_session=say_goodbye)) as server, upgraded(server) as client:
        assert await client.read_frame() == (0x81, b"last words")
        assert await client.read_close() == (1013, "é" * 61)  # 123 bytes hold no half of the 62nd.
        await client.send(masked(0x88, (1013).to_bytes(2, "big")))
        while server.counters.open:  # An answered close needs no more patience with the peer.
            await trio.lowlevel.checkpoint()


async def test_a_close_wakes_the_session_that_waits_for_a_message():
    backend = StandIn()
    async with running(backend, linger_seconds=60) as server, upgraded(server) as client:
        await client.send(masked(0x81, b"hello"))
        await client.read_frame()
        backend.transports[0].close(1000, "done")

        assert await client.read_close() == (1000, "done")
        with trio.fail_after(5):  # The server says all it has to say without waiting for more.
            assert await client.read_all() == b""
        await trio.testing.wait_all_tasks_blocked()
        assert backend.ends == [Disconnected]


async def test_a_session_that_fails_closes_its_socket_and_no_other():
    async def fail(transport: Transport) -> None:
        if await transport.receive() == b"fail":
            raise ZeroDivisionError

    async with (
        running(StandIn(on_session=fail)) as server,
        upgraded(server) as one,
        upgraded(server) as other,
    ):
        await one.send(masked(0x81, b"fail"))

        assert (await one.read_close())[0] == 1011
        await other.send(masked(0x81, b"first") + masked(0x81, b"second"))
        assert await other.read_frame() == (0x81, b"second")
        assert server.counters.failures == 1


async def test_a_slow_reader_gets_everything_in_order():
    """What the system does not take waits here, and goes out as the peer reads."""
    body = b"x" * 3_000_000
    drained = trio.Event()

    async def push_much(transport: Transport) -> None:
        for number in range(5):
            transport.push(text_frame([b"%d" % number, body, b"end"]))
        assert transport.unsent_bytes > 0
        transport.when_drained(drained.set)
        assert not drained.is_set()

    backend = StandIn(on_session=push_much)
    async with running(backend) as server, upgraded(server) as client:
        await trio.testing.wait_all_tasks_blocked()
        for number in range(5):
            assert await client.read_frame() == (0x81, b"%d" % number + body + b"end")
        await drained.wait()

        assert backend.transports[0].unsent_bytes == 0
        assert server.counters.sockets.slow == 1
        at_once: list[bool] = []
        backend.transports[0].when_drained(lambda: at_once.append(True))
        assert at_once == [True]


async def test_more_parts_than_one_system_call_takes_arrive_whole():
    parts = [b"%05d" % number for number in range(3000)]

    async def push_many_parts(transport: Transport) -> None:
        transport.push(text_frame(parts))
        transport.push(text_frame([b"next"]))

    async with running(StandIn(on_session=push_many_parts)) as server, upgraded(server) as client:
        assert await client.read_frame() == (0x81, b"".join(parts))
        assert await client.read_frame() == (0x81, b"next")


async def test_a_peer_that_never_reads_is_given_up():
    backend = StandIn()
    drained: list[bool] = []

    async def push_much(transport: Transport) -> None:
        transport.push(text_frame([b"x" * 20_000_000]))
        transport.when_drained(lambda: drained.append(True))

    backend.on_session = push_much
    async with running(backend, stall_seconds=0.05) as server, upgraded(server):
        await backend.ended.wait()

        assert drained == [True]  # The socket has ended: nobody is to wait for it.
        assert server.counters.sockets.stalled == 1
        backend.transports[0].push(text_frame([b"ignored"]))


async def test_a_peer_for_which_too_much_waits_is_given_up():
    async def push_much(transport: Transport) -> None:
        for _ in range(40):
            transport.push(text_frame([b"x" * 1_000_000]))
        assert transport.unsent_bytes == 0

    backend = StandIn(on_session=push_much)
    async with running(backend, unsent_bytes_max=2 << 20) as server, upgraded(server):
        await backend.ended.wait()

        assert server.counters.sockets.overflows == 1


async def test_a_reset_ends_the_session():
    backend = StandIn()
    async with running(backend) as server:
        async with upgraded(server) as client:
            client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await backend.ended.wait()
        assert backend.ends == [Disconnected]


async def test_a_silent_client_is_pinged_shown_a_message_and_given_up():
    """Half-open connections look like this: nothing comes, and nothing says so."""
    times: dict[str, Any] = {"ping_seconds": 0.04, "message_seconds": 0.06, "silence_seconds": 0.2}
    backend = StandIn()
    async with running(backend, **times) as server, upgraded(server) as client:
        frames: list[tuple[int, bytes]] = []
        while (frame := await client.read_frame())[0] != 0x88:
            frames.append(frame)

        assert (0x89, b"") in frames
        assert (0x81, b'{"type":"Ping"}') in frames
        assert frame[1][2:].startswith(b"InternalServerError")
        assert server.counters.sockets.silent == 1


async def test_a_client_that_answers_pings_stays():
    times: dict[str, Any] = {"ping_seconds": 0.02, "message_seconds": 0.05, "silence_seconds": 0.08}
    async with running(**times) as server, open_websocket_url(server.sync_url) as client:
        for _ in range(5):  # Each is due only after more than half of the silence allowed.
            assert await client.get_message() == '{"type":"Ping"}'
        await client.send_message("still here")
        while (message := await client.get_message()) == '{"type":"Ping"}':
            pass
        assert message == "still here"
        assert server.counters.sockets.silent == 0


async def test_frames_pushed_together_arrive_back_to_back():
    """A transition in pieces is lost by its client if another message comes between them."""

    async def push_pieces(transport: Transport) -> None:
        transport.push(text_frame([b"x" * 2_000_000]))
        transport.push(text_frame([b"second"]))

    async with running(StandIn(on_session=push_pieces)) as server, upgraded(server) as client:
        assert await client.read_frame() == (0x81, b"x" * 2_000_000)
        assert await client.read_frame() == (0x81, b"second")
