"""Request records: what became of each mutation, so that one that is sent again runs once.

Source: the guarantees, "Exactly once".
"""

from collections.abc import Sequence
from typing import Final, cast

import orjson
from attrs import define, field

from flow_backend.storage.base import Done, Outcome, Refused, RequestKey
from flow_backend.storage.connection import Connection, Cursor
from flow_backend.values.timestamp import CommitTs

# Row numbers grow with time, so that pruning reads the oldest rows only and a large result lies
# outside of the tree that is searched.
CREATE: Final = """
CREATE TABLE _request_records (
    _rowid INTEGER PRIMARY KEY,
    session TEXT NOT NULL,
    request NOT NULL,
    ts INTEGER NOT NULL,
    result BLOB NOT NULL,
    log_lines BLOB NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (session, request)
)
"""

# The highest request of each session whose records were pruned, and when.
CREATE_SESSIONS: Final = """
CREATE TABLE _sessions (
    session TEXT PRIMARY KEY,
    highest INTEGER NOT NULL,
    at INTEGER NOT NULL
) WITHOUT ROWID
"""

Record = tuple[str, int | str, int, bytes, bytes, int]
"""Session, request, timestamp, result, log lines as JSON, and when it ran (ms since the epoch)."""

_FIND: Final = (
    "SELECT ts, result, log_lines FROM _request_records WHERE session = ? AND request = ?"
)
_ADD: Final = (
    "INSERT INTO _request_records (session, request, ts, result, log_lines, at) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)
_HIGHEST: Final = "SELECT highest FROM _sessions WHERE session = ?"
# Numbers sort before texts, so that this is a look at one end of the index.
_NEWEST: Final = (
    "SELECT request FROM _request_records WHERE session = ? AND request < '' "
    "ORDER BY request DESC LIMIT 1"
)
_KNOWN_SESSIONS: Final = 16_384
_OLDEST: Final = (
    "SELECT _rowid, session, request FROM _request_records "
    "WHERE at < ? AND _rowid < ? ORDER BY _rowid"
)
_REMEMBER: Final = (
    "INSERT INTO _sessions (session, highest, at) VALUES (?, ?, ?) "
    "ON CONFLICT (session) DO UPDATE SET "
    "highest = max(highest, excluded.highest), at = excluded.at"
)

TOO_OLD: Final = (
    "This change was sent before, too long ago to still know whether it was made, so it is not "
    "made again. Look at the data; if the change is not there, make it anew."
)


@define
class RequestRecords:
    """The records of one database, over the writer's connection."""

    connection: Connection
    _cursor: Cursor = field(init=False)
    _any_session: bool = field(init=False)
    # No request of the session above this number was ever recorded. It may be too high, after a
    # batch that was rolled back: then the records are looked at, and say so.
    _newest: dict[str, int] = field(factory=dict[str, int])

    def __attrs_post_init__(self) -> None:
        self._cursor = self.connection.cursor()
        self._any_session = self._has_sessions()

    def find(self, key: RequestKey) -> Outcome | None:
        """Give what became of a request, or None if it may run.

        A request whose record may have been pruned is refused: it must never run twice.
        """
        request = key.request
        if isinstance(request, int):
            newest = self._newest.get(key.session)
            if newest is None:
                newest = self._look_newest(key.session)
            if request > newest:
                return None  # What a client sends for the first time: no statement is needed.
        bound = (key.session, request)
        if rows := self._cursor.execute(_FIND, bound).fetchall():
            ts, result, log_lines = cast("tuple[int, bytes, bytes]", rows[0])
            done = Done(result, tuple(orjson.loads(log_lines)))
            return Outcome(done, CommitTs(ts), replayed=True)
        if isinstance(request, int) and request <= self._highest(key.session):
            return Outcome(Refused(TOO_OLD), None)
        return None

    def add(self, records: Sequence[Record]) -> None:
        """Record what ran, in the transaction that it ran in."""
        newest = self._newest
        for session, request, *_ in records:
            if isinstance(request, int) and request > newest.get(session, request):
                newest[session] = request
        self._cursor.executemany(_ADD, records)

    def _look_newest(self, session: str) -> int:
        """Find the highest request of a session, pruned or not; −1 if it has none."""
        found = self._cursor.execute(_NEWEST, (session,)).fetchall()
        newest = max(cast("int", found[0][0]) if found else -1, self._highest(session))
        if len(self._newest) >= _KNOWN_SESSIONS:
            self._newest.clear()
        self._newest[session] = newest
        return newest

    def _highest(self, session: str) -> int:
        """Give the highest request of a session whose record was pruned; −1 if there is none."""
        if not self._any_session:
            return -1
        highest = self._cursor.execute(_HIGHEST, (session,)).fetchall()
        return cast("int", highest[0][0]) if highest else -1

    def prune(self, records_before: int, sessions_before: int, now: int, rows_max: int) -> int:
        """Delete the oldest records, and sessions that were not heard of for long; times in ms.

        Returns: how many records were deleted.
        """
        execute = self._cursor.execute
        [(first,)] = execute("SELECT min(_rowid) FROM _request_records").fetchall()
        count = 0
        if first is not None:
            end = cast("int", first) + rows_max
            old = cast(
                "list[tuple[int, str, int | str]]",
                execute(_OLDEST, (records_before, end)).fetchall(),
            )
            highest = dict[str, int]()
            for _, session, request in old:
                if isinstance(request, int):
                    highest[session] = max(request, highest.get(session, request))
            self._cursor.executemany(
                _REMEMBER, [(session, top, now) for session, top in highest.items()]
            )
            self._cursor.executemany(
                "DELETE FROM _request_records WHERE _rowid = ?", [(row[0],) for row in old]
            )
            count = len(old)
        if count:
            execute("DELETE FROM _sessions WHERE at < ?", (sessions_before,))
        self._any_session = self._has_sessions()
        return count

    def _has_sessions(self) -> bool:
        return bool(self._cursor.execute("SELECT 1 FROM _sessions LIMIT 1").fetchall())


def record_of(key: RequestKey, ts: CommitTs, done: Done, at_ms: int) -> Record:
    """Give the row that records a request's success."""
    log_lines = orjson.dumps(done.log_lines) if done.log_lines else b"[]"
    return key.session, key.request, ts, done.result, log_lines, at_ms
