"""The machine that a world's server runs on: its files, and how they look after an end."""

import shutil
from collections.abc import Callable
from pathlib import Path

from attrs import define

from flow_backend.storage.base import Storage
from flow_backend.storage.files import DATABASE
from flow_backend.storage.settings import StorageSettings
from flow_backend.storage.sqlite import open_storage
from tests.simulation.app import APP


@define
class Machine:
    """Files in memory, a directory for each life of the server.

    A process that was killed goes on to exist for a while, in a directory that nobody looks at.
    """

    root: Path
    lives: int = 0

    @property
    def _directory(self) -> Path:
        return self.root / str(self.lives)

    def open(self, now_ns: Callable[[], int], settings: StorageSettings) -> Storage:
        """Open what the last life has left."""
        tables = tuple(APP.schema.tables.values())
        return open_storage(self._directory, tables, now_ns=now_ns, settings=settings)

    def kill(self) -> None:
        """End the process: what it has written so far is what the next one finds."""
        old = self._directory
        self.lives += 1
        self._directory.mkdir(mode=0o700)
        for name in (DATABASE, f"{DATABASE}-wal"):
            if (old / name).exists():
                shutil.copyfile(old / name, self._directory / name)
