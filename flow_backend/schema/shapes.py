"""The shapes of values on the wire, as plain data read from annotations: what codegen prints."""

import re
from collections.abc import Callable, Iterator
from datetime import date, time
from types import NoneType
from typing import Annotated, Any, Final, Literal, assert_never, cast, get_args, get_origin

import attrs
from attrs import define, field, frozen

from flow_backend.errors import SchemaError
from flow_backend.schema import families
from flow_backend.schema.classes import is_document, is_page, resolved_fields
from flow_backend.schema.docstrings import Docs, read_docstring
from flow_backend.schema.document import Document, Instant
from flow_backend.schema.pages import PaginationOptions
from flow_backend.values.encode import to_wire
from flow_backend.values.value import Int64, JsonValue

PlainName = Literal[
    "null",
    "boolean",
    "number",
    "integer",
    "int64",
    "string",
    "bytes",
    "any",
    "object",
    "instant",
    "date",
    "time",
]


@frozen
class Plain:
    """A type that stands for itself. ``any`` and ``object`` take every value."""

    name: PlainName


@frozen
class IdOf:
    """The id of a document of a table; None is any table."""

    table: str | None


@frozen
class Literals:
    """One of these values, in wire form."""

    values: tuple[JsonValue, ...]


@frozen
class ArrayOf:
    """An array of any length."""

    item: "Shape"


@frozen
class TupleOf:
    """An array of just these items."""

    items: "tuple[Shape, ...]"


@frozen
class RecordOf:
    """An object with keys of the data's choice."""

    key: "Shape"
    item: "Shape"


@frozen
class UnionOf:
    """A value of one of these shapes."""

    members: "tuple[Shape, ...]"


@frozen
class ClassOf:
    """An object of an attrs class, by the class's key in :attr:`Shapes.classes`."""

    key: str


@frozen
class DocumentOf:
    """A document of a table."""

    table: str


@frozen
class PageOf:
    """A page of results, as the official clients' pagination helpers take it."""

    item: "Shape"


@frozen
class OptionsShape:
    """What those helpers send: ``paginationOpts``."""


Shape = (
    Plain
    | IdOf
    | Literals
    | ArrayOf
    | TupleOf
    | RecordOf
    | UnionOf
    | ClassOf
    | DocumentOf
    | PageOf
    | OptionsShape
)


@frozen
class FieldShape:
    """A field of a class, or a parameter of a function.

    Attributes:
        name: on the wire.
        required: whoever sends it must give it; in results it is there always.
        sent: clients may send it. A field that the class fills itself is only in results.
        docs: what the docstring says of it, in Markdown.
    """

    name: str
    shape: Shape
    required: bool
    sent: bool = True
    docs: str = ""


@frozen
class ClassShape:
    """An attrs class.

    Attributes:
        module: within the app, such as ``tasks`` or ``parts/more``; whole for a class of elsewhere.
    """

    name: str
    module: str
    fields: tuple[FieldShape, ...]
    docs: str = ""


_PLAIN: Final[dict[Any, PlainName]] = {
    None: "null",
    NoneType: "null",
    bool: "boolean",
    float: "number",
    int: "integer",
    Int64: "int64",
    str: "string",
    bytes: "bytes",
    Any: "any",
    object: "object",
    Instant: "instant",
    date: "date",
    time: "time",
}

_VERSION: Final = re.compile(r"@[0-9]+")


