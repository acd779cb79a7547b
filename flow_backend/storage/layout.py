"""The tables in the file: creates them, and brings them to today's schema.

A Flow table is an SQL table of the same name: the system fields, the indexed fields as columns,
and the whole document as JSON. A column or index that is new, or means something else now, is
filled from the documents; all of it happens in one transaction of the start.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from flow_backend.errors import DocumentError, StartError
from flow_backend.schema.table import FieldSpec, TableSpec
from flow_backend.storage import commit_log, request_records
from flow_backend.storage.base import TableName
from flow_backend.storage.build import take_over
from flow_backend.storage.columns import (
    ColumnFiller,
    Known,
    build_index,
    columns_present,
    print_of_column,
    print_of_index,
    read_known,
    remember,
)
from flow_backend.storage.connection import Connection
from flow_backend.storage.scan import quote
from flow_backend.storage.search import (
    fts_name,
    is_search_print,
    print_of_search,
    row_pieces,
    stored_searches,
)
from flow_backend.storage.tables import StoredTable, index_name
from flow_backend.storage.views import drop_view, refresh_views

FORMAT: Final = 1
"""The version of the file's own layout; a file of a higher one is refused."""

FIRST_NUMBER: Final = 10_001
FIRST_SYSTEM_NUMBER: Final = 513
"""Ids carry their table's number; those of system tables lie below those of an app's."""

_SYSTEM: Final = (
    "CREATE TABLE _meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID",
    "CREATE TABLE _clock (only INTEGER PRIMARY KEY CHECK (only = 1), "
    "ts INTEGER NOT NULL, created_at REAL NOT NULL)",
    "CREATE TABLE _tables (name TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE, "
    "version INTEGER NOT NULL, fingerprint TEXT NOT NULL, columns BLOB NOT NULL, "
    "indexes BLOB NOT NULL) WITHOUT ROWID",
    commit_log.CREATE,
    request_records.CREATE,
    request_records.CREATE_SESSIONS,
    "INSERT INTO _meta (name, value) VALUES ('clean_stop', 1), ('instance', hex(randomblob(16)))",
)

_RESERVED: Final = frozenset({"rowid", "oid"})

T = TypeVar("T")


def create_system_tables(connection: Connection, first_ts: int) -> None:
    """Create what every database has; creating it counts as the first commit."""
    for statement in _SYSTEM:
        connection.execute(statement)
    connection.execute("INSERT INTO _meta (name, value) VALUES ('format', ?)", (FORMAT,))
    connection.execute("INSERT INTO _clock (only, ts, created_at) VALUES (1, ?, 0.0)", (first_ts,))


def apply_schema(
    connection: Connection, specs: Sequence[TableSpec], *, is_switch: bool = False
) -> tuple[dict[TableName, StoredTable], bool]:
    """Bring the tables to today's schema, inside the caller's transaction.

    A table that left the schema stays as it is; columns that no index names any more may stay.
    What was built beside is used; a switch also drops what was built for another schema.

    Returns: the tables of the schema, and whether anything had to change.
    Raises: StartError if the schema does not fit SQL's names or the documents.
    """
    _check_names(specs)
    known = read_known(connection)
    numbers = {table.number for table in known.values()}
    tables = dict[TableName, StoredTable]()
    changed = False
    for spec in specs:
        before = known.get(spec.name)
        if before is None:
            before = _create_table(connection, spec, _free_number(spec.name, numbers))
            numbers.add(before.number)
            changed = True
        if is_switch or _differs(spec, before):
            before = take_over(connection, spec, before)
        after = _change_table(connection, spec, before)
        if after != before:
            changed = True
            remember(connection, after)
        tables[TableName(spec.name)] = StoredTable(spec, after.number, after.version)
    refresh_views(connection, specs)
    return tables, changed


def _check_names(specs: Sequence[TableSpec]) -> None:
    """Refuse names that SQL keeps for itself or, since they differ only in case, mixes up."""
    _check_distinct("tables", [spec.name for spec in specs])
    for spec in specs:
        if spec.name.lower().startswith("sqlite_"):
            raise StartError(f'the table name "{spec.name}" is kept for SQLite: rename the table')
        for column in spec.columns:
            if column.name.lower() in _RESERVED:
                raise StartError(
                    f'the field "{column.name}" of table "{spec.name}" cannot stand in an index: '
                    "SQLite keeps that name for itself; rename the field"
                )
        _check_distinct(
            f'indexed fields of table "{spec.name}"', [column.name for column in spec.columns]
        )
        _check_distinct(
            f'indexes of table "{spec.name}"',
            [*(index.name for index in spec.all_indexes), *(each.name for each in spec.searches)],
        )


