"""A server with clients that append to lists and read them, under cuts and restarts; one seed."""

import shutil
import tempfile
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import trio
from attrs import define, field

from flow_backend.actors.backend import Backend
from flow_backend.actors.opening import open_backend
from flow_backend.actors.outstanding import SessionLimits
from flow_backend.actors.settings import BackendSettings
from flow_backend.storage.base import Storage
from flow_backend.storage.files import DATABASE
from flow_backend.storage.sqlite import open_storage
from flow_backend.sync.client_identity import ClientIdentity
from flow_backend.testing.client import Request, SimClient
from flow_backend.testing.link import SimLink, sim_frame
from flow_backend.testing.sim import (
    NoDeadlines,
    SimDurations,
    SimRuntime,
    simulate,
    take_durations,
)
from flow_backend.values.value import JsonValue
from tests.histories.checker import Anomaly, Read, Transaction, check, check_timestamps
from tests.histories.lists import (
    KEYS,
    Steps,
    arguments,
    as_lists,
    lists_app,
    operations,
    random_steps,
)

MEMORY = next((path for path in [Path("/dev/shm")] if path.is_dir()), None)
APP = lists_app()
SETTLE_SECONDS = 120.0


@define(eq=False, kw_only=True)
class TimedClient(SimClient):
    """Notes when each answer came, and loses some on their way.

    Attributes:
        lost_share: of the answers, those that are lost together with their connection.
    """

    lost_share: float = 0.0
    answered_at: dict[int, float] = field(factory=dict[int, float])

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "MutationResponse":
            if self.runtime.random.random() < self.lost_share:
                self.runtime.reach("answer lost")
                self.cut(self.runtime.random.choice((0.0, 0.5)))
                return
            self.answered_at.setdefault(message["requestId"], trio.current_time())
        super()._take(message)


@define
class Asked:
    """A mutation that a client asked for."""

    client: TimedClient
    request: Request
    steps: Steps
    may_fail: bool
    began_at: float


