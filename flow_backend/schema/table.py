"""What storage must know of a table: its fields as columns, its indexes, and the keys of a row."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final, Literal

import orjson
from attrs import field, frozen

from flow_backend.errors import InvalidValue
from flow_backend.values.encode import from_wire
from flow_backend.values.order import sort_key
from flow_backend.values.value import JsonValue

BY_ID: Final = "by_id"
BY_CREATION_TIME: Final = "by_creation_time"

SqlValue = str | int | float | bytes | None
WireDocument = Mapping[str, JsonValue]
"""A document as it goes on the wire, with ``_id`` and ``_creationTime``."""

RowKeys = tuple[bytes, ...]
"""The keys of one row: one for each of :attr:`TableSpec.all_indexes`, in that order, then one for
each of :attr:`TableSpec.searches`: what a search can find the row by, see storage/words.py."""


class ColumnKind(Enum):
    """How a field is kept in a column; the value is the type that SQL declares.

    The first three are for fields of one type (or that type and null), whose SQL order is ours.
    ``KEY`` is the order-preserving key: for unions, and for floats, since SQL would merge −0 and 0.
    """

    TEXT = "TEXT"
    INTEGER = "INTEGER"
    REAL = "REAL"
    KEY = "BLOB"


class SqlShape(Enum):
    """What a field is to a reader of plain SQL; the value is how the docs name it.

    Bytes are their base64. ``ANY`` is for all that has no SQL type of its own: a union is the value
    that it holds, and objects and arrays are JSON.
    """

    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    INT64 = "int64"
    BYTES = "bytes"
    ANY = "any"


@frozen
class Filling:
    """The defaults inside of a value: of an object's fields, or of each item of an array or record.

    Attributes:
        fields: name, whether it has a default, that in wire form, and what is inside of it.
        items: what is inside of each item.
    """

    fields: "tuple[tuple[str, bool, JsonValue, Filling | None], ...]" = ()
    items: "Filling | None" = None

    def fill(self, value: JsonValue) -> None:
        """Put what is missing into a decoded value of this shape, or null."""
        if self.items is not None:
            inside = value.values() if isinstance(value, dict) else value
            for item in inside if isinstance(inside, Iterable) else ():
                self.items.fill(item)
        elif isinstance(value, dict):
            for name, has_default, default, inner in self.fields:
                if name in value:
                    if inner is not None:
                        inner.fill(value[name])
                elif has_default:
                    value[name] = default

    def described(self) -> object:
        """Give it as JSON, so that two that are equal fill alike."""
        inner = None if self.items is None else self.items.described()
        fields = [
            [name, has, default, None if each is None else each.described()]
            for name, has, default, each in self.fields
        ]
        return [fields, inner]


@frozen
class FieldSpec:
    """One field of a document class; ``default`` is its wire form, if it has one.

    ``print`` is its type as text: equal prints take the same values. ``filling`` are the defaults
    inside of it.
    """

    name: str
    kind: ColumnKind
    has_default: bool = False
    default: JsonValue = None
    shape: SqlShape = SqlShape.ANY
    print: str = ""
    filling: Filling | None = None


@frozen
class IndexSpec:
    """An index over ``fields``; creation time and then the row's number break ties."""

    name: str
    fields: tuple[str, ...]
    unique: bool = False


@frozen
class SearchSpec:
    """A search index over the words of ``texts``, which a search may narrow by ``within``."""

    name: str
    texts: tuple[str, ...]
    within: tuple[str, ...] = ()


OnDelete = Literal["restrict", "cascade", "null"]


@frozen
class ReferenceSpec:
    """What becomes of a row when the one that ``field`` points to goes; ``index`` finds it."""

    field: str
    target: str
    on_delete: OnDelete
    index: str


@frozen
class TableSpec:
    """A table as storage sees it.

    Attributes:
        fields: by name; only those that an index names become columns.
        references: the fields that hold ids, with the name of the table that they point to.
        fingerprint: changes when a document of before could be read otherwise now.
    """

    name: str
    fields: Mapping[str, FieldSpec]
    indexes: tuple[IndexSpec, ...] = ()
    references: Mapping[str, str] = field(factory=dict[str, str])
    fingerprint: str = ""
    searches: tuple[SearchSpec, ...] = ()
    on_delete: tuple[ReferenceSpec, ...] = ()

    @property
    def all_indexes(self) -> tuple[IndexSpec, ...]:
        """The two that every table has, then the declared ones: the order of :data:`RowKeys`."""
        return (IndexSpec(BY_ID, ("_id",)), IndexSpec(BY_CREATION_TIME, ()), *self.indexes)

    @property
    def columns(self) -> tuple[FieldSpec, ...]:
        """The fields that some index names, each once, in the order in which they are named."""
        names = dict.fromkeys(name for index in self.indexes for name in index.fields)
        return tuple(self.fields[name] for name in names)

    def read(self, raw: bytes) -> dict[str, JsonValue]:
        """Decode a stored document; fields that came later have their defaults."""
        document: dict[str, JsonValue] = orjson.loads(raw)
        for spec in self.fields.values():
            if spec.name not in document:
                if spec.has_default:
                    document[spec.name] = spec.default
            elif spec.filling is not None:
                spec.filling.fill(document[spec.name])
        return document


def column_value(kind: ColumnKind, wire: JsonValue) -> SqlValue:
    """Turn a field's wire form into what its column keeps.

    Raises: InvalidValue for NaN, which has no place in an index.
    """
    if kind is ColumnKind.KEY:
        return key_part(wire)
    if wire is None or isinstance(wire, str):
        return wire
    if isinstance(wire, bool):
        return int(wire)
    if isinstance(wire, (int, float)):
        # A −0 in a field of whole numbers or instants is 0: adding zero says so.
        return int(wire) if kind is ColumnKind.INTEGER else float(wire) + 0.0
    value = from_wire(wire)
    if isinstance(value, float) and not value:
        return 0 if kind is ColumnKind.INTEGER else 0.0
    if isinstance(value, int):
        return int(value)
    raise InvalidValue(f"an index cannot hold {value!r} in a column of type {kind.value}")


def key_part(wire: JsonValue) -> bytes:
    """Give the order-preserving key of one value in its wire form.

    Raises: InvalidValue for NaN.
    """
    if wire is None or isinstance(wire, (str, float)):
        return sort_key(wire)
    value = from_wire(wire)
    if isinstance(value, float) and value != value:
        raise InvalidValue("NaN cannot stand in an indexed field: it has no place in an order")
    return sort_key(value)
