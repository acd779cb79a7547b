"""One request and its response between two tasks: one piece at a time, and either may leave."""

from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from flow_backend import ActionCtx, HttpRequest, HttpResponse, RequestBodyError, http_action
from flow_backend.functions.exchange import ClientGone, Exchange
from flow_backend.server.config import Settings
from flow_backend.server.routes import RequestBody


@http_action(path="/")
async def answer(ctx: ActionCtx, request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def made() -> Exchange:
    return Exchange(action=answer, method="GET", request_bytes_max=1000, response_bytes_max=1000)


async def test_a_body_is_read_no_faster_than_the_action_takes_it(
    nursery: trio.Nursery,
) -> None:
    """So a slow route slows its client down, and holds one piece of it."""
    exchange, reads = made(), 0

    async def read() -> bytes | None:
        nonlocal reads
        await trio.lowlevel.checkpoint()
        reads += 1
        return b"piece" if reads <= 9 else None

    nursery.start_soon(exchange.carry_body, read)
    await wait_all_tasks_blocked()
    assert reads == 1
    assert await exchange.next_piece() == b"piece"
    await wait_all_tasks_blocked()
    assert reads == 2

    while await exchange.next_piece() is not None:
        pass
    assert reads == 10


async def test_a_stream_is_closed_when_its_client_leaves(nursery: trio.Nursery) -> None:
    """At once, and not when the garbage is collected; nothing is made that nobody reads."""
    exchange, pieces = made(), 0
    ended = trio.Event()

    async def body() -> AsyncIterator[bytes]:
        nonlocal pieces
        try:
            while True:
                pieces += 1
                yield b"piece"
        finally:
            ended.set()

    kept = body()
    told = trio.Event()

    async def respond() -> None:
        with pytest.raises(ClientGone):
            await exchange.respond(HttpResponse(kept))
        assert ended.is_set()
        told.set()

    nursery.start_soon(respond)
    await exchange.parts.receive()
    assert await exchange.parts.receive() == b"piece"
    await wait_all_tasks_blocked()
    assert pieces == 2
    exchange.leave()
    await told.wait()


async def test_an_action_hears_why_no_more_of_a_body_comes(nursery: trio.Nursery) -> None:
    """Half a body must never look like a whole one."""
    left, given_up, large = made(), made(), made()

    async def read() -> bytes | None:
        await trio.lowlevel.checkpoint()
        return bytes(600)

    left.leave()
    given_up.end()
    nursery.start_soon(large.carry_body, read)

    with pytest.raises(RequestBodyError, match="the client has gone"):
        await left.next_piece()
    with pytest.raises(RequestBodyError, match="this action was ended"):
        await given_up.next_piece()
    assert await large.next_piece() == bytes(600)
    with pytest.raises(RequestBodyError, match="at most 1000 bytes"):
        await large.next_piece()


async def test_j9_a_body_that_trickles_is_given_up_in_the_end(autojump_clock: MockClock) -> None:
    """Each piece comes in time, and all of them too late; what the action takes is not counted."""

    async def receive() -> dict[str, object]:
        await trio.sleep(20)
        return {"type": "http.request", "body": b"a", "more_body": True}

    body = RequestBody(receive, Settings(body_stall_seconds=30, body_seconds=90), True)

    for _ in range(4):
        assert await body.read() == b"a"
        await trio.sleep(1000)
    with pytest.raises(RequestBodyError, match="too slowly"):
        await body.read()
