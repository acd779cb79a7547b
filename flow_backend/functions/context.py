"""What a function is handed: ``ctx``."""

from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

import trio
from attrs import define, field

from flow_backend.auth.identity import Identity
from flow_backend.errors import FlowError
from flow_backend.functions.clock import Clock
from flow_backend.functions.database import Database, WritableDatabase
from flow_backend.functions.function import Function, Mutation, Query
from flow_backend.functions.limits import Limits
from flow_backend.functions.outgoing import Outgoing
from flow_backend.functions.scheduler import ActionScheduler, MutationScheduler
from flow_backend.functions.seed import Seed
from flow_backend.records import frozen
from flow_backend.schema.document import Instant

if TYPE_CHECKING:
    import httpx

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@frozen
class Caller:
    """On whose behalf a function runs. ``admin`` may call internal functions.

    ``job`` is the id of the scheduled function that runs, or that called it; ``action`` says that
    an action calls, which is why its caller may be nobody and call internal functions all the same.
    """

    identity: Identity | None = None
    admin: bool = False
    job: str | None = None
    action: bool = False


NOBODY = Caller()


@define
class Auth:
    """``ctx.auth``: who asks. A live query that looks is run for each identity apart."""

    _identity: Identity | None
    looked: bool = False
    _failure: FlowError | None = None

    @property
    def identity(self) -> Identity | None:
        """The caller's verified identity, or None.

        Raises: AuthRejected or AuthUnavailable in an HTTP route, of whose token that is true.
        """
        self.looked = True
        if self._failure is not None:
            raise self._failure
        return self._identity


@define
class Log:
    """``ctx.log``: lines for the caller's console and the server's log.

    Attributes:
        failure: what admins are told of the error that ended the call.
    """

    _limits: Limits
    lines: list[str] = field(factory=list[str])
    failure: str | None = None

    def debug(self, *values: object) -> None:
        """Log for those who look for a fault."""
        self._add("DEBUG", values)

    def info(self, *values: object) -> None:
        """Log what is worth knowing."""
        self._add("INFO", values)

    def warn(self, *values: object) -> None:
        """Log what may be wrong."""
        self._add("WARN", values)

    def error(self, *values: object) -> None:
        """Log what is wrong."""
        self._add("ERROR", values)

    def _add(self, level: str, values: tuple[object, ...]) -> None:
        most = self._limits.log_lines
        if len(self.lines) == most:
            self.lines.append(f"[WARN] Log overflow (maximum {most}). Remaining log lines omitted.")
        if len(self.lines) > most:
            return
        text = " ".join(f"'{value}'" if isinstance(value, str) else repr(value) for value in values)
        if len(text) > self._limits.log_line_bytes:
            text = text[: self._limits.log_line_bytes] + " (truncated due to length)"
        self.lines.append(f"[{level}] {text}")


class Nested(Protocol):
    """Runs a function inside the call that is under way."""

    def __call__(self, function: Function[..., Any], arguments: Mapping[str, object]) -> Any:
        """Give what the function returns."""
        ...


@frozen
class QueryCtx:
    """What a query is handed."""

    db: Database
    auth: Auth
    clock: Clock
    log: Log
    env: Mapping[str, str]
    _seed: Seed
    _nested: Nested

    @property
    def random(self) -> Random:
        """Randomness that is the same when the call is run again with the same seed."""
        return self._seed.random

    def run(self, function: Query[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run another query in this one's transaction. Arguments go by name."""
        result: R = self._nested(function, _by_name(function, args, kwargs))
        return result


@frozen
class MutationCtx:
    """What a mutation is handed."""

    db: WritableDatabase
    auth: Auth
    clock: Clock
    log: Log
    env: Mapping[str, str]
    _seed: Seed
    _nested: Nested
    _job: str | None = None

    @property
    def random(self) -> Random:
        """Randomness that is the same when the call is run again with the same seed."""
        return self._seed.random

    @property
    def scheduler(self) -> MutationScheduler:
        """Makes functions run later, if this mutation is committed."""
        return MutationScheduler(self.db, self._job)

    def run(
        self, function: Query[P, R] | Mutation[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run another function in this transaction. Arguments go by name.

        A mutation that raises takes back what it wrote itself, and no more: the caller may catch
        the error and go on.
        """
        result: R = self._nested(function, _by_name(function, args, kwargs))
        return result


class RunFromAction(Protocol):
    """Runs a function for an action: in a transaction of its own."""

    async def __call__(self, function: Function[..., Any], arguments: Mapping[str, object]) -> Any:
        """Give what the function returned."""
        ...


@frozen
class ActionClock:
    """``ctx.clock`` of an action, in which time goes on: an action may last for minutes."""

    _now_ms: Callable[[], float]

    def now(self) -> Instant:
        """The present time, ms since the epoch."""
        return Instant(self._now_ms())

    def passed(self, instant: Instant) -> bool:
        """Say whether an instant is over."""
        return self.now() >= instant


@frozen
class ActionCtx:
    """What an action is handed. It has no ``db``: each query or mutation is a transaction."""

    auth: Auth
    clock: ActionClock
    log: Log
    env: Mapping[str, str]
    _seed: Seed
    _run: RunFromAction
    _outgoing: Outgoing
    _threads: trio.CapacityLimiter

    @property
    def http(self) -> "httpx.AsyncClient":
        """The HTTP client that all actions share: ``await ctx.http.get(url)``.

        It calls public addresses alone, and those that whoever runs the server has allowed; another
        one raises AddressRefused. It follows a redirect only where it is asked to.
        """
        return self._outgoing.client

    @property
    def random(self) -> Random:
        """Randomness that is the same when the call is run again with the same seed."""
        return self._seed.random

    @property
    def scheduler(self) -> ActionScheduler:
        """Makes functions run later, at once and whatever becomes of this action."""
        return ActionScheduler(self._run)

    async def run(self, function: Function[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a query, mutation or action. Arguments go by name.

        Raises: FunctionError if it failed; AppError with its data if it said no.
        """
        result: R = await self._run(function, _by_name(function, args, kwargs))
        return result

    async def to_thread(self, work: Callable[[], T]) -> T:
        """Do blocking or long work beside the event loop, in a thread.

        An action that is ended does not wait for it: the thread goes on to its end, unheard.
        """
        return await trio.to_thread.run_sync(
            work, limiter=self._threads, abandon_on_cancel=True, thread_name="action"
        )


def _by_name(
    function: Function[..., Any], args: tuple[object, ...], kwargs: Mapping[str, object]
) -> Mapping[str, object]:
    if args:
        raise TypeError(f"the arguments of {function!r} go by name, as on the wire")
    return kwargs
