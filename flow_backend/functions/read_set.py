"""What one run of a function read: ranges of index keys, to be held against every commit."""

from flow_backend.records import frozen
from flow_backend.storage.base import TableName
from flow_backend.storage.words import DIGEST_BYTES


@frozen
class ReadRange:
    """The keys from ``start`` (included) to ``stop`` (not; None is the end) of one index.

    ``index`` is its place in the table's :attr:`TableSpec.all_indexes`, as in a row's keys.
    """

    index: int
    start: bytes
    stop: bytes | None

    def __contains__(self, key: bytes) -> bool:
        return self.start <= key and (self.stop is None or key < self.stop)

    @property
    def is_point(self) -> bool:
        """Whether this is the range of a single key."""
        stop = self.stop
        return stop is not None and stop == self.start + b"\x00"


@frozen
class SearchRead:
    """All rows that a search finds, now or after a write.

    Attributes:
        index: the place of the search index among a row's keys, behind those of all indexes.
        digests: how many values stand before the words in such a key.
        within: the place and digest of each value that the search is narrowed by.
        needles: a NUL and a word, each; behind a whole word another NUL.
        any_term: a row with one of the words is found; otherwise it must have all.
    """

    index: int
    digests: int
    within: tuple[tuple[int, bytes], ...]
    needles: tuple[bytes, ...]
    any_term: bool = False

    def __contains__(self, key: bytes) -> bool:
        for place, digest in self.within:
            if key[place * DIGEST_BYTES : (place + 1) * DIGEST_BYTES] != digest:
                return False
        # Behind the digests, whose bytes may be any.
        start = self.digests * DIGEST_BYTES
        found = (key.find(needle, start) >= 0 for needle in self.needles)
        return any(found) if self.any_term else all(found)


Read = ReadRange | SearchRead
ReadSet = dict[TableName, tuple[Read, ...]]


def just(index: int, key: bytes) -> ReadRange:
    """Give the range of a single key, whether a row has it or not."""
    return ReadRange(index, key, key + b"\x00")
