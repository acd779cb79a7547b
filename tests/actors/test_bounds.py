"""Bounds of sessions and mailboxes: at each of them, and one past it."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from flow_backend.actors.messages.calls import Call
from flow_backend.actors.outstanding import SessionLimits
from flow_backend.actors.query import QueryActor
from flow_backend.actors.settings import BackendSettings
from flow_backend.errors import Overloaded
from flow_backend.runtime import Finished, Worker
from flow_backend.sync.messages import QueryId
from flow_backend.testing.client import QueryOutcome, SimClient
from tests.actors.stage import Stage, stage


@define
class HeldWorker:
    """The writer's worker, which does nothing until it may."""

    real: Worker
    may_work: trio.Event = field(factory=trio.Event)

    async def run(self, work: Callable[[], Any]) -> Any:
        await self.may_work.wait()
        return await self.real.run(work)

    def submit(self, work: Callable[[], Any], done: Callable[[Finished[Any]], None]) -> None:
        self.real.submit(work, done)

    def close(self) -> None:
        self.real.close()


@asynccontextmanager
async def held_writer(settings: BackendSettings) -> AsyncGenerator[tuple[Stage, HeldWorker]]:
    """A backend whose writer has one mutation in its hands and does not finish it."""
    async with stage(settings) as on:
        held = HeldWorker(on.backend.mutation.worker)
        on.backend.mutation.worker = held
        try:
            yield on, held
        finally:
            held.may_work.set()


async def connected(on: Stage, **how: Any) -> SimClient:
    client = on.client(**how)
    await client.wait_for(lambda: client.link is not None)
    await on.rest()
    return client


def append(client: SimClient, *tokens: str) -> None:
    for token in tokens:
        client.mutate("s:append", token=token, to="a")


# --- What a session may have outstanding


async def test_g_a_session_at_its_unanswered_mutations_is_read_no_further(
    autojump_clock: MockClock,
) -> None:
    """One more waits unread in the socket, loses nothing, and runs when there is room."""
    limits = BackendSettings(session=SessionLimits(mutations=3))
    async with held_writer(limits) as (on, held):
        client = await connected(on)

        append(client, "1", "2", "3")
        await on.rest()
        actor = on.backend.mutation
        assert len(actor.in_flight) + len(actor.inbox) == 3

        append(client, "4")
        await trio.sleep(3600)
        assert len(actor.in_flight) + len(actor.inbox) == 3

        held.may_work.set()
        await client.wait_for(lambda: not client.requests)
        client.subscribe("s:entries", of="a")
        await client.wait_results()
        assert client.results[0] == QueryOutcome(["1", "2", "3", "4"])
        assert client.connections == 1


async def test_g_a_session_at_its_unanswered_actions_is_read_no_further(
    autojump_clock: MockClock,
) -> None:
    async with stage(BackendSettings(session=SessionLimits(actions=2))) as on:
        client = await connected(on)

        for number in range(3):
            client.act("s:append_later", token=str(number), to="a", seconds=10.0)
        await trio.sleep(9)
        assert on.backend.action.running == 2
        assert on.backend.action.actions == 2

        await client.wait_for(lambda: not client.requests)
        assert on.backend.action.actions == 3
        assert client.connections == 1


async def test_g_a_live_query_past_the_limit_fails_and_names_it(autojump_clock: MockClock) -> None:
    async with stage(BackendSettings(session=SessionLimits(queries=2))) as on:
        client = await connected(on)
        for name in ("a", "b", "c"):
            client.subscribe("s:entries", of=name)
        await client.wait_results()

        assert client.results[0] == client.results[1] == QueryOutcome([])
        assert client.results[2].failed
        [watcher] = on.backend.query_actor.watchers.values()
        refused = watcher.queries[QueryId(2)].result
        assert refused is not None
        assert b"watches 2 queries already" in refused.body

        client.unsubscribe(0)
        client.unsubscribe(2)
        again = client.subscribe("s:entries", of="c")
        await client.wait_results()
        assert client.results[again] == QueryOutcome([])
        assert client.connections == 1


async def test_g_a_client_that_opens_queries_without_end_is_closed(
    autojump_clock: MockClock,
) -> None:
    """A query that failed is kept as well, so their number must end somewhere."""
    async with stage(BackendSettings(session=SessionLimits(queries=2))) as on:
        client = await connected(on)
        for number in range(20):
            client.subscribe("s:entries", of=str(number))
        await client.wait_results()
        assert client.connections == 1

        client.subscribe("s:entries", of="one more")
        await trio.sleep(1)
        assert set(client.close_codes) == {1011}


