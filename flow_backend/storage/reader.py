"""Reads rows over one connection; the writer and every snapshot have one of these."""

from collections.abc import Callable, Iterator, Mapping
from typing import cast

import apsw

from flow_backend.errors import DocumentError, LocalProtocolError
from flow_backend.storage.base import IndexBounds, SearchBounds, StoredRow, TableName
from flow_backend.storage.connection import Connection, Cursor
from flow_backend.storage.scan import Statement
from flow_backend.storage.search import register_rank, search_of
from flow_backend.storage.tables import StoredTable


class TableReader:
    """Gets and scans.

    ``failed`` turns an error of SQLite into the one to raise.
    Owns: the cursors of the reads under way; all are closed by :meth:`end`.
    """

    __slots__ = (
        "_busy",
        "_connection",
        "_failed",
        "_idle",
        "_period",
        "_point",
        "_ranks",
        "_reading",
        "_tables",
    )

    def __init__(
        self,
        connection: Connection,
        tables: Mapping[TableName, StoredTable],
        failed: Callable[[apsw.Error], Exception],
    ) -> None:
        self._connection = connection
        self._tables = tables
        self._failed = failed
        self._point = connection.cursor()
        self._reading = False
        self._idle = list[Cursor]()
        self._busy = set[Cursor]()
        self._period = 0
        self._ranks = False

    def use(self, tables: Mapping[TableName, StoredTable]) -> None:
        """Read these tables from here on."""
        self._tables = tables

    def table(self, name: TableName) -> StoredTable:
        """Give a table of today's schema.

        Raises: DocumentError if there is none of this name.
        """
        table = self._tables.get(name)
        if table is None:
            raise DocumentError(
                f'there is no table "{name}"; the schema has {", ".join(sorted(self._tables))}'
            )
        return table

    def get(self, table: TableName, id: str) -> StoredRow | None:  # The interface's word.
        """Give the row with this id, or None."""
        stored = self._tables.get(table) or self.table(table)
        # Whatever comes between the two calls (an interrupt may), end() knows of the statement.
        self._reading = True
        try:
            # To the end, not fetchone(): a statement that has not ended would hold its snapshot.
            rows = self._point.execute(stored.get_sql, (id,)).fetchall()
        except apsw.Error as error:
            raise self._failed(error) from error
        self._reading = False
        return cast("StoredRow", rows[0]) if rows else None

    def scan(self, bounds: IndexBounds, *, descending: bool = False) -> Iterator[StoredRow]:
        """Give the rows in index order; SQLite steps as they are consumed.

        Raises: InvalidRange if the bounds do not fit the table's index.
        """
        return self._rows(self.table(bounds.table).scan(bounds, descending), self._period)

    def search(self, bounds: SearchBounds, count: int) -> list[StoredRow]:
        """Give the first ``count`` rows that match, the best first.

        Raises: InvalidRange if the table has no such search index.
        """
        stored = self.table(bounds.table)
        text, bound = search_of(stored.searches, bounds).statement(bounds, count)
        found = list[StoredRow]()
        self._reading = True
        try:
            if not self._ranks:
                register_rank(self._connection)
                self._ranks = True
            for (rowid,) in self._point.execute(text, bound).fetchall():
                rows = self._point.execute(stored.row_sql, (rowid,)).fetchall()
                found.append(cast("StoredRow", rows[0]))
        except apsw.Error as error:
            raise self._failed(error) from error
        self._reading = False
        return found

    def count(self, table: TableName) -> int:
        """Count the rows of a table."""
        text = self.table(table).count_sql
        self._reading = True
        try:
            [(count,)] = self._point.execute(text).fetchall()
        except apsw.Error as error:
            raise self._failed(error) from error
        self._reading = False
        return cast("int", count)

    def end(self) -> None:
        """End all reads under way: rows of one period are not read in the next."""
        self._period += 1
        if self._reading:
            self._point.close(True)
            self._point = self._connection.cursor()
            self._reading = False
        while self._busy:
            self._busy.pop().close(True)

    def _rows(self, statements: list[Statement], period: int) -> Iterator[StoredRow]:
        if period != self._period:
            raise LocalProtocolError("rows were read after the end of their snapshot")
        cursor = self._idle.pop() if self._idle else self._connection.cursor()
        self._busy.add(cursor)
        used_up = False
        try:
            for text, bound in statements:
                # Straight from the cursor: a loop of ours would cost as much as SQLite itself.
                yield from cast("Iterator[StoredRow]", cursor.execute(text, bound))
            used_up = True
        except apsw.Error as error:
            raise self._failed(error) from error
        finally:
            self._busy.discard(cursor)
            if used_up:
                self._idle.append(cursor)
            else:
                cursor.close(True)
