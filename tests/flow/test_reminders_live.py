"""Reminders in the whole backend, in virtual time: live for every client, once over any kill.

Source: the guarantees, F8; the product's page on reminders, sections 9 and 14.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final, cast

import pytest
import trio
from attrs import define
from trio.testing import MockClock

from flow_backend.actors.messages.calls import Call
from flow_backend.functions.context import NOBODY
from flow_backend.testing.client import SimClient
from flow_backend.testing.disk import SimDisk
from flow_backend.testing.sim import SimRuntime
from tests.actors.stage import Stage, stage
from tests.effort import cases
from tests.flow.support import APP, value_of

HOUR: Final = 3600.0


@define
class Live:
    """Flow in the whole backend, and who looks at it."""

    on: Stage

    async def do(self, path: str, /, **args: Any) -> Any:
        return value_of((await self.on.backend.mutate(Call(path, args, NOBODY))).result)

    async def ask(self, path: str, /, **args: Any) -> Any:
        return value_of((await self.on.backend.query(Call(path, args, NOBODY))).result)

    def now(self) -> float:
        return self.on.runtime.now_ns() / 1e6

    async def create(self, seconds: float, title: str = "Tea", **more: Any) -> str:
        """Make a reminder that rings in so many seconds."""
        at = self.now() + seconds * 1000
        return str(await self.do("reminders:create", title=title, at=at, **more))

    def watch(self) -> SimClient:
        """Let one more client look at what rings; it is query 0 of it."""
        client = self.on.client()
        client.subscribe("reminders:ringing")
        return client

    async def ringing(self) -> list[dict[str, Any]]:
        return list(await self.ask("reminders:ringing"))


def shown(client: SimClient) -> list[Mapping[str, Any]]:
    """Give the toasts on a client's screen."""
    return list(cast("list[Mapping[str, Any]]", client.results[0].value))


@asynccontextmanager
async def live(disk: SimDisk | None = None, later_seconds: float = 0.0) -> AsyncGenerator[Live]:
    # A second start draws other ids than the first one, which are on its disk.
    runtime = SimRuntime(Random(int(later_seconds)), work_seconds_max=0.0)
    runtime.offset_ns = int(later_seconds * 1e9)
    async with stage(app=APP, disk=disk, runtime=runtime) as on:
        yield Live(on)


async def test_a_ring_shows_on_every_screen_and_goes_from_all(autojump_clock: MockClock) -> None:
    async with live() as it:
        first, second = it.watch(), it.watch()
        for client in (first, second):
            await client.wait_results()
        tea = await it.create(90)
        await trio.sleep(89.9)
        assert shown(first) == shown(second) == []

        await trio.sleep(0.2)

        [toast] = shown(first)
        assert shown(second) == [toast]
        assert (toast["title"], toast["reminder"], toast["late_seconds"]) == ("Tea", tea, 0)
        seen = {"reminder": tea, "occurrence": toast["occurrence"]}
        # Both press the button at once: it is one acknowledgement, and no error for either.
        asked = [each.mutate("reminders:acknowledge", **seen) for each in (first, second)]
        for request in asked:
            await request.settled.wait()
            assert request.succeeded
        await it.on.rest()
        assert shown(first) == shown(second) == []


async def test_a_snooze_goes_from_every_screen_and_comes_back(autojump_clock: MockClock) -> None:
    async with live() as it:
        first, second = it.watch(), it.watch()
        for client in (first, second):
            await client.wait_results()
        tea = await it.create(10)
        await trio.sleep(11)
        [toast] = shown(second)

        await first.mutate("reminders:snooze", reminder=tea, preset="10_minutes").settled.wait()
        await it.on.rest()
        assert shown(first) == shown(second) == []
        await trio.sleep(601)

        assert [each["delivery"] for each in shown(second)] == [toast["delivery"]]
        assert shown(first) == shown(second)


async def test_a_ring_costs_one_run_for_all_who_watch(autojump_clock: MockClock) -> None:
    async with live() as it:
        for _ in range(5):
            await it.watch().wait_results()
        await it.create(10)
        await it.on.rest()
        before = it.on.runs

        await trio.sleep(11)

        assert it.on.runs == before + 1


async def test_after_an_hour_of_downtime_they_come_late_and_once(
    autojump_clock: MockClock,
) -> None:
    disk = SimDisk(random=Random(1))
    async with live(disk) as it:
        await it.create(600, "Once")
        await it.create(60, "Often", rule="FREQ=MINUTELY;INTERVAL=10")
        left = disk.copy(Random(1))

    async with live(left, later_seconds=HOUR) as it:
        client = it.watch()
        await client.wait_results()
        await trio.sleep(1)

        found = {each["title"]: each for each in shown(client)}
        # Of the often one the last was nine minutes ago, and five came before it.
        assert found["Once"]["late_seconds"] // 60 == 50
        assert found["Often"]["late_seconds"] // 60 == 9
        assert (found["Once"]["missed"], found["Often"]["missed"]) == (1, 6)
        assert len(found) == 2
        rows = await it.ask("reminders:list")
        assert all(row["next_at"] is None or row["next_at"] > it.now() for row in rows)


async def _until_killed(disk: SimDisk, at: int) -> tuple[SimDisk | None, int, list[str]]:
    """Let three reminders ring, and copy the disk as it is at step ``at``.

    Returns: the copy, how many steps there are, and the ids of the reminders.
    """
    copies: list[SimDisk] = []
    async with live(disk) as it:
        await it.watch().wait_results()
        made = [
            await it.create(10.0, "Once"),
            await it.create(10.0, "Hourly", rule="FREQ=HOURLY"),
            await it.create(10.5, "After"),
        ]
        await trio.sleep(9.9)
        steps = it.on.runtime.steps
        steps.total = 0
        steps.actor_of = lambda task: task
        steps.machine_at, steps.machine = at, lambda: copies.append(disk.copy(Random(at)))
        await trio.sleep(1.1)
        return (copies[0] if copies else None), steps.total, made


@pytest.mark.slow
async def test_f8_a_kill_at_any_step_of_a_ring_loses_none_and_doubles_none(
    autojump_clock: MockClock,
) -> None:
    """As the disk is left at each step, the next server shows each ring, one delivery for each."""
    _, total, _ = await _until_killed(SimDisk(random=Random(1)), 10**9)
    assert total > 30, total
    steps = sorted(Random(7).sample(range(1, total), min(total - 1, cases(120, 1_000))))

    late = 0
    for step in steps:
        left, _, made = await _until_killed(SimDisk(random=Random(step)), step)
        assert left is not None, step
        async with live(left, later_seconds=120.0) as it:
            client = it.watch()
            await client.wait_results()
            await trio.sleep(2)

            toasts = shown(client)
            assert sorted(each["reminder"] for each in toasts) == sorted(made), step
            assert len({each["delivery"] for each in toasts}) == 3
            hourly = next(each for each in await it.ask("reminders:list") if each["rule"])
            # What rang before the kill has not rung again after it.
            late += sum(each["late_seconds"] > 0 for each in toasts)
            assert hourly["next_at"] - it.now() > 3000 * 1000

    # Some were killed before the ring was on disk, and others after.
    assert 0 < late < 3 * len(steps)
