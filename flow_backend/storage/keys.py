"""Keys of rows and of ranges of an index: what read sets and invalidation are made of.

They agree with the SQL of a scan row by row; tests/storage/test_scan.py holds them to it.
"""

from collections.abc import Callable
from operator import itemgetter
from struct import Struct
from typing import Final, NamedTuple

from flow_backend.errors import InvalidRange, InvalidValue
from flow_backend.schema.table import (
    BY_ID,
    ColumnKind,
    IndexSpec,
    RowKeys,
    TableSpec,
    WireDocument,
    key_part,
)
from flow_backend.storage.base import IndexBounds, Position, StoredRow
from flow_backend.storage.words import SearchSource, key_of, source_of
from flow_backend.values.encode import from_wire
from flow_backend.values.order import sort_key
from flow_backend.values.value import JsonValue

ID: Final = "_id"
CREATION_TIME: Final = "_creationTime"
ROW_NUMBER: Final = "_rowid"

_PACK_ROW_NUMBER: Final = Struct(">q").pack
_PACK_POSITIVE: Final = Struct(">Bd").pack
"""Packs the key of a positive float, given its tag and its negative: that sets the first bit."""

_AFTER: Final = b"\xff"
"""Behind a key it is above all that the key's rows go on with, and not above the next value's: a
string with a NUL goes on with 00 FF where the string before the NUL ends with 00."""


def row_keys(spec: TableSpec, document: WireDocument, rowid: int) -> RowKeys:
    """Give the keys of a row, one for each of ``spec.all_indexes``.

    ``document`` is whole: as inserted, or as :meth:`TableSpec.read` gives it.

    Raises: InvalidValue for NaN in an indexed field.
    """
    return table_keys(spec).row_keys(document, rowid)


def bounds_range(
    spec: TableSpec, bounds: IndexBounds, descending: bool = False
) -> tuple[bytes, bytes | None]:
    """Give the half-open range of keys that a scan with these bounds covers.

    Returns: start and stop; no stop means the index's end. ``stop <= start`` covers nothing.
    Raises: InvalidRange if the table has no such index, or the bounds do not fit it.
    """
    start, stop = table_keys(spec).index(bounds.index).span(bounds, descending)
    # Behind no value is the index's end; before none is its beginning, and there is nothing there.
    return start.key, stop.key if stop.parts or not stop.after else None


def position_of(spec: TableSpec, index: str, row: StoredRow) -> Position:
    """Give the place of a row in an index of its table.

    Raises: InvalidRange if the table has no such index.
    """
    return table_keys(spec).index(index).position_of(spec.read(row[3]), row[0])


def position_key(position: Position) -> bytes:
    """Give the key of the row at a place that :func:`position_of` gave.

    The place of an index by id is the id alone; all others end with the row's number.
    """
    if len(position) == 1:
        return key_part(position[0])
    *parts, rowid = position
    return b"".join([key_part(part) for part in parts]) + _row_number_key(rowid)


class KeyColumn(NamedTuple):
    """One part of an index's key, as a column; ``kind`` is None for the row's number."""

    name: str
    kind: ColumnKind | None
    nullable: bool
    key: Callable[[JsonValue], bytes]


class Cut(NamedTuple):
    """A place between rows: before or after all those that begin with ``parts``."""

    key: bytes
    parts: Position
    part_keys: tuple[bytes, ...]
    after: bool


class KeyParts(NamedTuple):
    """A row's keys, and what they are made of: the columns' keys, then that of the row's place.

    The place is creation time and row number: what ties are broken by. ``sources`` are what the
    keys of search indexes are made of.
    """

    parts: list[bytes]
    keys: RowKeys
    sources: tuple[SearchSource, ...] = ()


