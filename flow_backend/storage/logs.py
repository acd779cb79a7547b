"""The log of functions on disk: a file of its own beside the database, bounded in size.

It takes part in nothing that the database does: if it is lost, nothing else is.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

import apsw
from attrs import define, field, frozen

from flow_backend.schema.table import SqlValue
from flow_backend.storage.connection import Connection

FILE: Final = "logs.sqlite3"
_BUSY_MS: Final = 2_000
_ANSWER_BYTES: Final = 4 << 20
_CREATE: Final = """
CREATE TABLE IF NOT EXISTS entries (
    micros INTEGER PRIMARY KEY, -- When it ended, in µs since the epoch; each has one of its own.
    path TEXT NOT NULL,
    failed INTEGER NOT NULL,
    entry TEXT NOT NULL -- As JSON; whoever reads it gives it the form that is wanted.
);
CREATE INDEX IF NOT EXISTS entries_failed ON entries (micros) WHERE failed;
"""


@frozen
class LogRow:
    """An entry of the log: ``micros`` is its place, and ``entry`` its JSON."""

    micros: int
    path: str
    failed: bool
    entry: str


@frozen
class LogFilter:
    """Which entries are wanted: all, those of one function, those that failed."""

    path: str | None = None
    failed: bool = False


@define
class LogFile:
    """Keeps the newest entries, at most ``bytes_max`` of them. One thread at a time uses it.

    Raises (all methods): apsw.Error, and OSError.
    """

    path: Path
    bytes_max: int
    _connection: Connection | None = field(default=None, init=False)

    def open(self) -> int:
        """Open it, or begin anew if it cannot be read. Returns: the newest ``micros``, else 0."""
        try:
            return self._open()
        except apsw.Error:
            self.close()
            # What it holds is of use to nobody then, and of no importance.
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            return self._open()

    def _open(self) -> int:
        # Functions log what they are given: nobody else may read it. SQLite gives the files that
        # it makes beside this one the same rights.
        self.path.touch(0o600)
        self.path.chmod(0o600)
        connection = self._connection = cast("Connection", apsw.Connection(str(self.path)))
        cast("apsw.Connection", connection).set_busy_timeout(_BUSY_MS)
        # A crash of the machine may take the last entries along; the file stays whole.
        connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL").fetchall()
        connection.execute(f"PRAGMA journal_size_limit = {4 << 20}").fetchall()
        connection.execute(_CREATE).fetchall()
        [(newest,)] = connection.execute("SELECT max(micros) FROM entries").fetchall()
        return 0 if newest is None else int(cast("int", newest))

    def append(self, rows: Sequence[LogRow]) -> None:
        """Add entries, and let the oldest go if there is too much."""
        connection = self._opened
        values = [(row.micros, row.path, int(row.failed), row.entry) for row in rows]
        connection.execute("BEGIN IMMEDIATE").fetchall()
        try:
            connection.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", values)
            self._shrink(connection)
            connection.execute("COMMIT").fetchall()
        except BaseException:
            with suppress(apsw.Error):
                connection.execute("ROLLBACK").fetchall()
            raise

    def _shrink(self, connection: Connection) -> None:
        while self._used_bytes(connection) > self.bytes_max:
            [(count,)] = connection.execute("SELECT count(*) FROM entries").fetchall()
            if not count:
                return
            most = int(cast("int", count)) // 10 + 1
            connection.execute(
                "DELETE FROM entries WHERE micros IN "
                "(SELECT micros FROM entries ORDER BY micros LIMIT ?)",
                (most,),
            ).fetchall()

    def _used_bytes(self, connection: Connection) -> int:
        def pragma(name: str) -> int:
            [(value,)] = connection.execute(f"PRAGMA {name}").fetchall()
            return int(cast("int", value))

        return (pragma("page_count") - pragma("freelist_count")) * pragma("page_size")

    def after(self, micros: int, most: int, wanted: LogFilter) -> list[LogRow]:
        """Give the entries after one, oldest first; at most some MB of them."""
        return self._select("micros > ?", "ASC", micros, most, wanted)

    def newest(self, since: int, most: int, wanted: LogFilter) -> list[LogRow]:
        """Give the newest entries that are not older than ``since``, oldest first."""
        return self._select("micros >= ?", "DESC", since, most, wanted)[::-1]

    def _select(
        self, where: str, order: str, bound: int, most: int, wanted: LogFilter
    ) -> list[LogRow]:
        values: list[SqlValue] = [bound]
        if wanted.path is not None:
            where += " AND path = ?"
            values.append(wanted.path)
        if wanted.failed:
            where += " AND failed"
        found: list[LogRow] = []
        size = 0
        rows = self._opened.execute(
            "SELECT micros, path, failed, entry FROM entries "  # noqa: S608  # Nothing of it is given.
            f"WHERE {where} ORDER BY micros {order} LIMIT ?",
            (*values, most),
        )
        for row in rows:
            micros, path, failed, entry = cast("tuple[int, str, int, str]", row)
            found.append(LogRow(micros, path, bool(failed), entry))
            size += len(entry)
            if size > _ANSWER_BYTES:
                break
        rows.close(force=True)
        return found

    @property
    def _opened(self) -> Connection:
        assert self._connection is not None, "the log is not open"
        return self._connection

    def close(self) -> None:
        """Close it. It is safe to call it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            cast("apsw.Connection", connection).close(True)
