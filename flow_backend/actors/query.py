"""The live queries' actor: each is run once for all who watch it, at one timestamp for all."""

from collections.abc import Mapping
from math import nan
from typing import assert_never

import orjson
import trio
from attrs import define, field

from flow_backend.actors.blame import Asked
from flow_backend.actors.durations import Durations
from flow_backend.actors.frontier import Frontier
from flow_backend.actors.instants import Instants
from flow_backend.actors.live import LiveQueries, LiveQuery, Watcher
from flow_backend.actors.live_runs import LiveRuns
from flow_backend.actors.mailbox import Mailbox, Put
from flow_backend.actors.messages.calls import Call, SessionKey
from flow_backend.actors.messages.to_query import (
    CatchUp,
    ChangeIdentity,
    ChangeQueries,
    ClockPassed,
    CloseSession,
    Committed,
    Invalidated,
    Moment,
    OpenSession,
    QueryMessage,
    QueryResult,
    ReaderFreed,
    Round,
    RunEnded,
    StorageFailed,
    TableLost,
)
from flow_backend.actors.messages.to_scheduler import NextInstant
from flow_backend.actors.messages.to_table import Subscribe, TableMessage, Unsubscribe
from flow_backend.actors.outbox import Outbox
from flow_backend.actors.reading import ReadPool
from flow_backend.functions.runner import QueryRun
from flow_backend.functions.versions import AppVersion, Versions
from flow_backend.runtime import Runtime, ms_of
from flow_backend.storage.base import Done, Snapshot, TableName
from flow_backend.sync.codec import query_failed_body, query_updated_body
from flow_backend.sync.messages import Add, QueryId
from flow_backend.values.timestamp import CommitTs
from flow_backend.values.value import JsonValue

_MESSAGES_AT_ONCE = 1000
_REFUSED = QueryResult(
    query_failed_body(
        "[Server Error] The server failed at just this query, and runs it no more until it is "
        "started anew; its log names the fault.",
        (),
        None,
        None,
    ),
    False,
)
_NUDGE_MS = 100.0
"""A wall clock that is behind by less than this was corrected a little; by more, set back."""
_SLICE_SECONDS = 0.004
"""For how long runs may keep the loop to themselves."""


