"""Room on the disk that is kept for the day when it is full, so that something can be deleted."""

from collections.abc import Callable
from typing import Final, TypeVar

import apsw
from attrs import define

from flow_backend.storage.files import NO_ROOM, Files

T = TypeVar("T")

RETRY_SECONDS: Final = 5

FULL: Final = (
    "Nothing was saved: the storage is full. Delete something or free some space, then try again."
)


@define(eq=False)
class Ballast:
    """Knows whether the disk is full.

    It is full from the write that found no room until there is room for the ballast again. Between
    the two the ballast's room is there for what needs little: deletes, and whatever does not grow.

    Source: the guarantees, "Other errors", FULL.
    """

    files: Files
    size_bytes: int
    now_ns: Callable[[], int]
    is_full: bool = False
    _tried_ns: int = 0

    def fill(self) -> None:
        """Take the room, if it is there."""
        self._tried_ns = self.now_ns()
        try:
            self.files.take_room(self.size_bytes)
        except OSError as error:
            if error.errno in NO_ROOM:
                self.is_full = True
                return
        # Without room to keep, or where none can be kept, each write is its own attempt.
        self.is_full = False

    def give_up(self) -> None:
        """Free the room: a write found none."""
        self._tried_ns = self.now_ns()
        if self.size_bytes:
            free_room(self.files)
            self.is_full = True

    def look(self) -> None:
        """Try every few seconds whether there is room again."""
        if self.is_full and abs(self.now_ns() - self._tried_ns) >= RETRY_SECONDS * 10**9:
            self.fill()


def with_room(files: Files, work: Callable[[], T]) -> T:
    """Do a step of the start; if the disk is full, once more in the ballast's room."""
    try:
        return work()
    except apsw.FullError:
        free_room(files)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        free_room(files)
    return work()


def free_room(files: Files) -> None:
    """Free the ballast's room; where that fails there is none to be had."""
    try:
        files.give_room()
    except OSError:
        return
