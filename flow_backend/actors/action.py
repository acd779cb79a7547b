"""The actions' actor: what reaches out of the database runs here, bounded and apart."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, assert_never

import structlog
import trio
from attrs import define, field

from flow_backend.actors.mailbox import Mailbox, Reply
from flow_backend.actors.messages import (
    ActionDone,
    Call,
    MutationDone,
    MutationMessage,
    NotDone,
    QueryDone,
    RunAction,
    RunMutation,
)
from flow_backend.errors import AppError, FunctionError, InvalidCall, Overloaded
from flow_backend.functions.context import Caller
from flow_backend.functions.function import Function, Kind
from flow_backend.functions.runner import Runner
from flow_backend.runtime import Runtime
from flow_backend.storage.base import Done, Refused
from flow_backend.values.encode import decode

logger = structlog.get_logger()


class FailedCall(FunctionError):
    """A function that an action called has failed; the message is what a client would be told."""


@define(eq=False)
class _Running:
    """An action that was taken, and how to stop it."""

    message: RunAction
    scope: trio.CancelScope = field(factory=trio.CancelScope)


@define(kw_only=True)
class ActionActor:
    """Runs actions: trio coroutines, at most ``running_max`` at once; the others wait their turn.

    In:   RunAction, from sessions and HTTP requests.
    Out:  RunMutation to the MutationActor, queries to the readers; ActionDone to whoever asked.
    Owns: the running actions and their cancellation.
    """

    inbox: Mailbox[RunAction]
    mutations: Mailbox[MutationMessage]
    query: Callable[[Call], Awaitable[QueryDone]]
    runner: Runner
    runtime: Runtime
    running_max: int = 64
    seconds_max: float = 600.0
    depth_max: int = 8
    at: RunAction | None = None
    _running: "dict[int, _Running]" = field(factory=lambda: dict[int, _Running]())
    actions: int = 0
    _opening: trio.Lock = field(factory=trio.Lock)

    @property
    def running(self) -> int:
        """How many actions are under way, or wait for their turn."""
        return len(self._running)

    async def run(self) -> None:
        """Work for ever."""
        turns = trio.Semaphore(self.running_max)
        self._opening = trio.Lock()  # A failure may have left the old one locked for ever.
        async with trio.open_nursery() as nursery:
            while True:
                message = await self.inbox.receive()
                # Noted before any wait: if this actor fails meanwhile, its sender is told.
                self.actions += 1
                running = self._running[self.actions] = _Running(message)
                await turns.acquire()
                nursery.start_soon(self._act, self.actions, running, turns)

    async def _act(self, number: int, running: "_Running", turns: trio.Semaphore) -> None:
        try:
            result = await self._bounded(running)
        finally:
            turns.release()
        # What was abandoned meanwhile is answered, and must not be answered again.
        if self._running.pop(number, None) is not None:
            self.at = running.message
            running.message.reply_to.put(ActionDone(running.message.request_id, result))
            self.at = None

    async def _bounded(self, running: "_Running") -> Done | Refused:
        call = running.message.call
        with running.scope as scope:
            scope.deadline = trio.current_time() + self.seconds_max
            return await self._run(call, 0)
        assert scope.cancelled_caught, call.path
        return Refused(f"{call.path} took longer than {self.seconds_max:g} s and was ended")

    async def _run(self, call: Call, depth: int) -> Done | Refused:
        async def run(function: Function[..., Any], arguments: Mapping[str, object]) -> Any:
            return await self._call(function, arguments, call.caller, depth + 1)

        await self._open_outgoing()
        return await self.runner.action(call.path, call.args, call.caller, run)

    async def _open_outgoing(self) -> None:
        """Make ``ctx.http`` before the first action: in a thread, since it takes a while."""
        outgoing = self.runner.outgoing
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
        function: Function[..., Any],
        arguments: Mapping[str, object],
        caller: Caller,
        depth: int,
    ) -> Any:
        """Run a function for an action: a transaction of its own, with the action's caller."""
        if depth > self.depth_max:
            raise InvalidCall(f"calls are nested more than {self.depth_max} deep")
        contract = self.runner.app.contracts[function.path]
        # The server's own code may call internal functions; who asks stays the same.
        inside = Caller(caller.identity, admin=True, job=caller.job)
        call = Call(function.path, contract.wire_arguments(arguments), inside)
        match function.kind:
            case Kind.QUERY:
                result = (await self.query(call)).result
            case Kind.MUTATION:
                result = await self._mutate(call)
            case Kind.ACTION:
                result = await self._run(call, depth)
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
            message = running.message
            message.reply_to.put(ActionDone(message.request_id, Refused(reason)))
