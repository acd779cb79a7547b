"""The listener: it takes connections, looks at what each wants, and hands it on."""

import errno
import resource
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog
import trio
from attrs import define, field

from flow_backend.actors.gate import Gate
from flow_backend.errors import StartError
from flow_backend.server.addresses import AddressLimits, address_limits
from flow_backend.server.config import Settings
from flow_backend.server.core import BackendFacade
from flow_backend.server.handover import HttpServer
from flow_backend.server.handshake import Opening, OpeningReader, Plain, Refusal, Upgrade, refusal
from flow_backend.server.keep_alive import Wheel
from flow_backend.server.metrics import ServerCounters
from flow_backend.server.pace import UNBOUNDED, MessageRate
from flow_backend.server.socket import WebSocket

BACKLOG: Final = 4096
_ACCEPTS_IN_A_ROW: Final = 64
_FILES_KEPT_FREE: Final = 200
_REFUSALS_AT_ONCE: Final = 100
_REFUSAL_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 0.1
_GOODBYE: Final = "The server is stopping"
_READ_BYTES: Final = 1 << 16
_OUT_OF_MEANS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_CODE: Final = "TooManyConcurrentRequests"
_FULL: Final = refusal(503, _CODE, "The server is full.", retry_after="5")
_TOO_MANY: Final = refusal(
    429, _CODE, "Too many connections from this address; try again.", retry_after="5"
)

_NO_SESSIONS: Final = refusal(
    404, "NotFound", "This port serves HTTP routes alone; clients connect to the main port."
)

log = structlog.stdlib.get_logger("flow.server")


