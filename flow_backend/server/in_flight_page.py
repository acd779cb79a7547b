"""What is running right now, written where it outlives the process: so poison is known by name."""

import mmap
import os
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from attrs import define, field

from flow_backend.errors import TookServerDown

logger = structlog.get_logger()

PAGE: Final = "flow.running"
SUSPECTS: Final = "flow.suspects"
_SLOTS: Final = 32
_SLOT_BYTES: Final = 512
_CRASHES_MAX: Final = 2
_FIRST_REFUSAL_NS: Final = 600 * 10**9
_LONGEST_REFUSAL_NS: Final = 86_400 * 10**9
_SUSPECTS_MAX: Final = 1000


@define
class _Suspect:
    """A call that was running when the process was ended by something that it ran."""

    crashes: int
    last_at_ns: int

    @property
    def refused_until_ns(self) -> int:
        """Until when the call is refused: longer each time, since a client may never give up."""
        if self.crashes < _CRASHES_MAX:
            return 0
        doubled = _FIRST_REFUSAL_NS << min(self.crashes - _CRASHES_MAX, 20)
        return self.last_at_ns + min(doubled, _LONGEST_REFUSAL_NS)


@define(eq=False)
class InFlightPage:
    """Notes the calls that run in a page of the data directory that is mapped into memory.

    It implements :class:`flow_backend.functions.in_flight.InFlight`. What is written to the page
    outlives the process without any system call, so that it costs next to nothing for each call. It
    says the path, the length and a checksum of the arguments; never the arguments. Writing each
    call to disk would show the same after a power cut, which is no call's fault.

    A process that was ended by what it ran (see :mod:`flow_backend.server.watchdog`) leaves the
    guilty call here, perhaps beside innocent ones. All become suspects. One that later runs to its
    end is a suspect no longer; one that is there again, twice in all, is refused for ten minutes,
    and twice as long after each further time.

    Owns: both files, while the directory is locked by this process.
    """

    directory: Path
    now_ns: Callable[[], int]
    _page: mmap.mmap = field(init=False)
    _suspects: dict[bytes, _Suspect] = field(factory=dict[bytes, _Suspect], init=False)
    _running: dict[int, bytes] = field(factory=dict[int, bytes], init=False)
    _slots: dict[int, int] = field(factory=dict[int, int], init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        handle = os.open(self.directory / PAGE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(handle, _SLOTS * _SLOT_BYTES)
            self._page = mmap.mmap(handle, _SLOTS * _SLOT_BYTES)
        finally:
            os.close(handle)
        self._suspects = self._load()

    def blame(self) -> tuple[str, ...]:
        """Suspect what the last process was running. Call it first, and only if that ended it.

        Returns: the paths of the calls that are refused from now on.
        """
        now = self.now_ns()
        marks = {mark for mark in self._left_over() if mark}
        for mark in marks:
            before = self._suspects.get(mark)
            self._suspects[mark] = _Suspect(1 if before is None else before.crashes + 1, now)
        self._save()
        guilty = [mark for mark in marks if self._suspects[mark].refused_until_ns > now]
        return tuple(sorted(mark.split(b" ")[0].decode() for mark in guilty))

    def clear(self) -> None:
        """Forget what the last process was running."""
        self._page[:] = bytes(len(self._page))

    def begin(self, path: str, args: bytes) -> None:
        """Write down what this thread runs."""
        mark = b"%b %x %x" % (path.encode(), len(args), zlib.crc32(args))
        if len(mark) >= _SLOT_BYTES:
            return  # No function that exists has so long a name.
        if self._suspects:
            self._check(mark)
        thread = threading.get_ident()
        self._running[thread] = mark
        slot = self._slots.get(thread)
        if slot is None:
            slot = self._new_slot(thread)
        self._page[slot : slot + len(mark) + 1] = mark + b"\n"

    def end(self) -> None:
        """Strike it out; one that was suspected has shown that it does end."""
        thread = threading.get_ident()
        mark = self._running.pop(thread, None)
        if mark is None:
            return
        slot = self._slots.get(thread)
        if slot is not None:  # A call that is struck for its time may not have come so far.
            self._page[slot] = 0
        if self._suspects and mark in self._suspects:
            with self._lock:
                if self._suspects.pop(mark, None) is not None:
                    self._save()

    def close(self) -> None:
        """Let go of the page."""
        self._page.close()

    def _check(self, mark: bytes) -> None:
        suspect = self._suspects.get(mark)
        if suspect is None or suspect.refused_until_ns <= self.now_ns():
            return
        path = mark.split(b" ")[0].decode()
        minutes = max(1, (suspect.refused_until_ns - self.now_ns()) // (60 * 10**9))
        raise TookServerDown(
            f"{path} took the whole server down {suspect.crashes} times with these arguments. It "
            f"is refused for {minutes} minutes more; the server's log has the traceback. Mend the "
            f"function, and delete the file {SUSPECTS} in the data folder before the next start."
        )

    def _new_slot(self, thread: int) -> int:
        with self._lock:
            # Threads live as long as the server; should there be more, the last ones share a slot.
            slot = min(len(self._slots), _SLOTS - 1) * _SLOT_BYTES
            self._slots[thread] = slot
        return slot

    def _left_over(self) -> list[bytes]:
        """Read the slots of the last process; what a power cut may have torn is no mark."""
        slots = [self._page[at : at + _SLOT_BYTES] for at in range(0, len(self._page), _SLOT_BYTES)]
        marks = [slot.partition(b"\n")[0] for slot in slots if b"\n" in slot and slot[0]]
        return [mark for mark in marks if mark.count(b" ") == 2 and mark.isascii()]

    def _load(self) -> dict[bytes, _Suspect]:
        suspects: dict[bytes, _Suspect] = {}
        try:
            lines = (self.directory / SUSPECTS).read_bytes().splitlines()
        except FileNotFoundError:
            return suspects
        for line in lines:
            parts = line.split(b" ", 2)
            if len(parts) == 3 and parts[0].isdigit() and parts[1].isdigit():
                suspects[parts[2]] = _Suspect(int(parts[0]), int(parts[1]))
        return suspects

    def _save(self) -> None:
        # A power cut may lose it: then a guilty call takes the server down once more.
        newest = sorted(self._suspects.items(), key=lambda each: each[1].last_at_ns)
        lines = [
            b"%d %d %b\n" % (suspect.crashes, suspect.last_at_ns, mark)
            for mark, suspect in newest[-_SUSPECTS_MAX:]
        ]
        target = self.directory / SUSPECTS
        copy = target.with_suffix(".new")
        try:
            with open(copy, "wb", opener=open_private) as file:
                file.write(b"".join(lines))
            copy.replace(target)
        except OSError as error:  # A full disk must not keep a call from its answer.
            logger.warning("the suspects could not be saved", error=str(error))


def open_private(path: str, flags: int) -> int:
    """Open a file, as ``open`` does for its ``opener``, that no other user may read."""
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
