"""The files of a database on a simulated disk."""

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import apsw
from attrs import define, field

from flow_backend.errors import StartError
from flow_backend.storage.files import CANNOT_CREATE, DATABASE, renew_log
from flow_backend.testing.disk import PowerLost, SimDisk
from flow_backend.testing.disk_vfs import VFS_NAME, mount, simulated_vfs
from flow_backend.testing.sim_file import SimFile

_BALLAST: Final = "flow.ballast"
_COPY_BYTES: Final = 2**14


def sim_files(disk: SimDisk) -> "SimFiles":
    """Give the files of the process that now lives on a disk; the next boot needs new ones.

    SQLite's own chance (the salts of its log) follows from the disk's from here on.
    """
    simulated_vfs().seed(disk.random)
    return SimFiles(disk, disk.boot, mount(disk))


@define(eq=False)
class SimFiles:
    """Implements :class:`flow_backend.storage.files.Files` and ``Folder``."""

    disk: SimDisk
    boot: int
    _path: str
    _locked: bool = field(default=False, init=False)

    @property
    def vfs(self) -> str:
        """The simulated one."""
        return VFS_NAME

    @property
    def database(self) -> str:
        """The path of the file."""
        return self._path + DATABASE

    def prepare(self) -> None:
        """Make the file, durably, and take the lock."""
        if self.disk.locked_by == self.disk.boot:
            raise StartError("another server uses the simulated disk", CANNOT_CREATE)
        try:
            with _as_os_errors():
                self.disk.operate("open", DATABASE, self.boot)
                self.disk.locked_by, self._locked = self.boot, True
                if DATABASE not in self.disk.names:
                    self.disk.create(DATABASE)
                    self.disk.sync_names(self.boot)
        except OSError as error:
            self.release()
            raise StartError(
                f"cannot write on the simulated disk: {error}", CANNOT_CREATE
            ) from error

    def renew_log(self) -> bool:
        """Put a copy that is surely on disk in the place of a log that was left."""
        return renew_log(self)

    def take_room(self, size_bytes: int) -> None:
        """Let a file take so much room, in which nothing is written; 0 takes none."""
        with _as_os_errors():
            found = self.disk.names.get(_BALLAST)
            if found is not None and found.reserved_bytes == size_bytes:
                return
            self.remove(_BALLAST)
            if size_bytes:
                self.disk.operate("reserve", _BALLAST, self.boot)
                self.disk.check_room(SimFile(), size_bytes)
                self.disk.create(_BALLAST).reserved_bytes = size_bytes

    def give_room(self) -> None:
        """Free that room."""
        self.remove(_BALLAST)

    def release(self) -> None:
        """Give up the lock."""
        if self._locked and self.disk.locked_by == self.boot:
            self.disk.locked_by = None
        self._locked = False

    # --- The operations of a folder --------------------------------------------------------------

    def size(self, name: str) -> int | None:
        """Give a file's size, None if there is no such file."""
        file = self.disk.names.get(name)
        return None if file is None else len(file.cache)

    def copy(self, name: str, target: str) -> None:
        """Copy a file into a new one, and sync that."""
        disk, boot = self.disk, self.boot
        with _as_os_errors():
            disk.operate("open", name, boot)
            source = disk.names[name]
            disk.operate("open", target, boot)
            copy = disk.create(target)
            for start in range(0, len(source.cache), _COPY_BYTES):
                disk.operate("read", name, boot)
                piece = bytes(source.cache[start : start + _COPY_BYTES])
                disk.write(copy, target, boot, start, piece)
            disk.sync(copy, target, boot)

    def rewrite(self, name: str) -> None:
        """Read a file and write it again where it is, and sync it."""
        disk, boot = self.disk, self.boot
        with _as_os_errors():
            disk.operate("open", name, boot)
            file = disk.names[name]
            for start in range(0, len(file.cache), _COPY_BYTES):
                disk.operate("read", name, boot)
                piece = bytes(file.cache[start : start + _COPY_BYTES])
                disk.write(file, name, boot, start, piece)
            disk.sync(file, name, boot)

    def rename(self, name: str, target: str) -> None:
        """Put a file in the place of another."""
        with _as_os_errors():
            self.disk.operate("rename", name, self.boot)
            self.disk.change_names({name: None, target: self.disk.names[name]})

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with _as_os_errors():
            if name in self.disk.names:
                self.disk.operate("delete", name, self.boot)
                self.disk.change_names({name: None})

    def sync(self) -> None:
        """Put the names of all files on disk."""
        with _as_os_errors():
            self.disk.sync_names(self.boot)


@contextmanager
def _as_os_errors() -> Generator[None]:
    """Give the disk's errors as a program sees them that does not ask through SQLite."""
    try:
        yield
    except PowerLost:
        raise
    except apsw.FullError as error:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
    except apsw.Error as error:
        raise OSError(errno.EIO, os.strerror(errno.EIO)) from error
