"""A1 on the wire: a real process, fifty clients over sockets and HTTP."""

import time
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
import trio
from attrs import define, evolve, field

from flow_backend.values.timestamp import decode_ts
from tests.cli.support import Client, Served, serving, write_app
from tests.effort import FULL, SEED, cases
from tests.histories.checker import Read, Transaction, check, check_timestamps
from tests.histories.lists import KEYS, arguments, as_lists, operations, random_steps

APP = (Path(__file__).parent / "lists.py").read_text()
CLIENTS = 50
SHARE = cases(4000, 20_000) // CLIENTS
"""How many transactions each client makes."""


@define
class Crowd:
    """What all clients have seen."""

    served: Served
    history: list[Transaction] = field(factory=list[Transaction])
    value: int = 0
    done: trio.Event = field(factory=trio.Event)

    def steps(self, random: Random) -> Any:
        steps, fails_if_even, self.value = random_steps(random, self.value + 1)
        return steps, fails_if_even

    async def over_socket(self, number: int, nursery: trio.Nursery) -> None:
        random, client = Random(f"{SEED} {number}"), Client(self.served.port)
        nursery.start_soon(client.run)
        for _ in range(SHARE):
            steps, fails = self.steps(random)
            began_at = time.monotonic()
            answer = await client.mutate("notes:transact", **arguments(steps, fails))
            self._note(
                f"socket {number}",
                operations(steps, answer["result"] if answer["success"] else None),
                began_at,
                decode_ts(answer["ts"]) if answer["success"] else None,
                ok=answer["success"],
            )

    async def over_http(self, number: int) -> None:
        random = Random(f"{SEED} {number}")
        async with httpx.AsyncClient(base_url=self.served.url, timeout=60) as http:
            for place in range(SHARE):
                if random.random() < 0.5:
                    await self._look(http, random, f"http {number}")
                    continue
                steps, fails = self.steps(random)
                body = {"path": "notes:transact", "args": arguments(steps, fails)}
                headers = {"Idempotency-Key": f"{SEED} {number} {place}"}
                began_at = time.monotonic()
                answer = (await http.post("/api/mutation", json=body, headers=headers)).json()
                ok = answer["status"] == "success"
                done = operations(steps, answer["value"] if ok else None)
                self._note(f"http {number}", done, began_at, None, ok=ok)

    async def end(self, sockets: trio.Nursery) -> None:
        """Let the clients' connections end, once all is done."""
        await self.done.wait()
        sockets.cancel_scope.cancel()

    async def _look(self, http: httpx.AsyncClient, random: Random, process: str) -> None:
        """Read at the newest timestamp, which is asked for first."""
        lists = random.sample(KEYS, random.randrange(1, 4))
        began_at = time.monotonic()
        ts = (await http.post("/api/query_ts", json={})).json()["ts"]
        body = {"path": "notes:look", "args": {"lists": lists}, "ts": ts}
        answer = (await http.post("/api/query_at_ts", json=body)).json()
        assert answer["status"] == "success", answer
        found = as_lists(answer["value"])
        reads = tuple(Read(name, values) for name, values in zip(lists, found, strict=True))
        self._note(process, reads, began_at, decode_ts(ts), ok=True, is_query=True)

    def _note(
        self,
        process: str,
        done: Any,
        began_at: float,
        ts: int | None,
        *,
        ok: bool,
        is_query: bool = False,
    ) -> None:
        self.history.append(
            Transaction(
                f"{len(self.history)} of {process}",
                process,
                done,
                "ok" if ok else "failed",
                began_at,
                time.monotonic(),
                ts,
                is_query,
            )
        )
        if len(self.history) == CLIENTS * SHARE:
            self.done.set()


def without_ts(each: Transaction) -> Transaction:
    """Let what HTTP told no timestamp of stand anywhere: the sharper check cannot place it."""
    if each.ts is not None or each.status != "ok":
        return each
    return evolve(each, status="unknown", operations=tuple(each.appends))


@pytest.mark.slow
def test_a1_fifty_clients_of_a_real_process_see_one_order(tmp_path: Path) -> None:
    """Threads, sockets and a disk: what the simulation has none of."""
    with serving(write_app(tmp_path, APP)) as served:
        served.wait_ready()
        crowd = Crowd(served)

        async def play() -> None:
            with trio.fail_after(3600 if FULL else 120):
                async with trio.open_nursery() as sockets, trio.open_nursery() as people:
                    for number in range(CLIENTS):
                        if number % 5:
                            people.start_soon(crowd.over_socket, number, sockets)
                        else:
                            people.start_soon(crowd.over_http, number)
                    # The inner block ends first, and with it the clients' connections.
                    people.start_soon(crowd.end, sockets)

        trio.run(play)

    found = [*check(crowd.history), *check_timestamps([without_ts(each) for each in crowd.history])]
    assert len(crowd.history) == CLIENTS * SHARE
    assert not found, "\n".join(str(each) for each in found[:5])
