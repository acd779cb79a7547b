"""A simulated file: what programs see of it, what is on its way to the disk, and what is there."""

from random import Random
from typing import Final

from attrs import define, field

SECTOR_BYTES: Final = 512
"""A disk writes whole sectors or nothing of them."""

CACHE_PAGE_BYTES: Final = 4096
"""A kill may end a long write between two pages of the kernel's cache."""

Change = tuple[int, bytes | None]
"""Bytes written at an offset; with None the file was cut to this size."""


@define(eq=False)
class SimFile:
    """The content of a file, in the three layers that a crash tells apart.

    Attributes:
        cache: what every program sees; it survives ``kill -9``.
        pending: changes since the last sync, in order; a power cut keeps any part of them.
        disk: what survives a power cut for certain.
        reserved_bytes: room that is taken and has no content.
    """

    cache: bytearray = field(factory=bytearray)
    pending: list[Change] = field(factory=list[Change])
    disk: bytearray = field(factory=bytearray)
    reserved_bytes: int = 0

    def write(self, offset: int, data: bytes) -> None:
        """Write into the cache."""
        apply(self.cache, offset, data)
        self.pending.append((offset, data))

    def truncate(self, size: int) -> None:
        """Cut the file, or fill it up with zeros."""
        apply(self.cache, size, None)
        self.pending.append((size, None))

    def sync(self) -> None:
        """Put all that is pending on disk."""
        for offset, data in self.pending:
            apply(self.disk, offset, data)
        self.pending.clear()

    def evict(self) -> None:
        """Let the kernel drop its clean pages and read them again, as it may at any time.

        After a sync that dropped pages this shows what is really on the disk.
        """
        self.cache = bytearray(self.disk)
        for offset, data in self.pending:
            apply(self.cache, offset, data)

    def cut_power(self, random: Random, kept_share: float = 0.4) -> None:
        """Keep what is on disk, and any part of what was pending, torn at sectors.

        ``kept_share`` is the chance of a change to be kept whole; half of the others are torn.
        """
        for offset, data in self.pending:
            fate = random.random()
            if fate < kept_share:
                apply(self.disk, offset, data)
            elif fate < (1 + kept_share) / 2 and data is not None:
                for start, sector in sectors(offset, data):
                    if random.random() < 0.5:
                        apply(self.disk, start, sector)
        self.pending.clear()
        self.cache = bytearray(self.disk)

    def copy(self) -> "SimFile":
        """Give a file of its own with the same content."""
        return SimFile(
            bytearray(self.cache), list(self.pending), bytearray(self.disk), self.reserved_bytes
        )


def apply(content: bytearray, offset: int, data: bytes | None) -> None:
    """Make one change to a file's bytes; a gap before it is filled with zeros."""
    if data is None:
        del content[offset:]
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    if data is not None:
        content[offset : offset + len(data)] = data


def sectors(offset: int, data: bytes) -> list[tuple[int, bytes]]:
    """Part a write into the sectors of the disk that it touches."""
    parts: list[tuple[int, bytes]] = []
    start = offset
    while start < offset + len(data):
        end = min(start - start % SECTOR_BYTES + SECTOR_BYTES, offset + len(data))
        parts.append((start, data[start - offset : end - offset]))
        start = end
    return parts
