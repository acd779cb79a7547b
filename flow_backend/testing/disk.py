"""A simulated disk: power cuts, kills and failures at any operation, all decided by one seed."""

from collections.abc import Callable
from hashlib import blake2b
from itertools import count
from random import Random
from typing import Final, Literal

import apsw
from attrs import define, field

from flow_backend.testing.sim_file import CACHE_PAGE_BYTES, SimFile

Kind = Literal[
    "open", "read", "write", "sync", "truncate", "delete", "rename", "sync directory", "reserve"
]
"""What a program asks of a disk; each is counted."""

_IO_CODES: Final[dict[Kind, int]] = {
    "open": apsw.SQLITE_IOERR,
    "read": apsw.SQLITE_IOERR_READ,
    "write": apsw.SQLITE_IOERR_WRITE,
    "sync": apsw.SQLITE_IOERR_FSYNC,
    "truncate": apsw.SQLITE_IOERR_TRUNCATE,
    "delete": apsw.SQLITE_IOERR_DELETE,
    "rename": apsw.SQLITE_IOERR,
    "sync directory": apsw.SQLITE_IOERR_DIR_FSYNC,
    "reserve": apsw.SQLITE_IOERR,
}

_KEPT_SHARES: Final = (0.0, 0.4, 0.4, 0.9, 1.0)

_numbers = count(1)

NameChange = dict[str, SimFile | None]
"""Names that come or go together; None is one that goes."""


class PowerLost(apsw.IOError):
    """The process that asks is dead: its machine has no power, or it was killed."""


@define(eq=False)
class Fault:
    """A failure of the disk.

    Attributes:
        kind: which operations fail; None for all.
        at: the first of them that fails, counted from 1.
        times: how many fail in a row; None for all from then on.
        error: what SQLite is told; operations outside of SQLite raise an OSError of that meaning.
        drops_pages: a sync that fails marks the pages clean, as Linux does: they are never written.
        name: how the names of the files end to whose operations it is limited.
        hits: how often it has struck.
    """

    kind: Kind | None
    at: int = 1
    times: int | None = 1
    error: type[apsw.Error] = apsw.IOError
    drops_pages: bool = False
    name: str = ""
    hits: int = field(default=0, init=False)
    _seen: int = field(default=0, init=False)

    def strikes(self, kind: Kind, name: str) -> bool:
        """Count an operation; say whether it fails."""
        if self.kind not in (None, kind) or not name.endswith(self.name):
            return False
        self._seen += 1
        strikes = self._seen >= self.at and (
            self.times is None or self._seen < self.at + self.times
        )
        self.hits += strikes
        return strikes


