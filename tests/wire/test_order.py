"""Write, fsync, answer: the order of a server's system calls, as the kernel saw them."""

import os
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
import trio

from tests.server_process import APPS, ServerProcess, flow_command, planted_command
from tests.wire.client import Message, Socket, connected
from tests.wire.load import call
from tests.wire.tracing import Order, calls, can_trace, check_order, full_trace, traced_pid

pytestmark = pytest.mark.slow

ONE_BY_ONE = 4
OVER_HTTP = 3
AT_ONCE = 24


async def hello(socket: Socket) -> None:
    session: Message = {"type": "Connect", "sessionId": str(uuid4()), "connectionCount": 0}
    edit: Message = {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1}
    add = {"type": "Add", "queryId": 0, "udfPath": "notes:texts", "args": [{}]}
    await socket.send(session, {**edit, "modifications": [add]})


def note(number: int, text: str) -> Message:
    message: Message = {"type": "Mutation", "requestId": number, "udfPath": "notes:add"}
    return {**message, "args": [{"text": text}]}


async def answers(socket: Socket, count: int) -> None:
    while count:
        count -= (await socket.receive())["type"] == "MutationResponse"


async def talk(server: ServerProcess) -> list[str]:
    """Add notes one by one, over HTTP and many at once, while another client watches."""
    texts = [uuid4().hex for _ in range(ONE_BY_ONE + OVER_HTTP + AT_ONCE)]
    async with connected(server.port) as socket, connected(server.port) as watcher:
        await hello(socket)
        await hello(watcher)
        for number in range(ONE_BY_ONE):
            await socket.send(note(number, texts[number]))
            await answers(socket, 1)
        for text in texts[ONE_BY_ONE : ONE_BY_ONE + OVER_HTTP]:
            add = partial(call, server, "mutation", "notes:add", text=text)
            await trio.to_thread.run_sync(add)
        rest = texts[ONE_BY_ONE + OVER_HTTP :]
        await socket.send(*(note(100 + number, text) for number, text in enumerate(rest)))
        await answers(socket, len(rest))
        seen: object = []
        while seen != texts:
            message = await watcher.receive()
            for change in message.get("modifications", []):
                seen = change["value"]
    return texts


async def traced(folder: Path, command: Sequence[str]) -> Order:
    """Trace a server while clients talk to it, and give what the order of its calls says."""
    trace = folder / "trace"
    data = folder / "data"
    server = ServerProcess("ledger_app", data, APPS, command=[*full_trace(trace), *command])
    with trio.fail_after(120), server.ended():
        await trio.to_thread.run_sync(server.start)
        texts = await talk(server)
        assert server.popen is not None
        os.kill(traced_pid(server.popen.pid), signal.SIGTERM)
        assert await trio.to_thread.run_sync(server.popen.wait) == 0, server.log()
    marks = [text.encode() for text in texts]
    with trace.open() as lines:
        return check_order(calls(lines), marks, str(data / "flow.sqlite3"))


async def test_b1_b2_nothing_leaves_the_process_before_it_is_on_disk(tmp_path: Path) -> None:
    """Each answer, transition and log line comes after an fsync of the log that returned 0."""
    if not can_trace():
        pytest.skip("strace is missing, or may not trace")

    order = await traced(tmp_path, flow_command())

    assert order.problems == []
    # Each text was in an answer, and in a transition for each of the two who watch.
    assert min(order.told.values()) >= 2, order.told
    assert order.batch_most > 1


@pytest.mark.parametrize("plant", ["no_fsync", "answer_early"])
async def test_k_a_planted_bug_is_seen_in_the_trace(tmp_path: Path, plant: str) -> None:
    """The check above would see a server that trusts the kernel, or that answers at once."""
    if not can_trace():
        pytest.skip("strace is missing, or may not trace")

    order = await traced(tmp_path, planted_command(plant))

    assert len(order.problems) >= ONE_BY_ONE
