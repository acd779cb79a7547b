"""A world of one seed: a server that is killed, clients that are cut off, and the checks."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from uuid import UUID

import trio
from attrs import define, field, frozen

from flow_backend.actors.backend import Backend, BackendSettings, open_backend
from flow_backend.actors.messages import Call, MutationDone, NotDone, RunMutation
from flow_backend.actors.session import Authenticated, SessionLimits
from flow_backend.auth.identity import Identity
from flow_backend.functions.context import Caller
from flow_backend.storage.files import DATABASE
from flow_backend.storage.sqlite import open_storage
from flow_backend.sync.client_identity import ClientIdentity
from flow_backend.testing.client import Request, SimClient
from flow_backend.testing.link import SimLink, sim_frame
from flow_backend.testing.sim import NoDeadlines, SimDurations, SimRuntime, take_durations
from flow_backend.values.value import JsonValue
from tests.simulation.app import sim_app
from tests.simulation.history import History, TappedStorage

NAMES = ("a", "b", "c")
SETTLE_SECONDS = 60.0
MEMORY = next((path for path in [Path("/dev/shm")] if path.is_dir()), None)
APP = sim_app()


@frozen
class Faults:
    """Which faults a world has: each seed turns some of them off, since calm runs find others."""

    cuts: bool
    slow_readers: bool
    clock_jumps: bool
    restarts: int
    crashes: int
    identities: bool
    tight: bool
    slow_work: bool
    actions: bool


def choose_faults(random: Random) -> Faults:
    def maybe() -> bool:
        return random.random() < 0.5

    return Faults(
        cuts=maybe(),
        slow_readers=maybe(),
        clock_jumps=maybe(),
        restarts=random.choice((0, 0, 1, 2)),
        crashes=random.choice((0, 0, 1, 2)),
        identities=maybe(),
        tight=maybe(),
        slow_work=maybe(),
        actions=maybe(),
    )


class RaisingReply:
    """Takes an answer by raising: what tells it fails in the middle of its work."""

    def put(self, message: MutationDone | NotDone) -> None:
        match message:
            case MutationDone():
                raise RuntimeError("a reply that could not be given")
            case NotDone():
                pass


@define(eq=False)
class World:
    """One run. The oracles stand outside of the server: the history, and what clients must hold."""

    runtime: SimRuntime
    root: Path
    faults: Faults
    steps: int
    tamper: Callable[[Backend], None]
    history: History = field(factory=History)
    clients: list[SimClient] = field(factory=list[SimClient])
    requests: list[tuple[str, Request]] = field(factory=list[tuple[str, Request]])
    links: list[SimLink] = field(factory=list[SimLink])
    backend: Backend | None = None
    sessions: trio.Nursery | None = None
    lives: int = 0
    ended: trio.Event = field(factory=trio.Event)
    _tokens: int = 0

    @property
    def random(self) -> Random:
        return self.runtime.random

    # --- The server ------------------------------------------------------------------------------

    async def serve(self, ending: trio.Event, *, kill: bool) -> None:
        """Run one life of the server, until told to end."""
        directory = self.root / str(self.lives)
        tables = tuple(APP.schema.tables.values())
        storage = TappedStorage(
            open_storage(directory, tables, now_ns=self.runtime.now_ns), self.history
        )
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
                        verify_user=self._verify,
                    ) as backend,
                    trio.open_nursery() as self.sessions,
                ):
                    take_durations(backend, SimDurations(self.random))
                    self.tamper(backend)
                    self.backend = backend
                    await ending.wait()
                    self.backend = None
                    if kill:
                        # The image that kill -9 leaves: no answer goes out after it.
                        storage.is_alive = False
                        self._copy(directory)
                        self._cut_all()
                        life.cancel()
                        await trio.lowlevel.checkpoint()
                    await backend.stop()
                    self.sessions.cancel_scope.cancel()
        finally:
            self.backend = None
            self.lives += 1
            self._cut_all()
            if not kill:
                storage.close()
                directory.rename(self.root / str(self.lives))
            else:
                storage.close()

    def _copy(self, directory: Path) -> None:
        target = self.root / str(self.lives + 1)
        target.mkdir(mode=0o700)
        for name in (DATABASE, f"{DATABASE}-wal"):
            if (directory / name).exists():
                shutil.copyfile(directory / name, target / name)

    def _cut_all(self) -> None:
        links, self.links = self.links, []
        for link in links:
            link.linger_seconds = 0.0
            link.cut()

    def _settings(self) -> BackendSettings:
        if not self.faults.tight:
            return BackendSettings()
        return BackendSettings(
            mutations_waiting=1,
            table_messages=1,
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
        self.sessions.start_soon(
            self.backend.run_session, link, ClientIdentity("npm", "1.48.0"), name=client.name
        )
        return link

    def crash_something(self) -> None:
        """Let an actor raise: by a message that it cannot take, or while it tells an outcome."""
        backend = self.backend
        if backend is None:
            return
        match self.random.randrange(4):
            case 0:
                self.runtime.reach("a table crashed")
                table = self.random.choice(list(backend.tables.values()))
                table.inbox.put(None)  # type: ignore[arg-type]
            case 1:
                self.runtime.reach("the queries crashed")
                backend.query_actor.inbox.put(None)  # type: ignore[arg-type]
            case 2:
                self.runtime.reach("the writer crashed before a commit")
                backend.mutation.inbox.put(None)  # type: ignore[arg-type]
            case _:
                self.runtime.reach("the writer crashed after a commit")
                args: dict[str, JsonValue] = {"token": self.token("crash"), "to": "a"}
                call = Call("s:append", args)
                backend.mutation.inbox.put(RunMutation(call, RaisingReply()))

    # --- Those who use it ------------------------------------------------------------------------

    def token(self, what: str) -> str:
        self._tokens += 1
        return f"{self._tokens:05}.{what}"

    async def use(self, client: SimClient) -> None:
        """Do what people do, for some steps."""
        random = self.random
        for _ in range(self.steps):
            await trio.sleep(random.expovariate(1 / 0.08))
            chance = random.random()
            if chance < 0.55:
                self.change(client)
            elif chance < 0.75 or not client.queries:
                self.watch(client)
            elif chance < 0.85:
                client.unsubscribe(random.choice(list(client.queries)))
            elif chance < 0.89 and self.faults.identities:
                client.become(random.choice((None, "ann", "bob")))
            elif chance < 0.93 and self.faults.actions:
                args = {"token": self.token("append"), "to": random.choice(NAMES)}
                self.asked(args, client.act("s:append_later", seconds=random.random(), **args))
            elif self.faults.cuts:
                self.runtime.reach("cut")
                client.cut(random.choice((0.0, 0.0, 1.0)))

    def asked(self, args: dict[str, str], request: Request) -> None:
        self.requests.append((args["token"], request))

    def change(self, client: SimClient) -> None:
        random = self.random
        name, other = random.choice(NAMES), random.choice(NAMES)
        kind = random.choice(("append", "append", "remove", "move", "count", "transfer", "note"))
        args = {"token": self.token(f"{kind}.{name}")}
        if random.random() < 0.05:
            request = client.mutate("s:fail", **args)
        elif random.random() < 0.05:
            client.mutate("s:look")
            return
        else:
            match kind:
                case "append":
                    request = client.mutate("s:append", to=name, **args)
                case "remove":
                    request = client.mutate("s:remove_first", of=name, **args)
                case "move":
                    request = client.mutate("s:move_first", of=name, to=other, **args)
                case "count":
                    request = client.mutate("s:count", name=name, **args)
                case "transfer":
                    amount = float(random.randrange(-5, 6))
                    request = client.mutate("s:transfer", key=name, amount=amount, **args)
                case _:
                    request = client.mutate("s:note", **args)
        self.asked(args, request)

    def watch(self, client: SimClient) -> None:
        random = self.random
        name = random.choice(NAMES)
        match random.randrange(9):
            case 0:
                client.subscribe("s:entries", of=name)
            case 1:
                client.subscribe("s:first_entries", of=name, most=float(random.randrange(1, 4)))
            case 2:
                client.subscribe("s:last_entry", of=name)
            case 3:
                client.subscribe("s:counter", name=name)
            case 4:
                client.subscribe("s:sums")
            case 5:
                client.subscribe("s:pair", key=name)
            case 6:
                client.subscribe("s:my_notes")
            case 7:
                client.subscribe("s:notes_if_counted", name=name)
            case _:
                client.subscribe("s:few_entries", of=name)

    # --- The run ---------------------------------------------------------------------------------

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            ending = trio.Event()
            nursery.start_soon(self._lives, ending)
            async with trio.open_nursery() as people:
                for number in range(self.random.randrange(3, 9)):
                    people.start_soon(self._person, number, nursery)
                people.start_soon(self._trouble)
            await self._settle()
            ending.set()
            with trio.fail_after(SETTLE_SECONDS):
                await self.ended.wait()
            nursery.cancel_scope.cancel()
        self._check_requests()
        self.runtime.reached["transitions"] = sum(each.transitions for each in self.clients)
        self.runtime.reached["mutations"] = len(self.requests)

    async def _lives(self, ending: trio.Event) -> None:
        for _ in range(self.faults.restarts):
            enough = trio.Event()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._later, enough, self.random.random() * 4)
                kill = self.random.random() < 0.6
                self.runtime.reach("killed" if kill else "stopped")
                await self.serve(enough, kill=kill)
            await trio.sleep(self.random.random() * 0.5)
        await self.serve(ending, kill=False)
        self.ended.set()

    async def _later(self, event: trio.Event, seconds: float) -> None:
        await trio.sleep(seconds)
        event.set()

    async def _person(self, number: int, nursery: trio.Nursery) -> None:
        client = SimClient(
            name=f"client {number}",
            session_id=str(UUID(int=self.random.getrandbits(128), version=4)),
            runtime=self.runtime,
            connect=self.connect,
            on_state=self.history.check,
        )
        self.clients.append(client)
        if self.faults.slow_readers and self.random.random() < 0.4:
            client.slow_seconds = self.random.choice((0.1, 0.5))
        if self.faults.identities and self.random.random() < 0.5:
            client.token = "ann"
        nursery.start_soon(client.run)
        await self.use(client)

    async def _trouble(self) -> None:
        for _ in range(self.faults.crashes):
            await trio.sleep(self.random.random() * 2)
            self.crash_something()
        if self.faults.clock_jumps:
            await trio.sleep(self.random.random())
            self.runtime.offset_ns += self.random.choice((-1, 1)) * 3600 * 10**9

    async def _settle(self) -> None:
        """All faults have stopped: within a minute everything is as it should be."""
        for client in self.clients:
            client.slow_seconds = 0.0
        self.runtime.work_seconds_max = 0.004
        with trio.move_on_after(SETTLE_SECONDS) as scope:
            for client in self.clients:
                client.mutate("s:count", token=self.token("count.c"), name="c")
            for client in self.clients:
                await client.wait_for(lambda client=client: not client.requests)  # type: ignore[misc]
                await client.wait_results()
            await trio.sleep(SETTLE_SECONDS / 2)
        assert not scope.cancelled_caught, [
            (each.name, each.requests, each.version, each.close_codes) for each in self.clients
        ]
        for client in self.clients:
            self.history.check(client)
            # Nothing is on its way any more, so what it shows is the newest state.
            self.history.check(client, self.history.newest)

    def _check_requests(self) -> None:
        """Each mutation that was acknowledged has run once, each other one at most once."""
        applied = [str(row["token"]) for row in self.history.newest["applied"]]
        assert len(set(applied)) == len(applied), f"ran twice: {sorted(applied)}"
        for token, request in self.requests:
            if request.path == "s:fail":
                assert not request.succeeded, token
                assert token not in applied, f"{token} failed and left something"
            elif request.succeeded:
                assert token in applied, f"{token} was acknowledged and is lost"
            else:
                assert request.kind == "Action", f"{token} has failed: {request.answer}"
        counts = [token for token in applied if token.endswith("count.c")]
        [counter] = [row for row in self.history.newest["counters"] if row["name"] == "c"]
        assert counter["value"] == len(counts), (counter, counts)


@define
class WorldRun:
    """Builds the world in a directory of its own, runs it, and clears up."""

    runtime: SimRuntime
    tamper: Callable[[Backend], None] = lambda _: None

    async def __call__(self) -> dict[str, int]:
        """Run. Returns: what was reached, and how often."""
        random = self.runtime.random
        with tempfile.TemporaryDirectory(prefix="flow-sim-", dir=MEMORY) as root:
            faults = choose_faults(random)
            self.runtime.work_seconds_max = 0.05 if faults.slow_work else 0.004
            world = World(self.runtime, Path(root), faults, random.randrange(4, 24), self.tamper)
            await world.run()
        return self.runtime.reached