async def test_g_a_session_whose_requests_weigh_too_much_is_read_no_further(
    autojump_clock: MockClock,
) -> None:
    """A thousand mutations of 16 MiB each would be 16 GiB; one message over the bound is taken."""
    limits = BackendSettings(session=SessionLimits(request_bytes=30_000))
    async with held_writer(limits) as (on, held):
        client = await connected(on)
        tokens = [f"{number}" + 10_000 * "x" for number in range(6)]

        append(client, *tokens)
        await trio.sleep(3600)
        actor = on.backend.mutation
        assert len(actor.in_flight) + len(actor.inbox) == 3

        held.may_work.set()
        await client.wait_for(lambda: not client.requests)
        [session] = on.backend.sessions.values()
        assert session._weights.unanswered_bytes == 0
        assert client.connections == 1


async def test_g_queries_that_weigh_too_much_close_their_session(autojump_clock: MockClock) -> None:
    limits = BackendSettings(session=SessionLimits(query_bytes=35_000))
    async with stage(limits) as on:
        client = await connected(on)
        for number in range(20):  # One after the other is no burden.
            heavy = client.subscribe("s:entries", of=f"{number}" + 10_000 * "x")
            await client.wait_results()
            if number < 17:
                client.unsubscribe(heavy)
        await client.wait_results()
        [session] = on.backend.sessions.values()
        assert session._weights.unanswered_bytes == 0
        assert client.connections == 1

        client.subscribe("s:entries", of="20" + 10_000 * "x")
        await trio.sleep(1)
        assert client.close_codes[0] == 1011


