"""The only write connection: commits batches of mutations, and looks after the file.

Source: the guarantees, "Transactions", "Durability" and "Exactly once".
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar, cast

import apsw
from attrs import evolve

from flow_backend.errors import (
    FlowError,
    ImportRefused,
    LocalProtocolError,
    NotCommitted,
    StartError,
    StorageError,
    SwitchRefused,
)
from flow_backend.schema.table import TableSpec
from flow_backend.storage import build, commit_log, failures, layout, swap
from flow_backend.storage.ballast import FULL, Ballast
from flow_backend.storage.base import (
    Committed,
    Done,
    Executed,
    InterruptedRead,
    Job,
    Outcome,
    Progress,
    Refused,
    RequestKey,
    Switched,
    Transaction,
)
from flow_backend.storage.batch import Batch, grows
from flow_backend.storage.build import TableBuild
from flow_backend.storage.connection import Connection, close_connection
from flow_backend.storage.history import SchemaHistory, Tables
from flow_backend.storage.reader import TableReader
from flow_backend.storage.recent_rows import RecentRows
from flow_backend.storage.request_records import RequestRecords, record_of
from flow_backend.storage.settings import StorageSettings
from flow_backend.storage.staged import StagedImport
from flow_backend.storage.transaction import Change, Clock, StoredTransaction
from flow_backend.storage.troubles import Troubles
from flow_backend.storage.write_ahead_log import WriteAheadLog
from flow_backend.values.timestamp import LAST_TS, CommitTs

T = TypeVar("T")

_NS_PER_MS: Final = 1_000_000
_SET_CLOCK: Final = "UPDATE _clock SET ts = ?, created_at = ?"


def _durable_clock(connection: Connection) -> Clock:
    """Read the clock, after all that the log holds is surely on disk."""
    # A commit syncs the whole log. A checkpoint would do, too, but waits for readers.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE _clock SET ts = ts")
    connection.execute("COMMIT")
    [row] = connection.execute("SELECT ts, created_at FROM _clock").fetchall()
    return Clock(*cast("tuple[int, float]", row))


def _recorded(record: Callable[[Transaction], None], transaction: Transaction) -> Done:
    record(transaction)
    return Done(b"null")


class StoredWriter:
    """Implements :class:`flow_backend.storage.base.Writer`.

    Owns: the write connection, the newest timestamp and creation time.
    """

    def __init__(
        self,
        connection: Connection,
        history: SchemaHistory,
        clock: Clock,
        now_ns: Callable[[], int],
        settings: StorageSettings,
        troubles: Troubles,
        ballast: Ballast,
        connect: Callable[[], Connection],
    ) -> None:
        self._history = history
        self._building: list[TableBuild] = []
        self._now_ns = now_ns
        self._settings = settings
        self._connect = connect
        self._troubles = troubles
        self._ballast = ballast
        self._use(connection, clock)

    def _use(self, connection: Connection, clock: Clock) -> None:
        """Take a connection, and believe nothing but what it says."""
        self._connection = connection
        self._cursor = connection.cursor()
        self._reader = TableReader(connection, self._history.newest, self._failed)
        self._rows = RecentRows()
        self._records = RequestRecords(connection)
        # What is on disk; while a batch runs, what it has drawn.
        self._clock = clock
        self._durable = Clock(clock.ts, clock.created_at)
        self._log = WriteAheadLog(connection, self._settings, self._troubles)
        # The error that ended the batch under way, whatever the mutation made of it.
        self._lost: apsw.Error | None = None

    @property
    def last_ts(self) -> CommitTs:
        """The newest timestamp on disk."""
        return CommitTs(self._durable.ts)

    def commit(self, jobs: Sequence[Job]) -> Committed:
        """Run the jobs in order, each in a savepoint, and commit them together, durably."""
        return self.finish(self.execute(jobs))

    def execute(self, jobs: Sequence[Job]) -> Executed:
        """Run the jobs in order, each in a savepoint; :meth:`finish` commits them."""
        batch = Batch()
        self._begin()
        try:
            outcomes = tuple([self._outcome(job, batch) for job in jobs])
            changed = bool(batch.log or batch.records)
            if changed:
                self._save(batch)
        except BaseException as error:
            self._roll_back()
            if isinstance(error, apsw.Error):
                raise self._refused(error) from error
            raise
        if not changed:
            self._roll_back()
            return Executed(outcomes, None)
        return Executed(outcomes, batch.writes())

    def finish(self, executed: Executed) -> Committed:
        """Commit what :meth:`execute` ran, durably."""
        if executed.writes is None:
            return Committed(self.last_ts, executed.outcomes)
        self._end()
        self._log.bound()
        return Committed(self.last_ts, executed.outcomes, executed.writes)

    def swap_in(self, staged: StagedImport, record: Callable[[Transaction], None]) -> Committed:
        """Take over a staged import in one commit."""
        self._troubles.check()
        try:
            swap.attach(self._connection, staged)
        except apsw.Error as error:
            raise self._refused(error) from error
        try:
            return self.finish(self._execute_swap(staged, record))
        finally:
            swap.detach(self._connection)

    def _execute_swap(
        self, staged: StagedImport, record: Callable[[Transaction], None]
    ) -> Executed:
        batch = Batch()
        self._begin()
        try:
            # A document that says it is from the future does not move the clock there.
            if staged.newest_created <= self._now_ns() / _NS_PER_MS:
                self._clock.created_at = max(self._clock.created_at, staged.newest_created)
            outcome = self._outcome(Job(partial(_recorded, record)), batch)
            if outcome.ts is None:
                raise ImportRefused(cast("Refused", outcome.result).message)
            swap.swap_in(self._connection, self._history.newest, staged, outcome.ts)
            self._save(batch)
        except BaseException as error:
            self._roll_back()
            if isinstance(error, apsw.Error):
                raise self._refused(error) from error
            raise
        # Documents were replaced past what it has kept of them.
        self._rows.clear()
        return Executed((outcome,), batch.writes())

    def switch(self, specs: Sequence[TableSpec], record: Callable[[Transaction], None]) -> Switched:
        """Bring the tables to another schema, and commit that with what ``record`` writes."""
        batch = Batch()
        before = self._history.newest
        self._begin()
        try:
            tables = self._apply(specs)
            self._read(tables)
            outcome = self._outcome(Job(partial(_recorded, record)), batch)
            if isinstance(outcome.result, Refused):
                raise SwitchRefused(outcome.result.message)
            assert outcome.ts is not None, "what was recorded is a commit"
            self._save(batch)
        except BaseException as error:
            self._roll_back()
            self._read(before)
            if isinstance(error, apsw.Error):
                raise self._refused(error) from error
            raise
        self._history.add(outcome.ts, tables)
        try:
            self._end()
        except BaseException:
            self._history.take_back()
            self._read(before)
            raise
        return Switched(
            outcome.ts,
            {name: table.spec for name, table in tables.items()},
            {name: table.number for name, table in tables.items()},
            batch.writes(),
        )

    def begin_build(self, specs: Sequence[TableSpec]) -> Progress | None:
        """Begin to build what a schema needs beside what is used; None if it is little, or nothing.

        What was begun for it before, perhaps by a process that is gone, is taken up again.
        """
        self._building = self._build(
            lambda: build.begin(self._connection, build.plan_builds(self._connection, specs))
        )
        if not self._building:
            return None
        return self._build(lambda: build.rows_done(self._connection, self._building))

    def build_some(self, rows_max: int) -> Progress:
        """Do the next piece of what :meth:`begin_build` has begun; of so many rows at most."""
        if not self._building:
            raise NotCommitted("A build was cut off. Begin it again; it goes on where it was.")

        def step() -> Progress:
            ready = all(
                build.fill_some(self._connection, each, rows_max) for each in self._building
            )
            return evolve(build.rows_done(self._connection, self._building), complete=ready)

        return self._build(step)

    def _build(self, step: Callable[[], T]) -> T:
        """Do a step of a build, in a transaction that is no commit of anybody's."""
        self._begin()
        try:
            result = step()
        except BaseException as error:
            self._roll_back()
            self._building = []  # How far it is the file alone knows now.
            if isinstance(error, StartError):
                raise SwitchRefused(str(error)) from error
            if isinstance(error, apsw.Error):
                raise self._refused(error) from error
            raise
        self._end()
        self._log.checkpoint_if_large()
        return result

    def _apply(self, specs: Sequence[TableSpec]) -> Tables:
        self._reader.end()
        try:
            tables, _ = layout.apply_schema(self._connection, specs, is_switch=True)
        except StartError as error:
            raise SwitchRefused(str(error)) from error
        # What is as it was stays the same object: many switches take no more room than one.
        known = self._history.newest
        return {
            name: old
            if (old := known.get(name)) is not None
            and (old.spec, old.number, old.version) == (each.spec, each.number, each.version)
            else each
            for name, each in tables.items()
        }

    def _read(self, tables: Tables) -> None:
        self._reader.use(tables)
        self._rows.clear()  # Whether a row is of today's schema is part of what is kept of it.

    def mark_past(self, ts: CommitTs) -> CommitTs:
        """Commit an empty marker above ``ts``."""
        # Past this the clock would be too near to its end for the years to come.
        if ts >= LAST_TS // 2:
            raise LocalProtocolError(f"timestamp {ts} is beyond any that a clock has reached")
        self._begin()
        try:
            self._clock.ts = max(ts + 1, self._next_ts())
            self._set_clock()
        except apsw.Error as error:
            self._roll_back()
            raise self._refused(error) from error
        self._end()
        return self.last_ts

    def start_again(self, keys: Sequence[RequestKey]) -> Mapping[RequestKey, Outcome]:
        """Begin anew on a fresh connection, after a failure that nobody foresaw."""
        self._troubles.check()
        before = self._durable.ts
        self._connection.close(True)
        try:
            connection = self._connect()
            self._use(connection, _durable_clock(connection))
            found = [(key, self._records.find(key)) for key in keys]
        except apsw.Error as error:
            raise self._troubles.of_commit(error) from error
        if self._durable.ts < before:
            self._troubles.fatal = failures.InvariantBroken(
                f"the database is at timestamp {self._durable.ts}, but was at {before} before"
            )
            raise self._troubles.fatal
        return {key: outcome for key, outcome in found if outcome is not None}

    def maintain(self) -> None:
        """Checkpoint, and prune the commit log and old request records."""
        settings = self._settings
        now_ns = self._now_ns()
        now_ms = now_ns // _NS_PER_MS
        self._begin()
        try:
            pruned = commit_log.prune(
                self._connection,
                now_ns - int(settings.commit_log_seconds * 1e9),
                settings.prune_max,
            )
            pruned += self._records.prune(
                now_ms - int(settings.record_seconds * 1000),
                now_ms - int(settings.session_seconds * 1000),
                now_ms,
                settings.prune_max,
            )
        except apsw.Error as error:
            self._roll_back()
            raise self._refused(error) from error
        if pruned:
            self._end()
        else:
            self._roll_back()
        self._log.tidy()

    def interrupt(self) -> None:
        """Make the statement under way fail; from any thread."""
        self._connection.interrupt()

    def close(self) -> None:
        """Checkpoint, leave the mark of a clean stop, close.

        After a StorageError nothing more is written: what is on disk is for the next start to see.
        """
        troubles = self._troubles
        if troubles.fatal is None:
            try:
                self._cursor.execute("UPDATE _meta SET value = 1 WHERE name = 'clean_stop'")
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            except apsw.BusyError:
                pass  # A reader is still there: the next start checkpoints.
            except apsw.Error as error:
                # A full disk keeps the log as it is, and the next start checkpoints.
                troubles.of_commit(error)
        close_connection(self._connection, leave_log=troubles.fatal is not None)
        troubles.check()

    def _outcome(self, job: Job, batch: Batch) -> Outcome:
        key = job.request
        if key is not None:
            recorded = batch.recorded.get(key) or self._records.find(key)
            if recorded is not None:
                return recorded
        now_ns = self._now_ns()
        created_at = self._clock.created_at
        self._cursor.execute("SAVEPOINT job")
        transaction = StoredTransaction(
            self._connection,
            self._cursor,
            self._reader,
            self._rows,
            self._clock,
            now_ns / _NS_PER_MS,
            self._failed,
        )
        try:
            result = job.run(transaction)
        finally:
            transaction.end()
        if self._lost is not None or not self._connection.in_transaction:
            raise self._lost_batch()
        if self._ballast.is_full and grows(transaction.changes):
            result = Refused(FULL)
        if isinstance(result, Refused):
            self._cursor.execute("ROLLBACK TO job")
            self._cursor.execute("RELEASE job")
            transaction.forget(0, 0, created_at)
            return Outcome(result, None)
        self._cursor.execute("RELEASE job")
        return self._done(job, result, transaction.changes, batch, now_ns)

    def _done(
        self, job: Job, done: Done, changes: Sequence[Change], batch: Batch, now_ns: int
    ) -> Outcome:
        key = job.request
        if key is None and not changes:
            # It is no commit: it stands right behind the one before it.
            return Outcome(done, CommitTs(self._clock.ts))
        ts = CommitTs(max(self._clock.ts + 1, now_ns))
        self._clock.ts = ts
        batch.add(ts, changes)
        if key is not None:
            batch.records.append(record_of(key, ts, done, now_ns // _NS_PER_MS))
            batch.recorded[key] = Outcome(done, ts, replayed=True)
        return Outcome(done, ts)

    def _next_ts(self) -> int:
        return max(self._clock.ts + 1, self._now_ns())

    def _save(self, batch: Batch) -> None:
        commit_log.append(self._cursor, batch.log)
        self._records.add(batch.records)
        self._set_clock()

    def _set_clock(self) -> None:
        self._cursor.execute(_SET_CLOCK, (self._clock.ts, self._clock.created_at))

    def _begin(self) -> None:
        self._troubles.check()
        self._ballast.look()
        self._lost = None
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
        except apsw.Error as error:
            self._roll_back()
            raise self._refused(error) from error

    def _end(self) -> None:
        try:
            self._cursor.execute("COMMIT")
        except apsw.Error as error:
            failure = self._troubles.of_commit(error)
            if not isinstance(failure, StorageError):
                self._roll_back()
                self._make_room(error)
            raise failure from error
        self._durable.ts = self._clock.ts
        self._durable.created_at = self._clock.created_at

    def _roll_back(self) -> None:
        """Undo the batch; SQLite may have done it already."""
        self._reader.end()
        self._rows.clear()
        self._clock.ts = self._durable.ts
        self._clock.created_at = self._durable.created_at
        if self._connection.in_transaction:
            try:
                self._cursor.execute("ROLLBACK")
            except apsw.Error as error:
                # The batch is neither kept nor known to be gone.
                self._troubles.fatal = failures.unknown(error)
                raise self._troubles.fatal from error

    def _failed(self, error: apsw.Error) -> Exception:
        """Say what an error in a mutation's statement means, and note if it ends the batch."""
        if isinstance(error, (apsw.CursorClosedError, apsw.ConnectionClosedError)):
            return LocalProtocolError("rows were read after the end of their transaction")
        if isinstance(error, apsw.InterruptError) and self._connection.in_transaction:
            return InterruptedRead("the mutation took too long and was interrupted")
        self._lost = error
        return self._refused(error)

    def _refused(self, error: apsw.Error) -> FlowError:
        """Say what an error before COMMIT means, and mend what led to it as far as can be."""
        failure = self._troubles.of_batch(error)
        self._make_room(error)
        return failure

    def _make_room(self, error: apsw.Error) -> None:
        if isinstance(error, apsw.FullError):
            self._ballast.give_up()
        if isinstance(error, apsw.NoMemError):
            self._rows.clear()
            with suppress(apsw.Error):
                self._connection.pragma("shrink_memory")

    def _lost_batch(self) -> Exception:
        if self._lost is None:
            return NotCommitted("Nothing was saved: the transaction ended early. Try again.")
        return self._troubles.fatal or failures.of_batch(self._lost)
