"""A disk that fails inside a COMMIT: nobody is answered after it, and every client hears why."""

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import trio
from attrs import define, field

from tests.effort import cases
from tests.server_process import (
    APPS,
    DEADLINE_SECONDS,
    ServerProcess,
    flow_command,
    planted_command,
)
from tests.wire.client import Gone, Message, Socket, connected
from tests.wire.load import call, until
from tests.wire.tracing import can_trace, fsync_trace

pytestmark = pytest.mark.slow

WRITERS: Final = 6
WATCHERS: Final = 10
AT_ONCE: Final = 4
"""Mutations that a writer has under way, so that the failure meets some of them in its socket."""
CLOSED: Final = "frame 0x88: " + repr((1011).to_bytes(2, "big") + b"InternalServerError")


@define
class Told:
    """What one client was told, and how it ended.

    Attributes:
        texts: those whose mutation was acknowledged.
        newest: the last list of all texts that it was shown.
    """

    name: str
    texts: list[str] = field(factory=list[str])
    newest: list[str] = field(factory=list[str])
    end: str = ""

    def hear(self, message: Message) -> None:
        match message["type"]:
            case "MutationResponse":
                assert message["success"], message
                self.texts.append(message["result"])
            case "Transition":
                for change in message["modifications"]:
                    self.newest = change["value"]
            case _:
                pass


async def greet(client: Socket, name: str) -> None:
    number = sum(name.encode())
    session = f"00000000-0000-4000-8000-{number:012}"
    add = {"type": "Add", "queryId": 0, "udfPath": "notes:texts", "args": [{}]}
    await client.send(
        {"type": "Connect", "sessionId": session, "connectionCount": 0},
        {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, "modifications": [add]},
    )


async def talk(port: int, told: Told, at_once: int, ready: trio.Event) -> None:
    """Add notes, some at once, and watch them all, until the connection ends."""
    try:
        async with connected(port) as client:
            await greet(client, told.name)
            told.hear(await client.receive())
            ready.set()
            sent = 0
            while True:
                while sent < len(told.texts) + at_once:
                    mutation: dict[str, Any] = {"type": "Mutation", "requestId": sent}
                    mutation["udfPath"] = "notes:add"
                    with suppress(Gone):  # What was said before the end is there to be read.
                        await client.send(mutation | {"args": [{"text": f"{told.name} {sent}"}]})
                    sent += 1
                told.hear(await client.receive())
    except Gone as error:
        told.end = str(error)


async def post(port: int, told: Told) -> None:
    """Add notes over HTTP, until no answer comes."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        while True:
            text = f"{told.name} {len(told.texts)}"
            body = orjson.dumps({"path": "notes:add", "args": {"text": text}})
            head = b"POST /api/mutation HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
            try:
                await stream.send_all(head % len(body) + body)
                answer = await stream.receive_some()
            except trio.BrokenResourceError:
                return
            if not answer:
                return
            assert b'"status":"success"' in answer, answer
            told.texts.append(text)


async def fail(server: ServerProcess) -> list[Told]:
    """Give a server work until its disk fails; give what its clients were told."""
    await trio.to_thread.run_sync(server.start)
    writers = [Told(f"writer {number}") for number in range(WRITERS)]
    watchers = [Told(f"watcher {number}") for number in range(WATCHERS)]
    callers = [Told("caller")]
    async with trio.open_nursery() as nursery:
        for told in watchers:
            ready = trio.Event()
            nursery.start_soon(talk, server.port, told, 0, ready)
            await ready.wait()
        for told in writers:
            nursery.start_soon(talk, server.port, told, AT_ONCE, trio.Event())
        nursery.start_soon(post, server.port, callers[0])
    assert [told.end for told in writers + watchers] == [CLOSED] * (WRITERS + WATCHERS)
    return writers + watchers + callers


@pytest.mark.parametrize("by", ["the system", "SQLite"])
@pytest.mark.parametrize("number", range(cases(each=10, night=30)))
async def test_b6_a_failed_commit_answers_nobody_closes_all_and_exits_74(
    tmp_path: Path, by: str, number: int
) -> None:
    """Clients come back after 1011 and send again: then they hear what the disk really has."""
    server = ServerProcess("ledger_app", tmp_path / "data", APPS)
    if by == "SQLite":
        server.command = planted_command(f"fail_commit={8 + number}")
    elif can_trace():
        server.command = [*fsync_trace(f"error=EIO:when={20 + number}"), *flow_command()]
    else:
        pytest.skip("strace is missing, or may not trace")

    with trio.fail_after(2 * DEADLINE_SECONDS), server.ended():
        everybody = await fail(server)
        assert server.popen is not None
        popen = server.popen
        await until(lambda: popen.poll() is not None)
        assert popen.returncode == 74, server.log()
        server.kill()
        server.command = flow_command()
        await trio.to_thread.run_sync(server.start)
        kept = call(server, "query", "notes:texts")
        assert await trio.to_thread.run_sync(server.stop) == 0

    told = {text for each in everybody for text in (*each.texts, *each.newest)}
    assert told <= set(kept), "something was told that the disk does not have"
    assert any(each.texts for each in everybody)
    assert len(kept) == len(set(kept))
