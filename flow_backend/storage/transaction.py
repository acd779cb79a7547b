"""What one mutation works on: reads that see its writes, and writes that can be undone."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import zip_longest
from math import nextafter
from typing import cast

import apsw
import orjson
from attrs import define

from flow_backend.errors import DocumentError, LocalProtocolError
from flow_backend.schema.table import RowKeys, SqlValue, WireDocument
from flow_backend.storage.base import IndexBounds, SearchBounds, StoredRow, TableName
from flow_backend.storage.connection import Connection, Cursor
from flow_backend.storage.keys import KeyParts
from flow_backend.storage.packages import drop_packages, keep_package
from flow_backend.storage.read_only import written_since
from flow_backend.storage.reader import TableReader
from flow_backend.storage.recent_rows import RecentRows, RowPlace
from flow_backend.storage.tables import (
    StoredTable,
    encode_document,
    is_null,
    unique_violation,
)
from flow_backend.storage.words import SearchSource
from flow_backend.values.value import JsonValue

Change = tuple[StoredTable, str, RowKeys | None, bytes | None, RowKeys | None, bytes | None]
"""Table and id of one written row; its keys and bytes before and after."""


@define
class Clock:
    """The newest commit timestamp and the newest creation time (ms) that were drawn."""

    ts: int
    created_at: float


class StoredTransaction:
    """Implements :class:`flow_backend.storage.base.Transaction`."""

    __slots__ = (
        "_clock",
        "_connection",
        "_cursor",
        "_ended",
        "_failed",
        "_now_ms",
        "_reader",
        "_rows",
        "_savepoints",
        "changes",
        "touched",
    )

    def __init__(
        self,
        connection: Connection,
        cursor: Cursor,
        reader: TableReader,
        rows: RecentRows,
        clock: Clock,
        now_ms: float,
        failed: Callable[[apsw.Error], Exception],
    ) -> None:
        self._connection = connection
        self._cursor = cursor
        self._reader = reader
        self._rows = rows
        self._clock = clock
        self._now_ms = now_ms
        self._failed = failed
        self._savepoints = list[StoredSavepoint]()
        self._ended = False
        self.changes = list[Change]()
        # Noted before a row is written, so that no interrupt can come between the two.
        self.touched = list[RowPlace]()

    @property
    def now_ms(self) -> float:
        """The transaction's time, ms since the epoch."""
        return self._now_ms

    def table_number(self, table: TableName) -> int:
        """Give the number that ids of this table carry."""
        return self._reader.table(table).number

    def next_creation_time(self) -> float:
        """Draw a creation time above all drawn before, ms since the epoch."""
        clock = self._clock
        clock.created_at = max(self._now_ms, nextafter(clock.created_at, float("inf")))
        return clock.created_at

    def get(self, table: TableName, id: str) -> StoredRow | None:  # The interface's word.
        """Give the row with this id, or None."""
        self._check_open()
        place = table, id
        row = self._rows.get(place)
        if row is None:
            row = self._reader.get(table, id)
            if row is not None:
                self._rows.put(place, row)
        return row

    def scan(self, bounds: IndexBounds, *, descending: bool = False) -> Iterator[StoredRow]:
        """Give the rows in index order; a row written behind the scan's place is not seen."""
        self._check_open()
        return self._reader.scan(bounds, descending=descending)

    def search(self, bounds: SearchBounds, count: int) -> list[StoredRow]:
        """Give the first ``count`` rows that match, the best first."""
        self._check_open()
        return self._reader.search(bounds, count)

    def insert(
        self,
        table: TableName,
        id: str,  # The interface's word.
        document: Mapping[str, JsonValue],
    ) -> None:
        """Add a row; ``document`` is whole, with its system fields."""
        self._check_open()
        stored = self._reader.table(table)
        raw = encode_document(document)
        values = stored.column_values(document)
        if stored.unique_indexes:
            self._refuse_duplicates(stored, values, None)
        created_at = cast("float", document["_creationTime"])
        place = table, id
        self._touch(place)
        try:
            self._cursor.execute(stored.insert_sql, (id, created_at, raw, *values))
        except apsw.Error as error:
            raise self._refusal(error, stored, id) from error
        rowid = self._connection.last_insert_rowid()
        new = stored.keys.key_parts(document, rowid)
        if stored.searches:
            self._index(stored, id, rowid, (), new)
        self.changes.append((stored, id, None, None, new.keys, raw))
        self._rows.put(place, (rowid, id, float(created_at), raw, True), new)

    def replace(
        self,
        table: TableName,
        before: StoredRow,
        document: Mapping[str, JsonValue],
        raw: bytes | None = None,
    ) -> None:
        """Put a new document in the place of the row ``before``, which was just read."""
        self._check_open()
        stored = self._reader.table(table)
        rowid, row_id, created_at, old_raw, of_today = before
        assert document["_id"] == row_id, (document["_id"], row_id)
        assert document["_creationTime"] == created_at, (document["_creationTime"], created_at)
        if raw is None:
            raw = encode_document(document)
        place = table, row_id
        old = self._rows.keys(place, old_raw) or stored.keys.key_parts(
            # Without the reading of defaults, which what was written today has itself.
            orjson.loads(old_raw) if of_today else stored.spec.read(old_raw),
            rowid,
        )
        new, changed = stored.keys.replaced(old, document)
        if changed and stored.unique_indexes:
            self._refuse_duplicates(stored, stored.column_values(document), rowid)
        bound = [raw, *stored.values_at(document, changed), rowid]
        self._touch(place)
        self._write_one(stored, row_id, stored.update_sql(changed), bound)
        if new.sources is not old.sources:
            self._index(stored, row_id, rowid, old.sources, new)
        self.changes.append((stored, row_id, old.keys, old_raw, new.keys, raw))
        self._rows.put(place, (rowid, row_id, created_at, raw, True), new)

    def delete(self, table: TableName, before: StoredRow) -> None:
        """Remove the row ``before``, which was just read."""
        self._check_open()
        stored = self._reader.table(table)
        rowid, row_id, _, raw, _ = before
        self._touch((table, row_id))
        self._write_one(stored, row_id, stored.delete_sql, (rowid,))
        try:
            for search in stored.searches:
                search.delete(self._cursor, rowid)
        except apsw.Error as error:
            raise self._refusal(error, stored, row_id) from error
        keys = stored.keys.row_keys(self._document(stored, raw), rowid)
        self.changes.append((stored, row_id, keys, raw, None, None))

    def written_since(self, position: int, table: TableName) -> Sequence[str] | None:
        """Give the ids that were written behind a place in the commit log, each once.

        What this transaction's own batch has written is not in the log yet.
        """
        self._check_open()
        try:
            return written_since(self._connection, position, self._reader.table(table).number)
        except apsw.Error as error:
            raise self._failed(error) from error

    def keep_package(self, digest: str, zipped: bytes) -> None:
        """Keep the package of a version."""
        self._check_open()
        try:
            keep_package(self._connection, digest, zipped)
        except apsw.Error as error:
            raise self._failed(error) from error

    def drop_packages(self, kept: Collection[str]) -> None:
        """Delete all packages but those with these digests."""
        self._check_open()
        try:
            drop_packages(self._connection, kept)
        except apsw.Error as error:
            raise self._failed(error) from error

    def savepoint(self) -> "StoredSavepoint":
        """Open a part that can be undone alone."""
        self._check_open()
        # Names by depth: few texts, so that each is prepared once.
        savepoint = StoredSavepoint(
            self,
            f"part{len(self._savepoints)}",
            len(self.changes),
            len(self.touched),
            self._clock.created_at,
        )
        self.run(f"SAVEPOINT {savepoint.name}")
        self._savepoints.append(savepoint)
        return savepoint

    def close(self, savepoint: "StoredSavepoint") -> None:
        """Take the innermost savepoint away; it is the one that is being ended."""
        self._check_open()
        if not self._savepoints or self._savepoints[-1] is not savepoint:
            raise LocalProtocolError("savepoints end once each, innermost first")
        self._savepoints.pop()

    def run(self, text: str) -> None:
        """Run a statement that begins or ends a part."""
        try:
            self._cursor.execute(text)
        except apsw.Error as error:
            raise self._failed(error) from error

    def forget(self, changes: int, touched: int, created_at: float) -> None:
        """Forget all writes but the first so many, and the creation times drawn for them.

        ``touched`` counts the rows that they touched; SQL has undone them already.
        """
        del self.changes[changes:]
        # They stay noted: an interrupt may come, and forgetting twice is harmless.
        for place in self.touched[touched:]:
            self._rows.forget(place, None)
        self._clock.created_at = created_at

    def end(self) -> None:
        """End it: what still holds it can do nothing with it any more."""
        self._ended = True
        self._reader.end()

    def _check_open(self) -> None:
        if self._ended:
            raise LocalProtocolError("a transaction was used after its mutation had ended")

    def _touch(self, place: RowPlace) -> None:
        self.touched.append(place)
        self._rows.forget(place, None)

    def _document(self, stored: StoredTable, raw: bytes) -> WireDocument:
        return stored.spec.read(raw)

    def _write_one(
        self,
        stored: StoredTable,
        row_id: str,
        text: str,
        bound: Sequence[SqlValue],
    ) -> None:
        try:
            self._cursor.execute(text, bound)
        except apsw.Error as error:
            raise self._refusal(error, stored, row_id) from error
        if self._connection.changes() != 1:
            raise LocalProtocolError(
                f"document {row_id} of table {stored.name} was changed or deleted since it was read"
            )

    def _index(
        self,
        stored: StoredTable,
        row_id: str,
        rowid: int,
        before: Sequence[SearchSource],
        after: KeyParts,
    ) -> None:
        """Bring a row's entries in the search indexes to what they are made of now."""
        try:
            for search, was, source in zip_longest(stored.searches, before, after.sources):
                if source != was:
                    search.write(self._cursor, rowid, source)
        except apsw.Error as error:
            raise self._refusal(error, stored, row_id) from error

    def _refuse_duplicates(
        self, stored: StoredTable, values: list[SqlValue], rowid: int | None
    ) -> None:
        # A look before the write, and not a unique index of SQL: no other writer can come between,
        # a scan needs the creation time in the index, and so the error can say which row it is.
        for index in stored.unique_indexes:
            bound = [values[place] for place in index.places]
            if any(is_null(stored.columns[place][1], values[place]) for place in index.places):
                continue  # Documents without a value do not collide.
            try:
                found = self._cursor.execute(index.probe, bound).fetchall()
            except apsw.Error as error:
                raise self._failed(error) from error
            for other_rowid, other_id in cast("list[tuple[int, str]]", found):
                if other_rowid != rowid:
                    raise unique_violation(stored.name, index.spec, other_id)

    def _refusal(self, error: apsw.Error, stored: StoredTable, row_id: str) -> Exception:
        """Say what an error in a write means: the mutation's own fault, or the end of its batch."""
        if self._connection.in_transaction:
            match error:
                case apsw.ConstraintError():
                    return DocumentError(f"table {stored.name} has a document {row_id} already")
                case apsw.TooBigError():
                    return DocumentError(f"document {row_id} is too large for its table")
                case apsw.MismatchError():
                    return DocumentError(f"document {row_id} does not fit table {stored.name}")
                case _:
                    pass
        return self._failed(error)


class StoredSavepoint:
    """Implements :class:`flow_backend.storage.base.Savepoint`."""

    __slots__ = ("_changes", "_created_at", "_touched", "_transaction", "name")

    def __init__(
        self,
        transaction: StoredTransaction,
        name: str,
        changes: int,
        touched: int,
        created_at: float,
    ) -> None:
        self._transaction = transaction
        self.name = name
        self._changes = changes
        self._touched = touched
        self._created_at = created_at

    def release(self) -> None:
        """Keep what was written since."""
        self._transaction.close(self)
        self._transaction.run(f"RELEASE {self.name}")

    def roll_back(self) -> None:
        """Undo what was written since."""
        transaction = self._transaction
        transaction.close(self)
        transaction.run(f"ROLLBACK TO {self.name}")
        transaction.run(f"RELEASE {self.name}")
        transaction.forget(self._changes, self._touched, self._created_at)
