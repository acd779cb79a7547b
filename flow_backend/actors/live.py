"""Live queries and those who watch them: what the QueryActor owns, without its timing."""

from collections.abc import Collection, Iterable

from attrs import define, field

from flow_backend.actors.mailbox import Put
from flow_backend.actors.messages.calls import Call, LiveQueryId, SessionKey
from flow_backend.actors.messages.to_query import Moment, QueryResult, Resubscribe, Round
from flow_backend.functions.context import Caller
from flow_backend.functions.read_set import ReadSet
from flow_backend.storage.base import TableName
from flow_backend.sync.messages import START, IdentityVersion, QueryId, QuerySetVersion, Version
from flow_backend.values.timestamp import NO_COMMIT, CommitTs

LiveKey = tuple[str, bytes, str | None, bool, str | None]
"""What makes two subscriptions one live query: path, arguments, the journal to begin with, whether
the caller is an admin, and the identity's key (None as long as no run looked at the identity)."""


@define(eq=False)
class LiveQuery:
    """One question that somebody watches.

    Attributes:
        result: of the last run; None before the first.
        before: the one before it, which differs from it.
        ts: what the last run read at.
        journal: of the last run: what the next one must repeat.
        wakes_at: the instant at which the result may become another, ms since the epoch; infinite
            if only a clock that is set back could change it, None if it did not look at the clock.
        met: a commit since has written what it read, or that instant has come, so it must be run
            again.
        runs: how often it was run.
    """

    id: LiveQueryId
    key: LiveKey
    call: Call
    journal: str | None
    watchers: "dict[SessionKey, Watcher]" = field(factory=lambda: dict[SessionKey, Watcher]())
    result: QueryResult | None = None
    before: QueryResult | None = None
    ts: CommitTs = NO_COMMIT
    read_set: ReadSet = field(factory=dict)  # pyright: ignore[reportUnknownVariableType]
    wakes_at: float | None = None
    met: bool = True
    running: bool = False
    looked_at_identity: bool = False
    runs: int = 0

    @property
    def is_refusal(self) -> bool:
        """Whether it is no query, but an answer that no run gave."""
        return not self.key[1]


@define(eq=False)
class Watcher:
    """A session, as the QueryActor sees it.

    Attributes:
        queries: what it watches; several of its query ids may share a live query.
        ids: the query ids of each live query.
        stale: live queries whose result may be another than the session holds.
        collected: those whose result the round that is being put together has taken over.
        held: the result that it was last sent for each of its queries.
        wants_round: it needs a round even if nothing has changed.
        round_at: what the round sees that is being put together for it, None if there is none;
            ``waiting`` is how many of its live queries are still running for it.
    """

    session: SessionKey
    rounds: Put[Round | Resubscribe]
    caller: Caller
    query_set: QuerySetVersion = START.query_set
    identity: IdentityVersion = START.identity
    queries: dict[QueryId, LiveQuery] = field(factory=dict[QueryId, LiveQuery])
    ids: dict[LiveQueryId, dict[QueryId, None]] = field(
        factory=dict[LiveQueryId, dict[QueryId, None]]
    )
    stale: dict[LiveQueryId, LiveQuery] = field(factory=dict[LiveQueryId, LiveQuery])
    collected: dict[LiveQueryId, LiveQuery] = field(factory=dict[LiveQueryId, LiveQuery])
    held: dict[QueryId, QueryResult] = field(factory=dict[QueryId, QueryResult])
    removed: list[QueryId] = field(factory=list[QueryId])
    wants_round: bool = False
    round_at: Moment | None = None
    waiting: int = 0
    covers: tuple[QuerySetVersion, IdentityVersion] = (START.query_set, START.identity)
    changes: dict[QueryId, QueryResult] = field(factory=dict[QueryId, QueryResult])
    must_send: bool = False

    def begin_round(self, at: Moment) -> None:
        """Begin a round: it covers what the session has asked for until now."""
        self.round_at = at
        self.covers = (self.query_set, self.identity)
        self.must_send = self.wants_round or bool(self.removed)
        self.wants_round = False
        self.changes = {}
        self.waiting = 0

    def collect(self, live: LiveQuery) -> None:
        """Take over a live query's result, where it is new for this session."""
        result = live.result
        assert result is not None, live.key
        self.stale.pop(live.id, None)
        self.collected[live.id] = live
        held = self.held
        for query_id in self.ids[live.id]:
            before = held.get(query_id)
            if before is result:
                continue
            # Most hold the result before this one, which is known to be another: the two, of many
            # kilobytes that begin alike, are not compared for each session.
            if before is live.before or before != result:
                self.changes[query_id] = result

    def collect_stale(self, running: Collection[LiveQueryId]) -> None:
        """Take over the results that are new for this session, but for those still running."""
        if self.stale:
            for ident, live in list(self.stale.items()):
                if ident not in running:
                    self.collect(live)

    def open(self, query_id: QueryId, live: LiveQuery) -> None:
        """Watch a live query under a query id."""
        live.watchers[self.session] = self
        self.queries[query_id] = live
        self.ids.setdefault(live.id, {})[query_id] = None
        self.stale[live.id] = live

    def close(self, query_id: QueryId) -> LiveQuery:
        """Watch a live query no longer under this id. Returns: the live query."""
        live = self.queries.pop(query_id)
        self.held.pop(query_id, None)
        self.changes.pop(query_id, None)
        ids = self.ids[live.id]
        del ids[query_id]
        if not ids:
            del self.ids[live.id]
            self.stale.pop(live.id, None)
            self.collected.pop(live.id, None)
            live.watchers.pop(self.session, None)
        return live

    def finish_round(self, like: Round | None) -> Round | None:
        """Give the round, if there is anything to say; then the session holds what it says.

        ``like`` is another session's: if this one is the same, that is given, and shared.
        """
        assert self.round_at is not None, self.session
        assert not self.waiting, self.session
        ts = self.round_at.ts
        self.round_at = None
        self.collected.clear()
        if not (self.changes or self.must_send):
            return None
        changes, self.changes = self.changes, {}
        self.held.update(changes)
        if self.removed:
            removed, self.removed = tuple(self.removed), []
            return Round(Version(self.covers[0], ts, self.covers[1]), changes, removed)
        if (
            like is not None
            and like.version.ts == ts
            and (like.version.query_set, like.version.identity) == self.covers
            and like.changes == changes
            and not like.removed
        ):
            return like
        return Round(Version(self.covers[0], ts, self.covers[1]), changes)

    def abandon_round(self) -> None:
        """Give up the round: what it would have covered is left for the next one."""
        if self.round_at is not None:
            self.round_at = None
            self.waiting = 0
            self.wants_round = True
            self.stale.update(self.collected)
            self.collected.clear()


