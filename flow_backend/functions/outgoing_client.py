"""The client behind ``ctx.http``: imported by the first action, since httpx is slow to load."""

import socket
from collections.abc import AsyncIterator, Iterable
from functools import partial
from math import inf
from typing import Any, cast

import httpcore
import httpx
import trio

from flow_backend.functions.outgoing import (
    CONNECT_SECONDS,
    CONNECTIONS_MAX,
    READ_SECONDS,
    Network,
    choose_addresses,
)

USER_AGENT = "flow-backend"
_LOOKUPS_MAX = 32
_AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections for httpcore, to allowed addresses alone."""

    def __init__(self, allowed: tuple[Network, ...]) -> None:
        self._allowed = allowed
        self._lookups = trio.CapacityLimiter(_LOOKUPS_MAX)
        # To type checkers it may also be a class that says trio is missing.
        self._backend = cast("httpcore.AsyncNetworkBackend", httpcore.TrioBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of the host's allowed addresses that answers.

        Raises: AddressRefused; httpcore.ConnectError, httpcore.ConnectTimeout.
        """
        found = await self._resolve(host, port, timeout)
        failure: Exception | None = None
        for address in choose_addresses(host, found, self._allowed):
            try:
                return await self._backend.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = failure or error
        assert failure is not None
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: sockets of this machine are not public."""
        raise httpcore.ConnectError("actions may not call sockets of this machine")

    async def sleep(self, seconds: float) -> None:
        """Wait, for httpcore's own retries."""
        await trio.sleep(seconds)

    async def _resolve(self, host: str, port: int, timeout: float | None) -> list[str]:
        with trio.move_on_after(CONNECT_SECONDS if timeout is None else timeout):
            try:
                infos = await self._look_up(host, port)
            except (OSError, UnicodeError) as error:
                raise httpcore.ConnectError(f"{host} has no address: {error}") from error
            return [str(info[4][0]) for info in infos]
        raise httpcore.ConnectTimeout(f"the address of {host} could not be found in time")

    async def _look_up(self, host: str, port: int) -> "list[_AddressInfo]":
        def numeric() -> "list[_AddressInfo]":
            return socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )

        try:
            return numeric()
        except socket.gaierror:
            pass  # It is a name.
        # Not in trio's own threads: a name server that hangs would keep all of them.
        return await trio.to_thread.run_sync(
            partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM),
            limiter=self._lookups,
            abandon_on_cancel=True,
            thread_name="name lookup",
        )


class _Turn(httpx.AsyncByteStream):
    """A response's body, whose end gives its request's turn to the next one."""

    def __init__(self, body: httpx.AsyncByteStream, turns: trio.Semaphore) -> None:
        self._body = body
        self._turns = turns
        self._is_over = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._body:
            yield piece

    async def aclose(self) -> None:
        try:
            await self._body.aclose()
        finally:
            if not self._is_over:
                self._is_over = True
                self._turns.release()


class _GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport over a pool that asks :class:`GuardedBackend` for connections.

    Requests wait for their turn here and not in the pool: with hundreds that wait, and end one by
    one, the pool's own bookkeeping holds up the event loop for seconds.
    """

    def __init__(self, allowed: tuple[Network, ...]) -> None:
        super().__init__()
        # httpx has no argument for this; its version is pinned, and a test calls through it.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=20,
            keepalive_expiry=15.0,
            network_backend=GuardedBackend(allowed),
        )
        self._turns = trio.Semaphore(CONNECTIONS_MAX)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request once fewer than :data:`CONNECTIONS_MAX` others are under way.

        Raises: httpx.PoolTimeout if its turn does not come in the time that the request allows.
        """
        timeouts = request.extensions.get("timeout", {})
        seconds = timeouts.get("pool")
        with trio.move_on_after(inf if seconds is None else seconds) as waiting:
            await self._turns.acquire()
        if waiting.cancelled_caught:
            raise httpx.PoolTimeout("too many requests are under way", request=request)
        try:
            response = await super().handle_async_request(request)
        except BaseException:
            self._turns.release()
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream), response
        response.stream = _Turn(response.stream, self._turns)
        return response


def make_client(allowed: tuple[Network, ...]) -> httpx.AsyncClient:
    """Make a client that calls public addresses and those of ``allowed``.

    It takes no proxy and no password from the environment: what a proxy calls cannot be checked.
    """
    return httpx.AsyncClient(
        transport=_GuardedTransport(allowed),
        timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
        headers={"User-Agent": USER_AGENT},
        trust_env=False,
    )
