"""What actors tell each other. All of it is frozen; nothing here is shared and written."""

from collections.abc import Callable, Mapping
from typing import Final, NewType

from attrs import field

from flow_backend.actors.mailbox import Put
from flow_backend.errors import ImportRefused, StorageError, SwitchRefused
from flow_backend.functions.context import NOBODY, Caller
from flow_backend.functions.exchange import Exchange
from flow_backend.functions.job_steps import Step
from flow_backend.functions.read_set import Read
from flow_backend.functions.runner import QueryRun
from flow_backend.functions.versions import AppVersion
from flow_backend.records import frozen
from flow_backend.schema.system import JobRuns
from flow_backend.schema.table import TableSpec
from flow_backend.storage.base import (
    Done,
    Outcome,
    Progress,
    Refused,
    RequestKey,
    Switched,
    TableName,
    Transaction,
    Write,
    Writer,
)
from flow_backend.storage.staged import StagedImport
from flow_backend.sync.messages import (
    START,
    Add,
    IdentityVersion,
    QueryId,
    QuerySetVersion,
    RequestId,
    Version,
)
from flow_backend.values.timestamp import CommitTs
from flow_backend.values.value import JsonValue

SessionKey = NewType("SessionKey", int)
"""One connection of a client, among all of this process's life."""

LiveQueryId = NewType("LiveQueryId", int)
"""One live query, among all of this process's life."""


@frozen
class Call:
    """A function, its arguments in wire form, and who asks."""

    path: str
    args: JsonValue
    caller: Caller = NOBODY


# --- To the MutationActor -------------------------------------------------------------------------


@frozen
class MutationDone:
    """The outcome of one mutation, for whoever asked."""

    request_id: RequestId | None
    outcome: Outcome


@frozen
class NotDone:
    """A request that was taken but not carried out; nothing happened, and it may be sent again."""

    request_id: RequestId | None
    reason: str


@frozen
class RunMutation:
    """Run one mutation in the order of commits.

    ``session`` is who is to get a transition at or past its timestamp, if a session asked.
    ``step`` is the server's own work, in whose transaction the call is run, if at all.
    """

    call: Call
    reply_to: "Put[MutationDone | NotDone]"
    request_id: RequestId | None = None
    request: RequestKey | None = None
    session: SessionKey | None = None
    step: Step | None = None


FAILED_AT_THIS: Final = (
    "[Server Error] The server's writer failed at just this mutation; nothing of it was written. "
    "Do not send it again as it is; the server's log names the fault."
)
"""What a mutation is refused with that the MutationActor itself has failed at."""

OUTCOME_UNKNOWN: Final = (
    "[Server Error] The server's writer failed, and whether this mutation was made is not known. "
    "Look at the data; with an idempotency key a request can be sent again safely."
)
"""What one without an idempotency key is refused with, if the MutationActor has failed."""


@frozen
class MarkPast:
    """Commit an empty marker above ``ts``: a client has seen more than this database has.

    ``session`` is who is shown nothing until then, and gets a transition past the marker;
    ``reply_to`` hears if there can be none.
    """

    ts: CommitTs
    session: SessionKey
    reply_to: "Put[NotDone]"


@frozen
class SwappedIn:
    """What became of an import: its commit, or why nothing of it happened."""

    ts: CommitTs | None
    refused: ImportRefused | None = None


@frozen
class SwapIn:
    """Take over a staged import in one commit, with what ``record`` writes of it.

    It is alone in its batch, and holds up the mutations behind it for as long as the disk takes.
    """

    staged: StagedImport
    record: Callable[[Transaction], None]
    reply_to: "Put[SwappedIn | NotDone]"
    session: SessionKey | None = None


@frozen
class SwitchDone:
    """A version is in force."""

    version: AppVersion


@frozen
class Switch:
    """Put a version of the app in force: one commit, at its own place in the order.

    Attributes:
        specs: the tables of the version.
        record: writes the rows that go with it.
        version: makes it, of what the database says.
        reply_to: hears how it went.
    """

    specs: tuple[TableSpec, ...]
    record: Callable[[Transaction], None]
    version: Callable[[Switched], AppVersion]
    reply_to: "Put[SwitchDone | SwitchRefused | NotDone]"
    session: None = None


@frozen
class BuildStep:
    """Do a piece of what is built for a later schema: some ms of the writer's time."""

    step: Callable[[Writer], Progress | None]
    reply_to: "Put[BuildDone | SwitchRefused | NotDone]"
    session: None = None


