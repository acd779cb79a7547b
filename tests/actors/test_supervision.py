"""Actors that fail: what goes down with them, what comes back, and when it is enough."""

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from flow_backend.actors.messages.calls import Call
from flow_backend.actors.messages.to_action import ActionDone, RunAction
from flow_backend.actors.messages.to_mutation import MutationDone, NotDone, RunMutation
from flow_backend.actors.supervisor import ActorFailed
from flow_backend.sync.client_identity import ClientIdentity
from flow_backend.testing.client import QueryOutcome
from flow_backend.testing.link import SimLink
from tests.actors.stage import Stage, stage


class Raising:
    """Takes an answer by raising, as a bug in the middle of an actor's work would."""

    def put(self, message: MutationDone | ActionDone | NotDone) -> None:
        match message:
            case NotDone():
                pass
            case _:
                raise RuntimeError("told to fail")


def fail_table(on: Stage) -> None:
    for name, table in on.backend.tables.items():
        if name == "entries":
            table.inbox.put(None)  # type: ignore[arg-type]


def fail_queries(on: Stage) -> None:
    on.backend.query_actor.inbox.put(None)  # type: ignore[arg-type]


def fail_writer(on: Stage) -> None:
    on.backend.mutation.inbox.put(None)  # type: ignore[arg-type]


def fail_writer_after_its_commit(on: Stage) -> None:
    call = Call("s:append", {"token": f"extra {on.backend.supervisor.restarts}", "to": "z"})
    on.backend.mutation.inbox.put(RunMutation(call, Raising()))


def fail_actions(on: Stage) -> None:
    call = Call("s:append_later", {"token": "x", "to": "z", "seconds": 0.0})
    on.backend.action.inbox.put(RunAction(call, Raising()))


ALL = [fail_table, fail_queries, fail_writer, fail_writer_after_its_commit, fail_actions]


@pytest.mark.parametrize("fail", ALL)
async def test_after_a_failure_clients_go_on_and_end_up_right(
    fail: Callable[[Stage], None], autojump_clock: MockClock
) -> None:
    """H: a client notices at most a new connection; what it shows follows every later commit."""
    async with stage() as on:
        watcher, writer = on.client(), on.client()
        watcher.subscribe("s:entries", of="a")
        watcher.subscribe("s:counter", name="a")
        await watcher.wait_results()
        await on.mutate(writer, "s:append", token="1", to="a")

        fail(on)
        before = writer.mutate("s:append", token="2", to="a")
        await trio.sleep(5)
        after = writer.mutate("s:append", token="3", to="a")
        await trio.sleep(5)

        assert before.settled.is_set()
        assert after.settled.is_set()
        assert watcher.results[0] == QueryOutcome(["1", "2", "3"])
        assert on.backend.supervisor.restarts == 1
        await on.mutate(writer, "s:count", token="4", name="a")
        assert watcher.results[1] == QueryOutcome(1)


async def test_a_commit_whose_writer_failed_before_telling_is_shown(
    autojump_clock: MockClock,
) -> None:
    """It is on disk and no table heard of it: who watches must see it all the same."""
    async with stage() as on:
        client = on.client()
        client.subscribe("s:entries", of="z")
        await client.wait_results()

        fail_writer_after_its_commit(on)
        await trio.sleep(5)

        assert client.results[0] == QueryOutcome(["extra 0"])


async def test_a_mutation_beside_a_failing_one_is_sent_again_and_runs_once(
    autojump_clock: MockClock,
) -> None:
    """C1: its batch was committed, its answer was lost; the record answers the resend."""
    async with stage() as on:
        client = on.client()
        client.subscribe("s:entries", of="a")
        await client.wait_results()

        fail_writer_after_its_commit(on)
        request = client.mutate("s:append", token="1", to="a")
        await request.settled.wait()
        await on.rest()

        assert request.succeeded
        assert client.results[0] == QueryOutcome(["1"])


async def test_a_session_that_fails_takes_its_socket_along_and_no_more(
    autojump_clock: MockClock,
) -> None:
    """H: 1011, and the client comes back with all that it watches."""
    async with stage() as on:
        broken = on.client()
        broken.subscribe("s:entries", of="a")
        await broken.wait_results()
        [session] = on.backend.sessions.values()
        other = on.client()
        other.subscribe("s:entries", of="a")
        await other.wait_results()

        session.text_frame = None  # type: ignore[assignment]  # It fails in its next answer.
        request = broken.mutate("s:append", token="1", to="a")
        await request.settled.wait()
        await on.rest()

        assert broken.close_codes == [1011]
        assert other.close_codes == []
        assert broken.results == other.results == {0: QueryOutcome(["1"])}
        assert on.backend.supervisor.restarts == 0
        assert len(on.backend.sessions) == 2


async def test_a_slow_run_that_ends_after_a_restart_changes_nothing(
    autojump_clock: MockClock,
) -> None:
    """Its end is told to an actor that never began it."""
    async with stage() as on:
        client = on.client()
        on.durations.slow = frozenset({"s:sums"})
        client.subscribe("s:sums")
        await client.wait_results()
        on.runtime.work_seconds_max = 5.0
        writer = on.client()
        writer.mutate("s:transfer", token="1", key="a", amount=1.0)
        await trio.sleep(11)

        fail_queries(on)
        await trio.sleep(60)

        assert on.backend.supervisor.restarts == 1
        assert client.results[0] == QueryOutcome(0)


async def test_connections_that_have_said_nothing_outlive_the_queries(
    autojump_clock: MockClock,
) -> None:
    """Before its Connect a client may be told nothing, so it is told nothing."""
    async with stage() as on:
        silent = SimLink(runtime=on.runtime)
        on.nursery.start_soon(on.backend.run_session, silent, ClientIdentity("npm", "1.48.0"))
        await on.rest()

        fail_queries(on)
        await on.rest()

        assert on.backend.supervisor.restarts == 1
        assert silent.close_code is None
        assert len(on.backend.sessions) == 1


@pytest.mark.parametrize(("fail", "most"), [(fail_queries, 5), (fail_writer, 3), (fail_actions, 5)])
async def test_past_its_restarts_the_process_ends(
    fail: Callable[[Stage], None], most: int, autojump_clock: MockClock
) -> None:
    """H: bounded in a window; past it the process ends with 70 and the last error."""
    with pytest.RaisesGroup(ActorFailed, flatten_subgroups=True) as raised:
        async with stage() as on:
            for _ in range(most):
                fail(on)
                await trio.sleep(0.5)
            assert on.backend.supervisor.restarts == most
            fail(on)
            await trio.sleep(1)
            pytest.fail("it goes on")

    assert ActorFailed.exit_code == 70
    assert "failed" in str(raised.value.exceptions[0])


async def test_failures_that_are_far_apart_are_forgiven(autojump_clock: MockClock) -> None:
    async with stage() as on:
        for _ in range(12):
            fail_queries(on)
            await trio.sleep(15)

        assert on.backend.supervisor.restarts == 12
