"""A connection in memory: it delays, it can be cut, and its reader may be slow."""

from collections import deque
from collections.abc import Sequence
from typing import Final

import trio
from attrs import define, field

from flow_backend.actors.transport import Disconnected, Drained, Frame
from flow_backend.testing.sim import SimRuntime

ABNORMAL: Final = 1006
"""The close code that a client sees when its socket just ends."""


_END: Final = b"\n"


def sim_frame(parts: Sequence[bytes]) -> Frame:
    """Frame a message, in the place of a WebSocket header: JSON as it is sent has no line ends."""
    return (*parts, _END)


@define
class LinkClosed(Exception):
    """The connection has ended, as its client sees it; ``code`` is the WebSocket's."""

    code: int
    reason: str = ""


@define
class _Pipe:
    """One direction: messages in order, then an end."""

    messages: deque[bytes] = field(factory=deque[bytes])
    arrived: trio.Event = field(factory=trio.Event)
    is_ended: bool = False

    def add(self, message: bytes) -> None:
        self.messages.append(message)
        self.arrived.set()

    def end(self) -> None:
        self.is_ended = True
        self.arrived.set()

    async def wait(self) -> bool:
        """Wait for a message or the end. Returns: whether there is a message."""
        while not self.messages:
            if self.is_ended:
                return False
            self.arrived = trio.Event()
            await self.arrived.wait()
        return True


@define
class _Gate:
    """One direction's way through the network: closed, nothing passes until it is opened."""

    is_held: bool = False
    moved: trio.Event = field(factory=trio.Event)

    def hold(self) -> None:
        self.is_held = True

    def open(self) -> None:
        self.is_held = False
        self.moved.set()

    async def wait(self) -> None:
        while self.is_held:
            self.moved = trio.Event()
            await self.moved.wait()


@define(eq=False, kw_only=True)
class SimLink:
    """One connection, with both of its ends.

    The server's end implements :class:`flow_backend.actors.transport.Transport`. The client's end
    is ``send``, ``receive_message`` and ``cut``; the network's are ``hold`` and ``release``.

    Attributes:
        window_bytes: what the network takes before the server's writes begin to wait.
        delay_seconds_max: how long a message is under way, at most.
        linger_seconds: how much later than its client the server sees a cut.
    """

    runtime: SimRuntime
    window_bytes: int = 65_536
    delay_seconds_max: float = 0.01
    linger_seconds: float = 0.0
    close_code: int | None = None
    close_reason: str = ""
    _up: _Pipe = field(factory=_Pipe)
    _down: _Pipe = field(factory=_Pipe)
    _up_gate: _Gate = field(factory=_Gate)
    _down_gate: _Gate = field(factory=_Gate)
    _queued_bytes: int = 0
    _drained: list[Drained] = field(factory=list[Drained])
    _when_closed: Drained | None = None

    # --- The server's end ------------------------------------------------------------------------

    async def receive(self) -> bytes:
        """Wait for the client's next message.

        Raises: Disconnected.
        """
        if self.close_code is not None or not await self._up.wait():
            if self.linger_seconds:
                await trio.sleep(self.linger_seconds)
            await self._up_gate.wait()
            raise Disconnected
        await self._up_gate.wait()
        if self.delay_seconds_max:
            await self.runtime.pause(self.delay_seconds_max)
        if self.close_code is not None or not self._up.messages:
            raise Disconnected
        return self._up.messages.popleft()

    def push(self, frame: Frame) -> None:
        """Write frames of :func:`sim_frame`; after the end it does nothing."""
        if self.close_code is not None or self._down.is_ended:
            return
        for message in b"".join(frame).split(_END)[:-1]:
            self._queued_bytes += len(message)
            self._down.add(message)

    @property
    def unsent_bytes(self) -> int:
        """How much the network has not taken yet."""
        return 0 if self._down.is_ended else max(0, self._queued_bytes - self.window_bytes)

    def when_drained(self, then: Drained) -> None:
        """Call ``then`` once: now if nothing waits, else when the network has taken all."""
        if self.unsent_bytes:
            self._drained.append(then)
        else:
            then()

    def when_closed(self, then: Drained) -> None:
        """Call ``then`` when the connection has ended, as far as the server can see."""
        self._when_closed = then

    def close(self, code: int, reason: str) -> None:
        """Close after what was pushed."""
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason
            self._down.end()
            self._up.end()
            self._up_gate.open()
            self._tell_drained()
            self._tell_closed()

    # --- The client's end ------------------------------------------------------------------------

    def send(self, message: bytes) -> None:
        """Send a message; on a connection that has ended it is lost."""
        if not self._up.is_ended:
            self._up.add(message)

    async def receive_message(self) -> bytes:
        """Wait for the server's next message.

        Raises: LinkClosed.
        """
        arrived = await self._down.wait()
        await self._down_gate.wait()
        if not arrived:
            code = ABNORMAL if self.close_code is None else self.close_code
            raise LinkClosed(code, self.close_reason)
        if self.delay_seconds_max:
            await self.runtime.pause(self.delay_seconds_max)
        if not self._down.messages:  # Cut meanwhile.
            raise LinkClosed(ABNORMAL)
        message = self._down.messages.popleft()
        self._queued_bytes -= len(message)
        if not self.unsent_bytes:
            self._tell_drained()
        return message

    def cut(self) -> None:
        """End both directions; of what is under way, all from a random point on is lost."""
        for pipe in (self._up, self._down):
            for _ in range(self.runtime.random.randrange(len(pipe.messages) + 1)):
                pipe.messages.pop()
            pipe.end()
        self._down_gate.open()  # Its client knows at once; the server when the network is back.
        self._tell_drained()
        if not self.linger_seconds:
            self._tell_closed()

    def _tell_closed(self) -> None:
        if self._when_closed is not None:
            self._when_closed()

    # --- The network's ---------------------------------------------------------------------------

    def hold(self) -> None:
        """Let nothing through any more, in either direction; nothing is lost."""
        if self.close_code is None and not self._up.is_ended:
            self._up_gate.hold()
            self._down_gate.hold()

    def release(self) -> None:
        """Let everything through again, in order."""
        self._up_gate.open()
        self._down_gate.open()

    def _tell_drained(self) -> None:
        drained, self._drained = self._drained, []
        for then in drained:
            then()