@frozen
class BuildDone:
    """How far the build is; None if there is nothing to build."""

    progress: Progress | None


MutationMessage = RunMutation | MarkPast | SwapIn | Switch | BuildStep


# --- To the TableActors ---------------------------------------------------------------------------


@frozen
class TableWrites:
    """One batch of commits, as a table that it wrote sees it."""

    ts: CommitTs
    writes: tuple[Write, ...]


@frozen
class TableReplaced:
    """An import has written in this table: whoever read any of it is met."""

    ts: CommitTs


@frozen
class Subscribe:
    """A live query read these ranges of this table in a run at ``since_ts``.

    It takes the place of what the query read before. ``number`` counts what the QueryActor has told
    this table, so that the table can say how far it has listened.
    """

    query: LiveQueryId
    reads: tuple[Read, ...]
    since_ts: CommitTs
    number: int

    @property
    def merge_key(self) -> LiveQueryId:
        """Of what a query read, only the newest counts."""
        return self.query

    def merged(self, newer: "Subscribe | Unsubscribe") -> "Subscribe | Unsubscribe":
        """Give the newer one."""
        return newer


@frozen
class Unsubscribe:
    """A live query no longer reads this table."""

    query: LiveQueryId
    number: int

    @property
    def merge_key(self) -> LiveQueryId:
        """Of what a query read, only the newest counts."""
        return self.query

    def merged(self, newer: "Subscribe | Unsubscribe") -> "Subscribe | Unsubscribe":
        """Give the newer one."""
        return newer


@frozen
class NewLayout:
    """From ``ts`` on rows have the keys of another version's indexes.

    What was read before cannot be compared with them: whoever read it is run again anyway.
    """

    ts: CommitTs


TableMessage = TableWrites | TableReplaced | Subscribe | Unsubscribe | NewLayout


# --- To the QueryActor ----------------------------------------------------------------------------


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


# --- To the SchedulerActor ------------------------------------------------------------------------


@frozen
class NextInstant:
    """The earliest instant that any live query waits for, ms since the epoch.

    It is infinite if only a clock that is set back could change an answer, and None if nobody waits
    for anything.
    """

    instant: float | None

    merge_key = "next instant"

    def merged(self, newer: "NextInstant") -> "NextInstant":
        """Give the newer one."""
        return newer


@frozen
class CronsAnswered:
    """The writer has answered about crons; what, stands beside the inbox."""

    merge_key = "crons answered"

    def merged(self, newer: "CronsAnswered") -> "CronsAnswered":
        """One is enough."""
        return newer


@frozen
class CronsChanged:
    """A version with crons of its own is in force; their rows are written.

    Attributes:
        upcoming: the next instant of each, by name, ms since the epoch.
    """

    upcoming: Mapping[str, float]

    merge_key = "crons changed"

    def merged(self, newer: "CronsChanged") -> "CronsChanged":
        """Give the newer one."""
        return newer


SchedulerMessage = NextInstant | CronsAnswered | CronsChanged


# --- To the ActionActor ---------------------------------------------------------------------------


@frozen
class ActionDone:
    """The outcome of an action; ``again`` says that another attempt might end otherwise."""

    request_id: RequestId | None
    result: Done | Refused
    again: bool = False


@frozen
class RunAction:
    """Run an action; with ``http`` it is that of an HTTP route."""

    call: Call
    reply_to: "Put[ActionDone | NotDone]"
    request_id: RequestId | None = None
    http: Exchange | None = None


# --- To the JobActor ------------------------------------------------------------------------------


@frozen
class JobsWritten:
    """Jobs that wait are on disk: when the first of each kind is due, ms since the epoch."""

    earliest: Mapping[JobRuns, float]

    merge_key = "jobs written"

    def merged(self, newer: "JobsWritten") -> "JobsWritten":
        """Say what both say."""
        earliest = dict(self.earliest)
        for runs, due in newer.earliest.items():
            earliest[runs] = min(due, earliest.get(runs, due))
        return JobsWritten(earliest)


@frozen
class JobsEnded:
    """Some of the runs that the JobActor asked for have ended; their results lie with it."""

    merge_key = "jobs ended"

    def merged(self, newer: "JobsEnded") -> "JobsEnded":
        """One is enough."""
        return newer


JobMessage = JobsWritten | JobsEnded
