"""What the system knows of a connection that nobody reads or writes at the moment."""

import fcntl
import select
import socket
import struct
import termios
from typing import Final

_GONE: Final = select.POLLRDHUP | select.POLLHUP | select.POLLERR


def has_untaken(connection: socket.socket) -> bool:
    """Tell whether the system still holds bytes for the peer; then TCP's own timeout decides."""
    return _waiting_bytes(connection, termios.TIOCOUTQ) > 0


def has_unread(connection: socket.socket) -> bool:
    """Tell whether the peer has said what nobody here has read: then it is not the silent one."""
    return _waiting_bytes(connection, termios.FIONREAD) > 0


def has_hung_up(connection: socket.socket) -> bool:
    """Tell whether the peer has gone, though what it said before may be unread."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return any(event & _GONE for _, event in poll.poll(0))


def _waiting_bytes(connection: socket.socket, direction: int) -> int:
    count: int = struct.unpack("i", fcntl.ioctl(connection, direction, b"\0\0\0\0"))[0]
    return count
