"""A version of the app takes the place of another while clients are at work."""

import gc
import sys
import weakref
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from flow_backend.actors.deploy_requests import (
    Deployed,
    DeployRefused,
    DeployRequest,
    DeployResult,
    RollbackRequest,
)
from flow_backend.actors.messages.calls import Call
from flow_backend.actors.preparing import Preparation
from flow_backend.functions.loader import load_version, loaded_versions, unload_version
from flow_backend.functions.package import package_of, unpack, unzip_package, zip_package
from flow_backend.runtime import Finished, wait_for
from flow_backend.storage.base import Done
from flow_backend.testing.client import QueryOutcome, SimClient
from flow_backend.testing.sim import SimRuntime
from tests.actors.stage import Stage, stage
from tests.effort import cases

SCHEMA = """
from flow_backend import Document, Index, document

@document("counters")
class Counter(Document):
    name: str
    count: int
    by_name = Index("name")
"""

WITH_COUNT = SCHEMA + '    by_count = Index("count")\n'

COUNTERS = """
import pytest
import trio
from flow_backend import (
    ActionCtx, Id, MutationCtx, Page, PaginationOptions, QueryCtx, action, http_action,
    HttpRequest, HttpResponse, mutation, query,
)
from app.constants import VERSION
from app.schema import Counter

@query
def version(ctx: QueryCtx) -> list[int]:
    from app.constants import VERSION as lazy
    ctx.db.scan(Counter).collect()
    return [VERSION, lazy, ctx.run(inner)]

@query
def inner(ctx: QueryCtx) -> int:
    return VERSION

@query
def total(ctx: QueryCtx) -> int:
    return sum(each.count for each in ctx.db.scan(Counter).collect())

@query
def pages(ctx: QueryCtx, paginationOpts: PaginationOptions) -> Page[Counter]:
    return ctx.db.scan(Counter.by_name).paginate(paginationOpts)

@mutation
def add(ctx: MutationCtx, name: str) -> list[int]:
    from app.constants import VERSION as lazy
    found = ctx.db.scan(Counter.by_name[name]).first()
    if found is None:
        ctx.db.insert(Counter(name=name, count=1))
    else:
        ctx.db.patch(found.id, count=found.count + 1)
    return [VERSION, lazy, ctx.run(inner)]

@action
async def slow(ctx: ActionCtx, seconds: float) -> list[int]:
    before = await ctx.run(inner)
    await trio.sleep(seconds)
    from app.constants import VERSION as lazy
    return [VERSION, lazy, before, await ctx.run(inner)]
"""


def zipped(number: int, **files: str) -> bytes:
    """Give version ``number`` of a small app; ``files`` are what is other in it."""
    texts = {
        "__init__": "",
        "constants": f"VERSION = {number}\n",
        "schema": SCHEMA,
        "counters": COUNTERS,
        **files,
    }
    named = {f"app/{name}.py": text.encode() for name, text in texts.items()}
    return zip_package(package_of("app", named))


@asynccontextmanager
async def serving(
    tmp_path: Path, runtime: SimRuntime | None = None, **files: str
) -> AsyncGenerator[Stage]:
    """Serve version 1 of the app, and let versions be put in force."""
    unpack(unzip_package(zipped(1, **files)), tmp_path / "first")
    app = load_version(tmp_path / "first", "app", 1_000_000)
    try:
        async with stage(app=app, runtime=runtime) as on:
            on.backend.deployer.folder = tmp_path / "versions"
            yield on
    finally:
        for name in loaded_versions():
            unload_version("app", int(name.partition("@")[2]))


def app_modules() -> set[str]:
    return {name for name in sys.modules if name.startswith("app")}


async def deploy(on: Stage, number: int, **files: str) -> DeployResult:
    return await on.backend.deploys.run(DeployRequest(zipped(number, **files)))


async def call(on: Stage, path: str, **args: Any) -> Any:
    return result_of(await on.backend.mutate(Call(path, args)))


def result_of(outcome: Any) -> Any:
    assert isinstance(outcome.result, Done), outcome
    return orjson.loads(outcome.result.result)


