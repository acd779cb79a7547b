"""Takes a staged import into the database, inside the writer's transaction.

A few statements of SQL, whatever the number of documents: no document passes through Python, unless
its table has a search index, and the memory stays that of SQLite's cache.
"""

from collections.abc import Iterator, Mapping
from typing import Final, cast

from flow_backend.errors import ImportRefused
from flow_backend.schema.table import IndexSpec
from flow_backend.storage.base import TableName
from flow_backend.storage.build import is_building
from flow_backend.storage.connection import Connection
from flow_backend.storage.scan import quote
from flow_backend.storage.staged import (
    PROBLEMS_SHOWN,
    Problem,
    StagedImport,
    StagedTable,
    no_such,
    path_of,
    table_exists,
)
from flow_backend.storage.staging import not_null
from flow_backend.storage.tables import StoredTable

_STAGED: Final = "staged"
_LOG: Final = 'INSERT INTO main._commit_log (ts, "table", id, before, after) '


def attach(connection: Connection, staged: StagedImport) -> None:
    """Make the staged documents readable; not inside a transaction."""
    connection.execute(f"ATTACH ? AS {_STAGED}", (staged.path,))


def detach(connection: Connection) -> None:
    """Let go of them, whatever has become of the transaction."""
    if not connection.in_transaction:
        connection.execute(f"DETACH {_STAGED}")


def swap_in(
    connection: Connection,
    tables: Mapping[TableName, StoredTable],
    staged: StagedImport,
    ts: int,
) -> None:
    """Put the staged documents in their tables, and what that does in the commit log.

    Raises: ImportRefused; the caller rolls back.
    """
    wanted = [(_stored(tables, name, each), each) for name, each in staged.tables.items()]
    for stored, each in wanted:
        if staged.mode == "requireEmpty":
            _check_empty(connection, stored, each)
        elif staged.mode == "append":
            _refuse(_clashing_ids(connection, stored, each))
    for stored, each in wanted:
        if staged.mode == "append":
            _log_added(connection, stored, each, ts)
        else:
            _log_replaced(connection, stored, each, ts)
            connection.execute(f"DELETE FROM main.{quote(stored.name)}")  # noqa: S608  # Quoted names, here and below.
            for search in stored.searches:
                search.clear(connection)
        _insert(connection, stored, each)
    for stored, each in wanted:
        if staged.mode == "append":
            for index in stored.spec.indexes:
                if index.unique and each.staged:
                    _refuse(_clashing_keys(connection, stored, each, index))
    _refuse(_dangling(connection, tables, staged))
    if staged.mode != "append":
        _refuse(_left_behind(connection, tables, staged))


def _stored(tables: Mapping[TableName, StoredTable], name: str, staged: StagedTable) -> StoredTable:
    stored = tables.get(TableName(name))
    if stored is None or stored.spec != staged.spec:
        raise ImportRefused(
            f'The schema of table "{name}" has changed since the file was checked. Import it again.'
        )
    return stored


def _check_empty(connection: Connection, stored: StoredTable, staged: StagedTable) -> None:
    if staged.rows and connection.execute(f"SELECT 1 FROM main.{quote(stored.name)}").fetchall():  # noqa: S608
        raise ImportRefused(table_exists(stored.name))


def _log_added(connection: Connection, stored: StoredTable, staged: StagedTable, ts: int) -> None:
    if staged.staged:
        connection.execute(
            f"{_LOG}SELECT ?, ?, _id, NULL, _document FROM {_STAGED}.{staged.staged} ORDER BY n",  # noqa: S608
            (ts, stored.number),
        )


def _log_replaced(
    connection: Connection, stored: StoredTable, staged: StagedTable, ts: int
) -> None:
    table = f"main.{quote(stored.name)}"
    if not staged.staged:
        connection.execute(
            f"{_LOG}SELECT ?, ?, _id, _document, NULL FROM {table}",  # noqa: S608
            (ts, stored.number),
        )
        return
    new = f"{_STAGED}.{staged.staged}"
    # One row for each document that is not the same afterwards. But all are new rows, and an index
    # that is being built beside the table fills again what stands in the log.
    changed = "" if is_building(connection, stored.name) else "WHERE t._document IS NOT s._document"
    connection.execute(
        f"{_LOG}SELECT ?, ?, t._id, t._document, s._document FROM {table} t "  # noqa: S608
        f"LEFT JOIN {new} s ON s._id = t._id {changed}",
        (ts, stored.number),
    )
    connection.execute(
        f"{_LOG}SELECT ?, ?, s._id, NULL, s._document FROM {new} s "  # noqa: S608
        f"WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE t._id = s._id)",
        (ts, stored.number),
    )


