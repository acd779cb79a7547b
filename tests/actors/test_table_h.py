"""Table H, row by row: what a failure takes along, what its sender is told, and what is logged."""

from collections.abc import Callable
from typing import Any

import pytest
import structlog
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from flow_backend.actors.messages.calls import Call, SessionKey
from flow_backend.actors.messages.to_action import ActionDone
from flow_backend.actors.messages.to_mutation import MarkPast, MutationDone, NotDone, RunMutation
from flow_backend.actors.messages.to_table import Subscribe
from flow_backend.actors.settings import BackendSettings
from flow_backend.actors.supervisor import ActorFailed
from flow_backend.actors.table import TableActor
from flow_backend.errors import NotCommitted
from flow_backend.functions.runner import Runner
from flow_backend.storage import commit_log
from flow_backend.storage.base import Committed, Done, Executed, Refused, RequestKey
from flow_backend.storage.failures import InvariantBroken
from flow_backend.storage.transaction import StoredTransaction
from flow_backend.storage.writer import StoredWriter
from flow_backend.sync.messages import RequestId, SessionId
from flow_backend.testing.client import QueryOutcome
from flow_backend.values.timestamp import CommitTs
from tests.actors.stage import Stage, stage
from tests.actors.test_supervision import Raising, fail_actions, fail_queries, fail_writer

pytestmark = pytest.mark.usefixtures("_with_log")
CANARY = "a canary that no log may hold"


@pytest.fixture
def _with_log(no_log: None) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(0))


def fail_table(on: Stage) -> None:
    [table] = [table for name, table in on.backend.tables.items() if name == "entries"]
    table.inbox.put(None)  # type: ignore[arg-type]


def fail_at(
    monkeypatch: pytest.MonkeyPatch, kind: str, fails: Callable[[str, Any], bool]
) -> list[str]:
    """Let a run of a function fail as a fault of ours would; give the list of such runs."""
    real = getattr(Runner, kind)
    ran: list[str] = []

    def run(self: Runner, path: str, args: Any, *rest: Any) -> Any:
        if fails(path, args):
            ran.append(path)
            raise RuntimeError(f"a fault of ours that quotes {args}")
        return real(self, path, args, *rest)

    monkeypatch.setattr(Runner, kind, run)
    return ran


# --- TableActor ----------------------------------------------------------------------------------


async def test_h_a_table_that_fails_too_often_takes_all_tables_and_the_queries_along(
    autojump_clock: MockClock,
) -> None:
    """More than 5 in 30 s; up to there the queries do not notice."""
    async with stage() as on:
        client = on.client()
        client.subscribe("s:entries", of="a")
        await client.wait_results()
        queries = on.backend.query_actor

        for _ in range(5):
            fail_table(on)
            await trio.sleep(0.1)
        assert on.backend.query_actor is queries
        assert on.backend.supervisor.restarts == 5
        fail_table(on)
        await trio.sleep(0.1)

        assert on.backend.query_actor is not queries
        assert on.backend.supervisor.restarts == 7  # The table once more, and its group.
        await on.mutate(client, "s:append", token="1", to="a")
        assert client.results[0] == QueryOutcome(["1"])
        assert client.close_codes == []


async def test_h_a_group_that_fails_too_often_ends_the_process(autojump_clock: MockClock) -> None:
    """The group, 5 in 30 s: each time it takes 6 failures of a table."""
    with pytest.RaisesGroup(ActorFailed, flatten_subgroups=True) as raised:
        async with stage() as on:
            queries = set[int]()
            for _ in range(6 * 6 - 1):
                queries.add(id(on.backend.query_actor))
                fail_table(on)
                await trio.sleep(0.1)
            assert on.backend.supervisor.restarts == 35 + 5
            fail_table(on)
            await trio.sleep(0.1)
            pytest.fail("it goes on")

    assert "queries failed 6 times within 30 s" in str(raised.value.exceptions[0])


async def test_h_failures_of_the_queries_and_of_their_group_count_together(
    autojump_clock: MockClock,
) -> None:
    with pytest.RaisesGroup(ActorFailed, flatten_subgroups=True):
        async with stage() as on:
            for _ in range(6):
                fail_table(on)
                await trio.sleep(0.1)
            for _ in range(4):
                fail_queries(on)
                await trio.sleep(0.1)
            assert on.backend.supervisor.restarts == 7 + 4
            fail_queries(on)
            await trio.sleep(0.1)
            pytest.fail("it goes on")


