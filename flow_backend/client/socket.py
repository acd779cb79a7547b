"""A WebSocket to the server that knows when it last heard anything."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import SplitResult, urlsplit

import trio
from attrs import define, frozen

from flow_backend.errors import ClientError, leaves

if TYPE_CHECKING:
    from trio_websocket import WebSocketConnection

VERSION: Final = "0.1.0"
MESSAGE_BYTES_MAX: Final = 256 << 20
_READ_BYTES: Final = 1 << 16


@define
class SocketClosed(Exception):
    """The connection ended, or there was none; ``reason`` is the server's, or what went wrong."""

    reason: str


@frozen
class Address:
    """Where a server is."""

    host: str
    port: int
    secure: bool
    resource: str


def address_of(url: str) -> Address:
    """Read the address of a server, such as ``http://127.0.0.1:3210``.

    Raises: ClientError if that is none.
    """
    parts = urlsplit(url)
    try:
        port = _port(parts)
    except ValueError:
        port = None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port is None:
        raise ClientError(
            f"{url!r} is no address of a server: it begins with http:// or https://, such as "
            "http://127.0.0.1:3210"
        )
    path = parts.path.rstrip("/")
    return Address(parts.hostname, port, parts.scheme == "https", f"{path}/api/sync")


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


class _HeardStream(trio.abc.Stream):
    """A stream that notes when bytes came, so that a long message counts before it is whole.

    ``opening`` is cancelled when it ends: a handshake would wait for ever.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.heard_at = trio.current_time()
        self.opening = trio.CancelScope()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data: bytes | bytearray = b""
        try:
            data = await self._stream.receive_some(max_bytes)
        finally:
            if not data:
                self.opening.cancel()
        self.heard_at = trio.current_time()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


@define
class Socket:
    """An open WebSocket: whole messages in and out."""

    _stream: _HeardStream
    _socket: "WebSocketConnection"

    @property
    def heard_at(self) -> float:
        """When the server last sent anything, on the loop's clock."""
        return self._stream.heard_at

    async def send(self, message: bytes) -> None:
        """Send a message. Raises: SocketClosed."""
        from trio_websocket import ConnectionClosed

        try:
            await self._socket.send_message(message.decode())
        except ConnectionClosed:
            raise SocketClosed(self._why()) from None

    async def receive(self) -> str | bytes:
        """Wait for the next message. Raises: SocketClosed."""
        from trio_websocket import ConnectionClosed

        try:
            return await self._socket.get_message()
        except ConnectionClosed:
            raise SocketClosed(self._why()) from None

    def _why(self) -> str:
        closed = self._socket.closed
        if closed is None:
            return "the connection was closed"
        return closed.reason or f"closed with code {closed.code}"


@asynccontextmanager
async def open_socket(address: Address) -> AsyncGenerator[Socket]:
    """Connect; the block's end drops the connection. Callers set deadlines.

    Raises: SocketClosed if there is no such server.
    """
    # Its import takes a tenth of a second, which a program that never connects need not wait for.
    from trio_websocket import HandshakeError, wrap_client_stream

    stream = _HeardStream(await _open_stream(address))
    refusal: SocketClosed | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                socket = await _handshake(wrap_client_stream, nursery, stream, address)
            except SocketClosed as error:
                refusal = error  # Raised outside, so that the nursery makes no group of it.
            else:
                yield Socket(stream, socket)
            nursery.cancel_scope.cancel()
    except* HandshakeError as errors:  # The reader's task raises what the server answered.
        refusal = _refusal(errors)
    finally:
        await trio.aclose_forcefully(stream)
    if refusal is not None:
        raise refusal


async def _open_stream(address: Address) -> trio.abc.Stream:
    try:
        if not address.secure:
            return await trio.open_tcp_stream(address.host, address.port)
        stream = await trio.open_ssl_over_tcp_stream(address.host, address.port)
        await stream.do_handshake()
    except (OSError, trio.BrokenResourceError) as error:
        raise SocketClosed(f"no connection to {address.host}:{address.port} ({error})") from None
    return stream


async def _handshake(
    wrap: Any, nursery: trio.Nursery, stream: _HeardStream, address: Address
) -> "WebSocketConnection":
    from trio_websocket import ConnectionClosed, HandshakeError

    host = f"[{address.host}]" if ":" in address.host else address.host
    try:
        with stream.opening:
            return cast(
                "WebSocketConnection",
                await wrap(
                    nursery,
                    stream,
                    f"{host}:{address.port}",
                    address.resource,
                    extra_headers=[(b"Convex-Client", f"flow-{VERSION}".encode())],
                    max_message_size=MESSAGE_BYTES_MAX,
                    receive_buffer_size=_READ_BYTES,
                ),
            )
        raise SocketClosed("the server hung up")
    except (HandshakeError, ConnectionClosed) as error:
        raise _refusal(error) from None


def _refusal(error: BaseException) -> SocketClosed:
    from trio_websocket import ConnectionRejected

    for each in leaves(error):
        if isinstance(each, ConnectionRejected):
            body = (each.body or b"").decode(errors="replace")[:200].strip()
            return SocketClosed(f"it answered {each.status_code}: {body}")
    return SocketClosed(f"no WebSocket was opened ({error!r})")
