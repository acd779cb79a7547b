"""Queries that ask the clock: run again when their instant comes, once, whoever watches."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Literal

import trio
from attrs import define
from trio.testing import MockClock

from flow_backend.actors.instants import Instants
from flow_backend.actors.live import LiveQuery
from flow_backend.actors.messages.calls import LiveQueryId
from flow_backend.functions.context import MutationCtx, QueryCtx
from flow_backend.functions.function import mutation, query
from flow_backend.functions.registry import make_app
from flow_backend.schema.document import Document, Instant, document
from flow_backend.schema.index import Index
from flow_backend.testing.client import QueryOutcome, SimClient
from tests.actors.stage import Stage, stage
from tests.actors.test_supervision import fail_queries
from tests.effort import cases

HOUR_NS = 3600 * 10**9


@document("dues")
class Due(Document):
    name: str
    at: Instant
    by_name = Index("name")


@query
def overdue(ctx: QueryCtx) -> list[str]:
    return [each.name for each in ctx.db.scan(Due) if ctx.clock.passed(each.at)]


@query
def has_passed(ctx: QueryCtx, at: float) -> bool:
    return ctx.clock.passed(Instant(at))


@query
def asks_another(ctx: QueryCtx, at: float) -> bool:
    return ctx.run(has_passed, at=at)


@query
def slow(ctx: QueryCtx, at: float) -> bool:
    return ctx.clock.passed(Instant(at))


@query
def begun(ctx: QueryCtx, granularity: Literal["minute", "hour", "day"], zone: str) -> float:
    return ctx.clock.now(granularity, zone)


@query
def looks_away(ctx: QueryCtx) -> bool:
    return ctx.clock.now() > 0


@mutation
def put(ctx: MutationCtx, name: str, at: float) -> None:
    due = ctx.db.scan(Due.by_name[name]).first()
    if due is not None:
        ctx.db.delete(due.id)
    ctx.db.insert(Due(name=name, at=Instant(at)))


FUNCTIONS = [overdue, has_passed, asks_another, slow, begun, looks_away, put]
CLOCK_APP = make_app("clock", [Due], {f"c:{each.name}": each for each in FUNCTIONS})


@define(eq=False)
class Clocked:
    on: Stage

    @property
    def now(self) -> float:
        return self.on.runtime.now_ns() / 1e6

    def runs(self, path: str) -> int:
        return sum(each.runs for each in self._lives(path))

    def _lives(self, path: str) -> list[LiveQuery]:
        every = self.on.backend.query_actor.live.by_id.values()
        return [each for each in every if each.call.path == path]

    def shows(self, client: SimClient, number: int) -> Any:
        outcome = client.results[number]
        assert isinstance(outcome, QueryOutcome), outcome
        return outcome.value

    async def until(self, instant: float) -> None:
        """Sleep to just after an instant, and let all settle."""
        await trio.sleep(max(0.0, (instant - self.now) / 1000) + 0.002)
        await self.on.rest()


@asynccontextmanager
async def clocked() -> AsyncGenerator[Clocked]:
    async with stage(app=CLOCK_APP) as on:
        yield Clocked(on)


async def test_f9_an_instant_runs_the_query_once_for_all_who_watch_it(
    autojump_clock: MockClock,
) -> None:
    """Nothing is written. Before the instant nothing runs, at it one run serves everybody."""
    async with clocked() as it:
        at = it.now + 60_000
        clients = [it.on.client() for _ in range(5)]
        for client in clients:
            client.subscribe("c:has_passed", at=at)
            await client.wait_results()
        assert it.runs("c:has_passed") == 1

        await it.until(at - 10)
        assert it.runs("c:has_passed") == 1
        assert [it.shows(client, 0) for client in clients] == [False] * 5

        await it.until(at)
        assert it.runs("c:has_passed") == 2
        assert [it.shows(client, 0) for client in clients] == [True] * 5

        await trio.sleep(100)
        assert it.runs("c:has_passed") == 2


async def test_f9_two_queries_that_watch_one_instant_change_in_one_transition(
    autojump_clock: MockClock,
) -> None:
    """D1: what a client holds is one moment, in time as in data; nested queries count, too."""
    async with clocked() as it:
        at = it.now + 5_000
        client = it.on.client()
        client.subscribe("c:has_passed", at=at)
        client.subscribe("c:asks_another", at=at)
        await client.wait_results()
        before, rounds = client.transitions, it.on.backend.query_actor.rounds

        await it.until(at)

        assert (it.shows(client, 0), it.shows(client, 1)) == (True, True)
        assert client.transitions == before + 1
        assert it.on.backend.query_actor.rounds <= rounds + 2  # The second finds nothing to do.


async def test_f9_a_run_that_came_after_the_instant_anyway_is_not_made_again(
    autojump_clock: MockClock,
) -> None:
    async with clocked() as it:
        client = it.on.client()
        client.subscribe("c:overdue")
        at = it.now + 1_000
        await it.on.mutate(client, "c:put", name="a", at=at)
        runs = it.runs("c:overdue")

        # The wall clock leaps over the instant, and a commit comes before anybody has noticed.
        it.on.runtime.offset_ns += HOUR_NS
        await it.on.mutate(client, "c:put", name="b", at=at + 2 * 3_600_000)
        assert it.runs("c:overdue") == runs + 1
        assert it.shows(client, 0) == ["a"]

        await trio.sleep(60)
        assert it.runs("c:overdue") == runs + 1


async def test_f9_a_clock_that_is_set_is_noticed_within_a_second(
    autojump_clock: MockClock,
) -> None:
    """Forward: what became due runs once. Back: the query says what is so by the clock."""
    async with clocked() as it:
        at = it.now + 1_800_000
        client, other = it.on.client(), it.on.client()
        client.subscribe("c:has_passed", at=at)
        other.subscribe("c:looks_away")
        await client.wait_results()
        await other.wait_results()

        it.on.runtime.offset_ns += HOUR_NS
        await trio.sleep(1.01)
        assert it.shows(client, 0) is True

        it.on.runtime.offset_ns -= HOUR_NS
        await trio.sleep(1.01)
        assert it.shows(client, 0) is False
        assert it.runs("c:has_passed") == 3

        await it.until(at)
        assert it.shows(client, 0) is True
        assert it.runs("c:has_passed") == 4
        assert it.runs("c:looks_away") == 1


async def test_f9_a_clock_that_is_nudged_back_takes_nothing_back(
    autojump_clock: MockClock,
) -> None:
    async with clocked() as it:
        at = it.now + 1_000
        client = it.on.client()
        client.subscribe("c:has_passed", at=at)
        await client.wait_results()
        await it.until(at)
        assert it.shows(client, 0) is True

        it.on.runtime.offset_ns -= 50 * 10**6
        late = it.on.client()
        late.subscribe("c:asks_another", at=at)
        await late.wait_results()

        assert it.shows(late, 0) is True
        assert it.shows(client, 0) is True


async def test_f9_a_new_watcher_never_gets_what_an_instant_has_overtaken(
    autojump_clock: MockClock,
) -> None:
    """The first result comes from the same round as all others, at its time."""
    async with clocked() as it:
        at = it.now + 60_000
        first = it.on.client()
        first.subscribe("c:has_passed", at=at)
        await first.wait_results()

        # Nobody has noticed yet when the second one asks.
        it.on.runtime.offset_ns += HOUR_NS
        second = it.on.client()
        second.subscribe("c:has_passed", at=at)
        await second.wait_results()

        assert it.shows(second, 0) is True
        assert it.runs("c:has_passed") == 2


async def test_f9_a_run_in_a_thread_waits_for_its_instant_like_any_other(
    autojump_clock: MockClock,
) -> None:
    async with clocked() as it:
        it.on.durations.slow = frozenset({"c:slow"})
        at = it.now + 30_000
        client = it.on.client()
        client.subscribe("c:slow", at=at)
        client.subscribe("c:has_passed", at=at)
        await client.wait_results()
        before = client.transitions

        await it.until(at)

        assert (it.shows(client, 0), it.shows(client, 1)) == (True, True)
        assert client.transitions == before + 1
        assert it.runs("c:slow") == 2


async def test_h_f9_instants_outlive_the_actors(autojump_clock: MockClock) -> None:
    """Queries are told anew by their sessions, and the scheduler by the queries."""
    async with clocked() as it:
        at = it.now + 60_000
        client = it.on.client()
        client.subscribe("c:has_passed", at=at)
        await client.wait_results()

        fail_queries(it.on)
        it.on.backend.scheduler.inbox.put(None)  # type: ignore[arg-type]
        await it.on.rest()
        assert it.on.backend.supervisor.restarts == 2
        await it.until(at)
        assert it.shows(client, 0) is True

        again = it.now + 60_000
        client.subscribe("c:has_passed", at=again)
        await client.wait_results()
        it.on.backend.scheduler.inbox.put(None)  # type: ignore[arg-type]
        await it.until(again)
        assert it.shows(client, 1) is True


async def test_f9_a_day_begins_at_midnight_of_its_zone(autojump_clock: MockClock) -> None:
    """The start of the simulation is Friday, 15 January 2027, 08:00 UTC."""
    async with clocked() as it:
        client = it.on.client()
        client.subscribe("c:begun", granularity="day", zone="Asia/Kolkata")
        await client.wait_results()
        midnight = 1_800_000_000_000 - (8 * 60 + 5 * 60 + 30) * 60_000
        assert it.shows(client, 0) == midnight

        it.on.runtime.offset_ns += 10 * HOUR_NS + 1_780 * 10**9
        await it.until(midnight + 86_400_000 - 1_000)
        assert it.runs("c:begun") == 1
        await it.until(midnight + 86_400_000)
        assert it.shows(client, 0) == midnight + 86_400_000
        assert it.runs("c:begun") == 2


async def test_nobody_who_waits_means_that_nothing_wakes(autojump_clock: MockClock) -> None:
    async with clocked() as it:
        client = it.on.client()
        client.subscribe("c:looks_away")
        number = client.subscribe("c:has_passed", at=it.now + 1e12)
        await client.wait_results()
        await it.on.rest()
        timer = it.on.backend.scheduler.timer
        assert timer.until_ms is not None
        assert timer.sleep_seconds == 1.0

        client.unsubscribe(number)
        await it.on.rest()

        assert timer.until_ms is None
        assert len(it.on.backend.query_actor.instants) == 0


async def test_f9_clients_always_show_what_a_naive_look_at_the_clock_gives(
    autojump_clock: MockClock,
) -> None:
    """Random dues, commits, leaps of the clock and failures: after each, all is as it should be."""
    random = Random(7)
    async with clocked() as it:
        clients = [it.on.client() for _ in range(3)]
        for client in clients:
            client.subscribe("c:overdue")
        dues: dict[str, float] = {}
        for _ in range(cases(1000, 5000)):
            match random.randrange(8):
                case 0 | 1 | 2:
                    name = f"n{random.randrange(12)}"
                    at = it.now + random.choice([-5e3, 0.0, 1e3, 3e3, 7e3, 3.6e6])
                    dues[name] = at
                    await it.on.mutate(random.choice(clients), "c:put", name=name, at=at)
                case 3 if random.random() < 0.3:
                    # Not back by less than what is only a nudge.
                    it.on.runtime.offset_ns += random.choice([-1, 1]) * random.randrange(
                        2 * 10**8, 10**10
                    )
                    await trio.sleep(1.1)
                case 4 if random.random() < 0.1:
                    fail_queries(it.on)
                    await trio.sleep(10)
                case _:
                    await trio.sleep(random.random() * 2)
            await it.on.rest()
            await trio.sleep(0.002)  # An instant may be just now: let it come.
            await it.on.rest()
            for client in clients:
                want = {name for name, at in dues.items() if at <= it.now}
                assert set(it.shows(client, 0)) == want


def test_instants_are_what_a_plain_dict_says() -> None:
    random = Random(3)
    for _ in range(cases(400, 4000)):
        instants, plain = Instants(), dict[int, float]()
        now = 0.0
        for _ in range(random.randrange(300)):
            query = LiveQueryId(random.randrange(20))
            if random.random() < 0.8:
                at = random.choice([None, float("inf"), now + random.randrange(1, 30)])
                instants.put(query, at)
                plain.pop(query, None)
                if at is not None:
                    plain[query] = at
            else:
                now += random.randrange(10)
                due = {each for each, at in plain.items() if at <= now}
                assert set(instants.take_due(now)) == due
                plain.update(dict.fromkeys(due, float("inf")))
            assert instants.earliest == min(plain.values(), default=None)
            assert set(instants) == set(plain)
            assert len(instants._heap) <= 2 * len(plain) + 66
