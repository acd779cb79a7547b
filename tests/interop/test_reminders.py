"""Official clients see what rings: each ring once, also over a kill of the server."""

import time
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.interop.support import run_node
from tests.server_process import ROOT, ServerProcess
from tests.wire.load import call, free_port

pytestmark = [pytest.mark.node, pytest.mark.slow]

COUNT = 40
FIRST_MS = 2_000
SPREAD_MS = 50


def _wait_rung(server: ServerProcess, count: int) -> None:
    while len(call(server, "query", "reminders:ringing")) < count:
        time.sleep(0.01)


async def test_each_reminder_is_seen_once_by_two_clients_over_kill_9(
    tmp_path: Path,
) -> None:
    """The kill falls among the rings: some have rung, the others ring after the restart."""
    told: list[Any] = []
    mortal = ServerProcess("flow", tmp_path / "data", ROOT, port=free_port())

    async def watch() -> None:
        told.extend(
            await run_node("reminders.mjs", "watch", url=mortal.url, count=COUNT, clients=2)
        )

    with mortal.ended():
        mortal.start()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            first = time.time() * 1000 + FIRST_MS
            for number in range(COUNT):
                at = first + number * SPREAD_MS
                call(mortal, "mutation", "reminders:create", title=f"{number}", at=at)
            await trio.to_thread.run_sync(_wait_rung, mortal, COUNT // 4)
            mortal.kill()
            mortal.start()

    for each in told[1:]:
        assert len(each["late_ms"]) == COUNT
        assert min(each["late_ms"]) >= 0, "never early"
        assert each["twice"] == 0
    assert len(told) == 3
