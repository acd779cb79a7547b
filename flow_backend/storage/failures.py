"""What SQLite's errors mean here, in words that may be shown.

Source: the guarantees, "Other errors".
"""

from typing import ClassVar, Final

import apsw

from flow_backend.errors import FlowError, LocalProtocolError, NotCommitted, StorageError
from flow_backend.storage.base import InterruptedRead


class DiskFailed(StorageError):
    """The disk failed inside a commit or a checkpoint; what is on it is unknown."""

    exit_code: ClassVar[int] = 74


class DatabaseDamaged(StorageError):
    """The database file is damaged. It is never repaired on its own, and never written again."""

    exit_code: ClassVar[int] = 65


class OutOfMemory(StorageError):
    """SQLite had no memory, again and again."""

    exit_code: ClassVar[int] = 71


class InvariantBroken(StorageError):
    """An assertion of storage's own has failed: wrong is worse than down, so the process ends."""

    exit_code: ClassVar[int] = 70


class ReadFailed(FlowError):
    """The disk failed to give what was read; the same read may succeed later."""


_STORAGE: Final = "flow_backend.storage."

DAMAGED: Final = (apsw.CorruptError, apsw.NotADBError)

HOW_TO_RESTORE: Final = (
    "Keep the files as they are, move them aside together (the -wal file too), and put a backup in "
    "their place; `sqlite3 FILE .recover` may save what is newer than the backup."
)

_REASONS: Final[tuple[tuple[type[apsw.Error], str], ...]] = (
    (apsw.FullError, "the storage is full; free some space"),
    (apsw.InterruptError, "it was interrupted"),
    (apsw.NoMemError, "there was not enough memory"),
    (apsw.IOError, "the disk could not be read or written"),
    (apsw.ReadOnlyError, "the database cannot be written; look at the permissions of its files"),
    (apsw.PermissionsError, "the database may not be used; look at the permissions of its files"),
    (apsw.CantOpenError, "a file of the database cannot be opened; look at its permissions"),
    (apsw.BusyError, "another program has locked the database"),
    (apsw.LockedError, "the database was locked"),
)


def of_read(error: apsw.Error) -> FlowError:
    """Say what an error in a snapshot's read means for its reader."""
    match error:
        case apsw.InterruptError():
            return InterruptedRead("the read took too long and was interrupted")
        case apsw.CursorClosedError() | apsw.ConnectionClosedError():
            return LocalProtocolError("rows were read after the end of their snapshot")
        case apsw.CorruptError() | apsw.NotADBError():
            return damaged()
        case _:
            return ReadFailed(f"the data could not be read: {reason_of(error)}")


def of_batch(error: apsw.Error) -> FlowError:
    """Say what an error before COMMIT means for the whole batch."""
    if isinstance(error, DAMAGED):
        return damaged()
    return NotCommitted(
        f"Nothing was saved: {reason_of(error)}. Nothing of this change happened; try again."
    )


def of_commit(error: apsw.Error) -> FlowError:
    """Say what an error inside COMMIT or a checkpoint means: mostly that the process must end."""
    if isinstance(error, DAMAGED):
        return damaged()
    if isinstance(error, (apsw.FullError, apsw.ReadOnlyError)):
        # These come from writing the log and never from its sync, whose failures are all I/O
        # errors. So the last frame, which makes a commit of the others, is not whole in the log.
        return of_batch(error)
    return unknown(error)


def unknown(error: apsw.Error) -> DiskFailed:
    """Give the error for a commit of which it is not known whether it is there."""
    return DiskFailed(
        f"a commit or checkpoint failed halfway ({type(error).__name__}: {error}), so it is not "
        "known what is on the disk; the server stops, and its next start reads the disk afresh"
    )


def damaged() -> DatabaseDamaged:
    """Give the error for a damaged file, with what to do."""
    return DatabaseDamaged(f"the database is damaged. {HOW_TO_RESTORE}")


def broken_invariant(error: BaseException) -> InvariantBroken | None:
    """Give what an assertion that failed in storage becomes; None for any other error."""
    trace = error.__traceback__
    if not isinstance(error, AssertionError) or trace is None:
        return None
    while trace.tb_next is not None:
        trace = trace.tb_next
    frame = trace.tb_frame
    if not str(frame.f_globals.get("__name__", "")).startswith(_STORAGE):
        return None
    return InvariantBroken(
        f"storage found itself wrong, in {frame.f_code.co_name}, line {trace.tb_lineno} of "
        f"{frame.f_globals['__name__']}: this is a fault of Flow's, please report it."
    )


def reason_of(error: apsw.Error) -> str:
    """Give the reason in words; never the text of a statement."""
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    return f"SQLite gave {type(error).__name__}"
