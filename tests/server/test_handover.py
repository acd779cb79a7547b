"""Hypercorn's TCPServer is not public API: these are the names and shapes that we rely on."""

import inspect
from importlib.metadata import version

from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext


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
