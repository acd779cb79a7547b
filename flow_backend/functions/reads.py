"""What one call has read, as it goes; its read set follows from that."""

from attrs import define, field

from flow_backend.errors import InvalidRange
from flow_backend.functions.read_set import Read, ReadRange, ReadSet, SearchRead, just
from flow_backend.schema.table import TableSpec
from flow_backend.storage.base import IndexBounds, StoredRow, TableName
from flow_backend.storage.keys import bounds_range, position_key, position_of
from flow_backend.values.order import sort_key


@define
class OpenScan:
    """How far one scan was consumed; its read range follows from that."""

    spec: TableSpec
    bounds: IndexBounds
    descending: bool
    last: StoredRow | None = None
    exhausted: bool = False

    def read_range(self) -> ReadRange | None:
        """Give the keys that the scan depends on: up to the last row consumed, or all of them."""
        start, stop = bounds_range(self.spec, self.bounds, self.descending)
        number = _index_number(self.spec, self.bounds.index)
        if not self.exhausted:
            if self.last is None:
                return None
            key = position_key(position_of(self.spec, self.bounds.index, self.last))
            if self.descending:
                start = key
            else:
                stop = key + b"\x00"
        if stop is not None and stop <= start:
            return None
        return ReadRange(number, start, stop)


def _index_number(spec: TableSpec, index: str) -> int:
    for number, each in enumerate(spec.all_indexes):
        if each.name == index:
            return number
    raise InvalidRange(f"table {spec.name!r} has no index {index!r}")


@define
class Reads:
    """What one call and those nested in it have read. A mutation needs none: it is serial."""

    scans: list[OpenScan] = field(factory=list[OpenScan])
    ids: dict[tuple[TableName, str], None] = field(factory=dict[tuple[TableName, str], None])
    searches: list[tuple[TableName, SearchRead]] = field(factory=list[tuple[TableName, SearchRead]])

    def read_set(self) -> ReadSet:
        """Give the ranges, by table."""
        found: dict[TableName, dict[Read, None]] = {}
        for table, ident in self.ids:
            found.setdefault(table, {})[just(0, sort_key(ident))] = None
        for scan in self.scans:
            reads = scan.read_range()
            if reads is not None:
                found.setdefault(scan.bounds.table, {})[reads] = None
        for table, search in self.searches:
            found.setdefault(table, {})[search] = None
        return {table: tuple(ranges) for table, ranges in found.items()}