def _insert(connection: Connection, stored: StoredTable, staged: StagedTable) -> None:
    if not staged.staged:
        return
    names = ["_id", "_creationTime", "_document", *(quote(name) for name, _ in stored.columns)]
    columns = ", ".join(names)
    connection.execute(
        f"INSERT INTO main.{quote(stored.name)} (_schema, {columns}) "  # noqa: S608
        f"SELECT {stored.version}, {columns} FROM {_STAGED}.{staged.staged} ORDER BY n"
    )
    for search in stored.searches:
        connection.execute(search.take_sql(stored.name, f"{_STAGED}.{staged.staged}"))


def _refuse(problems: Iterator[Problem]) -> None:
    found = list[str]()
    count = 0
    for problem in problems:
        count += 1
        if len(found) < PROBLEMS_SHOWN:
            found.append(str(problem))
    if found:
        raise ImportRefused("The file does not fit what the database holds.", found, count)


def _clashing_ids(
    connection: Connection, stored: StoredTable, staged: StagedTable
) -> Iterator[Problem]:
    if not staged.staged:
        return
    rows = connection.execute(
        f"SELECT s.line, s._id FROM {_STAGED}.{staged.staged} s "  # noqa: S608
        f"JOIN main.{quote(stored.name)} t ON t._id = s._id ORDER BY s.n"
    )
    for line, ident in cast("Iterator[tuple[int, str]]", rows):
        reason = f"the table has a document {ident} already"
        yield Problem(staged.file, line, stored.name, "._id", reason)


def _clashing_keys(
    connection: Connection, stored: StoredTable, staged: StagedTable, index: IndexSpec
) -> Iterator[Problem]:
    same = " AND ".join(f"t.{quote(name)} = s.{quote(name)}" for name in index.fields)
    rows = connection.execute(
        f"SELECT s.line, t._id FROM {_STAGED}.{staged.staged} s JOIN main.{quote(stored.name)} t "  # noqa: S608
        f"ON {same} AND t._id != s._id WHERE {not_null(index.fields, 's.')} ORDER BY s.n"
    )
    for line, ident in cast("Iterator[tuple[int, str]]", rows):
        reason = f'the index "{index.name}" is unique, and document {ident} has the same'
        yield Problem(staged.file, line, stored.name, path_of(index.fields), reason)


def _dangling(
    connection: Connection, tables: Mapping[TableName, StoredTable], staged: StagedImport
) -> Iterator[Problem]:
    """Find references to documents that are not there; those among the staged are settled."""
    for place, (name, each) in enumerate(staged.tables.items()):
        if not each.staged:
            continue
        for target in sorted(set(each.spec.references.values())):
            if TableName(target) not in tables:
                continue
            rows = connection.execute(
                f'SELECT s.line, r.field, r.target_id FROM {_STAGED}."references" r '  # noqa: S608
                f"JOIN {_STAGED}.{each.staged} s ON s.n = r.n WHERE r.place = ? AND r.target = ? "
                f"AND NOT EXISTS (SELECT 1 FROM main.{quote(target)} t WHERE t._id = r.target_id) "
                "ORDER BY r.n",
                (place, target),
            )
            for line, field, target_id in cast("Iterator[tuple[int, str, str]]", rows):
                yield Problem(each.file, line, name, f".{field}", no_such(target, target_id))


def _left_behind(
    connection: Connection, tables: Mapping[TableName, StoredTable], staged: StagedImport
) -> Iterator[Problem]:
    """Find documents that stay, and whose declared references point to what has gone.

    A plain field with an id may point to nothing after a delete; one with a ``Reference`` never.
    """
    for name, stored in tables.items():
        for reference in stored.spec.on_delete:
            if name in staged.tables or reference.target not in staged.tables:
                continue
            field, target = quote(reference.field), quote(reference.target)
            rows = connection.execute(
                f"SELECT u._id, u.{field} FROM main.{quote(name)} u WHERE u.{field} IS NOT NULL "  # noqa: S608
                f"AND NOT EXISTS (SELECT 1 FROM main.{target} t WHERE t._id = u.{field})"
            )
            for ident, gone in cast("Iterator[tuple[str, str]]", rows):
                reason = f"document {ident} stays, and points to {gone}, which the import deletes"
                yield Problem("the database", 0, name, f".{reference.field}", reason)
