"""Documents: frozen, typed classes whose fields are decoded when they are first looked at."""

from collections import deque
from collections.abc import Callable
from datetime import date as Date  # noqa: N812  # The names that app code uses.
from datetime import time as Time  # noqa: N812
from itertools import repeat
from operator import attrgetter, itemgetter
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    Generic,
    NewType,
    Self,
    TypeVar,
    cast,
    dataclass_transform,
)

import attrs

from flow_backend.errors import SchemaError
from flow_backend.schema.index import Index, IndexDeclaration
from flow_backend.schema.reference import Reference, ReferenceDeclaration
from flow_backend.schema.search_index import SearchDeclaration, SearchIndex

D = TypeVar("D", bound="Document")
D_co = TypeVar("D_co", covariant=True)

Instant = NewType("Instant", float)
"""A point in time: milliseconds since the Unix epoch, as JavaScript's ``Date.now()``."""

__all__ = [
    "Date",
    "Document",
    "Id",
    "Instant",
    "Time",
    "document",
    "stored",
    "stored_row",
    "stored_rows",
]


class Id(str, Generic[D_co]):
    """The id of a document. ``Id["Board"]`` names its class: no ``Id[Task]`` can take its place."""

    __slots__ = ()


Stored = tuple[int, str, float, bytes, bool]
"""A row as storage gives it: its number, the document's id, its creation time in ms, its bytes, and
whether those are of today's schema."""


class Document:
    """The base of all documents. Declare one with :func:`document`."""

    # Empty on a document that was not yet inserted.
    __slots__ = ("_stored",)

    __table__: ClassVar[str]
    __indexes__: ClassVar[tuple[IndexDeclaration, ...]]
    __searches__: ClassVar[tuple[SearchDeclaration, ...]] = ()
    __references__: ClassVar[tuple[ReferenceDeclaration, ...]] = ()
    __names__: ClassVar[frozenset[str]] = frozenset()  # Of all fields, inherited ones among them.
    __fill__: ClassVar[Callable[["Document", bytes], None]]
    # Decoded of late, by their bytes; only of classes whose values nobody can change.
    __recent__: ClassVar[dict[bytes, "Document"]]

    @property
    def id(self) -> Id[Self]:
        """The document's id. Only a document that was read has one."""
        return Id(self._read("id")[1])

    @property
    def created(self) -> Instant:
        """When the document was inserted."""
        return Instant(self._read("created")[2])

    def _read(self, what: str) -> Stored:
        try:
            return cast("Stored", object.__getattribute__(self, "_stored"))
        except AttributeError:
            raise AttributeError(
                f"this {type(self).__name__} has no {what} yet: insert it, and read it again"
            ) from None

    if not TYPE_CHECKING:  # Seen by a checker, __getattr__ would allow every name.

        def __getattr__(self, name: str) -> object:
            # Called only for an empty slot, so the document is decoded once, and if it is needed.
            cls = type(self)
            if name in {"id", "created"}:
                self._read(name)  # Says that the document has none yet.
            if name.startswith("_") or name not in cls.__names__:
                raise AttributeError(f"{cls.__name__} has no field {name!r}")
            cls.__fill__(self, self._read(name)[3])
            return object.__getattribute__(self, name)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        assert isinstance(other, Document), type(other)
        return _identity(self) == _identity(other)

    def __hash__(self) -> int:
        return hash(_identity(self))


_new: Final = object.__new__
_put: Final = cast("Callable[[Document, Stored], None]", vars(Document)["_stored"].__set__)
"""Fills the slot past the frozen class, as ``object.__setattr__`` does, in a third of the time."""


def _identity(document: Document) -> tuple[object, ...]:
    """What makes two documents equal: their id, if they have one, and their fields."""
    place = stored_of(document)
    fields = cast("tuple[attrs.Attribute[Any], ...]", attrs.fields(cast("Any", type(document))))
    return (place and place[1], *(getattr(document, field.name) for field in fields))


def stored(cls: type[D], id: str, created: float, raw: bytes, current: bool) -> D:
    """Make a document of what storage keeps: no ``__init__`` is run and nothing is decoded."""
    return stored_row(cls, (0, id, created, raw, current))


def stored_row(cls: type[D], row: Stored) -> D:
    """Make a document of a row of storage; see :func:`stored`.

    A document that is read again and again (a board, by each move on it) is decoded once.
    """
    known = cls.__recent__.get(row[3])
    if known is not None and _row_of(known) == row:
        return cast("D", known)
    made = _new(cls)
    _put(made, row)
    return made


def stored_rows(cls: type[D], rows: list[Stored]) -> list[D]:
    """Make a document of each row, in their order, without a call of Python's for each."""
    made = list(map(_new, repeat(cls, len(rows))))
    # The deque keeps nothing: it only pulls the calls through.
    deque(map(_put, made, rows), maxlen=0)
    return made


def stored_of(document: Document) -> Stored | None:
    """Give what a document was read from, or None for one that was not read."""
    try:
        return cast("Stored", object.__getattribute__(document, "_stored"))
    except AttributeError:
        return None


def bytes_of_rows(documents: list[object], cls: type[Document]) -> list[bytes] | None:
    """Give the stored bytes of documents, in their order, if those may be sent as they are.

    Returns: None unless every one is of class ``cls``, was read, and is of today's schema.
    """
    if set(map(type, documents)) != {cls}:
        return None
    try:
        rows = list(map(_row_of, documents))
    except AttributeError:
        return None
    return list(map(_bytes_of, rows)) if all(map(_is_current, rows)) else None


_row_of: Final[Callable[[object], Stored]] = attrgetter("_stored")
_bytes_of: Final[Callable[[Stored], bytes]] = itemgetter(3)
_is_current: Final[Callable[[Stored], bool]] = itemgetter(4)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(attrs.field,))
def document(table: str) -> Callable[[type[D]], type[D]]:
    """Declare a document class and the name of its table.

    The class becomes a frozen, slotted, keyword-only attrs class. Fields are annotated; indexes are
    plain class attributes.

    Raises: SchemaError if the class cannot be a table.
    """

    def wrap(cls: type[D]) -> type[D]:
        if Document not in cls.__mro__:
            raise SchemaError(f"{cls.__name__} must inherit from Document to be a table")
        # By name, so that a class may declare anew what it inherits.
        declared = {
            name: value
            for base in reversed(cls.__mro__)
            for name, value in vars(base).items()
            if isinstance(value, (Index, SearchIndex, Reference))
        }
        # Slots make a new class, so the one that attrs returns counts.
        made = cast(
            "type[D]", attrs.frozen(kw_only=True, eq=False, weakref_slot=False)(cast("Any", cls))
        )
        made.__table__ = table
        made.__recent__ = {}
        fields = cast("tuple[attrs.Attribute[Any], ...]", attrs.fields(cast("Any", made)))
        made.__names__ = frozenset(field.name for field in fields)
        made.__indexes__ = tuple(
            IndexDeclaration(index.name, index.fields, index.unique)
            for index in declared.values()
            if isinstance(index, Index)
        )
        made.__references__ = tuple(
            ReferenceDeclaration(each.name, each.field, each.on_delete)
            for each in declared.values()
            if isinstance(each, Reference)
        )
        made.__searches__ = tuple(
            SearchDeclaration(index.name, index.texts, index.within)
            for index in declared.values()
            if isinstance(index, SearchIndex)
        )
        return made

    return wrap