async def test_g_changes_of_queries_that_nobody_has_looked_at_are_bounded(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their mailbox has no bound of its own, since what is put there never waits."""
    async with stage(BackendSettings(session=SessionLimits(edits=3))) as on:
        client = await connected(on)
        asked: list[int] = []
        run = QueryActor._round
        may_go = trio.Event()

        async def slow_round(actor: QueryActor) -> bool:
            await may_go.wait()
            return await run(actor)

        monkeypatch.setattr(QueryActor, "_round", slow_round)
        for number in range(8):
            asked.append(client.subscribe("s:entries", of=str(number)))
        await trio.sleep(60)
        [session] = on.backend.sessions.values()
        assert len(session.state.subscriptions) == 3

        may_go.set()
        await client.wait_results()
        assert len(session.state.subscriptions) == 8
        assert client.connections == 1


# --- Connections that end while nobody reads them


@pytest.mark.parametrize("end", ["cut", "stop", "crash"])
async def test_g_a_session_that_waits_for_room_ends_with_its_socket(
    end: str, autojump_clock: MockClock
) -> None:
    """Else its queries, and its place among the connections, would stay till its action ends."""
    async with stage(BackendSettings(session=SessionLimits(actions=1))) as on:
        client = await connected(on)
        [(key, session)] = on.backend.sessions.items()
        client.act("s:append_later", token="1", to="a", seconds=500.0)
        client.subscribe("s:entries", of="a")
        await on.rest()

        match end:
            case "cut":
                client.cut()
            case "stop":
                session.go_away()
            case _:
                session.crash(RuntimeError())
        await on.rest()

        assert key not in on.backend.sessions
        assert key not in on.backend.query_actor.watchers


# --- The MutationActor's mailbox


async def test_g_a_full_mailbox_closes_with_try_later_and_the_resend_runs_once(
    autojump_clock: MockClock,
) -> None:
    """C1 and G: 1013 after 20 s, and the client's own ids make the resend safe."""
    async with held_writer(BackendSettings(mutations_waiting=2, batch_max=1)) as (on, held):
        client = await connected(on)
        other = await connected(on)
        append(client, "1", "2", "3")
        await on.rest()
        assert (len(on.backend.mutation.in_flight), len(on.backend.mutation.inbox)) == (1, 2)

        append(other, "4")
        await trio.sleep(19)
        assert other.close_codes == []
        await trio.sleep(2)
        assert other.close_codes == [1013]
        assert client.close_codes == []

        held.may_work.set()
        with trio.fail_after(60):
            await other.wait_for(lambda: not other.requests)
        other.subscribe("s:entries", of="a")
        await other.wait_results()
        assert other.results[0] == QueryOutcome(["1", "2", "3", "4"])


async def test_g_a_session_that_waits_for_the_mailbox_still_speaks(
    autojump_clock: MockClock,
) -> None:
    """Only its reading stops: answers to what it asked before go out."""
    async with held_writer(BackendSettings(mutations_waiting=1, batch_max=1)) as (on, held):
        client = await connected(on)
        append(client, "1", "2", "3")
        await on.rest()
        answered = [request.answer for request in client.requests.values()]
        assert answered == [None] * 3

        before = client.transitions
        held.may_work.set()
        held = on.backend.mutation.worker = HeldWorker(held.real)
        await trio.sleep(1)
        assert client.transitions > before
        assert len(client.requests) < 3
        held.may_work.set()
        await client.wait_for(lambda: not client.requests)


async def test_g_without_a_session_a_full_mailbox_is_an_overload(autojump_clock: MockClock) -> None:
    """What HTTP answers with 503; nothing of it happens later either."""
    async with held_writer(BackendSettings(mutations_waiting=1, batch_max=1)) as (on, held):
        client = await connected(on)
        append(client, "1", "2")
        await on.rest()

        before = trio.current_time()
        with pytest.raises(Overloaded, match="try again"):
            await on.backend.mutate(Call("s:append", {"token": "3", "to": "a"}))
        assert trio.current_time() - before == 20.0

        held.may_work.set()
        await client.wait_for(lambda: not client.requests)
        client.subscribe("s:entries", of="a")
        await client.wait_results()
        assert client.results[0] == QueryOutcome(["1", "2"])


async def test_g_a_full_mailbox_of_actions_is_an_overload(autojump_clock: MockClock) -> None:
    settings = BackendSettings(actions_waiting=1, actions_running=1)
    async with stage(settings) as on:
        client = await connected(on)
        for number in range(3):  # One runs, one waits for its turn, one is in the mailbox.
            client.act("s:append_later", token=str(number), to="a", seconds=100.0)
        await on.rest()

        with pytest.raises(Overloaded, match="try again"):
            await on.backend.act(Call("s:append_later", {"token": "3", "to": "a", "seconds": 0.0}))


# --- Memory


async def test_g_without_memory_new_work_is_closed_with_try_later_and_old_goes_on(
    autojump_clock: MockClock,
) -> None:
    """Who only watches keeps watching; what was refused is sent again and runs once."""
    async with stage() as on:
        watcher, writer = await connected(on), await connected(on)
        watcher.subscribe("s:entries", of="a")
        await watcher.wait_results()
        on.backend.gate.shut = True

        append(writer, "1")
        await trio.sleep(5)
        assert set(writer.close_codes) == {1013}
        for call in (on.backend.mutate, on.backend.query, on.backend.act):
            with pytest.raises(Overloaded, match="memory is full"):
                await call(Call("s:entries", {"of": "a"}))
        assert watcher.close_codes == []

        on.backend.gate.shut = False
        await writer.wait_for(lambda: not writer.requests)
        await on.rest()
        assert watcher.results[0] == QueryOutcome(["1"])
        assert watcher.connections == 1


# --- Mailboxes of size one, everywhere


@pytest.mark.parametrize("rounds", [5])
async def test_g_mailboxes_of_size_one_do_not_deadlock(
    rounds: int, autojump_clock: MockClock
) -> None:
    """Waits run one way, so virtual time reaches the end."""
    settings = BackendSettings(
        mutations_waiting=1, table_messages=1, actions_waiting=1, actions_running=1, batch_max=1
    )
    async with stage(settings) as on:
        clients = [await connected(on) for _ in range(4)]
        for client in clients:
            client.subscribe("s:entries", of="a")
            client.subscribe("s:counter", name="c")
        for number in range(rounds):
            for client in clients:
                append(client, f"{client.name} {number}")
                client.act("s:append_later", token=f"{client.name}-{number}", to="a", seconds=0.5)
                client.mutate("s:count", token=f"{client.name}/{number}", name="c")
        with trio.fail_after(600):
            for client in clients:
                await client.wait_for(lambda: not client.requests)  # noqa: B023  # Awaited here.
        await on.rest()

        assert {client.results[1] for client in clients} == {QueryOutcome(4 * rounds)}
        assert all(client.connections == 1 for client in clients)
