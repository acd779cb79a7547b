"""C: what is sent again, late, twice, with another function, or over HTTP, runs once."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
import trio
from attrs import define
from trio.testing import MockClock

from flow_backend.actors.backend import Backend
from flow_backend.actors.messages.calls import Call
from flow_backend.actors.opening import open_backend
from flow_backend.storage.base import Done, Outcome, RequestKey
from flow_backend.storage.sqlite import open_storage
from flow_backend.sync.client_identity import ClientIdentity
from flow_backend.testing.link import SimLink, sim_frame
from flow_backend.testing.sim import NoDeadlines, SimDurations, SimRuntime, take_durations
from flow_backend.values.value import JsonValue
from tests.effort import SEED, cases
from tests.histories.lists import Steps, arguments, lists_app

APP = lists_app()
SESSION = "00000000-0000-4000-8000-000000000001"
DAY_NS = 86_400 * 10**9


@define
class Server:
    """A backend and its raw connections."""

    backend: Backend
    runtime: SimRuntime
    nursery: trio.Nursery

    def open(self, session: str = SESSION) -> SimLink:
        """Connect as a client of a session."""
        link = SimLink(runtime=self.runtime, delay_seconds_max=0.0)
        self.nursery.start_soon(self.backend.run_session, link, ClientIdentity("npm", "1.48.0"))
        send(link, type="Connect", sessionId=session, connectionCount=0)
        return link

    async def lists(self, name: str) -> list[Any]:
        """Read a list."""
        done = await self.backend.query(Call("l:look", {"lists": [name]}))
        assert isinstance(done.result, Done), done
        found: list[Any] = orjson.loads(done.result.result)[0]
        return found


def send(link: SimLink, **message: Any) -> None:
    link.send(orjson.dumps(message))


def mutate(link: SimLink, number: int, path: str = "l:transact", **args: Any) -> None:
    send(link, type="Mutation", requestId=number, udfPath=path, args=[args])


def append(value: int, name: str = "rows 1", fails_if_even: str | None = None) -> dict[str, Any]:
    steps: Steps = [(name, value)]
    return arguments(steps, fails_if_even)


async def answers(link: SimLink) -> list[dict[str, Any]]:
    """Give the answers that have come, once everything rests."""
    await trio.sleep(1)  # Virtual: longer than anything takes.
    found = list[dict[str, Any]]()
    while link._down.messages:
        message = orjson.loads(link._down.messages.popleft())
        if message["type"] == "MutationResponse":
            found.append(message)
    return found


@asynccontextmanager
async def serving(directory: Path, seed: int = 0, offset_ns: int = 0) -> AsyncGenerator[Server]:
    """Run a backend on a database, until the end of the block; needs a clock that jumps."""
    runtime = SimRuntime(Random(seed), offset_ns=offset_ns, work_seconds_max=0.001)
    tables = tuple(APP.schema.tables.values())
    storage = open_storage(directory, tables, now_ns=runtime.now_ns)
    try:
        async with (
            open_backend(
                APP, storage, runtime, text_frame=sim_frame, deadlines=NoDeadlines()
            ) as backend,
            trio.open_nursery() as nursery,
        ):
            take_durations(backend, SimDurations(runtime.random))
            yield Server(backend, runtime, nursery)
            nursery.cancel_scope.cancel()
    finally:
        storage.close()


async def test_c1_what_comes_late_on_an_old_socket_does_not_run(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """The client has given that socket up, and was told on the next one that the change failed."""
    async with serving(tmp_path / "data") as server:
        old = server.open()
        await answers(old)
        new = server.open()
        mutate(new, 0, **append(1, fails_if_even="rows 1"))
        [told] = await answers(new)
        other = server.open("00000000-0000-4000-8000-000000000002")
        mutate(other, 0, **append(2))
        await answers(other)

        mutate(old, 0, **append(1, fails_if_even="rows 1"))
        late = await answers(old)

        assert not told["success"]
        assert await server.lists("rows 1") == [2]
        assert late == []
        assert old.close_code is not None


@pytest.mark.parametrize(
    ("path", "args"),
    [
        ("l:transact", append(9)),
        ("l:look", {"lists": ["rows 1"]}),
        ("l:none", {}),
        ("l:transact", {"nonsense": 1.0}),
    ],
)
async def test_c2_the_id_of_another_call_gives_its_answer_and_runs_nothing(
    tmp_path: Path, autojump_clock: MockClock, path: str, args: dict[str, Any]
) -> None:
    async with serving(tmp_path / "data") as server:
        first = server.open()
        mutate(first, 0, **append(1))
        [told] = await answers(first)
        again = server.open()
        mutate(again, 0, path, **args)
        [same] = await answers(again)

        assert told["success"]
        assert same == told
        assert await server.lists("rows 1") == [1]


async def test_c3_a_resend_stands_before_what_is_new(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """The socket broke with three under way; after it the client has asked for two more."""
    for seed in range(SEED, SEED + cases(100, 300)):
        chance = Random(seed)
        async with serving(tmp_path / str(seed), seed) as server:
            first = server.open()
            for number in range(3):
                mutate(first, number, **append(number))
            for _ in range(chance.randrange(30)):
                await trio.lowlevel.checkpoint()
            if chance.random() < 0.5:
                first.cut()
            second = server.open()
            for number in range(5):
                mutate(second, number, **append(number))
            told = await answers(second)

            assert [each["requestId"] for each in told] == [0, 1, 2, 3, 4]
            assert await server.lists("rows 1") == [0, 1, 2, 3, 4], seed


async def test_c4_a_resend_from_before_the_horizon_is_refused_and_never_runs(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Records live 14 days; after them the session's highest request is known for a year."""
    answered: list[tuple[int, bool]] = []
    for day in (0, 13, 15, 300):
        async with serving(tmp_path / "data", offset_ns=day * DAY_NS) as server:
            other = server.open("00000000-0000-4000-8000-000000000002")
            mutate(other, day, **append(day, "rows 2"))
            await answers(other)
            await trio.sleep(5)  # The writer prunes in an idle moment, after a commit.
            mutate(other, 1000 + day, **append(1000 + day, "rows 2"))
            await answers(other)
            link = server.open()
            mutate(link, 7, **append(7))
            [told] = await answers(link)
            answered.append((day, told["success"]))

            assert await server.lists("rows 1") == [7]
            if not told["success"]:
                assert "too long ago" in told["result"]

    assert answered == [(0, True), (13, True), (15, False), (300, False)]


async def test_c5_one_idempotency_key_is_one_run_at_once_and_after_a_restart(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Twenty requests at once, and one more of the next process, have one effect and one answer."""
    key = RequestKey("key:anonymous", "k")
    outcomes: list[Outcome] = []
    for restart in range(2):
        async with serving(tmp_path / "data", restart) as server:

            async def ask(server: Server = server) -> None:
                args: JsonValue = append(1)
                outcomes.append(await server.backend.mutate(Call("l:transact", args), key))

            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(ask)

            assert await server.lists("rows 1") == [1]

    assert len({(each.result, each.ts) for each in outcomes}) == 1
    assert sum(not each.replayed for each in outcomes) == 1
