"""How much one call may do, and what stops it when it goes on for too long."""

import ctypes
import sys
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType
from typing import Any, Final, Protocol, TypeVar

from attrs import define, field, frozen

MIB: Final = 2**20

T = TypeVar("T")

_OURS: Final = frozenset({"flow_backend.functions.runner", "flow_backend.functions.calling"})
_SPIN_SECONDS: Final = 0.00002


@frozen
class Limits:
    """The bounds of one call. Each is a setting; ``None`` for a time means no bound.

    Attributes:
        documents_read: rows that its scans and gets may look at, filtered ones included.
        bytes_read: sum of their encoded sizes.
        ranges_read: gets and scans together.
        documents_written: inserts, patches, replaces and deletes together.
        bytes_written: sum of the sizes of what they write.
        arguments_bytes: the encoded arguments.
        result_bytes: the encoded result.
        depth: calls nested in calls, the one from outside included.
        jobs: functions that it may schedule, and ``jobs_bytes`` the sum of their arguments.
        log_lines: lines that it may log.
        log_line_bytes: characters of one of them.
        cpu_seconds: time on a processor in the function's own thread.
        total_seconds: time in all, the database included.
    """

    documents_read: int = 32_000
    bytes_read: int = 16 * MIB
    ranges_read: int = 4096
    documents_written: int = 16_000
    bytes_written: int = 16 * MIB
    arguments_bytes: int = 16 * MIB
    result_bytes: int = 16 * MIB
    depth: int = 8
    jobs: int = 1000
    jobs_bytes: int = 16 * MIB
    log_lines: int = 256
    log_line_bytes: int = 32_768
    cpu_seconds: float | None = 1.0
    total_seconds: float | None = 15.0


class Interrupted(BaseException):
    """Thrown into a function that ran past its time. It is no Exception, which apps do catch."""


class InterruptedAgain(Interrupted):
    """Thrown into a function that caught the first one.

    A function may catch this one as well, in a loop that it never leaves. So whoever catches it
    runs into the next at the first line of the handler, outside of the ``try``: each throw ends at
    least one such loop.
    """

    def __init__(self) -> None:
        super().__init__()
        before = sys.gettrace()
        if before is not _raise_at_next_line:
            _tracing.before = before
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # The only way.
        while frame is not None and frame.f_globals.get("__name__") not in _OURS:
            frame.f_trace = _raise_at_next_line
            frame = frame.f_back
        sys.settrace(_raise_at_next_line)


class _Tracing(threading.local):
    """The trace function that a thread had before ours, such as that of a debugger."""

    before: Any = None


_tracing: Final = _Tracing()


def _raise_at_next_line(_frame: FrameType, event: str, _argument: object) -> Any:
    if event in {"line", "call"}:
        raise Interrupted  # Python takes the trace function away when it raises.
    return _raise_at_next_line


class Deadlines(Protocol):
    """Ends calls that take too long."""

    def watch(self, limits: Limits, interrupt: Callable[[], None]) -> "Watched":
        """Give what watches the calling thread, from its ``enter()`` to its ``leave()``."""
        ...


class Watched(Protocol):
    """One call in one thread.

    Nothing new is thrown once ``over`` was set, and nothing at all after ``leave()``. Until then
    any call of a function may raise :class:`Interrupted`, ``leave()`` included: it is called again
    then. Two such errors may be on their way, no more.
    """

    over: bool

    def enter(self) -> None:
        """Begin to watch."""
        ...

    def leave(self) -> None:
        """End it."""
        ...


def throw(thread: int, error: type[BaseException] | None) -> None:
    """Raise ``error`` in a thread at its next bytecode; None takes back one that still waits."""
    target = ctypes.py_object(error) if error is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), target)


