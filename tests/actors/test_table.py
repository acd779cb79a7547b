"""A table compares commits with what was read of it, in whatever order it hears of them."""

from itertools import permutations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from flow_backend.actors.mailbox import Mailbox
from flow_backend.actors.messages.calls import LiveQueryId
from flow_backend.actors.messages.to_query import Invalidated
from flow_backend.actors.messages.to_table import Subscribe, TableMessage, TableWrites, Unsubscribe
from flow_backend.actors.table import RecentWrites, TableActor
from flow_backend.functions.read_set import ReadRange, just
from flow_backend.storage.base import TableName, Write
from flow_backend.values.timestamp import CommitTs

NAME = TableName("tasks")
Q, R = LiveQueryId(1), LiveQueryId(2)
A_TO_C = (ReadRange(0, b"a", b"c"),)


def ts(number: int) -> CommitTs:
    return CommitTs(number)


def write(before: bytes | None, after: bytes | None) -> Write:
    return Write("id", None if before is None else (before,), None if after is None else (after,))


class Told:
    """Takes what the table says."""

    def __init__(self) -> None:
        self.messages: list[Invalidated] = []

    def put(self, message: Invalidated) -> None:
        self.messages.append(message)

    @property
    def met(self) -> dict[LiveQueryId, CommitTs]:
        return {query: since for each in self.messages for query, since in each.queries.items()}


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def table(told: Told, nursery: trio.Nursery) -> TableActor:
    table = TableActor(name=NAME, inbox=Mailbox[TableMessage](100), queries=told)
    nursery.start_soon(table.run)
    return table


@pytest.mark.parametrize(
    ("before", "after", "is_met"),
    [
        (None, b"a", True),
        (None, b"b", True),
        (None, b"c", False),
        (None, b"Z", False),
        (b"b", None, True),
        (b"c", None, False),
        (b"b", b"z", True),
        (b"z", b"b", True),
        (b"z", b"y", False),
    ],
)
async def test_a_write_meets_who_read_its_key_before_or_after(
    table: TableActor, told: Told, before: bytes | None, after: bytes | None, is_met: bool
) -> None:
    """E2: a row that leaves a range is as new as one that arrives; one beside it is not."""
    table.inbox.put(Subscribe(Q, A_TO_C, ts(1), 1))
    table.inbox.put(TableWrites(ts(2), (write(before, after),)))
    await wait_all_tasks_blocked()

    assert told.met == ({Q: 1} if is_met else {})
    assert told.messages[-1].ts == 2


async def test_a_subscription_that_a_commit_has_overtaken_is_met_at_once(
    table: TableActor, told: Told
) -> None:
    """E4: the query ran at 1, the commit came at 2, and only then the table hears of the query."""
    table.inbox.put(TableWrites(ts(2), (write(None, b"b"),)))
    await wait_all_tasks_blocked()
    table.inbox.put(Subscribe(Q, A_TO_C, ts(1), 1))
    table.inbox.put(Subscribe(R, A_TO_C, ts(2), 2))
    await wait_all_tasks_blocked()

    assert told.met == {Q: 1}


async def test_what_a_table_has_forgotten_counts_as_met(table: TableActor, told: Told) -> None:
    """E5: memory is bounded, and its end is never silence."""
    table.recent = RecentWrites(2)
    for number in (2, 3, 4):
        table.inbox.put(TableWrites(ts(number), (write(None, b"z"),)))
    table.inbox.put(Subscribe(Q, A_TO_C, ts(1), 1))
    table.inbox.put(Subscribe(R, A_TO_C, ts(2), 2))
    await wait_all_tasks_blocked()

    assert told.met == {Q: 1}


async def test_all_orders_of_commit_and_subscription_tell_of_the_commit(
    nursery: trio.Nursery,
) -> None:
    """E4: whatever comes first, a commit after the run is told, one before it is not."""
    for order in permutations(range(4)):
        told = Told()
        table = TableActor(name=NAME, inbox=Mailbox[TableMessage](100), queries=told)
        nursery.start_soon(table.run)
        messages: list[TableMessage] = [
            TableWrites(ts(2), (write(None, b"b"),)),
            TableWrites(ts(3), (write(b"b", None),)),
            Subscribe(Q, A_TO_C, ts(2), 1),
            Subscribe(R, A_TO_C, ts(3), 2),
        ]
        if order.index(0) > order.index(1):
            continue  # Commits come in their order.
        if order.index(3) < order.index(1):
            continue  # A run at 3 is after the table has compared 3.
        if order.index(2) < order.index(0):
            continue
        for place in order:
            table.inbox.put(messages[place])
            await wait_all_tasks_blocked()

        assert told.met == {Q: 2}, order
    nursery.cancel_scope.cancel()


async def test_a_dropped_query_is_met_no_more(table: TableActor, told: Told) -> None:
    table.inbox.put(Subscribe(Q, A_TO_C, ts(1), 1))
    await wait_all_tasks_blocked()
    table.inbox.put(Unsubscribe(Q, 2))
    table.inbox.put(TableWrites(ts(2), (write(None, b"b"),)))
    await wait_all_tasks_blocked()

    assert told.met == {}
    assert told.messages[-1].heard == 2


async def test_merged_subscriptions_are_heard_only_with_all_before_them(told: Told) -> None:
    """A newer message stands at the place of an older one: its number alone says nothing."""
    table = TableActor(name=NAME, inbox=Mailbox[TableMessage](100), queries=told)
    table.inbox.put(Subscribe(Q, A_TO_C, ts(1), 1))
    table.inbox.put(Subscribe(R, A_TO_C, ts(1), 2))
    table.inbox.put(Unsubscribe(Q, 3))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(table.run)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    assert [each.heard for each in told.messages] == [3]


async def test_a_table_with_more_to_hear_does_not_say_that_it_has_heard(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flow_backend.actors.table._MESSAGES_AT_ONCE", 1)
    table = TableActor(name=NAME, inbox=Mailbox[TableMessage](100), queries=told)
    table.inbox.put(Subscribe(Q, A_TO_C, ts(1), 1))
    table.inbox.put(Subscribe(R, A_TO_C, ts(1), 2))
    table.inbox.put(Unsubscribe(Q, 3))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(table.run)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    assert [each.heard for each in told.messages] == [0, 3]


async def test_after_a_crash_every_earlier_run_counts_as_met(table: TableActor, told: Told) -> None:
    """E6: what an actor forgets is run again."""
    table.inbox.put(TableWrites(ts(2), (write(None, b"z"),)))
    await wait_all_tasks_blocked()

    table.reset(ts(2))
    table.inbox.put(Subscribe(Q, A_TO_C, ts(1), 1))
    table.inbox.put(Subscribe(R, A_TO_C, ts(2), 2))
    await wait_all_tasks_blocked()

    assert told.met == {Q: 1}


def test_recent_writes_know_what_came_after_a_run() -> None:
    recent = RecentWrites(10)
    recent.append(ts(2), (write(None, b"b"),))
    recent.append(ts(3), (write(b"x", b"y"),))

    assert recent.touch((just(0, b"b"),), ts(1))
    assert not recent.touch((just(0, b"b"),), ts(2))
    assert recent.touch((just(0, b"x"),), ts(2))
    assert not recent.touch((just(0, b"z"),), ts(1))
    assert not recent.touch((just(0, b"y"),), ts(3))
    assert not recent.touch((ReadRange(0, b"a", b"b"),), ts(1))
    assert recent.touch((ReadRange(0, b"a", None),), ts(1))
