"""The whole server: a backend, its listener and its HTTP endpoints, from start to stop."""

import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from attrs import define, field

from flow_backend.actors.gate import Gate
from flow_backend.functions.http import Router
from flow_backend.server.calls import FunctionApi
from flow_backend.server.config import Settings
from flow_backend.server.core import BackendFacade
from flow_backend.server.direct import DirectCalls
from flow_backend.server.exports import DataBackend
from flow_backend.server.function_log import FunctionLog
from flow_backend.server.handover import HttpServer
from flow_backend.server.http import Readiness, build_http_app, build_site_app
from flow_backend.server.listener import Listener, open_all_listeners
from flow_backend.server.log_api import LogApi
from flow_backend.server.memory import MemoryWatch, default_memory_bytes
from flow_backend.server.metrics import ServerCounters
from flow_backend.server.transfers import Transfers
from flow_backend.server.web import list_web_folder


async def _nothing_to_drain() -> None:
    await trio.lowlevel.checkpoint()


@define(kw_only=True)
class Server:
    """A server that is running.

    ``host`` and ``port`` are where it listens, with the port that was really taken.
    """

    listener: Listener
    readiness: Readiness
    host: str
    port: int
    _drain: Callable[[], Awaitable[None]] = field(alias="drain")
    _stopping: bool = field(default=False, init=False)

    @property
    def url(self) -> str:
        """The address that clients are given."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        return f"http://{host}:{self.port}"

    @property
    def sync_url(self) -> str:
        """The address that WebSockets are opened at."""
        return f"ws{self.url.removeprefix('http')}/api/sync"

    @property
    def counters(self) -> ServerCounters:
        """What the server has counted."""
        return self.listener.counters

    async def stop(self) -> None:
        """Stop gracefully: see :meth:`Listener.stop`. A second call does nothing."""
        if self._stopping:
            return
        self._stopping = True
        self.readiness.ready = False
        await self.listener.stop(self._drain)


@asynccontextmanager
async def open_server(
    backend: BackendFacade,
    settings: Settings,
    *,
    web: Path | None = None,
    drain: Callable[[], Awaitable[None]] = _nothing_to_drain,
    listening: list[socket.socket] | None = None,
    gate: Gate | None = None,
    router: Callable[[], Router] = Router,
    data: DataBackend | None = None,
    function_log: FunctionLog | None = None,
) -> AsyncGenerator[Server]:
    """Serve a backend while the block runs; at its end the server stops gracefully.

    ``drain`` returns when the backend has answered all that its sessions asked. ``listening`` are
    sockets that listen already; without them ``settings`` say where. ``gate`` is the one
    that the backend looks at; it is shut while the process has too much memory. ``router``
    gives the HTTP routes of the app as it serves now. ``data`` is the backend once more, if exports
    and imports are served. ``function_log`` is what admins may read and follow.

    Raises: StartError if the address cannot be had.
    """
    counters, readiness = ServerCounters(), Readiness()
    files = list_web_folder(web) if web is not None else None
    memory = MemoryWatch(gate or Gate(), settings.memory_bytes_max or default_memory_bytes())
    transfers = None if data is None else Transfers(data, settings, memory.gate)
    more = [] if transfers is None else transfers.routes()
    more += LogApi(backend, function_log).routes()
    app = build_http_app(backend, settings, counters, readiness, memory, files, router, more)
    site = build_site_app(backend, settings, counters, router)
    calls = DirectCalls(FunctionApi(backend, settings, memory.gate), settings, counters)
    http = HttpServer(app, calls, settings, site)
    if listening is None:
        listening = open_all_listeners(settings)
    port: int = listening[0].getsockname()[1]
    listener = Listener(
        settings=settings,
        backend=backend,
        http=http,
        counters=counters,
        listening=listening,
        gate=memory.gate,
    )
    server = Server(
        listener=listener, readiness=readiness, host=settings.host, port=port, drain=drain
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(memory.run)
        if transfers is not None:
            nursery.start_soon(transfers.run)
        await nursery.start(listener.run)
        readiness.ready = True
        try:
            yield server
        finally:
            # A block that was cancelled leaves no time for farewells.
            await server.stop()
            nursery.cancel_scope.cancel()
