"""How much one call may do, and what stops it when it goes on for too long."""

import ctypes
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Protocol

from attrs import define, field, frozen

from flow_backend.errors import LimitExceeded

MIB: Final = 2**20


@frozen
class Limits:
    """The bounds of one call. Each is a setting; ``None`` for a time means no bound.

    Attributes:
        documents_read: rows that its scans and gets may look at, filtered ones included.
        bytes_read: sum of their encoded sizes.
        ranges_read: gets and scans together.
        documents_written: inserts, patches, replaces and deletes together.
        bytes_written: sum of the encoded sizes of what they write.
        arguments_bytes: the encoded arguments.
        result_bytes: the encoded result.
        depth: calls nested in calls.
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
    log_lines: int = 256
    log_line_bytes: int = 32_768
    cpu_seconds: float | None = 1.0
    total_seconds: float | None = 15.0


@define
class Budget:
    """What one call has used up so far."""

    limits: Limits
    documents_read: int = 0
    bytes_read: int = 0
    ranges_read: int = 0
    documents_written: int = 0
    bytes_written: int = 0

    def read(self, documents: int, size: int) -> None:
        """Count rows that were looked at.

        Raises: LimitExceeded.
        """
        self.documents_read += documents
        self.bytes_read += size
        if self.documents_read > self.limits.documents_read:
            raise LimitExceeded(
                "Too many documents read in a single function execution "
                f"(limit: {self.limits.documents_read}). Read less: use an index, "
                "take(n), or paginate()."
            )
        if self.bytes_read > self.limits.bytes_read:
            raise LimitExceeded(
                "Too many bytes read in a single function execution "
                f"(limit: {self.limits.bytes_read} bytes). Read less: use an index, "
                "take(n), or paginate()."
            )

    def open_range(self) -> None:
        """Count a get or a scan.

        Raises: LimitExceeded.
        """
        self.ranges_read += 1
        if self.ranges_read > self.limits.ranges_read:
            raise LimitExceeded(
                "Too many reads in a single function execution "
                f"(limit: {self.limits.ranges_read} gets and scans)."
            )

    def write(self, size: int) -> None:
        """Count a write.

        Raises: LimitExceeded.
        """
        self.documents_written += 1
        self.bytes_written += size
        if self.documents_written > self.limits.documents_written:
            raise LimitExceeded(
                "Too many writes in a single function execution "
                f"(limit: {self.limits.documents_written} documents)."
            )
        if self.bytes_written > self.limits.bytes_written:
            raise LimitExceeded(
                "Too many bytes written in a single function execution "
                f"(limit: {self.limits.bytes_written} bytes)."
            )


class Interrupted(BaseException):
    """Thrown into a function that ran past its time. Not an Exception: app code seldom catches it."""


class Deadlines(Protocol):
    """Ends calls that take too long."""

    def watch(self, limits: Limits, interrupt: Callable[[], None]) -> "Watched":
        """Watch the calling thread until the context that this gives is left."""
        ...


class Watched(Protocol):
    """A context in which the thread that entered it is watched."""

    def __enter__(self) -> object: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@define
class _Watch:
    """One call that is under way."""

    owner: "ThreadDeadlines"
    limits: Limits
    interrupt: Callable[[], None]
    thread: int
    clock: int
    started_at: float
    cpu_started: float
    fired: bool = False

    def __enter__(self) -> object:
        self.owner.enter(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while True:
            try:
                self.owner.leave(self)
            except Interrupted:  # One that was on its way when the call ended.
                continue
            else:
                return

    def is_over(self) -> bool:
        cpu, total = self.limits.cpu_seconds, self.limits.total_seconds
        if total is not None and time.monotonic() - self.started_at > total:
            return True
        return cpu is not None and time.clock_gettime(self.clock) - self.cpu_started > cpu


def _throw(thread: int, error: type[BaseException] | None) -> None:
    """Raise ``error`` in a thread at its next bytecode; None takes back one that still waits."""
    target = ctypes.py_object(error) if error is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), target)


@define
class ThreadDeadlines:
    """Watches calls from a thread of its own, and throws :class:`Interrupted` into late ones.

    It looks every ``period_seconds`` while calls are under way, and sleeps otherwise. A call that
    catches the exception gets it again. C code that holds the GIL cannot be reached this way: for
    that there is the process's watchdog.
    """

    period_seconds: float = 0.05
    _calls: dict[int, _Watch] = field(factory=dict[int, _Watch])
    _lock: threading.Lock = field(factory=threading.Lock)
    _work: threading.Event = field(factory=threading.Event)
    _started: bool = False

    def watch(self, limits: Limits, interrupt: Callable[[], None]) -> Watched:
        """Watch the calling thread; one call for each thread at a time."""
        thread = threading.get_ident()
        return _Watch(
            self,
            limits,
            interrupt,
            thread,
            time.pthread_getcpuclockid(thread),
            time.monotonic(),
            time.thread_time(),
        )

    def enter(self, watch: _Watch) -> None:
        """Begin to watch."""
        self._calls[watch.thread] = watch
        if not self._work.is_set():
            self._work.set()
            if not self._started:
                self._started = True
                threading.Thread(target=self._look, name="deadlines", daemon=True).start()

    def leave(self, watch: _Watch) -> None:
        """End it. After this nothing is thrown any more."""
        with self._lock:
            self._calls.pop(watch.thread, None)
            if watch.fired:
                _throw(watch.thread, None)

    def _look(self) -> None:
        while True:
            self._work.wait()
            time.sleep(self.period_seconds)
            if not self._calls:
                self._work.clear()
                # A call may have begun between the two lines above.
                if self._calls:
                    self._work.set()
                continue
            for watch in list(self._calls.values()):
                if watch.is_over():
                    self._fire(watch)

    def _fire(self, watch: _Watch) -> None:
        with self._lock:
            if self._calls.get(watch.thread) is not watch:
                return
            watch.fired = True
            _throw(watch.thread, Interrupted)
        watch.interrupt()
