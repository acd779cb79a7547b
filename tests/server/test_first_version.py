"""Which version a server begins with: what came last counts, whatever ended the one before."""

import importlib
import shutil
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random

import orjson
import pytest
import trio
from trio.testing import MockClock

from flow_backend.actors.backend import Backend
from flow_backend.actors.deploy_requests import Deployed, DeployRequest, RollbackRequest
from flow_backend.actors.messages.calls import Call
from flow_backend.actors.opening import open_backend
from flow_backend.actors.preparing import Preparation
from flow_backend.errors import AppDefinitionError
from flow_backend.functions.deployments import Fields, deployments
from flow_backend.functions.loader import loaded_versions, unload_version
from flow_backend.functions.package import unpack, unzip_package
from flow_backend.server.first_version import FirstVersion, FirstVersionChooser
from flow_backend.storage.base import Done, Storage
from flow_backend.storage.sqlite import open_files
from flow_backend.testing.disk import SimDisk
from flow_backend.testing.disk_files import sim_files
from flow_backend.testing.link import sim_frame
from flow_backend.testing.sim import NoDeadlines, SimRuntime
from tests.actors.test_versions import COUNTERS, SCHEMA, zipped

WITH_INDEX = SCHEMA + '    by_count = Index("count")\n'
BY_COUNT = COUNTERS.replace("scan(Counter.by_name).pag", "scan(Counter.by_count).pag")
CRONS = """
from flow_backend import Crons
from app.counters import add
crons = Crons()
crons.hourly("VERSION", run=add, name="hour")
"""
_seeds = count()


class Life:
    """One life of a server."""

    def __init__(self, backend: Backend, storage: Storage, first: FirstVersion) -> None:
        self.backend, self.storage, self.first = backend, storage, first

    async def deploy(self, number: int, **files: str) -> int:
        done = await self.backend.deploys.run(DeployRequest(zipped(number, **files)))
        assert isinstance(done, Deployed), done
        return done.number

    async def add(self) -> int:
        outcome = await self.backend.mutate(Call("counters:add", {"name": "a"}))
        assert isinstance(outcome.result, Done), outcome
        return int(orjson.loads(outcome.result.result)[0])

    async def counters(self) -> dict[str, int]:
        options = {"paginationOpts": {"numItems": 100.0, "cursor": None}}
        done = await self.backend.query(Call("counters:pages", options))
        assert isinstance(done.result, Done), done
        page = orjson.loads(done.result.result)["page"]
        return {each["name"]: int(each["count"]) for each in page}

    def rows(self) -> list[Fields]:
        snapshot = self.storage.open_snapshot()
        try:
            snapshot.begin()
            return list(deployments(snapshot, 100))
        finally:
            snapshot.close()

    def states(self) -> list[tuple[float, str, str]]:
        return [(row["number"], row["origin"], row["state"]) for row in self.rows()]  # type: ignore[misc]


class Machine:
    """A disk, and the package on it."""

    def __init__(self, folder: Path, disk: SimDisk) -> None:
        self.folder, self.disk = folder, disk

    def put(self, number: int, **files: str) -> None:
        """Let the package on the disk be this one."""
        shutil.rmtree(self.folder / "app", ignore_errors=True)
        unpack(unzip_package(zipped(number, **files)), self.folder)

    @asynccontextmanager
    async def life(self, disk: SimDisk | None = None) -> AsyncGenerator[Life]:
        importlib.invalidate_caches()
        data = self.folder / "data"
        choose = FirstVersionChooser("app", data, lambda _: None)
        runtime = SimRuntime(Random(next(_seeds)), work_seconds_max=0.0)
        storage = open_files(sim_files(disk or self.disk), choose, now_ns=runtime.now_ns)
        first = choose.chosen
        assert first is not None
        try:
            async with open_backend(
                first.app,
                storage,
                runtime,
                text_frame=sim_frame,
                deadlines=NoDeadlines(),
                number=first.number,
                folder=data / "versions",
            ) as backend:
                if first.begin is not None:
                    await backend.deployer.begin(first.begin)
                yield Life(backend, storage, first)
        finally:
            storage.close()
            self.forget()

    def forget(self) -> None:
        for name in loaded_versions():
            unload_version("app", int(name.partition("@")[2]))
        for name in [each for each in sys.modules if each.partition(".")[0] == "app"]:
            del sys.modules[name]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return make_machine(tmp_path, monkeypatch)


def make_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = Machine(tmp_path, SimDisk(random=Random(0)))
    made.put(1)
    return made


async def test_what_came_last_serves(autojump_clock: MockClock, machine: Machine) -> None:
    """The disk's package at first; then what was deployed; then the disk's, once it is another."""
    async with machine.life() as life:
        assert life.first.number == 1
        assert await life.add() == 1
        assert life.states() == [(1.0, "start", "active")]

    async with machine.life() as life:
        assert life.first.begin is None
        assert await life.add() == 1
        assert await life.deploy(20) == 2
        assert await life.add() == 20

    async with machine.life() as life:
        assert life.first.begin is None
        assert life.first.number == 2
        assert await life.add() == 20
        assert life.states() == [(2.0, "deploy", "active"), (1.0, "start", "past")]

    machine.put(3)
    async with machine.life() as life:
        assert await life.add() == 3
        assert life.states()[0] == (3.0, "start", "active")
        await life.backend.deploys.start_rollback(RollbackRequest(to=2))
        await trio.sleep(1)
        assert await life.add() == 20

    async with machine.life() as life:
        assert await life.add() == 20
        assert life.states()[:2] == [(4.0, "rollback", "active"), (3.0, "start", "past")]
        assert life.rows()[0]["restores"] == 2


