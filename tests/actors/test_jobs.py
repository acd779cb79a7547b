"""Scheduled functions: each at its time, as often as it is promised, whatever happens."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import apsw
import pytest
import trio
from trio.testing import MockClock

from flow_backend.actors.messages.calls import Call
from flow_backend.actors.settings import BackendSettings
from flow_backend.functions.context import Caller
from flow_backend.functions.jobs import KEPT_MS
from flow_backend.functions.registry import make_app
from flow_backend.storage.base import Refused
from flow_backend.storage.writer import StoredWriter
from flow_backend.testing.disk import SimDisk
from flow_backend.testing.sim import SimRuntime
from tests.actors.jobs_app import FUNCTIONS, JOBS_APP, Effect, Jobs
from tests.actors.stage import stage

SECOND_NS = 10**9


@asynccontextmanager
async def jobs(**how: Any) -> AsyncGenerator[Jobs]:
    async with stage(app=how.pop("app", JOBS_APP), **how) as on:
        yield Jobs(on)


# --- F1, F2: how often


async def test_f1_a_mutation_runs_once_at_its_time_with_no_identity(
    autojump_clock: MockClock,
) -> None:
    async with jobs() as it:
        now = it.on.runtime.now_ns() / 1e6
        ident = await it.do("schedule", token="a", seconds=90.0)
        await trio.sleep(89.9)
        assert await it.kinds() == ["pending"]

        await trio.sleep(0.2)

        [(token, at)] = await it.ask("all_effects")
        job = await it.ask("job", ident=ident)
        assert (token, job["state"]["kind"], job["attempts"]) == ("a", "success", 1)
        assert now + 90_000 <= at <= job["completedTime"] < now + 90_100
        assert (await it.ask("effects", token="a"))[0]["identity"] is None
        await trio.sleep(1000)
        assert await it.tokens() == ["a"]


async def test_f1_f7_a_mutation_that_fails_is_failed_at_once_and_leaves_nothing(
    autojump_clock: MockClock,
) -> None:
    async with jobs() as it:
        ident = await it.do("schedule", token="a", fails=1)
        await trio.sleep(1000)

        job = await it.ask("job", ident=ident)
        assert job["state"]["kind"] == "failed"
        assert "a does not want to" in job["state"]["error"]
        assert job["errors"] == [job["state"]["error"]]
        assert await it.tokens() == []
        assert it.on.backend.jobs.failures == 1


async def test_f2_an_action_that_fails_is_not_run_again(autojump_clock: MockClock) -> None:
    async with jobs() as it:
        ident = await it.do("schedule", token="a", what="call_out", fails=1)
        await trio.sleep(1000)

        job = await it.ask("job", ident=ident)
        assert (job["state"]["kind"], job["attempts"]) == ("failed", 1)
        assert "failed for the 1. time" in job["state"]["error"]
        assert await it.tokens() == ["a"]


async def test_f2_an_action_is_in_progress_on_disk_while_it_runs(
    autojump_clock: MockClock,
) -> None:
    async with jobs() as it:
        await it.do("schedule", token="a", what="call_out", lasts=50.0)
        await trio.sleep(1)
        assert await it.kinds() == ["inProgress"]
        assert await it.tokens() == ["a"]

        await trio.sleep(60)
        assert await it.kinds() == ["success", "success"]
        assert await it.tokens() == ["a", "a went on"]


async def test_an_action_with_a_retry_goes_back_to_pending_and_keeps_each_error(
    autojump_clock: MockClock,
) -> None:
    async with jobs() as it:
        ident = await it.do("schedule", token="a", what="steady", fails=2)
        await trio.sleep(2)
        job = await it.ask("job", ident=ident)
        assert (job["state"]["kind"], job["attempts"]) == ("pending", 1)
        assert 5_000 <= job["due"] - job["scheduledTime"] <= 10_100

        await trio.sleep(100)
        job = await it.ask("job", ident=ident)
        assert (job["state"]["kind"], job["attempts"]) == ("success", 3)
        assert [error.rpartition("for the ")[2][:2] for error in job["errors"]] == ["1.", "2."]

        ident = await it.do("schedule", token="b", what="steady", fails=9)
        await trio.sleep(1000)
        job = await it.ask("job", ident=ident)
        assert (job["state"]["kind"], job["attempts"]) == ("failed", 3)
        assert len(job["errors"]) == 3


async def test_an_action_that_would_fail_again_is_not_tried_again(
    autojump_clock: MockClock,
) -> None:
    """A wrong call stays wrong, whatever the policy: each attempt would only do harm once more."""
    async with jobs() as it:
        ident = await it.do("schedule", token="a", what="mistaken")
        await trio.sleep(1000)

        job = await it.ask("job", ident=ident)
        assert (job["state"]["kind"], job["attempts"]) == ("failed", 1)
        assert await it.tokens() == ["a"]


async def test_an_action_schedules_and_cancels(autojump_clock: MockClock) -> None:
    async with jobs() as it:
        await it.do("schedule_cancel_after")
        await trio.sleep(100)

        assert await it.kinds() == ["success", "canceled", "success"]
        assert await it.tokens() == ["x now"]


# --- F2, F4: over the end of the process


async def test_f2_an_action_that_ran_when_the_server_ended_has_failed(
    autojump_clock: MockClock,
) -> None:
    disk = SimDisk(random=Random(1))
    async with jobs(disk=disk) as it:
        await it.do("schedule", token="once", what="call_out", lasts=50.0)
        await it.do("schedule", token="steady", what="steady", lasts=50.0)
        await trio.sleep(1)
        left = disk.copy(Random(1))

    async with jobs(disk=left) as it:
        await trio.sleep(1)
        first, second = await it.ask("states")
        assert first[0] == "failed"
        assert first[1].startswith("interrupted: ")
        # Its retry says that it may run again; the attempt that was cut off counts.
        assert second == ["pending", None]
        await trio.sleep(100)
        assert await it.tokens() == ["once", "steady", "steady", "steady went on"]
        assert await it.kinds() == ["failed", "success", "success"]


async def test_f4_after_downtime_all_that_is_overdue_runs_oldest_first(
    autojump_clock: MockClock,
) -> None:
    """Three hundred jobs, more than are taken at once; ties by creation."""
    disk, chance = SimDisk(random=Random(1)), Random(5)
    seconds = [float(chance.randrange(100, 160)) for _ in range(300)]
    async with jobs(disk=disk) as it:
        await it.do("schedule_many", seconds=seconds)
        left = disk.copy(Random(1))
        runtime = SimRuntime(Random(0), work_seconds_max=0.0)
        runtime.offset_ns = 3 * 86_400 * SECOND_NS

    async with jobs(disk=left, runtime=runtime) as it:
        await trio.sleep(1)
        in_order = sorted(range(300), key=lambda number: (seconds[number], number))
        assert await it.tokens() == [f"{number}" for number in in_order]
        assert set(await it.kinds()) == {"success"}


async def test_f4_a_clock_that_is_set_back_lets_wait_what_is_later(
    autojump_clock: MockClock,
) -> None:
    async with jobs() as it:
        await it.do("schedule", token="done")
        await it.do("schedule", token="later", seconds=60.0)
        await trio.sleep(30)

        it.on.runtime.offset_ns -= 3600 * SECOND_NS
        await trio.sleep(3600)
        assert await it.tokens() == ["done"]
        await trio.sleep(60)
        assert await it.tokens() == ["done", "later"]


async def test_f4_a_clock_that_is_set_forward_is_noticed_within_a_second(
    autojump_clock: MockClock,
) -> None:
    async with jobs() as it:
        await it.do("schedule", token="later", seconds=86_400.0)
        await trio.sleep(30)

        it.on.runtime.offset_ns += 90_000 * SECOND_NS
        await trio.sleep(1.1)
        assert await it.tokens() == ["later"]
        await trio.sleep(1000)
        assert await it.tokens() == ["later"]


async def test_f4_a_clock_that_is_set_back_between_the_look_and_the_run(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is due is looked at again, in the transaction that runs it."""
    async with jobs() as it:
        real = StoredWriter.execute

        def execute(writer: StoredWriter, given: Any) -> Any:
            if it.on.runtime.offset_ns == 0 and trio.current_time() > 59.9:
                it.on.runtime.offset_ns = -30 * SECOND_NS
            return real(writer, given)

        await it.do("schedule", token="later", seconds=60.0)
        monkeypatch.setattr(StoredWriter, "execute", execute)
        await trio.sleep(70)
        assert await it.tokens() == []
        assert await it.kinds() == ["pending"]

        await trio.sleep(30)
        assert await it.tokens() == ["later"]


