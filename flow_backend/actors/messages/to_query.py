"""What the QueryActor is told, and what it answers."""

from collections.abc import Mapping

from attrs import field

from flow_backend.actors.mailbox import Put
from flow_backend.actors.messages.calls import LiveQueryId, SessionKey
from flow_backend.errors import StorageError
from flow_backend.functions.context import NOBODY, Caller
from flow_backend.functions.runner import QueryRun
from flow_backend.records import frozen
from flow_backend.storage.base import (
    Done,
    Refused,
    TableName,
)
from flow_backend.sync.messages import (
    START,
    Add,
    IdentityVersion,
    QueryId,
    QuerySetVersion,
    Version,
)
from flow_backend.values.timestamp import CommitTs


@frozen
class Committed:
    """A batch is on disk: the tables that it wrote, and the sessions that were answered for it.

    It goes to the QueryActor straight from the writer: a table that is not named has nothing to
    say about ``ts``, so that its silence is never ambiguous and costs nothing. Each table has its
    own timestamp, since in a merged message it may not have been written by the newest batch.

    ``is_switch`` says that a version of the app came into force: every answer may be another.
    """

    ts: CommitTs
    tables: Mapping[TableName, CommitTs]
    sessions: tuple[SessionKey, ...] = ()
    is_switch: bool = False

    merge_key = "committed"

    def merged(self, newer: "Committed") -> "Committed":
        """Say what both say."""
        sessions = dict.fromkeys(self.sessions + newer.sessions)
        is_switch = self.is_switch or newer.is_switch
        return Committed(newer.ts, {**self.tables, **newer.tables}, tuple(sessions), is_switch)


@frozen
class Invalidated:
    """A table has compared all commits up to ``ts``, and these live queries were met.

    Attributes:
        queries: each with the timestamp of the run whose read set was met; a newer run has since
            taken its place if that differs.
        heard: the number of the last subscription that was taken into account.
    """

    table: TableName
    ts: CommitTs
    queries: Mapping[LiveQueryId, CommitTs]
    heard: int

    @property
    def merge_key(self) -> tuple[str, TableName]:
        """One unread message for each table."""
        return ("invalidated", self.table)

    def merged(self, newer: "Invalidated") -> "Invalidated":
        """Say what both say."""
        return Invalidated(self.table, newer.ts, {**self.queries, **newer.queries}, newer.heard)


@frozen
class TableLost:
    """A table's actor was started again and knows no subscriptions: its readers count as met.

    No commit up to ``ts`` will be compared by it any more. ``refused`` is the query whose
    subscription it failed at: it must not be told that again.
    """

    table: TableName
    ts: CommitTs
    refused: LiveQueryId | None = None


@frozen
class QueryResult:
    """A result that all who watch a live query share.

    Attributes:
        body: the part of the protocol's modification that follows the query id.
        updated: whether it is a value (else an error).
        journal: what a re-run must repeat.
    """

    body: bytes
    updated: bool
    journal: str | None = None


@frozen
class Round:
    """All that changed for one session, as of one timestamp.

    Attributes:
        version: the timestamp, and the newest versions of the query set and the identity that are
            covered. Sessions that are told the same share the round, and so stand at the very same
            object.
        changes: the results that are new for this session.
        removed: queries that it no longer has.
    """

    version: Version
    changes: Mapping[QueryId, QueryResult] = field(factory=dict[QueryId, QueryResult])
    removed: tuple[QueryId, ...] = ()

    def merged(self, newer: "Round") -> "Round":
        """Give one round that leads as far as both: of each query the newer result."""
        # A query id may be dropped and taken up again: then the newer round has its result, too.
        gone = set(newer.removed)
        kept = {ident: result for ident, result in self.changes.items() if ident not in gone}
        changes = {**kept, **newer.changes}
        removed = self.removed + newer.removed
        return Round(newer.version, changes, removed)


@frozen
class OpenSession:
    """A session begins, or tells all that it has to an actor that begins anew.

    It is one message, so that no round can come between its parts.

    Attributes:
        rounds: where its rounds go.
        wants_round: whether it gets one although nothing changes.
    """

    session: SessionKey
    rounds: "Put[Round | Resubscribe]"
    caller: Caller = NOBODY
    identity: IdentityVersion = START.identity
    query_set: QuerySetVersion = START.query_set
    queries: tuple[Add, ...] = ()
    wants_round: bool = False


@frozen
class CloseSession:
    """A session has ended: forget its queries."""

    session: SessionKey


@frozen
class ChangeQueries:
    """A session opens and closes queries."""

    session: SessionKey
    add: tuple[Add, ...]
    remove: tuple[QueryId, ...]
    query_set: QuerySetVersion


@frozen
class ChangeIdentity:
    """A session is someone else now: all its queries count anew."""

    session: SessionKey
    caller: Caller
    identity: IdentityVersion


@frozen
class CatchUp:
    """A session was answered and needs a round, even an empty one."""

    session: SessionKey


@frozen
class Resubscribe:
    """The QueryActor was started again: a session is to tell it all its queries."""


@frozen
class ReaderFreed:
    """A reader is free again that a live query has waited for."""

    merge_key = "reader freed"

    def merged(self, newer: "ReaderFreed") -> "ReaderFreed":
        """One is enough."""
        return newer


@frozen
class Moment:
    """What all runs of one round see: the state at ``ts``, and the time ``now_ms``.

    Two rounds may read the same state at different times: ``round`` tells them apart.
    """

    ts: CommitTs
    now_ms: float
    round: int


@frozen
class RunEnded:
    """A run of a live query that a thread did has ended; ``at`` is what it saw."""

    query: LiveQueryId
    at: Moment
    run: QueryRun


@frozen
class ClockPassed:
    """The instant that the live queries wait for has come, or the wall clock was set back.

    It names no instant: the QueryActor looks at the clock, and tells what it waits for next.
    """

    merge_key = "clock passed"

    def merged(self, newer: "ClockPassed") -> "ClockPassed":
        """One is enough."""
        return newer


@frozen
class QueryDone:
    """The outcome of a query that was run once, and the timestamp it is true at."""

    result: Done | Refused
    ts: CommitTs


@frozen
class StorageFailed:
    """A reader met an error that nobody mends: whoever is told ends the process with it."""

    error: StorageError


QueryMessage = (
    Committed
    | Invalidated
    | TableLost
    | OpenSession
    | CloseSession
    | ChangeQueries
    | ChangeIdentity
    | CatchUp
    | ReaderFreed
    | RunEnded
    | ClockPassed
    | StorageFailed
)
