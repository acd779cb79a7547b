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
from flow_backend.server.probe import has_hung_up

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework

_READ_BYTES: Final = 1 << 16
_LOOK_SECONDS: Final = 1.0
_LAST_WORDS_SECONDS: Final = 1.0


@define(eq=False)
class PeekedStream(trio.abc.HalfCloseableStream):
    """A socket of which the first bytes were read already.

    Hypercorn shields what it sends from cancellation, so that a peer which does not read could
    hold a task for ever. Here a send without progress ends by itself, and ``abort`` ends all that
    is done in ``life``.
    """

    socket: socket.socket
    stall_seconds: float
    _first: bytes
    life: trio.CancelScope = field(factory=trio.CancelScope)
    is_read: bool = False
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
                self.is_read = True
                try:
                    await trio.lowlevel.wait_readable(self.socket)
                finally:
                    self.is_read = False
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
        """Read and write no more; ``finish`` closes."""
        if not self._closed:
            self._closed = True
            self.life.cancel()
            trio.lowlevel.notify_closing(self.socket)
        await trio.lowlevel.checkpoint()

    async def finish(self) -> None:
        """Leave the peer a moment to take its last answer, then close.

        Closing a socket that holds unread bytes, such as a body that was refused, resets it, and
        the reset would overtake the answer.
        """
        try:
            with trio.move_on_after(_LAST_WORDS_SECONDS):
                self.socket.shutdown(socket.SHUT_WR)
                while await self._discard():
                    pass
        except (OSError, trio.ClosedResourceError):
            pass  # It has gone, or was aborted.
        self.abort()

    async def _discard(self) -> bool:
        await trio.lowlevel.wait_readable(self.socket)
        return bool(self.socket.recv(_READ_BYTES))

    def abort(self) -> None:
        """Close at once, and end all that is done for this connection.

        Whoever reads or writes is woken; but with requests in a row, hypercorn waits for the end of
        one before it reads on, and would not hear that there is nothing to wait for any more.
        """
        self._closed = True
        self.life.cancel()
        if self.socket.fileno() != -1:
            trio.lowlevel.notify_closing(self.socket)
            self.socket.close()

    @property
    def closed(self) -> bool:
        """Whether nothing more is read or written, though its request may be under way."""
        return self._closed

    def unread(self, data: bytes) -> None:
        """Put bytes back, to be read first."""
        self._first = data + self._first

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError


class _Connection(TCPServer):
    """Hypercorn's connection, which ends when its peer has gone, and speaks HTTP/1.1 alone.

    By itself it would stay until its keep-alive time, or the request that is under way, is over.
    """

    def __init__(self, life: trio.CancelScope, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._life = life

    async def _read_data(self) -> None:
        _stay_with_http_1(self.protocol)
        try:
            await super()._read_data()
        finally:
            # Nobody is left to be answered. What was asked for goes on in its actor.
            self._life.cancel()


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

    ``site`` is what connections to the site port get.

    Owns: the streams that are open.
    """

    app: "ASGIFramework"
    calls: DirectCalls
    settings: Settings
    site: "ASGIFramework | None" = None
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

    async def serve(self, connection: socket.socket, first: bytes, *, site: bool = False) -> None:
        """Serve one connection to its end; ``first`` was read from it. It is closed then."""
        stream = PeekedStream(connection, self.settings.stall_seconds, first)
        self._streams[stream] = None
        try:
            with stream.life:
                await self._answer(stream, self.site if site else None)
            await stream.finish()
        finally:
            del self._streams[stream]
            stream.abort()

    async def _answer(self, stream: PeekedStream, site: "ASGIFramework | None") -> None:
        # Hypercorn says SSLStream, and takes anything that has no handshake for plain TCP.
        as_named = cast("trio.SSLStream[trio.SocketStream]", stream)
        app = ASGIWrapper(site or self.app)
        try:
            if site is not None or await self.calls.serve(stream):
                await _Connection(stream.life, app, self._config, self._context, {}, as_named)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # The peer has gone or does not read, or the server is stopping.

    async def run(self) -> None:
        """Look for ever after connections that nobody reads while a request is under way."""
        while True:
            await trio.sleep(_LOOK_SECONDS)
            for stream in tuple(self._streams):
                if not (stream.closed or stream.is_read) and has_hung_up(stream.socket):
                    stream.abort()

    async def stop(self) -> None:
        """Close idle connections, and the others after the request that is under way."""
        self.calls.stop()
        await self._context.terminated.set()

    def abort(self) -> None:
        """Close all connections at once."""
        for stream in tuple(self._streams):
            stream.abort()
