"""``ctx.scheduler``: functions that run later, made and canceled with the caller's transaction."""

from collections.abc import Awaitable, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Protocol

import orjson

from flow_backend.errors import (
    InvalidArguments,
    InvalidScheduledFunction,
    InvalidScheduledFunctionDelay,
)
from flow_backend.functions.function import Action, Function, Kind, Mutation
from flow_backend.functions.jobs import NewJob, add_job, cancel_job
from flow_backend.functions.validate import Contract
from flow_backend.records import frozen
from flow_backend.schema.document import Id, Instant
from flow_backend.schema.system import JobRuns, ScheduledFunction
from flow_backend.values.encode import to_wire
from flow_backend.values.sizes import format_size
from flow_backend.values.value import JsonValue

if TYPE_CHECKING:
    from flow_backend.functions.database import WritableDatabase

P = ParamSpec("P")

Job = Id[ScheduledFunction]

FARTHEST_MS: Final = 5 * 365.25 * 86_400_000
"""How far from now a job may be, in either direction."""


@frozen
class MutationScheduler:
    """``ctx.scheduler`` of a mutation: what it makes or cancels is committed with all the rest.

    Jobs run with no identity, in no promised order, never before their time. A mutation takes
    effect exactly once, an action is started at most once.
    """

    _db: "WritableDatabase"
    _job: str | None

    def run_after(
        self,
        seconds: float,
        function: Mutation[P, Any] | Action[P, Any],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Job:
        """Run a function after so many seconds, 0 for as soon as this mutation is committed.

        Arguments go by name, as on the wire.

        Raises: InvalidScheduledFunctionDelay, InvalidScheduledFunction, InvalidArguments;
            TooManyFunctionsScheduled, ScheduledFunctionsArgumentsTooLarge.
        """
        return self.add(function, _by_name(function, args, kwargs), self.after(seconds))

    def run_at(
        self,
        instant: Instant,
        function: Mutation[P, Any] | Action[P, Any],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Job:
        """Run a function at an instant; one that has passed means now.

        Raises: as :meth:`run_after`.
        """
        return self.add(function, _by_name(function, args, kwargs), instant)

    def after(self, seconds: float) -> Instant:
        """Give the instant so many seconds from now.

        Raises: InvalidScheduledFunctionDelay if that is no instant to come.
        """
        if not (isfinite(seconds) and seconds >= 0):
            raise InvalidScheduledFunctionDelay(
                f"run_after takes seconds from now, zero or more, not {seconds!r}"
            )
        return Instant(self._db.transaction.now_ms + seconds * 1000)

    def cancel(self, job: Job, /) -> None:
        """Cancel a job. One that waits never runs; an action that runs goes on.

        What ended stays as it is.

        Raises: InvalidScheduledFunction if there is no such job, or it is this very mutation.
        """
        cancel_job(self._db.transaction, job, asked_by=self._job)

    def add(self, function: Function[..., Any], args: Mapping[str, object], due: float) -> Job:
        """Store a job; see :meth:`run_at`."""
        contract = self._contract(function)
        return self.add_wire(function, contract.wire_arguments(args), due)

    def add_wire(self, function: Function[..., Any], args: JsonValue, due: float) -> Job:
        """Store a job whose arguments are in wire form."""
        db = self._db
        _check_instant(db.transaction.now_ms, due)
        try:
            encoded = orjson.dumps(args, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError as error:
            raise InvalidArguments(f"Invalid arguments for {function.path}: {error}") from None
        most = db.budget.limits.arguments_bytes
        if len(encoded) > most:
            raise InvalidArguments(
                f"Arguments for {function.path} are too large (actual: "
                f"{format_size(len(encoded))}, limit: {format_size(most)})"
            )
        db.budget.schedule(len(encoded))
        stored = orjson.loads(encoded)
        # They are looked at again when the job runs, by an app that may be another then.
        self._contract(function).arguments(stored)
        runs: JobRuns = "action" if function.kind is Kind.ACTION else "mutation"
        new = NewJob(function.path, stored, float(due), runs)
        return Id(add_job(db.transaction, db.seed, new, scheduled_by=self._job))

    def find(self, path: str) -> Function[..., Any]:
        """Find a function of the app by its path.

        Raises: UnknownFunction.
        """
        return self._db.app.function(path, internal=True)

    def _contract(self, function: Function[..., Any]) -> Contract:
        contract = self._db.app.contracts.get(function.path)
        if contract is None or function.kind not in {Kind.MUTATION, Kind.ACTION}:
            reason = "stands in no module of this app" if contract is None else "is neither"
            raise InvalidScheduledFunction(
                f"A mutation or an action of the app can be scheduled; {function!r} {reason}."
            )
        return contract


@frozen
class ActionScheduler:
    """``ctx.scheduler`` of an action: each call is a transaction of its own, and counts at once."""

    _run: "RunForScheduler"

    async def run_after(
        self,
        seconds: float,
        function: Mutation[P, Any] | Action[P, Any],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Job:
        """Run a function after so many seconds; see :meth:`MutationScheduler.run_after`."""
        given = _by_name(function, args, kwargs)
        asked = {"function": function.path, "args": given, "seconds": seconds}
        return Id(await self._run(_ADD, asked))

    async def run_at(
        self,
        instant: Instant,
        function: Mutation[P, Any] | Action[P, Any],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Job:
        """Run a function at an instant; see :meth:`MutationScheduler.run_at`."""
        given = _by_name(function, args, kwargs)
        asked = {"function": function.path, "args": given, "instant": instant}
        return Id(await self._run(_ADD, asked))

    async def cancel(self, job: Job, /) -> None:
        """Cancel a job; see :meth:`MutationScheduler.cancel`."""
        await self._run(_CANCEL, {"job": job})


class RunForScheduler(Protocol):
    """Runs a function for an action: in a transaction of its own."""

    def __call__(
        self, function: Function[..., Any], arguments: Mapping[str, object]
    ) -> Awaitable[Any]:
        """Give what the function returned."""
        ...


class _Ctx(Protocol):
    @property
    def scheduler(self) -> MutationScheduler: ...


def _add(
    ctx: _Ctx,
    function: str,
    args: dict[str, Any],
    seconds: float | None = None,
    instant: float | None = None,
) -> str:
    scheduler = ctx.scheduler
    due = instant if seconds is None else scheduler.after(seconds)
    assert due is not None
    return scheduler.add_wire(scheduler.find(function), to_wire(args), due)


def _cancel(ctx: _Ctx, job: str) -> None:
    ctx.scheduler.cancel(Id(job))


_ADD: Final[Mutation[..., str]] = Mutation(_add, "add", internal=True)
_CANCEL: Final[Mutation[..., None]] = Mutation(_cancel, "cancel", internal=True)

SYSTEM_FUNCTIONS: Final[Mapping[str, Function[..., Any]]] = {
    "_scheduler:add": _ADD,
    "_scheduler:cancel": _CANCEL,
}
"""What every app has beside its own functions; an action's scheduler calls these."""

for _path, _function in SYSTEM_FUNCTIONS.items():
    _function.path = _path


def _check_instant(now_ms: float, due: float) -> None:
    if not abs(due - now_ms) <= FARTHEST_MS:  # Neither is NaN.
        raise InvalidScheduledFunctionDelay(
            f"A function can be scheduled up to 5 years from now, not for {due!r} (ms since the "
            "epoch). Keep far instants in a document, and schedule when they come near."
        )


def _by_name(
    function: Function[..., Any], args: tuple[object, ...], kwargs: Mapping[str, object]
) -> Mapping[str, object]:
    if args:
        raise TypeError(f"the arguments of {function!r} go by name, as on the wire")
    return kwargs
