"""A version with another schema: held against the documents, built beside, then in force."""

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

import flow_backend.functions.deployments
from flow_backend.actors import checking
from flow_backend.actors.deploy_requests import Checked, Deployed, DeployRefused, DeployRequest
from flow_backend.actors.messages.calls import Call
from flow_backend.actors.messages.to_mutation import Switch, SwitchDone
from flow_backend.actors.mutation import MutationActor
from flow_backend.actors.preparing import Preparation
from flow_backend.errors import Overloaded
from flow_backend.functions.deployments import (
    AddDeployment,
    BeginServing,
    building_deployment,
    deployments,
)
from flow_backend.functions.loader import loaded_versions, unload_version
from flow_backend.functions.package import package_of, zip_package
from flow_backend.storage import build
from flow_backend.storage.base import Committed, TableName
from tests.actors.stage import Stage
from tests.actors.test_versions import SCHEMA, call, deploy, result_of, serving, zipped
from tests.storage.support import write_connection

STRICT = SCHEMA.replace("count: int", "count: int\n    note: str")
WIDER = SCHEMA.replace("count: int", "count: int\n    note: str = 'none'").replace(
    'by_name = Index("name")', 'by_name = Index("name")\n    by_note = Index("note", "count")'
)
LISTED = """
from flow_backend import QueryCtx, query
from app.schema import Counter

@query
def by_note(ctx: QueryCtx, note: str) -> list[str]:
    return [each.name for each in ctx.db.scan(Counter.by_note[note])]
"""


async def rows(on: Stage) -> list[dict[str, Any]]:
    snapshot = on.backend.storage.open_snapshot()
    snapshot.begin()
    found = [dict(each) for each in deployments(snapshot, 10)]
    snapshot.close()
    return found


