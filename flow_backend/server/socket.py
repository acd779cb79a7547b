"""A client's WebSocket: messages in, frames out, and an end that never takes long."""

import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from itertools import islice
from typing import Final

import trio
from attrs import define, field

from flow_backend.actors.gate import Gate
from flow_backend.actors.transport import Disconnected, Drained, Frame
from flow_backend.errors import MalformedMessage, MessageTooLarge
from flow_backend.server.frames import (
    Control,
    FrameRefused,
    MessageReader,
    Opcode,
    close_frame,
    control_frame,
    text_frame,
)
from flow_backend.server.metrics import SocketCounters
from flow_backend.server.pace import UNBOUNDED, MessageRate, Pace
from flow_backend.server.probe import has_hung_up, has_unread, has_untaken
from flow_backend.sync.codec import PING

_READ_BYTES: Final = 1 << 16
_PARTS_MAX: Final = 512
"""How many parts one system call takes; the system's own bound is 1024."""

_MESSAGES_IN_A_ROW: Final = 32
_NO_LINGER: Final = struct.pack("ii", 1, 0)
_PING_FRAME: Final = text_frame([PING])
_PROTOCOL_PING: Final = control_frame(Opcode.PING)

_PACE_SECONDS: Final = 0.05
_TRY_LATER: Final = (1013, "TooManyConcurrentRequests")
_LARGE_BYTES: Final = 1 << 16

StartSoon = Callable[[Callable[[], Awaitable[None]]], None]
"""Starts a task beside the connection's own, in the listener's nursery."""


class _Phase(Enum):
    OPEN = auto()
    CLOSING = auto()  # Our close is written or waits to be; nothing is pushed or received any more.
    ENDED = auto()  # The peer has gone, or was given up.


# Looking a member up in its enum costs more than all else that is done with it here.
_OPEN: Final = _Phase.OPEN
_CLOSING: Final = _Phase.CLOSING
_ENDED: Final = _Phase.ENDED


@define
class Pulse:
    """The time that all sockets share: reading a clock for every frame would cost more than it."""

    now: float = field(factory=trio.current_time)


