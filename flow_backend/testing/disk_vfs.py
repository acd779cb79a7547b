"""Lets SQLite run on simulated disks."""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Final, cast
from weakref import WeakValueDictionary

import apsw
from attrs import define

from flow_backend.testing.disk import PowerLost, SimDisk
from flow_backend.testing.sim_file import SimFile

VFS_NAME: Final = "flow-simulated"
_BASE: Final = "unix-excl"
"""It keeps the shared index of the log in this process's memory, for all its connections."""
_LOGS: Final = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL
_SECTOR_BYTES: Final = 4096
_MEMORY: Final = Path("/dev/shm")

_disks: WeakValueDictionary[int, SimDisk] = WeakValueDictionary()


@define(eq=False)
class Opened:
    """An open file: what SQLite's operations on it do."""

    disk: SimDisk
    boot: int
    name: str
    file: SimFile
    syncs_directory: bool = False
    """SQLite's own disk syncs the directory with the first sync of a new log."""

    def read(self, amount: int, offset: int) -> bytes:
        """Give what is there, which may be less."""
        self.disk.operate("read", self.name, self.boot)
        return bytes(self.file.cache[offset : offset + amount])

    def write(self, data: bytes, offset: int) -> None:
        """Write."""
        self.disk.write(self.file, self.name, self.boot, offset, bytes(data))

    def truncate(self, size: int) -> None:
        """Cut."""
        self.disk.operate("truncate", self.name, self.boot)
        self.file.truncate(size)

    def sync(self) -> None:
        """Sync the file, and its name if it is a new log."""
        self.disk.sync(self.file, self.name, self.boot)
        if self.syncs_directory:
            self.disk.sync_names(self.boot)
            self.syncs_directory = False

    def size(self) -> int:
        """Give the size in bytes."""
        if self.is_dead:
            raise PowerLost("the process that asks is dead")
        return len(self.file.cache)

    @property
    def is_dead(self) -> bool:
        """Whether the process that opened it has ended."""
        return self.boot != self.disk.boot or not self.disk.is_on


