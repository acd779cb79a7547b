"""A whole backend on a loop that a test steps: what :class:`TestApp` stands on."""

from __future__ import annotations

from functools import partial
from math import inf
from random import Random
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import define, field

from flow_backend.actors.backend import Backend
from flow_backend.actors.messages.calls import Call, SessionKey
from flow_backend.actors.messages.to_query import CloseSession, OpenSession
from flow_backend.actors.opening import open_backend
from flow_backend.actors.session import Authenticated
from flow_backend.actors.settings import BackendSettings
from flow_backend.errors import AppError, AuthRejected, FunctionError
from flow_backend.functions.context import Caller
from flow_backend.functions.function import Kind
from flow_backend.functions.limits import Limits, ThreadDeadlines
from flow_backend.server.config import Settings
from flow_backend.server.frames import text_frame
from flow_backend.server.routes import AppRoutes
from flow_backend.storage.base import Done, Refused
from flow_backend.sync.messages import Add, QueryId
from flow_backend.testing.stepped import SteppedLoop, SteppedRuntime
from flow_backend.testing.watch import Watch
from flow_backend.values.encode import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

    from flow_backend.auth.identity import Identity
    from flow_backend.storage.base import Storage
    from flow_backend.testing.prepared import Prepared
    from flow_backend.values.value import JsonValue

# Its thread outlives a call, so there is one for all tests.
_DEADLINES: Final = ThreadDeadlines()
NO_TIME_LIMIT: Final = Limits(cpu_seconds=None, total_seconds=None)
_DAY: Final = 86_400.0
_BASE: Final = "flow_backend."
_URL: Final = "http://test.local"
# Of trio's own threads, which work for actions beside their ``to_thread``.
_default_threads: Final = trio.to_thread.current_default_thread_limiter


