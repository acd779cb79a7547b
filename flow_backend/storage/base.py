"""What a storage engine is: snapshots to read, and one writer that commits batches.

Values cross this interface in their wire form (JSON trees as in the values specification),
documents as the canonical bytes that are stored and sent. Nothing above it knows SQL.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, NewType, Protocol

from attrs import field

from flow_backend.errors import FlowError
from flow_backend.records import frozen
from flow_backend.schema.table import BY_CREATION_TIME, RowKeys, TableSpec
from flow_backend.storage.staged import StagedImport
from flow_backend.values.timestamp import CommitTs
from flow_backend.values.value import JsonValue

TableName = NewType("TableName", str)

SEARCHED_MAX: Final = 1024
"""How many of the rows that match a search are ranked."""

StoredRow = tuple[int, str, float, bytes, bool]
"""Row number, id, creation time (ms), document, and whether its bytes are of today's schema.

A row of an older one lacks fields that have a default, so its bytes must not be sent as they are.
"""

Position = tuple[JsonValue, ...]
"""A place in an index: the values of its fields, the creation time, the row number."""


@frozen
class IndexBounds:
    """A part of one index: equal on leading fields, then at most one half-open range.

    Attributes:
        prefix: values of the leading fields, in wire form.
        lower: the next field's least value, as a tuple of one; empty means no bound.
        upper: the first value of the next field that is too large; empty means no bound.
        after: start right behind this place (in scan direction).
        until: end with this place, included (in scan direction).
    """

    table: TableName
    index: str = BY_CREATION_TIME
    prefix: Position = ()
    lower: Position = ()
    upper: Position = ()
    after: Position | None = None
    until: Position | None = None


@frozen
class Term:
    """A word to search for, folded as :mod:`flow_backend.storage.words` does, or its beginning."""

    word: str
    is_prefix: bool = False


@frozen
class SearchBounds:
    """What a search asks a search index for.

    Attributes:
        terms: at least one.
        within: of fields that must equal a value, the place in the index's ``within`` and the
            value's digest.
        any_term: a document with one of the terms is enough; otherwise it must have all.
    """

    table: TableName
    index: str
    terms: tuple[Term, ...]
    within: tuple[tuple[int, bytes], ...] = ()
    any_term: bool = False


class Reader(Protocol):
    """Reads at one commit timestamp, and inside a transaction also what it has written."""

    def get(self, table: TableName, id: str) -> StoredRow | None:
        """Give the row with this id, or None."""
        ...

    def scan(self, bounds: IndexBounds, *, descending: bool = False) -> Iterator[StoredRow]:
        """Give the rows in index order, reading no further than they are consumed.

        An iterator is used up (or dropped) before the snapshot ends.
        """
        ...

    def search(self, bounds: SearchBounds, count: int) -> Sequence[StoredRow]:
        """Give the first ``count`` rows that match, the best first.

        The rank of a row follows from the row alone; of equals the youngest comes first. What is
        ranked are the :data:`SEARCHED_MAX` rows that were stored last of those that match.
        """
        ...


class Looking(Protocol):
    """What one asks of a table as a whole, where changes of the schema are prepared."""

    def written_since(self, position: int, table: TableName) -> Sequence[str] | None:
        """Give the ids that were written behind a place in the commit log, each once.

        None if the log no longer says, since that part of it was pruned.
        """
        ...


class Snapshot(Reader, Looking, Protocol):
    """A connection for reading. Not for two threads at once; any one thread may use it."""

    def begin(self) -> CommitTs:
        """Open a snapshot of the newest state and give its timestamp."""
        ...

    def end(self) -> None:
        """Close the snapshot; closing twice is harmless."""
        ...

    def count(self, table: TableName) -> int:
        """Count the rows of a table; the time grows with them, a million take some 10 ms."""
        ...

    def log_position(self) -> int:
        """Give how far the commit log is: the number of its newest row, 0 if it is empty."""
        ...

    def package(self, digest: str) -> bytes | None:
        """Give a deployed package as :meth:`Transaction.keep_package` was given it, or None."""
        ...

    def interrupt(self) -> None:
        """From any thread: make the read that is under way fail with InterruptedRead."""
        ...

    def close(self) -> None:
        """Give the connection back to the system."""
        ...


class InterruptedRead(FlowError):
    """A read was interrupted by :meth:`Snapshot.interrupt` or :meth:`Writer.interrupt`."""


class Transaction(Reader, Looking, Protocol):
    """What a mutation works on. Rows that it wrote are seen by its own reads."""

    @property
    def now_ms(self) -> float:
        """The transaction's time, ms since the epoch; creation times are drawn from just above."""
        ...

    def table_number(self, table: TableName) -> int:
        """Give the number that ids of this table carry."""
        ...

    def next_creation_time(self) -> float:
        """Draw a creation time above all drawn before, ms since the epoch."""
        ...

    def insert(self, table: TableName, id: str, document: Mapping[str, JsonValue]) -> None:
        """Add a row; ``document`` is whole, with its system fields.

        Raises: DocumentError if a unique index has such a key already.
        """
        ...

    def replace(
        self,
        table: TableName,
        before: StoredRow,
        document: Mapping[str, JsonValue],
        raw: bytes | None = None,
    ) -> None:
        """Put a new document in the place of the row ``before``, which was just read.

        ``raw`` is the document's canonical bytes, for a caller that has encoded it already.
        Raises: DocumentError if a unique index has such a key already.
        """
        ...

    def delete(self, table: TableName, before: StoredRow) -> None:
        """Remove the row ``before``, which was just read."""
        ...

    def keep_package(self, digest: str, zipped: bytes) -> None:
        """Keep the package of a version; one that is kept already stays as it is."""
        ...

    def drop_packages(self, kept: Collection[str]) -> None:
        """Delete all packages but those with these digests."""
        ...

    def savepoint(self) -> "Savepoint":
        """Open a part that can be undone alone (a nested mutation)."""
        ...


