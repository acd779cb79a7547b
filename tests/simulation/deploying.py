"""Who deploys in a world: new versions and old ones, some of them cut off in their midst."""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import trio
from attrs import define, field

from flow_backend.actors import checking, deploying, preparing
from flow_backend.actors.backend import Backend
from flow_backend.actors.deploy_requests import DeployRequest, RollbackRequest
from flow_backend.errors import AppDefinitionError, Overloaded, StorageError
from flow_backend.functions.loader import loaded_versions, unload_version
from flow_backend.server.first_version import VERSIONS, FirstVersion, FirstVersionChooser
from flow_backend.storage import build
from flow_backend.storage.failures import ReadFailed
from flow_backend.testing.sim import SimRuntime
from tests.simulation.app import Row, Tables
from tests.simulation.deploys import PACKAGE, SORTS, package, put_on_disk
from tests.simulation.faults import Faults
from tests.simulation.tuning import Tuned


@define(eq=False)
class Deploying:
    """Deploys versions, and starts each life of the server with the one that came last.

    Attributes:
        folder: stands for the server's data directory, but for the database.
        backend: gives the one that runs now, None if none does.
        newest: gives the newest state, None if there is none yet.
    """

    runtime: SimRuntime
    faults: Faults
    folder: Path
    backend: Callable[[], Backend | None]
    newest: Callable[[], Tables | None]
    may_kill: Callable[[], bool]
    was_hurt: Callable[[], bool]
    _serial: int = 0
    _choose: FirstVersionChooser | None = field(default=None, init=False)

    @property
    def random(self) -> Random:
        return self.runtime.random

    def tune(self, tuned: Tuned) -> None:
        """Let small tables be built beside what serves, in small pieces."""
        random = self.random
        tuned.constants += [
            (build, "INLINE_ROWS", random.choice((0, 0, 3, 1000))),
            (build, "_PIECE_ROWS", random.choice((1, 1000))),
            (preparing, "_BUILD_ROWS", random.choice((2, 5, 500))),
            (preparing, "_TELL_SECONDS", random.choice((0.1, 1.0))),
            # Python looks after garbage by itself; to be sure each time would be most of the work.
            (deploying, "_collect_garbage", lambda: None),
            (checking, "_FEW", random.choice((1, 1000))),
        ]

    # --- A life of the server --------------------------------------------------------------------

    def chooser(self) -> FirstVersionChooser:
        """Give what chooses the version that a life begins with."""
        put_on_disk()
        self.forget()
        for row in self._rows:
            if row["state"] in {"checking", "building"}:
                self.runtime.reach(f"a process ended amid {row['state']}")
        self._choose = FirstVersionChooser(PACKAGE, self.folder, lambda _: None)
        return self._choose

    @property
    def first(self) -> FirstVersion:
        """What was chosen."""
        assert self._choose is not None
        assert self._choose.chosen is not None
        return self._choose.chosen

    @property
    def versions(self) -> Path:
        """Where versions are unpacked."""
        return self.folder / VERSIONS

    async def begin(self, backend: Backend) -> None:
        """Begin to serve, as a server does."""
        if self.first.begin is not None:
            await backend.deployer.begin(self.first.begin)
        if self.first.number > 1:
            self.runtime.reach("a start with a deployed version")
        for row in self._rows:
            if row["state"] == "building":
                self.runtime.reach("a build is resumed")
        backend.deploys.resume()

    def forget(self) -> None:
        """Take what a dead server had imported out of this process."""
        for name in loaded_versions():
            packed, _, number = name.partition("@")
            unload_version(packed, int(number))

    # --- Deploys ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Deploy and roll back, so often as the faults say."""
        async with trio.open_nursery() as nursery:
            for _ in range(self.faults.deploys):
                await trio.sleep(self.random.expovariate(1 / 0.4))
                backend = self.backend()
                if backend is None:
                    continue
                nursery.start_soon(self._ask, backend)
                if self.random.random() < self.faults.deploy_kills:
                    await self._cut_off(backend)

    async def _cut_off(self, backend: Backend) -> None:
        """Let the process end some steps further on, or soon after a build has begun."""
        if self.random.random() < 0.5:
            with trio.move_on_after(1.0):
                while not self._is_building():  # noqa: ASYNC110  # The virtual time jumps.
                    await trio.sleep(0.01)
        if self.backend() is backend and self.may_kill():
            steps = self.runtime.steps
            most = 25 if self._is_building() else 150
            steps.machine_at = steps.total + self.random.randint(1, most)
            self.runtime.reach("a deploy that may be cut off")

    def _is_building(self) -> bool:
        return any(row["state"] == "building" for row in self._rows)

    @property
    def _rows(self) -> Sequence[Row]:
        return (self.newest() or {}).get("_deployments", ())

    async def _ask(self, backend: Backend) -> None:
        # Whoever has asked may be left without an answer, when the server ends.
        with trio.move_on_after(30):
            try:
                await self._start(backend)
            except (AppDefinitionError, Overloaded) as error:
                self.runtime.reach(f"no deploy: {type(error).__name__}")
            except (ReadFailed, StorageError):
                is_gone = self.backend() is not backend
                assert is_gone or self.was_hurt(), "a read failed on a sound disk"
                self.runtime.reach("no deploy: the disk could not be read")

    async def _start(self, backend: Backend) -> None:
        random = self.random
        dry_run = random.random() < 0.1
        self._serial += 1
        if self._serial > 1 and random.random() < 0.3:
            to = random.choice((None, random.randint(1, self._serial)))
            message = f"{self._serial} rollback"
            await backend.deploys.start_rollback(
                RollbackRequest(to=to, message=message, dry_run=dry_run, agreed=True)
            )
            return
        sort = random.choice((*SORTS, "plain", "indexed", "indexed"))
        state = self.newest()
        if sort == "misfit" and (state is None or not state["applied"]):
            sort = "plain"  # There is nothing yet that would not fit.
        request = DeployRequest(
            package(self._serial, sort),
            message=f"{self._serial} {sort}",
            dry_run=dry_run,
            agreed=True,
        )
        await backend.deploys.start(request)
