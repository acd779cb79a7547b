"""Clients that hear nothing for longer than they wait for a server that is gone."""

from typing import Any

import pytest
import trio

from tests.interop.support import Proxy, open_proxy, run_node, run_python
from tests.server_process import ServerProcess

pytestmark = [pytest.mark.node, pytest.mark.slow]

JAVASCRIPT_SECONDS = 70
PYTHON_SECONDS = 40
SPARE_SECONDS = 20


async def test_silent_clients_keep_their_sockets(interop: ServerProcess):
    """The JavaScript client wants a message every 60 s, the Python client a frame every 30 s."""
    told: dict[str, list[Any]] = {}

    async def javascript(url: str) -> None:
        most = JAVASCRIPT_SECONDS + SPARE_SECONDS
        told["javascript"] = await run_node(
            "idle.mjs",
            "idle",
            url=url,
            seconds=most,
            idle_seconds=JAVASCRIPT_SECONDS,
            overdueMs=most * 1000,
        )

    async def python(url: str) -> None:
        told["python"] = await run_python(
            "idle", seconds=PYTHON_SECONDS + SPARE_SECONDS, url=url, idle_seconds=PYTHON_SECONDS
        )

    async with (
        open_proxy(Proxy(interop.port)) as before_javascript,
        open_proxy(Proxy(interop.port)) as before_python,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(javascript, before_javascript.url)
        nursery.start_soon(python, before_python.url)

    assert told["python"] == [0.0, 1.0]
    assert before_python.connections == 1
    (found,) = told["javascript"]
    assert found["seen"] == [0, 1]
    assert (found["connectionCount"], found["opened"]) == (1, 1)
    assert found["connectionRetries"] == 0
    assert "Ping" in found["kinds"]
    assert before_javascript.connections == 1
