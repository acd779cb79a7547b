"""Keeps a client connected: the socket, the waits between two tries, and the tokens in time."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

import trio
from attrs import define, field, frozen

from flow_backend.client.socket import Address, Socket, SocketClosed, open_socket
from flow_backend.client.state import ClientState, Confirmed, Ended, Event, Refused
from flow_backend.client.tokens import Tokens
from flow_backend.errors import AuthRejected, FlowError, MalformedMessage, ServerRefused
from flow_backend.runtime import Runtime

INITIAL: Final = "InitialConnect"
SILENCE_SECONDS: Final = 30.0
_FIRST_SECONDS: Final = 0.1
_OVERLOAD_SECONDS: Final = 3.0
_LONGEST_SECONDS: Final = 15.0
_FETCH_AGAIN_SECONDS: Final = 5.0
_OVERLOADS: Final = ("TooMany", "SystemTimeoutError", "ExpiredInQueue", "NotCommitted")

_LOG: Final = logging.getLogger("flow_backend.client")


@frozen
class ConnectionState:
    """How a client stands with its server.

    Attributes:
        connected: whether results are in force and calls are answered.
        connections: how many connections there were.
        retries: how many tries have failed since the server last answered all that it was asked.
        unanswered: mutations and actions under way.
        last_close_reason: why there was no connection, the last time that there was none.
        failure: what ended the connection for good, or until there is another token.
    """

    connected: bool = False
    connections: int = 0
    retries: int = 0
    unanswered: int = 0
    last_close_reason: str | None = None
    failure: FlowError | None = None


@define(eq=False, kw_only=True)
class Connection:
    """Connects for as long as it runs.

    Owns: the socket and the tokens. What the state wants to send goes out; what comes in goes to
    the state, and its events to ``on_events``. ``on_change`` is called when something has changed
    that :class:`ConnectionState` tells.

    Source: the sync protocol, "Closing, reasons, back-off", "Keep-alive" and "What JS does".
    """

    address: Address
    state: ClientState
    tokens: Tokens
    runtime: Runtime
    on_events: Callable[[Sequence[Event]], None]
    on_change: Callable[[], None]
    silence_seconds: float = SILENCE_SECONDS
    retries: int = 0
    last_close_reason: str | None = INITIAL
    failure: FlowError | None = None
    _outgoing: trio.Event = field(factory=trio.Event)
    _resumed: trio.Event = field(factory=trio.Event)
    _scope: trio.CancelScope | None = None
    _reason: str | None = None
    _refusal: str = ""
    _at_once: bool = False

    def wake(self) -> None:
        """Say that there is something to send."""
        self._outgoing.set()

    def restart(self, tokens: Tokens) -> None:
        """Connect anew, as somebody else."""
        self.tokens, self.failure = tokens, None
        self._resumed.set()
        self._end(None, at_once=True)

    async def run(self) -> None:
        """Connect for ever; to be cancelled."""
        while True:
            self._reason, self._at_once = "the connection was closed", False
            self._resumed = trio.Event()
            with trio.CancelScope() as self._scope:
                await self._connect()
            self._scope = None
            self._lose()
            self.last_close_reason = self._reason
            self.on_change()
            if self.failure is not None:
                await self._resumed.wait()
            elif not self._at_once:
                await self._back_off()

    # --- One connection --------------------------------------------------------------------------

    async def _connect(self) -> None:
        try:
            if not await self._token_is_ready():
                return
            with trio.fail_after(self.silence_seconds) as opening:
                async with open_socket(self.address) as socket:
                    opening.deadline = float("inf")
                    await self._talk(socket)
        except SocketClosed as error:
            self._end(error.reason)
        except trio.TooSlowError:
            self._end("InactiveServer")

    async def _talk(self, socket: Socket) -> None:
        self.state.authenticate(self.tokens.wire)
        self.state.begin(self.last_close_reason)
        self.on_change()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write, socket)
            nursery.start_soon(self._watch, socket)
            nursery.start_soon(self._refresh)
            await self._read(socket)

    def _end(self, reason: str | None, *, at_once: bool = False) -> None:
        """End this connection, or the try to open one."""
        self._reason, self._at_once = reason, at_once
        # At once: what is asked from now on is for the next connection.
        self._lose()
        if self._scope is not None:
            self._scope.cancel()

    def _lose(self) -> None:
        if self.state.live:
            self.on_events(self.state.lost())

    async def _read(self, socket: Socket) -> None:
        while True:
            try:
                events = self.state.receive(await socket.receive())
            except SocketClosed as closed:
                return self._end(closed.reason)
            except MalformedMessage as error:
                _LOG.exception("The server breaks the protocol; connecting anew")
                return self._end(str(error))
            if self.state.synced and self.retries:
                self.retries = 0
                self.on_change()
            self.on_events(events)
            for event in events:
                self._obey(event)

    def _obey(self, event: Event) -> None:
        if isinstance(event, Confirmed):
            self.tokens.confirmed()
        elif isinstance(event, Ended):
            self._give_up(ServerRefused(event.message))
        elif isinstance(event, Refused):
            self._refusal = event.message
            if self.tokens.refused():
                self._end(None, at_once=True)
            else:
                self._give_up(AuthRejected(event.message))

    def _give_up(self, error: FlowError) -> None:
        self.failure = error
        self._end(str(error))

    async def _write(self, socket: Socket) -> None:
        outgoing = self.state.outgoing
        try:
            while True:
                while outgoing:
                    await socket.send(outgoing.popleft())
                self._outgoing = trio.Event()
                await self._outgoing.wait()
        except SocketClosed as closed:
            # What the server has said before it closed is still read, and says why.
            _LOG.debug("Nothing more can be sent: %s", closed.reason)

    async def _watch(self, socket: Socket) -> None:
        """A server that is there says something every few seconds."""
        while True:
            until = socket.heard_at + self.silence_seconds
            if until <= trio.current_time():
                break
            await trio.sleep_until(until)
        self._end("InactiveServer")

    # --- Tokens ----------------------------------------------------------------------------------

    async def _token_is_ready(self) -> bool:
        """Fetch a token if one is due. Returns: whether to connect."""
        tokens = self.tokens
        due = tokens.refresh_at is not None and tokens.refresh_at <= trio.current_time()
        if not tokens.stale and not due:
            return True
        try:
            changed = await self._fetch()
        except Exception as error:  # The app's own function: whatever it raises may be over soon.
            _LOG.warning("No token could be fetched (%r); trying again", error)
            self._end(f"no token could be fetched ({error!r})")
            return False
        if tokens.refusals and not changed:
            self._give_up(AuthRejected(self._refusal))
            return False
        return True

    async def _refresh(self) -> None:
        """Have a new token before the one in force expires."""
        while self.tokens.refresh_at is not None:
            await trio.sleep_until(self.tokens.refresh_at)
            try:
                changed = await self._fetch()
            except Exception as error:  # As above.
                _LOG.warning("No new token could be fetched (%r); trying again", error)
                self.tokens.refresh_at = trio.current_time() + _FETCH_AGAIN_SECONDS
                continue
            if changed:
                self.state.authenticate(self.tokens.wire)
                self.wake()
            else:
                self.tokens.refresh_at = None  # The server will say when it is used up.

    async def _fetch(self) -> bool:
        return await self.tokens.fetch(trio.current_time(), self.runtime.now_ns() / 1e9)

    # --- Between two connections -----------------------------------------------------------------

    async def _back_off(self) -> None:
        reason = self.last_close_reason or ""
        first = _OVERLOAD_SECONDS if reason.startswith(_OVERLOADS) else _FIRST_SECONDS
        seconds = min(first * 2**self.retries, _LONGEST_SECONDS)
        seconds *= 0.5 + self.runtime.random.random()
        self.retries = min(self.retries + 1, 30)
        self.on_change()
        # A script whose server is down should not wait in silence.
        level = logging.INFO if self.retries == 1 else logging.WARNING
        _LOG.log(
            level, "Not connected to %s: %s; next try in %.1f s", self.address.host, reason, seconds
        )
        with trio.CancelScope() as self._scope:
            await trio.sleep(seconds)
        self._scope = None