async def test_an_earlier_job_wakes_the_actor(autojump_clock: MockClock) -> None:
    async with jobs() as it:
        await it.do("schedule", token="late", seconds=100.0)
        await trio.sleep(1)
        await it.do("schedule", token="soon", seconds=0.25)
        await trio.sleep(0.3)

        assert await it.tokens() == ["soon"]


async def test_with_no_job_the_actor_sleeps_and_with_one_it_reads_only_when_it_is_due(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with jobs() as it:
        await trio.sleep(1)
        looks: list[float] = []
        actor = it.on.backend.jobs
        read = actor.snapshot.begin
        monkeypatch.setattr(
            actor.snapshot, "begin", lambda: (looks.append(trio.current_time()), read())[1]
        )
        await it.do("schedule", token="late", seconds=1000.0)
        await it.do("schedule", token="later", seconds=2000.0)
        await trio.sleep(900)
        # One to see whether something is to be forgotten.
        assert len(looks) <= 1

        await trio.sleep(200)
        assert await it.tokens() == ["late"]
        assert len(looks) <= 3


async def test_the_parallelism_of_actions_is_bounded_and_delays_no_mutation(
    autojump_clock: MockClock,
) -> None:
    async with jobs() as it:
        for number in range(20):
            await it.do("schedule", token=f"a{number}", what="call_out", lasts=100.0)
        await it.do("schedule", token="quick", seconds=1.0)
        await trio.sleep(2)

        assert (await it.kinds()).count("inProgress") == 8
        assert "quick" in await it.tokens()
        await trio.sleep(300)
        assert set(await it.kinds()) == {"success"}


# --- F6: cancel


async def test_f6_what_is_canceled_before_its_start_never_runs(autojump_clock: MockClock) -> None:
    async with jobs() as it:
        ident = await it.do("schedule", token="a", seconds=5.0)
        await it.do("cancel", ident=ident)
        await trio.sleep(100)

        assert await it.kinds() == ["canceled"]
        assert await it.tokens() == []


async def test_f6_what_is_canceled_in_the_batch_in_which_it_would_run(
    autojump_clock: MockClock,
) -> None:
    """The actor has handed it to the writer already, behind the mutation that cancels it."""
    async with jobs() as it:
        ident = await it.do("schedule", token="a", seconds=5.0)
        await trio.sleep(4.999)
        async with trio.open_nursery() as nursery:
            while trio.current_time() % 1 > 0.5:
                nursery.start_soon(lambda: it.do("cancel", ident=ident))
                await trio.sleep(0.0005)

        await trio.sleep(10)
        done = (await it.kinds(), await it.tokens())
        assert done in ((["canceled"], []), (["success"], ["a"]))


async def test_f6_an_action_that_is_canceled_goes_on_and_schedules_nothing(
    autojump_clock: MockClock,
) -> None:
    async with jobs() as it:
        ident = await it.do("schedule", token="a", what="call_out", lasts=50.0)
        await trio.sleep(1)
        await it.do("cancel", ident=ident)
        assert await it.kinds() == ["canceled"]

        await trio.sleep(100)
        assert await it.kinds() == ["canceled", "canceled"]
        assert await it.tokens() == ["a"]
        assert it.on.backend.jobs.running == 0


async def test_f6_a_mutation_that_cancels_itself_has_failed(autojump_clock: MockClock) -> None:
    async with jobs() as it:
        await it.do("schedule_cancel_me")
        await trio.sleep(1)

        [(kind, error)] = await it.ask("states")
        assert kind == "failed"
        assert "cancels itself" in error
        assert await it.tokens() == []


# --- Errors: none stops the scheduler


@pytest.mark.parametrize("what", ["work", "call_out"])
async def test_a_function_that_is_gone_after_a_deploy_is_a_failed_job(
    autojump_clock: MockClock, what: str
) -> None:
    disk = SimDisk(random=Random(1))
    async with jobs(disk=disk) as it:
        await it.do("schedule_many", seconds=[10.0], what=what)
        left = disk.copy(Random(1))
    rest = {path: each for path, each in FUNCTIONS.items() if path != f"j:{what}"}

    async with jobs(disk=left, app=make_app("jobs", [Effect], rest)) as it:
        await trio.sleep(30)
        [(kind, error)] = await it.ask("states")
        assert kind == "failed"
        assert f"Could not find function for 'j:{what}' in the app that serves." in error
        await it.do("schedule_cancel_me")
        await trio.sleep(1)
        assert await it.kinds() == ["failed", "failed"]


async def test_arguments_that_no_longer_fit_are_a_failed_job(autojump_clock: MockClock) -> None:
    disk = SimDisk(random=Random(1))
    async with jobs(disk=disk) as it:
        await it.do("schedule", token="a", seconds=10.0)
        left = disk.copy(Random(1))
    other = {**FUNCTIONS, "j:work": FUNCTIONS["j:cancel_me"]}

    async with jobs(disk=left, app=make_app("jobs", [Effect], other)) as it:
        await trio.sleep(30)
        [(kind, error)] = await it.ask("states")
        assert kind == "failed"
        assert "fails" in error
    make_app("jobs", [Effect], FUNCTIONS)  # Each function knows its path again.


async def test_a_function_of_another_kind_is_a_failed_job(autojump_clock: MockClock) -> None:
    disk = SimDisk(random=Random(1))
    async with jobs(disk=disk) as it:
        await it.do("schedule_many", seconds=[10.0])
        left = disk.copy(Random(1))
    other = {**FUNCTIONS, "j:work": FUNCTIONS["j:call_out"]}
    other["j:call_out"] = FUNCTIONS["j:work"]

    async with jobs(disk=left, app=make_app("jobs", [Effect], other)) as it:
        await trio.sleep(30)
        [(kind, error)] = await it.ask("states")
        assert kind == "failed"
        assert "it is defined as Action" in error
    make_app("jobs", [Effect], FUNCTIONS)


# --- F7: our own faults


async def test_f7_what_a_full_disk_has_stopped_runs_when_there_is_room(
    autojump_clock: MockClock,
) -> None:
    disk = SimDisk(random=Random(1))
    async with jobs(disk=disk) as it:
        await it.do("schedule", token="a", seconds=10.0)
        await it.do("schedule", token="b", what="call_out", seconds=10.0)
        disk.fail("write", 1, None, apsw.FullError)
        await trio.sleep(100)
        assert await it.kinds() == ["pending", "pending"]
        tries = [held.tries for q in it.on.backend.jobs.queues.values() for held in q.held.values()]
        assert all(3 <= each <= 10 for each in tries), tries
        assert len(tries) == 2

        disk.mend()
        await trio.sleep(200)
        assert sorted(await it.tokens()) == ["a", "b", "b went on"]
        assert set(await it.kinds()) == {"success"}
        assert not any(queue.held for queue in it.on.backend.jobs.queues.values())


async def test_f7_many_jobs_on_a_full_disk_are_held_within_a_bound(
    autojump_clock: MockClock,
) -> None:
    disk = SimDisk(random=Random(1))
    async with jobs(disk=disk) as it:
        for queue in it.on.backend.jobs.queues.values():
            queue.held_max = 20
        await it.do("schedule_many", seconds=[10.0] * 200)
        disk.fail("write", 1, None, apsw.FullError)
        await trio.sleep(1000)
        queue = it.on.backend.jobs.queues["mutation"]
        assert 20 <= len(queue.held) <= 20 + queue.most

        disk.mend()
        await trio.sleep(1000)
        assert sorted(await it.tokens()) == sorted(f"{number}" for number in range(200))


async def test_f7_a_job_that_the_writer_itself_fails_at_is_set_aside(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours, at one job: twice, then all others go on without it."""
    async with jobs() as it:
        real = it.on.backend.mutation.runner.mutation

        def broken(path: str, args: Any, *rest: Any) -> Any:
            if path == "j:work" and args["token"] == "bad":
                raise RuntimeError("a fault of the server's")
            return real(path, args, *rest)

        monkeypatch.setattr(type(it.on.backend.mutation.runner), "mutation", staticmethod(broken))
        await it.do("schedule", token="bad", seconds=1.0)
        await it.do("schedule", token="good", seconds=100.0)
        await trio.sleep(200)

        (bad, error), (good, _) = await it.ask("states")
        assert (bad, good) == ("failed", "success")
        assert error.startswith("set aside: ")
        assert await it.tokens() == ["good"]


async def test_h_the_jobs_actor_begins_anew_and_loses_nothing(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with jobs() as it:
        await it.do("schedule", token="running", what="call_out", lasts=50.0)
        await trio.sleep(1)
        await it.do("schedule", token="a", seconds=10.0)
        actor = it.on.backend.jobs
        real, fails = type(actor)._look, [True]

        async def look(self: Any, queue: Any) -> None:
            if fails:
                fails.clear()
                raise RuntimeError("planted")
            await real(self, queue)

        monkeypatch.setattr(type(actor), "_look", look)
        await trio.sleep(100)

        assert it.on.backend.supervisor.restarts == 1
        assert sorted(await it.tokens()) == ["a", "running", "running went on"]
        assert set(await it.kinds()) == {"success"}


async def test_h_the_writer_begins_anew_and_each_job_still_runs_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails behind its COMMIT: what is on disk was told to nobody."""
    async with jobs() as it:
        real, fails = StoredWriter.finish, [True]

        def finish(writer: StoredWriter, executed: Any) -> Any:
            done = real(writer, executed)
            if fails and trio.current_time() > 9:
                fails.clear()
                raise RuntimeError("planted")
            return done

        monkeypatch.setattr(StoredWriter, "finish", finish)
        await it.do("schedule", token="a", seconds=10.0)
        await it.do("schedule", token="b", seconds=10.0)
        await trio.sleep(100)

        assert not fails
        assert await it.tokens() == ["a", "b"]
        assert set(await it.kinds()) == {"success"}


# --- The end, and what is forgotten


async def test_i4_a_stop_lets_finish_what_runs_and_marks_what_does_not(
    autojump_clock: MockClock,
) -> None:
    disk = SimDisk(random=Random(1))
    settings = BackendSettings(stop_seconds=10.0)
    async with jobs(disk=disk, settings=settings) as it:
        await it.do("schedule", token="short", what="call_out", lasts=5.0)
        await it.do("schedule", token="long", what="call_out", lasts=500.0)
        await trio.sleep(1)
        await it.do("schedule", token="due", seconds=3.0)

    disk = disk.copy(Random(1))
    async with jobs(disk=disk) as it:
        short, long, due, went_on = await it.ask("states")
        assert (short[0], due[0], went_on[0]) == ("success", "pending", "pending")
        assert long[0] == "failed"
        assert "the server stops" in long[1]
        await trio.sleep(10)
        assert sorted(await it.tokens()) == ["due", "long", "short", "short went on"]


async def test_jobs_are_forgotten_a_week_after_their_end(autojump_clock: MockClock) -> None:
    async with jobs() as it:
        await it.do("schedule_many", seconds=[1.0] * 600)
        await it.do("schedule", token="far", seconds=30 * 86_400.0)
        await trio.sleep(2)
        it.on.runtime.offset_ns += int(KEPT_MS * 1e6) - 100 * SECOND_NS
        await trio.sleep(90)  # Looked for, and nothing is old enough.
        assert len(await it.kinds()) == 601

        await trio.sleep(3600)
        assert await it.kinds() == ["pending"]


async def test_a_client_that_watches_jobs_sees_each_step(autojump_clock: MockClock) -> None:
    async with jobs() as it:
        client = it.on.client()
        client.subscribe("j:states")
        await client.wait_for(lambda: bool(client.results))
        await it.do("schedule", token="a", what="call_out", seconds=5.0, lasts=5.0)
        seen = []
        for seconds in (1, 6, 6):
            await trio.sleep(seconds)
            await it.on.rest()
            [outcome] = client.results.values()
            seen.append(outcome.value[0][0])

        assert seen == ["pending", "inProgress", "success"]


async def test_what_a_job_writes_the_watchers_of_those_rows_are_told(
    autojump_clock: MockClock,
) -> None:
    async with jobs() as it:
        client = it.on.client()
        client.subscribe("j:all_effects")
        await client.wait_for(lambda: bool(client.results))
        await it.do("schedule", token="a", seconds=5.0)
        await trio.sleep(6)
        await it.on.rest()

        [outcome] = client.results.values()
        assert [token for token, _ in outcome.value] == ["a"]


async def test_nobody_calls_the_scheduler_s_own_functions(autojump_clock: MockClock) -> None:
    async with jobs() as it:
        call = Call("_scheduler:add", {"function": "j:work", "args": {"token": "x"}}, Caller())
        outcome = await it.on.backend.mutate(call)

        assert isinstance(outcome.result, Refused)
