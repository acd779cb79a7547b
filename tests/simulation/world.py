"""A world of one seed: a server that is killed, clients that are cut off, and the checks."""

import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from uuid import UUID

import apsw
import trio
from attrs import define, field

from flow_backend.actors.backend import Backend
from flow_backend.actors.messages.to_query import CatchUp, ReaderFreed
from flow_backend.actors.opening import open_backend
from flow_backend.actors.outstanding import SessionLimits
from flow_backend.actors.session import Authenticated
from flow_backend.actors.settings import BackendSettings
from flow_backend.actors.supervisor import ActorFailed
from flow_backend.auth.identity import Identity
from flow_backend.errors import StartError, StorageError, leaves
from flow_backend.functions.context import Caller
from flow_backend.storage.failures import ReadFailed
from flow_backend.storage.open import Tables as StoredTables
from flow_backend.storage.settings import StorageSettings
from flow_backend.sync.client_identity import ClientIdentity
from flow_backend.testing.client import SimClient, is_too_old
from flow_backend.testing.disk import PowerLost
from flow_backend.testing.link import SimLink, sim_frame
from flow_backend.testing.odd import OddClient
from flow_backend.testing.sim import NoDeadlines, SimDurations, SimRuntime, take_durations
from tests.simulation import tuning
from tests.simulation.app import APP, LATER, Tables
from tests.simulation.deploying import Deploying
from tests.simulation.deploys import DeploysOracle
from tests.simulation.faults import Faults, actor_of, choose_faults
from tests.simulation.history import History, TappedStorage
from tests.simulation.jobs import JobsOracle
from tests.simulation.jobs_app import Outside
from tests.simulation.machine import DiskMachine, Machine, PlainMachine
from tests.simulation.people import People
from tests.simulation.sometimes import counted
from tests.simulation.trouble import Trouble

SETTLE_SECONDS = 60.0
MEMORY = next((path for path in [Path("/dev/shm")] if path.is_dir()), None)
_RECORDS_NS = 14 * 86_400 * 10**9