@define(eq=False, kw_only=True)
class SimDisk:
    """A machine's disk, on which the real storage runs: ``open_files(sim_files(disk), …)``.

    All is in memory and in one thread; what happens depends on ``random`` and on nothing else.
    A process lives from one boot to the next. What is left of an older one (a connection that is
    collected late) finds every operation failing, so that the dead stay dead.

    Attributes:
        number: by which SQLite finds it.
        boot: the process that lives on it; it grows with each.
        cut_at: the operation of this boot at which the power ends: it and all later ones raise
            PowerLost. Then call :meth:`power_cut`, or :meth:`kill` if only the process ended.
        operations: how many operations this boot has asked for.
        counts: the same by kind.
        is_on: whether the process is alive.
        lies: every sync says that it is done, and does nothing.
        capacity_bytes: what fits on the disk; past it, operations fail with FULL.
        on_operation: is told the kind and the file's name of each operation, before it.
        on_cut: is told when ``cut_at`` is reached.
        locked_by: the boot whose process holds the lock file.

    Source: the simulation, "The disk".
    """

    random: Random
    capacity_bytes: int | None = None
    lies: bool = False
    cut_at: int | None = None
    on_operation: Callable[[Kind, str], None] | None = None
    on_cut: Callable[[], None] | None = None
    number: int = field(factory=lambda: next(_numbers), init=False)
    boot: int = field(default=1, init=False)
    operations: int = field(default=0, init=False)
    counts: dict[Kind, int] = field(factory=dict[Kind, int], init=False)
    is_on: bool = field(default=True, init=False)
    locked_by: int | None = field(default=None, init=False)
    faults: list[Fault] = field(factory=list[Fault], init=False)
    names: dict[str, SimFile] = field(factory=dict[str, SimFile], init=False)
    disk_names: dict[str, SimFile] = field(factory=dict[str, SimFile], init=False)
    pending_names: list[NameChange] = field(factory=list[NameChange], init=False)
    _broken_write: tuple[SimFile, int, bytes] | None = field(default=None, init=False)

    # --- What tests do to it ---------------------------------------------------------------------

    def fail(
        self,
        kind: Kind | None,
        at: int = 1,
        times: int | None = 1,
        error: type[apsw.Error] = apsw.IOError,
        *,
        drops_pages: bool = False,
        name: str = "",
    ) -> Fault:
        """Let operations fail from the ``at``-th of a kind on; see :class:`Fault`."""
        fault = Fault(kind, at, times, error, drops_pages, name)
        self.faults.append(fault)
        return fault

    def mend(self) -> None:
        """Let nothing fail any more."""
        self.faults.clear()

    def power_cut(self) -> None:
        """End the process and the kernel's cache with it, and start the machine again.

        Of what was not synced any part survives, torn at sectors; so do names of files.
        """
        self._end_write()
        for change in self.pending_names:
            if self.random.random() < 0.5:
                _rename(self.disk_names, change)
        self.pending_names.clear()
        self.names = dict(self.disk_names)
        # Often a kernel has written nearly all or nearly nothing of it by itself.
        kept_share = self.random.choice(_KEPT_SHARES)
        for file in self._files():
            file.cut_power(self.random, kept_share)
        self._restart()

    def kill(self, *, evict: bool = False) -> None:
        """End the process as ``kill -9`` does: the kernel keeps what was written.

        ``evict`` lets it drop its clean pages as well, and read them from the disk again.
        """
        self._end_write()
        if evict:
            for file in self._files():
                file.evict()
        self._restart()

    def copy(self, random: Random) -> "SimDisk":
        """Give a disk of its own with the same content and the same things pending."""
        other = SimDisk(random=random, capacity_bytes=self.capacity_bytes, lies=self.lies)
        copies = {id(file): file.copy() for file in self._files()}
        other.names = {name: copies[id(file)] for name, file in self.names.items()}
        other.disk_names = {name: copies[id(file)] for name, file in self.disk_names.items()}
        other.pending_names = [
            {name: None if file is None else copies[id(file)] for name, file in change.items()}
            for change in self.pending_names
        ]
        if self._broken_write is not None:
            file, offset, data = self._broken_write
            if id(file) in copies:
                other._broken_write = copies[id(file)], offset, data
        return other

    def image(self) -> str:
        """Give a digest of all content, by which two runs are compared."""
        digest = blake2b(digest_size=16)
        for names in (self.names, self.disk_names):
            for name in sorted(names):
                file = names[name]
                parts = (name, bytes(file.cache), bytes(file.disk), file.pending)
                digest.update(repr(parts).encode())
        digest.update(repr((self.operations, self.boot, len(self.pending_names))).encode())
        return digest.hexdigest()

    @property
    def used_bytes(self) -> int:
        """What the files take."""
        return sum(len(file.cache) + file.reserved_bytes for file in self.names.values())

    # --- What the processes on it ask for --------------------------------------------------------

    def operate(self, kind: Kind, name: str, boot: int) -> None:
        """Count an operation, and fail it if it is its turn.

        Raises: PowerLost, or the error of a fault.
        """
        if boot != self.boot or not self.is_on:
            raise PowerLost("the process that asks is dead")
        self.operations += 1
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if self.on_operation is not None:
            self.on_operation(kind, name)
        if self.operations == self.cut_at:
            self.is_on = False
            if self.on_cut is not None:
                self.on_cut()
            raise PowerLost("the power is cut")
        for fault in self.faults:
            if fault.strikes(kind, name):
                if fault.drops_pages and kind == "sync" and name in self.names:
                    self.names[name].pending.clear()
                raise _error(fault.error, kind)

    def create(self, name: str) -> SimFile:
        """Make an empty file; its name is on disk once the directory was synced."""
        file = SimFile()
        self.change_names({name: file})
        return file

    def change_names(self, change: NameChange) -> None:
        """Let names come and go together."""
        _rename(self.names, change)
        self.pending_names.append(change)

    def sync_names(self, boot: int) -> None:
        """Put all names on disk."""
        self.operate("sync directory", "", boot)
        if not self.lies:
            self.disk_names = dict(self.names)
            self.pending_names.clear()

    def write(self, file: SimFile, name: str, boot: int, offset: int, data: bytes) -> None:
        """Write; one that fails may have written a part, and one that is cut off, too."""
        if boot == self.boot and self.is_on:
            self._broken_write = file, offset, data
        try:
            self.operate("write", name, boot)
        except PowerLost:
            raise
        except apsw.Error:
            self._broken_write = None
            file.write(offset, data[: self.random.randrange(len(data))] if data else data)
            raise
        self._broken_write = None
        self.check_room(file, offset + len(data))
        file.write(offset, data)

    def check_room(self, file: SimFile, size: int) -> None:
        """Make sure that a file may grow to a size.

        Raises: apsw.FullError.
        """
        growth = size - len(file.cache) - file.reserved_bytes
        if self.capacity_bytes is None or growth <= 0:
            return
        if self.used_bytes + growth > self.capacity_bytes:
            raise _error(apsw.FullError, "write")

    def sync(self, file: SimFile, name: str, boot: int) -> None:
        """Put a file's content on disk."""
        self.operate("sync", name, boot)
        if not self.lies:
            file.sync()

    def _files(self) -> list[SimFile]:
        """Give every file that has a name, or had or may get one."""
        files = [*self.names.values(), *self.disk_names.values()]
        files += [
            file for change in self.pending_names for file in change.values() if file is not None
        ]
        return list({id(file): file for file in files}.values())

    def _end_write(self) -> None:
        """Let the write in whose midst the process died have come some way."""
        if self._broken_write is not None:
            file, offset, data = self._broken_write
            pages = range(CACHE_PAGE_BYTES - offset % CACHE_PAGE_BYTES, len(data), CACHE_PAGE_BYTES)
            file.write(offset, data[: self.random.choice([0, *pages, len(data)])])
            self._broken_write = None

    def _restart(self) -> None:
        self.boot += 1
        self.operations = 0
        self.counts = {}
        self.cut_at = None
        self.is_on = True
        self.locked_by = None


def _rename(names: dict[str, SimFile], change: NameChange) -> None:
    for name, file in change.items():
        if file is None:
            names.pop(name, None)
        else:
            names[name] = file


def _error(kind_of_error: type[apsw.Error], kind: Kind) -> Exception:
    """Give the error that SQLite's own disk would give for this operation."""
    # A sync that finds no room reports an I/O error, too: SQLite's own disk knows no other there.
    if kind_of_error is apsw.IOError or kind in ("sync", "sync directory"):
        return apsw.exception_for(_IO_CODES[kind])
    return kind_of_error(f"the simulated disk fails a {kind}")