@pytest.mark.slow
async def test_a_rollback_brings_back_the_crons(
    autojump_clock: MockClock, machine: Machine
) -> None:
    """And those of the version that it takes the place of run no more, nor after a restart."""
    crons = CRONS.replace("hourly(", "interval(").replace('"hour"', '"VERSION", seconds=60')
    machine.put(1, crons=crons.replace("VERSION", "old"))
    async with machine.life() as life:
        await life.deploy(2, crons=crons.replace("VERSION", "new"))
        assert await ran(life) == {"new"}
        await life.backend.deploys.start_rollback(RollbackRequest())
        await trio.sleep(1)
        assert await ran(life) == {"old"}

    async with machine.life() as life:
        assert await ran(life) == {"old"}


async def ran(life: Life) -> set[str]:
    """Give the crons that run within some minutes."""
    before = await life.counters()
    await trio.sleep(200)
    after = await life.counters()
    return {name for name, count in after.items() if count != before.get(name)}


async def test_a_deployed_version_serves_without_a_package_on_the_disk(
    autojump_clock: MockClock, machine: Machine
) -> None:
    async with machine.life() as life:
        await life.deploy(2)
    shutil.rmtree(machine.folder / "app")

    async with machine.life() as life:
        assert await life.add() == 2


async def test_a_package_on_the_disk_that_is_broken_is_not_served_around(
    autojump_clock: MockClock, machine: Machine
) -> None:
    """Somebody has changed it, and is to hear what is wrong with it."""
    async with machine.life() as life:
        await life.deploy(2)
    machine.put(3, counters="1 / 0\n")

    with pytest.raises(AppDefinitionError, match=r"counters.py:1: ZeroDivisionError"):
        async with machine.life():
            pass
    machine.forget()


async def test_a_dry_run_stays_what_it_was_over_a_restart(
    autojump_clock: MockClock, machine: Machine
) -> None:
    async with machine.life() as life:
        done = await life.backend.deploys.run(DeployRequest(zipped(2), dry_run=True))
        assert done.number == 2

    async with machine.life() as life:
        assert await life.add() == 1
        assert life.states() == [(2.0, "deploy", "ready"), (1.0, "start", "active")]


@pytest.mark.parametrize("is_killed", [False, True])
async def test_what_was_checked_when_the_server_ended_has_failed(
    autojump_clock: MockClock, machine: Machine, monkeypatch: pytest.MonkeyPatch, is_killed: bool
) -> None:
    """Whether it could close its database or not."""
    copies: list[SimDisk] = []

    async def never(*_: object) -> None:
        copies.append(machine.disk.copy(Random(0)))
        await trio.sleep_forever()

    async with machine.life() as life:
        monkeypatch.setattr(Preparation, "check_documents", never)
        with trio.move_on_after(60):
            await life.backend.deploys.run(DeployRequest(zipped(2)))
        assert life.states()[0] == (2.0, "deploy", "checking")
    [killed] = copies
    killed.kill()

    async with machine.life(killed if is_killed else None) as life:
        assert await life.add() == 1
        assert life.states() == [(2.0, "deploy", "failed"), (1.0, "start", "active")]


@pytest.mark.slow
@pytest.mark.parametrize("end", ["kill", "power_cut"])
async def test_a_switch_is_whole_or_not_at_all_wherever_the_machine_ends(
    autojump_clock: MockClock, machine: Machine, end: str
) -> None:
    """Code, schema, crons and the row that says which: all of the one version, or of the other."""
    machine.put(1, crons=CRONS.replace("VERSION", "one"))
    copies: list[SimDisk] = []
    async with machine.life() as life:
        assert await life.add() == 1

        def remember(kind: object, name: str) -> None:
            if name.endswith((".sqlite3", "-wal")) and kind in {"write", "sync"}:
                copies.append(machine.disk.copy(Random(len(copies))))

        machine.disk.on_operation = remember
        changed = {"schema": WITH_INDEX, "counters": BY_COUNT}
        await life.deploy(2, crons=CRONS.replace("VERSION", "two"), **changed)
        machine.disk.on_operation = None
        copies.append(machine.disk.copy(Random(0)))

    seen: list[int] = []
    # A power cut ends each of them at random.
    for copy in copies if end == "kill" else [*copies[:-1:3], copies[-1]]:
        getattr(copy, end)()
        async with machine.life(copy) as life:
            version = await life.add()
            seen.append(version)
            assert [row["number"] for row in life.rows() if row["state"] == "active"] == [version]
            assert list(life.backend.versions.newest.crons) == [{1: "one", 2: "two"}[version]]
            indexes = [each.name for each in life.storage.tables["counters"].indexes]  # type: ignore[index]
            assert indexes == ["by_name", "by_count"][:version]
            await life.backend.query(
                Call("counters:pages", {"paginationOpts": {"numItems": 5.0, "cursor": None}})
            )
    assert set(seen) == {1, 2}
    assert len(copies) > 20
    if end == "kill":
        assert seen == sorted(seen)
