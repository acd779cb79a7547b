"""Usual calls are answered directly: as the long way would answer them, and never misread."""

import h11
import orjson
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from flow_backend.server.direct import DirectCall, read_call
from tests.effort import cases
from tests.server.stand_in import StandIn, raw, running

BODY = b'{"path":"t:echo","args":{"n":1},"format":"convex_encoded_json"}'
CALL = b"POST /api/query HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b"
USUAL = CALL % (b"", len(BODY), BODY)
# Understood on the long way only, and without any meaning there.
LONG_WAY = b"Te: trailers\r\n"


def test_what_clients_send_is_usual() -> None:
    """Else the short way would be there, and nobody on it."""
    headers = (
        b"accept: */*\r\naccept-encoding: gzip, deflate\r\nConnection: keep-alive\r\n"
        b"user-agent: node\r\nConvex-Client: npm-1.48.0\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer a.b.c\r\n"
    )

    call = read_call(CALL % (headers, len(BODY), BODY) + b"next", 1000)

    assert isinstance(call, DirectCall)
    assert (call.kind, call.body, call.rest) == ("query", BODY, b"next")
    assert call.headers["authorization"] == "Bearer a.b.c"


@pytest.mark.parametrize(
    "data",
    [
        USUAL.replace(b"POST", b"GET"),
        USUAL.replace(b"/api/query", b"/api/query?x=1"),
        USUAL.replace(b"HTTP/1.1", b"HTTP/1.0"),
        USUAL.replace(b"Host: x\r\n", b""),
        USUAL.replace(b"Host: x\r\n", b"Host: x\r\nHost: x\r\n"),
        USUAL.replace(b"Host: x", b"Host : x"),
        USUAL.replace(b"Host: x", b"Host: x\r\n y: z"),
        USUAL.replace(b"Host: x\r\n", b"Host: x\n"),
        USUAL.replace(b"Content-Length: 63", b"Content-Length: +63"),
        USUAL.replace(b"Content-Length: 63", b"Content-Length: 63\r\ncontent-length: 0"),
        *(
            CALL % (header + b"\r\n", len(BODY), BODY)
            for header in (
                b"Transfer-Encoding: chunked",
                b"Expect: 100-continue",
                b"Connection: close",
                b"Connection: keep-alive, upgrade",
                b"Upgrade: h2c",
                b"Origin: https://a.example",
                b"Content-Encoding: gzip",
                b"X: \xff",
                b"X: a\x00",
                b"No colon",
                b"colon",
            )
        ),
        CALL % (b"X: %b\r\n" % (b"x" * 9000), len(BODY), BODY),
        CALL % (b"", 1001, b""),
    ],
)
def test_what_is_unusual_goes_the_long_way(data: bytes) -> None:
    """Hypercorn knows what these mean, or that they mean nothing."""
    assert b"63" in USUAL

    assert read_call(data, 1000) == "unusual"


_MARKS = (
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b"\0",
    b"\x0b",
    b"\x85",
    b",",
    b"-",
    b"0",
    b"64",
)
_LINES = (b"Host: y", b"Content-Length: 5", b"Transfer-Encoding: chunked", b"X: 1", b"x")
_PIECES = st.sampled_from([*_MARKS, *(line + b"\r\n" for line in _LINES)])


@given(at=st.integers(0, len(USUAL)), cut=st.integers(0, 6), pieces=st.lists(_PIECES, max_size=3))
@settings(max_examples=cases(5_000, 100_000), deadline=None)
def test_what_is_taken_reads_the_same_by_rfc_9112(at: int, cut: int, pieces: list[bytes]) -> None:
    """Two readings of one request are how a request is smuggled past a proxy."""
    data = USUAL[:at] + b"".join(pieces) + USUAL[at + cut :]

    call = read_call(data, 1000)

    if isinstance(call, DirectCall):
        other = h11.Connection(h11.SERVER)
        other.receive_data(data)
        request = other.next_event()
        assert isinstance(request, h11.Request)
        assert (request.method, request.target) == (b"POST", call.path.encode())
        headers = [(name.decode(), value.decode()) for name, value in request.headers]
        assert sorted(headers) == sorted(call.headers.items())
        body = other.next_event()
        if isinstance(body, h11.Data):
            assert bytes(body.data) == call.body
        else:
            assert not call.body
        assert len(call.body) == int(call.headers["content-length"])


