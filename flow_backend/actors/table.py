"""A table's actor: it knows who read what, and tells whom a commit has met."""

from collections import deque
from typing import assert_never

import trio
from attrs import define, field

from flow_backend.actors.mailbox import Mailbox, Put
from flow_backend.actors.messages.calls import LiveQueryId
from flow_backend.actors.messages.to_query import Invalidated
from flow_backend.actors.messages.to_table import (
    NewLayout,
    Subscribe,
    TableMessage,
    TableReplaced,
    TableWrites,
    Unsubscribe,
)
from flow_backend.actors.range_map import RangeMap
from flow_backend.functions.read_set import Read
from flow_backend.schema.table import RowKeys
from flow_backend.storage.base import TableName, Write
from flow_backend.values.timestamp import NO_COMMIT, CommitTs

_MESSAGES_AT_ONCE = 512
_PLAIN_BYTES = 2048
"""What the keys of a write take at most, unless they hold more than its indexes' few fields."""


def keys_of(write: Write) -> list[RowKeys]:
    """Give the keys of a row before and after: a reader of either is met."""
    return [keys for keys in (write.before, write.after) if keys is not None]


def _weight(write: Write) -> int:
    """Give what a write counts for: keys of search indexes hold all words of a text."""
    return 1 + sum(sum(map(len, keys)) for keys in keys_of(write)) // _PLAIN_BYTES


@define
class RecentWrites:
    """The last commits of a table, for queries whose run they overtook.

    ``forgotten_ts`` is the newest commit that is no longer here.
    """

    rows_max: int
    forgotten_ts: CommitTs = NO_COMMIT
    _commits: deque[tuple[CommitTs, tuple[Write, ...]]] = field(
        factory=deque[tuple[CommitTs, tuple[Write, ...]]]
    )
    _rows: int = 0

    def append(self, ts: CommitTs, writes: tuple[Write, ...]) -> None:
        """Keep a commit, and forget old ones past the bound."""
        self._commits.append((ts, writes))
        self._rows += sum(map(_weight, writes))
        while self._rows > self.rows_max:
            self.forgotten_ts, forgotten = self._commits.popleft()
            self._rows -= sum(map(_weight, forgotten))

    def touch(self, reads: tuple[Read, ...], since_ts: CommitTs) -> bool:
        """Say whether a commit after ``since_ts`` met these ranges, or may have."""
        if since_ts < self.forgotten_ts:
            return True
        for ts, writes in reversed(self._commits):
            if ts <= since_ts:
                return False
            if any(
                keys[each.index] in each
                for write in writes
                for keys in keys_of(write)
                for each in reads
            ):
                return True
        return False


@define(kw_only=True)
class TableActor:
    """Compares each commit with what live queries have read of its table.

    In:   TableWrites, TableReplaced and NewLayout, in commit order, from the MutationActor;
          Subscribe and Unsubscribe from the QueryActor.
    Out:  Invalidated to the QueryActor, after each batch of messages.
    Owns: the range map of the table, and its last commits.

    Attributes:
        layout_ts: since when rows have the keys that they have now; ranges that were read before
            may be of indexes that are no more.
    """

    name: TableName
    inbox: Mailbox[TableMessage]
    queries: Put[Invalidated]
    ts: CommitTs = NO_COMMIT
    layout_ts: CommitTs = NO_COMMIT
    at: TableMessage | None = None
    heard: int = 0
    _told: int = 0
    recent: RecentWrites = field(factory=lambda: RecentWrites(10_000))
    subscriptions: RangeMap[LiveQueryId] = field(factory=RangeMap[LiveQueryId])
    since: dict[LiveQueryId, CommitTs] = field(factory=dict[LiveQueryId, CommitTs])

    async def run(self) -> None:
        """Work for ever."""
        while True:
            messages = await self.inbox.receive_batch(_MESSAGES_AT_ONCE)
            met: dict[LiveQueryId, CommitTs] = {}
            for message in messages:
                self.at = message
                self._handle(message, met)
            self.at = None
            if not len(self.inbox):
                # Merged messages stand before older ones, so a number tells how far the table has
                # listened only when nothing is left to hear.
                self.heard = self._told
            self.queries.put(Invalidated(self.name, self.ts, met, self.heard))
            if len(messages) == _MESSAGES_AT_ONCE:
                await trio.lowlevel.checkpoint()  # A long queue does not keep the loop to itself.

    def reset(self, ts: CommitTs) -> None:
        """Begin anew after a crash, knowing nothing: every run of before ``ts`` counts as met."""
        self.at = None
        self.heard = self._told
        self.subscriptions = RangeMap[LiveQueryId]()
        self.since = {}
        self.recent = RecentWrites(self.recent.rows_max, ts)

    def _handle(self, message: TableMessage, met: dict[LiveQueryId, CommitTs]) -> None:
        match message:
            case TableWrites(ts, writes):
                assert ts > self.ts, (self.name, ts, self.ts)
                self.ts = ts
                self.recent.append(ts, writes)
                rows = [keys for write in writes for keys in keys_of(write)]
                for query in self.subscriptions.touched_by(rows):
                    met[query] = self.since[query]
            case TableReplaced(ts):
                assert ts > self.ts, (self.name, ts, self.ts)
                self.ts = ts
                self.recent = RecentWrites(self.recent.rows_max, ts)
                met.update(self.since)
            case Subscribe(query, reads, since_ts, number):
                self._told = max(self._told, number)
                if since_ts < self.layout_ts:
                    self._drop(query)
                    met[query] = since_ts
                    return
                self.subscriptions.put(query, reads)
                self.since[query] = since_ts
                # Commits may have come between the query's run and this message.
                if self.recent.touch(reads, since_ts):
                    met[query] = since_ts
            case Unsubscribe(query, number):
                self._told = max(self._told, number)
                self._drop(query)
            case NewLayout(ts):
                self.ts = self.layout_ts = ts
                # A query that has run since may have taken the place of its older message.
                for query in [each for each, since_ts in self.since.items() if since_ts < ts]:
                    met[query] = self.since[query]
                    self._drop(query)
                self.recent = RecentWrites(self.recent.rows_max, ts)
            case _:
                assert_never(message)

    def _drop(self, query: LiveQueryId) -> None:
        self.subscriptions.discard(query)
        self.since.pop(query, None)
