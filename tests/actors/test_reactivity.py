"""Exact reactivity, counted: each live query runs once for all, and only when it must."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from flow_backend.actors.outstanding import SessionLimits
from flow_backend.actors.reading import ReadWorker
from flow_backend.actors.settings import BackendSettings
from flow_backend.runtime import Finished
from flow_backend.testing.client import QueryOutcome, SimClient
from flow_backend.values.timestamp import CommitTs
from tests.actors.stage import Stage, stage


async def watching(on: Stage, client: SimClient, path: str, **args: Any) -> int:
    query_id = client.subscribe(path, **args)
    await client.wait_results()
    await on.rest()
    return query_id


@pytest.mark.slow
async def test_a_commit_runs_and_encodes_a_query_once_for_a_thousand_sessions(
    autojump_clock: MockClock,
) -> None:
    """DESIGN: evaluated once, encoded once. A commit beside it costs nothing at all."""
    async with stage() as on:
        clients = [on.client() for _ in range(1000)]
        writer = on.client()
        for client in clients:
            client.subscribe("s:entries", of="a")
        for client in clients:
            await client.wait_results()
        await on.rest()
        live, runs, encoded = on.live("s:entries"), on.runs, on.encoded
        assert live.runs == 1

        await on.mutate(writer, "s:append", token="1", to="a")

        assert (live.runs, on.runs) == (2, runs + 1)
        # One frame for all who watch, and one for the writer, who has no query.
        assert on.encoded == encoded + 2
        assert all(client.results[0] == QueryOutcome(["1"]) for client in clients)

        await on.mutate(writer, "s:append", token="2", to="b")

        assert (live.runs, on.runs) == (2, runs + 1)
        assert on.encoded == encoded + 3


async def test_a_write_just_outside_of_a_range_runs_nothing(autojump_clock: MockClock) -> None:
    """E1: what was consumed is the read set, up to the gap behind it, and no further."""
    async with stage() as on:
        client = on.client()
        for token in ("b", "d", "f"):
            await on.mutate(client, "s:append", token=token, to="a")
        await watching(on, client, "s:first_entries", of="a", most=2.0)
        live = on.live("s:first_entries")

        for token, to in (("e", "a"), ("z", "a"), ("a", "b"), ("a", "B")):
            await on.mutate(client, "s:append", token=token, to=to)
        assert live.runs == 1

        await on.mutate(client, "s:append", token="c", to="a")
        assert live.runs == 2
        assert client.results[0] == QueryOutcome(["b", "c"])


async def test_a_query_over_nothing_wakes_for_the_first_row(autojump_clock: MockClock) -> None:
    """A range that was read and was empty counts."""
    async with stage() as on:
        client = on.client()
        await watching(on, client, "s:counter", name="a")
        assert client.results[0] == QueryOutcome(None)

        await on.mutate(client, "s:count", token="1", name="b")
        assert on.live("s:counter").runs == 1
        await on.mutate(client, "s:count", token="2", name="a")

        assert client.results[0] == QueryOutcome(1)
        assert on.live("s:counter").runs == 2


async def test_a_result_that_came_out_the_same_is_not_sent_again(autojump_clock: MockClock) -> None:
    async with stage() as on:
        client, writer = on.client(), on.client()
        await watching(on, client, "s:sums")
        transitions = client.transitions

        await on.mutate(writer, "s:transfer", token="1", key="a", amount=3.0)

        assert on.live("s:sums").runs == 2
        assert client.transitions == transitions


async def test_identities_share_until_a_run_looks(autojump_clock: MockClock) -> None:
    """A query is split by identity in the run that first looks, and no one sees another's."""
    async with stage() as on:
        ann, bob, nobody = on.client("ann"), on.client("bob"), on.client()
        for client in (ann, bob, nobody):
            await watching(on, client, "s:notes_if_counted", name="a")
        assert on.live("s:notes_if_counted").runs == 1
        await on.mutate(ann, "s:note", token="of ann")
        await on.mutate(bob, "s:note", token="of bob")
        assert on.runs == 1

        await on.mutate(nobody, "s:count", token="1", name="a")

        assert ann.results[0] == QueryOutcome(["of ann"])
        assert bob.results[0] == QueryOutcome(["of bob"])
        assert nobody.results[0] == QueryOutcome([])


async def test_those_who_stay_are_split_from_one_who_left(autojump_clock: MockClock) -> None:
    """The query ran for somebody who is gone; the loop must neither spin nor keep it."""
    async with stage() as on:
        ann, bob = on.client("ann"), on.client("bob")
        await watching(on, ann, "s:notes_if_counted", name="a")
        await watching(on, bob, "s:notes_if_counted", name="a")
        await on.mutate(bob, "s:note", token="of bob")
        ann.unsubscribe(0)
        await on.rest()

        await on.mutate(bob, "s:count", token="1", name="a")
        assert bob.results[0] == QueryOutcome(["of bob"])
        await on.mutate(bob, "s:note", token="more")

        assert bob.results[0] == QueryOutcome(["of bob", "more"])
        assert len(on.backend.query_actor.live) == 1


async def test_a_change_of_identity_gives_the_results_of_the_new_one(
    autojump_clock: MockClock,
) -> None:
    """D6: under the new version there is nothing of the old one."""
    async with stage() as on:
        client, bob = on.client("ann"), on.client("bob")
        await watching(on, client, "s:my_notes")
        await on.mutate(bob, "s:note", token="of bob")
        assert client.results[0] == QueryOutcome([])

        client.become("bob")
        await client.wait_for(lambda: client.version.identity == 2)

        assert client.shown_token == "bob"
        assert client.results[0] == QueryOutcome(["of bob"])


