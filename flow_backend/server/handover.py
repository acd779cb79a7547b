"""Handing a connection over to hypercorn's HTTP server, together with the bytes already read."""

import socket
from typing import TYPE_CHECKING, Any, Final, cast

import trio
from attrs import define, field
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.protocol import ProtocolWrapper
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext

from flow_backend.server.config import Settings
from flow_backend.server.direct import DirectCalls

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework

_READ_BYTES: Final = 1 << 16


@define(eq=False)
class PeekedStream(trio.abc.HalfCloseableStream):
    """A socket of which the first bytes were read already.

    Hypercorn shields what it sends from cancellation, so that a peer which does not read could
    hold a task for ever. Here a send without progress ends by itself, and ``abort`` ends all.
    """

    socket: socket.socket
    stall_seconds: float
    _first: bytes
    _closed: bool = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Read what has come, the bytes of before first; empty at the end."""
        await trio.lowlevel.checkpoint()
        if self._first:
            data, self._first = self._first, b""
            return data
        while True:
            self._check_open()
            try:
                return self.socket.recv(max_bytes or _READ_BYTES)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self.socket)
            except OSError as error:
                raise trio.BrokenResourceError from error

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of ``data``.

        Raises: BrokenResourceError if the peer has gone, or takes nothing for too long.
        """
        await trio.lowlevel.checkpoint()
        rest = memoryview(data)
        while rest:
            self._check_open()
            try:
                rest = rest[self.socket.send(rest) :]
            except BlockingIOError:
                with trio.move_on_after(self.stall_seconds) as patience:
                    await trio.lowlevel.wait_writable(self.socket)
                if patience.cancelled_caught:
                    self.abort()
                    raise trio.BrokenResourceError("the peer takes nothing") from None
            except OSError as error:
                raise trio.BrokenResourceError from error

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until a send may make progress."""
        self._check_open()
        await trio.lowlevel.wait_writable(self.socket)

    async def send_eof(self) -> None:
        """Say that nothing more will be sent."""
        await trio.lowlevel.checkpoint()
        self._check_open()
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise trio.BrokenResourceError from error

    async def aclose(self) -> None:
        """Close."""
        self.abort()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """Close at once: whoever reads or writes is woken with ClosedResourceError."""
        if not self._closed:
            self._closed = True
            trio.lowlevel.notify_closing(self.socket)
            self.socket.close()

    def unread(self, data: bytes) -> None:
        """Put bytes back, to be read first."""
        self._first = data + self._first

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError


class _Connection(TCPServer):
    """Hypercorn's connection, which ends when its peer has gone, and speaks HTTP/1.1 alone.

    By itself it would stay until its keep-alive time is over.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._over = trio.Event()

    async def _read_data(self) -> None:
        _stay_with_http_1(self.protocol)
        try:
            await super()._read_data()
        finally:
            self._over.set()

    async def _idle_timeout(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end_with_peer, nursery.cancel_scope)
            await super()._idle_timeout()
            nursery.cancel_scope.cancel()

    async def _end_with_peer(self, idle: trio.CancelScope) -> None:
        await self._over.wait()
        idle.cancel()


def _stay_with_http_1(protocol: ProtocolWrapper) -> None:
    """Let nobody talk hypercorn into HTTP/2 without TLS, which no browser speaks.

    There a peer that opens streams and grants no window would keep a hundred answers in memory for
    as long as it likes: nothing is sent that could stall, and a stream that is open is not idle.
    """

    async def ignore(_request: object) -> None:
        await trio.lowlevel.checkpoint()

    # A request to upgrade is then answered in HTTP/1.1, as if it had not asked.
    protocol.protocol._check_protocol = ignore  # type: ignore[union-attr,method-assign]  # noqa: SLF001  # pyright: ignore


@define
class HttpServer:
    """Serves HTTP on connections that it is given: calls directly, the rest as an application.

    Owns: the streams that are open.
    """

    app: "ASGIFramework"
    calls: DirectCalls
    settings: Settings
    _config: Config = field(init=False)
    _context: WorkerContext = field(init=False)
    _streams: dict[PeekedStream, None] = field(factory=dict[PeekedStream, None])

    def __attrs_post_init__(self) -> None:
        self._config = Config()
        self._config.errorlog = None  # The application logs its own mistakes.
        self._config.keep_alive_timeout = self.settings.keep_alive_seconds
        self._config.h11_max_incomplete_size = self.settings.head_bytes_max
        self._config.include_server_header = False
        self._context = WorkerContext(None)

    async def serve(self, connection: socket.socket, first: bytes) -> None:
        """Serve one connection to its end; ``first`` was read from it. It is closed then."""
        stream = PeekedStream(connection, self.settings.stall_seconds, first)
        self._streams[stream] = None
        # Hypercorn says SSLStream, and takes anything that has no handshake for plain TCP.
        as_named = cast("trio.SSLStream[trio.SocketStream]", stream)
        try:
            if not await self.calls.serve(stream):
                return
            await _Connection(ASGIWrapper(self.app), self._config, self._context, {}, as_named)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # The peer has gone or does not read, or the server is stopping.
        finally:
            del self._streams[stream]
            stream.abort()

    async def stop(self) -> None:
        """Close idle connections, and the others after the request that is under way."""
        self.calls.stop()
        await self._context.terminated.set()

    def abort(self) -> None:
        """Close all connections at once."""
        for stream in tuple(self._streams):
            stream.abort()
