"""The client for programs without a loop: scripts, notebooks, other frameworks."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from typing import Any, ParamSpec, Self, TypeVar, overload

import trio

from flow_backend.client.client import Client, connect
from flow_backend.client.connection import ConnectionState
from flow_backend.client.socket import address_of
from flow_backend.client.subscription import Subscription
from flow_backend.client.tokens import FetchToken, TokenSource
from flow_backend.errors import ClientClosed
from flow_backend.functions.function import Action, Mutation, Query
from flow_backend.runtime import LoopThread, SystemRuntime, Worker
from flow_backend.values.value import JsonValue

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
BlockingTokenSource = str | Callable[[bool], str | None] | None


class SyncClient:
    """A :class:`Client` without ``await``: ``with SyncClient(url) as client``.

    It may be used from several threads at once. The connection is held by a thread of its own; a
    call that is interrupted (Ctrl-C) is given up as a cancelled one is.

    Args:
        url, admin_key, acting_as: as for :func:`connect`.
        token: as for :func:`connect`, but a plain function.
        seconds: how long a call may take; None is for ever.

    Raises: ClientError if ``url`` is none.
    """

    def __init__(
        self,
        url: str,
        *,
        token: BlockingTokenSource = None,
        admin_key: str | None = None,
        acting_as: dict[str, JsonValue] | None = None,
        seconds: float | None = None,
    ) -> None:
        address_of(url)
        self.url = url
        self._seconds = seconds
        self._token = token
        self._admin_key, self._acting_as = admin_key, acting_as
        self._client: Client | None = None
        self._worker: Worker | None = None
        self._runtime = SystemRuntime()
        self._loop = LoopThread("flow client", self._serve)
        self._loop.start()

    @overload
    def query(self, function: str, /, **args: Any) -> Any: ...
    @overload
    def query(self, function: Query[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def query(self, function: Any, /, *args: object, **kwargs: object) -> Any:
        """Ask a query once. Raises: as :meth:`Client.query`; TimeoutError."""
        return self._call(lambda: self._made.query(function, *args, **kwargs))

    @overload
    def mutation(self, function: str, /, **args: Any) -> Any: ...
    @overload
    def mutation(self, function: Mutation[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def mutation(self, function: Any, /, *args: object, **kwargs: object) -> Any:
        """Run a mutation, exactly once. Raises: as :meth:`Client.mutation`; TimeoutError."""
        return self._call(lambda: self._made.mutation(function, *args, **kwargs))

    @overload
    def action(self, function: str, /, **args: Any) -> Any: ...
    @overload
    def action(self, function: Action[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def action(self, function: Any, /, *args: object, **kwargs: object) -> Any:
        """Run an action. Raises: as :meth:`Client.action`; TimeoutError."""
        return self._call(lambda: self._made.action(function, *args, **kwargs))

    @overload
    def watch(self, function: str, /, **args: Any) -> Generator[Any, None, None]: ...
    @overload
    def watch(
        self, function: Query[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Generator[R, None, None]: ...
    def watch(
        self, function: Any, /, *args: object, **kwargs: object
    ) -> Generator[Any, None, None]:
        """Watch a query: ``for result in client.watch(f, board=b)``, each time that it changes.

        It ends when the loop is left, and when the query fails, which raises its error. It waits
        as long as it takes.
        """
        return self._watch(self._made.subscribe(function, *args, **kwargs))

    def set_token(self, token: BlockingTokenSource) -> None:
        """Be somebody else from now on; None is nobody."""

        async def change() -> None:
            self._made.set_token(self._source(token))

        self._call(change)

    @property
    def state(self) -> ConnectionState:
        """How the client stands with its server, now."""
        return self._made.state

    def wait_connected(self) -> None:
        """Wait until the server has answered. Raises: TimeoutError."""
        self._call(lambda: self._made.wait_connected())

    def close(self) -> None:
        """End the connection and its thread; calls of other threads raise ClientClosed."""
        self._loop.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _made(self) -> Client:
        assert self._client is not None
        return self._client

    async def _serve(self, ready: Callable[[], None]) -> None:
        self._worker = self._runtime.worker("flow client's tokens")
        try:
            async with connect(
                self.url,
                token=self._source(self._token),
                admin_key=self._admin_key,
                acting_as=self._acting_as,
                runtime=self._runtime,
            ) as self._client:
                ready()
                await trio.sleep_forever()
        finally:
            self._worker.close()

    def _source(self, token: BlockingTokenSource) -> TokenSource:
        if not callable(token):
            return token
        assert self._worker is not None
        return _fetch_in(self._worker, token)

    def _watch(self, subscription: Subscription[R]) -> Generator[R, None, None]:
        self._run(subscription.__aenter__)
        try:
            while True:
                yield self._run(subscription.__anext__)
        finally:
            with suppress(ClientClosed):
                self._run(lambda: subscription.__aexit__(None, None, None))

    def _call(self, work: Callable[[], Awaitable[T]]) -> T:
        if self._seconds is None:
            return self._run(work)
        seconds = self._seconds

        async def bounded() -> T:
            with trio.fail_after(seconds):
                return await work()

        try:
            return self._run(bounded)
        except trio.TooSlowError:
            why = self.state.last_close_reason
            raise TimeoutError(
                f"{self.url} gave no answer within {seconds:g} s"
                + ("" if self.state.connected else f"; there is no connection ({why})")
            ) from None

    def _run(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return self._loop.call(work)
        except trio.RunFinishedError:
            raise ClientClosed("The client was closed.") from None


def _fetch_in(worker: Worker, source: Callable[[bool], str | None]) -> FetchToken:
    async def fetch(force: bool) -> str | None:
        return await worker.run(lambda: source(force))

    return fetch
