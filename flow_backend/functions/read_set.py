"""What one run of a function read: ranges of index keys, to be held against every commit."""

from flow_backend.records import frozen
from flow_backend.storage.base import TableName


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


ReadSet = dict[TableName, tuple[ReadRange, ...]]


def just(index: int, key: bytes) -> ReadRange:
    """Give the range of a single key, whether a row has it or not."""
    return ReadRange(index, key, key + b"\x00")
