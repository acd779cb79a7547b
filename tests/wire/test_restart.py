"""Restarts under load, as an operator makes them: official clients notice a new socket, no more."""

from pathlib import Path
from random import Random
from typing import Final

import pytest
import trio

from tests.auth.signing import data_url, jwk, key_set, rsa_key
from tests.effort import SEED, cases
from tests.interop.support import Report, missing, run_node
from tests.server_process import APPS, ServerProcess
from tests.wire.load import call, free_port

pytestmark = [pytest.mark.slow, pytest.mark.node]

RESTARTS: Final = cases(each=30, night=50)
CLIENTS: Final = 2


async def raised(server: ServerProcess, name: str, by: int) -> None:
    """Wait until a client has done so many more mutations."""
    ask = lambda: call(server, "query", "counters:get", name=name)  # noqa: E731
    enough = await trio.to_thread.run_sync(ask) + by
    while await trio.to_thread.run_sync(ask) < enough:  # noqa: ASYNC110  # Others raise it.
        await trio.sleep(0.02)


async def test_i4_official_clients_live_through_restarts(tmp_path: Path) -> None:
    """SIGTERM ends the server with 0 and loses nothing; no error reaches a client."""
    if (why := missing()) is not None:
        pytest.skip(why)
    dice = Random(SEED)
    keys = {"INTEROP_KEYS": data_url(key_set(jwk(rsa_key(), "rsa", alg="RS256")))}
    server = ServerProcess("interop_app", tmp_path / "data", APPS, keys, port=free_port())
    told: dict[str, Report] = {}

    async def client(name: str) -> None:
        seconds = 60 + 30 * RESTARTS
        given = {"url": server.url, "name": name, "overdueMs": seconds * 1000}
        [told[name]] = await run_node("cuts.mjs", "steady", seconds=seconds, **given)

    with server.ended():
        await trio.to_thread.run_sync(server.start)
        async with trio.open_nursery() as nursery:
            names = [f"restarts {number}" for number in range(CLIENTS)]
            for name in names:
                nursery.start_soon(client, name)
            for _ in range(RESTARTS):
                await raised(server, dice.choice(names), by=dice.randrange(1, 60))
                assert await trio.to_thread.run_sync(server.stop) == 0, server.log()
                await trio.to_thread.run_sync(server.start)
            for name in names:
                await raised(server, name, by=1)
            call(server, "mutation", "counters:add", name="stop")
        counts = {name: call(server, "query", "counters:get", name=name) for name in names}
        assert server.stop() == 0

    for name in names:
        report = told[name]
        assert sorted(report["values"]) == list(range(1, int(counts[name]) + 1))
        assert report["seen"] == sorted(report["seen"])
        assert (report["errors"], report["fatal"]) == ([], 0)
        assert report["opened"] > RESTARTS
    assert '"level": "error"' not in server.log(), server.log()
