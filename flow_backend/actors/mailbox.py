"""Mailboxes: what actors are told waits here, in order, and never without bound."""

from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

import trio
from attrs import define, field

M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)


class Put(Protocol[M_contra]):
    """The end of a mailbox for those who must never wait."""

    def put(self, message: M_contra) -> None:
        """Hand over a message, or merge it with an unread one."""
        ...


class Merges(Protocol):
    """A message of which one unread copy is enough."""

    @property
    def merge_key(self) -> Hashable:
        """Unread messages with equal keys become one."""
        ...

    def merged(self, newer: "Merges") -> "Merges":
        """Give the message that says what both say."""
        ...


@define
class Mailbox(Generic[M]):
    """A queue between actors.

    ``send`` waits while it is full: for what comes down the walk, so that load pushes back to the
    client. ``put`` never waits: for what leads back up or sideways. Messages that merge (see
    :class:`Merges`) take the place of an unread one of the same key; those that do not are bounded
    by what their senders may have outstanding, such as one answer per request.
    """

    capacity: int
    _queue: deque[M] = field(factory=deque[M])
    _unread: dict[Hashable, int] = field(factory=dict[Hashable, int])
    _taken: int = 0
    _arrived: trio.Event = field(factory=trio.Event)
    _room: trio.Event = field(factory=trio.Event)
    closed: bool = False

    def __len__(self) -> int:
        return len(self._queue)

    async def send(self, message: M) -> None:
        """Hand over a message, waiting for room."""
        await self.wait_room()
        self._append(message)

    async def wait_room(self) -> None:
        """Wait until a message can be put without going past the capacity."""
        while len(self._queue) >= self.capacity:
            self._room = trio.Event() if self._room.is_set() else self._room
            await self._room.wait()

    def send_nowait(self, message: M) -> bool:
        """Hand over a message if there is room. Returns: whether there was."""
        if len(self._queue) >= self.capacity:
            return False
        self._append(message)
        return True

    def put(self, message: M) -> None:
        """Hand over a message at once, merging it with an unread one of its key."""
        key: Hashable = getattr(message, "merge_key", None)
        if key is None:
            self._append(message)
            return
        place = self._unread.get(key)
        if place is not None and place >= self._taken:
            index = place - self._taken
            self._queue[index] = self._queue[index].merged(message)  # type: ignore[attr-defined]
            return
        self._unread[key] = self._taken + len(self._queue)
        self._append(message)

    def _append(self, message: M) -> None:
        self._queue.append(message)
        self._arrived.set()

    async def receive_batch(self, most: int) -> list[M]:
        """Wait for at least one message, then take what is there, at most ``most``."""
        while not self._queue:
            self._arrived = trio.Event()
            await self._arrived.wait()
        return self.take(most)

    async def receive(self) -> M:
        """Wait for the next message."""
        return (await self.receive_batch(1))[0]

    def take(self, most: int) -> list[M]:
        """Take what is there without waiting, at most ``most``."""
        count = min(most, len(self._queue))
        batch = [self._queue.popleft() for _ in range(count)]
        self._taken += count
        if not self._queue:
            self._unread.clear()
        if not self._room.is_set() and len(self._queue) < self.capacity:
            self._room.set()
        return batch

    def withdraw(self, is_withdrawn: Callable[[M], bool]) -> list[M]:
        """Take some unread messages out of the midst; only where no messages merge."""
        assert not self._unread, "the places of messages that merge would be wrong"
        taken = [message for message in self._queue if is_withdrawn(message)]
        if taken:
            left = [message for message in self._queue if not is_withdrawn(message)]
            self._queue.clear()
            self._queue.extend(left)
            self._taken += len(taken)
            self._room.set()
        return taken

    def clear(self) -> list[M]:
        """Take everything: what a restarted actor must answer for, but not be given again."""
        return self.take(len(self._queue))


@define
class Reply(Generic[M]):
    """A mailbox for a single answer, which one task waits for (an HTTP request, an action)."""

    _answer: list[M] = field(factory=list[M])
    _arrived: trio.Event = field(factory=trio.Event)

    def put(self, message: M) -> None:
        """Give the answer; a second one is dropped."""
        if not self._answer:
            self._answer.append(message)
            self._arrived.set()

    async def wait(self) -> M:
        """Wait for the answer. Callers set the deadline."""
        await self._arrived.wait()
        return self._answer[0]