@define(eq=False)
class RunningApp:
    """The backend of one test.

    Attributes:
        raised: the errors themselves, by what a client is told of them.
    """

    prepared: Prepared
    random: Random
    start_ns: int
    env: Mapping[str, str]
    limits: Limits | None
    make_client: Callable[[], httpx.AsyncClient]
    raised: dict[str, BaseException] = field(factory=dict[str, BaseException], init=False)
    loop: SteppedLoop = field(init=False)
    runtime: SteppedRuntime = field(init=False)
    storage: Storage = field(init=False)
    _backend: Backend | None = field(default=None, init=False)
    _leave: trio.Event = field(factory=trio.Event, init=False)
    _left: trio.Event = field(factory=trio.Event, init=False)
    _identities: dict[str, Identity] = field(factory=dict[str, "Identity"], init=False)
    _sessions: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        # Sources of their own, so that what one of them is asked more often changes no other.
        self.loop = SteppedLoop(Random(self.random.getrandbits(64)), self._is_busy)
        chance = Random(self.random.getrandbits(64))
        self.runtime = SteppedRuntime(chance, self.loop.clock, self.start_ns)

    # --- Start and end ---------------------------------------------------------------------------

    def open(self) -> None:
        """Start. Raises: AppDefinitionError."""
        self.storage = self.prepared.open_storage(self.runtime.now_ns)
        try:
            numbers = {str(name): each for name, each in self.storage.table_numbers.items()}
            self.prepared.app.bind(numbers)  # Its errors are to come from here.
            self.loop.start()
            self.open_backend()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all that runs, and drop the database."""
        try:
            self.loop.close()
        finally:
            self.storage.close()

    @property
    def backend(self) -> Backend:
        """The backend. Raises: RuntimeError if it is not running."""
        if self._backend is None:
            raise RuntimeError("This TestApp does not run: use it as `with TestApp(…) as app:`.")
        return self._backend

    def open_backend(self) -> None:
        """Start the server on the database as it is."""
        self._leave, self._left = trio.Event(), trio.Event()
        self.loop.begin(self._hold)

    def stop_backend(self) -> None:
        """Stop the server as on a signal: what it has accepted is answered."""

        async def leave() -> None:
            self._leave.set()
            await self._left.wait()

        self.loop.run(leave)

    async def _hold(self) -> None:
        settings = BackendSettings(
            limits=self.limits or NO_TIME_LIMIT, readers=1, env=self.env, look_seconds=inf
        )
        opened = open_backend(
            self.prepared.app,
            self.storage,
            self.runtime,
            text_frame=text_frame,
            deadlines=_DEADLINES,
            settings=settings,
            verify_user=self._verify,
        )
        try:
            async with opened as backend:
                self._backend = backend
                runner = backend.mutation.runner
                runner.on_refusal = self._note
                # Nothing is to wake it each hour of a year that goes by at once.
                backend.jobs.forget_seconds = _DAY
                runner.outgoing.make = lambda _: self.make_client()
                await self._leave.wait()
        finally:
            self._backend = None
        self._left.set()

    def _is_busy(self) -> bool:
        backend = self._backend
        if backend is not None and backend.mutation.runner.threads.borrowed_tokens:
            return True
        return _default_threads().borrowed_tokens > 0

    # --- Calls -----------------------------------------------------------------------------------

    def call(self, kind: Kind, path: str, args: Mapping[str, Any], caller: Caller) -> bytes:
        """Run a function to its end. Returns: its encoded result.

        Raises: what the function raised, itself.
        """
        __tracebackhide__ = True
        self.raised.clear()
        result = self.loop.run(partial(self._result, kind, Call(path, dict(args), caller)))
        if isinstance(result, Done):
            return result.result
        raise self.error_of(result.message, result.data)

    async def _result(self, kind: Kind, call: Call) -> Done | Refused:
        if kind is Kind.QUERY:
            return (await self.backend.query(call)).result
        if kind is Kind.MUTATION:
            return (await self.backend.mutate(call)).result
        return await self.backend.act(call)

    def error_of(self, message: str, data: bytes | None) -> BaseException:
        """Give the error that a client was told of; its traceback begins in the app."""
        error = self.raised.get(message)
        if error is None:
            return FunctionError(message) if data is None else AppError(decode(data))
        trace = error.__traceback__
        while trace is not None and _is_ours(trace.tb_frame.f_globals.get("__name__")):
            trace = trace.tb_next
        return error.with_traceback(trace)

    def _note(self, refused: Refused, error: BaseException) -> None:
        self.raised[refused.message] = error

    # --- Live queries ----------------------------------------------------------------------------

    def watch(
        self, path: str, args: dict[str, JsonValue], caller: Caller, take: Callable[[Any], Any]
    ) -> Watch[Any]:
        """Watch a query, as a client does."""
        self._sessions += 1
        session = SessionKey(self._sessions)
        queries = self.backend.query_actor.inbox

        async def close() -> None:
            queries.put(CloseSession(session))

        watch = Watch[Any](take, self._live_error, lambda: self.loop.run(close))
        opening = OpenSession(
            session, watch, caller, queries=(Add(QueryId(0), path, args),), wants_round=True
        )

        async def begin() -> None:
            queries.put(opening)

        self.loop.run(begin)
        assert watch.changes, path
        return watch

    def _live_error(self, told: Mapping[str, Any]) -> Exception:
        error = self.raised.get(told["errorMessage"])
        if isinstance(error, Exception):
            return error
        return FunctionError(told["errorMessage"])

    # --- HTTP routes -----------------------------------------------------------------------------

    def fetch(self, request: httpx.Request, identity: Identity | None) -> httpx.Response:
        """Ask an HTTP route of the app; the whole body of its answer is there."""
        import httpx

        if identity is not None:
            self._identities[identity.key] = identity
            request.headers["authorization"] = f"Bearer {identity.key}"
        routes = AppRoutes(lambda: self.prepared.app.router, self.backend, Settings())
        transport = httpx.ASGITransport(routes)

        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=transport, base_url=_URL) as client:
                return await client.send(request)

        return self.loop.run(ask)

    async def _verify(self, token: str) -> Authenticated:
        await trio.lowlevel.checkpoint()
        if (identity := self._identities.get(token)) is None:
            raise AuthRejected("This token is none that as_user() has made.", "NoAuthProvider")
        return Authenticated(Caller(identity))


def _is_ours(module: object) -> bool:
    return str(module).startswith(_BASE)