def open_listeners(host: str, port: int, stall_seconds: float) -> list[socket.socket]:
    """Listen on all addresses of ``host``, on one port.

    Raises: StartError, which says why this address cannot be had and what to try.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise StartError(f"There is no address for the host {host!r}: {error}.") from None
    opened: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            chosen = opened[0].getsockname()[1] if opened else port
            opened.append(_listen(family, (address[0], chosen, *address[2:]), stall_seconds))
    except OSError as error:
        for one in opened:
            one.close()
        raise _address_error(host, port, error) from None
    return opened


def open_all_listeners(settings: Settings) -> list[socket.socket]:
    """Listen on the main port, and on the site port if there is one; the main one comes first.

    Raises: StartError.
    """
    opened = open_listeners(settings.host, settings.port, settings.stall_seconds)
    if settings.site_port:
        try:
            opened += open_listeners(settings.host, settings.site_port, settings.stall_seconds)
        except StartError:
            for one in opened:
                one.close()
            raise
    return opened


def _listen(family: int, address: tuple[str | int, ...], stall_seconds: float) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Linux gives both to each connection that is accepted here.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            milliseconds = round(stall_seconds * 1000)
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        listening.bind(address)
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def _address_error(host: str, port: int, error: OSError) -> StartError:
    if error.errno == errno.EADDRINUSE:
        return StartError(
            f"Port {port} on {host} is taken: another server listens there, perhaps one of Flow's. "
            f"`ss -ltnp 'sport = :{port}'` shows which process it is. Stop it, or take another "
            f"port: --port {port + 1} (--port 0 takes any free one)."
        )
    if error.errno == errno.EACCES:
        return StartError(
            f"Port {port} is not allowed for this user: ports below 1024 belong to the system. "
            "Take a higher one, such as --port 3210."
        )
    return StartError(f"The server cannot listen on {host}, port {port}: {error.strerror}.")


@define(kw_only=True)
class Listener:
    """Takes connections and serves each in a task of its own.

    Owns: the connections, their number, and how they end when the server stops.
    """

    settings: Settings
    backend: BackendFacade
    http: HttpServer
    counters: ServerCounters
    listening: Sequence[socket.socket]
    gate: Gate = field(factory=Gate)
    addresses: AddressLimits = field(init=False)
    wheel: Wheel = field(init=False)
    connections_max: int = field(init=False)
    _rate: MessageRate = field(init=False)
    _nursery: trio.Nursery = field(init=False)
    _accepting: trio.CancelScope = field(factory=trio.CancelScope)
    _unopened: dict[socket.socket, None] = field(factory=dict[socket.socket, None])
    _refusals: int = 0
    _gone: trio.Event = field(factory=trio.Event)
    _ended: trio.Event = field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        settings = self.settings
        self.wheel = Wheel(settings)
        self.addresses = address_limits(settings)
        self._rate = MessageRate(
            settings.messages_per_second, settings.messages_burst, settings.rate_seconds
        )
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        bound = settings.connections_max
        if files != resource.RLIM_INFINITY:
            bound = min(bound, max(1, files - _FILES_KEPT_FREE))
        self.connections_max = bound

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until ``stop`` has ended all that was under way."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self.wheel.run)
                nursery.start_soon(self.http.calls.run)
                nursery.start_soon(self.http.run)
                with self._accepting:
                    async with trio.open_nursery() as accepting:
                        for listening in self.listening:
                            accepting.start_soon(self._accept_from, listening)
                        task_status.started()
                await self._gone.wait()
                nursery.cancel_scope.cancel()
        finally:
            self._ended.set()

    # --- Taking connections

    async def _accept_from(self, listening: socket.socket) -> None:
        try:
            while True:
                await trio.lowlevel.wait_readable(listening)
                try:
                    for _ in range(_ACCEPTS_IN_A_ROW):
                        connection, address = listening.accept()
                        self._take(connection, address[0])
                except BlockingIOError:
                    continue
                except OSError as error:
                    # A peer that hung up while it waited here is no reason to pause.
                    if error.errno in _OUT_OF_MEANS:
                        self.counters.accept_pauses += 1
                        await trio.sleep(_PAUSE_SECONDS)
        finally:
            trio.lowlevel.notify_closing(listening)
            listening.close()

    def _take(self, connection: socket.socket, peer: str) -> None:
        connection.setblocking(False)
        self.counters.accepted += 1
        if self.counters.open >= self.connections_max or self.gate.shut:
            self.counters.refused += 1
            self.gate.refusals += self.gate.shut
            self._refuse(connection, _FULL)
            return
        visitor: str | None = None
        # For whom a proxy speaks, only the head says.
        if not self.addresses.is_proxy(peer):
            visitor = self.addresses.key(peer)
            if visitor is not None and not self._admit(visitor):
                self._refuse(connection, _TOO_MANY)
                return
        self.counters.open += 1
        self._nursery.start_soon(self._serve, connection, peer, visitor)

    def _admit(self, visitor: str) -> bool:
        if self.addresses.admit(visitor, trio.current_time()):
            return True
        self.counters.rate_refused += 1
        return False

    def _refuse(self, connection: socket.socket, answer: Refusal) -> None:
        if self._refusals < _REFUSALS_AT_ONCE:
            self._refusals += 1
            self._nursery.start_soon(self._turn_away, connection, answer)
        else:
            connection.close()

    async def _turn_away(self, connection: socket.socket, answer: Refusal) -> None:
        try:
            await _turn_down(connection, answer)
        finally:
            self._refusals -= 1
            _close(connection)

    # --- One connection

    async def _serve(self, connection: socket.socket, peer: str, visitor: str | None) -> None:
        """Serve a connection; ``visitor`` is what its address was counted under, if it was."""
        try:
            site = self._is_site(connection)
            match await self._opening(connection):
                case Upgrade() if site:
                    await _turn_down(connection, _NO_SESSIONS)
                case Upgrade() as upgrade if visitor is not None:
                    await self._serve_session(connection, upgrade, self._rate)
                case Upgrade() as upgrade:
                    await self._serve_forwarded(connection, upgrade, peer)
                case Plain(data) if data:
                    await self.http.serve(connection, data, site=site)
                case Refusal() as refused:
                    await _turn_down(connection, refused)
                case _:
                    pass  # The peer hung up, or was too slow.
        except Exception as error:
            # One connection's mistake is not to end the others.
            self.counters.failures += 1
            log.exception("A connection ended by a mistake of the server's", exc_info=error)
        finally:
            self.counters.open -= 1
            if visitor is not None:
                self.addresses.leave(visitor)
            _close(connection)
            if not self.counters.open and self._accepting.cancel_called:
                self._gone.set()

    def _is_site(self, connection: socket.socket) -> bool:
        # By its port: a supervisor hands listening sockets down without saying what each is for.
        wanted = self.settings.site_port
        return wanted != 0 and connection.getsockname()[1] == wanted

    async def _opening(self, connection: socket.socket) -> Opening | None:
        self._unopened[connection] = None
        try:
            with trio.move_on_after(self.settings.head_seconds):
                return await self._read_opening(connection)
        except (OSError, trio.ClosedResourceError):
            return None  # The peer has gone, or the server is stopping.
        finally:
            del self._unopened[connection]
        self.counters.head_timeouts += 1
        return None

    async def _read_opening(self, connection: socket.socket) -> Opening:
        reader = OpeningReader(self.settings.head_bytes_max, self.settings.origins)
        while True:
            try:
                data = connection.recv(_READ_BYTES)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(connection)
                continue
            if (opening := reader.feed(data)) is not None:
                return opening

    async def _serve_forwarded(
        self, connection: socket.socket, upgrade: Upgrade, peer: str
    ) -> None:
        """Serve a session for whoever is behind a proxy, or whom no rate holds for."""
        visitor = self.addresses.key(self.addresses.origin(peer, upgrade.forwarded))
        if visitor is None:
            await self._serve_session(connection, upgrade, UNBOUNDED)
        elif not self._admit(visitor):
            await _turn_down(connection, _TOO_MANY)
        else:
            try:
                await self._serve_session(connection, upgrade, self._rate)
            finally:
                self.addresses.leave(visitor)

    async def _serve_session(
        self, connection: socket.socket, upgrade: Upgrade, rate: MessageRate
    ) -> None:
        try:
            connection.send(upgrade.answer)
        except OSError:
            return
        client = WebSocket(
            socket=connection,
            start_soon=self._nursery.start_soon,
            pulse=self.wheel.pulse,
            counters=self.counters.sockets,
            message_bytes_max=self.settings.message_bytes_max,
            unsent_bytes_max=self.settings.unsent_bytes_max,
            stall_seconds=self.settings.stall_seconds,
            rate=rate,
            gate=self.gate,
        )
        client.feed(upgrade.rest)
        if self._accepting.cancel_called:
            client.close(1001, _GOODBYE)
        self.counters.sessions += 1
        self.wheel.add(client)
        try:
            await self.backend.run_session(client, upgrade.client)
        finally:
            self.wheel.discard(client)
            self.counters.sessions -= 1
            client.close(1011, "InternalServerError")
        await client.finish(self.settings.linger_seconds)

    # --- The end

    async def stop(self, drain: Callable[[], Awaitable[None]]) -> None:
        """Take no more work, let what was taken be answered, say goodbye, and end.

        ``drain`` returns when the backend has answered all that sessions asked of it. A peer that
        does not read cannot hold this up.
        """
        self._accepting.cancel()
        await self.http.stop()
        for connection in self._unopened:
            trio.lowlevel.notify_closing(connection)
        clients = self.wheel.sockets
        for client in clients:
            client.stop_reading()
        if not self.counters.open:
            self._gone.set()
        with trio.move_on_after(self.settings.stop_seconds):
            await drain()
            for client in clients:
                client.close(1001, _GOODBYE)
            await self._gone.wait()
        for client in clients:
            client.close(1001, _GOODBYE)
        self.http.abort()
        with trio.move_on_after(self.settings.linger_seconds / 2):
            await self._gone.wait()
        for client in clients:
            client.abort()
        with trio.move_on_after(self.settings.linger_seconds / 2):
            await self._gone.wait()
        self._gone.set()
        await self._ended.wait()


async def _turn_down(connection: socket.socket, refused: Refusal) -> None:
    with trio.move_on_after(_REFUSAL_SECONDS):
        await _say_last(connection, refused.answer)


async def _say_last(connection: socket.socket, answer: bytes) -> None:
    """Send an answer and wait until the peer hangs up; else a reset could overtake it."""
    try:
        connection.send(answer)
        connection.shutdown(socket.SHUT_WR)
        while True:
            await trio.lowlevel.wait_readable(connection)
            if not connection.recv(_READ_BYTES):
                return
    except OSError:
        return


def _close(connection: socket.socket) -> None:
    if connection.fileno() != -1:
        trio.lowlevel.notify_closing(connection)
        connection.close()
