"""The SQL of one table of the schema, and what its documents become in it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson

from flow_backend.errors import DocumentError
from flow_backend.schema.table import (
    ColumnKind,
    IndexSpec,
    SqlValue,
    TableSpec,
    WireDocument,
    column_value,
    key_part,
)
from flow_backend.storage.base import IndexBounds, TableName
from flow_backend.storage.keys import TableKeys
from flow_backend.storage.scan import IndexScan, Statement, quote
from flow_backend.storage.search import stored_searches

_NULL_KEY = key_part(None)


class UniqueIndex(NamedTuple):
    """How to find the row that has the same values in a unique index."""

    spec: IndexSpec
    places: tuple[int, ...]
    probe: str


class StoredTable:
    """One table: its texts, built once, since SQLite's statement cache goes by text."""

    def __init__(self, spec: TableSpec, number: int, version: int) -> None:
        self.spec = spec
        self.name = TableName(spec.name)
        self.number = number
        self.version = version
        self.keys = TableKeys(spec)
        self.columns = tuple((column.name, column.kind) for column in spec.columns)
        table = quote(spec.name)
        # The version is part of the text: whether a row is of today's schema costs no Python.
        row = f"_rowid, _id, _creationTime, _document, _schema = {version}"
        self._scans = {
            index.name: IndexScan(
                self.keys.index(index.name), table, index_name(spec.name, index.name), row
            )
            for index in spec.all_indexes
        }
        names = [quote(name) for name, _ in self.columns]
        self.get_sql = f"SELECT {row} FROM {table} WHERE _id = ?"  # noqa: S608  # Quoted names of the schema, here and below.
        self.insert_sql = (
            f"INSERT INTO {table} "  # noqa: S608
            f"({', '.join(['_id', '_creationTime', '_schema', '_document', *names])}) "
            f"VALUES (?, ?, {version}, ?{', ?' * len(names)})"
        )
        self.row_sql = f"SELECT {row} FROM {table} WHERE _rowid = ?"  # noqa: S608
        self.delete_sql = f"DELETE FROM {table} WHERE _rowid = ?"  # noqa: S608
        self.count_sql = f"SELECT count(*) FROM {table}"  # noqa: S608
        self.searches = stored_searches(spec)
        self._updates = dict[tuple[int, ...], str]()
        self._table_sql = table
        self._names = names
        places = {name: place for place, (name, _) in enumerate(self.columns)}
        self.unique_indexes = tuple(
            self._unique(index, tuple(places[name] for name in index.fields))
            for index in spec.indexes
            if index.unique
        )

    def scan(self, bounds: IndexBounds, descending: bool) -> list[Statement]:
        """Give the statements of a scan.

        Raises: InvalidRange if the table has no such index, or the bounds do not fit it.
        """
        scan = self._scans.get(bounds.index)
        if scan is None:
            self.keys.index(bounds.index)  # Raises, in words.
            raise AssertionError(bounds.index)
        return scan.statements(bounds, descending)

    def column_values(self, document: WireDocument) -> list[SqlValue]:
        """Give what the columns of a row keep, in the order of ``columns``.

        Raises: InvalidValue for NaN.
        """
        get = document.get
        return [column_value(kind, get(name)) for name, kind in self.columns]

    def values_at(self, document: WireDocument, places: Sequence[int]) -> list[SqlValue]:
        """Give what the columns at some places keep.

        Raises: InvalidValue for NaN.
        """
        columns, get = self.columns, document.get
        return [column_value(columns[place][1], get(columns[place][0])) for place in places]

    def update_sql(self, changed: tuple[int, ...]) -> str:
        """Give the UPDATE that sets these columns: SQLite rewrites the indexes of each it sets."""
        text = self._updates.get(changed)
        if text is None:
            columns = "".join(f", {self._names[place]} = ?" for place in changed)
            text = self._updates[changed] = (
                f"UPDATE {self._table_sql} SET _schema = {self.version}, _document = ?{columns} "  # noqa: S608
                "WHERE _rowid = ?"
            )
        return text

    def _unique(self, index: IndexSpec, places: tuple[int, ...]) -> UniqueIndex:
        conditions = " AND ".join(f"{self._names[place]} = ?" for place in places)
        return UniqueIndex(
            index,
            places,
            f"SELECT _rowid, _id FROM {self._table_sql} "  # noqa: S608
            f"INDEXED BY {index_name(self.name, index.name)} WHERE {conditions} LIMIT 1",
        )


def index_name(table: str, index: str) -> str:
    """Give the quoted name of an index in SQL, where names of indexes are shared by all tables."""
    return quote(f"{table}:{index}")


def is_null(kind: ColumnKind, value: SqlValue) -> bool:
    """Say whether a column's content stands for null."""
    return value is None or (kind is ColumnKind.KEY and value == _NULL_KEY)


def unique_violation(table: str, index: IndexSpec, other_id: str) -> DocumentError:
    """Give the error for a document whose unique key is taken."""
    fields = ", ".join(f'"{name}"' for name in index.fields)
    return DocumentError(
        f'the index "{index.name}" of table "{table}" is unique: document {other_id} has the same '
        f"{fields} already"
    )


def encode_document(document: Mapping[str, object]) -> bytes:
    """Give the canonical bytes of a document in wire form."""
    plain = document if isinstance(document, dict) else dict(document)
    return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
