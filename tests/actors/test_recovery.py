"""Actors that begin anew in the middle of something: what is left over, and who is told."""

from collections.abc import Sequence

import pytest
import trio
from trio.testing import MockClock

from flow_backend.actors import query
from flow_backend.actors.mailbox import Reply
from flow_backend.actors.messages.calls import Call, SessionKey
from flow_backend.actors.messages.to_action import ActionDone, RunAction
from flow_backend.actors.messages.to_mutation import MarkPast, NotDone
from flow_backend.actors.messages.to_query import Committed, OpenSession, Resubscribe, Round
from flow_backend.actors.settings import BackendSettings
from flow_backend.errors import NotCommitted
from flow_backend.storage.base import Executed, Job, Refused
from flow_backend.storage.failures import ReadFailed
from flow_backend.storage.snapshot import StoredSnapshot
from flow_backend.storage.writer import StoredWriter
from flow_backend.sync.client_identity import ClientIdentity
from flow_backend.testing.client import QueryOutcome
from flow_backend.testing.link import SimLink
from flow_backend.values.timestamp import CommitTs
from tests.actors.stage import Stage, stage
from tests.actors.test_supervision import fail_actions, fail_queries, fail_writer


async def test_h_no_round_comes_between_the_parts_of_what_a_session_tells_anew(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With many sessions the QueryActor takes what they tell in several helpings.

    A round that knew of a session's queries, but not yet of its identity, would end the session.
    """
    monkeypatch.setattr(query, "_MESSAGES_AT_ONCE", 1)
    async with stage() as on:
        client = on.client(token="ann")
        client.subscribe("s:entries", of="a")
        await client.wait_for(lambda: client.version.identity == 1)
        await on.rest()

        fail_queries(on)
        await on.mutate(client, "s:append", token="1", to="a")

        assert client.results == {0: QueryOutcome(["1"])}
        assert client.close_codes == []


async def test_h_connections_that_have_said_nothing_outlive_the_writer(
    autojump_clock: MockClock,
) -> None:
    """When the writer fails all sessions get a round, but not one that has not said Connect."""
    async with stage() as on:
        silent = SimLink(runtime=on.runtime)
        on.nursery.start_soon(on.backend.run_session, silent, ClientIdentity("npm", "1.48.0"))
        await on.rest()

        fail_writer(on)
        await on.rest()

        assert silent.close_code is None
        assert len(on.backend.sessions) == 1


async def test_c3_what_was_sent_after_a_mutation_that_was_not_committed_does_not_overtake_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk rolls a batch back: its mutations are sent again, before newer ones of the client.

    A newer one that waits in the mailbox already must not run first.
    """
    async with stage(BackendSettings(batch_max=1)) as on:
        client = on.client()
        client.subscribe("s:entries", of="a")
        await client.wait_results()
        refusals = [NotCommitted("The disk is full.")]
        execute = StoredWriter.execute

        def refuse_first(writer: StoredWriter, jobs: Sequence[Job]) -> Executed:
            if refusals:
                raise refusals.pop()
            return execute(writer, jobs)

        monkeypatch.setattr(StoredWriter, "execute", refuse_first)
        requests = [client.mutate("s:append", token=f"{n}", to="a") for n in (3, 2, 1)]
        for request in requests:
            await request.settled.wait()

        assert requests[0].ts < requests[1].ts < requests[2].ts
        assert client.close_codes == [1013]


async def test_c3_a_mutation_that_waits_for_room_does_not_overtake_one_that_was_given_up(
    autojump_clock: MockClock,
) -> None:
    """The writer fails while the session waits for room in its mailbox: what waits is given up."""
    async with stage(BackendSettings(batch_max=1, mutations_waiting=1)) as on:
        client = on.client()
        client.subscribe("s:entries", of="a")
        await client.wait_results()
        on.runtime.work_seconds_max = 1.0
        requests = [client.mutate("s:append", token=f"{n}", to="a") for n in (5, 4, 3, 2, 1)]
        on.runtime.steps.actor_of = {"mutations": "mutations"}.get
        kill_next_step(on, "mutations")
        for request in requests:
            await request.settled.wait()

        stamps = [request.ts for request in requests]
        assert stamps == sorted(stamps)


async def test_d5_a_marker_that_was_asked_for_is_not_forgotten_with_the_writer(
    autojump_clock: MockClock,
) -> None:
    """A client that has seen a later state is shown nothing until the marker is there.

    If the writer fails before, the client must come back and ask again, or it waits for ever.
    """
    async with stage() as on:
        asked = on.backend.mutation.inbox
        told: list[NotDone] = []

        class Asker:
            def put(self, message: NotDone) -> None:
                told.append(message)

        asked.put(None)  # type: ignore[arg-type]  # The writer fails before it comes to the marker.
        asked.put(MarkPast(CommitTs(on.runtime.now_ns() + 10**9), SessionKey(1), Asker()))
        await on.rest()

        assert on.backend.supervisor.restarts == 1
        assert len(told) == 1


async def test_h_actions_that_run_when_their_actor_fails_are_answered(
    autojump_clock: MockClock,
) -> None:
    """H: they end as interrupted; nobody waits for ever."""
    async with stage() as on:
        running = [Reply[ActionDone | NotDone]() for _ in range(2)]
        for reply in running:
            on.backend.action.inbox.put(RunAction(append_later(60.0), reply))
        await trio.sleep(1)

        fail_actions(on)
        with trio.fail_after(5):
            done = [await reply.wait() for reply in running]

        assert all(isinstance(each, ActionDone) for each in done)
        assert all(
            isinstance(each.result, Refused) for each in done if isinstance(each, ActionDone)
        )
        assert on.backend.supervisor.restarts == 1


async def test_h_an_action_that_waits_for_its_turn_when_its_actor_fails_is_answered(
    autojump_clock: MockClock,
) -> None:
    """H: what was taken is told; what was not taken yet runs after the restart."""
    async with stage(BackendSettings(actions_running=1)) as on:
        taken, later = Reply[ActionDone | NotDone](), Reply[ActionDone | NotDone]()

        fail_actions(on)
        on.backend.action.inbox.put(RunAction(append_later(0.0), taken))
        on.backend.action.inbox.put(RunAction(append_later(0.0), later))
        with trio.fail_after(5):
            first, second = await taken.wait(), await later.wait()

        assert isinstance(first, ActionDone)
        assert isinstance(second, ActionDone)
        assert on.backend.supervisor.restarts == 1


async def test_h_an_action_that_ends_after_it_was_given_up_is_not_answered_again(
    autojump_clock: MockClock,
) -> None:
    async with stage() as on:
        told: list[ActionDone | NotDone] = []

        class Asker:
            def put(self, message: ActionDone | NotDone) -> None:
                told.append(message)

        on.backend.action.inbox.put(RunAction(append_later(1.0), Asker()))
        await on.rest()

        on.backend.action.abandon("The server stops.")
        await trio.sleep(5)

        assert len(told) == 1


async def test_d3_a_session_that_opens_while_the_queries_are_busy_gets_its_transition(
    autojump_clock: MockClock,
) -> None:
    """A notice merges with an unread one, and so can come to stand before the session's opening."""
    async with stage() as on:
        told: list[Round | Resubscribe] = []

        class Listener:
            def put(self, message: Round | Resubscribe) -> None:
                told.append(message)

        inbox, key = on.backend.query_actor.inbox, SessionKey(99)
        ts = on.backend.mutation.published_ts
        inbox.put(Committed(ts, {}))
        inbox.put(OpenSession(key, Listener()))
        inbox.put(Committed(ts, {}, (key,)))
        await on.rest()

        assert len(told) == 1


async def test_h_readers_are_given_back_when_another_one_cannot_begin(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails one read must not cost readers for good."""
    async with stage() as on:
        client = on.client()
        on.durations.slow = frozenset({"s:sums", "s:entries"})
        client.subscribe("s:sums")
        client.subscribe("s:entries", of="a")
        await client.wait_results()
        await on.rest()
        second = on.backend.pool.workers[1].snapshot
        failures = [ReadFailed("the disk could not be read")]
        begin = StoredSnapshot.begin

        def fail_once(snapshot: StoredSnapshot) -> CommitTs:
            if failures and snapshot is second:
                raise failures.pop()
            return begin(snapshot)

        monkeypatch.setattr(StoredSnapshot, "begin", fail_once)
        client.subscribe("s:sums")
        client.subscribe("s:entries", of="b")
        writer = on.client()
        writer.mutate("s:transfer", token="1", key="a", amount=1.0)
        writer.mutate("s:append", token="2", to="a")
        await trio.sleep(5)
        await on.rest()

        assert not failures
        assert not any(worker.busy for worker in on.backend.pool.workers)


def append_later(seconds: float) -> Call:
    return Call("s:append_later", {"token": "x", "to": "z", "seconds": seconds})


def kill_next_step(on: Stage, actor: str) -> None:
    """Let an actor fail when it goes on after what it now waits for."""
    steps = on.runtime.steps
    steps.kills[actor] = steps.counts.get(actor, 0) + 1
