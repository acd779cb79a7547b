"""What a supervised server has from the process that started it: its sockets, and a link."""

import os
import socket
from collections.abc import Mapping, Sequence
from typing import Final

import trio
from attrs import frozen

VARIABLE: Final = "FLOW_SUPERVISED_BY"
READY: Final = b"R"


@frozen
class Parent:
    """The end of a supervised server.

    Attributes:
        link: a socket to the supervisor; its end means that the supervisor is gone.
        listening: sockets that listen already. They are the supervisor's, so that whoever connects
            between two lives of the server waits, and is not turned away.
    """

    link: socket.socket
    listening: list[socket.socket]

    def tell_ready(self) -> None:
        """Say that clients may come."""
        self.link.send(READY)

    async def wait_gone(self) -> None:
        """Wait until the supervisor has ended, however it did."""
        await trio.lowlevel.wait_readable(self.link)

    def close(self) -> None:
        """Let go of the link."""
        self.link.close()


def parent_of(environment: Mapping[str, str]) -> Parent | None:
    """Take over what the supervisor handed down; None if there is no supervisor."""
    numbers = environment.get(VARIABLE)
    if not numbers:
        return None
    sockets = [socket.socket(fileno=int(number)) for number in numbers.split(",")]
    for each in sockets:
        # The app's own child processes are to have none of them.
        os.set_inheritable(each.fileno(), False)
    for each in sockets[1:]:
        each.setblocking(False)
    return Parent(sockets[0], sockets[1:])


def variable_for(link: socket.socket, listening: Sequence[socket.socket]) -> str:
    """Give the value of the variable that hands these down."""
    return ",".join(str(each.fileno()) for each in (link, *listening))
