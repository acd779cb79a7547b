"""Indexes: what a document class declares, and the parts of them that a scan asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from attrs import field

from flow_backend.errors import InvalidRange, SchemaError
from flow_backend.records import frozen

if TYPE_CHECKING:
    from flow_backend.schema.document import Document

D = TypeVar("D", bound="Document")

Part = object
"""A value of an indexed field: what the field's annotation allows."""

MAX_FIELDS = 16


@frozen
class KeyRange(Generic[D]):
    """A part of one index: equal on leading fields, then at most one half-open range.

    ``start`` and ``stop`` are tuples of one value, or empty where the range is open; they are about
    the field after those of ``prefix``.
    """

    document: type[D]
    index: str
    prefix: tuple[Part, ...] = ()
    start: tuple[Part, ...] = ()
    stop: tuple[Part, ...] = ()


@frozen
class BoundIndex(Generic[D]):
    """An index of a document class, ready to be sliced: ``Task.by_board[board, "doing"]``."""

    document: type[D]
    index: str
    fields: tuple[str, ...]

    def __getitem__(self, key: object) -> KeyRange[D]:
        """Give a range: values for the leading fields, then at most one slice.

        ``Task.by_due[now:tomorrow]`` holds the keys with now ≤ key < tomorrow. Null sorts first, so
        ``[:tomorrow]`` also holds the documents without a due instant.

        Raises: InvalidRange for more parts than the index has fields, or a slice before the end.
        """
        parts = cast("tuple[object, ...]", key) if isinstance(key, tuple) else (key,)
        if len(parts) > len(self.fields):
            raise InvalidRange(
                f"{self._name}: {len(parts)} values were given, but the index has "
                f"{len(self.fields)} fields: {', '.join(self.fields)}"
            )
        last = parts[-1]
        for part in parts[:-1]:
            if isinstance(part, slice):
                raise InvalidRange(f"{self._name}: only the last part may be a range (a slice)")
        if not isinstance(last, slice):
            return KeyRange(self.document, self.index, parts)
        asked = cast("slice[object, object, object]", last)
        if asked.step is not None:
            raise InvalidRange(f"{self._name}: a range has no step")
        start, stop = asked.start, asked.stop
        return KeyRange(
            self.document,
            self.index,
            parts[:-1],
            () if start is None else (start,),
            () if stop is None else (stop,),
        )

    @property
    def _name(self) -> str:
        return f"{self.document.__name__}.{self.index}"


class Index:
    """An index over fields of the document class it stands in; ties go by creation time.

    It has no annotation in the class body, so that neither attrs nor a type checker takes it for a
    field.
    """

    def __init__(self, *fields: str, unique: bool = False) -> None:
        if not fields:
            raise SchemaError('an Index names at least one field: Index("board", "rank")')
        if len(fields) > MAX_FIELDS:
            raise SchemaError(f"an Index has at most {MAX_FIELDS} fields, not {len(fields)}")
        if len(set(fields)) != len(fields):
            raise SchemaError(f"an Index names each field once, not {', '.join(fields)}")
        self.fields = fields
        self.unique = unique
        self.name = ""
        self._bound = dict[type, BoundIndex[Any]]()

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type[D]) -> BoundIndex[D]:
        # A class is asked for its indexes by every call that scans, and never for a new one.
        bound = self._bound.get(owner)
        if bound is None:
            bound = self._bound[owner] = BoundIndex(owner, self.name, self.fields)
        return bound


@frozen
class IndexDeclaration:
    """An index as its class declares it."""

    name: str
    fields: tuple[str, ...]
    unique: bool = field(default=False)
