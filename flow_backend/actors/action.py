"""The actions' actor: what reaches out of the database runs here, bounded and apart."""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, assert_never

import structlog
import trio
from attrs import define, field

from flow_backend.actors.mailbox import Mailbox, Reply
from flow_backend.actors.messages.calls import Call
from flow_backend.actors.messages.to_action import ActionDone, RunAction
from flow_backend.actors.messages.to_mutation import (
    MutationDone,
    MutationMessage,
    NotDone,
    RunMutation,
)
from flow_backend.actors.messages.to_query import QueryDone
from flow_backend.errors import AppError, FailedCall, InvalidCall, Overloaded
from flow_backend.functions.context import Caller
from flow_backend.functions.function import Action, Function, Kind
from flow_backend.functions.retry import Retry
from flow_backend.functions.runner import Attempt
from flow_backend.functions.versions import AppVersion, Versions
from flow_backend.runtime import Runtime
from flow_backend.storage.base import Done, Refused
from flow_backend.values.encode import decode

logger = structlog.get_logger()


@define(eq=False)
class _Running:
    """An action that was taken: how it ended, if it has, and how to stop it.

    Attributes:
        turns: where it takes its turn, and gives that back.
        deadline: when it is answered at the latest, by trio's clock.
        has_turn: whether it counts among those that run; it does not while it waits to try again.
        failure: a mistake of this actor's own, which its supervisor is to see.
    """

    message: RunAction
    turns: trio.Semaphore
    deadline: float = math.inf
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    ended: trio.Event = field(factory=trio.Event)
    attempt: Attempt | None = None
    has_turn: bool = True
    failure: Exception | None = None


