"""A client's socket as its session sees it; the server's WebSocket is one, the simulation's too."""

from typing import Protocol

Frame = tuple[bytes, ...]
"""One WebSocket frame, ready to be written: its parts, of which some are shared between clients."""


class Disconnected(Exception):
    """The peer has gone, or the socket was closed."""


class Transport(Protocol):
    """A client's socket as its session sees it."""

    async def receive(self) -> bytes:
        """Wait for the next message, as UTF-8 text.

        Raises: Disconnected at the end; MessageTooLarge and MalformedMessage for broken peers.
        """
        ...

    def push(self, frame: Frame) -> None:
        """Write a frame, never waiting: what the socket does not take at once is kept in order.

        After the end it does nothing.
        """
        ...

    @property
    def unsent_bytes(self) -> int:
        """How much the socket has not taken yet."""
        ...

    def when_drained(self, then: "Drained") -> None:
        """Call ``then`` once, as soon as all is written (or the socket has ended)."""
        ...

    def when_closed(self, then: "Drained") -> None:
        """Call ``then`` when the connection has ended, from either end, though nobody reads it."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close after what was pushed; ``code`` is the WebSocket's. Never waits."""
        ...


class Drained(Protocol):
    """What is called when a socket has taken all that was pushed, or has ended."""

    def __call__(self) -> None:
        """Take note; never wait."""
        ...