class Savepoint(Protocol):
    """A part of a transaction; exactly one of the two is called, innermost first."""

    def release(self) -> None:
        """Keep what was written since."""
        ...

    def roll_back(self) -> None:
        """Undo what was written since; reads see the state of before."""
        ...


@frozen
class Write:
    """One row before and after; the keys are those of all indexes of its table."""

    id: str
    before: RowKeys | None
    after: RowKeys | None


@frozen
class RequestKey:
    """What makes a mutation known again when it is sent twice.

    ``session`` is the client's session id, or a name for the caller of an ``Idempotency-Key``;
    ``request`` counts within a session, or is that key.
    """

    session: str
    request: int | str


@frozen
class Done:
    """A mutation's success: the encoded result and its log lines."""

    result: bytes
    log_lines: tuple[str, ...] = ()


@frozen
class Refused:
    """A mutation's failure, by its own fault; nothing of it was kept.

    ``data`` is there if the app raised an AppError: its encoded data.
    """

    message: str
    log_lines: tuple[str, ...] = ()
    data: bytes | None = None


@frozen
class Job:
    """One mutation for the writer: what runs it, and how a repeated one is known."""

    run: "RunJob"
    request: RequestKey | None = None


class RunJob(Protocol):
    """Runs a mutation in a transaction; raises nothing but what must end the batch."""

    def __call__(self, transaction: Transaction) -> Done | Refused:
        """Run it."""
        ...


@frozen
class Outcome:
    """What became of one job. ``ts`` is its place in the order of commits, None if it was refused.

    ``replayed`` says that it had run before and this is the recorded answer.
    """

    result: Done | Refused
    ts: CommitTs | None
    replayed: bool = False


@frozen
class Committed:
    """One batch on disk: an outcome for each job, in its order, and what was written.

    ``ts`` is the newest timestamp on disk after the batch; with no write it is the old one.
    """

    ts: CommitTs
    outcomes: tuple[Outcome, ...]
    writes: Mapping[TableName, tuple[Write, ...]] = field(
        factory=dict[TableName, tuple[Write, ...]]
    )


@frozen
class Executed:
    """A batch that was run and is not committed yet: ``writes`` is None if there is nothing to."""

    outcomes: tuple[Outcome, ...]
    writes: Mapping[TableName, tuple[Write, ...]] | None


@frozen
class Switched:
    """The schema is another one, from the commit ``ts`` on.

    Attributes:
        tables: those in force now.
        numbers: what the ids of each carry.
        writes: what was recorded in the same commit.
    """

    ts: CommitTs
    tables: Mapping[TableName, TableSpec]
    numbers: Mapping[TableName, int]
    writes: Mapping[TableName, tuple[Write, ...]] = field(
        factory=dict[TableName, tuple[Write, ...]]
    )


