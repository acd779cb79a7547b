"""Documents that are to be imported, in an SQLite file of their own beside the database.

They are put there while they are read and checked, by a thread that the writer does not know of.
The writer then takes them over with a few statements; see :mod:`flow_backend.storage.swap`.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

import apsw
from attrs import define, field

from flow_backend.errors import InvalidValue
from flow_backend.schema.table import ColumnKind, TableSpec, column_value, key_part
from flow_backend.storage.connection import Connection
from flow_backend.storage.scan import quote
from flow_backend.storage.search import StoredSearch, entry_of, stored_searches
from flow_backend.storage.staged import (
    ImportMode,
    Problem,
    StagedImport,
    StagedTable,
    no_such,
    path_of,
)
from flow_backend.storage.tables import encode_document
from flow_backend.values.value import JsonValue

_ROWS_A_PIECE: Final = 1_000
_REFERENCES: Final = (
    'CREATE TABLE "references" (place INTEGER NOT NULL, n INTEGER NOT NULL, '
    "field TEXT NOT NULL, target TEXT NOT NULL, target_id TEXT NOT NULL)"
)


class DuplicateId(Exception):
    """A document has an id that an earlier one of its table has."""


@define
class _Filled:
    spec: TableSpec
    place: int
    file: str
    columns: tuple[tuple[str, ColumnKind], ...]
    searches: tuple[StoredSearch, ...]
    insert: str
    within: tuple[str, ...] = ()
    rows: int = 0

    @property
    def staged(self) -> str:
        return f"s{self.place}"


@define
class Staging:
    """Fills a staging file. Used by one thread.

    Owns: the file, until it is closed or discarded.
    """

    path: Path
    _connection: Connection = field(init=False)
    _tables: dict[str, _Filled] = field(factory=dict[str, _Filled], init=False)
    _since_commit: int = field(default=0, init=False)
    newest_created: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._connection = cast("Connection", cast("object", apsw.Connection(str(self.path))))
        # Nobody needs the file after a crash: what cannot be whole is thrown away.
        self._connection.pragma("journal_mode", "memory")
        self._connection.pragma("synchronous", 0)
        self._connection.execute(_REFERENCES)
        self._connection.execute("BEGIN")

    def add_table(self, spec: TableSpec, file: str) -> None:
        """Begin a table; a second time is harmless."""
        if spec.name in self._tables:
            return
        place = len(self._tables)
        columns = tuple((column.name, column.kind) for column in spec.columns)
        searches = stored_searches(spec)
        entries = [name for search in searches for name in search.staged]
        names = "".join(
            [f", {quote(name)} {kind.value}" for name, kind in columns]
            + [f", {name} TEXT NOT NULL" for name in entries]
        )
        self._connection.execute(
            f"CREATE TABLE s{place} (n INTEGER PRIMARY KEY, line INTEGER NOT NULL, "
            "_id TEXT NOT NULL UNIQUE, _creationTime REAL NOT NULL, "
            f"_document BLOB NOT NULL{names})"
        )
        marks = ", ?" * (len(columns) + len(entries))
        insert = f"INSERT INTO s{place} VALUES (NULL, ?, ?, ?, ?{marks})"  # noqa: S608  # A number.
        within = tuple(name for search in spec.searches for name in search.within)
        self._tables[spec.name] = _Filled(spec, place, file, columns, searches, insert, within)

    def add(self, table: str, line: int, document: Mapping[str, JsonValue]) -> None:
        """Add a whole document, with its system fields, to a table that was begun.

        Raises: DuplicateId; InvalidValue for a NaN in an indexed field. Nothing was added then.
        """
        filled = self._tables[table]
        values = list[str | int | float | bytes | None]()
        for name, kind in filled.columns:
            try:
                values.append(column_value(kind, document.get(name)))
            except InvalidValue as error:
                raise InvalidValue(f"field {name}: {error}") from None
        for name in filled.within:
            try:
                key_part(document.get(name))
            except InvalidValue as error:
                raise InvalidValue(f"field {name}: {error}") from None
        for search in filled.searches:
            values += entry_of(search.source(document))
        created = cast("float", document["_creationTime"])
        bound = (line, cast("str", document["_id"]), created, encode_document(document), *values)
        try:
            self._connection.execute(filled.insert, bound)
        except apsw.ConstraintError:
            raise DuplicateId from None
        n = self._connection.last_insert_rowid()
        for name, target in filled.spec.references.items():
            target_id = document.get(name)
            if isinstance(target_id, str):
                self._connection.execute(
                    'INSERT INTO "references" VALUES (?, ?, ?, ?, ?)',
                    (filled.place, n, name, target, target_id),
                )
        self.newest_created = max(self.newest_created, created)
        filled.rows += 1
        self._commit_sometimes()

    def rows(self, table: str) -> int:
        """Give how many documents a table has been given."""
        return self._tables[table].rows if table in self._tables else 0

    def problems(self, mode: ImportMode) -> Iterator[Problem]:
        """Find what cannot hold whatever the database has: call it once, after the last document.

        References to documents that are here are settled and forgotten; of the others the database
        must know, unless ``mode`` replaces the table that they point to.
        """
        for filled in self._tables.values():
            yield from self._twice_in_unique(filled)
        for name, target in self._tables.items():
            self._connection.execute(
                f'DELETE FROM "references" WHERE target = ? AND EXISTS '  # noqa: S608  # A name of ours.
                f"(SELECT 1 FROM {target.staged} WHERE _id = target_id)",
                (name,),
            )
        for filled in self._tables.values():
            yield from self._dangling(filled, mode)

    def finish(self, mode: ImportMode, also: Mapping[str, TableSpec]) -> StagedImport:
        """Close the file and say what is in it; ``also`` are tables that are to be emptied."""
        self._connection.execute("COMMIT")
        self._connection.close()
        tables = {
            name: StagedTable(each.spec, each.staged, each.file, each.rows)
            for name, each in self._tables.items()
        }
        for name, spec in also.items():
            tables.setdefault(name, StagedTable(spec, "", "", 0))
        return StagedImport(str(self.path), tables, mode, self.newest_created)

    def discard(self) -> None:
        """Close and remove the file; safe to call at any time, and twice."""
        with suppress(apsw.Error):
            self._connection.close(True)
        discard_staging(self.path)

    def _commit_sometimes(self) -> None:
        self._since_commit += 1
        if self._since_commit >= _ROWS_A_PIECE:
            self._connection.execute("COMMIT; BEGIN")
            self._since_commit = 0

    def _twice_in_unique(self, filled: _Filled) -> Iterator[Problem]:
        for index in filled.spec.indexes:
            if not index.unique:
                continue
            names = [quote(name) for name in index.fields]
            rows = self._connection.execute(
                f"SELECT min(line), max(line) FROM {filled.staged} WHERE "  # noqa: S608  # Quoted names.
                f"{not_null(index.fields)} GROUP BY {', '.join(names)} HAVING count(*) > 1 "
                "ORDER BY 2"
            )
            for first, last in cast("Iterator[tuple[int, int]]", rows):
                reason = f'the index "{index.name}" is unique, and row {first} has the same'
                yield Problem(filled.file, last, filled.spec.name, path_of(index.fields), reason)

    def _dangling(self, filled: _Filled, mode: ImportMode) -> Iterator[Problem]:
        """Find references to documents of replaced tables: only what is imported will be there."""
        if mode == "append":
            return
        rows = self._connection.execute(
            f'SELECT s.line, r.field, r.target, r.target_id FROM "references" r '  # noqa: S608  # A name of ours.
            f"JOIN {filled.staged} s ON s.n = r.n WHERE r.place = ? ORDER BY r.n",
            (filled.place,),
        )
        for line, name, target, target_id in cast("Iterator[tuple[int, str, str, str]]", rows):
            cleared = mode == "replaceAll" and not target.startswith("_")
            if cleared or target in self._tables:
                reason = no_such(target, target_id)
                yield Problem(filled.file, line, filled.spec.name, f".{name}", reason)


def discard_staging(path: Path) -> None:
    """Remove a staging file, if it is there."""
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}-journal").unlink(missing_ok=True)


def not_null(fields: tuple[str, ...], prefix: str = "") -> str:
    """Give the SQL condition that no field of a unique index is null: only then it collides."""
    names = [f"{prefix}{quote(name)}" for name in fields]
    return " AND ".join(f"{name} IS NOT NULL AND {name} IS NOT x'03'" for name in names)