@define
class LiveQueries:
    """All live queries, by what is asked."""

    by_id: dict[LiveQueryId, LiveQuery] = field(factory=dict[LiveQueryId, LiveQuery])
    _by_key: dict[LiveKey, LiveQuery] = field(factory=dict[LiveKey, LiveQuery])
    _readers: dict[TableName, dict[LiveQueryId, None]] = field(
        factory=dict[TableName, dict[LiveQueryId, None]]
    )
    due: dict[LiveQueryId, LiveQuery] = field(factory=dict[LiveQueryId, LiveQuery])
    _last_id: int = field(default=0, alias="last_id")

    def __len__(self) -> int:
        return len(self.by_id)

    def successor(self) -> "LiveQueries":
        """Give an empty one that uses none of these ids again."""
        return LiveQueries(last_id=self._last_id)

    def watch(
        self, watcher: Watcher, query_id: QueryId, call: Call, args: bytes, journal: str | None
    ) -> None:
        """Let a session watch a question: one that stands already, or a new one."""
        shared: LiveKey = (call.path, args, journal, call.caller.admin, None)
        live = self._by_key.get(shared)
        if live is None or (live.looked_at_identity and live.call.caller != call.caller):
            identity = call.caller.identity
            own = (*shared[:4], "" if identity is None else identity.key)
            live = self._by_key.get(own) or self._add(shared if live is None else own, call)
        watcher.open(query_id, live)

    def _add(self, key: LiveKey, call: Call) -> LiveQuery:
        self._last_id += 1
        live = LiveQuery(LiveQueryId(self._last_id), key, call, key[2])
        self.by_id[live.id] = live
        self._by_key[key] = live
        self.due[live.id] = live
        return live

    def forget(self, live: LiveQuery) -> None:
        """Drop a live query that nobody watches."""
        assert not live.watchers, live.key
        self.by_id.pop(live.id, None)
        self.due.pop(live.id, None)
        if self._by_key.get(live.key) is live:
            del self._by_key[live.key]
        for table in live.read_set:
            self._readers.get(table, {}).pop(live.id, None)

    def split(self, live: LiveQuery) -> list[Watcher]:
        """Part those who watch a live query by identity: its last run looked at the caller's.

        The query stays with the identity that it ran for; the others get queries of their own,
        which are due.

        Returns: the sessions whose queries are other ones now; their rounds are given up.
        """
        ran_for = live.call.caller
        parted = [each for each in live.watchers.values() if each.caller != ran_for]
        for watcher in parted:
            watcher.abandon_round()
            for query_id in list(watcher.ids[live.id]):
                watcher.close(query_id)
                call = Call(live.call.path, live.call.args, watcher.caller)
                self.watch(watcher, query_id, call, live.key[1], live.key[2])
        return parted

    def watch_refused(self, watcher: Watcher, query_id: QueryId, refused: QueryResult) -> None:
        """Let a session hold an answer that no run gave: nothing will ever change it."""
        call = Call("", None, watcher.caller)
        key: LiveKey = ("", b"", None, False, f"{watcher.session}:{query_id}")
        self._last_id += 1
        ident = LiveQueryId(self._last_id)
        live = LiveQuery(ident, key, call, None, result=refused, met=False)
        watcher.open(query_id, live)

    def meet(self, live: LiveQuery) -> None:
        """Note that what the query read is no longer so: a commit has written it, or time has."""
        live.met = True
        if not live.running:
            self.due[live.id] = live

    def read(self, live: LiveQuery, read_set: ReadSet) -> Iterable[TableName]:
        """Note what a run read. Returns: the tables that it no longer reads."""
        before, live.read_set = live.read_set, read_set
        for table in read_set:
            self._readers.setdefault(table, {})[live.id] = None
        gone = [table for table in before if table not in read_set]
        for table in gone:
            self._readers[table].pop(live.id, None)
        return gone

    def readers_of(self, table: TableName) -> list[LiveQuery]:
        """Give the live queries that read a table."""
        return [self.by_id[ident] for ident in self._readers.get(table, {})]