def _post(body: bytes, headers: bytes = b"") -> bytes:
    return CALL % (headers, len(body), body)


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        b'{"path":"t:rich"}',
        b'{"path":"t:fails"}',
        b'{"path":"t:full"}',
        b'{"path":"t:lost"}',
        b'{"path":"t:bug"}',
        b"{",
        b"",
        b"[1]",
        b'{"path":"no path!"}',
    ],
)
@pytest.mark.parametrize("kind", [b"query", b"mutation", b"action"])
@pytest.mark.parametrize("header", [b"", b"Convex-Request-Id: abc\r\n", b"Authorization: no\r\n"])
async def test_both_ways_give_the_same_answer(kind: bytes, header: bytes, body: bytes) -> None:
    """Status, headers and body: nobody can tell which way a request went."""
    async with running() as server:
        answers: list[tuple[list[bytes], bytes]] = []
        for more in (b"", LONG_WAY):
            async with raw(server) as client:
                await client.send(_post(body, header + more).replace(b"query", kind, 1))
                head = await client.read_head()
                lines = [line for line in head.lower().split(b"\r\n") if b"date:" not in line]
                size = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
                answers.append((sorted(lines[1:]), lines[0][:12] + await client.read(size)))

    assert answers[0] == answers[1]


async def test_calls_share_a_connection_and_keep_their_order() -> None:
    """Sent at once they are answered one after the other; cut anywhere they are put together."""
    backend = StandIn()
    calls = [orjson.dumps({"path": "t:echo", "args": {"n": number}}) for number in range(3)]
    stream = b"".join(map(_post, calls))
    async with running(backend) as server, raw(server) as client:
        for cut in (len(stream), 7, 60, 100):
            await client.send(stream[:cut])
            await trio.testing.wait_all_tasks_blocked()
            await client.send(stream[cut:])
            for number in range(3):
                head = await client.read_head()
                assert b" 200 OK\r\n" in head
                body = await client.read(int(head.lower().split(b"content-length: ")[1].split()[0]))
                assert orjson.loads(body)["value"] == {"n": number}
        assert server.counters.accepted == 1
        assert server.counters.http_requests == 12


async def test_a_connection_goes_the_long_way_with_all_its_bytes() -> None:
    async with running() as server, raw(server) as client:
        await client.send(USUAL + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + USUAL)

        for expected in (b"success", b"live", b"success"):
            head = await client.read_head()
            size = int(head.lower().split(b"content-length: ")[1].split()[0])
            assert expected in await client.read(size)
        assert server.counters.accepted == 1


async def test_a_silent_connection_ends_after_its_keep_alive_time() -> None:
    with trio.fail_after(5):
        async with running(keep_alive_seconds=0.05) as server, raw(server) as client:
            await client.send(USUAL)
            assert b"success" in await client.read_all()
            assert server.counters.failures == 0


async def test_a_stop_closes_idle_connections_at_once() -> None:
    with trio.fail_after(5):
        async with running(stop_seconds=60, keep_alive_seconds=60) as server, raw(server) as client:
            await client.send(USUAL)
            await client.read_head()
            await trio.testing.wait_all_tasks_blocked()
            await server.stop()
            assert b"success" in await client.read_all()
            assert server.counters.failures == 0


async def test_the_last_answer_before_a_stop_says_so() -> None:
    backend = StandIn()
    async with running(backend) as server, raw(server) as client, trio.open_nursery() as nursery:
        await client.send(_post(b'{"path":"t:slow"}'))
        while not backend.calls:
            await trio.lowlevel.checkpoint()
        nursery.start_soon(server.stop)
        await trio.testing.wait_all_tasks_blocked()
        backend.may_end.set()

        assert b"connection: close" in await client.read_all()