async def test_a_transition_follows_every_answer_also_of_what_failed(
    autojump_clock: MockClock,
) -> None:
    """D3: clients wait for it, some after a failure and after an action, too."""
    async with stage() as on:
        client = on.client()
        await watching(on, client, "s:sums")
        for path in ("s:fail", "s:append"):
            before = client.transitions
            extra = {"to": "z"} if path == "s:append" else {}
            await on.mutate(client, path, token=path, **extra)
            assert client.transitions == before + 1
        before = client.transitions

        action = client.act("s:append_later", token="3", to="z", seconds=0.0)
        await action.settled.wait()
        await on.rest()

        assert action.succeeded
        assert client.transitions == before + 1


async def test_past_its_queries_a_session_is_refused_by_name(autojump_clock: MockClock) -> None:
    """G: the limit is named, each refused query is told so, and all others go on."""
    async with stage() as on:
        on.backend.query_actor.session_queries_max = 3
        client = on.client("ann")
        for number in range(5):
            client.subscribe("s:entries", of=str(number))
        await client.wait_results()

        for query_id in (3, 4):
            assert client.results[query_id].failed
            assert "3 queries" in str(client.results[query_id].value)
        client.become("bob")
        await client.wait_for(lambda: client.version.identity == 2)
        await on.mutate(client, "s:append", token="1", to="0")

        assert client.results[0] == QueryOutcome(["1"])
        assert on.backend.supervisor.restarts == 0


async def test_a_slow_reader_gets_newer_states_not_more_of_them(autojump_clock: MockClock) -> None:
    """Rounds that wait for a client merge: it skips to the newest."""
    async with stage() as on:
        slow, writer = on.client(window_bytes=100), on.client()
        await watching(on, slow, "s:counter", name="a")
        slow.slow_seconds = 50.0
        before = slow.transitions

        for number in range(20):
            await on.mutate(writer, "s:count", token=str(number), name="a")
        await slow.wait_for(lambda: slow.results[0] == QueryOutcome(20))

        assert slow.transitions - before < 6
        assert on.live("s:counter").runs == 21


class Held:
    """Holds back what the pool's workers do, until the test lets it go on."""

    def __init__(self, on: Stage, *paths: str) -> None:
        on.durations.slow = frozenset(paths)
        self.waiting: list[Any] = []
        for reader in on.backend.pool.workers:
            reader.worker = self  # type: ignore[assignment]

    def submit(self, work: Any, done: Any) -> None:
        self.waiting.append((work, done))

    def let_go(self) -> None:
        waiting, self.waiting = self.waiting, []
        for work, done in waiting:
            done(Finished(work()))


async def test_a_slow_query_holds_back_those_who_watch_it_and_no_one_else(
    autojump_clock: MockClock,
) -> None:
    """And who watches it gets every n-th state: one timestamp for all, never a torn one."""
    async with stage() as on:
        both, other = on.client(), on.client()
        await watching(on, both, "s:sums")
        await watching(on, both, "s:pair", key="a")
        await watching(on, other, "s:pair", key="a")
        workers = [reader.worker for reader in on.backend.pool.workers]
        held = Held(on, "s:sums")
        seen: list[CommitTs] = []
        both.on_state = lambda client: seen.append(client.version.ts)

        for number in range(1, 6):
            await on.mutate(other, "s:transfer", token=str(number), key="a", amount=1.0)
            assert other.results[0] == QueryOutcome([number, -number])
        assert seen == []
        assert both.results[1] == QueryOutcome([0, 0])

        held.let_go()
        await on.rest()
        assert len(seen) == 1
        assert both.results[1] == QueryOutcome([1, -1])
        held.let_go()
        await on.rest()

        assert both.results[1] == QueryOutcome([5, -5])
        assert len(seen) == 2
        for reader, worker in zip(on.backend.pool.workers, workers, strict=True):
            reader.worker = worker


async def test_a_reader_that_becomes_free_is_given_to_a_query_that_waits(
    autojump_clock: MockClock,
) -> None:
    """Queries over HTTP take the same readers, and their end is told to nobody else."""
    async with stage() as on:
        taken: list[ReadWorker] = []
        while (worker := on.backend.pool.take(0.0)) is not None:
            taken.append(worker)
        on.durations.slow = frozenset({"s:sums"})
        client = on.client()
        client.subscribe("s:sums")
        await on.rest()
        assert client.results == {}

        for worker in taken:
            on.backend.pool.give_back(worker)

        with trio.fail_after(1):
            await client.wait_results()


async def test_a_client_from_the_future_is_shown_nothing_of_the_past(
    autojump_clock: MockClock,
) -> None:
    """D5: the database was restored from a backup; the client's time must not go back."""
    async with stage() as on:
        client = on.client()
        ahead = CommitTs(on.runtime.now_ns() + 10**9)
        client.observed_ts = client.seen_ts = ahead
        client.subscribe("s:sums")

        await client.wait_results()

        assert client.version.ts > ahead
        await on.mutate(client, "s:count", token="1", name="a")
        assert client.seen_ts > ahead + 1


async def test_a_reader_that_was_full_is_read_again_when_it_has_drained(
    autojump_clock: MockClock,
) -> None:
    """G: nothing else than the socket itself may be left to wake the session."""
    settings = BackendSettings(session=SessionLimits(unsent_bytes=10, mutations=1))
    async with stage(settings) as on:
        client = on.client(window_bytes=10)
        client.slow_seconds = 1.0
        await client.wait_for(lambda: client.link is not None)
        for number in range(5):
            client.mutate("s:append", token=str(number), to="a")

        with trio.fail_after(60):
            await client.wait_for(lambda: not client.requests)
