"""What a server does between SIGTERM and its end, in order."""

import signal
from contextlib import suppress
from pathlib import Path

import apsw
import pytest
import trio

from tests.cli.support import write_app
from tests.server_process import DEADLINE_SECONDS, ServerProcess
from tests.wire.client import Gone, Message, connected
from tests.wire.load import until

APP = """
import time
from pathlib import Path
import trio
from flow_backend import ActionCtx, Document, MutationCtx, action, document, mutation

@document("notes")
class Note(Document):
    text: str

@mutation
def add(ctx: MutationCtx, text: str) -> str:
    Path("under way").touch()
    while not Path("signalled").exists():
        time.sleep(0.001)
    ctx.db.insert(Note(text=text))
    return text

@action
async def wait(ctx: ActionCtx, name: str) -> str:
    while not Path(name).exists():
        await trio.sleep(0.01)
    return "done"
"""
HELLO: Message = {
    "type": "Connect",
    "sessionId": "00000000-0000-4000-8000-000000000001",
    "connectionCount": 0,
}


@pytest.mark.slow
async def test_i4_sigterm_answers_what_was_taken_says_goodbye_and_leaves_a_clean_file(
    tmp_path: Path,
) -> None:
    """Nobody new comes in; batch, quick action, interrupted action, 1001, checkpoint, mark, 0."""
    environment = {"FLOW_STOP_SECONDS": "2.5", "FLOW_LINGER_SECONDS": "1"}
    folder = write_app(tmp_path, APP)
    server = ServerProcess("small_app", tmp_path / "data", folder, environment)
    heard: list[Message] = []
    with trio.fail_after(DEADLINE_SECONDS), server.ended():
        await trio.to_thread.run_sync(server.start)
        async with connected(server.port) as client:
            await client.send(HELLO)
            for number, name in enumerate(["the quick one may end", "never"]):
                act = {"type": "Action", "requestId": number, "udfPath": "notes:wait"}
                await client.send(act | {"args": [{"name": name}]})
            add = {"type": "Mutation", "requestId": 2, "udfPath": "notes:add"}
            await client.send(add | {"args": [{"text": "milk"}]})
            await until((folder / "under way").exists)
            assert server.popen is not None
            server.popen.send_signal(signal.SIGTERM)
            (folder / "signalled").touch()
            await wait_refused(server.port)
            (folder / "the quick one may end").touch()

            end = ""
            while not end:
                try:
                    heard.append(await client.receive())
                except Gone as error:
                    end = str(error)
            exit_code = await trio.to_thread.run_sync(server.popen.wait)

    answers = [message for message in heard if "requestId" in message]
    assert [message["requestId"] for message in answers] == [2, 0, 1]
    assert [message["success"] for message in answers] == [True, True, False]
    assert answers[-1]["result"] == "Interrupted: the server stops."
    assert end.startswith(f"frame 0x88: {(1001).to_bytes(2, 'big')!r}"[:-1])
    assert exit_code == 0
    assert not (server.data / "flow.sqlite3-wal").exists()
    assert kept(server.data) == 1


async def wait_refused(port: int) -> None:
    """Wait until nobody is taken in any more."""
    with suppress(OSError):
        while True:
            async with await trio.open_tcp_stream("127.0.0.1", port):
                await trio.sleep(0.01)


def kept(data: Path) -> int:
    """Count the notes of a database that says that it was closed well."""
    connection = apsw.Connection(str(data / "flow.sqlite3"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        [[mark]] = connection.execute("SELECT value FROM _meta WHERE name = 'clean_stop'")
        assert mark == 1
        [[name]] = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE '%notes'"
        )
        return len(connection.execute(f'SELECT * FROM "{name}"').fetchall())
    finally:
        connection.close()


@pytest.mark.slow
async def test_i4_an_action_that_cannot_be_ended_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    """It shields itself, or swallows its end: the database is closed first, then the process."""
    environment = {"FLOW_STOP_SECONDS": "0.5", "FLOW_LINGER_SECONDS": "0.5"}
    folder = write_app(tmp_path, APP + STUBBORN)
    server = ServerProcess("small_app", tmp_path / "data", folder, environment)
    with trio.fail_after(DEADLINE_SECONDS), server.ended():
        await trio.to_thread.run_sync(server.start)
        async with connected(server.port) as client:
            await client.send(HELLO)
            for number, name in enumerate(["shielded", "swallowing"]):
                act = {"type": "Action", "requestId": number, "udfPath": f"notes:{name}"}
                await client.send(act | {"args": [{}]})
            await until((folder / "shielded").exists)
            await until((folder / "swallowing").exists)
            assert server.popen is not None
            server.popen.send_signal(signal.SIGTERM)
            assert await trio.to_thread.run_sync(server.popen.wait) == 0
    assert "Actions go on that cannot be ended" in server.log()
    assert not (server.data / "flow.sqlite3-wal").exists()
    assert kept(server.data) == 0


STUBBORN = """

@action
async def shielded(ctx: ActionCtx) -> None:
    Path("shielded").touch()
    with trio.CancelScope(shield=True):
        await trio.sleep_forever()

@action
async def swallowing(ctx: ActionCtx) -> None:
    Path("swallowing").touch()
    while True:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            await trio.lowlevel.cancel_shielded_checkpoint()
"""
