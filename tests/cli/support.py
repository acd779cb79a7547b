"""A small app, served by real processes, and a client that sends again what was not answered."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import trio
from attrs import define, field
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_client_stream

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60
APP = """
import re
import sys
from flow_backend import Document, MutationCtx, QueryCtx, document, mutation, query

sys.set_int_max_str_digits(0)

@document("notes")
class Note(Document):
    text: str

@mutation
def add(ctx: MutationCtx, text: str) -> None:
    ctx.db.insert(Note(text=text))

@query
def texts(ctx: QueryCtx) -> list[str]:
    return [note.text for note in ctx.db.scan(Note)]

@mutation
def hold(ctx: MutationCtx, text: str) -> int:
    ctx.db.insert(Note(text=text))
    return len(str(7 ** 10_000_000))

@query
def backtrack(ctx: QueryCtx, text: str) -> bool:
    return re.fullmatch("(a|a)*b", text) is not None
"""


def write_app(folder: Path, source: str = APP) -> Path:
    """Put the small app into a folder; give the folder."""
    (folder / "small_app").mkdir()
    (folder / "small_app" / "__init__.py").write_text('"""A small app."""\n')
    (folder / "small_app" / "notes.py").write_text(source)
    return folder


@define
class Served:
    """``flow serve`` in a process."""

    popen: "subprocess.Popen[str]"
    _said: str = ""
    host: str = "127.0.0.1"
    folder: Path = Path()
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def wait_ready(self) -> int:
        """Wait for the line that says where it listens; give the port."""
        assert self.popen.stdout is not None
        while line := self.popen.stdout.readline():
            found = re.fullmatch(r"Flow is ready at http://127\.0\.0\.1:(\d+)\n", line)
            if found is not None:
                self.port = int(found[1])
                return self.port
        raise AssertionError(self.popen.communicate())

    def call(self, kind: str, path: str, **args: Any) -> Any:
        url, body = f"{self.url}/api/{kind}", {"path": path, "args": args}
        # Certificates, of which http has none, take 40 ms to read: at each call.
        answer = httpx.post(url, json=body, timeout=PATIENCE_SECONDS, verify=False).json()
        assert answer["status"] == "success", answer
        return answer["value"]

    def stop(self) -> tuple[int, str]:
        """Stop it by SIGTERM; give its exit code and what it wrote to stderr."""
        self.popen.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> tuple[int, str]:
        """Wait for its end; give its exit code and what it wrote to stderr."""
        _, said = self.popen.communicate(timeout=PATIENCE_SECONDS)
        return self.popen.returncode, said

    def children(self) -> list[int]:
        """Give the process ids of its children."""
        pid = self.popen.pid
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]


@contextmanager
def serving(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None
) -> Generator[Served]:
    """Run ``flow serve`` in a folder that holds the small app."""
    program = "from flow_backend.cli.main import backend_commands as b; b()()"
    command = [sys.executable, "-c", program, "serve", "--app", "small_app", *arguments]
    defaults = {"PYTHONPATH": str(ROOT), "FLOW_PORT": "0", "FLOW_LINGER_SECONDS": "0.5"}
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **defaults, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as popen:
        served = Served(popen)
        try:
            yield served
        finally:
            if popen.poll() is None:
                # A supervisor that is asked takes its server along.
                popen.terminate()
                with suppress(subprocess.TimeoutExpired):
                    popen.communicate(timeout=PATIENCE_SECONDS)
            popen.kill()


@define(eq=False)
class Client:
    """Speaks the sync protocol as official clients do: what was not answered is sent again."""

    port: int
    session_id: str = field(factory=lambda: str(uuid4()))
    queries: list[tuple[str, dict[str, Any]]] = field(factory=list[tuple[str, dict[str, Any]]])
    results: dict[int, Any] = field(factory=dict[int, Any])
    unanswered: dict[int, tuple[str, dict[str, Any]]] = field(
        factory=dict[int, tuple[str, dict[str, Any]]]
    )
    answers: dict[int, dict[str, Any]] = field(factory=dict[int, dict[str, Any]])
    closes: list[int | None] = field(factory=list[int | None])
    connections: int = 0
    observed_ts: str | None = None
    _heard: trio.Event = field(factory=trio.Event)
    _connection: WebSocketConnection | None = None

    async def run(self) -> None:
        """Connect, again and again."""
        while True:
            with suppress(OSError):
                async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
                    await self._connect(stream)
            self._connection = None
            await trio.sleep(0.02)

    async def mutate(self, path: str, **args: Any) -> dict[str, Any]:
        """Send a mutation, until it is answered."""
        number = len(self.unanswered) + len(self.answers)
        self.unanswered[number] = (path, args)
        if self._connection is not None:
            with suppress(ConnectionClosed):
                await self._send_mutation(self._connection, number)
        while number not in self.answers:
            await self.wait_heard()
        return self.answers[number]

    async def wait_heard(self) -> None:
        """Wait for any message."""
        self._heard = trio.Event()
        await self._heard.wait()

    async def _connect(self, stream: trio.SocketStream) -> None:
        async with trio.open_nursery() as nursery:
            with suppress(HandshakeError):
                # The client's library waits for ever if the server dies amid the handshake.
                with trio.move_on_after(20):
                    connection = await wrap_client_stream(
                        nursery, stream, "127.0.0.1", "/api/1.48.0/sync"
                    )
                    try:
                        await self._greet(connection)
                        self._connection = connection
                    except ConnectionClosed:
                        pass
                if self._connection is not None:
                    await self._listen(self._connection)
            nursery.cancel_scope.cancel()

    async def _greet(self, connection: WebSocketConnection) -> None:
        hello: dict[str, Any] = {"type": "Connect", "sessionId": self.session_id}
        hello["connectionCount"] = self.connections
        if self.observed_ts is not None:
            hello["maxObservedTimestamp"] = self.observed_ts
        self.connections += 1
        await self._send(connection, hello)
        adds = [
            {"type": "Add", "queryId": number, "udfPath": path, "args": [args]}
            for number, (path, args) in enumerate(self.queries)
        ]
        edit = {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, "modifications": adds}
        await self._send(connection, edit)
        for number in sorted(self.unanswered):
            await self._send_mutation(connection, number)

    async def _listen(self, connection: WebSocketConnection) -> None:
        try:
            while True:
                self._take(orjson.loads(await connection.get_message()))
                self._heard.set()
        except ConnectionClosed as error:
            self.closes.append(None if error.reason is None else error.reason.code)

    def _take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "MutationResponse":
                number = message["requestId"]
                assert self.unanswered.pop(number, None) is not None, "an answer came twice"
                self.answers[number] = message
            case "Transition":
                self.observed_ts = message["endVersion"]["ts"]
                for change in message["modifications"]:
                    self.results[change["queryId"]] = change
            case "Ping":
                pass
            case other:
                raise AssertionError(other)

    async def _send_mutation(self, connection: WebSocketConnection, number: int) -> None:
        path, args = self.unanswered[number]
        message = {"type": "Mutation", "requestId": number, "udfPath": path, "args": [args]}
        await self._send(connection, message)

    async def _send(self, connection: WebSocketConnection, message: dict[str, Any]) -> None:
        await connection.send_message(orjson.dumps(message).decode())
