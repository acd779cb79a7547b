"""The machines that a world's server runs on: their files, and how they look after an end."""

import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import apsw
from attrs import define, field

from flow_backend.storage.base import Storage
from flow_backend.storage.files import DATABASE
from flow_backend.storage.open import Tables
from flow_backend.storage.settings import StorageSettings
from flow_backend.storage.sqlite import open_files, open_storage
from flow_backend.testing.disk import Kind, SimDisk
from flow_backend.testing.disk_files import sim_files
from flow_backend.testing.sim import SimRuntime


class Machine(Protocol):
    """What a world needs of a machine."""

    def open(self, tables: Tables, now_ns: Callable[[], int], settings: StorageSettings) -> Storage:
        """Open what the last life has left."""
        ...

    def kill(self) -> None:
        """End the process: what it has written so far is what the next one finds."""
        ...

    def quietly(self) -> "Generator[None]":
        """Look at the files without that anything fails; a context manager."""
        ...

    @property
    def was_hurt(self) -> bool:
        """Whether the disk has failed or died in this life."""
        ...

    def mend(self) -> None:
        """Let the disk do no more harm."""
        ...


@define
class PlainMachine:
    """Files in memory, a directory for each life of the server.

    A process that was killed goes on to exist for a while, in a directory that nobody looks at.
    """

    root: Path
    lives: int = 0

    @property
    def _directory(self) -> Path:
        return self.root / str(self.lives)

    def open(self, tables: Tables, now_ns: Callable[[], int], settings: StorageSettings) -> Storage:
        """Open what the last life has left."""
        return open_storage(self._directory, tables, now_ns=now_ns, settings=settings)

    def kill(self) -> None:
        """End the process: what it has written so far is what the next one finds."""
        old = self._directory
        self.lives += 1
        self._directory.mkdir(mode=0o700)
        for name in (DATABASE, f"{DATABASE}-wal"):
            if (old / name).exists():
                shutil.copyfile(old / name, self._directory / name)

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Look at the files: nothing fails here."""
        yield

    @property
    def was_hurt(self) -> bool:
        """Nothing fails here."""
        return False

    def mend(self) -> None:
        """Nothing fails here."""


@define(frozen=True)
class DiskFault:
    """An operation that fails, in some life: see :meth:`SimDisk.fail`; or the power, if no kind.

    Attributes:
        at: which operation of the life, or of its kind.
    """

    at: int
    kind: Kind | None = None
    times: int | None = 1
    is_full: bool = False
    drops_pages: bool = False


@define(eq=False)
class DiskMachine:
    """A machine with a simulated disk, whose power may be cut at any operation.

    Attributes:
        plan: what befalls each life, one after another.
        on_cut: is told when the power has gone in the midst of an operation.
        cuts_power: with which probability an end of the process is one of the machine.
    """

    runtime: SimRuntime
    plan: list[DiskFault]
    cuts_power: float
    on_cut: Callable[[], None] = lambda: None
    disk: SimDisk = field(init=False)
    _was_hurt: bool = False
    _was_cut: bool = False

    def __attrs_post_init__(self) -> None:
        self.disk = SimDisk(random=self.runtime.random)

    def open(self, tables: Tables, now_ns: Callable[[], int], settings: StorageSettings) -> Storage:
        """Open what the last life has left."""
        disk = self.disk
        if not disk.is_on:
            self._restart(power=True)
        self._was_cut = self._was_hurt = False
        disk.mend()
        disk.on_cut = self._cut
        if self.plan:
            self._arrange(self.plan.pop(0))
        return open_files(sim_files(disk), tables, now_ns=now_ns, settings=settings)

    def _arrange(self, fault: DiskFault) -> None:
        disk = self.disk
        if fault.kind is None:
            disk.cut_at = fault.at
            return
        error = apsw.FullError if fault.is_full else apsw.IOError
        drops = fault.drops_pages
        disk.fail(fault.kind, fault.at, fault.times, error, drops_pages=drops)

    def _cut(self) -> None:
        self._was_cut = True
        self.runtime.reach("power cut at an operation")
        self.on_cut()

    def kill(self) -> None:
        """End the process, or the power with it; what was not synced may be torn then."""
        if self._was_cut:
            return  # The rest is done before the next start: an operation is still under way.
        self._note()
        self._restart(power=self.runtime.random.random() < self.cuts_power)

    def _restart(self, *, power: bool) -> None:
        disk = self.disk
        if power:
            torn = any(file.pending for file in disk.names.values())
            self.runtime.reach("power cut")
            if torn:
                self.runtime.reach("power cut with writes that may be torn")
            disk.power_cut()
        else:
            disk.kill(evict=self.runtime.random.random() < 0.3)

    def _note(self) -> None:
        for fault in self.disk.faults:
            if fault.hits:
                self._was_hurt = True
                self.runtime.reach(f"disk failed: {fault.kind} {fault.error.__name__}")

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Look at the files: what the looker does neither counts nor fails."""
        disk = self.disk
        kept, disk.faults = disk.faults, []
        operations, counts = disk.operations, dict(disk.counts)
        cut_at, disk.cut_at = disk.cut_at, None
        try:
            yield
        finally:
            disk.faults, disk.cut_at = kept, cut_at
            disk.operations, disk.counts = operations, counts

    @property
    def was_hurt(self) -> bool:
        """Whether the disk has failed or died in this life."""
        return self._was_cut or self._was_hurt or any(fault.hits for fault in self.disk.faults)

    def mend(self) -> None:
        """Let the disk do no more harm."""
        self._note()
        self.plan.clear()
        self.disk.mend()
        if self.disk.is_on:
            self.disk.cut_at = None