class IndexKeys:
    """The keys of one index."""

    def __init__(self, spec: TableSpec, index: IndexSpec) -> None:
        self.name = index.name
        self.table = spec.name
        self.columns: tuple[KeyColumn, ...]
        if index.name == BY_ID:
            self.columns = (KeyColumn(ID, ColumnKind.TEXT, False, sort_key_of_plain),)
            return
        fields = [_column(name, spec.fields[name].kind) for name in index.fields]
        creation = KeyColumn(CREATION_TIME, ColumnKind.REAL, False, sort_key_of_plain)
        self.columns = (*fields, creation, KeyColumn(ROW_NUMBER, None, False, _row_number_key))

    def span(self, bounds: IndexBounds, descending: bool) -> tuple[Cut, Cut]:
        """Give the two ends of a scan, in ascending order; the first at or past the second: no row.

        Raises: InvalidRange if the bounds do not fit the index.
        """
        prefix = bounds.prefix
        start, stop = self._cut(prefix, after=False), self._cut(prefix, after=True)
        if bounds.lower:
            start = _later(start, self._cut(prefix + bounds.lower, after=False))
        if bounds.upper:
            stop = _earlier(stop, self._cut(prefix + bounds.upper, after=False))
        first, last = bounds.after, bounds.until
        if first is not None:
            if descending:
                stop = _earlier(stop, self._cut(first, after=False))
            else:
                start = _later(start, self._cut(first, after=True))
        if last is not None:
            if descending:
                start = _later(start, self._cut(last, after=False))
            else:
                stop = _earlier(stop, self._cut(last, after=True))
        return start, stop

    def position_of(self, document: WireDocument, rowid: int) -> Position:
        """Give the place of a row; a −0 that its column keeps as 0 is 0 here as well."""
        return tuple(
            rowid if column.kind is None else _kept(column.kind, document.get(column.name))
            for column in self.columns
        )

    def _cut(self, parts: Position, *, after: bool) -> Cut:
        if len(parts) > len(self.columns):
            raise InvalidRange(
                f'index "{self.name}" of table "{self.table}" has {len(self.columns)} parts '
                f"({', '.join(column.name for column in self.columns)}), but the range gives "
                f"{len(parts)} values"
            )
        keys = tuple([column.key(part) for column, part in zip(self.columns, parts, strict=False)])
        key = b"".join(keys)
        return Cut(key + _AFTER if after else key, parts, keys, after)


class TableKeys:
    """The keys of one table's rows, worked out once from its specification."""

    def __init__(self, spec: TableSpec) -> None:
        self.spec = spec
        self._indexes = {index.name: IndexKeys(spec, index) for index in spec.all_indexes}
        columns = [(field.name, _key_function(field.kind)) for field in spec.columns]
        places = {name: place for place, (name, _) in enumerate(columns)}
        self._columns = tuple(columns)
        # What an index's key is made of, out of the keys of all columns with the tail behind them.
        tail = len(columns)
        self._picks = tuple(
            itemgetter(*[places[name] for name in index.fields], tail) for index in spec.indexes
        )
        self._places = tuple({places[name] for name in index.fields} for index in spec.indexes)
        self._searches = spec.searches
        self._touched = dict[tuple[int, ...], tuple[int, ...]]()

    def index(self, name: str) -> IndexKeys:
        """Give the index of this name.

        Raises: InvalidRange if there is none.
        """
        keys = self._indexes.get(name)
        if keys is None:
            raise InvalidRange(
                f'table "{self.spec.name}" has no index "{name}"; it has {", ".join(self._indexes)}'
            )
        return keys

    def row_keys(self, document: WireDocument, rowid: int) -> RowKeys:
        """Give the keys of a row; see :func:`row_keys`."""
        return self.key_parts(document, rowid).keys

    def key_parts(self, document: WireDocument, rowid: int) -> KeyParts:
        """Give the keys of a row, and the parts that they are made of."""
        parts = self._parts(document)
        parts.append(sort_key_of_plain(document.get(CREATION_TIME)) + _PACK_ROW_NUMBER(rowid))
        picked = [b"".join(pick(parts)) for pick in self._picks]
        own = sort_key_of_plain(document.get(ID))
        if not self._searches:
            return KeyParts(parts, (own, parts[-1], *picked))
        sources = self.sources(document)
        return KeyParts(parts, (own, parts[-1], *picked, *map(key_of, sources)), sources)

    def sources(self, document: WireDocument) -> tuple[SearchSource, ...]:
        """Give what a document puts into each search index.

        Raises: InvalidValue for NaN in a field that searches may be narrowed by.
        """
        return tuple([source_of(search, document) for search in self._searches])

    def replaced(
        self, before: KeyParts, document: WireDocument
    ) -> tuple[KeyParts, tuple[int, ...]]:
        """Give the keys of a row's next document, and the places in ``spec.columns`` that changed.

        Most writes change a field or two, and only the keys made of these are made anew. Columns
        with the same key keep the same value.
        """
        parts, was = self._parts(document), before.parts
        changed = tuple([place for place, part in enumerate(parts) if part != was[place]])
        sources = self.sources(document) if self._searches else ()
        if not changed and sources == before.sources:
            return before, changed
        parts.append(was[-1])
        keys = list(before.keys)
        for place, source in enumerate(sources, len(keys) - len(sources)):
            if source != before.sources[place - len(keys)]:
                keys[place] = key_of(source)
        for index in self._touched.get(changed) or self._touch(changed):
            keys[index + 2] = b"".join(self._picks[index](parts))
        return KeyParts(parts, tuple(keys), sources), changed

    def _touch(self, changed: tuple[int, ...]) -> tuple[int, ...]:
        touched = tuple(
            [number for number, places in enumerate(self._places) if places.intersection(changed)]
        )
        self._touched[changed] = touched
        return touched

    def _parts(self, document: WireDocument) -> list[bytes]:
        get = document.get
        parts = list[bytes]()
        for name, key in self._columns:
            value = get(name)
            # The two usual kinds on the spot: a call would take longer than the work.
            if type(value) is str and "\0" not in value:
                parts.append(b"\x10" + value.encode() + b"\x00")
            elif type(value) is float and value > 0.0:
                parts.append(_PACK_POSITIVE(0x0D, -value))
            else:
                parts.append(key(value))
        return parts


