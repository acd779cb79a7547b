"""How ids, unions, literals, sequences and records are checked and converted, both ways."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin

from flow_backend.errors import InvalidId, InvalidValue, SchemaError
from flow_backend.schema.document import Document, Id
from flow_backend.schema.hook_table import HookTable
from flow_backend.schema.ids import decode_id
from flow_backend.schema.mismatch import Hooks, Mismatch, mismatch_of
from flow_backend.schema.plain_names import plain_names
from flow_backend.values.encode import to_wire
from flow_backend.values.names import check_field_names
from flow_backend.values.refusal import ARRAY_MAX, FIELDS_MAX, refuse_array, refuse_object
from flow_backend.values.value import Int64, JsonValue


def name_of(annotation: Any) -> str:
    """Print an annotation as app code writes it."""
    if annotation is NoneType:
        return "None"
    target = table_of_id(annotation) if is_id(annotation) else None
    if target:
        return f"Id[{target}]"
    if get_args(annotation):
        return plain_names(str(annotation)).replace("typing.", "")
    return getattr(annotation, "__name__", None) or str(annotation)


# --- Ids ------------------------------------------------------------------------------------------


def is_id(annotation: Any) -> bool:
    """Say whether an annotation is ``Id`` or ``Id[...]``."""
    return annotation is Id or get_origin(annotation) is Id


def table_of_id(annotation: Any) -> str | None:
    """Give the table that ``Id[Board]`` points to, None for an ``Id`` of any table."""
    for target in get_args(annotation):
        if isinstance(target, type) and issubclass(target, Document):
            return target.__table__
    return None


@lru_cache(maxsize=16_384)
def number_of_id(text: str) -> int:
    """Check an id's form and give its table's number.

    It remembers: the checksum costs more than all else about an argument, and the same ids come
    again and again.

    Raises: InvalidId.
    """
    return decode_id(text)[0]


def id_hooks(numbers: Mapping[str, int], annotation: Any) -> Hooks:
    """Give the hooks of ``Id[...]``. Whether there is such a document is not looked at."""
    table = table_of_id(annotation)
    expected = f"an id of table {table!r}" if table else "an id"

    def check(value: object) -> Id[Any]:
        if not isinstance(value, str):
            raise Mismatch(expected, value)
        try:
            number = number_of_id(value)
        except InvalidId as error:
            raise Mismatch(f"{expected} ({error})", value) from None
        if table is not None and numbers.get(table, number) != number:
            raise Mismatch(f"{expected}, not of another table", value)
        return Id(value)

    return (lambda value, _: check(value)), (lambda value: str.__str__(check(value)))


# --- Unions and literals --------------------------------------------------------------------------


def is_union(annotation: Any) -> bool:
    """Say whether an annotation is a union, written either way."""
    return get_origin(annotation) in {Union, UnionType}


def union_hooks(table: HookTable, annotation: Any) -> Hooks:
    """Give the hooks of a union: the first member that fits takes the value."""
    members = get_args(annotation)
    rest = [member for member in members if member is not NoneType]
    if len(rest) == 1:  # Then the member's own error says more.
        return _nullable_hooks(table, rest[0])
    structures = [(table.get_structure_hook(member), member) for member in members]
    unstructures = [table.get_unstructure_hook(member) for member in members]
    expected = " or ".join(name_of(member) for member in members)

    def structure(value: object, _: object) -> object:
        for hook, member in structures:
            try:
                return hook(value, member)
            except (Mismatch, InvalidValue):  # The next member may fit.
                continue
        raise Mismatch(expected, value)

    def unstructure(value: object) -> object:
        for hook in unstructures:
            try:
                return hook(value)
            except (Mismatch, InvalidValue):
                continue
        raise Mismatch(expected, value)

    return structure, unstructure


def _nullable_hooks(table: HookTable, member: Any) -> Hooks:
    structure_member = table.get_structure_hook(member)
    unstructure_member = table.get_unstructure_hook(member)

    def structure(value: object, _: object) -> object:
        return None if value is None else structure_member(value, member)

    def unstructure(value: object) -> object:
        return None if value is None else unstructure_member(value)

    return structure, unstructure


def literal_hooks(annotation: Any) -> Hooks:
    """Give the hooks of ``Literal[...]``.

    Raises: SchemaError for a literal that is no value.
    """
    allowed: tuple[object, ...] = get_args(annotation)
    for literal in allowed:
        if type(literal) not in {str, int, float, bool, NoneType}:
            raise SchemaError(
                f"{name_of(annotation)}: a Literal is of strings, numbers, booleans and None; "
                f"{literal!r} is none of these"
            )
    expected = " or ".join(repr(literal) for literal in allowed)
    known = {_literal_key(literal): literal for literal in allowed}

    def find(value: object) -> object:
        try:
            return known[_literal_key(value)]
        except (KeyError, TypeError):
            raise Mismatch(expected, value) from None

    return (lambda value, _: find(value)), (lambda value: to_wire(find(value)))


def _literal_key(value: object) -> tuple[type, object]:
    # True == 1 == 1.0 in Python, and are three values here; all numbers are floats on the wire.
    if isinstance(value, (int, float)) and not isinstance(value, (bool, Int64)):
        return (float, float(value))
    return (str if isinstance(value, str) else type(value), value)


# --- Sequences ------------------------------------------------------------------------------------


def is_sequence(annotation: Any) -> bool:
    """Say whether an annotation is an array on the wire."""
    return annotation is list or get_origin(annotation) in {list, tuple, Sequence}


def sequence_hooks(table: HookTable, annotation: Any) -> Hooks:
    """Give the hooks of ``list[X]``, ``Sequence[X]``, ``tuple[X, ...]`` and ``tuple[X, Y]``."""
    is_tuple = get_origin(annotation) is tuple
    args = get_args(annotation) if is_tuple else get_args(annotation) or (Any,)
    if is_tuple and (len(args) != 2 or args[1] is not Ellipsis):
        return _fixed_tuple_hooks(table, args)
    item = args[0]
    structure_item = table.get_structure_hook(item)
    unstructure_item = table.get_unstructure_hook(item)

    def structure(value: object, _: object) -> object:
        items = _array(value)
        done: list[object] = []
        try:
            for each in items:
                done.append(structure_item(each, item))  # noqa: PERF401  # Its length is the place.
        except Exception as error:
            raise mismatch_of(error, items[len(done)], f"[{len(done)}]") from None
        return tuple(done) if is_tuple else done

    def unstructure(value: object) -> object:
        items = _sequence(value)
        if len(items) > ARRAY_MAX:
            raise refuse_array(len(items))
        done: list[object] = []
        try:
            for each in items:
                done.append(unstructure_item(each))  # noqa: PERF401  # Its length is the place.
        except (Mismatch, InvalidValue) as error:
            raise mismatch_of(error, items[len(done)], f"[{len(done)}]") from None
        return done

    return structure, unstructure


def _array(value: object) -> list[object]:
    if not isinstance(value, list):
        raise Mismatch("an array", value)
    return cast("list[object]", value)


def _sequence(value: object) -> Sequence[object]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise Mismatch("a list or tuple", value)
    return cast("Sequence[object]", value)


def _fixed_tuple_hooks(table: HookTable, args: tuple[Any, ...]) -> Hooks:
    structures = [(table.get_structure_hook(arg), arg) for arg in args]
    unstructures = [table.get_unstructure_hook(arg) for arg in args]
    expected = f"an array of {len(args)}"

    def structure(value: object, _: object) -> object:
        items = _array(value)
        if len(items) != len(args):
            raise Mismatch(expected, value)
        pairs = zip(structures, items, strict=True)
        return tuple(
            [_at(f"[{i}]", hook, each, arg) for i, ((hook, arg), each) in enumerate(pairs)]
        )

    def unstructure(value: object) -> object:
        items = _sequence(value)
        if len(items) != len(args):
            raise Mismatch(f"a tuple of {len(args)}", items)
        pairs = zip(unstructures, items, strict=True)
        return [_at(f"[{i}]", hook, each) for i, (hook, each) in enumerate(pairs)]

    return structure, unstructure


def _at(step: str, hook: Callable[..., Any], value: object, *annotation: Any) -> Any:
    """Convert one part; an error says where it stood."""
    try:
        return hook(value, *annotation)
    except Exception as error:
        raise mismatch_of(error, value, step) from None


# --- Records --------------------------------------------------------------------------------------


def is_record(annotation: Any) -> bool:
    """Say whether an annotation is an object with keys of the data's choice."""
    return annotation is dict or get_origin(annotation) in {dict, Mapping}


