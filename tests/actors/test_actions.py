"""Actions: deadlines that hold, retries by policy, turns, and calls that no longer count."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from random import Random
from threading import Event
from typing import Any

import pytest
import structlog
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from flow_backend import ActionCtx, AppError, Document, MutationCtx, Retry, action, mutation
from flow_backend.actors.backend import Backend
from flow_backend.actors.mailbox import Reply
from flow_backend.actors.messages.calls import Call
from flow_backend.actors.messages.to_action import ActionDone, RunAction
from flow_backend.actors.messages.to_mutation import NotDone
from flow_backend.actors.opening import open_backend
from flow_backend.actors.settings import BackendSettings
from flow_backend.errors import AddressRefused, InvalidCall
from flow_backend.functions.context import Caller
from flow_backend.functions.registry import make_app
from flow_backend.schema.document import document
from flow_backend.storage.base import Done, Refused
from flow_backend.storage.sqlite import open_memory_storage
from flow_backend.testing.link import sim_frame
from flow_backend.testing.sim import NoDeadlines, SimRuntime


@document("marks")
class Mark(Document):
    name: str


@mutation
def mark(ctx: MutationCtx, name: str) -> None:
    ctx.db.insert(Mark(name=name))


class Tried:
    """What the actions of this file did, and when."""

    times: list[float]
    refused: list[str]
    let_go: Event

    def __init__(self) -> None:
        self.times, self.refused, self.let_go = [], [], Event()


TRIED = Tried()
POLICY = Retry(attempts=4, first_seconds=8.0, factor=2.0, most_seconds=20.0)


async def attempt(fails: float, how: str) -> str:
    TRIED.times.append(trio.current_time())
    await trio.sleep(1.0)
    if len(TRIED.times) <= fails:
        match how:
            case "no":
                raise AppError("no")
            case "wrong":
                raise AddressRefused("not there")
            case _:
                raise OSError("unreachable")
    return "done"


@action(retry=POLICY)
async def flaky(ctx: ActionCtx, fails: float, how: str = "passing") -> str:
    return await attempt(fails, how)


@action
async def once(ctx: ActionCtx, fails: float) -> str:
    return await attempt(fails, "passing")


@action
async def outer(ctx: ActionCtx, fails: float) -> str:
    return await ctx.run(flaky, fails=fails)


@action
async def wait(ctx: ActionCtx, seconds: float) -> float:
    await trio.sleep(seconds)
    return ctx.clock.now()


@action
async def cling(ctx: ActionCtx, seconds: float) -> None:
    """Go on after the end: what Python allows, an app will do some day."""
    with trio.CancelScope(shield=True):
        await trio.sleep(seconds)
        try:
            await ctx.run(mark, name="late")
        except InvalidCall as error:
            TRIED.refused.append(str(error))


@action
async def swallow(ctx: ActionCtx) -> str:
    while True:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            if TRIED.let_go.is_set():
                raise
            await trio.lowlevel.cancel_shielded_checkpoint()


@action
async def block(ctx: ActionCtx) -> None:
    await ctx.to_thread(TRIED.let_go.wait)


APP = make_app(
    "actions",
    [Mark],
    {f"a:{each.name}": each for each in (flaky, once, outer, wait, cling, swallow, block, mark)},
)


@pytest.fixture(autouse=True)
def _anew():
    """Forget what the test before has tried; let its threads end."""
    TRIED.__init__()  # type: ignore[misc]
    yield
    TRIED.let_go.set()


@asynccontextmanager
async def opened(**settings: Any) -> AsyncGenerator[Backend]:
    runtime = SimRuntime(Random(1), work_seconds_max=0.0)
    storage = open_memory_storage(tuple(APP.schema.tables.values()), now_ns=runtime.now_ns)
    try:
        async with open_backend(
            APP,
            storage,
            runtime,
            text_frame=sim_frame,
            deadlines=NoDeadlines(),
            settings=BackendSettings(**settings),
        ) as backend:
            yield backend
    finally:
        storage.close()


async def act(backend: Backend, name: str, **args: Any) -> Done | Refused:
    return await backend.act(Call(f"a:{name}", args))


async def test_a_failed_action_is_tried_again_by_its_policy(autojump_clock: MockClock) -> None:
    """The waits grow up to the most, less a random half at most; then it succeeds."""
    async with opened() as backend:
        result = await act(backend, "flaky", fails=3.0)

        waits = [b - a - 1.0 for a, b in zip(TRIED.times, TRIED.times[1:], strict=False)]
        assert result == Done(b'"done"')
        assert len(waits) == 3
        for waited, most in zip(waits, (8.0, 16.0, 20.0), strict=True):
            assert most / 2 <= waited <= most
        assert len(set(waits)) == 3


async def test_after_the_last_attempt_the_caller_is_told_its_error(
    autojump_clock: MockClock,
) -> None:
    """And each failed one is in the log by kind, without what it was called with (J11)."""
    # What is made to fail is not logged here otherwise.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(0))
    with capture_logs() as lines:
        async with opened() as backend:
            result = await act(backend, "flaky", fails=9.0, how="secret")

    assert isinstance(result, Refused)
    assert "OSError" in result.message
    failed = [line for line in lines if line["event"] == "an attempt of an action failed"]
    assert [line["attempt"] for line in failed] == [1, 2, 3, 4]
    assert {line["function"] for line in failed} == {"a:flaky"}
    assert {line["error"] for line in failed} == {"OSError"}
    assert "secret" not in str(failed)
    assert "unreachable" not in str(failed)


@pytest.mark.parametrize("how", ["no", "wrong"])
async def test_an_answer_is_not_tried_again(autojump_clock: MockClock, how: str) -> None:
    """An app's no, and an error of the call itself, would only be said again."""
    async with opened() as backend:
        result = await act(backend, "flaky", fails=1.0, how=how)

        assert isinstance(result, Refused)
        assert len(TRIED.times) == 1


