"""Columns and indexes of a table in the file: what there is, and how more are made and filled."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, cast

import orjson

from flow_backend.errors import InvalidValue, StartError
from flow_backend.schema.table import FieldSpec, IndexSpec, TableSpec
from flow_backend.storage.connection import Connection
from flow_backend.storage.scan import quote
from flow_backend.storage.tables import StoredTable, index_name


class Known(NamedTuple):
    """A table as the file has it."""

    name: str
    number: int
    version: int
    fingerprint: str
    columns: Mapping[str, object]
    indexes: Mapping[str, object]


def read_known(connection: Connection) -> dict[str, Known]:
    """Give all tables of the file by name."""
    rows = connection.execute(
        "SELECT name, number, version, fingerprint, columns, indexes FROM _tables"
    ).fetchall()
    known = dict[str, Known]()
    for row in cast("list[tuple[str, int, int, str, bytes, bytes]]", rows):
        name, number, version, fingerprint, columns, indexes = row
        known[name] = Known(
            name, number, version, fingerprint, orjson.loads(columns), orjson.loads(indexes)
        )
    return known


def remember(connection: Connection, table: Known) -> None:
    """Note a table as it is now."""
    row = (*table[:4], orjson.dumps(table.columns), orjson.dumps(table.indexes))
    connection.execute("INSERT OR REPLACE INTO _tables VALUES (?, ?, ?, ?, ?, ?)", row)


def print_of_column(column: FieldSpec) -> object:
    """Describe a column so that two descriptions differ if it must be filled anew."""
    # Through JSON, as what it is compared with has been there.
    default: object = orjson.loads(orjson.dumps(column.default))
    described = [column.kind.value, column.has_default, default]
    if column.filling is None:
        return described
    filling: object = orjson.loads(orjson.dumps(column.filling.described()))
    return [*described, filling]


def print_of_index(index: IndexSpec) -> object:
    """Describe an index so that two descriptions differ if it must be built anew."""
    return [list(index.fields), index.unique]


def columns_present(connection: Connection, table: str) -> dict[str, tuple[str, str]]:
    """Give the name and SQL type of each column in the file, by its name in small letters."""
    rows = connection.execute(f"PRAGMA table_info({quote(table)})").fetchall()
    pairs = cast("list[tuple[str, str]]", [(row[1], row[2]) for row in rows])
    return {name.lower(): (name, kind) for name, kind in pairs}


class ColumnFiller:
    """Fills columns of a table from the documents."""

    def __init__(self, spec: TableSpec, columns: Sequence[FieldSpec]) -> None:
        self._spec = spec
        self._table = table = StoredTable(spec, 0, 0)
        wanted = {column.name for column in columns}
        self._places = [place for place, (name, _) in enumerate(table.columns) if name in wanted]
        settings = ", ".join(f"{quote(table.columns[place][0])} = ?" for place in self._places)
        self._update = f"UPDATE {quote(spec.name)} SET {settings} WHERE _rowid = ?"  # noqa: S608  # Quoted names of the schema.

    def fill(self, connection: Connection, rows: Iterable[tuple[int, str, bytes]]) -> None:
        """Fill them in some rows: each its number, id and document.

        Raises: StartError for a document that an index cannot have.
        """
        spec, table = self._spec, self._table
        bound = list[tuple[object, ...]]()
        for rowid, row_id, raw in rows:
            try:
                values = table.column_values(spec.read(raw))
            except InvalidValue as error:
                raise StartError(
                    f'document {row_id} of table "{spec.name}" does not fit its indexes: {error}; '
                    "change the document with the previous version, then start this one"
                ) from error
            bound.append((*[values[place] for place in self._places], rowid))
        connection.executemany(self._update, cast("list[tuple[int, ...]]", bound))


def build_index(connection: Connection, spec: TableSpec, index: IndexSpec) -> None:
    """Make an index over columns that are filled; a unique one is checked.

    Raises: StartError for two documents with one key.
    """
    names = [quote(name) for name in index.fields]
    table = quote(spec.name)
    connection.execute(
        f"CREATE INDEX {index_name(spec.name, index.name)} ON {table} "
        f"({', '.join([*names, '_creationTime'])})"
    )
    if index.unique:
        check_unique(connection, spec, index)


def check_unique(connection: Connection, spec: TableSpec, index: IndexSpec) -> None:
    """Make sure that no two documents have one key.

    Raises: StartError.
    """
    table = StoredTable(spec, 0, 0)
    [unique] = [found for found in table.unique_indexes if found.spec is index]
    names = [quote(name) for name in index.fields]
    nulls = " AND ".join(f"{name} IS NOT NULL AND {name} IS NOT x'03'" for name in names)
    twice = connection.execute(
        f"SELECT min(_id), max(_id) FROM {quote(spec.name)} WHERE {nulls} "  # noqa: S608  # Quoted names.
        f"GROUP BY {', '.join(names)} HAVING count(*) > 1 LIMIT 1"
    ).fetchall()
    if twice:
        one, other = cast("tuple[str, str]", twice[0])
        raise StartError(
            f'the index "{unique.spec.name}" of table "{spec.name}" is unique, but documents {one} '
            f"and {other} have the same {', '.join(index.fields)}; change one of them with the "
            "previous version, then start this one"
        )
