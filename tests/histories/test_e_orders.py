"""E4–E6: evaluate, commit, commit, register, unsubscribe and trim, in every order there is."""

from collections.abc import Callable
from itertools import permutations
from random import Random
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from flow_backend.actors.frontier import Frontier
from flow_backend.actors.mailbox import Mailbox
from flow_backend.actors.messages.calls import SessionKey
from flow_backend.actors.messages.to_query import (
    ChangeQueries,
    Committed,
    Invalidated,
    OpenSession,
    QueryMessage,
    QueryResult,
    Resubscribe,
    Round,
)
from flow_backend.actors.messages.to_scheduler import NextInstant
from flow_backend.actors.messages.to_table import TableMessage, TableWrites
from flow_backend.actors.outbox import FrameCache, Outbox
from flow_backend.actors.query import QueryActor
from flow_backend.actors.reading import ReadPool, ReadWorker
from flow_backend.actors.table import RecentWrites, TableActor
from flow_backend.functions.versions import AppVersion, Versions
from flow_backend.runtime import Finished
from flow_backend.storage.base import Done, Snapshot
from flow_backend.sync.messages import Add, QueryId, QuerySetVersion
from flow_backend.testing.link import sim_frame
from flow_backend.testing.sim import SimRuntime
from flow_backend.values.timestamp import CommitTs
from tests.actors.stage import AllFast
from tests.effort import FULL
from tests.histories.chain import THINGS, Engine
from tests.histories.shelf import DESK, Fields, Op, Plan, Program

EVENTS = ("evaluate", "commit", "commit", "register", "unsubscribe", "trim")
SESSION = SessionKey(1)
TOUCHES = ((True, True), (True, False), (False, True), (False, False))
"""Which of the two commits, the last one first, write what the query reads."""


def thing(rank: float) -> Fields:
    rest: Fields = {"group": "a", "size": None, "mix": None, "code": None, "friend": None}
    return {**rest, "rank": rank, "note": ""}


@define
class Client:
    """Takes rounds as a session does, and holds what they say."""

    rounds: list[Round] = field(factory=list[Round])
    holds: dict[QueryId, QueryResult] = field(factory=dict[QueryId, QueryResult])

    def put(self, message: Round | Resubscribe) -> None:
        assert isinstance(message, Round)
        for gone in message.removed:
            self.holds.pop(gone, None)
        self.holds.update(message.changes)
        self.rounds.append(message)


@define
class HeldWorker:
    """Implements Worker: work is done at once, and its end is told when the test says."""

    ended: list[Callable[[], None]] = field(factory=list[Callable[[], None]])

    def submit(self, work: Callable[[], Any], done: Callable[[Finished[Any]], None]) -> None:
        finished = Finished(value=work())
        self.ended.append(lambda: done(finished))

    async def run(self, work: Callable[[], Any]) -> Any:
        return work()

    def close(self) -> None:
        pass

    def tell(self) -> None:
        """Tell the ends of what was done."""
        while self.ended:
            self.ended.pop(0)()


