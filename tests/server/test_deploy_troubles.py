"""Deploys that come to an end when the disk, or the process, does not let them."""

from pathlib import Path
from typing import Any

import apsw
import pytest
import trio
from trio.testing import MockClock

from flow_backend.actors import deploying
from flow_backend.actors.deploy_requests import DeployRequest
from flow_backend.actors.deploying import Deployer
from flow_backend.actors.preparing import Preparation
from flow_backend.functions.deployments import AddDeployment, BeginServing
from tests.actors.test_versions import zipped
from tests.server.test_first_version import Life, Machine, make_machine

BROKEN = {"counters": "1 / 0\n"}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return make_machine(tmp_path, monkeypatch)


async def shown(life: Life, number: int) -> tuple[str, list[str]]:
    """Give a version's state and the kinds of its problems, as whoever asks the server sees it."""
    found: Any = await life.backend.deploys.find(number)
    listed = await life.backend.deploys.newest(10, served=False)
    assert [each for each in listed if each["number"] == number] == [found]
    return found["state"], [each["kind"] for each in found["problems"]]


def stored(life: Life, number: int) -> str:
    return next(state for each, _, state in life.states() if each == number)


@pytest.mark.parametrize(
    ("files", "state", "kind"), [(BROKEN, "refused", "code"), ({}, "failed", "storage")]
)
async def test_a_deploy_ends_truthfully_although_the_disk_is_full(
    autojump_clock: MockClock,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    state: str,
    kind: str,
) -> None:
    """Whoever asks hears of the end at once, and the row says it as soon as there is room."""

    def fill(_: object) -> None:
        machine.disk.fail("write", 1, None, apsw.FullError)

    async with machine.life() as life:
        with monkeypatch.context() as patched:
            patched.setattr(deploying, "_check_source", fill)
            assert await life.backend.deploys.start(DeployRequest(zipped(2, **files))) == 2
            await trio.sleep(100)
        assert stored(life, 2) == "checking", "the disk is full"
        assert await shown(life, 2) == (state, [kind])

        machine.disk.mend()
        await trio.sleep(60)

        assert stored(life, 2) == state
        assert await shown(life, 2) == (state, [kind])
        assert await life.deploy(3) == 3


async def test_a_version_that_nobody_works_on_has_failed_at_the_next_deploy(
    autojump_clock: MockClock, machine: Machine
) -> None:
    """The writer was too slow, so that its deploy was given up before its row was there."""
    async with machine.life() as life:
        late = AddDeployment("app", "none", None, "deploy", seed=7)
        await life.backend.write(late, "late")
        assert await shown(life, 2) == ("checking", [])

        assert await life.deploy(3) == 3

        assert await shown(life, 2) == ("failed", ["interrupted"])
        assert await life.add() == 3


async def test_what_the_server_ended_in_has_failed_although_the_disk_is_full_at_the_start(
    autojump_clock: MockClock, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever watches over the restart hears it, and the row says it once there is room."""
    async with machine.life() as life:
        with monkeypatch.context() as patched:
            patched.setattr(Preparation, "check_documents", _never)
            with trio.move_on_after(60):
                await life.backend.deploys.run(DeployRequest(zipped(2)))
        assert stored(life, 2) == "checking"

    real = Deployer.begin

    async def begin(self: Deployer, step: BeginServing) -> None:
        machine.disk.fail("write", 1, None, apsw.FullError)
        await real(self, step)

    monkeypatch.setattr(Deployer, "begin", begin)
    async with machine.life() as life:
        life.backend.deploys.resume()
        assert await shown(life, 2) == ("failed", ["interrupted"])
        assert stored(life, 2) == "checking", "the disk is full"

        machine.disk.mend()
        await trio.sleep(60)

        assert stored(life, 2) == "failed"


async def _never(*_: object) -> None:
    await trio.sleep_forever()


async def test_folders_of_versions_that_a_kill_left_go_at_the_start(
    autojump_clock: MockClock, machine: Machine
) -> None:
    """And nothing else: what serves from its folder stays, as does what no server has made."""
    folder = machine.folder / "data" / "versions"
    async with machine.life() as life:
        await life.deploy(2)
    # A module of some other database, which had a version 2 as well.
    (folder / "2" / "app" / "stale.py").write_text("1 / 0\n")
    (folder / "7" / "app").mkdir(parents=True)
    (folder / "7" / "app" / "schema.py").write_text("")
    (folder / "mine").mkdir()
    (folder / "8").symlink_to(folder / "mine")
    (folder / "9").write_text("a file")

    async with machine.life() as life:
        life.backend.deploys.resume()
        await trio.sleep(1)

        assert sorted(each.name for each in folder.iterdir()) == ["2", "8", "9", "mine"]
        assert await life.add() == 2
        assert await life.deploy(3) == 3
        assert await life.add() == 3
