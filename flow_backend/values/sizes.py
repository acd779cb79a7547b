"""Measures values as the limits count them, and holds values and documents to the limits."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

from flow_backend.values.encode import check_text, float_of_int
from flow_backend.values.names import check_document_names, check_field_names
from flow_backend.values.refusal import (
    ARRAY_MAX,
    FIELDS_MAX,
    NESTING_MAX,
    Refusal,
    refuse_array,
    refuse_nesting,
    refuse_object,
    refuse_type,
)
from flow_backend.values.value import Int64

VALUE_BYTES_MAX: Final = 32 * 2**20
DOCUMENT_BYTES_MAX: Final = 2**20
DOCUMENT_NESTING_MAX: Final = 16

# What the system's fields add to a document that has them not yet, with an id of 32 characters.
_SYSTEM_FIELD_BYTES: Final = {"_id": 38, "_creationTime": 23}


def size_of(value: object) -> int:
    """Measure a value, in the bytes that the limits count; these are not those of its JSON.

    Raises: InvalidValue for what is no value, or has more items, fields or levels than one may.
    Source: the values, "Size and nesting".
    """
    return _size(value, 0)


def nesting_of(value: object) -> int:
    """Count the levels of arrays and objects: 0 for a scalar, 1 for ``[]``.

    Raises: InvalidValue past 64 levels.
    Source: the values, "Size and nesting".
    """
    return _nesting(value, 0)


def document_size(fields: Mapping[str, object]) -> int:
    """Measure a document in bytes, with its system fields, whether it has them yet or not.

    Raises: InvalidValue, as :func:`size_of`.
    """
    missing = [size for name, size in _SYSTEM_FIELD_BYTES.items() if name not in fields]
    if len(fields) + len(missing) > FIELDS_MAX:
        raise refuse_object(len(fields) + len(missing))
    return 2 + sum(missing) + _fields_size(fields, 1)


def check_value(value: object) -> None:
    """Check that a value may be an argument, a result, or a part of one.

    Raises: InvalidValue for what is no value, or past a limit: 32 MiB, 64 levels, 8192 items,
        1024 fields.
    """
    size = _size(value, 0)
    if size > VALUE_BYTES_MAX:
        raise _too_large(size, VALUE_BYTES_MAX)


def check_document(fields: Mapping[str, object]) -> None:
    """Check that a document may be stored; ``_id`` and ``_creationTime`` may be there or not.

    Raises: InvalidValue for a bad name, what is no value, or past a limit: 1 MiB, 16 levels.
    """
    check_document_names(fields)
    nesting = 1 + _deepest(fields.values(), 1)
    if nesting > DOCUMENT_NESTING_MAX:
        raise Refusal(
            f"Document is too nested (nested {nesting} levels deep > "
            f"maximum nesting {DOCUMENT_NESTING_MAX})"
        )
    size = document_size(fields)
    if size > DOCUMENT_BYTES_MAX:
        raise _too_large(size, DOCUMENT_BYTES_MAX)


def format_size(size_bytes: int) -> str:
    """Print a size for an error, rounded up, so that what is past a limit also reads so."""
    for unit, scale in (("MiB", 2**20), ("KiB", 2**10)):
        if size_bytes >= scale:
            hundredths = -(-size_bytes * 100 // scale)
            digits = f"{hundredths // 100}.{hundredths % 100:02}".rstrip("0").rstrip(".")
            return f"{digits} {unit}"
    return f"{size_bytes} B"


def _too_large(size: int, limit: int) -> Refusal:
    return Refusal(f"Value is too large ({format_size(size)} > maximum size {format_size(limit)})")


def _size(value: object, depth: int) -> int:
    if isinstance(value, str):
        if value.isascii():
            return len(value) + 2
        check_text(value)
        return len(value.encode()) + 2
    if isinstance(value, float):
        return 9
    if value is None or value is True or value is False:
        return 1
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        if depth >= NESTING_MAX:
            raise refuse_nesting()
        if len(fields) > FIELDS_MAX:
            raise refuse_object(len(fields))
        check_field_names(fields)
        return 2 + _fields_size(fields, depth + 1)
    if isinstance(value, (list, tuple)):
        return _array_size(cast("Sequence[object]", value), depth)
    if isinstance(value, int):
        if not isinstance(value, Int64):
            float_of_int(value)
        return 9
    if isinstance(value, bytes):
        return len(value) + 2
    raise refuse_type(value)


def _fields_size(fields: Mapping[str, object], depth: int) -> int:
    size = 0
    name = ""
    try:
        for name, item in fields.items():
            if type(item) is str and item.isascii():  # The most usual one, without a call.
                size += len(name) + len(item) + 3
            else:
                size += len(name) + 1 + _size(item, depth)
    except Refusal as refusal:
        refusal.came_through(f".{name}")
        raise
    return size


def _array_size(value: Sequence[object], depth: int) -> int:
    if depth >= NESTING_MAX:
        raise refuse_nesting()
    if len(value) > ARRAY_MAX:
        raise refuse_array(len(value))
    size = 2
    index = 0
    try:
        for item in value:
            size += _size(item, depth + 1)
            index += 1
    except Refusal as refusal:
        refusal.came_through(f"[{index}]")
        raise
    return size


def _nesting(value: object, depth: int) -> int:
    if isinstance(value, dict):
        items: Iterable[object] = cast("dict[str, object]", value).values()
    elif isinstance(value, (list, tuple)):
        items = cast("Sequence[object]", value)
    else:
        return 0
    if depth >= NESTING_MAX:
        raise refuse_nesting()
    return 1 + _deepest(items, depth + 1)


def _deepest(items: Iterable[object], depth: int) -> int:
    deepest = 0
    for item in items:
        if isinstance(item, (dict, list, tuple)):
            deepest = max(deepest, _nesting(cast("object", item), depth))
    return deepest