# A table has one specification, made when the app is loaded; it is known again by its identity,
# since it holds mappings and so has no hash. What is kept here keeps its identity taken.
_KNOWN_MAX: Final = 1024
_known: Final = dict[int, TableKeys]()


def table_keys(spec: TableSpec) -> TableKeys:
    """Give the keys of a table; a specification that was seen before costs a look-up."""
    keys = _known.get(id(spec))
    if keys is None or keys.spec is not spec:
        if len(_known) >= _KNOWN_MAX:
            _known.clear()
        keys = _known[id(spec)] = TableKeys(spec)
    return keys


def sort_key_of_plain(wire: JsonValue) -> bytes:
    """Give the key of a value in a column of one type, which has no −0.

    Raises: InvalidValue for NaN.
    """
    if isinstance(wire, str) and wire.isascii() and "\0" not in wire:
        return b"\x10" + wire.encode() + b"\x00"  # What sort_key() gives, sooner.
    if isinstance(wire, float) and wire > 0.0:
        return _PACK_POSITIVE(0x0D, -wire)
    if wire is None or isinstance(wire, (str, float)):
        return sort_key(wire)  # A float that JSON can hold: no −0, no NaN.
    value = from_wire(wire)
    if isinstance(value, float):
        if value != value:
            raise InvalidValue("NaN cannot stand in an indexed field: it has no place in an order")
        return sort_key(value + 0.0)
    return sort_key(value)


def _later(one: Cut, other: Cut) -> Cut:
    return other if other.key > one.key else one


def _earlier(one: Cut, other: Cut) -> Cut:
    return other if other.key < one.key else one


def _column(name: str, kind: ColumnKind) -> KeyColumn:
    # A key is never NULL: null has a key of its own.
    return KeyColumn(name, kind, kind is not ColumnKind.KEY, _key_function(kind))


def _key_function(kind: ColumnKind) -> Callable[[JsonValue], bytes]:
    return key_part if kind is ColumnKind.KEY else sort_key_of_plain


def _kept(kind: ColumnKind, wire: JsonValue) -> JsonValue:
    if kind is ColumnKind.KEY or wire is None or isinstance(wire, (str, bool)):
        return wire
    if isinstance(wire, (float, int)):
        return float(wire) + 0.0
    value = from_wire(wire)
    return 0.0 if isinstance(value, float) and not value else wire


def _row_number_key(wire: JsonValue) -> bytes:
    if not isinstance(wire, (int, float)):
        raise InvalidRange(f"a place in an index ends with a row's number, not {wire!r}")
    return _PACK_ROW_NUMBER(int(wire))
