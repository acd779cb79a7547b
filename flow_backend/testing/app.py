"""``TestApp``: an app with its whole backend in memory, for the tests of whoever writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, Self, TypeVar, overload

from flow_backend.auth.identity import Identity
from flow_backend.errors import InvalidCall, UnknownFunction
from flow_backend.functions.context import Caller, MutationCtx
from flow_backend.functions.function import Action, Function, Kind, Mutation, Query
from flow_backend.functions.limits import Limits
from flow_backend.functions.registry import App
from flow_backend.runtime import ms_of
from flow_backend.schema.document import Document, Instant
from flow_backend.schema.system import ScheduledFunction
from flow_backend.testing.prepared import INSIDE, ask_inside, prepare
from flow_backend.testing.running import RunningApp
from flow_backend.testing.watch import Watch
from flow_backend.values.encode import decode, from_wire

if TYPE_CHECKING:
    from types import ModuleType

    import httpx

    from flow_backend.functions.validate import Contract
    from flow_backend.testing.outside import Outside

P = ParamSpec("P")
R = TypeVar("R")
D = TypeVar("D", bound=Document)

_ISSUER = "https://test.local"


class Calls:
    """Calls an app's functions as somebody, and sees what becomes of it.

    A function is given itself, or by its path. Itself it is called as the server's own code calls
    it: typed, internal ones too. By its path it is called as a client calls it: arguments and
    results are values as they go on the wire, and internal functions are not found.

    Each call returns when nothing is left to do: live queries are up to date, and what was
    scheduled for now has run.

    Raises (each call): the very error that the function raised, such as an AppError.
    """

    def __init__(
        self, running: RunningApp, identity: Identity | None = None, *, is_admin: bool = False
    ) -> None:
        self._running = running
        self._identity = identity
        self._is_admin = is_admin

    @overload
    def query(self, function: Query[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def query(self, function: str, /, **kwargs: object) -> Any: ...
    def query(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run a query once. Arguments go by name."""
        __tracebackhide__ = True
        return self._call(Kind.QUERY, function, args, kwargs)

    @overload
    def mutation(self, function: Mutation[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def mutation(self, function: str, /, **kwargs: object) -> Any: ...
    def mutation(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run a mutation. Arguments go by name."""
        __tracebackhide__ = True
        return self._call(Kind.MUTATION, function, args, kwargs)

    @overload
    def action(self, function: Action[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def action(self, function: str, /, **kwargs: object) -> Any: ...
    def action(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run an action. Arguments go by name. The clock moves on as far as it waits."""
        __tracebackhide__ = True
        return self._call(Kind.ACTION, function, args, kwargs)

    @overload
    def watch(self, function: Query[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Watch[R]: ...
    @overload
    def watch(self, function: str, /, **kwargs: object) -> Watch[Any]: ...
    def watch(self, function: Any, /, *args: Any, **kwargs: Any) -> Watch[Any]:
        """Watch a query, as a client's live query does: look at ``.value`` after each step."""
        __tracebackhide__ = True
        path, contract, wire = self._asked(function, args, kwargs)
        take = from_wire if contract is None else contract.take_result
        return self._running.watch(path, wire, self._caller(contract), take)

    def fetch(
        self,
        method: str,
        path: str,
        *,
        body: bytes | str | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Ask an HTTP route of the app, as somebody outside does; give its whole answer.

        As a user it carries a token, from which the route gets ``ctx.auth.identity``.
        """
        import httpx

        url = f"{_ISSUER}{path}"
        request = httpx.Request(
            method, url, content=body, json=json, headers=headers, params=params
        )
        return self._running.fetch(request, self._identity)

    def _call(
        self, kind: Kind, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        __tracebackhide__ = True
        path, contract, wire = self._asked(function, args, kwargs)
        encoded = self._running.call(kind, path, wire, self._caller(contract))
        return decode(encoded) if contract is None else contract.decode_result(encoded)

    def _asked(
        self,
        function: Function[..., Any] | str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> tuple[str, Contract | None, dict[str, Any]]:
        """Give the path, the contract if the call is typed, and the arguments on the wire."""
        if isinstance(function, str):
            return function, None, dict(kwargs)
        app = self._running.backend.mutation.runner.app
        contract = app.contracts.get(function.path)
        if contract is None or app.function(function.path, internal=True) is not function:
            raise UnknownFunction(
                f"{function!r} is no function of the app {app.app.name!r} that is under test"
            )
        if args:
            raise InvalidCall(f"The arguments of {function!r} go by name, as on the wire.")
        return function.path, contract, contract.wire_arguments(kwargs)

    def _caller(self, contract: Contract | None) -> Caller:
        return Caller(self._identity, admin=self._is_admin or contract is not None)


class TestApp(Calls):
    """An app and its whole backend in memory, with a clock that stands still until it is moved.

    ::

        def test_a_task_is_shown():
            with TestApp("my_app") as app:
                board = app.watch(tasks.list_tasks)
                app.mutation(tasks.add, title="Milk")
                assert [task.title for task in board.value] == ["Milk"]

    Two runs of a test are equal: time, randomness and the order of tasks come from ``now`` and
    ``seed``. No thread is started, nothing is written to a disk and nothing goes to the network.

    Args:
        app: the app's package, or its name, or what ``make_app`` made.
        now: the time at which the test begins: a datetime or its text, with a zone.
        seed: decides all that is left to chance.
        env: what ``ctx.env`` holds.
        http: answers what actions ask of the network: a function of the request, or a transport
            of httpx. Without it such a request fails.
        limits: of one call; by default the server's, but for those on time.

    Raises: AppDefinitionError that says file, line and what is wrong.
    """

    __test__: ClassVar[bool] = False  # Its name is no reason for pytest to run it.

    def __init__(
        self,
        app: App | ModuleType | str,
        *,
        now: datetime | str = "2026-01-01T00:00:00Z",
        seed: int = 0,
        env: Mapping[str, str] | None = None,
        http: Outside | httpx.AsyncBaseTransport | None = None,
        limits: Limits | None = None,
    ) -> None:
        start_ns = int(_ms(now) * 1_000_000)
        running = RunningApp(
            prepare(app), Random(seed), start_ns, dict(env or {}), limits, lambda: _client(http)
        )
        super().__init__(running)

    def __enter__(self) -> Self:
        self._running.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def as_user(self, subject: str = "user", *, issuer: str = _ISSUER, **about: Any) -> Calls:
        """Call as somebody who is signed in.

        ``about`` are attributes of the identity (``name="Anna"``, ``email=…``); ``claims`` are
        what else the token says.
        """
        token_identifier = f"{issuer}|{subject}"
        identity = Identity(
            token_identifier=token_identifier, subject=subject, issuer=issuer, **about
        )
        return Calls(self._running, identity)

    def as_admin(self) -> Calls:
        """Call as ``flow run`` does: by their paths, internal functions too."""
        return Calls(self._running, is_admin=True)

    def set_env(self, **variables: str | None) -> None:
        """Set environment variables, as ``flow env set`` does; None takes one away.

        Raises: InvalidEnvironment if the app declares otherwise.
        """
        self._running.loop.run(lambda: self._running.backend.set_env(variables))

    def function(self, path: str) -> Any:
        """Give a function by its path, to be called as the server's own code calls it."""
        return self._running.backend.mutation.runner.app.function(path, internal=True)

    # --- Time ------------------------------------------------------------------------------------

    @property
    def now(self) -> Instant:
        """The time on the app's clock, ms since the epoch."""
        return Instant(ms_of(self._running.runtime.now_ns()))

    def advance(
        self, *, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0
    ) -> None:
        """Let time go by: jobs, crons and live queries that wait for an instant get theirs."""
        span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        self._running.loop.advance(span.total_seconds())

    def advance_to(self, instant: datetime | str | Instant) -> None:
        """Let time go by until an instant. Raises: ValueError if it has passed."""
        seconds = (_ms(instant) - self.now) / 1000
        if seconds < 0:
            shown = datetime.fromtimestamp(self.now / 1000, UTC).isoformat()
            raise ValueError(f"{instant} has passed: it is {shown} here, and time only goes on")
        self._running.loop.advance(seconds)

    def restart(self, *, down: timedelta = timedelta()) -> None:
        """Stop the server, let time go by without it, and start it again on its database.

        Live queries that were watched end.
        """
        self._running.stop_backend()
        self._running.loop.advance(down.total_seconds())
        self._running.open_backend()

    # --- Jobs ------------------------------------------------------------------------------------

    def jobs(self) -> list[ScheduledFunction]:
        """Give the jobs that wait or run, in the order in which they fall due."""
        found = [job for job in self.rows(ScheduledFunction) if _is_open(job)]
        return sorted(found, key=lambda job: job.due)

    def run_due(self) -> None:
        """Run what is due now to its end; the clock moves on as far as an action waits."""
        self._run_jobs(lambda job: job.state.kind == "inProgress" or job.due <= self.now)

    def run_jobs(self, most: int = 1000) -> None:
        """Let time go by until no job waits any more. Raises: AssertionError after ``most``."""
        self._run_jobs(lambda _: True, most)

    def _run_jobs(self, is_wanted: Callable[[ScheduledFunction], bool], most: int = 1000) -> None:
        for _ in range(most):
            waiting = [job for job in self.jobs() if is_wanted(job)]
            if not waiting:
                return
            if waiting[0].due > self.now:
                self._running.loop.advance((waiting[0].due - self.now) / 1000)
            else:
                self._running.loop.go_on()
        raise AssertionError(f"jobs are still to run after {most} rounds: do they make each other?")

    # --- The database ----------------------------------------------------------------------------

    def run(self, work: Callable[[MutationCtx], R]) -> R:
        """Run plain code in a transaction, to prepare a test or to look at what is stored.

        ``app.run(lambda ctx: ctx.db.insert(Task(title="Milk")))``. What it raises undoes it.
        """
        __tracebackhide__ = True
        results: list[R] = []
        ask_inside(lambda ctx: results.append(work(ctx)))
        self.mutation(INSIDE)
        return results[0]

    def rows(self, table: type[D]) -> list[D]:
        """Give all documents of a table, in the order in which they were made."""
        return self.run(lambda ctx: list(ctx.db.scan(table)))

    @property
    def random(self) -> Random:
        """Chance for the test itself, from its seed; the app's own is apart."""
        return self._running.random


def _client(http: Outside | httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    from flow_backend.testing.outside import make_client  # It brings httpx, which takes a while.

    return make_client(http)


def _is_open(job: ScheduledFunction) -> bool:
    return job.state.kind in {"pending", "inProgress"}


def _ms(instant: datetime | str | float) -> float:
    if isinstance(instant, str):
        instant = datetime.fromisoformat(instant)
    if not isinstance(instant, datetime):
        return instant
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no zone: write 2026-01-01T09:00+01:00, or …Z for UTC")
    return instant.timestamp() * 1000