@define(kw_only=True)
class QueryActor:
    """Runs live queries again when commits have met them, and tells who watches.

    In:   Committed from the MutationActor, Invalidated from the tables, TableLost for a table that
          was started again, ClockPassed from the SchedulerActor, the sessions' queries, and the
          ends of runs in threads.
    Out:  Subscribe and Unsubscribe to the tables; NextInstant to the SchedulerActor; one Round at a
          time to each session.
    Owns: the live queries, the watchers, the frontier, the instants that queries wait for, and a
          snapshot to run fast queries on.

    A round begins when all tables are settled. Its timestamp is read inside its snapshot, and its
    time is read once: queries whose instant has come by then are due, too. Due queries run at both:
    fast ones here, others in the pool's threads on snapshots of the same timestamp. A session gets
    its round when the last of its own queries has ended, so a slow query holds back those who watch
    it and no one else; while one runs, those sessions sit rounds out.
    """

    inbox: Mailbox[QueryMessage]
    tables: Mapping[TableName, Mailbox[TableMessage]]
    snapshot: Snapshot
    pool: ReadPool
    versions: Versions
    durations: Durations
    runtime: Runtime
    outbox: Outbox
    scheduler: Put[NextInstant]
    live: LiveQueries = field(factory=LiveQueries)
    watchers: dict[SessionKey, Watcher] = field(factory=dict[SessionKey, Watcher])
    frontier: Frontier = field(factory=Frontier)
    instants: Instants = field(factory=Instants)
    # The time of the newest round: clients have seen what was so by then.
    now_ms: float = 0.0
    wanting: dict[SessionKey, Watcher] = field(factory=dict[SessionKey, Watcher])
    session_queries_max: int = 1000
    at: QueryMessage | Asked | None = None
    # What this actor, or one before it, has failed at: it is not asked again.
    poison: dict[Asked, None] = field(factory=dict[Asked, None])
    runs: int = 0
    rounds: int = 0
    _sliced_at: float = 0.0
    _newest_session: int = 0
    _early: dict[SessionKey, bool] = field(factory=dict[SessionKey, bool])
    _last_round: Round | None = None
    # What the SchedulerActor was told last; NaN, which equals nothing, if it knows nothing.
    _told_instant: float | None = nan
    beside: LiveRuns = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.beside = LiveRuns(self.inbox, self.pool)

    async def run(self) -> None:
        """Work for ever."""
        while True:
            for message in await self.inbox.receive_batch(_MESSAGES_AT_ONCE):
                self._handle(message)
            self.at = None
            self._tell_instant()
            while self._can_begin() and await self._round():
                # What was told is written out before it is worked out anew: under load, clients
                # get every n-th state, and the loop has time for mutations.
                await self.outbox.wait_idle()
                for message in self.inbox.take(_MESSAGES_AT_ONCE):
                    self._handle(message)
                self.at = None
                self._tell_instant()

    def _handle(self, message: QueryMessage) -> None:
        self.at = message
        match message:
            case Committed(_, _, sessions, is_switch):
                self.frontier.notice(message)
                if is_switch:
                    self._meet_all()
                for session in sessions:
                    self._want(session)
            case Invalidated(_, _, queries, _):
                self.frontier.compared(message)
                for ident, since_ts in queries.items():
                    live = self.live.by_id.get(ident)
                    # A newer run has a read set of its own, which is compared by itself.
                    if live is not None and live.ts == since_ts:
                        self.live.meet(live)
            case RunEnded(ident, at, run):
                # None if it was started by an actor that has failed since.
                ended = self.beside.ended(ident)
                if ended is not None and ident in self.live.by_id:  # Else nobody watches it.
                    self.at = Asked(*ended.key[:2])
                    self._ended(ended, at, run)
            case OpenSession():
                self._open(message)
            case CloseSession(session):
                self._close(session)
            case ChangeQueries():
                self._change_queries(message)
            case ChangeIdentity():
                self._change_identity(message)
            case CatchUp(session):
                self._want(session)
            case ClockPassed():
                self._told_instant = nan
                self._look_at_clock()
            case ReaderFreed():
                pass  # A round is tried after any message.
            case StorageFailed(error):
                raise error
            case TableLost(table, ts, refused):
                self.frontier.lost(table, ts)
                if refused is not None and refused in self.live.by_id:
                    self._refuse(self.live.by_id[refused])
                for live in self.live.readers_of(table):
                    self.live.meet(live)
            case _:
                assert_never(message)

    def _meet_all(self) -> None:
        """Note that a version of the app came into force, which may answer otherwise."""
        self.poison.clear()
        for live in self.live.by_id.values():
            self.live.meet(live)

    # --- What sessions ask for -------------------------------------------------------------------

    def _open(self, message: OpenSession) -> None:
        session = message.session
        watcher = Watcher(session, message.rounds, message.caller)
        watcher.query_set, watcher.identity = message.query_set, message.identity
        self.watchers[session] = watcher
        for add in message.queries:
            self._watch(watcher, add)
        self._newest_session = max(self._newest_session, session)
        if self._early.pop(session, False) or message.wants_round:
            self._want(session)

    def _want(self, session: SessionKey) -> None:
        watcher = self.watchers.get(session)
        if watcher is not None:
            watcher.wants_round = True
            self.wanting[session] = watcher
        elif session > self._newest_session:
            # A notice that merged with an earlier one stands before the session's opening.
            self._early[session] = True

    def _change_queries(self, message: ChangeQueries) -> None:
        watcher = self.watchers.get(message.session)
        if watcher is None:
            return
        for query_id in message.remove:
            if query_id in watcher.queries:
                self._unwatch(watcher, query_id)
            watcher.removed.append(query_id)
        for add in message.add:
            self._watch(watcher, add)
        watcher.query_set = message.query_set
        self._want(message.session)

    def _watch(self, watcher: Watcher, add: Add) -> None:
        # A round that is being put together does not know the query: the next one brings it.
        watcher.abandon_round()
        most = self.session_queries_max
        if len(watcher.queries) >= most:
            text = f"This client watches {most} queries already, which is the most for one client."
            refused = QueryResult(query_failed_body(text, (), None, None), False)
            self.live.watch_refused(watcher, add.query_id, refused)
            return
        # There are no components here: a path inside one is the path of no function.
        path = f"{add.component_path}/{add.path}" if add.component_path else add.path
        args = _without_nonce(add.args if isinstance(add.args, dict) else None)
        try:
            key = orjson.dumps(args, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:
            # It nests deeper than can be written. Arguments that are none are refused by the call;
            # an error here would end what all clients watch.
            args, key = None, b"null"
        asked = Asked(path, key)
        if asked in self.poison:
            self.live.watch_refused(watcher, add.query_id, _REFUSED)
            return
        message, self.at = self.at, asked
        call = Call(path, args, watcher.caller)
        self.live.watch(watcher, add.query_id, call, key, add.journal)
        self.at = message

    def _unwatch(self, watcher: Watcher, query_id: QueryId) -> None:
        watcher.abandon_round()
        live = watcher.close(query_id)
        if not live.watchers:
            self._forget(live)

    def _forget(self, live: LiveQuery) -> None:
        self.live.forget(live)
        self.instants.put(live.id, None)
        for table in live.read_set:
            self._tell_unsubscribe(table, live)

    def _refuse(self, live: LiveQuery) -> None:
        """Give all who watch a query an error, and run it no more: an actor failed at it."""
        self.poison[Asked(*live.key[:2])] = None
        for watcher in list(live.watchers.values()):
            for query_id in list(watcher.ids[live.id]):
                watcher.abandon_round()
                watcher.close(query_id)
                self.live.watch_refused(watcher, query_id, _REFUSED)
            self._want(watcher.session)
        self._forget(live)

    def _change_identity(self, message: ChangeIdentity) -> None:
        watcher = self.watchers.get(message.session)
        if watcher is None:
            return
        watcher.identity = message.identity
        self._want(message.session)
        if watcher.caller == message.caller:
            return  # The same person with a fresh token: no answer can differ.
        watched = [
            (ident, live.key, live.journal)
            for ident, live in watcher.queries.items()
            if not live.is_refusal
        ]
        held = dict(watcher.held)
        for query_id, _, _ in watched:
            self._unwatch(watcher, query_id)
        watcher.caller = message.caller
        watcher.held = held  # An answer that is the same for both is not sent again.
        for query_id, key, journal in watched:
            args: JsonValue = orjson.loads(key[1])
            call = Call(key[0], args, watcher.caller)
            self.live.watch(watcher, query_id, call, key[1], journal)

    def _close(self, session: SessionKey) -> None:
        watcher = self.watchers.pop(session, None)
        self.wanting.pop(session, None)
        if watcher is not None:
            for query_id in list(watcher.queries):
                self._unwatch(watcher, query_id)

    # --- Rounds ----------------------------------------------------------------------------------

    def _can_begin(self) -> bool:
        return self.frontier.is_settled and bool(self.live.due or self.wanting)

    async def _round(self) -> bool:
        """Run what is due at the newest state. Returns: whether to try again at once."""
        ts = self.snapshot.begin()
        try:
            if ts > self.frontier.noticed_ts:
                return False  # The commit's notice is on its way, and wakes us.
            with self.versions.using(self.versions.at(ts)) as version:
                return await self._round_at(ts, version)
        finally:
            self.snapshot.end()

    async def _round_at(self, ts: CommitTs, version: AppVersion) -> bool:
        self._look_at_clock()
        self.rounds += 1
        at = Moment(ts, self.now_ms, self.rounds)
        fast, slow = self.beside.part(self.live.due.values(), ts)
        waiting = self._begin_rounds(at, [*fast, *(live for live, _ in slow)])
        for live, worker in slow:
            self.live.due.pop(live.id, None)
            self.beside.start(live, worker, at)
        self._sliced_at = self.runtime.monotonic()
        for watcher in waiting:
            if not watcher.waiting:
                self._deliver(watcher)
        for live in fast:
            await self._run_here(live, at, version)
        return bool(fast) or bool(waiting)

    def _begin_rounds(self, at: Moment, runs: list[LiveQuery]) -> list[Watcher]:
        """Begin a round for each session that is concerned and has nothing running from before."""
        chosen = {live.id for live in runs}
        concerned = dict(self.wanting)
        for live in runs:
            concerned.update(live.watchers)
        blocked: set[SessionKey] = set()
        for live in (*self.beside.running.values(), *self.live.due.values()):
            if live.id not in chosen:
                blocked.update(live.watchers)
        begun: list[Watcher] = []
        for session, watcher in concerned.items():
            if watcher.round_at is not None or session in blocked:
                continue
            watcher.begin_round(at)
            self.wanting.pop(session, None)
            watcher.collect_stale(chosen)
            begun.append(watcher)
        for live in runs:
            for watcher in live.watchers.values():
                if watcher.round_at is at:
                    watcher.waiting += 1
        return begun

    async def _run_here(self, live: LiveQuery, at: Moment, version: AppVersion) -> None:
        call, snapshot = live.call, self.snapshot
        self.at = Asked(*live.key[:2])
        interrupt = snapshot.interrupt
        run = version.runner.query(
            call.path, call.args, call.caller, snapshot, live.journal, interrupt, at.now_ms
        )
        self._ended(live, at, run)
        self.at = None
        now = self.runtime.monotonic()
        if now - self._sliced_at > _SLICE_SECONDS:
            await trio.lowlevel.checkpoint()
            self._sliced_at = self.runtime.monotonic()

    def _ended(self, live: LiveQuery, at: Moment, run: QueryRun) -> None:
        """Take over a run: subscribe to what it read, and give its result to who waits for it."""
        self.runs += 1
        live.runs += 1
        self.durations.learn(live.call.path, run.seconds)
        self.live.due.pop(live.id, None)
        live.running = live.met = False
        live.ts = at.ts
        if live.wakes_at is not None or run.wakes_at is not None:
            self._wait_for(live, run.wakes_at, at)
        live.looked_at_identity = run.looked_at_identity
        result = _shared_result(run)
        is_new = live.result != result  # One that came out the same is not sent again.
        if is_new:
            live.before, live.result = live.result, result
        if isinstance(run.result, Done):  # A run that failed says nothing about the page's end.
            live.journal = run.journal
        self._subscribe(live, run)
        if run.looked_at_identity:
            for watcher in self.live.split(live):
                self._want(watcher.session)
            if not live.watchers:
                # It ran for someone who has left: those who stay have queries of their own now.
                self._forget(live)
                return
        if at.ts < self.versions.newest.from_ts:
            self.live.meet(live)  # A version came into force while it ran.
        for watcher in list(live.watchers.values()):
            if watcher.round_at is at and watcher.waiting:
                watcher.collect(live)
                watcher.waiting -= 1
                if not watcher.waiting:
                    self._deliver(watcher)
            elif is_new:
                watcher.stale[live.id] = live
                self._want(watcher.session)

    def _subscribe(self, live: LiveQuery, run: QueryRun) -> None:
        for table in self.live.read(live, run.read_set):
            self._tell_unsubscribe(table, live)
        for table, ranges in run.read_set.items():
            number = self.frontier.tell(table)
            self.tables[table].put(Subscribe(live.id, ranges, live.ts, number))

    def _tell_unsubscribe(self, table: TableName, live: LiveQuery) -> None:
        self.tables[table].put(Unsubscribe(live.id, self.frontier.tell(table)))

    # --- The clock -------------------------------------------------------------------------------

    def _look_at_clock(self) -> None:
        """Read the time, once for all that run at it, and note the queries whose instant it is."""
        now_ms = ms_of(self.runtime.now_ns())
        if now_ms < self.now_ms:
            if self.now_ms - now_ms < _NUDGE_MS:
                # Clients have seen what was so then: time stands still until it has caught up.
                now_ms = self.now_ms
            else:
                for ident in self.instants:
                    self.live.meet(self.live.by_id[ident])
        self.now_ms = now_ms
        for ident in self.instants.take_due(now_ms):
            self.live.meet(self.live.by_id[ident])

    def _wait_for(self, live: LiveQuery, wakes_at: float | None, at: Moment) -> None:
        """Take over which instant a query waits for after a run."""
        live.wakes_at = wakes_at
        self.instants.put(live.id, wakes_at)
        if at.now_ms > self.now_ms and wakes_at is not None:
            # The clock was set back while it ran: what it saw is yet to come.
            self.live.meet(live)

    def _tell_instant(self) -> None:
        """Tell the SchedulerActor what to wait for, if that is another instant than before."""
        earliest = self.instants.earliest
        if earliest != self._told_instant:
            self._told_instant = earliest
            self.scheduler.put(NextInstant(earliest))

    # --- Results ---------------------------------------------------------------------------------

    def _deliver(self, watcher: Watcher) -> None:
        done = watcher.finish_round(self._last_round)
        if done is not None:
            self._last_round = done
            watcher.rounds.put(done)


def _without_nonce(args: JsonValue) -> JsonValue:
    """Leave out the mark by which a client tells its pages apart: it asks for nothing."""
    if not isinstance(args, dict):
        return args
    options = args.get("paginationOpts")
    if not isinstance(options, dict) or "id" not in options:
        return args
    return {**args, "paginationOpts": {k: v for k, v in options.items() if k != "id"}}


def _shared_result(run: QueryRun) -> QueryResult:
    """Encode a result once for all who watch."""
    result = run.result
    if isinstance(result, Done):
        body = query_updated_body(result.result, result.log_lines, run.journal)
        return QueryResult(body, True, run.journal)
    body = query_failed_body(result.message, result.log_lines, run.journal, result.data)
    return QueryResult(body, False, run.journal)