@define
class Scene:
    """One table's actor and the queries' actor, moved by hand; ``right`` is the truth at each ts.

    ``touches`` says of each commit whether it writes into the range that the query reads.
    """

    engine: Engine
    number: int
    touches: list[bool]
    table: TableActor
    queries: QueryActor
    worker: HeldWorker
    client: Client = field(factory=Client)
    right: dict[CommitTs, bytes] = field(factory=dict[CommitTs, bytes])
    query_id: int = 0
    query_set: int = 0
    checked: int = 0

    @property
    def plan(self) -> Plan:
        """Read a part of the index that no other scene writes in."""
        return Plan("by_rank", low=(10.0 * self.number,), high=(10.0 * self.number + 5,))

    async def begin(self) -> None:
        self.queries.inbox.put(OpenSession(SESSION, self.client))
        self._commit(1.0)
        self._watch(())
        await self.settle()

    async def do(self, event: str) -> None:
        match event:
            case "evaluate":
                for live in list(self.queries.live.by_id.values()):
                    self.queries.live.meet(live)
                self._hear()
                if self.queries._can_begin():
                    await self.queries._round()
            case "commit":
                touches = self.touches.pop()
                self._commit(2.0 if touches else 9.0)
            case "register":
                # The table has compared what came until now, when it hears of the run.
                self._work_table()
                self.worker.tell()
                self._hear()
                self._work_table()
            case "unsubscribe":
                gone = QueryId(self.query_id)
                self.query_id += 1
                self._watch((gone,))
            case _:
                self.table.recent = RecentWrites(1000, self.table.ts)
        self.check()

    async def settle(self) -> None:
        """Let everything go on until nothing is left to do."""
        for _ in range(20):
            self.worker.tell()
            self._work_table()
            self._hear()
            while self.queries._can_begin() and await self.queries._round():
                self._hear()
        assert self.queries.frontier.is_settled
        assert not self.queries.live.due

    def check(self) -> None:
        """Hold every round that came since against the truth at its timestamp."""
        for each in self.client.rounds[self.checked :]:
            for result in each.changes.values():
                assert self.right[each.version.ts] in result.body, each
        self.checked = len(self.client.rounds)
        if self.client.rounds:
            newest = self.client.rounds[-1]
            for held in self.client.holds.values():
                right = self.right[newest.version.ts]
                assert right in held.body, "what is held is not true any more"

    def _commit(self, rank: float) -> None:
        fields = thing(10.0 * self.number + rank)
        number = len(DESK.ids) + 1
        _, ts, writes = self.engine.commit([Program((Op("insert", number, fields),))])
        self.engine.snapshot.begin()
        run = self.engine.query(self.plan, None)
        self.engine.snapshot.end()
        assert isinstance(run.result, Done)
        self.right[ts] = run.result.result
        self.table.inbox.put(TableWrites(ts, writes))
        self.queries.inbox.put(Committed(ts, {THINGS: ts}))

    def _watch(self, remove: tuple[QueryId, ...]) -> None:
        add = (Add(QueryId(self.query_id), "t:read", {}),)
        self.query_set += 1
        self.queries.inbox.put(ChangeQueries(SESSION, add, remove, QuerySetVersion(self.query_set)))

    def _work_table(self) -> None:
        """Do what the table's loop does with all that is unread."""
        table = self.table
        met: Any = {}
        for message in table.inbox.take(1000):
            table._handle(message, met)
        table.heard = table._told
        self.queries.inbox.put(Invalidated(table.name, table.ts, met, table.heard))

    def _hear(self) -> None:
        DESK.plan = self.plan
        for message in self.queries.inbox.take(1000):
            self.queries._handle(message)


def scene(
    engine: Engine,
    runtime: SimRuntime,
    snapshots: list[Snapshot],
    number: int,
    touches: tuple[bool, bool],
) -> Scene:
    queries = Mailbox[QueryMessage](1000)
    versions = Versions(AppVersion(1, engine.runner))
    inbox = Mailbox[TableMessage](1000)
    table = TableActor(name=THINGS, inbox=inbox, queries=queries)
    worker = HeldWorker()
    durations: Any = AllFast(frozenset({"t:read"}))
    pool = ReadPool(
        workers=[ReadWorker(worker, snapshots[1])],
        versions=versions,
        durations=durations,
        runtime=runtime,
        open_snapshot=engine.storage.open_snapshot,
    )
    actor = QueryActor(
        inbox=queries,
        tables={THINGS: inbox},
        snapshot=snapshots[0],
        pool=pool,
        versions=versions,
        durations=durations,
        runtime=runtime,
        outbox=Outbox(frames=FrameCache(sim_frame), runtime=runtime),
        scheduler=Mailbox[NextInstant](1),
        frontier=Frontier(engine.storage.writer.last_ts),
    )
    return Scene(engine, number, list(touches), table, actor, worker)


@pytest.mark.slow
def test_e_in_every_order_no_round_says_what_is_not_true() -> None:
    """720 orders, each with commits that meet the query and commits that do not."""
    engine = Engine()
    engine.open()

    async def play() -> int:
        runtime = SimRuntime(Random(0))
        runs = 0
        snapshots = [engine.storage.open_snapshot() for _ in range(2)]
        for number, order in enumerate(permutations(range(len(EVENTS)))):
            for touches in TOUCHES if FULL else (TOUCHES[number % 3],):
                now = scene(engine, runtime, snapshots, runs, touches)
                try:
                    await now.begin()
                    for place in order:
                        await now.do(EVENTS[place])
                    await now.settle()
                    now.check()
                    newest = max(now.right)
                    assert now.client.holds, "the query has no answer"
                    for held in now.client.holds.values():
                        assert now.right[newest] in held.body, "the newest commit is not shown"
                except AssertionError as error:
                    names = [EVENTS[place] for place in order]
                    raise AssertionError(
                        f"{names}, commits that meet: {touches}: {error}"
                    ) from None
                runs += 1
        for snapshot in snapshots:
            snapshot.close()
        return runs

    try:
        assert trio.run(play, clock=MockClock(autojump_threshold=0)) == 720 * (4 if FULL else 1)
    finally:
        engine.close()
