"""The Python client: typed calls and live queries, over connections that come and go."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from copy import copy
from typing import Any, ParamSpec, Self, TypeVar, assert_never, overload
from uuid import UUID

import trio
from attrs import define, field

from flow_backend.client.calls import Call, prepare_call
from flow_backend.client.connection import SILENCE_SECONDS, Connection, ConnectionState
from flow_backend.client.outcome import Failure, Fields, Outcome, log_function
from flow_backend.client.queries import OpenQuery
from flow_backend.client.requests import RequestKind, Settled
from flow_backend.client.socket import address_of
from flow_backend.client.state import Changed, ClientState, Confirmed, Ended, Event, Logged, Refused
from flow_backend.client.subscription import Subscription
from flow_backend.client.tokens import Tokens, TokenSource
from flow_backend.errors import ClientClosed, ConnectionLost, FlowError, ServerRefused
from flow_backend.functions.function import Action, Kind, Mutation, Query
from flow_backend.runtime import Runtime, SystemRuntime
from flow_backend.values.value import JsonValue

P = ParamSpec("P")
R = TypeVar("R")


@define(eq=False)
class _Reply:
    """What a caller waits for: an outcome, or an error that has nothing to do with its function."""

    settled: trio.Event = field(factory=trio.Event)
    outcome: Outcome | None = None
    error: FlowError | None = None


class Client:
    """A client of one server; :func:`connect` makes it. It belongs to one trio loop.

    Functions are given as they stand in the app's package, so that type checkers see arguments and
    results; or by path (``"tasks:move"``), with plain values.

    - A **mutation** takes effect exactly once, whatever happens to connections and to the server:
      it is sent until it is answered, under the same number of the same session. The call returns
      when every subscription of this client shows its effect.
    - An **action** is sent once. If the connection is lost meanwhile, ConnectionLost is raised.
    - A **query** is asked once, and its answer is never older than what this client has seen.

    While there is no connection, calls wait for one: bound them with ``trio.fail_after``. One that
    is cancelled before it was sent will not run; a mutation that was sent is sent until answered.
    """

    def __init__(
        self, url: str, tokens: Tokens, runtime: Runtime, silence_seconds: float = SILENCE_SECONDS
    ) -> None:
        bits = runtime.random.getrandbits(128)
        self.url = url
        self._state = ClientState(str(UUID(int=bits, version=4)))
        self._connection = Connection(
            address=address_of(url),
            state=self._state,
            tokens=tokens,
            runtime=runtime,
            on_events=self._take,
            on_change=self._changed,
            silence_seconds=silence_seconds,
        )
        self._replies: dict[int, _Reply] = {}
        self._waiting: dict[int, trio.Event] = {}
        self._moved = trio.Event()
        self._closed: FlowError | None = None

    # --- Calls -----------------------------------------------------------------------------------

    @overload
    async def query(self, function: str, /, **args: Any) -> Any: ...
    @overload
    async def query(self, function: Query[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    async def query(self, function: Any, /, *args: object, **kwargs: object) -> Any:
        """Ask a query once. Arguments go by name.

        Raises: AppError with its data if it said no; FunctionFailed if it failed.
        """
        call = prepare_call(Kind.QUERY, function, args, kwargs)
        query = self.open_query(call)
        try:
            while not query.fresh:
                await self.wait_query(query)
            assert query.outcome is not None
            return _value(call, query.outcome)
        finally:
            self.close_query(query)

    @overload
    async def mutation(self, function: str, /, **args: Any) -> Any: ...
    @overload
    async def mutation(
        self, function: Mutation[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    async def mutation(self, function: Any, /, *args: object, **kwargs: object) -> Any:
        """Run a mutation; return when this client's subscriptions show its effect.

        Raises: as :meth:`query`; nothing has happened then.
        """
        return await self._run("Mutation", prepare_call(Kind.MUTATION, function, args, kwargs))

    @overload
    async def action(self, function: str, /, **args: Any) -> Any: ...
    @overload
    async def action(self, function: Action[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    async def action(self, function: Any, /, *args: object, **kwargs: object) -> Any:
        """Run an action.

        Raises: as :meth:`query`; ConnectionLost if nobody knows how far it came.
        """
        return await self._run("Action", prepare_call(Kind.ACTION, function, args, kwargs))

    @overload
    def subscribe(self, function: str, /, **args: Any) -> Subscription[Any]: ...
    @overload
    def subscribe(
        self, function: Query[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Subscription[R]: ...
    def subscribe(self, function: Any, /, *args: object, **kwargs: object) -> Subscription[Any]:
        """Watch a query: ``async with client.subscribe(f, board=b) as results: async for …``.

        Equal subscriptions of a client are one to the server.
        """
        return Subscription(self, prepare_call(Kind.QUERY, function, args, kwargs))

    # --- Who it is, and how it stands ------------------------------------------------------------

    def set_token(self, token: TokenSource) -> None:
        """Be somebody else from now on: as ``token`` of :func:`connect`; None is nobody.

        What was not answered yet is asked again as the new one, and subscriptions go on.
        """
        if self._closed or isinstance(self._connection.failure, ServerRefused):
            self._check()
        self._connection.restart(Tokens(token))

    @property
    def state(self) -> ConnectionState:
        """How the client stands with its server, now."""
        connection = self._connection
        return ConnectionState(
            connected=self._state.live and self._state.version.query_set > 0,
            connections=self._state.connections,
            retries=connection.retries,
            unanswered=len(self._state.requests.pending),
            last_close_reason=connection.last_close_reason,
            failure=self._closed or connection.failure,
        )

    def states(self) -> "States":
        """Give the state, and again whenever it has changed; a slow reader skips some."""
        return States(self)

    async def wait_connected(self) -> None:
        """Wait until the server has answered. Raises: what ended the connection for good."""
        while not self.state.connected:
            self._check()
            await self.wait_moved()

    async def wait_moved(self) -> None:
        """Wait until the state may have changed."""
        await self._moved.wait()

    @property
    def session_id(self) -> str:
        """What the server knows this client by, over all its connections."""
        return self._state.session_id

    async def run(self) -> None:
        """Be connected, until cancelled; :func:`connect` runs this."""
        await self._connection.run()

    def close(self) -> None:
        """Answer all who wait with ClientClosed, and take no more calls."""
        if self._closed is None:
            self._closed = ClientClosed("The client was closed.")
            self._fail(self._closed)

    # --- What subscriptions are made of ----------------------------------------------------------

    def open_query(self, call: Call) -> OpenQuery:
        """Watch a query; each is closed by :meth:`close_query`."""
        self._check()
        query = self._state.open(call.path, call.args)
        self._connection.wake()
        return query

    def close_query(self, query: OpenQuery) -> None:
        """Stop to watch a query."""
        self._state.close(query)
        if not query.watchers:
            self._waiting.pop(query.id, None)
        self._connection.wake()

    async def wait_query(self, query: OpenQuery) -> None:
        """Wait until something may have changed for a query.

        Raises: what ended the connection for good.
        """
        self._check()
        await self._waiting.setdefault(query.id, trio.Event()).wait()

    # --- What happens ----------------------------------------------------------------------------

    async def _run(self, kind: RequestKind, call: Call) -> Any:
        self._check()
        request = self._state.request(kind, call.path, call.args)
        reply = self._replies[request.id] = _Reply()
        self._connection.wake()
        self._changed()
        try:
            await reply.settled.wait()
        except BaseException:
            if not request.sent:
                self._state.requests.forget(request)
            raise
        finally:
            self._replies.pop(request.id, None)
        if reply.error is not None:
            raise _again(reply.error)
        if reply.outcome is None:
            raise ConnectionLost(
                f"{call.path}: the connection was lost while it ran; whether it came to its end is "
                "not known."
            )
        return _value(call, reply.outcome)

    def _take(self, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case Changed(queries):
                    for query in queries:
                        self._tell(query.id)
                case Settled(request, outcome):
                    reply = self._replies.get(request.id)
                    if reply is not None:
                        reply.outcome = outcome
                        reply.settled.set()
                case Logged(path, lines):
                    log_function(path, lines)
                case Confirmed() | Refused() | Ended():
                    pass  # The connection's own business.
                case _:
                    assert_never(event)
        self._changed()

    def _changed(self) -> None:
        if self._connection.failure is not None:
            self._fail(self._connection.failure)
        moved, self._moved = self._moved, trio.Event()
        moved.set()

    def _tell(self, query_id: int) -> None:
        event = self._waiting.pop(query_id, None)
        if event is not None:
            event.set()

    def _fail(self, error: FlowError) -> None:
        """Raise an error in all who wait."""
        self._state.requests.abandon()
        for reply in self._replies.values():
            reply.error = error
            reply.settled.set()
        for query_id in list(self._waiting):
            self._tell(query_id)
        moved, self._moved = self._moved, trio.Event()
        moved.set()

    def _check(self) -> None:
        error = self._closed or self._connection.failure
        if error is not None:
            raise _again(error)


class States:
    """The states of a client's connection, as an async iterator that ends with the client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._told: ConnectionState | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ConnectionState:
        while (state := self._client.state) == self._told:
            if isinstance(state.failure, ClientClosed):
                raise StopAsyncIteration
            await self._client.wait_moved()
        self._told = state
        return state


