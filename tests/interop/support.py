"""The official clients in processes of their own, and a proxy that cuts sockets."""

import json
import shutil
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from attrs import define

from tests.server_process import DEADLINE_SECONDS, ROOT

CLIENTS = Path(__file__).parent / "clients"
PACKAGES = ROOT / "flow_web" / "node_modules"

Report = dict[str, Any]


def missing() -> str | None:
    """Say what these tests need and this machine has not."""
    if shutil.which("node") is None:
        return "Node is missing: the tests against the official clients do not run"
    if not (PACKAGES / "convex").is_dir():
        return "flow_web/node_modules is missing (npm ci): official clients are not tested"
    return None


async def run_node(
    script: str, scenario: str, *, seconds: float = DEADLINE_SECONDS, **given: object
) -> list[Any]:
    """Run a scenario of the JavaScript client and give what it reported, in order."""
    return await _run_client(["node", str(CLIENTS / script), scenario], given, seconds)


async def run_python(
    scenario: str, *, seconds: float = DEADLINE_SECONDS, **given: object
) -> list[Any]:
    """Run a scenario of the Python client and give what it reported, in order."""
    script = str(CLIENTS / "python_client.py")
    return await _run_client([sys.executable, script, scenario], given, seconds)


async def _run_client(command: list[str], given: dict[str, object], seconds: float) -> list[Any]:
    with trio.move_on_after(seconds) as deadline:
        done = await trio.run_process(
            [*command, json.dumps(given)], capture_stdout=True, capture_stderr=True, check=False
        )
        reports = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0, (done.stderr.decode()[-4000:], reports[-3:])
        return reports
    assert deadline.cancelled_caught
    raise AssertionError(f"{command[-1]} is not done after {seconds} s")


OnChunk = Callable[["Proxy", bytes], bool]


@define
class Proxy:
    """Stands between a client and a server, and cuts where a test says.

    Attributes:
        upstream: the server's port now; it may change between two connections.
        cut_downstream: asked before a chunk of the server goes on; True cuts instead of that.
        cut_upstream: the same for chunks of the client. WebSocket masks what they say.
        connections: how many connections clients have opened.
        sockets: how many of them became WebSockets.
        cuts: how many of them were cut.
    """

    upstream: int
    cut_downstream: OnChunk = lambda _proxy, _chunk: False
    cut_upstream: OnChunk = lambda _proxy, _chunk: False
    port: int = 0
    connections: int = 0
    sockets: int = 0
    cuts: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, client: trio.SocketStream) -> None:
        self.connections += 1
        try:
            server = await trio.open_tcp_stream("127.0.0.1", self.upstream)
        except OSError:
            return  # The server is down, so the client finds its socket closed.
        async with client, server, trio.open_nursery() as nursery:
            nursery.start_soon(self._pass, client, server, self.cut_upstream, nursery.cancel_scope)
            nursery.start_soon(
                self._pass, server, client, self.cut_downstream, nursery.cancel_scope
            )

    async def _pass(
        self,
        source: trio.SocketStream,
        target: trio.SocketStream,
        cut: OnChunk,
        scope: trio.CancelScope,
    ) -> None:
        try:
            async for chunk in source:
                self.sockets += chunk.startswith(b"HTTP/1.1 101 ")
                if cut(self, bytes(chunk)):
                    self.cuts += 1
                    break
                await target.send_all(chunk)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # One side hung up; the other one now loses its socket too.
        scope.cancel()


@asynccontextmanager
async def open_proxy(proxy: Proxy) -> AsyncGenerator[Proxy]:
    """Let it listen on a port of its own."""
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, proxy.serve, 0)
        proxy.port = listeners[0].socket.getsockname()[1]
        yield proxy
        nursery.cancel_scope.cancel()
