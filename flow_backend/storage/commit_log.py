"""The commit log: what each commit wrote, on disk, for undo, replicas and looking back.

Its rows are appended in the order of their timestamps, so the row number is an index by time.
"""

from collections.abc import Iterable
from typing import Final

from flow_backend.storage.connection import Connection, Cursor

CREATE: Final = """
CREATE TABLE _commit_log (
    _rowid INTEGER PRIMARY KEY,
    ts INTEGER NOT NULL,
    "table" INTEGER NOT NULL,
    id TEXT NOT NULL,
    before BLOB,
    after BLOB
)
"""

LogRow = tuple[int, int, str, bytes | None, bytes | None]
"""Timestamp, number of the table, id, the document's bytes before and after."""

_APPEND: Final = 'INSERT INTO _commit_log (ts, "table", id, before, after) VALUES (?, ?, ?, ?, ?)'
_OLDEST: Final = "SELECT _rowid FROM _commit_log WHERE ts < ? ORDER BY _rowid LIMIT ?"
_PRUNE: Final = f"DELETE FROM _commit_log WHERE _rowid IN ({_OLDEST})"  # noqa: S608  # A constant.


def append(cursor: Cursor, rows: Iterable[LogRow]) -> None:
    """Append what a batch wrote, in the order of its commits."""
    cursor.executemany(_APPEND, rows)


def prune(connection: Connection, before_ts: int, rows_max: int) -> int:
    """Delete the oldest rows from before a timestamp, at most so many; give how many it were."""
    oldest = connection.execute("SELECT ts FROM _commit_log ORDER BY _rowid LIMIT 1").fetchall()
    # Without this look a log of young rows only would be read to its end.
    if not oldest or oldest[0][0] >= before_ts:  # type: ignore[operator]
        return 0
    connection.execute(_PRUNE, (before_ts, rows_max))
    return connection.changes()
