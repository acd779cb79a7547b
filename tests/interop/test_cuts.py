"""Sockets that break at the worst moment, and a server that is killed."""

import random

import pytest
import trio
from attrs import define, field

from tests.interop.support import (
    Proxy,
    Report,
    open_proxy,
    run_node,
)
from tests.server_process import ServerProcess

pytestmark = [pytest.mark.node, pytest.mark.slow]

# The answer exists, so the mutation has been committed; it is cut off instead of being sent on.
ANSWER = b'"MutationResponse"'


def first_answer(proxy: Proxy, chunk: bytes) -> bool:
    return ANSWER in chunk and proxy.cuts == 0


async def test_a_cut_between_commit_and_answer_leaves_one_effect(interop: ServerProcess):
    """The client sends the mutation again; the server answers what it answered the first time."""
    async with open_proxy(Proxy(interop.port, cut_downstream=first_answer)) as proxy:
        told, after = await run_node("cuts.mjs", "once", url=proxy.url, name="cut")

    assert proxy.cuts == 1
    assert told == {"value": 1, "shown": 1, "sent": 2, "opened": proxy.connections}
    assert after == {"next": 2, "shown": 2}


async def test_a_kill_between_commit_and_answer_leaves_one_effect(mortal: ServerProcess):
    """What was committed is on disk, and so is the record of the request."""

    def kill_at_first_answer(proxy: Proxy, chunk: bytes) -> bool:
        if not first_answer(proxy, chunk):
            return False
        mortal.kill()
        mortal.start()
        proxy.upstream = mortal.port
        return True

    async with open_proxy(Proxy(mortal.port, cut_downstream=kill_at_first_answer)) as proxy:
        told, after = await run_node("cuts.mjs", "once", url=proxy.url, name="kill")

    assert proxy.cuts == 1
    assert told == {"value": 1, "shown": 1, "sent": 2, "opened": proxy.connections}
    assert after == {"next": 2, "shown": 2}


@define
class RandomCuts:
    """Cuts now one way, now the other, after few chunks; then lets everything pass."""

    most: int
    dice: random.Random = field(factory=lambda: random.Random(7))

    def __call__(self, proxy: Proxy, chunk: bytes) -> bool:
        del chunk
        return proxy.cuts < self.most and self.dice.random() < 0.2


async def test_through_many_cuts_each_call_counts_once(interop: ServerProcess):
    """The counter shows all calls and no more, and every promise has its own number."""
    clients, count = 4, 60
    told: list[Report] = []

    async def client(url: str, number: int) -> None:
        name = f"cuts {number}"
        told.extend(await run_node("cuts.mjs", "many", url=url, name=name, count=count))

    cuts = RandomCuts(most=60)
    proxy = Proxy(interop.port, cut_downstream=cuts, cut_upstream=cuts)
    async with open_proxy(proxy), trio.open_nursery() as nursery:
        for number in range(clients):
            nursery.start_soon(client, proxy.url, number)

    assert proxy.cuts > 20
    assert len(told) == clients
    for each in told:
        assert each["values"] == list(range(1, count + 1))
        # A client never sees time go back, not even over a new socket.
        assert each["seen"] == sorted(each["seen"])
        assert each["opened"] > 1


async def test_through_two_kills_each_call_counts_once(mortal: ServerProcess):
    """Answers of a batch that was committed are lost; the batch after it never ran."""
    answers = 0

    def kill_at_some_answers(proxy: Proxy, chunk: bytes) -> bool:
        nonlocal answers
        answers += chunk.count(ANSWER)
        if answers < 20 * (proxy.cuts + 1) or proxy.cuts == 2:
            return False
        mortal.kill()
        mortal.start()
        proxy.upstream = mortal.port
        return True

    proxy = Proxy(mortal.port, cut_downstream=kill_at_some_answers)
    async with open_proxy(proxy):
        (told,) = await run_node("cuts.mjs", "many", url=proxy.url, name="kills", count=100)

    assert proxy.cuts == 2
    assert told["values"] == list(range(1, 101))
    assert told["seen"] == sorted(told["seen"])
    assert told["opened"] == proxy.connections