async def test_h_a_query_whose_subscription_fails_its_table_gets_an_error_and_no_other_does(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told again, it would fail the table again, until the process ends."""
    real = TableActor._handle
    poisoned: list[int] = []

    def handle(self: TableActor, message: Any, met: Any) -> None:
        if isinstance(message, Subscribe) and message.query in poisoned:
            raise RuntimeError("a fault of ours")
        real(self, message, met)

    monkeypatch.setattr(TableActor, "_handle", handle)
    async with stage() as on:
        client = on.client()
        client.subscribe("s:entries", of="a")
        client.subscribe("s:entries", of="b")
        await client.wait_results()
        poisoned.append(client_query(on, "b"))

        await on.mutate(client, "s:append", token="1", to="b")
        await on.rest()
        await on.mutate(client, "s:append", token="2", to="a")

        assert client.results[0] == QueryOutcome(["2"])
        assert client.results[1].failed
        assert "failed at just this query" in str(client.results[1].value)
        assert on.backend.supervisor.restarts == 1
        assert client.close_codes == []


def client_query(on: Stage, of: str) -> int:
    queries = on.backend.query_actor.live.by_id.values()
    [live] = [live for live in queries if live.call.args == {"of": of}]
    return live.id


# --- QueryActor ----------------------------------------------------------------------------------


async def test_h_a_query_that_fails_its_actor_is_not_given_to_it_again(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All sessions tell their queries again, this one too: it gets an error, the others live on."""
    ran = fail_at(monkeypatch, "query", lambda path, args: args == {"of": "b"})
    async with stage() as on:
        client, other = on.client(), on.client()
        client.subscribe("s:entries", of="a")
        await client.wait_results()

        with capture_logs() as logs:
            client.subscribe("s:entries", of="b")
            await client.wait_for(lambda: 1 in client.results)
        other.subscribe("s:entries", of="b")
        await other.wait_for(lambda: 0 in other.results)
        await on.mutate(client, "s:append", token="1", to="a")

        assert client.results[0] == QueryOutcome(["1"])
        for failed in (client.results[1], other.results[0]):
            assert failed.failed
            assert "failed at just this query" in str(failed.value)
        assert ran == ["s:entries"]
        assert on.backend.supervisor.restarts == 1
        assert client.close_codes == []
    [line] = [line for line in logs if line["event"] == "an actor failed"]
    assert line["message"] == "Asked"
    assert line["function"] == "s:entries"
    assert line["arguments_hash"]


# --- MutationActor -------------------------------------------------------------------------------


async def test_h_a_mutation_that_fails_the_writer_is_answered_and_not_run_again(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was in its batch is sent again by its clients, and runs once."""
    ran = fail_at(monkeypatch, "mutation", lambda path, args: args.get("token") == CANARY)
    async with stage() as on:
        poisoner, other = on.client(), on.client()
        other.subscribe("s:entries", of="a")
        await other.wait_results()

        with capture_logs() as logs:
            requests = [other.mutate("s:append", token="1", to="a")]
            poison = poisoner.mutate("s:append", token=CANARY, to="a")
            requests.append(other.mutate("s:append", token="2", to="a"))
            for request in (poison, *requests):
                await request.settled.wait()
        await on.rest()

        assert not poison.succeeded
        assert all(request.succeeded for request in requests)
        assert other.results[0] == QueryOutcome(["1", "2"])
        assert len(ran) == 1
        assert on.backend.supervisor.restarts == 1
        assert poisoner.close_codes == []
    [line] = [line for line in logs if line["event"] == "an actor failed"]
    assert line["message"] == "RunMutation"
    assert line["function"] == "s:append"
    assert line["arguments_hash"]
    assert "RuntimeError < run (actors/test_table_h.py:" in line["error"]
    assert CANARY not in str(logs)


async def test_h_the_writer_begins_anew_on_a_connection_of_its_own(
    autojump_clock: MockClock,
) -> None:
    """What the old one left open or believed is gone with it."""
    async with stage() as on:
        writer = on.backend.mutation.writer
        assert isinstance(writer, StoredWriter)
        client = on.client()
        client.subscribe("s:entries", of="a")
        await on.mutate(client, "s:append", token="1", to="a")
        before = writer._connection
        before.execute("BEGIN IMMEDIATE")
        before.execute("UPDATE entries SET list = 'z'")

        fail_writer(on)
        await on.mutate(client, "s:append", token="2", to="a")

        assert writer._connection is not before
        assert client.results[0] == QueryOutcome(["1", "2"])
        assert on.backend.supervisor.restarts == 1


@pytest.mark.parametrize("committed", [True, False])
async def test_h_after_an_unforeseen_end_each_is_told_what_the_disk_holds(
    committed: bool, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record answers who has one; others hear that nobody knows, or that it is undone."""
    real = StoredWriter.finish
    fails = [True]

    def finish(self: StoredWriter, executed: Executed) -> Committed:
        fail = fails and fails.pop()
        if fail and not committed:
            raise RuntimeError("before COMMIT")
        done = real(self, executed)
        if fail:
            raise RuntimeError("after COMMIT")
        return done

    monkeypatch.setattr(StoredWriter, "finish", finish)
    async with stage() as on:
        client = on.client()
        client.subscribe("s:entries", of="a")
        await client.wait_results()
        keyed: list[Any] = []
        other: list[Any] = []
        inbox = on.backend.mutation.inbox
        call = Call("s:append", {"token": "1", "to": "a"})
        key = RequestKey(SessionId("b1f6"), RequestId(7))
        inbox.put(RunMutation(call, Recorder(keyed), request=key))
        inbox.put(RunMutation(Call("s:append", {"token": "2", "to": "a"}), Recorder(other)))
        await trio.sleep(1)

        [by_key], [answer] = keyed, other
        if committed:
            assert client.results[0] == QueryOutcome(["1", "2"])
            assert isinstance(by_key, MutationDone)
            assert by_key.outcome.replayed
            assert isinstance(answer, MutationDone)
            assert isinstance(answer.outcome.result, Refused)
            assert "is not known" in answer.outcome.result.message
        else:
            assert client.results[0] == QueryOutcome([])
            assert isinstance(by_key, NotDone)
            assert isinstance(answer, NotDone)


class Recorder:
    """Takes answers."""

    def __init__(self, told: list[Any]) -> None:
        self.told = told

    def put(self, message: MutationDone | ActionDone | NotDone) -> None:
        self.told.append(message)


async def test_h_who_has_no_request_id_is_not_told_to_repeat_what_was_committed(
    autojump_clock: MockClock,
) -> None:
    """An HTTP caller that is told 503 sends it again, and has it twice then."""
    async with stage() as on:
        told: list[Any] = []
        inbox = on.backend.mutation.inbox
        inbox.put(RunMutation(Call("s:append", {"token": "1", "to": "a"}), Raising()))
        inbox.put(RunMutation(Call("s:append", {"token": "2", "to": "a"}), Recorder(told)))
        await trio.sleep(1)

        [answer] = told
        assert isinstance(answer, MutationDone)
        assert isinstance(answer.outcome.result, Done)
        assert on.backend.supervisor.restarts == 1
        seen = await on.backend.query(Call("s:entries", {"of": "a"}))
        assert isinstance(seen.result, Done)
        assert seen.result.result == b'["1","2"]'


async def test_h_a_marker_that_waits_beside_a_failure_is_not_forgotten(
    autojump_clock: MockClock,
) -> None:
    """Its session shows nothing before it has the marker, so it must hear to come back."""
    async with stage() as on:
        told: list[Any] = []
        on.backend.mutation.inbox.put(None)  # type: ignore[arg-type]
        mark = MarkPast(CommitTs(2_000_000_000_000_000_000), SessionKey(1), Recorder(told))
        on.backend.mutation.inbox.put(mark)
        await trio.sleep(1)

        assert len(told) == 1
        assert isinstance(told[0], NotDone)


@pytest.mark.parametrize("fails", ["crash", "full disk"])
async def test_c3_what_was_sent_behind_a_mutation_that_was_not_done_waits_for_it(
    fails: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one is sent again; the other, in the mailbox already, must not run before it."""
    real = StoredWriter.execute
    left = [True]

    def execute(self: StoredWriter, jobs: Any) -> Executed:
        if left and left.pop():
            raise RuntimeError("a fault of ours") if fails == "crash" else NotCommitted("full")
        return real(self, jobs)

    monkeypatch.setattr(StoredWriter, "execute", execute)
    async with stage(BackendSettings(batch_max=2)) as on:
        client = on.client()
        client.subscribe("s:entries", of="a")
        await client.wait_results()

        requests = [client.mutate("s:append", token=f"{n}", to="a") for n in range(3)]
        ran: list[str] = []
        run = Runner.mutation

        def noted(self: Runner, path: str, args: Any, *rest: Any) -> Any:
            ran.append(args["token"])
            return run(self, path, args, *rest)

        monkeypatch.setattr(Runner, "mutation", noted)
        for request in requests:
            await request.settled.wait()

        assert ran[-3:] == ["0", "1", "2"]
        assert client.results[0] == QueryOutcome(["0", "1", "2"])


async def test_h_a_full_disk_amid_the_upkeep_fails_no_actor(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a second it would: the process ended within four seconds of a full disk."""

    def maintain(self: StoredWriter) -> None:
        raise NotCommitted("Nothing was saved: the storage is full")

    monkeypatch.setattr(StoredWriter, "maintain", maintain)
    async with stage() as on:
        client = on.client()
        for number in range(5):
            await trio.sleep(2)
            await on.mutate(client, "s:append", token=f"{number}", to="a")

        assert on.backend.supervisor.restarts == 0


def of_storage(name: str) -> Any:
    """Give a function of storage's whose assertion fails."""
    names: dict[str, Any] = {"__name__": "flow_backend.storage.planted"}
    exec(f"def {name}(*_):\n    assert False, 'storage is wrong'", names)
    return names[name]


@pytest.mark.parametrize("place", ["in a call", "in a batch"])
async def test_h_an_assertion_that_fails_in_storage_ends_the_process(
    place: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong is worse than down: it is no error of the function that met it."""
    if place == "in a call":
        monkeypatch.setattr(StoredTransaction, "insert", of_storage("insert"))
    else:
        monkeypatch.setattr(commit_log, "append", of_storage("append"))
    with pytest.RaisesGroup(InvariantBroken, flatten_subgroups=True):
        async with stage() as on:
            request = on.client().mutate("s:append", token="1", to="a")
            await trio.sleep(5)
            pytest.fail(f"it goes on: {request}")

    assert InvariantBroken.exit_code == 70


# --- ActionActor ---------------------------------------------------------------------------------


async def test_h_actions_that_run_or_wait_are_told_of_their_interruption(
    autojump_clock: MockClock,
) -> None:
    """F2: they are not run again, and nobody waits for ever."""
    async with stage(BackendSettings(actions_running=2)) as on:
        client = on.client()
        running = client.act("s:append_later", token="1", to="a", seconds=100.0)
        await trio.sleep(1)
        fail_actions(on)
        await on.rest()
        waiting = client.act("s:append_later", token="2", to="a", seconds=100.0)
        await trio.sleep(50)

        assert running.settled.is_set()
        assert not running.succeeded
        assert not waiting.settled.is_set()
        assert on.backend.action.running == 1
        await trio.sleep(100)
        assert waiting.succeeded
        seen = await on.backend.query(Call("s:entries", {"of": "a"}))
        assert isinstance(seen.result, Done)
        assert b'"1"' not in seen.result.result


async def test_h_an_action_that_waits_for_its_turn_is_told_as_well(
    autojump_clock: MockClock,
) -> None:
    async with stage(BackendSettings(actions_running=1)) as on:
        client = on.client()
        first = client.act("s:append_later", token="1", to="a", seconds=10.0)
        second = client.act("s:append_later", token="2", to="a", seconds=10.0)
        await trio.sleep(1)
        on.backend.action._running[1].message = None  # type: ignore[assignment]
        await trio.sleep(60)

        assert not first.settled.is_set()  # Nobody knows any more who asked for it.
        assert second.settled.is_set()
        assert on.backend.supervisor.restarts == 1


async def test_i4_an_action_that_is_cut_off_at_the_stop_does_nothing_afterwards(
    autojump_clock: MockClock,
) -> None:
    """It was told to be interrupted, so it must be."""
    async with stage(BackendSettings(stop_seconds=1.0)) as on:
        client = on.client()
        request = client.act("s:append_later", token="1", to="a", seconds=1.5)
        await on.rest()
        await on.backend.drain()
        await trio.sleep(5)

        assert request.settled.is_set()
        assert not request.succeeded
        assert on.backend.supervisor.restarts == 0
        seen = await on.backend.query(Call("s:entries", {"of": "a"}))
        assert isinstance(seen.result, Done)
        assert seen.result.result == b"[]"


# --- SessionActor --------------------------------------------------------------------------------


async def test_h_a_hundred_sessions_that_fail_in_a_minute_are_borne_and_one_more_is_told(
    autojump_clock: MockClock,
) -> None:
    async with stage() as on:
        client = on.client()
        client.subscribe("s:entries", of="a")
        await client.wait_results()

        async def crash() -> None:
            crashes = on.backend.session_crashes
            [session] = on.backend.sessions.values()
            session.crash(RuntimeError(CANARY))
            while not on.backend.sessions or session in on.backend.sessions.values():  # noqa: ASYNC110
                await trio.sleep(0.01)
            await trio.sleep(0.2)
            assert on.backend.session_crashes == crashes + 1

        with capture_logs() as logs:
            for _ in range(100):
                await crash()
            assert trio.current_time() < 60
            assert on.backend.metrics()["session_crash_alerts_total"] == 0
            await crash()

        assert on.backend.metrics()["session_crash_alerts_total"] == 1
        assert on.backend.metrics()["session_crashes_total"] == 101
        assert [line["log_level"] for line in logs].count("critical") == 1
        assert set(client.close_codes) == {1011}
        assert on.backend.supervisor.restarts == 0
        assert CANARY not in str(logs)