@define
class Shapes:
    """Reads annotations, and collects the classes that they name.

    It describes what :class:`flow_backend.schema.convert.TypeConverter` takes, and is held to it by
    a test over every kind of annotation; what that one refuses should not come here.

    Attributes:
        package: the app's name, which the classes' modules are given without.
        classes: every class that was named, by its key.
    """

    package: str
    classes: dict[str, ClassShape] = field(factory=dict[str, ClassShape], init=False)

    def of(self, annotation: Any) -> Shape:
        """Give the shape of an annotation.

        Raises: SchemaError if it has none.
        """
        if get_origin(annotation) is Annotated:
            return self.of(get_args(annotation)[0])
        plain = _PLAIN.get(annotation) if _is_hashable(annotation) else None
        if plain is not None:
            return Plain(plain)
        for fits, read in self._families():
            if fits(annotation):
                return read(annotation)
        raise SchemaError(f"{families.name_of(annotation)} has no shape on the wire")

    def _families(self) -> tuple[tuple[Callable[[Any], bool], Callable[[Any], Shape]], ...]:
        """Give the families, in the order in which they are asked."""
        return (
            (families.is_id, lambda t: IdOf(families.table_of_id(t))),
            (families.is_union, lambda t: UnionOf(tuple(map(self.of, get_args(t))))),
            (families.is_literal, _literals),
            (families.is_sequence, self._sequence),
            (families.is_record, self._record),
            (is_page, lambda t: PageOf(self.of((get_args(t) or (Any,))[0]))),
            (lambda t: t is PaginationOptions, lambda _: OptionsShape()),
            (is_document, lambda t: DocumentOf(cast("type[Document]", t).__table__)),
            (attrs.has, self._class),
        )

    def _sequence(self, annotation: Any) -> Shape:
        is_tuple = get_origin(annotation) is tuple
        args = get_args(annotation) if is_tuple else get_args(annotation) or (Any,)
        if is_tuple and (len(args) != 2 or args[1] is not Ellipsis):
            return TupleOf(tuple(self.of(each) for each in args))
        return ArrayOf(self.of(args[0]))

    def _record(self, annotation: Any) -> Shape:
        key, item = get_args(annotation) or (str, Any)
        return RecordOf(self.of(key), self.of(item))

    def _class(self, cls: Any) -> Shape:
        module = self.module_of(cls)
        key = f"{module}:{cls.__qualname__}"
        if key not in self.classes:
            # Entered first, empty: a class may hold itself.
            self.classes[key] = ClassShape(cls.__name__, module, ())
            docs = read_docstring(own_docstring(cls))
            fields = self.fields(cls, docs)
            self.classes[key] = ClassShape(cls.__name__, module, fields, docs.text)
        return ClassOf(key)

    def fields(self, cls: Any, docs: Docs) -> tuple[FieldShape, ...]:
        """Describe the fields of an attrs class, in their order."""
        return tuple(
            FieldShape(
                each.name,
                self.of(each.type),
                each.default is attrs.NOTHING,
                each.init,
                docs.items.get(each.name, ""),
            )
            for each in resolved_fields(cls)
        )

    def module_of(self, cls: type) -> str:
        """Give the module of a class as the paths of functions have it."""
        # The versions of an app have module names of their own, such as flow@12.tasks.
        whole = _VERSION.sub("", cls.__module__)
        inner = whole.removeprefix(f"{self.package}.")
        return whole if inner == whole else inner.replace(".", "/")


def own_docstring(cls: type) -> str:
    """Give a class's docstring, unless it is that of a base or one that a tool has made."""
    return vars(cls).get("__doc__") or ""


def _is_hashable(annotation: Any) -> bool:
    try:
        hash(annotation)
    except TypeError:
        return False
    return True


def _literals(annotation: Any) -> Shape:
    values: tuple[Any, ...] = get_args(annotation)
    return Literals(tuple(to_wire(each) for each in values))


def parts_of(shape: Shape) -> Iterator[ClassOf | DocumentOf]:
    """Give the classes and documents that stand in a shape itself, not those of their fields."""
    match shape:
        case ClassOf() | DocumentOf():
            yield shape
        case ArrayOf(item) | PageOf(item):
            yield from parts_of(item)
        case RecordOf(key, item):
            yield from parts_of(key)
            yield from parts_of(item)
        case TupleOf(parts) | UnionOf(parts):
            for part in parts:
                yield from parts_of(part)
        case Plain() | IdOf() | Literals() | OptionsShape():
            pass
        case _:
            assert_never(shape)
