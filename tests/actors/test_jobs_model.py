"""Random histories of jobs, cancels, failures, crashes and set clocks, against a plain dict."""

from random import Random

import pytest
import trio
from attrs import define
from trio.testing import MockClock

from flow_backend.testing.disk import SimDisk
from flow_backend.testing.sim import SimRuntime
from tests.actors.jobs_app import JOBS_APP, Jobs
from tests.actors.stage import stage
from tests.effort import SEED, cases

LIVES = 4
STEPS = 12
_JUMPS = (-3600.0, -5.0, 5.0, 3600.0, 3 * 86_400.0)


@define
class Planned:
    """What a job should come to; ``due`` is ms since the epoch."""

    token: str
    due: float
    fails: bool
    canceled: bool = False


async def act(it: Jobs, chance: Random, model: dict[str, Planned]) -> None:
    """Take one step, and note what should follow from it."""
    what = chance.random()
    if what < 0.5:
        token, fails = f"t{len(model)}", chance.random() < 0.2
        seconds = chance.choice([0.0, 0.0, 1.0, 10.0, 100.0, 4000.0]) * chance.random()
        ident = await it.do("schedule", token=token, seconds=seconds, fails=int(fails))
        job = await it.ask("job", ident=ident)
        model[ident] = Planned(token, job["scheduledTime"], fails)
    elif what < 0.65 and model:
        ident = chance.choice(list(model))
        await it.do("cancel", ident=ident)
        model[ident].canceled |= (await it.ask("job", ident=ident))["state"]["kind"] == "canceled"
    elif what < 0.75:
        it.on.runtime.offset_ns += int(chance.choice(_JUMPS) * 1e9)
    else:
        await trio.sleep(chance.choice([0.0005, 0.3, 5.0, 60.0]) * chance.random())


@pytest.mark.slow
async def test_f1_f3_f4_f6_f7_random_histories_of_jobs(autojump_clock: MockClock) -> None:
    """Each that was not canceled runs once, not before its instant; none that was ever does."""
    for seed in range(SEED, SEED + cases(150)):
        chance, disk = Random(seed), SimDisk(random=Random(seed))
        model: dict[str, Planned] = {}
        offset_ns = 0
        for life in range(LIVES):
            runtime = SimRuntime(Random(seed * LIVES + life), work_seconds_max=0.004)
            runtime.offset_ns = offset_ns
            async with stage(app=JOBS_APP, disk=disk, runtime=runtime) as on:
                it = Jobs(on)
                for _ in range(STEPS):
                    await act(it, chance, model)
                # What is on disk now is what the next life finds: this one is as good as killed.
                left = disk.copy(Random(seed))
                offset_ns = runtime.offset_ns
            disk = left
        runtime = SimRuntime(Random(seed), work_seconds_max=0.004)
        runtime.offset_ns = offset_ns + 10 * 86_400 * 10**9 // 2
        async with stage(app=JOBS_APP, disk=disk, runtime=runtime) as on:
            await trio.sleep(30)
            await check(Jobs(on), model, seed)


async def check(it: Jobs, model: dict[str, Planned], seed: int) -> None:
    effects = await it.ask("all_effects")
    wanted = sorted(each.token for each in model.values() if not each.fails and not each.canceled)
    assert sorted(token for token, _ in effects) == wanted, f"seed {seed}"
    due = {each.token: each.due for each in model.values()}
    assert all(at >= due[token] for token, at in effects), f"seed {seed}"
    for ident, planned in model.items():
        job = await it.ask("job", ident=ident)
        kind = "canceled" if planned.canceled else "failed" if planned.fails else "success"
        assert job["state"]["kind"] == kind, f"seed {seed}: {planned}"
