"""A real server, killed again and again: what it acknowledged is there, and there once."""

import math
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
import trio
from attrs import define, field
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_client_stream

ROOT = Path(__file__).parents[2]
KILLS = 20
CLIENTS = 4
AT_ONCE = 8
APP = """
from flow_backend import Document, MutationCtx, QueryCtx, document, mutation, query

@document("notes")
class Note(Document):
    text: str

@mutation
def add(ctx: MutationCtx, text: str) -> str:
    ctx.db.insert(Note(text=text))
    return text

@query
def all_notes(ctx: QueryCtx) -> list[str]:
    return [note.text for note in ctx.db.scan(Note)]
"""


@define
class PlainClient:
    """Sends mutations, and sends again under the same ids what was not answered."""

    name: str
    port: int
    session_id: str = field(factory=lambda: str(uuid4()))
    unanswered: dict[int, str] = field(factory=dict[int, str])
    acknowledged: list[str] = field(factory=list[str])
    last_id: int = -1
    stops: bool = False

    async def run(self) -> None:
        while not (self.stops and not self.unanswered):
            with suppress(OSError):
                async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
                    await self._connect(stream)
            await trio.sleep(0.02)

    async def _connect(self, stream: trio.SocketStream) -> None:
        async with trio.open_nursery() as nursery:
            with suppress(ConnectionClosed, HandshakeError):
                path = "/api/1.48.0/sync"
                # This client waits for ever if the server dies in the middle of the handshake.
                with trio.move_on_after(5) as patience:
                    connection = await wrap_client_stream(nursery, stream, "127.0.0.1", path)
                    patience.deadline = math.inf
                    await self._talk(connection)
            nursery.cancel_scope.cancel()

    async def _talk(self, connection: WebSocketConnection) -> None:
        hello = {"type": "Connect", "sessionId": self.session_id, "connectionCount": 0}
        await self._send(connection, hello)
        edit: dict[str, Any] = {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1}
        edit["modifications"] = []
        await self._send(connection, edit)
        for request_id, text in list(self.unanswered.items()):
            await self._mutate(connection, request_id, text)
        while not (self.stops and not self.unanswered):
            while len(self.unanswered) < AT_ONCE and not self.stops:
                self.last_id += 1
                self.unanswered[self.last_id] = f"{self.name}:{self.last_id}"
                await self._mutate(connection, self.last_id, self.unanswered[self.last_id])
            message = orjson.loads(await connection.get_message())
            if message["type"] == "MutationResponse":
                assert message["success"], message
                text = self.unanswered.pop(message["requestId"])
                assert message["result"] == text
                self.acknowledged.append(text)

    async def _mutate(self, connection: WebSocketConnection, request_id: int, text: str) -> None:
        mutation = {"type": "Mutation", "requestId": request_id, "udfPath": "notes:add"}
        await self._send(connection, {**mutation, "args": [{"text": text}]})

    async def _send(self, connection: WebSocketConnection, message: dict[str, Any]) -> None:
        await connection.send_message(orjson.dumps(message).decode())


@contextmanager
def serving(folder: Path, port: int) -> Generator["subprocess.Popen[str]"]:
    """Serve, until killed with a signal that nobody can catch."""
    program = "from flow_backend.cli.main import backend_commands as b; b()()"
    command = [sys.executable, "-c", program, "serve", "--app", "small_app", "--port", str(port)]
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith("Flow is ready"), "it did not start"
            yield process
        finally:
            process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def until(holds: Callable[[], bool]) -> None:
    """Wait for other tasks; what they do is up to processes and sockets."""
    while not holds():  # noqa: ASYNC110  # There is no event that a dying server sets.
        await trio.sleep(0.005)


async def all_notes(port: int) -> list[str]:
    args: dict[str, str] = {}
    body = {"path": "notes:all_notes", "args": args, "format": "json"}
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"http://127.0.0.1:{port}/api/query", json=body, timeout=30)
    notes: list[str] = answer.json()["value"]
    return notes


@pytest.mark.slow
async def test_kill_9_under_load_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """B1 and C1, with real processes, sockets and fsyncs."""
    (tmp_path / "small_app").mkdir()
    (tmp_path / "small_app" / "__init__.py").write_text('"""A small app."""\n')
    (tmp_path / "small_app" / "notes.py").write_text(APP)
    port = free_port()
    clients = [PlainClient(f"c{number}", port) for number in range(CLIENTS)]

    def count() -> int:
        return sum(len(client.acknowledged) for client in clients)

    with trio.fail_after(240):
        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(client.run)
            for number in range(KILLS):
                before = count()
                with serving(tmp_path, port):
                    # Into the middle of the work, wherever that is: nothing is asserted of time.
                    await until(lambda: count() > before + number)  # noqa: B023  # Awaited here.
            with serving(tmp_path, port):
                for client in clients:
                    client.stops = True
                await until(lambda: not any(client.unanswered for client in clients))
                notes = await all_notes(port)
                nursery.cancel_scope.cancel()

    sent = [text for client in clients for text in client.acknowledged]
    assert len(sent) > KILLS
    assert sorted(notes) == sorted(sent)