async def test_a_deploy_is_in_force_for_all_who_call_after_it(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with serving(tmp_path) as on:
        assert await call(on, "counters:add", name="a") == [1.0] * 3

        done = await deploy(on, 2)

        assert isinstance(done, Deployed)
        assert await call(on, "counters:add", name="a") == [2.0] * 3
        assert result_of(await on.backend.query(Call("counters:version", {}))) == [2.0] * 3
        assert result_of(await on.backend.query(Call("counters:total", {}))) == 2.0
        assert on.backend.versions.newest.number == done.number == 1


async def test_live_queries_show_the_new_version_and_their_sockets_stay_open(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with serving(tmp_path) as on:
        client = on.client()
        version, total = client.subscribe("counters:version"), client.subscribe("counters:total")
        await client.wait_results()
        await on.rest()
        encoded = on.encoded
        assert client.results[version] == QueryOutcome([1.0] * 3)

        await deploy(on, 2)
        await on.rest()

        assert client.results[version] == QueryOutcome([2.0] * 3)
        assert client.connections == 1
        assert on.encoded == encoded + 1
        # What came out the same is not sent again; and both go on.
        await on.mutate(client, "counters:add", name="a")
        assert client.results[total] == QueryOutcome(1.0)


async def test_a_refused_deploy_changes_nothing_and_says_why(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with serving(tmp_path) as on:
        modules = app_modules()
        for text, told in (
            ("1 / 0\n", "app/counters.py:1: ZeroDivisionError"),
            (
                "import no_such_thing\n",
                "app/counters.py:1: imports 'no_such_thing', and this server",
            ),
            ("raise SystemExit(3)\n", "app/counters.py:1: SystemExit"),
            # What no `except Exception` sees ends no server either.
            ("raise GeneratorExit\n", "app/counters.py:1: GeneratorExit"),
            ("class Odd(BaseException): ...\nraise Odd('so')\n", "app/counters.py:2: Odd: so"),
            ("from flow_backend import *\n@query\ndef x(ctx, a: set) -> None: ...\n", "counters"),
        ):
            refused = await deploy(on, 2, counters=text)

            assert isinstance(refused, DeployRefused)
            assert told in refused.problems[0].text
        assert await call(on, "counters:add", name="a") == [1.0] * 3
        assert app_modules() == modules
        assert list((tmp_path / "versions").iterdir()) == []


@pytest.mark.slow
async def test_an_action_ends_on_the_version_that_it_began_with(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """Its own code is one version's, lazy imports too; what it calls is the newest."""
    async with serving(tmp_path) as on, trio.open_nursery() as nursery:
        results: list[Any] = []

        async def act() -> None:
            done = await on.backend.act(Call("counters:slow", {"seconds": 5.0}))
            assert isinstance(done, Done), done
            results.append(orjson.loads(done.result))

        await deploy(on, 2)
        nursery.start_soon(act)
        await trio.sleep(1)
        await deploy(on, 3)
        await deploy(on, 4)
        assert set(loaded_versions()) >= {"app@1", "app@3"}
        assert "app@2" not in loaded_versions()

        await trio.sleep(5)

        assert results == [[2.0, 2.0, 2.0, 4.0]]
        assert "app@1" not in loaded_versions()


async def test_a_snapshot_that_was_pinned_keeps_its_version(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with serving(tmp_path) as on:
        ts = await on.backend.pin_snapshot()
        await deploy(on, 2)

        at_before = await on.backend.query(Call("counters:version", {}), at=ts)
        assert result_of(at_before) == [1.0] * 3
        assert result_of(await on.backend.query(Call("counters:version", {}))) == [2.0] * 3


async def test_a_page_that_is_watched_stays_or_begins_anew(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """A journal of before is kept where the index is the same, and pins nothing where it is not."""
    options = {"numItems": 2.0, "cursor": None}
    async with serving(tmp_path) as on:
        for name in "abd":
            await call(on, "counters:add", name=name)
        client = on.client()
        page = client.subscribe("counters:pages", paginationOpts=options)
        await client.wait_results()

        def names() -> list[str]:
            value: Any = client.results[page].value
            return [each["name"] for each in value["page"]]

        assert names() == ["a", "b"]
        await deploy(on, 2)
        await call(on, "counters:add", name="ab")
        await on.rest()
        assert names() == ["a", "ab", "b"]

        by_count = COUNTERS.replace("scan(Counter.by_name).pag", "scan(Counter).pag")
        await deploy(on, 3, counters=by_count)
        await on.rest()
        assert names() == ["a", "b"]


async def test_what_is_gone_says_so(autojump_clock: MockClock, tmp_path: Path) -> None:
    async with serving(tmp_path) as on:
        client = on.client()
        total = client.subscribe("counters:total")
        await client.wait_results()

        await deploy(on, 2, counters=COUNTERS.replace("def total", "def sum_of_all"))
        await on.rest()
        assert "Could not find public function for 'counters:total'" in str(client.results[total])

        await deploy(on, 3)
        await on.rest()
        assert client.results[total] == QueryOutcome(0.0)


async def test_a_rollback_brings_a_version_back(autojump_clock: MockClock, tmp_path: Path) -> None:
    async with serving(tmp_path) as on:
        second = await deploy(on, 2)
        await deploy(on, 3)
        assert isinstance(second, Deployed)

        await on.backend.deploys.start_rollback(RollbackRequest(second.number))
        await on.rest()

        assert await call(on, "counters:add", name="a") == [2.0] * 3


async def test_a_rollback_goes_back_from_what_serves_when_its_turn_comes(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not from what served when it was asked for: a deploy or another rollback may be before it."""

    async def check(*_: object) -> None:
        await trio.sleep(1)

    monkeypatch.setattr(Preparation, "check_documents", check)
    async with serving(tmp_path) as on, trio.open_nursery() as nursery:
        for number in range(2, 6):
            await deploy(on, number)

        for _ in range(2):
            nursery.start_soon(on.backend.deploys.start_rollback, RollbackRequest())
        await trio.sleep(5)
        assert await call(on, "counters:add", name="a") == [3.0] * 3

        nursery.start_soon(deploy, on, 6)
        await on.rest()
        nursery.start_soon(on.backend.deploys.start_rollback, RollbackRequest())
        await trio.sleep(5)
        assert await call(on, "counters:add", name="a") == [3.0] * 3


@pytest.mark.slow
async def test_old_versions_leave_nothing_in_memory(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """Thirty versions later there are as many document classes and modules as after two."""
    async with serving(tmp_path) as on:
        client = on.client()
        version = client.subscribe("counters:version")
        seen: list[weakref.ref[Any]] = []
        kept = 0
        for number in range(2, 32):
            await deploy(on, number)
            await on.mutate(client, "counters:add", name="a")
            assert client.results[version] == QueryOutcome([float(number)] * 3)
            seen.append(weakref.ref(on.backend.versions.newest.app.schema.documents["counters"]))
            if number == 3:
                kept = len(app_modules())
        gc.collect()
        assert len(app_modules()) == kept
        assert [each() is not None for each in seen] == [False] * 29 + [True]
        assert [each.name for each in (tmp_path / "versions").iterdir()] == ["30"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(cases(20)))
async def test_no_call_mixes_versions_or_fails_under_load(
    autojump_clock: MockClock, tmp_path: Path, seed: int
) -> None:
    """Mutations, queries, live ones, pinned ones and actions, while versions come and go."""
    random = Random(seed)
    runtime = SimRuntime(random, work_seconds_max=random.choice([0.0, 0.002, 0.02]))
    async with serving(tmp_path, runtime) as on, trio.open_nursery() as nursery:
        slow = {"counters:version", "counters:total", "counters:add"}
        on.durations.slow = frozenset(path for path in slow if random.random() < 0.5)
        at_work, added = [True], 0
        # At which timestamp which version answered: afterwards it is known which was in force.
        answered: list[tuple[int, float]] = []
        began: list[tuple[int, int]] = [(0, 1)]

        def look(client: SimClient) -> None:
            for result in client.results.values():
                assert not result.failed, result
                if isinstance(result.value, list):
                    assert is_one(result.value), result
                    answered.append((client.version.ts, result.value[0]))  # type: ignore[arg-type]

        async def write(client: SimClient) -> None:
            nonlocal added
            while at_work[0]:
                request = client.mutate("counters:add", name=random.choice("abc"))
                await request.settled.wait()
                assert request.succeeded, request.answer
                assert request.answer is not None
                assert is_one(request.answer["result"]), request.answer
                answered.append((request.ts, request.answer["result"][0]))
                added += 1
                await trio.sleep(random.random() * 0.02)

        async def read() -> None:
            while at_work[0]:
                ts = await on.backend.pin_snapshot() if random.random() < 0.3 else None
                await trio.sleep(random.random() * 0.05)
                done = await on.backend.query(Call("counters:version", {}), at=ts)
                assert is_one(result_of(done)), done
                answered.append((done.ts, result_of(done)[0]))

        async def act() -> None:
            while at_work[0]:
                seconds = random.random() * 0.3
                done = await on.backend.act(Call("counters:slow", {"seconds": seconds}))
                assert isinstance(done, Done), done
                own, lazy, before, after = orjson.loads(done.result)
                assert own == lazy
                assert own <= before <= after

        for _ in range(3):
            client = on.client()
            client.on_state = look
            client.subscribe("counters:version")
            client.subscribe("counters:total")
            nursery.start_soon(write, client)
        nursery.start_soon(read)
        nursery.start_soon(act)
        for number in range(2, 10):
            await trio.sleep(random.random() * 0.3)
            changed = {"schema": WITH_COUNT} if number % 3 == 0 else {}
            done = await deploy(on, number, **changed)
            assert isinstance(done, Deployed)
            began.append((done.ts, number))
        at_work[0] = False
        await trio.sleep(1)
        await on.rest()

        for ts, version in answered:
            assert version == max(number for from_ts, number in began if from_ts <= ts), ts
        for client in on.clients:
            assert client.results[0] == QueryOutcome([9.0] * 3)
            assert client.results[1] == QueryOutcome(float(added))
            assert client.connections == 1
        await trio.sleep(6)  # Until no snapshot is pinned any more.
        assert len(loaded_versions()) == 1 + 1  # The first was loaded by hand.
        nursery.cancel_scope.cancel()


def is_one(values: Any) -> bool:
    return len(set(values)) == 1


@define(eq=False)
class HeldWorker:
    """A worker whose work is done at once, and told when the test lets it."""

    real: Any
    holds: Callable[[], bool]
    told: list[Callable[[], None]] = field(factory=list[Callable[[], None]])

    def submit(self, work: Callable[[], Any], done: Callable[[Finished[Any]], None]) -> None:
        holds = self.holds()
        finished = Finished(value=work())
        if holds:
            self.told.append(lambda: done(finished))
        else:
            done(finished)

    async def run(self, work: Callable[[], Any]) -> Any:
        return await wait_for(self, work) if self.holds() else await self.real.run(work)

    def close(self) -> None:
        self.real.close()

    def let_go(self) -> None:
        while self.told:
            self.told.pop()()


async def test_a_live_query_that_ran_across_the_switch_is_run_again(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with serving(tmp_path) as on:
        # It reads nothing, so that no table could tell that it is another.
        on.durations.slow = frozenset({"counters:inner"})
        client = on.client()
        held = [HeldWorker(each.worker, lambda: True) for each in on.backend.pool.workers]
        for each, worker in zip(on.backend.pool.workers, held, strict=True):
            each.worker = worker
        version = client.subscribe("counters:inner")
        await on.rest()
        assert sum(len(worker.told) for worker in held) == 1, "it runs"

        await deploy(on, 2)
        for worker in held:
            worker.holds = lambda: False
            worker.let_go()
        await on.rest()

        assert client.results[version] == QueryOutcome(2.0)


async def test_nobody_reads_the_new_state_before_its_version_is_here(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """Between COMMIT and the loop's notice of it lies a thread's way back."""
    async with serving(tmp_path) as on, trio.open_nursery() as nursery:
        backend, answers = on.backend, list[Any]()
        real = backend.mutation.worker
        held = HeldWorker(real, lambda: backend.mutation.versions.is_changing)
        backend.mutation.worker = held

        async def ask() -> None:
            answers.append(result_of(await backend.query(Call("counters:version", {}))))

        nursery.start_soon(deploy, on, 2)
        await on.rest()
        assert held.told, "it is committed"
        nursery.start_soon(ask)
        await on.rest()
        too_early = list(answers)
        held.let_go()
        await on.rest()
        backend.mutation.worker = real

        assert not too_early
        assert answers == [[2.0] * 3]
