"""Counts the troubles of a database: what is borne once or twice, and not for ever."""

from collections import deque
from collections.abc import Callable
from typing import Final

import apsw
from attrs import define, field

from flow_backend.errors import FlowError, StorageError
from flow_backend.storage import failures

WINDOW_SECONDS: Final = 60
READ_FAILURES_MAX: Final = 3
NO_MEMORY_MAX: Final = 2


_NAMES: Final[dict[type[apsw.Error], str]] = {
    apsw.BusyError: "busy",
    apsw.LockedError: "busy",
    apsw.FullError: "full",
    apsw.IOError: "io_errors",
    apsw.InterruptError: "interrupts",
    apsw.NoMemError: "no_memory",
    apsw.ReadOnlyError: "read_only",
    apsw.CantOpenError: "cannot_open",
}


@define(eq=False)
class Troubles:
    """Says what an error of SQLite means here, and counts it; the writer and all readers share it.

    Attributes:
        counts: how often each kind of error has come.
        fatal: the error with which the process must end. Nothing is read or written after it, also
            if the product's code has caught it and gone on.

    Source: the guarantees, "Other errors".
    """

    now_ns: Callable[[], int]
    counts: dict[str, int] = field(factory=dict[str, int])
    fatal: StorageError | None = None
    _failed_reads: deque[int] = field(factory=deque[int])
    _no_memory: deque[int] = field(factory=deque[int])

    def of_read(self, error: apsw.Error) -> FlowError:
        """Say what an error in a snapshot's read means for its reader."""
        return self._or_worse(error, failures.of_read(error))

    def of_batch(self, error: apsw.Error) -> FlowError:
        """Say what an error before COMMIT means for the whole batch."""
        return self._or_worse(error, failures.of_batch(error))

    def of_commit(self, error: apsw.Error) -> FlowError:
        """Say what an error inside COMMIT or a checkpoint means."""
        return self._or_worse(error, failures.of_commit(error))

    def check(self) -> None:
        """Make sure that the database may still be used.

        Raises: StorageError, the one with which the process must end.
        """
        if self.fatal is not None:
            raise self.fatal

    def _or_worse(self, error: apsw.Error, meaning: FlowError) -> FlowError:
        name = _NAMES.get(type(error), "other")
        self.counts[name] = self.counts.get(name, 0) + 1
        if isinstance(error, apsw.IOError) and self._too_many(
            self._failed_reads, READ_FAILURES_MAX
        ):
            meaning = failures.DiskFailed(
                f"the disk failed {READ_FAILURES_MAX} times within {WINDOW_SECONDS} s "
                f"(the last time: {error}): it is not fit to be worked on"
            )
        if isinstance(error, apsw.NoMemError) and self._too_many(self._no_memory, NO_MEMORY_MAX):
            meaning = failures.OutOfMemory(
                f"SQLite had not enough memory, {NO_MEMORY_MAX} times within {WINDOW_SECONDS} s; "
                "give the server more, or let it hold less (FLOW_READERS)"
            )
        if isinstance(meaning, StorageError):
            self.fatal = self.fatal or meaning
        return meaning

    def _too_many(self, times: deque[int], most: int) -> bool:
        """Count one more; say whether there are now ``most`` within the window."""
        now = self.now_ns()
        times.append(now)
        # Both ways, for the clock may have been set back.
        while abs(now - times[0]) > WINDOW_SECONDS * 10**9:
            times.popleft()
        return len(times) >= most
