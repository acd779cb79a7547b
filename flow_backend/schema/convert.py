"""Annotations are the contract: values are checked and converted at the boundary, both ways.

One cattrs converter does it. *Structuring* takes decoded values (see the values specification) to what
the annotation says; *unstructuring* takes them to wire form, and checks as well, since what a function
returns may be wrong too. Documents that were only read become fragments of their stored bytes.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, time
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin

import attrs
import orjson
from attrs import define, field
from cattrs import Converter
from cattrs.errors import (
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
)
from cattrs.gen import make_dict_structure_fn, override

from flow_backend.errors import InvalidId, InvalidValue, SchemaError
from flow_backend.schema.document import Document, Id, Instant, stored_of
from flow_backend.schema.ids import table_number_of
from flow_backend.schema.pages import Page, PaginationOptions
from flow_backend.values.encode import to_wire
from flow_backend.values.value import Int64, JsonValue, Value

T = TypeVar("T")
Structure = Callable[[Any, Any], Any]
Unstructure = Callable[[Any], Any]

SAFE_INTEGER: Final = 2**53
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?")


class Mismatch(ValueError):
    """A value does not fit its annotation; ``path`` leads to it, such as ``.rooms[2].owner``."""

    def __init__(self, expected: str, came: object, path: str = "") -> None:
        super().__init__(expected, came, path)
        self.expected = expected
        self.came = came
        self.path = path

    def __str__(self) -> str:
        return f"at {self.path or 'the top'}: expected {self.expected}, got {shown(self.came)}"


def shown(value: object) -> str:
    """Print a value for an error message, cut to a line."""
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


@define
class TypeConverter:
    """Converts between decoded values, annotated Python, and wire form.

    ``numbers`` gives the table number of each table's ids; without it ids are only looked at in
    form.
    """

    numbers: Mapping[str, int] = field(factory=dict[str, int])
    _quick: Converter = field(init=False)
    _detailed: Converter = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._quick = _converter(self, detailed=False)
        self._detailed = _converter(self, detailed=True)

    def structure(self, value: Value, annotation: Any) -> Any:
        """Check and convert a decoded value.

        Raises: Mismatch with the path of the first thing that does not fit.
        """
        try:
            return self._quick.structure(value, annotation)
        except Exception:  # Once more, slowly: only this pass knows where.
            try:
                return self._detailed.structure(value, annotation)
            except Exception as error:
                raise first_mismatch(error) from None

    def to_wire(self, value: object, annotation: Any) -> Any:
        """Check a value and give its wire form, in which documents may be ``orjson.Fragment``.

        Raises: Mismatch, InvalidValue.
        """
        return self.unstructurer(annotation)(value)

    def unstructurer(self, annotation: Any) -> Unstructure:
        """Give the function that :meth:`to_wire` would use, to be kept."""
        return cast("Unstructure", self._quick.get_unstructure_hook(annotation))

    def register_arguments(self, cls: type, renamed: Mapping[str, str]) -> None:
        """Make a class of arguments known; ``renamed`` are the fields with another wire name."""
        for converter in (self._quick, self._detailed):
            hook = _structure_class(converter, cls, renamed)
            converter.register_structure_hook_func(lambda t: t is cls, hook)

    def check(self, annotation: Any, where: str) -> None:
        """Make sure that values of this type can go on the wire.

        Raises: SchemaError naming ``where``.
        """
        try:
            self._quick.get_structure_hook(annotation)
            self._quick.get_unstructure_hook(annotation)
        except Exception as error:
            raise SchemaError(
                f"{where}: values of type {annotation!r} cannot go on the wire ({error}). "
                "Use str, float, int, bool, bytes, None, Int64, Instant, Date, Time, Id[...], "
                "list, tuple, dict[str, ...], Literal, unions, and attrs classes of these."
            ) from error


def first_mismatch(error: BaseException, path: str = "") -> Mismatch:
    """Find the first thing that did not fit in what cattrs' detailed validation raised."""
    if isinstance(error, ClassValidationError):
        pairs, rest = error.group_exceptions()
        if pairs:
            inner, note = pairs[0]
            return first_mismatch(inner, f"{path}.{note.name}")
        return first_mismatch(rest[0], path)
    if isinstance(error, IterableValidationError):
        pairs, rest = error.group_exceptions()
        if pairs:
            inner, note = pairs[0]
            return first_mismatch(inner, f"{path}[{note.index}]")
        return first_mismatch(rest[0], path)
    if isinstance(error, Mismatch):
        return Mismatch(error.expected, error.came, path + error.path)
    if isinstance(error, ForbiddenExtraKeysError):
        extra = sorted(error.extra_fields)[0]
        return Mismatch(f"no field {extra!r} (it is not declared)", extra, path)
    if isinstance(error, KeyError):
        name = path.rpartition(".")[2]
        return Mismatch(f"the field {name!r}, which is required", None, path.rpartition(".")[0])
    return Mismatch(f"another value ({error})", None, path)


