"""The part of apsw that storage uses, with types of its own: apsw's stubs need Python 3.12."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol, cast

import apsw

from flow_backend.schema.table import SqlValue

Row = tuple[SqlValue, ...]


class Cursor(Protocol):
    """A statement under way; it is also the iterator over its rows."""

    def execute(self, statements: str, bindings: Sequence[SqlValue] | None = None) -> "Cursor":
        """Run statements up to the first row."""
        ...

    def executemany(
        self, statements: str, sequenceofbindings: Iterable[Sequence[SqlValue]]
    ) -> "Cursor":
        """Run statements once for each of several bindings."""
        ...

    def fetchall(self) -> list[Row]:
        """Give the rows that are left, and end the statement."""
        ...

    def close(self, force: bool = False) -> None:
        """End the statement; ``force`` also ends one whose last error nobody has seen."""
        ...

    def __iter__(self) -> Iterator[Row]: ...

    def __next__(self) -> Row: ...


class Connection(Protocol):
    """A connection; used by one thread at a time, but for :meth:`interrupt`."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open; SQLite ends one on its own on some errors."""
        ...

    def cursor(self) -> Cursor:
        """Make a cursor."""
        ...

    def execute(self, statements: str, bindings: Sequence[SqlValue] | None = None) -> Cursor:
        """Run statements on a new cursor."""
        ...

    def executemany(
        self, statements: str, sequenceofbindings: Iterable[Sequence[SqlValue]]
    ) -> Cursor:
        """Run statements once for each of several bindings, on a new cursor."""
        ...

    def pragma(self, name: str, value: SqlValue = None) -> SqlValue:
        """Set a pragma, or read it; give what it answers."""
        ...

    def config(self, op: int, *args: int) -> int:
        """Set an option of the connection, or with -1 read it; give what it is then."""
        ...

    def changes(self) -> int:
        """Say how many rows the last statement wrote."""
        ...

    def last_insert_rowid(self) -> int:
        """Give the number of the row that was added last."""
        ...

    def interrupt(self) -> None:
        """Make the statements under way fail; from any thread."""
        ...

    def set_busy_timeout(self, milliseconds: int) -> None:
        """Set how long a statement waits for a lock."""
        ...

    def set_progress_handler(self, callable: Callable[[], bool] | None, nsteps: int = 100) -> None:  # noqa: A002  # apsw's word.
        """Have a function called every so many steps; if it says so, the statement ends."""
        ...

    def register_fts5_function(self, name: str, function: Callable[..., SqlValue]) -> None:
        """Make a function known that is called for each row of a search."""
        ...

    def set_wal_hook(self, callable: Callable[["Connection", str, int], int] | None) -> None:  # noqa: A002  # apsw's word.
        """Have a function called after each commit with the pages in the log."""
        ...

    def wal_checkpoint(self, dbname: str | None = None, mode: int = 0) -> tuple[int, int]:
        """Copy the log into the file; give the pages of the log and how many are copied."""
        ...

    def close(self, force: bool = False) -> None:
        """Close it and all its cursors."""
        ...


def open_connection(path: str, vfs: str | None) -> Connection:
    """Open a connection to a file that exists.

    Raises: apsw.Error.
    """
    connection: object = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs)
    return cast("Connection", connection)


def close_connection(connection: Connection, *, leave_log: bool) -> None:
    """Close a connection; nothing that fails at that matters, for the next start puts it right.

    ``leave_log`` keeps SQLite from copying its log into the file, as the last connection to close
    does by itself: after a failure of the disk nothing more must be written.
    """
    with suppress(apsw.Error):
        if leave_log:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.close(True)