def record_hooks(table: HookTable, annotation: Any) -> Hooks:
    """Give the hooks of ``dict[str, X]`` and ``dict[Id[Y], X]``.

    Raises: SchemaError for other keys.
    """
    key, item = get_args(annotation) or (str, Any)
    if key is not str and not is_id(key):
        raise SchemaError(
            f"in {name_of(annotation)} the keys are {name_of(key)}, but an object has names: use "
            f"dict[str, {name_of(item)}], or a list of an attrs class that has the key as a field"
        )
    structure_key = table.get_structure_hook(key)
    unstructure_key = table.get_unstructure_hook(key)
    structure_item = table.get_structure_hook(item)
    unstructure_item = table.get_unstructure_hook(item)

    def structure(value: object, _: object) -> object:
        if not isinstance(value, dict):
            raise Mismatch("an object", value)
        pairs = cast("dict[str, object]", value).items()
        return {
            _at(".keys()", structure_key, name, key): _at(f".{name}", structure_item, each, item)
            for name, each in pairs
        }

    def unstructure(value: object) -> object:
        if not isinstance(value, Mapping):
            raise Mismatch("a dict", value)
        record = cast("Mapping[str, object]", value)
        if len(record) > FIELDS_MAX:
            raise refuse_object(len(record))
        check_field_names(record)
        made: dict[str, JsonValue] = {
            _at(".keys()", unstructure_key, name): _at(f".{name}", unstructure_item, each)
            for name, each in record.items()
        }
        return made

    return structure, unstructure


def is_literal(annotation: Any) -> bool:
    """Say whether an annotation is ``Literal[...]``."""
    return get_origin(annotation) is Literal
