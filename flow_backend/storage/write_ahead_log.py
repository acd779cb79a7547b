"""SQLite's write-ahead log: when it is copied into the database, and when it is cut."""

from typing import cast

import apsw

from flow_backend.errors import StorageError
from flow_backend.storage.connection import Connection
from flow_backend.storage.settings import StorageSettings
from flow_backend.storage.troubles import Troubles


class WriteAheadLog:
    """Keeps the log of the write connection within bounds.

    Raises (all methods): StorageError if the file can no longer be believed.
    """

    def __init__(
        self, connection: Connection, settings: StorageSettings, troubles: Troubles
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._troubles = troubles
        self._page_bytes = cast("int", connection.pragma("page_size"))
        self._bytes = 0
        self._cut_at_bytes = settings.truncate_bytes
        connection.set_wal_hook(self._note_size)

    def bound(self) -> None:
        """After a commit: do what its size asks for."""
        if self._bytes >= self._cut_at_bytes:
            self._cut()
        else:
            self.checkpoint_if_large()

    def checkpoint_if_large(self) -> None:
        """Copy it into the database if it is large, without waiting for readers."""
        if self._bytes >= self._settings.checkpoint_bytes:
            self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)

    def tidy(self) -> None:
        """Now and then: copy what there is, also if it is little."""
        if self._bytes >= self._settings.truncate_bytes:
            self._cut()
        elif self._bytes:
            self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _cut(self) -> None:
        """Wait for readers, and cut it: with one always there it would only ever grow."""
        self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
        settings = self._settings
        # One that was in vain has kept all writers waiting: it is not repeated with each commit.
        vain = self._bytes + settings.checkpoint_bytes if self._bytes else 0
        self._cut_at_bytes = max(settings.truncate_bytes, vain)

    def _checkpoint(self, mode: int) -> None:
        try:
            pages, copied = self._connection.wal_checkpoint(mode=mode)
        except (apsw.BusyError, apsw.LockedError, apsw.FullError):
            # Readers need the log still, or the file cannot grow; the log has all of it, and the
            # next call tries again.
            return
        except apsw.Error as error:
            failure = self._troubles.of_commit(error)
            if isinstance(failure, StorageError):
                raise failure from error
            return
        if pages == copied:
            self._bytes = 0  # The next commit starts the log afresh.

    def _note_size(self, _connection: Connection, _name: str, pages: int) -> int:
        self._bytes = pages * self._page_bytes
        return apsw.SQLITE_OK