@frozen
class Progress:
    """How far a build is, in rows of all its tables; ``complete`` says that it can be used."""

    done: int
    total: int
    complete: bool = False


class Writer(Protocol):
    """The only write connection. One call at a time, from any thread; ``interrupt`` is apart."""

    @property
    def last_ts(self) -> CommitTs:
        """The newest timestamp on disk."""
        ...

    def commit(self, jobs: Sequence[Job]) -> Committed:
        """Run the jobs in order, each in a savepoint, and commit them together, durably.

        A job whose request is recorded does not run: its outcome is the recorded one. A job that is
        refused leaves nothing behind. Each other job gets a timestamp of its own, and its request
        is recorded in the same transaction.

        Raises:
            NotCommitted: the disk refused before COMMIT (full, interrupted); none of it happened.
            StorageError: an error inside COMMIT; the process must end (guarantee B6).
        """
        ...

    def execute(self, jobs: Sequence[Job]) -> Executed:
        """Run the jobs as :meth:`commit` does, and leave the transaction open.

        Nothing of it may be told to anybody before :meth:`finish`, which must come next.

        Raises: NotCommitted, StorageError.
        """
        ...

    def finish(self, executed: Executed) -> Committed:
        """Commit what was executed: the part that waits for the disk.

        Raises: StorageError.
        """
        ...

    def swap_in(self, staged: StagedImport, record: Callable[[Transaction], None]) -> Committed:
        """Take over a staged import in one commit, with what ``record`` writes.

        Returns: an outcome, and the writes of ``record`` alone: of the import's tables all is new.
        Raises: ImportRefused if it does not fit, NotCommitted; nothing of it happened then.
            StorageError.
        """
        ...

    def switch(self, specs: Sequence[TableSpec], record: Callable[[Transaction], None]) -> Switched:
        """Bring the tables to another schema, and commit that with what ``record`` writes.

        Snapshots that are open go on with the schema that they began with.

        Raises: SwitchRefused if documents do not fit, and what ``record`` raises: nothing has
            changed then; NotCommitted, StorageError.
        """
        ...

    def begin_build(self, specs: Sequence[TableSpec]) -> Progress | None:
        """Begin to build what a schema needs beside what is used; None if it is little, or nothing.

        What was begun for it before, perhaps by a process that is gone, is taken up again. Nothing
        reads what is built before :meth:`switch` to the same schema.

        Raises: SwitchRefused for what cannot be built so, NotCommitted, StorageError.
        """
        ...

    def build_some(self, rows_max: int) -> Progress:
        """Do the next piece of what :meth:`begin_build` has begun; of so many rows at most.

        Raises: SwitchRefused for a document that an index cannot have, NotCommitted, StorageError.
        """
        ...

    def mark_past(self, ts: CommitTs) -> CommitTs:
        """Commit an empty marker above ``ts`` (a client has seen more than we have; D5)."""
        ...

    def start_again(self, keys: Sequence[RequestKey]) -> Mapping[RequestKey, Outcome]:
        """Begin anew on a fresh connection, after a failure that nobody foresaw.

        Nothing that was believed before is kept: what is not on disk is gone, and what is there is
        made durable before it is read.

        Returns: what became of those of these requests that are recorded.
        Raises: StorageError if the disk fails, or holds less than it did.
        """
        ...

    def maintain(self) -> None:
        """Checkpoint, and prune the commit log and old request records. For idle moments."""
        ...

    def interrupt(self) -> None:
        """From any thread: make the statement under way fail with InterruptedRead."""
        ...

    def close(self) -> None:
        """Checkpoint, leave the mark of a clean stop, close."""
        ...


class Storage(Protocol):
    """An open database."""

    @property
    def tables(self) -> Mapping[TableName, TableSpec]:
        """The tables of today's schema."""
        ...

    @property
    def table_numbers(self) -> Mapping[TableName, int]:
        """The number that each table's ids carry; they never change."""
        ...

    @property
    def writer(self) -> Writer:
        """The only writer."""
        ...

    @property
    def troubles(self) -> Mapping[str, int]:
        """How often each kind of the engine's errors has come."""
        ...

    @property
    def file(self) -> str | None:
        """The database file, which other processes may read; None if they cannot."""
        ...

    def open_snapshot(self) -> Snapshot:
        """Open one more connection for reading."""
        ...

    def close(self) -> None:
        """Close everything; safe to call once, after all readers have stopped."""
        ...
