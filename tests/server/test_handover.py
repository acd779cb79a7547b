"""Hypercorn's TCPServer is not public API: these are the names and shapes that we rely on."""

import inspect
import socket
from importlib.metadata import version

import trio
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext

from flow_backend.server.handover import PeekedStream
from tests.server.stand_in import StandIn, running


def test_hypercorn_is_built_as_the_handover_expects():
    assert version("hypercorn").startswith("0.18.")
    assert list(inspect.signature(TCPServer).parameters) == [
        "app",
        "config",
        "context",
        "state",
        "stream",
    ]
    source = inspect.getsource(TCPServer.run)
    # A stream without do_handshake is taken for plain TCP, and only its socket is asked for more.
    assert "except AttributeError:  # Not SSL" in source
    assert "socket = self.stream.socket" in source
    # What we override so that a connection ends with its peer.
    assert "await self._read_data()" in source
    assert "self._idle_timeout" in source
    assert inspect.iscoroutinefunction(WorkerContext(None).terminated.set)


async def test_a_closed_connection_whose_request_goes_on_is_not_looked_at(autojump_clock):
    """Its socket has no number any more: asking the system about it ended the process."""
    async with running(StandIn()) as server:
        http = server.listener.http
        left, right = socket.socketpair()
        with left, right:
            stream = PeekedStream(left, 1.0, b"")
            http._streams[stream] = None
            stream.abort()
            with trio.move_on_after(10):
                await http.run()
            del http._streams[stream]