@define(eq=False)
class ThreadWatch:
    """Implements :class:`Watched`."""

    owner: "ThreadDeadlines"
    limits: Limits
    interrupt: Callable[[], None]
    thread: int
    thrown: int = 0
    over: bool = False
    # Read by the watching thread when it first sees the call, so that a short call pays nothing:
    # it is granted up to one period more.
    _started_at: float | None = None
    _cpu_started: float = 0.0

    def enter(self) -> None:
        """Begin to watch."""
        owner = self.owner
        if not owner.started:
            owner.start()
        owner.calls[self.thread] = self
        if owner.sleeps:
            owner.bell.put(None)

    def leave(self) -> None:
        """End it. It is safe to call it again."""
        self.over = True
        owner = self.owner
        # Whoever is about to throw has done so then. No lock is held for it: what is thrown may
        # come at any line of this, also at the one between a block's end and its lock's release.
        while owner.busy:
            time.sleep(_SPIN_SECONDS)
        if self.thrown:
            throw(self.thread, None)
            if self.thrown > 1:
                sys.settrace(_tracing.before)
        owner.calls.pop(self.thread, None)

    def is_late(self) -> bool:
        """Say whether the call is past its time."""
        clock = time.pthread_getcpuclockid(self.thread)
        if self._started_at is None:
            self._started_at, self._cpu_started = time.monotonic(), time.clock_gettime(clock)
            return False
        cpu, total = self.limits.cpu_seconds, self.limits.total_seconds
        if total is not None and time.monotonic() - self._started_at > total:
            return True
        return cpu is not None and time.clock_gettime(clock) - self._cpu_started > cpu


@define(eq=False)
class ThreadDeadlines:
    """Watches calls from a thread of its own, and throws :class:`Interrupted` into late ones.

    It looks every ``period_seconds`` while calls are under way, and sleeps otherwise. C code that
    holds the GIL cannot be reached this way: for that there is the process's watchdog.
    """

    period_seconds: float = 0.05
    calls: dict[int, ThreadWatch] = field(factory=dict[int, ThreadWatch], init=False)
    started: bool = field(default=False, init=False)
    # Set before it is looked at whether there are calls; a call is there before it looks at this.
    sleeps: bool = field(default=False, init=False)
    # Rung from where anything may be thrown: a put of this kind has happened whole, or not at all.
    bell: SimpleQueue[None] = field(factory=lambda: SimpleQueue[None](), init=False)
    # Set before it is looked at whether a late call is over, as a call is over before it looks.
    busy: bool = field(default=False, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def watch(self, limits: Limits, interrupt: Callable[[], None]) -> ThreadWatch:
        """Give what watches the calling thread; one call for each thread at a time."""
        return ThreadWatch(self, limits, interrupt, threading.get_ident())

    def start(self) -> None:
        """Start the watching thread, if it does not run; nothing is thrown at who calls this."""
        with self._lock:
            if not self.started:
                threading.Thread(target=self._look, name="deadlines", daemon=True).start()
                self.started = True

    def _look(self) -> None:
        while True:
            time.sleep(self.period_seconds)
            if not self.calls:
                self.sleeps = True
                if not self.calls:
                    self.bell.get()
                self.sleeps = False
                continue
            for watch in list(self.calls.values()):
                if watch.is_late():
                    self._interrupt(watch)

    def _interrupt(self, watch: ThreadWatch) -> None:
        self.busy = True
        try:
            # The call may have ended by now; the interrupt of SQL would then hit the next one's.
            if not watch.over:
                watch.thrown += 1
                throw(watch.thread, Interrupted if watch.thrown == 1 else InterruptedAgain)
                watch.interrupt()
        finally:
            self.busy = False


def run_within(deadlines: Deadlines, seconds: float, work: Callable[[], T]) -> T:
    """Do something in this thread, such as the import of a module, but not for ever.

    Each nested leave() is there for one error that is thrown at its door.

    Raises: TimeoutError after so many ``seconds``; what ``work`` raises.
    """
    watch = deadlines.watch(Limits(cpu_seconds=None, total_seconds=seconds), _nothing)
    done: list[T] = []
    try:
        try:
            try:
                watch.enter()
                done.append(work())
            finally:
                watch.over = True
                watch.leave()
        except Interrupted:
            watch.over = True
            watch.leave()
    except Interrupted:
        watch.leave()
    if not done:
        raise TimeoutError
    return done[0]


def _nothing() -> None:
    """Interrupt nothing but the thread."""