class _Calls:
    """SQLite's names for what an open file does."""

    opened: Opened

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802  # SQLite's name.
        return self.opened.read(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  # SQLite's name.
        self.opened.write(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802  # SQLite's name.
        self.opened.truncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802  # SQLite's name.
        del flags
        self.opened.sync()

    def xFileSize(self) -> int:  # noqa: N802  # SQLite's name.
        return self.opened.size()

    def xSectorSize(self) -> int:  # noqa: N802  # SQLite's name.
        return _SECTOR_BYTES

    def xDeviceCharacteristics(self) -> int:  # noqa: N802  # SQLite's name.
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: N802  # SQLite's name.
        del op, ptr
        return False

    def excepthook(
        self,
        etype: type[BaseException] | None,
        evalue: BaseException | None,
        etraceback: TracebackType | None,
    ) -> bool:
        """Take an error that SQLite cannot hand on, such as one while a connection is collected."""
        return _pass_over(etype, evalue, etraceback)


class PlainFile(_Calls):
    """A log, a journal or a temporary file: one connection's own, so nothing locks it."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    def xClose(self) -> None:  # noqa: D102, N802  # SQLite's name.
        pass

    def xLock(self, level: int) -> None:  # noqa: D102, N802  # SQLite's name.
        pass

    def xUnlock(self, level: int) -> None:  # noqa: D102, N802  # SQLite's name.
        pass

    def xCheckReservedLock(self) -> bool:  # noqa: D102, N802  # SQLite's name.
        return False


class DatabaseFile(_Calls, apsw.VFSFile):
    """The database: its locks and the shared index of its log are those of an empty real file.

    Each boot has such a file of its own, so that what the dead have locked stays theirs.
    """

    def __init__(self, opened: Opened, base: Path, on_close: Callable[[], None]) -> None:
        self.opened = opened
        self._on_close = on_close
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_MAIN_DB
        apsw.VFSFile.__init__(self, _BASE, str(base), [flags, 0])

    def xLock(self, level: int) -> None:  # noqa: D102, N802  # SQLite's name.
        if level == apsw.SQLITE_LOCK_EXCLUSIVE and self.opened.is_dead:
            # A connection that is collected late would checkpoint now, and fail at that where
            # nobody can catch it. A lock that cannot be had is no error to apsw.
            raise apsw.BusyError("the process that asks is dead")
        apsw.VFSFile.xLock(self, level)

    def xClose(self) -> None:  # noqa: D102, N802  # SQLite's name.
        apsw.VFSFile.xClose(self)
        self._on_close()


class SimVfs(apsw.VFS):
    """SQLite's door to every simulated disk; a path names the disk and the boot."""

    def __init__(self) -> None:
        super().__init__(VFS_NAME, _BASE)
        self.random = Random(0)
        self.on_sleep: Callable[[int], None] | None = None
        self._open_files: dict[tuple[int, int], int] = {}
        self._folder: Path | None = None

    def seed(self, random: Random) -> None:
        """Let SQLite's own chance, which is one for the whole process, follow from ``random``."""
        self.random = random
        before = apsw.vfs_names()[0]
        # The first file that a process opens on the real disk makes SQLite seed itself again,
        # unless it was seeded from there before.
        _seed_sqlite()
        apsw.set_default_vfs(VFS_NAME)
        try:
            _seed_sqlite()
        finally:
            apsw.set_default_vfs(before)

    def xRandomness(self, numbytes: int) -> bytes:  # noqa: D102, N802  # SQLite's name.
        return self.random.randbytes(numbytes)

    def xOpen(  # noqa: D102, N802  # SQLite's name.
        self, name: apsw.URIFilename | str | None, flags: list[int]
    ) -> apsw.VFSFile:
        flags[1] = flags[0]
        if name is None:
            # What it holds ends with its connection, so it need not stand on a disk of ours.
            return apsw.VFSFile(_BASE, None, flags)
        path = name if isinstance(name, str) else name.filename()
        disk, boot, short = _parse(path)
        disk.operate("open", short, boot)
        file = disk.names.get(short)
        is_new = file is None
        if file is None:
            if not flags[0] & apsw.SQLITE_OPEN_CREATE:
                raise apsw.CantOpenError(f"the simulated disk has no file {short}")
            file = disk.create(short)
        opened = Opened(disk, boot, short, file, is_new and bool(flags[0] & _LOGS))
        if flags[0] & apsw.SQLITE_OPEN_MAIN_DB:
            return self._open_database(opened)
        # apsw takes any object with a file's methods, which its types do not say.
        return cast("apsw.VFSFile", PlainFile(opened))

    def _open_database(self, opened: Opened) -> apsw.VFSFile:
        if self._folder is None:
            parent = _MEMORY if _MEMORY.is_dir() else None
            self._folder = Path(tempfile.mkdtemp(prefix="flow-sim-", dir=parent))
            atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        key = opened.disk.number, opened.boot
        base = self._folder / f"{key[0]}-{key[1]}"
        self._open_files[key] = self._open_files.get(key, 0) + 1
        return DatabaseFile(opened, base, lambda: self._closed(key, base))

    def _closed(self, key: tuple[int, int], base: Path) -> None:
        self._open_files[key] -= 1
        if not self._open_files[key]:
            del self._open_files[key]
            base.unlink(missing_ok=True)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: D102, N802  # SQLite's name.
        disk, boot, name = _parse(filename)
        disk.operate("delete", name, boot)
        if name in disk.names:
            disk.change_names({name: None})
        if syncdir:
            disk.sync_names(boot)

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: D102, N802  # SQLite's name.
        del flags
        disk, _, name = _parse(pathname)
        # As SQLite's own disk has it: an empty log is none.
        return bool(disk.names[name].cache) if name in disk.names else False

    def xFullPathname(self, name: str) -> str:  # noqa: D102, N802  # SQLite's name.
        return name

    def xSleep(self, microseconds: int) -> int:  # noqa: D102, N802  # SQLite's name.
        # No time goes by, and in one thread nobody gives back a lock but who is told of it here.
        if self.on_sleep is not None:
            self.on_sleep(microseconds)
        return microseconds

    def excepthook(
        self,
        etype: type[BaseException] | None,
        evalue: BaseException | None,
        etraceback: TracebackType | None,
    ) -> bool:
        """Take an error that SQLite cannot hand on."""
        return _pass_over(etype, evalue, etraceback)


def _seed_sqlite() -> None:
    apsw.randomness(0)  # It forgets its state, and the next call seeds it from the default disk.
    apsw.randomness(1)


_vfs: list[SimVfs] = []


def simulated_vfs() -> SimVfs:
    """Give the VFS, registered at its first use."""
    if not _vfs:
        _vfs.append(SimVfs())
    return _vfs[0]


def mount(disk: SimDisk) -> str:
    """Let SQLite find a disk.

    Returns: how the paths of this boot's files begin; a name follows.
    """
    _disks[disk.number] = disk
    return f"/{disk.number}/{disk.boot}/"


def _parse(path: str) -> tuple[SimDisk, int, str]:
    _, number, boot, name = path.split("/")
    disk = _disks.get(int(number))
    if disk is None:
        raise PowerLost("the disk is gone")
    return disk, int(boot), name


def _pass_over(
    kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> bool:
    """Be silent on errors of the disk, which are meant; let others be seen."""
    if kind is None or error is None or issubclass(kind, apsw.Error):
        return True
    raise error.with_traceback(trace)