@define(kw_only=True)
class ActionActor:
    """Runs actions: trio coroutines, at most ``running_max`` at once; the others wait their turn.

    Each has two tasks. The action's own stands in ``outside``, since no code can be made to end:
    it may shield itself, or swallow its cancellation. The other keeps its deadline, answers for it
    whatever it does, and then cancels it. It keeps its turn until it really ends.

    An attempt runs on the version of the app that is in force when it begins, to its end. What it
    calls is found by path in the version in force at the call.

    In:   RunAction, from sessions and HTTP requests.
    Out:  RunMutation to the MutationActor, queries to the readers; ActionDone to whoever asked.
    Owns: the running actions and their cancellation.
    """

    inbox: Mailbox[RunAction]
    mutations: Mailbox[MutationMessage]
    query: Callable[[Call], Awaitable[QueryDone]]
    versions: Versions
    runtime: Runtime
    outside: trio.Nursery
    running_max: int = 64
    seconds_max: float = 600.0
    depth_max: int = 8
    pausing_max: int = 1024
    at: RunAction | None = None
    _running: "dict[int, _Running]" = field(factory=lambda: dict[int, _Running]())
    actions: int = 0
    retries: int = 0
    _pausing: int = 0
    _turns: trio.Semaphore = field(init=False)
    _opening: trio.Lock = field(factory=trio.Lock)

    def __attrs_post_init__(self) -> None:
        self._turns = trio.Semaphore(self.running_max)

    @property
    def running(self) -> int:
        """How many actions are under way, or wait for their turn."""
        return len(self._running)

    async def run(self) -> None:
        """Work for ever."""
        # A failure may have left the old lock locked for ever, and taken a turn that nobody has.
        # What it has abandoned gives its turn back to the old ones.
        self._opening = trio.Lock()
        self._turns = trio.Semaphore(self.running_max)
        async with trio.open_nursery() as nursery:
            while True:
                message = await self.inbox.receive()
                # Noted before any wait: if this actor fails meanwhile, its sender is told.
                self.actions += 1
                running = self._running[self.actions] = _Running(message, self._turns)
                await running.turns.acquire()
                running.deadline = trio.current_time() + self.seconds_max
                self.outside.start_soon(self._act, running)
                nursery.start_soon(self._keep, self.actions, running)

    async def _keep(self, number: int, running: "_Running") -> None:
        """Answer for an action, at its deadline at the latest."""
        with trio.move_on_at(running.deadline):
            await running.ended.wait()
        if running.failure is not None:
            raise running.failure
        # What was abandoned meanwhile is answered, and must not be answered again.
        if self._running.pop(number, None) is not None:
            self.at = running.message
            self._answer(running.message, running.attempt or self._too_late(running))
            self.at = None

    def _too_late(self, running: "_Running") -> Attempt:
        running.scope.cancel()
        path = running.message.call.path
        logger.warning("an action took too long", function=path, seconds=self.seconds_max)
        told = Refused(f"{path} took longer than {self.seconds_max:g} s and was ended")
        return Attempt(told, "TooSlow", again=True)

    def _answer(self, message: RunAction, attempt: Attempt) -> None:
        message.reply_to.put(ActionDone(message.request_id, attempt.result, attempt.again))
        if message.http is not None:
            message.http.end()

    async def _act(self, running: "_Running") -> None:
        try:
            with running.scope:
                running.attempt = await self._attempts(running.message.call, running, 0)
        except Exception as error:
            running.failure = error
        finally:
            if running.has_turn:
                running.turns.release()
            running.ended.set()

    # --- Attempts

    async def _attempts(self, call: Call, running: "_Running", depth: int) -> Attempt:
        """Run an action as often as its policy says."""
        retry = self._policy(call, depth)
        failed = 0
        while True:
            attempt = await self._attempt(call, running, depth)
            if not attempt.again:
                return attempt
            failed += 1
            pause = None
            if retry is not None:
                pause = retry.delay_seconds(failed, self.runtime.random)
            if pause is not None and trio.current_time() + pause >= running.deadline:
                pause = None
            logger.warning(
                "an attempt of an action failed",
                function=call.path,
                attempt=failed,
                error=attempt.error,
                again_in_seconds=pause and round(pause, 3),
            )
            if pause is None:
                return attempt
            self.retries += 1
            await self._pause(pause, running, depth)

    def _policy(self, call: Call, depth: int) -> Retry | None:
        # A scheduled run is repeated by the JobActor, which also remembers it over a restart.
        if depth == 0 and call.caller.job is not None:
            return None
        function = self.versions.newest.app.functions.get(call.path)
        return function.retry if isinstance(function, Action) else None

    async def _pause(self, seconds: float, running: "_Running", depth: int) -> None:
        """Wait for the next attempt, and let another action run meanwhile."""
        if depth > 0 or self._pausing >= self.pausing_max:
            await trio.sleep(seconds)
            return
        running.has_turn = False
        running.turns.release()
        self._pausing += 1
        try:
            await trio.sleep(seconds)
        finally:
            self._pausing -= 1
        await running.turns.acquire()
        running.has_turn = True

    async def _attempt(self, call: Call, running: "_Running", depth: int) -> Attempt:
        async def run(function: Function[..., Any], arguments: Mapping[str, object]) -> Any:
            if running.scope.cancel_called:
                raise InvalidCall("this action was ended, and can call nothing any more")
            caller = call.caller
            inside = Caller(caller.identity, admin=True, job=caller.job, action=True)
            return await self._call(version, function, arguments, inside, running, depth + 1)

        await self._open_outgoing()
        http = running.message.http
        with self.versions.using(self.versions.newest) as version:
            if http is None or depth > 0:
                return await version.runner.attempt(call.path, call.args, call.caller, run)
            # It waited for its turn, and another version may have another route there.
            action = version.app.router.find(http.method, http.request.path)
            if action is None:
                return Attempt(Refused(f"{call.path} is no route any more"), "UnknownFunction")
            http.action = action
            return await version.runner.answer(http, call.caller, run)

    async def _open_outgoing(self) -> None:
        """Make ``ctx.http`` before the first action: in a thread, since it takes a while."""
        outgoing = self.versions.newest.runner.outgoing
        if outgoing.is_open:
            return
        async with self._opening:
            if not outgoing.is_open:
                worker = self.runtime.worker("outgoing")
                try:
                    await worker.run(outgoing.open)
                finally:
                    worker.close()

    async def _call(
        self,
        version: AppVersion,
        function: Function[..., Any],
        arguments: Mapping[str, object],
        inside: Caller,
        running: "_Running",
        depth: int,
    ) -> Any:
        """Run a function for an action: a transaction of its own, with the action's caller.

        The server's own code may call internal functions; who asks stays the same.
        """
        if depth > self.depth_max:
            raise InvalidCall(f"calls are nested more than {self.depth_max} deep")
        contract = version.bound.contracts[function.path]
        call = Call(function.path, contract.wire_arguments(arguments), inside)
        match function.kind:
            case Kind.QUERY:
                result = (await self.query(call)).result
            case Kind.MUTATION:
                result = await self._mutate(call)
            case Kind.ACTION:
                result = (await self._attempts(call, running, depth)).result
            case _:
                assert_never(function.kind)
        if isinstance(result, Done):
            return contract.decode_result(result.result)
        if result.data is not None:
            raise AppError(decode(result.data))
        raise FailedCall(result.message)

    async def _mutate(self, call: Call) -> Done | Refused:
        reply = Reply[MutationDone | NotDone]()
        await self.mutations.send(RunMutation(call, reply))
        done = await reply.wait()
        if isinstance(done, NotDone):
            raise Overloaded(done.reason)
        return done.outcome.result

    def abandon(self, reason: str) -> None:
        """After a failure or at the end: stop what is under way, and tell those who asked."""
        abandoned = list(self._running.values())
        self._running.clear()
        for running in abandoned:
            running.scope.cancel()
            self._answer(running.message, Attempt(Refused(reason), "Interrupted", again=True))
