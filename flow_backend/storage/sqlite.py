"""The storage engine on SQLite: one file, one writer, a connection for each snapshot."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import apsw
from attrs import define

from flow_backend.schema.table import TableSpec
from flow_backend.storage.ballast import Ballast
from flow_backend.storage.base import Snapshot, Storage, TableName, Writer
from flow_backend.storage.connection import Connection
from flow_backend.storage.files import Files, SystemFiles
from flow_backend.storage.history import SchemaHistory
from flow_backend.storage.open import Tables, connect, open_database
from flow_backend.storage.settings import DEFAULT_SETTINGS, StorageSettings
from flow_backend.storage.snapshot import StoredSnapshot
from flow_backend.storage.troubles import Troubles
from flow_backend.storage.writer import StoredWriter

_SHARED_MEMORY: Final = Path("/dev/shm")


def open_storage(
    directory: Path,
    tables: Tables,
    *,
    now_ns: Callable[[], int],
    settings: StorageSettings = DEFAULT_SETTINGS,
) -> Storage:
    """Open the database in a directory, which is made if it is missing.

    ``tables`` may be a function that gives them, of what the database holds (None if it is new).
    ``now_ns`` is the wall clock in ns since the epoch; it may jump.

    Raises: StartError, with the exit code for the process; nothing was changed then.
    """
    return open_files(SystemFiles(directory), tables, now_ns=now_ns, settings=settings)


def open_memory_storage(
    tables: Sequence[TableSpec],
    *,
    now_ns: Callable[[], int],
    settings: StorageSettings = DEFAULT_SETTINGS,
) -> Storage:
    """Open a new database that is gone when it is closed: for tests and trying things out.

    It is the same engine on files in memory, since SQLite's own memory database has no snapshots.
    """
    parent = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    directory = tempfile.TemporaryDirectory(prefix="flow-", dir=parent)
    try:
        files = SystemFiles(Path(directory.name))
        return open_files(
            files, tables, now_ns=now_ns, settings=settings, on_close=directory.cleanup
        )
    except BaseException:
        directory.cleanup()
        raise


def open_files(
    files: Files,
    tables: Tables,
    *,
    now_ns: Callable[[], int],
    settings: StorageSettings = DEFAULT_SETTINGS,
    on_close: Callable[[], None] | None = None,
) -> Storage:
    """Open the database on any disk that has the operations of :class:`Files`.

    Raises: StartError.
    """
    connection, stored, clock = open_database(files, tables, now_ns, settings)

    def reconnect() -> Connection:
        return connect(files, settings, read_only=False)

    troubles = Troubles(now_ns)
    ballast = Ballast(files, settings.ballast_bytes, now_ns)
    ballast.fill()
    history = SchemaHistory.of(stored)
    writer = StoredWriter(
        connection, history, clock, now_ns, settings, troubles, ballast, reconnect
    )
    return SqliteStorage(files, history, writer, settings, troubles, on_close)


@define
class SqliteStorage:
    """Implements :class:`flow_backend.storage.base.Storage`."""

    _files: Files
    _history: SchemaHistory
    _writer: StoredWriter
    _settings: StorageSettings
    _troubles: Troubles
    _on_close: Callable[[], None] | None = None

    @property
    def tables(self) -> Mapping[TableName, TableSpec]:
        """The tables in force."""
        return {name: table.spec for name, table in self._history.newest.items()}

    @property
    def table_numbers(self) -> Mapping[TableName, int]:
        """The number that the ids of each of them carry."""
        return {name: table.number for name, table in self._history.newest.items()}

    @property
    def writer(self) -> Writer:
        """The only writer."""
        return self._writer

    @property
    def troubles(self) -> Mapping[str, int]:
        """How often each kind of SQLite's errors has come."""
        return self._troubles.counts

    @property
    def file(self) -> str | None:
        """The database file, None if it is on a disk of its own kind."""
        return self._files.database if self._files.vfs is None else None

    def open_snapshot(self) -> Snapshot:
        """Open one more connection for reading."""
        try:
            connection = connect(self._files, self._settings, read_only=True)
        except apsw.Error as error:
            raise self._troubles.of_read(error) from error
        return StoredSnapshot(connection, self._history, self._troubles)

    def close(self) -> None:
        """Close everything; safe to call once, after all readers have stopped."""
        try:
            self._writer.close()
        finally:
            self._files.release()
            if self._on_close is not None:
                self._on_close()
