"""Reading a database file that another process serves: for work that would hold up that process."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import apsw

from flow_backend.errors import CheckFailed
from flow_backend.storage.packages import read_package
from flow_backend.storage.scan import quote

_BUSY_MS: Final = 5_000


class ReadOnly:
    """A snapshot of a database file, on a connection that cannot write."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def documents(self, table: str) -> Iterator[tuple[str, bytes]]:
        """Give the id and the bytes of each document of a table, in the order of their rows."""
        rows = self._connection.execute(f"SELECT _id, _document FROM {quote(table)}")  # noqa: S608  # A quoted name.
        return cast("Iterator[tuple[str, bytes]]", rows)

    def has_table(self, table: str) -> bool:
        """Say whether the file has a table of this name."""
        text = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
        return bool(self._connection.execute(text, (table,)).fetchall())

    def package(self, digest: str) -> bytes | None:
        """Give the package of a deployed version, None if it is not there."""
        return read_package(self._connection, digest)

    def log_position(self) -> int:
        """Give how far the commit log is; see :meth:`flow_backend.storage.base.Snapshot`."""
        return log_position(self._connection)


@contextmanager
def open_read_only(database: str) -> Generator[ReadOnly]:
    """Open a database file at its newest state, which stays while the block runs.

    Raises: CheckFailed.
    """
    connection: Any = None
    try:
        connection = apsw.Connection(database, flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(_BUSY_MS)
        connection.execute("BEGIN")
        yield ReadOnly(connection)
    except apsw.Error as error:
        raise CheckFailed(f"cannot read {database}: {error}") from error
    finally:
        if connection is not None:
            connection.close(True)


def log_position(connection: Any) -> int:
    """Give the number of the newest row of the commit log, 0 for an empty one."""
    [(position,)] = connection.execute(
        "SELECT coalesce(max(_rowid), 0) FROM _commit_log"
    ).fetchall()
    return int(position)


def written_since(connection: Any, position: int, table_number: int) -> list[str] | None:
    """Give the ids that were written behind a place in the commit log, each once.

    None if the log no longer says, since that part of it was pruned.
    """
    if log_position(connection) < position:
        return None
    rows = connection.execute(
        'SELECT DISTINCT id FROM _commit_log WHERE _rowid > ? AND "table" = ?',
        (position, table_number),
    )
    return [ident for (ident,) in rows.fetchall()]


def written_next(
    connection: Any, position: int, table_number: int, rows_max: int
) -> tuple[int, list[str], int]:
    """Read the next rows of the commit log.

    Returns: how many those are, the ids of the table among them, and the place behind them.
    """
    rows = connection.execute(
        'SELECT _rowid, "table", id FROM _commit_log WHERE _rowid > ? ORDER BY _rowid LIMIT ?',
        (position, rows_max),
    ).fetchall()
    ids = dict.fromkeys(ident for _, number, ident in rows if number == table_number)
    return len(rows), list(ids), rows[-1][0] if rows else position
