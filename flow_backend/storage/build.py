"""Columns and indexes that a later schema has, made beside what is used, a piece at a time.

Nothing reads them before they are whole. A fill goes through the rows once, by number; what is
written meanwhile stands in the commit log, and is filled again before the schema is switched. So
writes need not know of it, and after a crash it goes on where it was.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, cast

import orjson
from attrs import define, evolve

from flow_backend.errors import DocumentError, StartError
from flow_backend.schema.table import FieldSpec, IndexSpec, TableSpec
from flow_backend.storage.base import Progress
from flow_backend.storage.columns import (
    ColumnFiller,
    Known,
    build_index,
    check_unique,
    columns_present,
    print_of_column,
    print_of_index,
    read_known,
)
from flow_backend.storage.connection import Connection
from flow_backend.storage.read_only import log_position, written_next
from flow_backend.storage.scan import quote
from flow_backend.storage.search import (
    StoredSearch,
    fts_name,
    print_of_search,
    stored_searches,
)
from flow_backend.storage.tables import index_name

CREATE: Final = """
CREATE TABLE IF NOT EXISTS _builds (
    "table" TEXT PRIMARY KEY,
    columns BLOB NOT NULL,
    indexes BLOB NOT NULL,
    next_row INTEGER NOT NULL,
    position INTEGER NOT NULL
) WITHOUT ROWID
"""

INLINE_ROWS: Final = 5_000
"""Tables of fewer rows are changed in the switch itself: that takes some tens of ms."""

_PIECE_ROWS: Final = 1_000
_ALL_FILLED: Final = -1

Prints = Mapping[str, object]


@define
class TableBuild:
    """What is being built for one table.

    Attributes:
        columns: those to fill.
        indexes: those to make over them.
        searches: the search indexes to fill.
        next_row: rows up to this number are filled; ``_ALL_FILLED`` once all are.
        position: what stands behind it in the commit log is to be filled again.
    """

    spec: TableSpec
    number: int
    columns: tuple[FieldSpec, ...]
    indexes: tuple[IndexSpec, ...]
    searches: tuple[StoredSearch, ...]
    next_row: int = 0
    position: int = 0

    @property
    def prints(self) -> tuple[Prints, Prints]:
        """What the file keeps of it: the columns and the indexes, described."""
        columns = {each.name: print_of_column(each) for each in self.columns}
        indexes: dict[str, object] = {each.name: print_of_index(each) for each in self.indexes}
        searches = {each.spec.name: print_of_search(self.spec, each.spec) for each in self.searches}
        return columns, {**indexes, **searches}

    def fill(self, connection: Connection, rows: Sequence[tuple[int, str, bytes]]) -> None:
        """Fill some rows.

        Raises: StartError for a document that an index cannot have.
        """
        if self.columns:
            ColumnFiller(self.spec, self.columns).fill(connection, rows)
        try:
            for search in self.searches:
                search.fill(connection, self.spec, rows)
        except DocumentError as error:
            raise StartError(str(error)) from error


def plan_builds(connection: Connection, specs: Iterable[TableSpec]) -> list[TableBuild]:
    """Say what a schema needs that is worth building beside what is used.

    A column or index that means something else now, under the same name, cannot be built beside
    the one in use.

    Raises: StartError for such a one over a large table.
    """
    known = read_known(connection)
    builds: list[TableBuild] = []
    for spec in specs:
        before = known.get(spec.name)
        if before is None or _rows(connection, spec.name) < INLINE_ROWS:
            continue
        build = _plan(spec, before)
        if build.columns or build.indexes or build.searches:
            builds.append(build)
    return builds


def _plan(spec: TableSpec, before: Known) -> TableBuild:
    def is_new(kind: str, name: str, described: object) -> bool:
        return _is_new(spec, kind, name, described, before)

    searches = stored_searches(spec)
    return TableBuild(
        spec,
        before.number,
        tuple(each for each in spec.columns if is_new("column", each.name, print_of_column(each))),
        tuple(each for each in spec.indexes if is_new("index", each.name, print_of_index(each))),
        tuple(
            each
            for each in searches
            if is_new("index", each.spec.name, print_of_search(spec, each.spec))
        ),
    )


def _is_new(spec: TableSpec, kind: str, name: str, described: object, before: Known) -> bool:
    known = before.columns if kind == "column" else before.indexes
    found = known.get(name)
    if found is None or found == described:
        return found is None
    what, advice = (
        (f'the indexed field "{name}" changes its type or default', "add a field of another name")
        if kind == "column"
        else (f'the index "{name}" changes', "give the new one another name")
    )
    raise StartError(
        f'{what}, and table "{spec.name}" has {INLINE_ROWS} documents or more: it cannot be built '
        f"beside the one that is used. {advice.capitalize()}"
    )


def _rows(connection: Connection, table: str) -> int:
    [(count,)] = connection.execute(f"SELECT count(*) FROM {quote(table)}").fetchall()  # noqa: S608  # A quoted name.
    return cast("int", count)


def is_building(connection: Connection, table: str) -> bool:
    """Say whether something is being built for a table, or was and may be taken up again."""
    if not columns_present(connection, "_builds"):
        return False  # This database has never built anything.
    return bool(connection.execute('SELECT 1 FROM _builds WHERE "table" = ?', (table,)).fetchall())


# --- Building, a step at a time -------------------------------------------------------------------


def begin(connection: Connection, builds: Sequence[TableBuild]) -> list[TableBuild]:
    """Add the columns, or take up again what was begun before; give the builds as they stand.

    Inside the caller's transaction, as all below. What was begun for another schema is dropped.
    """
    wanted = {build.spec.name: build for build in builds}
    taken: dict[str, TableBuild] = {}
    for name, columns, indexes, next_row, position in _stored(connection):
        build = wanted.get(name)
        # A log that was cut since no longer says what was written.
        is_same = build is not None and build.prints == (columns, indexes)
        if build is not None and is_same and log_position(connection) >= position:
            taken[name] = evolve(build, next_row=next_row, position=position)
            continue
        _drop(connection, name, indexes)
    for name, build in wanted.items():
        if name not in taken:
            taken[name] = _begin_one(connection, build)
    return list(taken.values())


def _begin_one(connection: Connection, build: TableBuild) -> TableBuild:
    spec = build.spec
    present = columns_present(connection, spec.name)
    for column in build.columns:
        # One that an index named once may be there still: it is filled anew.
        found = present.get(column.name.lower())
        if found is not None and found != (column.name, column.kind.value):
            connection.execute(f"ALTER TABLE {quote(spec.name)} DROP COLUMN {quote(found[0])}")
            found = None
        if found is None:
            connection.execute(
                f"ALTER TABLE {quote(spec.name)} ADD COLUMN {quote(column.name)} "
                f"{column.kind.value}"
            )
    for search in build.searches:
        connection.execute(search.drop_sql)
        connection.execute(search.create_sql)
    build.position = log_position(connection)
    _save(connection, build)
    return build


def _drop(connection: Connection, table: str, indexes: Prints) -> None:
    """Take away what a build has made; a column alone stays, as an index may name it one day."""
    for name in indexes:
        connection.execute(f"DROP INDEX IF EXISTS {index_name(table, name)}")
        connection.execute(f"DROP TABLE IF EXISTS {fts_name(table, name)}")
    connection.execute('DELETE FROM _builds WHERE "table" = ?', (table,))


def fill_some(connection: Connection, build: TableBuild, rows_max: int) -> bool:
    """Do the next piece of a table; say whether it is ready to be used.

    Raises: StartError for a document that an index cannot have.
    """
    if build.next_row != _ALL_FILLED:
        rows = _some_rows(connection, build.spec.name, build.next_row, rows_max)
        build.fill(connection, rows)
        build.next_row = rows[-1][0] if rows else _ALL_FILLED
        _save(connection, build)
        return False
    behind = catch_up(connection, build, rows_max)
    if behind >= rows_max:
        return False
    made = {cast("str", name) for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    for index in build.indexes:
        if f"{build.spec.name}:{index.name}" not in made:
            # It cannot be made in pieces. Over filled columns it is one sort.
            build_index(connection, build.spec, evolve(index, unique=False))
            return False
    return True


def catch_up(connection: Connection, build: TableBuild, rows_max: int) -> int:
    """Fill again what was written next in the commit log; give how many of its rows were read.

    Raises: StartError, also if the commit log no longer says what was written.
    """
    if log_position(connection) < build.position:
        raise StartError("the commit log was cut while an index was built: deploy again")
    count, written, position = written_next(connection, build.position, build.number, rows_max)
    rows = [row for ident in written for row in _row_of(connection, build.spec.name, ident)]
    build.fill(connection, rows)
    if count:
        build.position = position
        _save(connection, build)
    return count


def rows_done(connection: Connection, builds: Iterable[TableBuild]) -> Progress:
    """Say how far the fill is, by the numbers of the rows."""
    done = total = 0
    for build in builds:
        [(newest,)] = connection.execute(
            f"SELECT coalesce(max(_rowid), 0) FROM {quote(build.spec.name)}"  # noqa: S608  # A quoted name.
        ).fetchall()
        total += cast("int", newest)
        done += cast("int", newest) if build.next_row == _ALL_FILLED else build.next_row
    return Progress(done, total)


# --- The switch -----------------------------------------------------------------------------------


def take_over(connection: Connection, spec: TableSpec, before: Known) -> Known:
    """Give a table as it is with what was built for this schema; what was not is dropped.

    Raises: StartError for a document that an index cannot have.
    """
    for name, columns, indexes, next_row, position in _stored(connection):
        if name != before.name:
            continue
        build = _build_of(spec, before.number, columns, indexes, position)
        if next_row != _ALL_FILLED or build.prints != (columns, indexes):
            _drop(connection, name, indexes)
            return before
        while catch_up(connection, build, _PIECE_ROWS):
            pass
        for index in build.indexes:
            if index.unique:
                check_unique(connection, spec, index)
        connection.execute('DELETE FROM _builds WHERE "table" = ?', (name,))
        return before._replace(
            columns={**before.columns, **columns}, indexes={**before.indexes, **indexes}
        )
    return before


def _build_of(
    spec: TableSpec, number: int, columns: Prints, indexes: Prints, position: int
) -> TableBuild:
    return TableBuild(
        spec,
        number,
        tuple(each for each in spec.columns if each.name in columns),
        tuple(each for each in spec.indexes if each.name in indexes),
        tuple(each for each in stored_searches(spec) if each.spec.name in indexes),
        _ALL_FILLED,
        position,
    )


# --- Rows -----------------------------------------------------------------------------------------


def _stored(
    connection: Connection,
) -> Iterator[tuple[str, Prints, Prints, int, int]]:
    rows = connection.execute(
        'SELECT "table", columns, indexes, next_row, position FROM _builds'
    ).fetchall()
    for name, columns, indexes, next_row, position in cast(
        "list[tuple[str, bytes, bytes, int, int]]", rows
    ):
        yield name, orjson.loads(columns), orjson.loads(indexes), next_row, position


def _save(connection: Connection, build: TableBuild) -> None:
    columns, indexes = build.prints
    connection.execute(
        "INSERT OR REPLACE INTO _builds VALUES (?, ?, ?, ?, ?)",
        (
            build.spec.name,
            orjson.dumps(columns),
            orjson.dumps(indexes),
            build.next_row,
            build.position,
        ),
    )


def _some_rows(
    connection: Connection, table: str, after: int, count: int
) -> list[tuple[int, str, bytes]]:
    rows = connection.execute(
        f"SELECT _rowid, _id, _document FROM {quote(table)} "  # noqa: S608  # A quoted name.
        "WHERE _rowid > ? ORDER BY _rowid LIMIT ?",
        (after, count),
    )
    return cast("list[tuple[int, str, bytes]]", rows.fetchall())


def _row_of(connection: Connection, table: str, ident: str) -> list[tuple[int, str, bytes]]:
    rows = connection.execute(
        f"SELECT _rowid, _id, _document FROM {quote(table)} WHERE _id = ?",  # noqa: S608  # A quoted name.
        (ident,),
    )
    return cast("list[tuple[int, str, bytes]]", rows.fetchall())