# --- Hooks for single types -----------------------------------------------------------------------


def _exactly(kind: type, name: str) -> tuple[Structure, Unstructure]:
    """Hooks for a type that is itself on both sides."""

    def structure(value: object, _: object) -> object:
        if type(value) is not kind:
            raise Mismatch(name, value)
        return value

    def unstructure(value: object) -> object:
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise Mismatch(name, value)
        return value

    return structure, unstructure


def _structure_int(value: object, _: object) -> int:
    if type(value) is not float or not value.is_integer() or abs(value) > SAFE_INTEGER:
        raise Mismatch("a whole number within ±2^53", value)
    return int(value)


def _unstructure_int(value: object) -> float:
    if not isinstance(value, int) or isinstance(value, (bool, Int64)):
        raise Mismatch("a whole number", value)
    if abs(value) > SAFE_INTEGER:
        raise Mismatch("a whole number within ±2^53 (use Int64 for more)", value)
    return float(value)


def _unstructure_float(value: object) -> JsonValue:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Mismatch("a number", value)
    return to_wire(float(value))


def _structure_instant(value: object, _: object) -> Instant:
    if type(value) is not float or value - value != 0:
        raise Mismatch("an instant: a finite number of milliseconds since the epoch", value)
    return Instant(value)


def _unstructure_instant(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value - value != 0:
        raise Mismatch("an instant: a finite number of milliseconds since the epoch", value)
    return float(value) + 0.0


def _structure_bytes(value: object, _: object) -> bytes:
    if type(value) is not bytes:
        raise Mismatch("bytes", value)
    return value


def _unstructure_checked(kind: type, name: str) -> Unstructure:
    def unstructure(value: object) -> JsonValue:
        if not isinstance(value, kind):
            raise Mismatch(name, value)
        return to_wire(value)

    return unstructure


def _structure_int64(value: object, _: object) -> Int64:
    if type(value) is not Int64:
        raise Mismatch("an int64 (a bigint in JavaScript)", value)
    return value


def _structure_date(value: object, _: object) -> date:
    try:
        if type(value) is str and len(value) == len("2026-11-22"):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise Mismatch('a date such as "2026-11-22"', value)


def _unstructure_date(value: object) -> str:
    # A datetime is a date to isinstance, but would lose its time here.
    if type(value) is not date:
        raise Mismatch("a date", value)
    return value.isoformat()


def _structure_time(value: object, _: object) -> time:
    if type(value) is not str or _TIME.fullmatch(value) is None:
        raise Mismatch('a time of day such as "08:00"', value)
    return time.fromisoformat(value)


def _unstructure_time(value: object) -> str:
    if type(value) is not time or value.tzinfo is not None or value.microsecond:
        raise Mismatch("a time of day in whole seconds, without a zone", value)
    return value.isoformat("seconds" if value.second else "minutes")


def _structure_null(value: object, _: object) -> None:
    if value is not None:
        raise Mismatch("null", value)


def _unstructure_null(value: object) -> None:
    if value is not None:
        raise Mismatch("None", value)


def _structure_any(value: object, _: object) -> object:
    return value


# --- Hooks for families of types ------------------------------------------------------------------


def is_id(annotation: Any) -> bool:
    """Say whether an annotation is ``Id`` or ``Id[...]``."""
    return annotation is Id or get_origin(annotation) is Id


def table_of_id(annotation: Any) -> str | None:
    """Give the table that ``Id[Board]`` points to, None for an ``Id`` of any table."""
    for target in get_args(annotation):
        if isinstance(target, type) and issubclass(target, Document):
            return target.__table__
    return None


def _id_check(types: TypeConverter, annotation: Any) -> Callable[[object], Id[Any]]:
    table = table_of_id(annotation)
    expected = f"an id of table {table!r}" if table else "an id"

    def check(value: object) -> Id[Any]:
        if not isinstance(value, str):
            raise Mismatch(expected, value)
        try:
            number = table_number_of(value)
        except InvalidId as error:
            raise Mismatch(f"{expected} ({error})", value) from None
        if table is not None and types.numbers.get(table, number) != number:
            raise Mismatch(f"{expected}, not of another table", value)
        return value if type(value) is Id else Id(value)

    return check


def _id_hooks(types: TypeConverter, annotation: Any) -> tuple[Structure, Unstructure]:
    check = _id_check(types, annotation)
    return (lambda value, _: check(value)), (lambda value: str.__str__(check(value)))


def is_union(annotation: Any) -> bool:
    """Say whether an annotation is a union, written either way."""
    return get_origin(annotation) in {Union, UnionType}


def _union_hooks(converter: Converter, annotation: Any) -> tuple[Structure, Unstructure]:
    members = get_args(annotation)
    rest = [member for member in members if member is not NoneType]
    nullable = len(rest) < len(members)
    structures = [(converter.get_structure_hook(member), member) for member in rest]
    unstructures = [converter.get_unstructure_hook(member) for member in rest]
    expected = " or ".join(name_of(member) for member in members)

    def structure(value: object, _: object) -> object:
        if value is None and nullable:
            return None
        if len(structures) == 1:  # Then the member's own error says more.
            hook, member = structures[0]
            return hook(value, member)
        for hook, member in structures:
            try:
                return hook(value, member)
            except Exception:  # The next member may fit.
                continue
        raise Mismatch(expected, value)

    def unstructure(value: object) -> object:
        if value is None and nullable:
            return None
        if len(unstructures) == 1:
            return unstructures[0](value)
        for hook in unstructures:
            try:
                return hook(value)
            except (Mismatch, InvalidValue):
                continue
        raise Mismatch(expected, value)

    return structure, unstructure


def name_of(annotation: Any) -> str:
    """Print an annotation as app code writes it."""
    if annotation is NoneType:
        return "None"
    table = table_of_id(annotation) if is_id(annotation) else None
    if table:
        return f"Id[{table}]"
    return getattr(annotation, "__name__", None) or str(annotation).replace("typing.", "")


def _literal_hooks(annotation: Any) -> tuple[Structure, Unstructure]:
    allowed: tuple[object, ...] = get_args(annotation)
    for literal in allowed:
        if not isinstance(literal, (str, int, float, bool, NoneType)):
            raise SchemaError(f"{annotation!r}: a Literal is a string, number, boolean or None")
    expected = " or ".join(repr(literal) for literal in allowed)
    by_wire = {_literal_key(literal): literal for literal in allowed}

    def structure(value: object, _: object) -> object:
        try:
            return by_wire[_literal_key(value)]
        except (KeyError, TypeError):
            raise Mismatch(expected, value) from None

    def unstructure(value: object) -> JsonValue:
        try:
            return to_wire(by_wire[_literal_key(value)])
        except (KeyError, TypeError):
            raise Mismatch(expected, value) from None

    return structure, unstructure


def _literal_key(value: object) -> tuple[type, object]:
    # True == 1 == 1.0 in Python, and are three values here; all numbers are floats on the wire.
    if isinstance(value, (int, float)) and not isinstance(value, (bool, Int64)):
        return (float, float(value))
    return (type(value), value)


def _sequence_hooks(converter: Converter, annotation: Any) -> tuple[Structure, Unstructure]:
    args = get_args(annotation) or (Any,)
    make: Callable[[Any], Any] = tuple if get_origin(annotation) is tuple else list
    if get_origin(annotation) is tuple and args[-1] is not Ellipsis:
        return _fixed_tuple_hooks(converter, args)
    item = args[0]
    structure_item = converter.get_structure_hook(item)
    unstructure_item = converter.get_unstructure_hook(item)

    def structure(value: object, _: object) -> object:
        if not isinstance(value, list):
            raise Mismatch("an array", value)
        items = cast("list[object]", value)
        if converter.detailed_validation:
            return make([_at(i, structure_item, each, item) for i, each in enumerate(items)])
        return make([structure_item(each, item) for each in items])

    def unstructure(value: object) -> object:
        if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
            raise Mismatch("a list or tuple", value)
        items = cast("Sequence[object]", value)
        try:
            return [unstructure_item(each) for each in items]
        except (Mismatch, InvalidValue):
            return [_at(i, lambda v, _: unstructure_item(v), v, item) for i, v in enumerate(items)]

    return structure, unstructure


def _fixed_tuple_hooks(
    converter: Converter, args: tuple[Any, ...]
) -> tuple[Structure, Unstructure]:
    structures = [converter.get_structure_hook(arg) for arg in args]
    unstructures = [converter.get_unstructure_hook(arg) for arg in args]
    expected = f"an array of {len(args)}"

    def structure(value: object, _: object) -> object:
        if not isinstance(value, list) or len(cast("list[object]", value)) != len(args):
            raise Mismatch(expected, value)
        items = cast("list[object]", value)
        return tuple(
            _at(i, hook, each, arg)
            for i, (hook, each, arg) in enumerate(zip(structures, items, args, strict=True))
        )

    def unstructure(value: object) -> object:
        if not isinstance(value, tuple) or len(cast("tuple[object, ...]", value)) != len(args):
            raise Mismatch(expected, value)
        items = cast("tuple[object, ...]", value)
        return [hook(each) for hook, each in zip(unstructures, items, strict=True)]

    return structure, unstructure


def _at(index: int | str, hook: Structure, value: object, annotation: Any) -> Any:
    """Convert one item; an error says where it stood."""
    try:
        return hook(value, annotation)
    except Exception as error:
        inner = first_mismatch(error)
        step = f"[{index}]" if isinstance(index, int) else f".{index}"
        raise Mismatch(inner.expected, inner.came, step + inner.path) from None


def _record_hooks(converter: Converter, annotation: Any) -> tuple[Structure, Unstructure]:
    key, item = get_args(annotation) or (str, Any)
    if key is not str and not is_id(key):
        raise SchemaError(f"{annotation!r}: the keys of a dict are str or Id on the wire")
    structure_item = converter.get_structure_hook(item)
    unstructure_item = converter.get_unstructure_hook(item)

    def structure(value: object, _: object) -> object:
        if not isinstance(value, dict):
            raise Mismatch("an object", value)
        pairs = cast("dict[str, object]", value).items()
        return {name: _at(name, structure_item, each, item) for name, each in pairs}

    def unstructure(value: object) -> object:
        if not isinstance(value, Mapping):
            raise Mismatch("a dict", value)
        pairs = cast("Mapping[str, object]", value).items()
        return {
            name: _at(name, lambda v, _: unstructure_item(v), each, item) for name, each in pairs
        }

    return structure, unstructure


# --- Classes --------------------------------------------------------------------------------------


def wire_fields(cls: type) -> list[tuple[str, Any]]:
    """Give the fields of an attrs class with their types resolved.

    Raises: SchemaError if an annotation names what does not exist.
    """
    try:
        attrs.resolve_types(cast("Any", cls), include_extras=True)
    except NameError as error:
        raise SchemaError(f"{cls.__module__}.{cls.__name__}: {error}") from error
    return [(each.name, each.type) for each in attrs.fields(cast("Any", cls))]


def _structure_class(
    converter: Converter, cls: Any, renamed: Mapping[str, str] | None = None
) -> Structure:
    wire_fields(get_origin(cls) or cls)
    made = make_dict_structure_fn(
        cls,
        converter,
        _cattrs_forbid_extra_keys=True,
        _cattrs_detailed_validation=converter.detailed_validation,
        **{name: override(rename=wire) for name, wire in (renamed or {}).items()},
    )

    def structure(value: object, wanted: Any) -> object:
        if not isinstance(value, dict):
            raise Mismatch(f"an object ({name_of(cls)})", value)
        return made(cast("dict[str, Any]", value), wanted)

    return structure


def _unstructure_class(converter: Converter, cls: Any) -> Unstructure:
    origin = get_origin(cls) or cls
    hooks = [(name, converter.get_unstructure_hook(kind)) for name, kind in wire_fields(origin)]

    def unstructure(value: object) -> object:
        if not isinstance(value, origin):
            raise Mismatch(f"{name_of(cls)}", value)
        try:
            return {name: hook(getattr(value, name)) for name, hook in hooks}
        except (Mismatch, InvalidValue):
            return {
                name: _at(name, lambda v, _, hook=hook: hook(v), getattr(value, name), None)
                for name, hook in hooks
            }

    return unstructure


def _unstructure_document(converter: Converter, cls: type[Document]) -> Unstructure:
    """A document that was read, and is of today's schema, is sent as it is stored."""
    fields: list[tuple[str, Unstructure]] = []

    def unstructure(value: object) -> object:
        if not isinstance(value, cls):
            raise Mismatch(f"a document of class {cls.__name__}", value)
        place = stored_of(value)
        if place is None:
            raise Mismatch(f"a {cls.__name__} that was read (this one has no id yet)", value)
        ident, created, raw, current = place
        if current:
            return orjson.Fragment(raw)
        if not fields:
            fields.extend(
                (name, converter.get_unstructure_hook(kind)) for name, kind in wire_fields(cls)
            )
        wire = {name: hook(getattr(value, name)) for name, hook in fields}
        return {"_id": str.__str__(ident), "_creationTime": created, **wire}

    return unstructure


def _refuse_document(cls: type) -> Structure:
    def structure(value: object, _: object) -> object:
        raise Mismatch(f"Id[{cls.__name__}] (a document itself is no argument)", value)

    return structure


_PAGE_NAMES: Final = {
    "num_items": "numItems",
    "end_cursor": "endCursor",
    "maximum_rows_read": "maximumRowsRead",
    "maximum_bytes_read": "maximumBytesRead",
}


def _structure_options(converter: Converter) -> Structure:
    wire_fields(PaginationOptions)
    made = make_dict_structure_fn(
        PaginationOptions,
        converter,
        _cattrs_detailed_validation=converter.detailed_validation,
        **{name: override(rename=wire) for name, wire in _PAGE_NAMES.items()},
    )

    def structure(value: object, wanted: Any) -> object:
        if not isinstance(value, dict):
            raise Mismatch("paginationOpts, an object with numItems and cursor", value)
        return made(cast("dict[str, Any]", value), wanted)

    return structure


def _unstructure_page(converter: Converter, annotation: Any) -> Unstructure:
    (item,) = get_args(annotation) or (Any,)
    items = converter.get_unstructure_hook(list[item])

    def unstructure(value: object) -> object:
        if not isinstance(value, Page):
            raise Mismatch("a Page (what .paginate() gives)", value)
        page = cast("Page[object]", value)
        return {
            "page": items(page.page),
            "isDone": page.is_done,
            "continueCursor": page.continue_cursor,
            "splitCursor": page.split_cursor,
            "pageStatus": page.page_status,
        }

    return unstructure


# --- What a function without an annotation returns -------------------------------------------------


def _unstructure_any(converter: Converter, types: TypeConverter) -> Unstructure:
    def unstructure(value: object) -> object:
        if value is None or type(value) is str or type(value) is bool:
            return value
        if isinstance(value, Document) or attrs.has(type(value)):
            return converter.get_unstructure_hook(type(value))(value)
        if isinstance(value, (list, tuple)):
            items = cast("Sequence[object]", value)
            return [_at(i, lambda v, _: unstructure(v), each, None) for i, each in enumerate(items)]
        if isinstance(value, Mapping):
            pairs = cast("Mapping[object, object]", value).items()
            return {
                key: _at(str(key), lambda v, _: unstructure(v), each, None) for key, each in pairs
            }
        if isinstance(value, (date, time)):
            return converter.get_unstructure_hook(type(value))(value)
        return to_wire(value)

    del types
    return unstructure


def _converter(types: TypeConverter, *, detailed: bool) -> Converter:
    """Build a converter that knows exactly the types that go on the wire."""
    converter = Converter(detailed_validation=detailed, prefer_attrib_converters=False)

    def both(kind: Any, hooks: tuple[Structure, Unstructure]) -> None:
        converter.register_structure_hook_func(lambda t: t is kind, hooks[0])
        converter.register_unstructure_hook_func(lambda t: t is kind, hooks[1])

    def family(
        fits: Callable[[Any], bool], make: Callable[[Any], tuple[Structure, Unstructure]]
    ) -> None:
        converter.register_structure_hook_factory(fits, lambda t: make(t)[0])
        converter.register_unstructure_hook_factory(fits, lambda t: make(t)[1])

    def refuse(annotation: Any) -> tuple[Structure, Unstructure]:
        raise SchemaError(f"{annotation!r} has no form on the wire")

    # The hook that was registered last is asked first.
    family(lambda _: True, refuse)
    converter.register_structure_hook_factory(attrs.has, lambda t: _structure_class(converter, t))
    converter.register_unstructure_hook_factory(
        attrs.has, lambda t: _unstructure_class(converter, t)
    )
    converter.register_structure_hook_factory(_is_document, _refuse_document)
    converter.register_unstructure_hook_factory(
        _is_document, lambda t: _unstructure_document(converter, t)
    )
    converter.register_structure_hook_factory(
        lambda t: t is PaginationOptions, lambda t: _structure_options(converter)
    )
    converter.register_unstructure_hook_factory(
        lambda t: t is Page or get_origin(t) is Page, lambda t: _unstructure_page(converter, t)
    )
    family(_is_sequence, lambda t: _sequence_hooks(converter, t))
    family(_is_record, lambda t: _record_hooks(converter, t))
    family(lambda t: get_origin(t) is Literal, _literal_hooks)
    family(is_union, lambda t: _union_hooks(converter, t))
    family(is_id, lambda t: _id_hooks(types, t))
    for kind, hooks in _simple_hooks().items():
        both(kind, hooks)
    for anything in (Any, object):
        both(anything, (_structure_any, _unstructure_any(converter, types)))
    family(
        lambda t: get_origin(t) is Annotated,
        lambda t: (
            converter.get_structure_hook(get_args(t)[0]),
            converter.get_unstructure_hook(get_args(t)[0]),
        ),
    )
    return converter


def _simple_hooks() -> dict[Any, tuple[Structure, Unstructure]]:
    null = (_structure_null, _unstructure_null)
    return {
        str: _exactly(str, "a string"),
        bool: _exactly(bool, "a boolean"),
        float: (_exactly(float, "a number")[0], _unstructure_float),
        int: (_structure_int, _unstructure_int),
        bytes: (_structure_bytes, _unstructure_checked(bytes, "bytes")),
        Int64: (_structure_int64, _unstructure_checked(Int64, "an Int64")),
        Instant: (_structure_instant, _unstructure_instant),
        date: (_structure_date, _unstructure_date),
        time: (_structure_time, _unstructure_time),
        None: null,
        NoneType: null,
    }


def _is_document(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Document)


def _is_sequence(annotation: Any) -> bool:
    return annotation in {list, tuple} or get_origin(annotation) in {list, tuple, Sequence}


def _is_record(annotation: Any) -> bool:
    return annotation is dict or get_origin(annotation) in {dict, Mapping}