async def test_a_document_that_does_not_fit_refuses_a_version(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """With its table, id, field and reason; and the old version answers as before."""
    async with serving(tmp_path) as on:
        await call(on, "counters:add", name="a")

        refused = await deploy(on, 2, schema=STRICT)

        assert isinstance(refused, DeployRefused)
        [problem] = refused.problems
        assert (problem.kind, problem.table, problem.path) == ("document", "counters", "note")
        assert problem.id in problem.text
        assert "give it a default" in problem.text
        assert await call(on, "counters:add", name="a") == [1.0] * 3
        [row] = await rows(on)
        assert (row["state"], row["problems"][0]["id"]) == ("refused", problem.id)


async def test_a_document_that_comes_during_the_check_refuses_it_too(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even one that comes after the last look, as the writer looks once more."""
    async with serving(tmp_path) as on:
        whole = Preparation.build

        async def late(self: Preparation, number: int, app: Any) -> bool:
            await call(on, "counters:add", name="late")
            return await whole(self, number, app)

        monkeypatch.setattr(Preparation, "build", late)

        refused = await deploy(on, 2, schema=STRICT)

        assert isinstance(refused, DeployRefused)
        assert [problem.path for problem in refused.problems] == ["note"]
        assert await call(on, "counters:add", name="a") == [1.0] * 3


async def test_a_document_that_comes_during_a_build_refuses_it_too(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a build took so long for is looked at behind it; the switch looks only further on."""
    async with serving(tmp_path) as on:

        async def long(self: Preparation, number: int, app: Any) -> bool:
            await call(on, "counters:add", name="late")
            return True

        monkeypatch.setattr(Preparation, "build", long)

        refused = await deploy(on, 2, schema=STRICT)

        assert isinstance(refused, DeployRefused)
        assert [problem.path for problem in refused.problems] == ["note"]
        assert await call(on, "counters:add", name="a") == [1.0] * 3


async def test_a_dry_run_checks_and_changes_nothing(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with serving(tmp_path) as on:
        await call(on, "counters:add", name="a")

        strict = DeployRequest(zipped(2, schema=STRICT), dry_run=True)
        assert isinstance(await on.backend.deploys.run(strict), DeployRefused)
        wider = DeployRequest(zipped(2, schema=WIDER), dry_run=True)
        assert isinstance(await on.backend.deploys.run(wider), Checked)

        assert await call(on, "counters:add", name="a") == [1.0] * 3


@pytest.mark.parametrize("rows_from", [1, 10**9])
async def test_a_new_field_and_index_are_there_for_old_documents_at_once(
    autojump_clock: MockClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows_from: int,
) -> None:
    """Whether the index is built beside, or in the switch."""
    monkeypatch.setattr(build, "INLINE_ROWS", rows_from)
    async with serving(tmp_path) as on:
        for number in range(30):
            await call(on, "counters:add", name=f"c{number:02}")

        done = await deploy(on, 2, schema=WIDER, listed=LISTED)

        assert isinstance(done, Deployed), done
        await call(on, "counters:add", name="after")
        found = result_of(await on.backend.query(Call("listed:by_note", {"note": "none"})))
        assert sorted(found) == sorted([*(f"c{number:02}" for number in range(30)), "after"])
        # And back, and forth again: what was written meanwhile is in it.
        await deploy(on, 3)
        await call(on, "counters:add", name="between")
        await deploy(on, 4, schema=WIDER, listed=LISTED)
        found = result_of(await on.backend.query(Call("listed:by_note", {"note": "none"})))
        assert len(found) == 32


async def test_writers_and_readers_go_on_while_an_index_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what they wrote is in it."""
    monkeypatch.setattr(build, "INLINE_ROWS", 1)
    monkeypatch.setattr("flow_backend.actors.preparing._BUILD_ROWS", 5)
    async with serving(tmp_path) as on:
        for number in range(100):
            await call(on, "counters:add", name=f"c{number}")
        written: list[str] = []
        versions: list[float] = []
        over = trio.Event()

        async def write() -> None:
            while not over.is_set():
                name = f"w{len(written)}"
                versions.append((await call(on, "counters:add", name=name))[0])
                written.append(name)
                await trio.sleep(0.003)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            done = await deploy(on, 2, schema=WIDER, listed=LISTED)
            over.set()

        assert isinstance(done, Deployed), done
        assert written, "they went on"
        assert versions == sorted(versions)
        found = result_of(await on.backend.query(Call("listed:by_note", {"note": "none"})))
        assert sorted(found) == sorted([*(f"c{number}" for number in range(100)), *written])


def _is_building(on: Stage) -> bool:
    snapshot = on.backend.storage.open_snapshot()
    try:
        snapshot.begin()
        return building_deployment(snapshot) is not None
    finally:
        snapshot.close()


async def test_a_build_that_was_cut_off_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "INLINE_ROWS", 1)
    monkeypatch.setattr("flow_backend.actors.preparing._BUILD_ROWS", 2)
    async with serving(tmp_path) as on:
        for number in range(30):
            await call(on, "counters:add", name=f"c{number}")
        with trio.CancelScope() as scope:  # As the end of the process would.
            async with trio.open_nursery() as nursery:

                async def cut() -> None:
                    while not _is_building(on):  # noqa: ASYNC110  # Another's row says so.
                        await trio.sleep(0.001)
                    scope.cancel()

                nursery.start_soon(cut)
                await deploy(on, 2, schema=WIDER, listed=LISTED)
        [row] = await rows(on)
        assert row["state"] == "building"
        await call(on, "counters:add", name="meanwhile")

        done = await on.backend.deployer.resume()

        assert isinstance(done, Deployed), done
        found = result_of(await on.backend.query(Call("listed:by_note", {"note": "none"})))
        assert len(found) == 31
        [row] = await rows(on)
        assert row["state"] == "active"
        assert await on.backend.deployer.resume() is None


def built(on: Stage) -> set[str]:
    """Give what is in the file of builds, and of indexes over what they filled."""
    connection = write_connection(on.backend.storage)
    indexes = connection.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'counters:by_n%'")
    builds = connection.execute('SELECT "table" FROM _builds')
    return {str(name) for (name,) in (*indexes.fetchall(), *builds.fetchall())}


async def test_a_build_that_was_given_up_leaves_nothing_in_the_way(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was filled goes with the next version that does not have it."""
    monkeypatch.setattr(build, "INLINE_ROWS", 1)
    unique = WIDER.replace('Index("note", "count")', 'Index("note", unique=True)')
    async with serving(tmp_path) as on:
        for number in range(30):
            await call(on, "counters:add", name=f"c{number:02}")

        refused = await deploy(on, 2, schema=unique, listed=LISTED)

        assert isinstance(refused, DeployRefused)
        assert [problem.kind for problem in refused.problems] == ["schema"]
        assert "counters" in built(on), "it was filled, and given up at the switch"
        assert await call(on, "counters:add", name="between") == [1.0] * 3
        done = await deploy(on, 3)
        assert isinstance(done, Deployed), done
        assert built(on) == {"counters:by_name"}

        done = await deploy(on, 4, schema=WIDER, listed=LISTED)
        assert isinstance(done, Deployed), done
        assert built(on) == {"counters:by_name", "counters:by_note"}
        found = result_of(await on.backend.query(Call("listed:by_note", {"note": "none"})))
        assert len(found) == 31


async def test_a_new_table_can_be_written_and_watched(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    more = SCHEMA + '\n@document("notes")\nclass Note(Document):\n    text: str\n'
    notes = """
from flow_backend import MutationCtx, QueryCtx, mutation, query
from app.schema import Note

@mutation
def put(ctx: MutationCtx, text: str) -> None:
    ctx.db.insert(Note(text=text))

@query
def texts(ctx: QueryCtx) -> list[str]:
    return [each.text for each in ctx.db.scan(Note)]
"""
    async with serving(tmp_path) as on:
        assert isinstance(await deploy(on, 2, schema=more, notes=notes), Deployed)
        await call(on, "notes:put", text="a")
        assert result_of(await on.backend.query(Call("notes:texts", {}))) == ["a"]
        assert TableName("notes") in on.backend.storage.tables


async def test_a_table_that_comes_back_is_checked_too(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """But for documents that its class has written as it is now."""
    table = '\n@document("notes")\nclass Note(Document):\n    text: {}\n'
    notes = """
from flow_backend import MutationCtx, mutation
from app.schema import Note

@mutation
def put(ctx: MutationCtx) -> None:
    ctx.db.insert(Note(text="a"))
"""
    with_text, with_number = (SCHEMA + table.format(kind) for kind in ("str", "int"))
    async with serving(tmp_path) as on:
        assert isinstance(await deploy(on, 2, schema=with_text, notes=notes), Deployed)
        await call(on, "notes:put")
        gone = DeployRequest(zipped(3), agreed=True)
        assert isinstance(await on.backend.deploys.run(gone), Deployed)

        refused = await deploy(on, 4, schema=with_number)

        assert isinstance(refused, DeployRefused)
        assert [(each.table, each.path) for each in refused.problems] == [("notes", "text")]
        assert isinstance(await deploy(on, 5, schema=with_text, notes=notes), Deployed)
        await call(on, "notes:put")


def _parts(version: str) -> tuple[str, int]:
    package, _, number = version.partition("@")
    return package, int(number)


async def test_another_package_takes_the_place_of_an_app_only_if_somebody_agrees(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    files = {"other/__init__.py": b"", "other/empty.py": b""}
    other = zip_package(package_of("other", files))
    async with serving(tmp_path) as on:
        asked = await on.backend.deploys.run(DeployRequest(other))
        assert isinstance(asked, DeployRefused)
        said = "The package other takes the place of app, which the server serves."
        assert said in [problem.text for problem in asked.problems]
        assert await call(on, "counters:add", name="a") == [1.0] * 3

        done = await on.backend.deploys.run(DeployRequest(other, agreed=True))
        assert isinstance(done, Deployed), done
    for name in loaded_versions():
        unload_version(*_parts(name))


async def test_the_check_in_a_process_finds_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "_PROCESS_FROM", 0)
    async with serving(tmp_path) as on:
        await call(on, "counters:add", name="a")
        refused = await deploy(on, 2, schema=STRICT)
        assert isinstance(refused, DeployRefused)
        assert [problem.path for problem in refused.problems] == ["note"]


async def test_h_a_version_whose_commit_is_on_disk_is_in_force_although_the_writer_failed(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be told as refused, and the version before it go on, on the newer schema."""
    async with serving(tmp_path) as on:
        bring, fails = MutationActor._bring_in_force, [RuntimeError("right behind the commit")]

        def fail_once(actor: MutationActor, message: Switch) -> SwitchDone:
            if fails:
                raise fails.pop()
            return bring(actor, message)

        monkeypatch.setattr(MutationActor, "_bring_in_force", fail_once)
        deployed = await deploy(on, 2, schema=WIDER, listed=LISTED)

        assert isinstance(deployed, Deployed)
        assert on.backend.supervisor.restarts == 1
        assert await call(on, "counters:add", name="a") == [2.0] * 3
        assert [row["state"] for row in await rows(on)] == ["active"]
        assert not on.backend.versions.is_changing


async def test_a_deploy_of_which_nobody_knows_if_it_was_noted_is_not_under_way_for_ever(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer fails behind the commit of its row, and whoever asked is told to try again."""
    async with serving(tmp_path) as on:
        run, fails = MutationActor._run, [RuntimeError("right behind the commit")]

        async def fail_once(actor: MutationActor, *args: Any) -> Committed:
            batch = await run(actor, *args)
            if fails:
                raise fails.pop()
            return batch

        monkeypatch.setattr(MutationActor, "_run", fail_once)
        with pytest.raises(Overloaded):
            await deploy(on, 2)

        [row] = await rows(on)
        assert row["state"] == "failed"
        assert row["problems"][0]["kind"] == "interrupted"
        assert isinstance(await deploy(on, 2), Deployed)


async def test_what_a_server_begins_with_is_noted_once(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """If the writer fails behind that commit, the step is done again, and finds it done."""
    async with serving(tmp_path) as on:
        step = BeginServing(1, AddDeployment("app", "digest", None, "start", seed=1))

        await on.backend.deployer.begin(step)
        await on.backend.deployer.begin(step)

        assert [row["state"] for row in await rows(on)] == ["active"]
        assert on.backend.supervisor.restarts == 0


async def test_of_old_saves_only_the_last_stay(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever works all day saves hundreds of times; what was deployed can be brought back."""
    monkeypatch.setattr(flow_backend.functions.deployments, "DEV_KEPT", 2)
    async with serving(tmp_path) as on:
        await deploy(on, 2)
        for number in range(3, 7):
            saved = DeployRequest(zipped(number), origin="dev")
            assert isinstance(await on.backend.deploys.run(saved), Deployed)
        refused = DeployRequest(zipped(7, counters="def"), origin="dev")
        assert isinstance(await on.backend.deploys.run(refused), DeployRefused)
        assert [row["number"] for row in await rows(on)] == [6, 5, 4, 1]

        await on.backend.deploys.run(DeployRequest(zipped(8), origin="dev"))

        states = {row["number"]: row["state"] for row in await rows(on)}
        assert states == {7: "active", 6: "refused", 1: "past"}
