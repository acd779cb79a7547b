"""The memory that the process may use: past it, new work is refused before the kernel kills."""

import ctypes
import gc
import os
from pathlib import Path
from typing import Final

import structlog
import trio
from attrs import define, field

from flow_backend.actors.gate import Gate

_SHARE: Final = 0.75
_REOPENS_AT: Final = 0.95
_LOOK_SECONDS: Final = 1.0
_TRIM_SECONDS: Final = 10.0
_CGROUPS: Final = Path("/sys/fs/cgroup")
_OWN_CGROUPS: Final = Path("/proc/self/cgroup")
_STATM: Final = Path("/proc/self/statm")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")

log = structlog.stdlib.get_logger("flow.server")


def resident_bytes() -> int:
    """Give what the process holds in memory; 0 where the system does not say."""
    try:
        return int(_STATM.read_bytes().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def default_memory_bytes() -> int:
    """Give three quarters of what the machine, or the container around the process, has."""
    machine = os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES
    return int(min([machine, *_cgroup_limits()]) * _SHARE)


def _cgroup_limits() -> list[int]:
    """Give the bounds of all groups that the process is in, of both versions of cgroups."""
    try:
        lines = _OWN_CGROUPS.read_text().splitlines()
    except OSError:
        return []
    found: list[int] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, name = _CGROUPS, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = _CGROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        # A container may see its own group as the root, or under the path that the host gave it.
        inner = root / path.lstrip("/")
        for folder in (inner, *inner.parents):
            if folder == root or root in folder.parents:
                found += _read_limit(folder / name)
    return found


def _read_limit(file: Path) -> list[int]:
    try:
        text = file.read_text().strip()
    except OSError:
        return []
    return [int(text)] if text.isdecimal() else []  # "max" is none.


@define
class MemoryWatch:
    """Looks once a second at how much memory the process has, and shuts or opens the gate.

    Owns: whether the gate is shut.
    """

    gate: Gate
    bytes_max: int
    bytes_now: int = 0
    _trimmed_at: float = field(default=-_TRIM_SECONDS)

    def by_name(self) -> dict[str, float]:
        """Give its numbers, by their metric's name."""
        return {
            "memory_bytes": self.bytes_now,
            "memory_bytes_max": self.bytes_max,
            "memory_is_full": self.gate.shut,
            "memory_refusals_total": self.gate.refusals,
        }

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await trio.sleep(_LOOK_SECONDS)
            self.bytes_now = resident_bytes()
            if self.decide(self.bytes_now):
                await self._give_back()

    def decide(self, now: int) -> bool:
        """Shut or open the gate. Returns: whether memory is full.

        It opens a little below the bound, so that it does not flutter.
        """
        gate = self.gate
        if not gate.shut and now > self.bytes_max:
            gate.shut = True
            log.warning("memory is full: new work is refused", bytes=now, most=self.bytes_max)
        elif gate.shut and now <= self.bytes_max * _REOPENS_AT:
            gate.shut = False
            log.warning("memory is free again: new work is taken", bytes=now)
        return gate.shut

    async def _give_back(self) -> None:
        """Return to the system what is free inside the process: else the gate might never open."""
        if trio.current_time() - self._trimmed_at < _TRIM_SECONDS:
            return
        self._trimmed_at = trio.current_time()
        gc.collect()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            await trio.to_thread.run_sync(trim, 0)
