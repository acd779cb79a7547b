"""Crons: at their times, one run for each, over restarts, failures and clocks that are set."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from flow_backend.errors import AppDefinitionError
from flow_backend.functions.context import ActionCtx, MutationCtx, QueryCtx
from flow_backend.functions.crons import Crons
from flow_backend.functions.function import action, mutation, query
from flow_backend.functions.registry import App, make_app
from flow_backend.schema.document import Document, Instant, document
from flow_backend.schema.system import CronJob, ScheduledFunction
from flow_backend.testing.disk import SimDisk
from flow_backend.testing.sim import SimRuntime
from tests.actors.jobs_app import Jobs
from tests.actors.stage import stage
from tests.actors.test_supervision import fail_writer

START_MS = 1_800_000_000_000.0  # Friday, 15 January 2027, 08:00 UTC.
HOUR_NS = 3600 * 10**9


@document("ticks")
class Tick(Document):
    name: str
    at: Instant


@mutation
def tick(ctx: MutationCtx, name: str) -> None:
    ctx.db.insert(Tick(name=name, at=ctx.clock.now()))


@action
async def long(ctx: ActionCtx, lasts: float) -> None:
    await ctx.run(tick, name="long")
    await trio.sleep(lasts)


@query
def ticks(ctx: QueryCtx) -> list[tuple[str, float]]:
    return [(each.name, each.at) for each in ctx.db.scan(Tick)]


@query
def history(ctx: QueryCtx) -> list[tuple[str | None, str]]:
    return [(each.cron, each.state.kind) for each in ctx.db.scan(ScheduledFunction)]


@query
def kept(ctx: QueryCtx) -> dict[str, float]:
    return {each.name: each.next for each in ctx.db.scan(CronJob)}


def app_of(declare: Callable[[Crons], None]) -> App:
    crons = Crons()
    declare(crons)
    functions = {f"j:{each.name}": each for each in (tick, long, ticks, history, kept)}
    return make_app("crons", [Tick], functions, crons=crons)


@asynccontextmanager
async def running(
    declare: Callable[[Crons], None], disk: SimDisk | None = None, offset_ns: int = 0
) -> AsyncGenerator[Jobs]:
    # A life of the server begins at a whole time, whatever went before it.
    # Chance is another's: the ids that one life has drawn are not drawn again.
    runtime = SimRuntime(Random(offset_ns), work_seconds_max=0.0)
    runtime.offset_ns = offset_ns - int(trio.current_time() * 1e9)
    async with stage(app=app_of(declare), disk=disk, runtime=runtime) as on:
        yield Jobs(on)


def every_hour(crons: Crons) -> None:
    crons.hourly("hourly", run=tick, name="hour")


async def test_f5_a_cron_runs_once_at_each_of_its_times(autojump_clock: MockClock) -> None:
    def declare(crons: Crons) -> None:
        crons.interval("each", seconds=100, run=tick, name="each")
        crons.cron("quarter", "*/5 * * * *", run=tick, name="five")

    async with running(declare) as it:
        await trio.sleep(401)

        seen = await it.ask("ticks")
        assert [round((at - START_MS) / 1000, 1) for name, at in seen if name == "each"] == [
            0.0,
            100.0,
            200.0,
            300.0,
            400.0,
        ]
        assert [round((at - START_MS) / 1000, 1) for name, at in seen if name == "five"] == [300.0]
        assert all((at - START_MS) % 100_000 < 10 for _, at in seen), "none early, none late"
        assert sorted(await it.ask("history")) == [
            *[["each", "success"]] * 5,
            ["quarter", "success"],
        ]


@pytest.mark.parametrize(("missed", "runs"), [("once", 1), ("skip", 0)])
async def test_f5_what_was_missed_is_made_up_for_once_or_not_at_all(
    autojump_clock: MockClock, missed: Any, runs: int
) -> None:
    def declare(crons: Crons) -> None:
        crons.hourly("hourly", run=tick, missed=missed, name="hour")

    disk = SimDisk(random=Random(0))
    async with running(declare, disk) as it:
        await it.on.rest()
        assert await it.ask("kept") == {"hourly": START_MS + 3_600_000}
    async with running(declare, disk, offset_ns=30 * HOUR_NS + 60 * 30 * 10**9) as it:
        await trio.sleep(1)

        assert len(await it.ask("ticks")) == runs
        assert await it.ask("kept") == {"hourly": START_MS + 31 * 3_600_000}


async def test_f5_an_instant_has_one_run_though_the_clock_comes_back_to_it(
    autojump_clock: MockClock,
) -> None:
    disk = SimDisk(random=Random(0))
    half = HOUR_NS // 2
    async with running(every_hour, disk) as it:
        await it.on.rest()
        it.on.runtime.offset_ns += HOUR_NS
        await trio.sleep(2)
        assert len(await it.ask("ticks")) == 1
        it.on.runtime.offset_ns -= half
        await trio.sleep(1)
    async with running(every_hour, disk, offset_ns=half) as it:
        await trio.sleep(2)
        assert await it.ask("kept") == {"hourly": START_MS + 2 * 3_600_000}
        it.on.runtime.offset_ns += half
        await trio.sleep(2)

        assert len(await it.ask("ticks")) == 1


async def test_h_f5_crons_outlive_the_actors(autojump_clock: MockClock) -> None:
    def declare(crons: Crons) -> None:
        crons.interval("each", seconds=100, run=tick, name="each")

    async with running(declare) as it:
        await trio.sleep(50)
        it.on.backend.scheduler.inbox.put(None)  # type: ignore[arg-type]
        await trio.sleep(50.5)
        assert len(await it.ask("ticks")) == 2

        fail_writer(it.on)
        await trio.sleep(100)

        assert len(await it.ask("ticks")) == 3
        assert it.on.backend.supervisor.restarts == 2


async def test_a_run_is_left_out_while_the_one_before_it_goes_on(
    autojump_clock: MockClock,
) -> None:
    def declare(crons: Crons) -> None:
        crons.interval("slow", seconds=60, run=long, lasts=150.0)

    async with running(declare) as it:
        await trio.sleep(175)
        assert len(await it.ask("ticks")) == 1
        await trio.sleep(6)
        assert len(await it.ask("ticks")) == 2


async def test_a_cron_keeps_its_next_time_unless_it_is_declared_otherwise(
    autojump_clock: MockClock,
) -> None:
    def declare(seconds: int, name: str) -> Callable[[Crons], None]:
        def add(crons: Crons) -> None:
            crons.interval("each", seconds=seconds, run=tick, name=name)
            crons.hourly("gone" if name == "a" else "new", minute=30, run=tick, name="x")

        return add

    disk = SimDisk(random=Random(0))
    async with running(declare(1000, "a"), disk) as it:
        await trio.sleep(1)
        first = await it.ask("kept")
        assert first["each"] == pytest.approx(START_MS + 1_000_000, abs=10)
    async with running(declare(1000, "a"), disk, offset_ns=200 * 10**9) as it:
        await trio.sleep(1)
        assert await it.ask("kept") == first
        assert len(await it.ask("ticks")) == 1
    async with running(declare(1000, "b"), disk, offset_ns=300 * 10**9) as it:
        await trio.sleep(1)
        after = await it.ask("kept")
        assert after.keys() == {"each", "new"}
        assert after["each"] == pytest.approx(START_MS + 1_300_000, abs=10)
        assert [name for name, _ in await it.ask("ticks")] == ["a", "b"]


def _bad(declare: Callable[[Crons], None]) -> str:
    with pytest.raises(AppDefinitionError) as caught:
        declare(Crons())
    return str(caught.value)


def test_a_wrong_declaration_says_what_is_wrong() -> None:
    assert "from 1 to" in _bad(lambda it: it.interval("a", seconds=0, run=tick))
    assert "from 0 to 59" in _bad(lambda it: it.hourly("a", minute=60, run=tick))
    assert "such as '09:00'" in _bad(lambda it: it.daily("a", at="9", run=tick))
    assert "no time zone" in _bad(lambda it: it.daily("a", at="09:00", zone="X/Y", run=tick))
    assert "such as 'monday'" in _bad(lambda it: it.weekly("a", on="x", at="09:00", run=tick))  # type: ignore[arg-type]
    assert "from 1 to 31" in _bad(lambda it: it.monthly("a", day=0, at="09:00", run=tick))
    assert "cron expression" in _bad(lambda it: it.cron("a", "x", run=tick))
    assert "mutation or an action" in _bad(lambda it: it.hourly("a", run=ticks))  # type: ignore[arg-type]
    assert "printable" in _bad(lambda it: it.hourly("ü", run=tick))

    def twice(crons: Crons) -> None:
        every_hour(crons)
        every_hour(crons)

    assert "already (" in _bad(twice)
    assert "test_crons.py:" in _bad(twice)


async def test_arguments_that_do_not_fit_are_refused_at_the_start(
    autojump_clock: MockClock,
) -> None:
    with pytest.raises(AppDefinitionError, match=r"test_crons\.py:\d+: cron 'a': (?s:.*)name"):
        async with running(lambda crons: crons.hourly("a", run=tick)):
            pass