@define(eq=False)
class ListWorld:
    """One run. What it shows is the history that clients have seen."""

    runtime: SimRuntime
    root: Path
    transactions: int
    lost_share: float = 0.0
    doubles: bool = False
    asked: list[Asked] = field(factory=list[Asked])
    queries: list[Transaction] = field(factory=list[Transaction])
    backend: Backend | None = None
    lives: int = 0
    _value: int = 0
    _links: list[SimLink] = field(factory=list[SimLink])
    _sessions: trio.Nursery | None = None
    _tight: bool = False

    @property
    def random(self) -> Random:
        return self.runtime.random

    # --- The server ------------------------------------------------------------------------------

    async def _live(self, ending: trio.Event, *, kill: bool) -> None:
        directory = self.root / str(self.lives)
        tables = tuple(APP.schema.tables.values())
        storage = open_storage(directory, tables, now_ns=self.runtime.now_ns)
        try:
            with trio.CancelScope() as life:
                async with (
                    open_backend(
                        APP,
                        storage,
                        self.runtime,
                        text_frame=sim_frame,
                        deadlines=NoDeadlines(),
                        settings=self._settings(),
                    ) as backend,
                    trio.open_nursery() as self._sessions,
                ):
                    take_durations(backend, SimDurations(self.random))
                    self.backend = backend
                    await ending.wait()
                    self.backend = None
                    if kill:
                        # No answer goes out after the image was taken.
                        self._copy(directory)
                        self._cut_all()
                        life.cancel()
                        await trio.lowlevel.checkpoint()
                    await backend.stop()
                    self._sessions.cancel_scope.cancel()
        finally:
            self.backend = None
            self._end(storage, directory, kill=kill)

    def _end(self, storage: Storage, directory: Path, *, kill: bool) -> None:
        self.lives += 1
        self._cut_all()
        storage.close()
        if not kill:
            directory.rename(self.root / str(self.lives))

    def _copy(self, directory: Path) -> None:
        target = self.root / str(self.lives + 1)
        target.mkdir(mode=0o700)
        for name in (DATABASE, f"{DATABASE}-wal"):
            if (directory / name).exists():
                shutil.copyfile(directory / name, target / name)

    def _cut_all(self) -> None:
        links, self._links = self._links, []
        for link in links:
            link.linger_seconds = 0.0
            link.cut()

    def _settings(self) -> BackendSettings:
        if not self._tight:
            return BackendSettings()
        return BackendSettings(
            mutations_waiting=1,
            table_messages=1,
            batch_max=self.random.choice((1, 2, 5)),
            readers=1,
            session=SessionLimits(mutations=2),
        )

    async def _lives(self, restarts: int, done: trio.Event, ended: trio.Event) -> None:
        for _ in range(restarts):
            enough = trio.Event()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._later, enough)
                await self._live(enough, kill=self.random.random() < 0.6)
            await trio.sleep(self.random.random() * 0.3)
        await self._live(done, kill=False)
        ended.set()

    async def _later(self, event: trio.Event) -> None:
        await trio.sleep(0.2 + self.random.random() * 3)
        self.runtime.reach("restarted")
        event.set()

    def connect(self, client: SimClient) -> SimLink | None:
        if self.backend is None or self._sessions is None:
            return None
        window = self.random.choice((300, 10**9)) if self._tight else 10**9
        link = SimLink(runtime=self.runtime, window_bytes=window)
        self._links.append(link)
        self._sessions.start_soon(
            self.backend.run_session, link, ClientIdentity("npm", "1.48.0"), name=client.name
        )
        return link

    # --- The clients -----------------------------------------------------------------------------

    def _client(self, number: int) -> TimedClient:
        return TimedClient(
            name=f"client {number}",
            session_id=str(UUID(int=self.random.getrandbits(128), version=4)),
            runtime=self.runtime,
            connect=self.connect,
            lost_share=self.lost_share,
        )

    async def _use(self, number: int, count: int, cuts: float, nursery: trio.Nursery) -> None:
        client = self._client(number)
        nursery.start_soon(client.run)
        self._watch(client)
        pending = list[Request]()
        for _ in range(count):
            await trio.sleep(self.random.expovariate(1 / 0.02))
            if self.random.random() < 0.2:
                await self._look(client)
            else:
                pending.append(self._transact(client))
            # Some go on at once, others wait for their answer first: both orders in real time.
            if self.random.random() < 0.4:
                await client.wait_for(
                    lambda: all(each.id in client.answered_at for each in pending)
                )
                pending.clear()
            if self.random.random() < cuts:
                self.runtime.reach("cut")
                client.cut(self.random.choice((0.0, 0.0, 0.3, 1.0)))
            if self.doubles and self.random.random() < 0.1:
                self._double(client)
        await client.wait_for(lambda: not client.requests)

    def _transact(self, client: TimedClient) -> Request:
        steps, fails_if_even, self._value = random_steps(self.random, self._value + 1)
        if self.doubles:
            # Of two copies at once one may fail and the other not: each is told to its own socket.
            fails_if_even = None
        request = client.mutate("l:transact", **arguments(steps, fails_if_even))
        may_fail = fails_if_even is not None
        self.asked.append(Asked(client, request, steps, may_fail, trio.current_time()))
        return request

    def _double(self, client: TimedClient) -> None:
        """Send all that is unanswered over a second connection of the same session as well."""
        link = self.connect(client)
        if link is None or client.link is None:
            return
        self.runtime.reach("two sockets of one session")
        double = SimClient(
            name=f"{client.name}, twice",
            session_id=client.session_id,
            runtime=self.runtime,
            connect=lambda _: link,
            requests=dict(client.requests),
        )
        double._begin(link)
        self.random.choice((link.cut, lambda: None))()

    async def _look(self, client: TimedClient) -> None:
        """Read some lists once, as a new subscription."""
        lists = self.random.sample(KEYS, self.random.randrange(1, 4))
        began_at = trio.current_time()
        wire: list[JsonValue] = [*lists]
        query_id = client.subscribe("l:look", lists=wire)
        await client.wait_for(lambda: query_id in client.results)
        self._read(f"{client.name} looking", client, query_id, lists, began_at)
        client.unsubscribe(query_id)

    def _watch(self, client: TimedClient) -> None:
        """Read all lists, as long as the client lives: each transition is a read."""
        wire: list[JsonValue] = [*KEYS]
        query_id = client.subscribe("l:look", lists=wire)

        def read(_: SimClient) -> None:
            if query_id in client.results:
                self._read(f"{client.name} watching", client, query_id, KEYS, float("-inf"))

        client.on_state = read

    def _read(
        self,
        process: str,
        client: TimedClient,
        query_id: int,
        lists: tuple[str, ...] | list[str],
        began_at: float,
    ) -> None:
        outcome = client.results[query_id]
        assert not outcome.failed, outcome
        found = as_lists(outcome.value)
        reads = tuple(Read(name, values) for name, values in zip(lists, found, strict=True))
        self.queries.append(
            Transaction(
                f"query {len(self.queries)} of {process}",
                process,
                reads,
                began_at=began_at,
                ended_at=trio.current_time(),
                ts=client.version.ts,
                is_query=True,
            )
        )

    # --- The run ---------------------------------------------------------------------------------

    async def run(self) -> list[Transaction]:
        """Run, and give the history."""
        random = self.random
        self._tight = random.random() < 0.4
        clients = random.randrange(3, 9)
        cuts = random.choice((0.0, 0.02, 0.1))
        restarts = random.choice((0, 1, 2))
        done, ended = trio.Event(), trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._lives, restarts, done, ended)
            with trio.fail_after(SETTLE_SECONDS + self.transactions):
                async with trio.open_nursery() as people:
                    for number in range(clients):
                        each = self.transactions // clients
                        people.start_soon(self._use, number, each, cuts, nursery)
            with trio.fail_after(SETTLE_SECONDS):
                await self._last_look(nursery)
                done.set()
                await ended.wait()
            nursery.cancel_scope.cancel()
        return self.history()

    async def _last_look(self, nursery: trio.Nursery) -> None:
        client = self._client(99)
        client.lost_share = 0.0
        nursery.start_soon(client.run)
        wire: list[JsonValue] = [*KEYS]
        began_at = trio.current_time()
        query_id = client.subscribe("l:look", lists=wire)
        # A life may end meanwhile; the client begins anew, and what it holds then is right as well.
        await client.wait_for(lambda: query_id in client.results)
        self._read("the last", client, query_id, KEYS, began_at)

    def history(self) -> list[Transaction]:
        """Give all transactions; those of one client stand in the order in which it asked."""
        return [*(self._transaction(each) for each in self.asked), *self.queries]

    def _transaction(self, asked: Asked) -> Transaction:
        request, client = asked.request, asked.client
        answer = request.answer
        at = client.answered_at.get(request.id)
        assert answer is not None, request
        assert at is not None, request
        found: JsonValue | None = answer["result"] if answer["success"] else None
        name = f"mutation {request.id} of {client.name}"
        return Transaction(
            name,
            # One that was refused leaves no record: if that answer is lost, it runs again when it
            # is sent again, and may then succeed behind those that were sent after it.
            name if asked.may_fail else client.name,
            operations(asked.steps, found),
            "ok" if answer["success"] else "failed",
            asked.began_at,
            at,
            int(request.ts) if answer["success"] else None,
        )


def run_seed(
    seed: int, transactions: int = 300, lost_share: float = 0.0, *, doubles: bool = False
) -> tuple[list[Anomaly], list[Transaction], dict[str, int]]:
    """Run a seed's world. Returns: what is wrong with its history, the history, what it reached."""

    async def main(runtime: SimRuntime) -> tuple[list[Transaction], dict[str, int]]:
        with tempfile.TemporaryDirectory(prefix="flow-lists-", dir=MEMORY) as root:
            world = ListWorld(runtime, Path(root), transactions, lost_share, doubles)
            return await world.run(), runtime.reached

    history, reached = simulate(seed, main)
    return [*check(history), *check_timestamps(history)], history, reached