@define(eq=False)
class World:
    """One run. The oracles stand outside of the server: the history, and what clients must hold."""

    runtime: SimRuntime
    machine: Machine
    faults: Faults
    tamper: Callable[[Backend], None]
    folder: Path
    history: History = field(factory=History)
    clients: list[SimClient] = field(factory=list[SimClient])
    links: list[SimLink] = field(factory=list[SimLink])
    backend: Backend | None = None
    sessions: trio.Nursery | None = None
    restarts: int = 0
    jobs: JobsOracle = field(init=False)
    versions: DeploysOracle = field(factory=DeploysOracle)
    deploying: Deploying = field(init=False)
    _lives_begun: int = 0
    _storage: TappedStorage | None = None
    _life: trio.CancelScope = field(factory=trio.CancelScope)
    _ended: trio.Event = field(factory=trio.Event)
    _tuned: tuning.Tuned = field(init=False)
    people: People = field(init=False)
    trouble: Trouble = field(init=False)

    def __attrs_post_init__(self) -> None:
        storage = StorageSettings(busy_ms=0)
        self._tuned = tuning.Tuned(self._settings(), storage)
        for name in self.faults.tuned:
            tuning.TUNINGS[name](self._tuned)
            self.runtime.reach(f"tuned: {name}")
        self.history.disk_failed = any(each.kind for each in self.faults.disk_faults)
        self.jobs = JobsOracle(lambda: self.trouble.recent_ns / 1e6)
        if self.faults.jobs:
            self.history.look_at_jobs = self.jobs.look
        self.deploying = Deploying(
            self.runtime,
            self.faults,
            self.folder,
            backend=lambda: self.backend,
            newest=self._newest,
            may_kill=lambda: not self.trouble.is_over,
            was_hurt=self._was_hurt,
        )
        if self.faults.deploys:
            self.history.look_at_versions = self.versions.look
            self.deploying.tune(self._tuned)
        Outside.tell = self._outside
        self.people = People(self.runtime, self.faults, self.connect)
        self.trouble = Trouble(self.runtime, self.faults, self.links, self.people.token)
        self.history.latest_ms = lambda: self.trouble.latest_shown_ns / 1e6
        self.runtime.steps.actor_of = actor_of
        self.runtime.steps.machine = self._die_at_a_step
        if isinstance(self.machine, DiskMachine):
            self.machine.on_cut = self._die

    @property
    def random(self) -> Random:
        return self.runtime.random

    def _newest(self) -> Tables | None:
        return self.history.newest if self.history.states else None

    def _was_hurt(self) -> bool:
        is_alive = self._storage is not None and self._storage.is_alive
        return not is_alive or self.machine.was_hurt

    # --- The server ------------------------------------------------------------------------------

    async def _serve(self, ending: trio.Event, *, kill: bool) -> None:
        """Run one life of the server: until told to end, or until it fails."""
        self._storage = None
        self._lives_begun += 1
        storage = await self._open()
        if storage is None:
            return
        self._storage, self._life = storage, trio.CancelScope()
        steps = self.runtime.steps
        steps.is_armed = True
        if self.trouble.machine_steps:
            steps.machine_at = steps.total + self.trouble.machine_steps.pop(0)
        try:
            with self._life:
                await self._run_backend(storage, ending, kill=kill)
        except* Exception as errors:
            self._failed(storage, errors)
        finally:
            self.backend = None
            steps.machine_at = None
            self._cut_all()
            if not storage.is_alive:
                self.restarts += 1
            self._close(storage)

    async def _open(self) -> TappedStorage | None:
        """Open the database; None if the machine failed on the way."""
        machine = self.machine
        try:
            tables = self._chooser()
            storage = machine.open(tables, self.runtime.now_ns, self._tuned.storage)
        except (StartError, StorageError, PowerLost):
            assert machine.was_hurt, "the server does not start on a sound disk"
            self.runtime.reach("the machine failed while the server started")
            machine.kill()
            await trio.sleep(0.1)
            return None
        try:
            return TappedStorage(storage, self.history, machine.quietly)
        except BaseException:
            storage.close()
            raise

    def _chooser(self) -> StoredTables:
        if self.faults.deploys:
            return self.deploying.chooser()
        return tuple(APP.schema.tables.values())

    def _failed(self, storage: TappedStorage, errors: BaseExceptionGroup[Exception]) -> None:
        """The process has ended by itself; what one says that is dead already does not count."""
        if not storage.is_alive:
            return
        expected: tuple[type[Exception], ...] = (ActorFailed, StorageError)
        if self.machine.was_hurt:
            expected = (*expected, ReadFailed)  # While it opens its readers.
        if any(not isinstance(each, expected) for each in leaves(errors)):
            raise errors
        self.runtime.reach("the server ended by itself")
        self.trouble.ended_by_itself(errors, self.machine.was_hurt)
        self._die()

    def _close(self, storage: TappedStorage) -> None:
        try:
            storage.close()
        except (StorageError, apsw.Error):
            # Its last words: the process is dead, or ends because of what it says here.
            assert self.machine.was_hurt or not storage.is_alive, "a stop failed on a sound disk"
            if storage.is_alive:
                self._die()

    async def _run_backend(self, storage: TappedStorage, ending: trio.Event, *, kill: bool) -> None:
        async with AsyncExitStack() as stack:
            app, first = APP, None
            if self.faults.deploys:
                first = self.deploying.first
                app = first.app
            elif self.faults.next_app and self._lives_begun % 2 == 0:
                app = LATER
            backend = await stack.enter_async_context(
                open_backend(
                    app,
                    storage,
                    self.runtime,
                    text_frame=sim_frame,
                    deadlines=NoDeadlines(),
                    settings=self._tuned.settings,
                    verify_user=self._verify,
                    number=0 if first is None else first.number,
                    folder=self.deploying.versions,
                )
            )
            if first is not None:
                await self.deploying.begin(backend)
            self.sessions = await stack.enter_async_context(trio.open_nursery())
            take_durations(backend, SimDurations(self.random))
            for mend in self._tuned.mend:
                mend(backend)
            self.tamper(backend)
            self.backend = self.trouble.backend = backend
            try:
                await ending.wait()
                self.backend = None
                self.runtime.steps.is_armed = False  # An actor that is being ended cannot fail.
                if kill:
                    self._die()
                    await trio.lowlevel.checkpoint()
                await backend.stop()
                self.sessions.cancel_scope.cancel()
            finally:
                self.backend = None
                if storage.is_alive:
                    self.trouble.lived(self.machine.was_hurt)

    def _outside(self, token: str) -> None:
        """An action has done something in the world; those of the dead do nothing there."""
        if self._storage is not None and self._storage.is_alive:
            self.jobs.outside[token] += 1

    def _die_at_a_step(self) -> None:
        self.runtime.reach("killed at a step")
        self._die()

    def _die(self) -> None:
        """End the process as kill -9 does: nothing that it still does counts."""
        storage = self._storage
        if storage is None or not storage.is_alive:
            return
        storage.is_alive = False
        self.backend = None
        self.trouble.lived(self.machine.was_hurt)  # What the dead stumble over does not count.
        self.machine.kill()
        self.runtime.steps.is_armed = False
        self._cut_all()
        self._life.cancel()

    def _cut_all(self) -> None:
        links = self.links[:]
        self.links.clear()
        for link in links:
            link.linger_seconds = 0.0
            link.cut()
            link.release()

    def _settings(self) -> BackendSettings:
        if not self.faults.tight:
            return BackendSettings()
        return BackendSettings(
            mutations_waiting=1,
            table_messages=1,
            actions_waiting=1,
            actions_running=1,
            batch_max=self.random.choice((1, 2, 5)),
            readers=1,
            session=SessionLimits(mutations=2, actions=1, unsent_bytes=50),
        )

    async def _verify(self, token: str) -> Authenticated:
        await self.runtime.pause(0.05)
        return Authenticated(
            Caller(Identity(token_identifier=f"sim|{token}", subject=token, issuer="sim"))
        )

    def connect(self, client: SimClient) -> SimLink | None:
        if self.backend is None or self.sessions is None:
            return None
        window = self.random.choice((200, 2000, 10**9)) if self.faults.slow_readers else 10**9
        link = SimLink(runtime=self.runtime, window_bytes=window)
        self.links.append(link)
        client_of = ClientIdentity("npm", "1.48.0")
        name = f"session {client.name}"
        self.sessions.start_soon(self.backend.run_session, link, client_of, name=name)
        return link

    # --- The run ---------------------------------------------------------------------------------

    async def run(self) -> None:
        with tuning.constants(self._tuned), counted(self.runtime):
            async with trio.open_nursery() as nursery:
                ending = trio.Event()
                nursery.start_soon(self._lives, ending)
                if self._tuned.wakes:
                    nursery.start_soon(self._wake_for_nothing)
                async with trio.open_nursery() as people:
                    for number in range(self.faults.people):
                        people.start_soon(self._person, number, nursery)
                    people.start_soon(self.trouble.run)
                    if self.faults.deploys:
                        people.start_soon(self.deploying.run)
                await self._settle()
                if self.faults.jobs:
                    await self._finish_jobs()
                ending.set()
                with trio.fail_after(SETTLE_SECONDS):
                    await self._ended.wait()
                nursery.cancel_scope.cancel()
        self._check()

    async def _lives(self, ending: trio.Event) -> None:
        for _ in range(self.faults.restarts):
            await self._planned_life()
            await trio.sleep(self.random.random() * 0.5)
            if self.faults.downtimes_ns:
                self.trouble.jump(self.random.choice(self.faults.downtimes_ns))
        while not ending.is_set():
            await self._serve(ending, kill=False)
        self._ended.set()

    async def _planned_life(self) -> None:
        enough = trio.Event()
        kill = self.random.random() < 0.6
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._later, enough, self.random.random() * 2)
            await self._serve(enough, kill=kill)
            self.runtime.reach("killed" if kill else "stopped")
            nursery.cancel_scope.cancel()

    async def _later(self, event: trio.Event, seconds: float) -> None:
        await trio.sleep(seconds)
        event.set()

    async def _wake_for_nothing(self) -> None:
        while True:
            await trio.sleep(self.random.random() * 0.3)
            backend = self.backend
            if backend is None:
                continue
            backend.query_actor.inbox.put(ReaderFreed())
            for key in list(backend.sessions):
                if self.random.random() < 0.5:
                    backend.query_actor.inbox.put(CatchUp(key))

    async def _person(self, number: int, nursery: trio.Nursery) -> None:
        is_odd = number < self.faults.odd
        made = OddClient if is_odd else SimClient
        client = made(
            name=f"client {number}",
            session_id=str(UUID(int=self.random.getrandbits(128), version=4)),
            runtime=self.runtime,
            connect=self.connect,
            on_state=self.history.check,
            lost_answers=self.faults.lost_answers,
            tells_queries=self.random.random() < 0.7,
        )
        if isinstance(client, OddClient):
            client.sees_ahead = not self.faults.clock_jumps_ns
        self.clients.append(client)
        if self.faults.slow_readers and self.random.random() < 0.4:
            client.slow_seconds = self.random.choice((0.1, 0.5))
        if self.faults.identities and self.random.random() < 0.5:
            client.token = "ann"
        nursery.start_soon(client.run)
        await self.people.use(client)

    async def _settle(self) -> None:
        """All faults have stopped: within a minute everything is as it should be."""
        self.trouble.stop()
        self.machine.mend()
        for client in self.clients:
            client.slow_seconds = client.lost_answers = 0.0
        self.runtime.work_seconds_max = 0.004
        with trio.move_on_after(SETTLE_SECONDS) as scope:
            for client in self.clients:
                self.people.count(client)
            for client in self.clients:
                await client.wait_for(lambda client=client: not client.requests)  # type: ignore[misc]
                await client.wait_results()
            await trio.sleep(SETTLE_SECONDS / 2)
        assert not scope.cancelled_caught, [
            (each.name, each.requests, each.version, each.close_codes) for each in self.clients
        ]
        self.history.settled_ms = self.runtime.now_ns() / 1e6
        for client in self.clients:
            self.history.check(client)
            # Nothing is on its way any more, so what it shows is the newest state.
            self.history.check(client, self.history.newest)

    async def _finish_jobs(self) -> None:
        """Let the time come of all that waits: each must have ended within a minute then."""
        latest_ms = self.jobs.latest_due(self.history.newest)
        if latest_ms is not None:
            self.history.settled_ms = None
            behind_ns = int(latest_ms * 1e6) - self.runtime.now_ns()
            self.trouble.jump(max(0, behind_ns))
            await trio.sleep(SETTLE_SECONDS)
            self.history.settled_ms = self.runtime.now_ns() / 1e6
        self.jobs.look(self.history.newest)
        for what, number in self.jobs.check(self.history.newest).items():
            self.runtime.reached[what] = number
        for client in self.clients:
            self.history.check(client, self.history.newest)

    # --- The checks ------------------------------------------------------------------------------

    def _check(self) -> None:
        self.history.hold()
        self.trouble.check()
        if self.faults.deploys:
            self._check_versions()
        applied = [str(row["token"]) for row in self.history.newest["applied"]]
        assert len(set(applied)) == len(applied), f"ran twice: {sorted(applied)}"
        self._check_requests(applied)
        self._check_order(applied)
        counts = [token for token in applied if token.endswith("count.c")]
        [counter] = [row for row in self.history.newest["counters"] if row["name"] == "c"]
        assert counter["value"] == len(counts), (counter, counts)
        ahead = self.history.newest_ts - self.trouble.latest_ns
        assert ahead <= 301 * 10**9, f"a client has moved the clock: {ahead} ns ahead"
        self.runtime.reached["transitions"] = sum(each.transitions for each in self.clients)
        self.runtime.reached["mutations"] = len(self.people.asked)

    def _check_versions(self) -> None:
        came_to = self.versions.check(self.history.newest, calm=self.faults.only_deploys)
        for what, number in came_to.items():
            self.runtime.reached[what] = number
        if self.faults.only_deploys:
            for client in self.clients:
                assert client.connections == 1, f"a deploy has closed {client.name}'s connection"

    def _check_requests(self, applied: list[str]) -> None:
        """C1: each mutation that was acknowledged has run once, each other one at most once."""
        may_be_too_old = sum(max(0, jump) for jump in self.faults.clock_jumps_ns) > _RECORDS_NS
        for each in self.people.asked:
            token, request = each.token, each.request
            if request.path == "s:fail":
                assert not request.succeeded, token
                assert token not in applied, f"{token} failed and left something"
            elif request.succeeded:
                assert token in applied, f"{token} was acknowledged and is lost"
                ident = (each.client.session_id, request.id)
                other = self.people.answers.get(ident)
                same = other is None or (request.answer or {}).get("ts") == other
                assert same, f"{token} was answered with {other}, too, on another socket"
            elif request.kind == "Mutation":
                too_old = request.answer is not None and is_too_old(request.answer)
                assert may_be_too_old, f"{token} has failed: {request.answer}"
                assert too_old, f"{token} has failed: {request.answer}"

    def _check_order(self, applied: list[str]) -> None:
        """C3: mutations of one session have run in the order in which they were sent."""
        place = {token: number for number, token in enumerate(applied)}
        last: dict[str, tuple[int, str]] = {}
        for each in self.people.asked:
            here = place.get(each.token)
            if here is None or each.request.kind != "Mutation":
                continue
            before = last.get(each.client.name)
            assert before is None or before[0] < here, (
                f"{each.client.name} sent {before and before[1]} before {each.token}, "
                "which ran first"
            )
            last[each.client.name] = (here, each.token)


@define
class WorldRun:
    """Builds the world in a directory of its own, runs it, and clears up.

    Attributes:
        faults: take the place of those that the seed chooses.
        image: a digest of the simulated disk after the run, if there was one.
    """

    runtime: SimRuntime
    tamper: Callable[[Backend], None] = lambda _: None
    faults: Faults | None = None
    image: str = ""

    async def __call__(self) -> dict[str, int]:
        """Run. Returns: what was reached, and how often."""
        random = self.runtime.random
        with tempfile.TemporaryDirectory(prefix="flow-sim-", dir=MEMORY) as root:
            chosen = choose_faults(random)
            faults = chosen if self.faults is None else self.faults
            self.runtime.work_seconds_max = 0.05 if faults.slow_work else 0.004
            machine: Machine = PlainMachine(Path(root))
            if faults.disk:
                machine = DiskMachine(self.runtime, list(faults.disk_faults), faults.power_cuts)
            world = World(self.runtime, machine, faults, self.tamper, Path(root, "data"))
            try:
                await world.run()
            finally:
                world.deploying.forget()
            if isinstance(machine, DiskMachine):
                self.image = machine.disk.image()
        return self.runtime.reached
