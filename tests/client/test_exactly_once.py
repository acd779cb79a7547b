"""A thousand mutations, sockets that break, a server that is killed: each is applied once."""

import random
from typing import Any

import pytest
import trio
from attrs import define, field

from flow_backend.client import Client, connect
from tests.client.support import interop_server
from tests.interop.support import Proxy, open_proxy

pytestmark = pytest.mark.slow

KEYS = 20
EACH = 25


@define
class RandomCuts:
    """Cuts now one way, now the other; then lets everything pass."""

    most: int
    share: float
    dice: random.Random = field(factory=lambda: random.Random(11))

    def __call__(self, proxy: Proxy, chunk: bytes) -> bool:
        del chunk
        return proxy.cuts < self.most and self.dice.random() < self.share


async def test_c_1000_mutations_through_cuts_and_a_kill_are_applied_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Each key's list has its entries once and in order, and each call got its own place.

    A subscription that stood through all of it ends with what a fresh client is told.
    """
    data = tmp_path_factory.mktemp("once") / "data"
    server = interop_server(data)
    cuts = RandomCuts(most=12, share=0.03)
    done, half = 0, trio.Event()

    async def count(client: Client, key: str) -> None:
        nonlocal done
        for number in range(EACH):
            # The list says in which order they came, the counter how often.
            await client.mutation("items:add", list=key, places=[float(number)])
            assert await client.mutation("counters:add", name=key) == number + 1
            done += 2
            if done == KEYS * EACH:
                half.set()

    async def kill_in_the_middle() -> None:
        await half.wait()
        server.kill()
        await trio.to_thread.run_sync(server.start)
        proxy.upstream = server.port

    watched: dict[str, Any] = {}

    async def watch(client: Client, key: str) -> None:
        async with client.subscribe("items:all", list=key) as results:
            async for watched[key] in results:
                if len(watched[key]) == EACH:
                    break

    keys = [f"key {number}" for number in range(KEYS)]
    server.start()
    proxy = Proxy(server.port, cut_downstream=cuts, cut_upstream=cuts)
    with server.ended():
        async with open_proxy(proxy):
            with trio.fail_after(60):
                async with connect(proxy.url) as client, trio.open_nursery() as nursery:
                    nursery.start_soon(kill_in_the_middle)
                    for key in keys:
                        nursery.start_soon(watch, client, key)
                        nursery.start_soon(count, client, key)
                assert client.state.connections > 10
            async with connect(server.url) as fresh:
                counted = [await fresh.query("counters:get", name=key) for key in keys]
                listed = {key: await fresh.query("items:all", list=key) for key in keys}

    assert counted == [EACH] * KEYS
    assert watched == listed
    for items in listed.values():
        made = sorted(items, key=lambda item: item["_creationTime"])
        assert [item["place"] for item in made] == list(range(EACH))