def _check_distinct(what: str, names: Sequence[str]) -> None:
    seen = dict[str, str]()
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other is not name:
            raise StartError(
                f'two {what} are called "{other}" and "{name}"; the database cannot tell names '
                "apart that differ only in case: rename one of them"
            )


def _free_number(name: str, taken: set[int]) -> int:
    number = FIRST_SYSTEM_NUMBER if name.startswith("_") else FIRST_NUMBER
    while number in taken:
        number += 1
    return number


def _create_table(connection: Connection, spec: TableSpec, number: int) -> Known:
    table = quote(spec.name)
    connection.execute(
        f"CREATE TABLE {table} (_rowid INTEGER PRIMARY KEY, _id TEXT NOT NULL, "
        "_creationTime REAL NOT NULL, _schema INTEGER NOT NULL, _document BLOB NOT NULL)"
    )
    connection.execute(f"CREATE UNIQUE INDEX {index_name(spec.name, 'by_id')} ON {table} (_id)")
    connection.execute(
        f"CREATE INDEX {index_name(spec.name, 'by_creation_time')} ON {table} (_creationTime)"
    )
    return Known(spec.name, number, 0, "", {}, {})


def _change_table(connection: Connection, spec: TableSpec, before: Known) -> Known:
    """Add and fill what is new or means something else now; give the table as it is then."""
    columns = {column.name: print_of_column(column) for column in spec.columns}
    indexes = {index.name: print_of_index(index) for index in spec.indexes}
    searches = {search.name: print_of_search(spec, search) for search in spec.searches}
    stale = [
        column for column in spec.columns if before.columns.get(column.name) != columns[column.name]
    ]
    stale_names = {column.name for column in stale}
    rebuilt = [
        index
        for index in spec.indexes
        if before.indexes.get(index.name) != indexes[index.name]
        or not stale_names.isdisjoint(index.fields)
    ]
    # First all indexes that go, since a column cannot go while an index is over it.
    for name in {*before.indexes.keys() - indexes.keys(), *(index.name for index in rebuilt)}:
        connection.execute(f"DROP INDEX IF EXISTS {index_name(spec.name, name)}")
    _change_searches(connection, spec, before.indexes, searches)
    if stale:
        drop_view(connection, spec.name)
        _replace_columns(connection, spec.name, stale, before)
        filler = ColumnFiller(spec, stale)
        for rows in row_pieces(connection, spec.name):
            filler.fill(connection, rows)
    for index in rebuilt:
        build_index(connection, spec, index)
    current = before.version > 0 and before.fingerprint == spec.fingerprint
    version = before.version if current else before.version + 1
    known = {**indexes, **searches}
    return Known(spec.name, before.number, version, spec.fingerprint, columns, known)


def _differs(spec: TableSpec, before: Known) -> bool:
    """Say whether columns or indexes must be made, or go."""
    columns = {column.name: print_of_column(column) for column in spec.columns}
    indexes: dict[str, object] = {index.name: print_of_index(index) for index in spec.indexes}
    indexes |= {search.name: print_of_search(spec, search) for search in spec.searches}
    return columns != before.columns or indexes != before.indexes


def _change_searches(
    connection: Connection,
    spec: TableSpec,
    before: Mapping[str, object],
    searches: Mapping[str, object],
) -> None:
    """Drop the search indexes that go or mean something else now, and fill those that are new."""
    for name, described in before.items():
        if is_search_print(described) and searches.get(name) != described:
            connection.execute(f"DROP TABLE IF EXISTS {fts_name(spec.name, name)}")
    for search in stored_searches(spec):
        if before.get(search.spec.name) == searches[search.spec.name]:
            continue
        connection.execute(search.create_sql)
        try:
            for rows in row_pieces(connection, spec.name):
                search.fill(connection, spec, rows)
        except DocumentError as error:
            raise StartError(
                f"{error}; change the document with the previous version, then start this one"
            ) from error


def _replace_columns(
    connection: Connection, table: str, columns: Sequence[FieldSpec], before: Known
) -> None:
    present = columns_present(connection, table)
    # An index over a column that is about to go may be one that the schema still had yesterday.
    for column in columns:
        if (found := present.get(column.name.lower())) is not None:
            connection.execute(f"ALTER TABLE {quote(table)} DROP COLUMN {quote(found[0])}")
        connection.execute(
            f"ALTER TABLE {quote(table)} ADD COLUMN {quote(column.name)} {column.kind.value}"
        )


def in_transaction(connection: Connection, work: Callable[[], T]) -> T:
    """Do something in a transaction; an error undoes it all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work()
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return result
