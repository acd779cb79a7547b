"""A backend on a database in memory, with clients, for tests that count what it does."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from random import Random

import trio
from attrs import define, field
from trio.testing import wait_all_tasks_blocked

from flow_backend.actors.backend import Backend
from flow_backend.actors.live import LiveQuery
from flow_backend.actors.opening import open_backend
from flow_backend.actors.session import Authenticated
from flow_backend.actors.settings import BackendSettings
from flow_backend.auth.identity import Identity
from flow_backend.functions.context import Caller
from flow_backend.functions.registry import App
from flow_backend.storage.sqlite import open_files, open_memory_storage
from flow_backend.sync.client_identity import ClientIdentity
from flow_backend.testing.client import SimClient
from flow_backend.testing.disk import SimDisk
from flow_backend.testing.disk_files import sim_files
from flow_backend.testing.link import SimLink, sim_frame
from flow_backend.testing.sim import NoDeadlines, SimRuntime, take_durations
from flow_backend.values.value import JsonValue
from tests.simulation.app import APP


@define
class AllFast:
    """Stands for the durations: every function runs on the loop, but for those in ``slow``."""

    slow: frozenset[str] = frozenset()

    def learn(self, path: str, seconds: float) -> None:
        pass

    def of(self, path: str) -> float | None:
        return 1.0 if path in self.slow else 0.0

    def is_fast(self, path: str) -> bool:
        return path not in self.slow


@define(eq=False)
class Stage:
    """The backend and its clients."""

    backend: Backend
    runtime: SimRuntime
    nursery: trio.Nursery
    durations: AllFast
    clients: list[SimClient] = field(factory=list[SimClient])

    def client(self, token: str | None = None, window_bytes: int = 10**9) -> SimClient:
        """Connect one more client."""

        def connect(client: SimClient) -> SimLink:
            link = SimLink(runtime=self.runtime, window_bytes=window_bytes, delay_seconds_max=0.0)
            self.nursery.start_soon(self.backend.run_session, link, ClientIdentity("npm", "1.48.0"))
            return link

        number = len(self.clients)
        client = SimClient(
            name=f"client {number}",
            session_id=f"00000000-0000-4000-8000-{number:012}",
            runtime=self.runtime,
            connect=connect,
            token=token,
        )
        self.clients.append(client)
        self.nursery.start_soon(client.run)
        return client

    async def mutate(self, client: SimClient, path: str, **args: JsonValue) -> None:
        """Run a mutation, until the client shows its effect and everything rests."""
        await client.mutate(path, **args).settled.wait()
        await self.rest()

    async def rest(self) -> None:
        """Wait until nothing is on its way."""
        for _ in range(3):
            await wait_all_tasks_blocked()

    def live(self, path: str) -> LiveQuery:
        """Give the only live query of a function."""
        [live] = [
            each for each in self.backend.query_actor.live.by_id.values() if each.call.path == path
        ]
        return live

    @property
    def runs(self) -> int:
        return self.backend.query_actor.runs

    @property
    def encoded(self) -> int:
        return self.backend.outbox.frames.encoded


@asynccontextmanager
async def stage(
    settings: BackendSettings | None = None,
    disk: SimDisk | None = None,
    app: App = APP,
    runtime: SimRuntime | None = None,
) -> AsyncGenerator[Stage]:
    """Open a backend, on ``disk`` if one is given; needs the fixture ``autojump_clock``."""
    runtime = runtime or SimRuntime(Random(0), work_seconds_max=0.0)
    trio.lowlevel.add_instrument(runtime.steps)
    tables = tuple(app.schema.tables.values())
    if disk is None:
        storage = open_memory_storage(tables, now_ns=runtime.now_ns)
    else:
        storage = open_files(sim_files(disk), tables, now_ns=runtime.now_ns)

    async def verify(token: str) -> Authenticated:
        await trio.lowlevel.checkpoint()
        identity = Identity(token_identifier=f"sim|{token}", subject=token, issuer="sim")
        return Authenticated(Caller(identity))

    try:
        async with (
            open_backend(
                app,
                storage,
                runtime,
                text_frame=sim_frame,
                deadlines=NoDeadlines(),
                settings=settings,
                verify_user=verify,
            ) as backend,
            trio.open_nursery() as nursery,
        ):
            durations = AllFast()
            take_durations(backend, durations)
            yield Stage(backend, runtime, nursery, durations)
            nursery.cancel_scope.cancel()
    finally:
        trio.lowlevel.remove_instrument(runtime.steps)
        storage.close()
