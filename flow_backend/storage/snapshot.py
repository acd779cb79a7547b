"""A snapshot: one connection for reading, at one commit timestamp at a time."""

from collections.abc import Iterator, Sequence
from typing import cast

import apsw

from flow_backend.errors import LocalProtocolError
from flow_backend.storage.base import IndexBounds, SearchBounds, StoredRow, TableName
from flow_backend.storage.connection import Connection, close_connection
from flow_backend.storage.history import SchemaHistory
from flow_backend.storage.packages import read_package
from flow_backend.storage.read_only import log_position, written_since
from flow_backend.storage.reader import TableReader
from flow_backend.storage.troubles import Troubles
from flow_backend.values.timestamp import CommitTs


class StoredSnapshot:
    """Implements :class:`flow_backend.storage.base.Snapshot`."""

    def __init__(
        self,
        connection: Connection,
        history: SchemaHistory,
        troubles: Troubles,
    ) -> None:
        self._troubles = troubles
        self._connection = connection
        self._cursor = connection.cursor()
        self._history = history
        self._reader = TableReader(connection, history.newest, troubles.of_read)
        self._open = False
        # Bound once: these two are called for every document that a query reads.
        self._get = self._reader.get
        self._scan = self._reader.scan

    def begin(self) -> CommitTs:
        """Open a snapshot of the newest state and give its timestamp."""
        if self._open:
            raise LocalProtocolError("begin() was called twice; end() comes between")
        self._troubles.check()
        try:
            self._cursor.execute("BEGIN")
            self._open = True
            # The first read opens the snapshot, and reads the timestamp that it has: no commit
            # can come between the two.
            [(ts,)] = self._cursor.execute("SELECT ts FROM _clock").fetchall()
        except apsw.Error as error:
            self.end()
            raise self._troubles.of_read(error) from error
        self._reader.use(self._history.at(cast("int", ts)))
        return CommitTs(cast("int", ts))

    def end(self) -> None:
        """Close the snapshot; closing twice is harmless."""
        if not self._open:
            return
        self._open = False
        self._reader.end()
        if self._connection.in_transaction:
            self._cursor.execute("ROLLBACK")

    def package(self, digest: str) -> bytes | None:
        """Give a deployed package, or None."""
        self._check_open()
        try:
            return read_package(self._connection, digest)
        except apsw.Error as error:
            raise self._troubles.of_read(error) from error

    def interrupt(self) -> None:
        """Make the read that is under way fail; from any thread."""
        self._connection.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self.end()
        # Only the writer checkpoints, also when a reader is the last to close.
        close_connection(self._connection, leave_log=True)

    def get(self, table: TableName, id: str) -> StoredRow | None:  # The interface's word.
        """Give the row with this id, or None."""
        self._check_open()
        return self._get(table, id)

    def scan(self, bounds: IndexBounds, *, descending: bool = False) -> Iterator[StoredRow]:
        """Give the rows in index order, reading no further than they are consumed."""
        self._check_open()
        return self._scan(bounds, descending=descending)

    def search(self, bounds: SearchBounds, count: int) -> list[StoredRow]:
        """Give the first ``count`` rows that match, the best first."""
        self._check_open()
        return self._reader.search(bounds, count)

    def count(self, table: TableName) -> int:
        """Count the rows of a table."""
        self._check_open()
        return self._reader.count(table)

    def log_position(self) -> int:
        """Give how far the commit log is."""
        self._check_open()
        try:
            return log_position(self._connection)
        except apsw.Error as error:
            raise self._troubles.of_read(error) from error

    def written_since(self, position: int, table: TableName) -> Sequence[str] | None:
        """Give the ids that were written behind a place in the commit log, each once."""
        self._check_open()
        try:
            number = self._reader.table(table).number
            return written_since(self._connection, position, number)
        except apsw.Error as error:
            raise self._troubles.of_read(error) from error

    def _check_open(self) -> None:
        if not self._open:
            raise LocalProtocolError("a snapshot is read between begin() and end()")