async def test_without_a_policy_a_failure_is_final(autojump_clock: MockClock) -> None:
    """Nobody said that it may run twice."""
    async with opened() as backend:
        assert isinstance(await act(backend, "once", fails=1.0), Refused)
        assert len(TRIED.times) == 1


async def test_an_action_that_another_calls_is_tried_again_too(autojump_clock: MockClock) -> None:
    """The policy is the function's, whoever calls."""
    async with opened() as backend:
        assert await act(backend, "outer", fails=1.0) == Done(b'"done"')
        assert len(TRIED.times) == 2


async def test_a_scheduled_run_is_repeated_by_the_scheduler_alone(
    autojump_clock: MockClock,
) -> None:
    """It remembers the attempts over a restart; this one only says whether another could help."""
    async with opened() as backend:
        reply = Reply[ActionDone | NotDone]()
        call = Call("a:flaky", {"fails": 1.0}, Caller(job="a job"))
        backend.action.inbox.put(RunAction(call, reply))
        done = await reply.wait()

        assert isinstance(done, ActionDone)
        assert isinstance(done.result, Refused)
        assert done.again
        assert len(TRIED.times) == 1


async def test_while_one_waits_to_try_again_another_has_its_turn(
    autojump_clock: MockClock,
) -> None:
    """A receiver that is down must not keep all turns busy with waiting."""
    async with opened(actions_running=1) as backend:
        ended: list[str] = []

        async def run(name: str, **args: Any) -> None:
            await act(backend, name, **args)
            ended.append(name)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: run("flaky", fails=1.0))
            await trio.sleep(0.5)
            nursery.start_soon(lambda: run("wait", seconds=1.0))

        assert ended == ["wait", "flaky"]


async def test_the_deadline_ends_an_action_and_its_attempts(autojump_clock: MockClock) -> None:
    """Whoever calls waits no longer than that, retries included."""
    async with opened(action_seconds=10.0) as backend:
        began = trio.current_time()
        waiting = await act(backend, "wait", seconds=60.0)
        assert trio.current_time() - began == 10.0
        trying = await act(backend, "flaky", fails=9.0)

        assert waiting == Refused("a:wait took longer than 10 s and was ended")
        # It is not kept waiting for an attempt that there would be no time for.
        assert isinstance(trying, Refused)
        assert "OSError" in trying.message
        assert trio.current_time() - began < 20.0


async def test_the_deadline_holds_for_an_action_that_shields_itself(
    autojump_clock: MockClock,
) -> None:
    """It is answered in time; it keeps its turn until it ends, and can write nothing more."""
    async with opened(action_seconds=10.0, actions_running=1) as backend:
        began = trio.current_time()
        answer = await act(backend, "cling", seconds=25.0)
        assert trio.current_time() - began == 10.0
        assert answer == Refused("a:cling took longer than 10 s and was ended")

        await act(backend, "wait", seconds=1.0)

        assert trio.current_time() - began == 26.0
        assert TRIED.refused == ["this action was ended, and can call nothing any more"]


async def test_the_deadline_holds_for_an_action_that_swallows_its_end(
    autojump_clock: MockClock,
) -> None:
    """And the server can stop: see test_stop for the process."""
    async with opened(action_seconds=10.0) as backend:
        began = trio.current_time()
        answer = await act(backend, "swallow")

        assert trio.current_time() - began == 10.0
        assert isinstance(answer, Refused)
        TRIED.let_go.set()
        backend.action.outside.cancel_scope.cancel()


async def test_the_deadline_holds_for_blocking_work_in_a_thread() -> None:
    """A thread cannot be ended, so it is left; others of the server are not kept by it."""
    async with opened(action_seconds=0.05, action_threads=1) as backend:
        assert isinstance(await act(backend, "block"), Refused)
        # This one does not even get a thread, and is answered all the same.
        assert isinstance(await act(backend, "block"), Refused)
        await trio.to_thread.run_sync(lambda: None)


async def test_an_action_has_the_present_time(autojump_clock: MockClock) -> None:
    """It is no transaction: after ten minutes of work, the time it began is of no use."""
    async with opened() as backend:
        first = await act(backend, "wait", seconds=0.0)
        later = await act(backend, "wait", seconds=100.0)

        assert isinstance(first, Done)
        assert isinstance(later, Done)
        assert float(later.result) - float(first.result) >= 100_000.0
