"""The files of a database: their directory, the lock that keeps others out, and SQLite's log.

A simulated disk has these operations, too: storage does all else through SQLite.
"""

import errno
import fcntl
import os
import sys
from contextlib import suppress
from io import BufferedWriter
from pathlib import Path
from typing import Final, Protocol

from attrs import define, field

from flow_backend.errors import StartError

CANNOT_CREATE: Final = 73
NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
"""What a write gives on a full disk, or past the share of it that one may use."""

DATABASE: Final = "flow.sqlite3"
LOCK: Final = "flow.lock"
_BALLAST: Final = "flow.ballast"
_LOG: Final = f"{DATABASE}-wal"
_LOG_COPY: Final = f"{DATABASE}-wal.copy"
_LOG_INDEX: Final = f"{DATABASE}-shm"
_COPY_BYTES: Final = 2**20


class Files(Protocol):
    """What storage needs of the disk beside SQLite."""

    @property
    def vfs(self) -> str | None:
        """The name of SQLite's VFS; None for its own."""
        ...

    @property
    def database(self) -> str:
        """The database file, as SQLite is to open it."""
        ...

    def prepare(self) -> None:
        """Make the directory and the file, durably, and lock out every other process.

        Raises: StartError if another process has the lock, or the directory cannot be written.
        """
        ...

    def renew_log(self) -> bool:
        """If the last process left a log, put a copy that is surely on disk in its place.

        Returns: whether there was a log, which a clean stop does not leave.
        """
        ...

    def take_room(self, size_bytes: int) -> None:
        """Let a file take so much room on the disk, in which nothing is written; 0 takes none.

        Raises: OSError if there is not so much; none is taken then.
        """
        ...

    def give_room(self) -> None:
        """Free that room."""
        ...

    def sync(self) -> None:
        """Put the names of all files on disk, and the end of those that were removed."""
        ...

    def release(self) -> None:
        """Give up the lock."""
        ...


class Folder(Protocol):
    """A directory, and what storage does with the files in it by itself; names are plain."""

    def size(self, name: str) -> int | None:
        """Give a file's size in bytes, None if there is no such file."""
        ...

    def copy(self, name: str, target: str) -> None:
        """Copy a file into a new one, and sync that."""
        ...

    def rewrite(self, name: str) -> None:
        """Read a file and write it again where it is, and sync it."""
        ...

    def rename(self, name: str, target: str) -> None:
        """Put a file in the place of another."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...

    def sync(self) -> None:
        """Put the names of all files on disk."""
        ...


def renew_log(folder: Folder) -> bool:
    """Put a copy that is surely on disk in the place of a log that was left.

    After a failed fsync the kernel may count pages as clean that never reached the disk. A log that
    is read and written anew is on disk whatever happened before.

    Returns: whether there was a log.
    Source: the guarantees, B3 and B6.
    """
    if not folder.size(_LOG):
        return False
    folder.remove(_LOG_COPY)  # One that an earlier start did not finish.
    try:
        folder.copy(_LOG, _LOG_COPY)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        # The same bytes once more in the same place make the pages dirty again, and need no room.
        folder.remove(_LOG_COPY)
        folder.rewrite(_LOG)
    else:
        folder.rename(_LOG_COPY, _LOG)
    folder.remove(_LOG_INDEX)
    folder.sync()
    return True


@define
class SystemFiles:
    """The files of a directory on a real disk."""

    directory: Path
    _lock: int | None = field(default=None, init=False)

    @property
    def vfs(self) -> str | None:
        """SQLite's own."""
        return None

    @property
    def database(self) -> str:
        """The path of the file."""
        return str(self.directory / DATABASE)

    def prepare(self) -> None:
        """Make the directory and the file, durably, and take the lock."""
        try:
            _make_directory(self.directory)
            self._take_lock()
            self._make_database()
        except OSError as error:
            self.release()
            raise StartError(
                f"cannot write in the data directory {self.directory}: {error.strerror or error}; "
                "give another one, or the right to write in it",
                CANNOT_CREATE,
            ) from error

    def renew_log(self) -> bool:
        """Put a copy that is surely on disk in the place of a log that was left."""
        return renew_log(self)

    def size(self, name: str) -> int | None:
        """Give a file's size, None if there is no such file."""
        try:
            return (self.directory / name).stat().st_size
        except FileNotFoundError:
            return None

    def copy(self, name: str, target: str) -> None:
        """Copy a file into a new one, and sync that."""
        place = self.directory / target
        with (self.directory / name).open("rb") as source, _new_file(place) as copy:
            while piece := source.read(_COPY_BYTES):
                copy.write(piece)
            copy.flush()
            os.fsync(copy.fileno())

    def rewrite(self, name: str) -> None:
        """Read a file and write it again where it is, and sync it."""
        with (self.directory / name).open("r+b", buffering=0) as file:
            place = 0
            while piece := os.pread(file.fileno(), _COPY_BYTES, place):
                place += os.pwrite(file.fileno(), piece, place)
            os.fsync(file.fileno())

    def rename(self, name: str, target: str) -> None:
        """Put a file in the place of another."""
        (self.directory / name).replace(self.directory / target)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        (self.directory / name).unlink(missing_ok=True)

    def sync(self) -> None:
        """Put the names of all files on disk."""
        _sync_directory(self.directory)

    def take_room(self, size_bytes: int) -> None:
        """Let a file take so much room, in which nothing is written; 0 takes none."""
        if self.size(_BALLAST) == size_bytes:
            return
        self.remove(_BALLAST)
        if size_bytes:
            try:
                with _new_file(self.directory / _BALLAST) as ballast:
                    _reserve(ballast, size_bytes)
            except OSError:
                self.remove(_BALLAST)
                raise

    def give_room(self) -> None:
        """Free that room."""
        self.remove(_BALLAST)

    def release(self) -> None:
        """Give up the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_lock(self) -> None:
        path = self.directory / LOCK
        self._lock = lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 32).decode("ascii", "replace").strip() or "unknown"
            self.release()
            raise StartError(
                f"another server (process {holder}) uses the data directory {self.directory}; stop "
                "it first, or give this one a directory of its own",
                CANNOT_CREATE,
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)

    def _make_database(self) -> None:
        # SQLite would make it readable by all; its log and index take over the file's mode.
        with suppress(FileExistsError):
            os.close(os.open(self.database, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            _sync_directory(self.directory)


def _make_directory(directory: Path) -> None:
    """Make a directory and what is missing above it; each is on disk before the next."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700)
        _sync_directory(path)
        _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reserve(file: BufferedWriter, size_bytes: int) -> None:
    if sys.platform == "linux":
        os.posix_fallocate(file.fileno(), 0, size_bytes)
    else:  # Elsewhere only what is written takes room.
        file.writelines(bytes(_COPY_BYTES) for _ in range(0, size_bytes, _COPY_BYTES))


def _new_file(path: Path) -> BufferedWriter:
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    return os.fdopen(handle, "wb")