@define(kw_only=True, eq=False, repr=False)
class WebSocket:
    """The server's end of one WebSocket, after its handshake. It is a Transport.

    Owns: what the peer has not taken yet, and how the connection ends. Whoever opened the socket
    closes it, after ``finish``.

    What is pushed goes to the system at once. A task for writing exists only while a peer is slow,
    so that an idle or quick client costs none.
    """

    socket: socket.socket
    start_soon: StartSoon
    pulse: Pulse
    counters: SocketCounters
    message_bytes_max: int
    unsent_bytes_max: int
    stall_seconds: float
    rate: MessageRate = UNBOUNDED
    gate: Gate = field(factory=Gate)
    _reader: MessageReader = field(init=False)
    _phase: _Phase = _OPEN
    _queue: deque[bytes | memoryview] = field(factory=deque[bytes | memoryview])
    _unsent: int = 0
    _draining: bool = False
    _reading: bool = False
    _deaf: bool = False
    _goodbye: bool = False  # The peer's close has come.
    _broken: bool = False  # What else comes from the peer makes no sense.
    _in_a_row: int = 0
    _pace: Pace = field(init=False)
    _closed_now: trio.Event | None = None
    _drained: list[Drained] = field(factory=list[Drained])
    _when_closed: Drained | None = None
    _heard_at: float = field(init=False)
    _sent_at: float = field(init=False)
    _pinged_at: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._reader = MessageReader(self.message_bytes_max)
        self._heard_at = self._sent_at = self._pinged_at = self.pulse.now
        self._pace = Pace(self.rate, self.pulse.now)

    # --- Receiving

    def feed(self, data: bytes) -> None:
        """Take bytes that came together with the handshake."""
        self._reader.feed(data)

    async def receive(self) -> bytes:
        """Wait for the next message, as UTF-8 text. Pings and closes are answered on the way.

        Raises:
            Disconnected: the peer has gone, or the socket was closed from this end.
            MessageTooLarge: and a close 1009 is under way.
            MalformedMessage: the peer broke the rules of WebSocket; a close is under way.
        """
        if self._in_a_row >= _MESSAGES_IN_A_ROW:
            # One client that sends without a pause must not keep the others waiting.
            self._in_a_row = 0
            await trio.lowlevel.checkpoint()
        while self._phase is _OPEN:
            if self._deaf:
                await self._sleep_until_closed()
            elif self._pace.allowance < 0:
                await self._slow_down()
            elif (message := self._next_message()) is not None:
                self._in_a_row += 1
                self._pace.allowance -= 1
                self.counters.messages_in += 1
                return message
            elif self._phase is _OPEN and self._pace.allowance >= 0:
                self._in_a_row = 0
                await self._read()
        raise Disconnected

    def _next_message(self) -> bytes | None:
        try:
            while isinstance(event := self._reader.next_event(), Control):
                self._answer(event)
                if self._pace.allowance < 0:
                    return None  # Pings count as well.
                if self._phase is not _OPEN:
                    return None  # Behind its close a peer says nothing that counts.
        except FrameRefused as error:
            self._broken = True
            self.close(error.status, error.reason)
            if error.status == 1009:
                raise MessageTooLarge(error.reason) from None
            raise MalformedMessage(error.reason) from None
        return event

    def _answer(self, control: Control) -> None:
        self._pace.allowance -= 1
        match control.opcode:
            case Opcode.PING if self._phase is _OPEN and not self._queue:
                # A peer that does not read gets no pongs: they would only pile up.
                self._write((control_frame(Opcode.PONG, control.payload),))
            case Opcode.CLOSE:
                self._goodbye = True
                self._close_with(control_frame(Opcode.CLOSE, control.payload[:2]))
            case _:
                pass

    async def _read(self) -> None:
        """Wait until bytes have come, or somebody else has ended the wait."""
        self._reading = True
        try:
            await trio.lowlevel.wait_readable(self.socket)
        except trio.ClosedResourceError:
            return  # ``_wake`` did this: look at the state again.
        finally:
            self._reading = False
        try:
            data = self.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self.abort()
            return
        if not data:
            self.abort()
            return
        self._heard_at = self.pulse.now
        self.counters.bytes_in += len(data)
        self._reader.feed(data)
        if self.gate.shut and self._reader.unfinished_bytes > _LARGE_BYTES:
            self.gate.refusals += 1
            self.close(*_TRY_LATER)

    async def _slow_down(self) -> None:
        """Leave the peer unread until it may speak again; give it up if it never learns."""
        self._heard_at = self.pulse.now  # It is we who do not listen.
        if self._pace.earn(trio.current_time()):
            if self._pace.allowance < 0:
                await trio.sleep(_PACE_SECONDS)
            return
        self.counters.too_fast += 1
        self.close(*_TRY_LATER)

    async def _sleep_until_closed(self) -> None:
        """Leave unread what comes."""
        self._closed_now = trio.Event()
        await self._closed_now.wait()

    def stop_reading(self) -> None:
        """Take no more work from the peer; what is pushed still goes out."""
        self._deaf = True
        self._wake()

    # --- Sending

    def push(self, frame: Frame) -> None:
        """Write a frame, never waiting: what the socket does not take at once is kept in order.

        After the end it does nothing.
        """
        if self._phase is not _OPEN:
            return
        if self._unsent > self.unsent_bytes_max:
            # The session holds its rounds back long before this; it is the last line.
            self.counters.overflows += 1
            self.abort()
            return
        self.counters.frames_out += 1
        self._sent_at = self.pulse.now
        self._write(frame)

    @property
    def unsent_bytes(self) -> int:
        """How much the socket has not taken yet."""
        return self._unsent

    def when_drained(self, then: Drained) -> None:
        """Call ``then`` once: now if nothing waits, else as soon as all is written or lost."""
        if self._queue and self._phase is not _ENDED:
            self._drained.append(then)
        else:
            then()

    def _write(self, frame: Frame) -> None:
        if self._queue:
            self._queue.extend(frame)
            self._unsent += sum(map(len, frame))
            return
        try:
            if len(frame) == 1:
                size, sent = len(frame[0]), self.socket.send(frame[0])
            else:
                size, sent = sum(map(len, frame)), self.socket.sendmsg(frame[:_PARTS_MAX])
        except BlockingIOError:
            size, sent = sum(map(len, frame)), 0
        except OSError:
            self.abort()
            return
        self.counters.bytes_out += sent
        if sent == size:
            return
        self._queue.extend(frame)
        self._unsent = size
        self._took(sent)
        if not self._draining:
            self._draining = True
            self.counters.slow += 1
            self.start_soon(self._drain)

    def _took(self, sent: int) -> None:
        """Strike off what the system took."""
        self._unsent -= sent
        while self._queue and sent >= (size := len(self._queue[0])):
            self._queue.popleft()
            sent -= size
        if sent:
            self._queue[0] = memoryview(self._queue[0])[sent:]

    async def _drain(self) -> None:
        try:
            while self._queue and self._phase is not _ENDED:
                with trio.move_on_after(self.stall_seconds) as patience:
                    await self._wait_writable()
                if patience.cancelled_caught:
                    self.counters.stalled += 1
                    self.abort()
                    return
                self._flush()
        finally:
            self._draining = False
        if self._phase is not _ENDED:
            self._all_written()

    async def _wait_writable(self) -> None:
        try:
            await trio.lowlevel.wait_writable(self.socket)
        except trio.ClosedResourceError:
            # ``_wake`` was meant for the reader, or the socket has ended: the caller looks again.
            await trio.lowlevel.checkpoint()

    def _flush(self) -> None:
        if self._phase is _ENDED:
            return
        try:
            sent = self.socket.sendmsg(list(islice(self._queue, _PARTS_MAX)))
        except BlockingIOError:
            return
        except OSError:
            self.abort()
            return
        # A peer that takes what it is sent is alive, though its pong is far behind in the queue.
        self._heard_at = self.pulse.now
        self.counters.bytes_out += sent
        self._took(sent)

    def _all_written(self) -> None:
        if self._phase is _CLOSING:
            self._shut()
            self._wake()
        self._tell_drained()

    def _tell_drained(self) -> None:
        waiting, self._drained = self._drained, []
        for then in waiting:
            then()

    # --- Keep-alive, called by the wheel

    def beat(self, ping_after: float, message_after: float, silence_max: float) -> None:
        """Do what silence asks for: ping the peer, show it a sign of life, or give it up."""
        if self._phase is _OPEN and not self._reading and has_hung_up(self.socket):
            self.abort()  # Whoever reads finds this out by itself.
        if self._phase is not _OPEN or self._queue:
            return  # A slow peer is judged by its progress, in ``_drain``.
        now = self.pulse.now
        if now - self._heard_at >= silence_max and not (
            has_untaken(self.socket) or has_unread(self.socket)
        ):
            self.counters.silent += 1
            self.close(1011, "InternalServerError: no sign of life from the client")
            return
        if now - max(self._heard_at, self._pinged_at) >= ping_after:
            self._pinged_at = now
            self._write((_PROTOCOL_PING,))
        if now - self._sent_at >= message_after:
            self.push(_PING_FRAME)

    # --- The end

    @property
    def closed(self) -> bool:
        """Whether nothing more is received or pushed."""
        return self._phase is not _OPEN

    def close(self, code: int, reason: str) -> None:
        """Close after what was pushed. Never waits; ``receive`` raises Disconnected from now on."""
        self._close_with(close_frame(code, reason))

    def _close_with(self, frame: bytes) -> None:
        if self._phase is not _OPEN:
            return
        self._phase = _CLOSING
        self._tell_closed()
        self._write((frame,))
        # Writing may have found that the peer has gone.
        if self._phase is _CLOSING and not self._queue:
            self._shut()
        self._wake()

    def _shut(self) -> None:
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.abort()

    def abort(self) -> None:
        """Give the peer up at once: what was not written is lost."""
        if self._phase is _ENDED:
            return
        self._phase = _ENDED
        self._queue.clear()
        self._unsent = 0
        self._wake(writer=True)
        self._tell_drained()
        self._tell_closed()

    def when_closed(self, then: Drained) -> None:
        """Call ``then`` when the connection has ended, though nobody reads; now if it has."""
        if self._phase is _OPEN:
            self._when_closed = then
        else:
            then()

    def _tell_closed(self) -> None:
        then, self._when_closed = self._when_closed, None
        if then is not None:
            then()

    def _wake(self, *, writer: bool = False) -> None:
        if self._closed_now is not None and self._phase is not _OPEN:
            self._closed_now.set()
        if self._reading or (writer and self._draining):
            trio.lowlevel.notify_closing(self.socket)

    async def finish(self, linger_seconds: float) -> None:
        """Wait until the peer has answered the close or hung up, at most ``linger_seconds``.

        Closing a socket that holds unread bytes would reset it, and the peer would lose the last
        words. Afterwards the socket may be closed.
        """
        self.close(1011, "InternalServerError")
        with trio.move_on_after(linger_seconds) as patience:
            while self._phase is not _ENDED and (self._queue or not self._goodbye):
                await self._discard()
        if patience.cancelled_caught and (self._queue or has_untaken(self.socket)):
            # Without this the system would go on sending to a peer that was given up.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.abort()

    async def _discard(self) -> None:
        """Read what comes after our close, only to find the peer's."""
        self._reading = True
        try:
            await trio.lowlevel.wait_readable(self.socket)
            data = self.socket.recv(_READ_BYTES)
        except (trio.ClosedResourceError, BlockingIOError):
            return
        except OSError:
            data = b""
        finally:
            self._reading = False
        if not data:
            self.abort()
        elif not self._broken:
            self._look_for_close(data)

    def _look_for_close(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (event := self._reader.next_event()) is not None:
                if isinstance(event, Control) and event.opcode is Opcode.CLOSE:
                    self._goodbye = True
        except FrameRefused:
            self._broken = True
