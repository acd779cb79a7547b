"""Reminders of a real server that is killed while they ring: none is lost, and none comes twice.

Source: the guarantees, F8.
"""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import define

from flow_backend.schema.table import BY_CREATION_TIME
from flow_backend.storage.base import IndexBounds, TableName
from flow_backend.storage.sqlite import open_storage
from tests.flow.support import APP
from tests.server_process import DEADLINE_SECONDS, ServerProcess


@define
class Caller:
    """Calls a server over HTTP, on one connection as long as that holds."""

    server: ServerProcess
    http: httpx.Client

    def call(self, kind: str, path: str, **args: object) -> Any:
        body = {"path": path, "args": args, "format": "json"}
        answer = self.http.post(f"{self.server.url}/api/{kind}", json=body).json()
        assert answer["status"] == "success", answer
        return answer["value"]

    def create(self, count: int, seconds: float, apart: float) -> list[str]:
        """Make reminders: the first rings in so many seconds, the others so far apart."""
        first = time.time() + seconds
        return [
            self.call("mutation", "reminders:create", title="Tea", at=1000 * (first + apart * n))
            for n in range(count)
        ]

    def ringing(self) -> int:
        return len(self.call("query", "reminders:ringing"))


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.01)


def rows_of(data: Path, table: str) -> list[dict[str, Any]]:
    """Read a table of a server that has ended."""
    storage = open_storage(data, list(APP.schema.tables.values()), now_ns=time.time_ns)
    snapshot = storage.open_snapshot()
    snapshot.begin()
    try:
        spec = APP.schema.tables[TableName(table)]
        bounds = IndexBounds(TableName(table), BY_CREATION_TIME)
        return [dict(spec.read(row[3])) for row in snapshot.scan(bounds)]
    finally:
        snapshot.end()
        snapshot.close()
        storage.close()


@pytest.mark.slow
def test_f8_a_server_that_is_killed_loses_no_ring_and_doubles_none(tmp_path: Path) -> None:
    server = ServerProcess("flow", tmp_path / "data")
    with server.ended(), httpx.Client(trust_env=False) as http:
        server.start()
        it = Caller(server, http)
        # Some ring before it is killed, some while it is down, and some after.
        made = it.create(30, 0.1, 0.01)
        wait_until(lambda: it.ringing() >= 5)
        made += it.create(20, 0.3, 0.08)

        server.kill()
        rang_before = len(rows_of(server.data, "deliveries"))
        server.start()
        wait_until(lambda: it.ringing() == len(made))
        assert server.stop() == 0

    assert rang_before >= 5
    deliveries = rows_of(server.data, "deliveries")
    assert Counter(each["reminder"] for each in deliveries) == Counter(made)
    assert {each["rings"] for each in deliveries} == {1}
    assert all(each["rang_at"] >= each["due_at"] for each in deliveries)
    jobs = Counter(each["state"]["kind"] for each in rows_of(server.data, "_scheduled_functions"))
    assert jobs == {"success": len(made)}
