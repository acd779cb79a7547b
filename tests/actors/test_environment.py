"""Environment variables and versions of the app: each is held against the other."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from flow_backend.actors.deploy_requests import Deployed, DeployRefused
from flow_backend.actors.messages.calls import Call
from flow_backend.errors import InvalidEnvironment
from flow_backend.storage.base import Done
from tests.actors.test_versions import COUNTERS, call, deploy, serving

ENV = """
from flow_backend import Environment

class Env(Environment):
    KEY: str
    RETRIES: int = 3
"""
READING = (
    COUNTERS
    + """
@mutation
def key(ctx: MutationCtx) -> str:
    from app.env import Env
    return f"{Env.of(ctx).KEY} {Env.of(ctx).RETRIES + 1}"
"""
)


async def test_a_version_whose_variables_are_not_set_is_refused(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """They can be set before the version that needs them comes."""
    async with serving(tmp_path) as on:
        await on.backend.set_env({"RETRIES": "many"})

        refused = await deploy(on, 2, env=ENV)

        assert isinstance(refused, DeployRefused)
        assert [each.kind for each in refused.problems] == ["environment"] * 2
        assert "flow env set KEY" in refused.problems[0].text
        assert "many" not in refused.problems[1].text
        assert await call(on, "counters:add", name="a") == [1.0] * 3

        await on.backend.set_env({"KEY": "k", "RETRIES": "4"})
        done = await deploy(on, 3, env=ENV, counters=READING)

        assert isinstance(done, Deployed)
        assert await call(on, "counters:key") == "k 5"
        with pytest.raises(InvalidEnvironment, match="KEY is not set"):
            await on.backend.set_env({"KEY": None})
        await on.backend.set_env({"KEY": "l"})
        assert await call(on, "counters:key") == "l 5"


async def test_a_change_leaves_the_version_in_memory_that_serves(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """An action that runs on the environment of before ends, and what it held is not unloaded."""
    async with serving(tmp_path) as on:
        await deploy(on, 2)
        ended: list[object] = []

        async def act() -> None:
            result = await on.backend.act(Call("counters:slow", {"seconds": 5.0}))
            ended.append(result.result if isinstance(result, Done) else result)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(act)
            await trio.sleep(1)
            await on.backend.set_env({"KEY": "k"})

        assert ended == [b"[2.0,2.0,2.0,2.0]"]
        assert await call(on, "counters:add", name="a") == [2.0] * 3
        # Now it is over, with both of its environments.
        number = on.backend.versions.newest.number
        await deploy(on, 3)
        assert await call(on, "counters:add", name="a") == [3.0] * 3
        assert not on.backend.versions.has(number)


async def test_changes_and_deploys_at_once_take_turns(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with serving(tmp_path) as on:
        async with trio.open_nursery() as nursery:
            for number in range(2, 6):
                nursery.start_soon(deploy, on, number)
                nursery.start_soon(on.backend.set_env, {f"V{number}": "x"})

        assert sorted(on.backend.env) == ["V2", "V3", "V4", "V5"]
        assert on.backend.versions.newest.number == 4