@asynccontextmanager
async def connect(
    url: str,
    *,
    token: TokenSource = None,
    admin_key: str | None = None,
    acting_as: dict[str, JsonValue] | None = None,
    runtime: Runtime | None = None,
    silence_seconds: float = SILENCE_SECONDS,
) -> AsyncGenerator[Client]:
    """Be a client of a server, for the length of an ``async with`` block.

    It does not wait for the connection: calls do.

    Args:
        url: the server's address, such as ``http://127.0.0.1:3210``.
        token: a token, or a coroutine function that gives one (or None for nobody). It is called
            with False at first and with True when the last token is used up: shortly before it
            expires, or when the server has refused it.
        admin_key: instead of a token; ``acting_as`` holds the attributes of the user to act as.
        acting_as: ``{"issuer": ..., "subject": ...}`` and further ones.
        runtime: where the wall clock and chance come from.
        silence_seconds: silence of the server after which it is given up.

    Raises: ClientError if ``url`` is none.
    """
    tokens = Tokens(token, _admin(admin_key, acting_as))
    client = Client(url, tokens, runtime or SystemRuntime(), silence_seconds)
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.run)
        try:
            yield client
        except BaseException as error:
            failure = error  # Raised outside, so that the nursery makes no group of it.
        finally:
            client.close()
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _again(error: FlowError) -> FlowError:
    """Give an error for one more caller: each has a traceback of its own."""
    return copy(error).with_traceback(None)


def _admin(key: str | None, acting_as: dict[str, JsonValue] | None) -> Fields | None:
    if key is None:
        return None
    fields: Fields = {"tokenType": "Admin", "value": key}
    return fields if acting_as is None else {**fields, "impersonating": acting_as}


def _value(call: Call, outcome: Outcome) -> Any:
    if isinstance(outcome, Failure):
        raise outcome.error(call.path)
    return call.read(outcome.value)
