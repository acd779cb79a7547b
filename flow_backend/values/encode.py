"""Turns values into JSON and back: the wire's encoding, the clean one, and that of exports."""

import struct
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Sequence
from math import copysign, isfinite
from typing import Final, cast

import orjson
from attrs import frozen

from flow_backend.errors import InvalidValue
from flow_backend.values.names import check_field_name, check_field_names
from flow_backend.values.refusal import (
    ARRAY_MAX,
    FIELDS_MAX,
    NESTING_MAX,
    Refusal,
    refuse_array,
    refuse_nesting,
    refuse_object,
    refuse_text,
    refuse_type,
)
from flow_backend.values.value import Int64, JsonValue, Value, shown_int

SAFE_INT_MAX: Final = 2**53
"""Up to here every ``int`` is a float64 exactly."""

_FLOAT_MAX: Final = 1.7976931348623157e308
_FLOAT: Final = struct.Struct("<d")


def to_wire(value: object) -> JsonValue:
    """Turn a value into the JSON tree that the wire and the database have.

    An ``int`` becomes a float, a tuple an array; what JSON lacks becomes an object with one
    ``$`` key.

    Raises: InvalidValue for what is no value, or past a limit; it says where in ``value``.
    Source: the values, "Wire encoding".
    """
    return _write(value, _WIRE, 0)


def encode(value: object) -> bytes:
    """Encode a value canonically: equal values, of whatever Python type, give equal bytes.

    Returns: JSON with sorted keys, no whitespace, and a fraction or exponent in each number.
    Raises: InvalidValue, as :func:`to_wire`.
    Source: the values, "Canonical form".
    """
    return orjson.dumps(_write(value, _WIRE, 0), option=orjson.OPT_SORT_KEYS)


def from_wire(json: JsonValue) -> Value:
    """Turn a JSON tree of the wire into a value; each number becomes a float.

    Raises: InvalidValue for a ``$`` key that is none of ours or holds what it must not, for a bad
        field name, or past a limit.
    Source: the values, "Decoding rules".
    """
    return _read(json, _float_of, 0)


def decode(data: bytes | str) -> Value:
    """Decode JSON in the wire's encoding; of a key that stands twice, the last one counts.

    Raises: InvalidValue, and nothing else.
    """
    return _read(parse_json(data), _float_of, 0)


def to_clean(value: object) -> JsonValue:
    """Turn a value into plain JSON for people: the format ``json``, which loses some types.

    Raises: InvalidValue, as :func:`to_wire`.
    Source: the values, "json (clean) and export_json".
    """
    return _write(value, _CLEAN, 0)


def to_export(value: object) -> JsonValue:
    """Turn a value into the format ``export_json``: integers and floats are told apart.

    A −0 stands in the tree as ``-0.0``, and is printed so.

    Raises: InvalidValue, as :func:`to_wire`.
    """
    return _write(value, _EXPORT, 0)


def from_export(json: JsonValue) -> Value:
    """Turn what :func:`to_export` gives into the same value: an integer becomes an Int64.

    Raises: InvalidValue.
    """
    return _read(json, Int64, 0)


def parse_json(data: bytes | str) -> JsonValue:
    """Parse JSON, without a look at what it means. Nesting past a thousand levels is refused.

    Raises: InvalidValue for what is no JSON in UTF-8; NaN and Infinity are none.
    """
    try:
        parsed: JsonValue = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidValue(f"not JSON: {error}") from None
    return parsed


@frozen
class _Form:
    """What a format makes of the values that JSON has not.

    ``zero_or_odd`` is asked about all floats that are 0, −0, infinite or NaN.
    """

    integer: Callable[[Int64], JsonValue]
    zero_or_odd: Callable[[float], JsonValue]
    binary: Callable[[bytes], JsonValue]


def _write(value: object, form: _Form, depth: int) -> JsonValue:
    if isinstance(value, str):
        if not value.isascii():
            _check_text(value)
        return value if type(value) is str else str.__str__(value)
    if isinstance(value, float):
        # NaN fails the comparison, and both zeros the truth test.
        if value and -_FLOAT_MAX <= value <= _FLOAT_MAX:
            return value if type(value) is float else float(value)
        return form.zero_or_odd(value)
    if value is None or value is True or value is False:
        return value
    if isinstance(value, dict):
        return _write_object(cast("dict[str, object]", value), form, depth)
    if isinstance(value, (list, tuple)):
        return _write_array(cast("Sequence[object]", value), form, depth)
    if isinstance(value, int):
        return form.integer(value) if isinstance(value, Int64) else float_of_int(value)
    if isinstance(value, bytes):
        return form.binary(value)
    raise refuse_type(value)


def _write_object(value: dict[str, object], form: _Form, depth: int) -> JsonValue:
    if depth >= NESTING_MAX:
        raise refuse_nesting()
    if len(value) > FIELDS_MAX:
        raise refuse_object(len(value))
    check_field_names(value)
    depth += 1
    json: dict[str, JsonValue] = {}
    name = ""
    try:
        for name, item in value.items():
            # The serializer takes no subclass of str for a key, such as an id.
            key = name if type(name) is str else str.__str__(name)
            if item is None or (type(item) is str and item.isascii()):
                json[key] = item  # The most usual ones, without a call.
            else:
                json[key] = _write(item, form, depth)
    except Refusal as refusal:
        refusal.came_through(f".{str.__str__(name)}")
        raise
    return json


def _write_array(value: Sequence[object], form: _Form, depth: int) -> JsonValue:
    if depth >= NESTING_MAX:
        raise refuse_nesting()
    if len(value) > ARRAY_MAX:
        raise refuse_array(len(value))
    depth += 1
    json: list[JsonValue] = []
    add = json.append
    try:
        for item in value:
            add(_write(item, form, depth))
    except Refusal as refusal:
        refusal.came_through(f"[{len(json)}]")
        raise
    return json


def float_of_int(value: int) -> float:
    """Give the float that an ``int`` means.

    Raises: InvalidValue past ±2^53, where not every integer has one.
    """
    if -SAFE_INT_MAX <= value <= SAFE_INT_MAX:
        return float(value)
    raise Refusal(
        f"{shown_int(value)} is past ±2^53, where an int may have no exact float; "
        "wrap it in Int64 if it is to be one"
    )


def check_text(value: str) -> None:
    """Check that a string can be written as UTF-8.

    Raises: InvalidValue for a lone surrogate.
    """
    if not value.isascii():
        _check_text(value)


def _check_text(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refuse_text() from None


def _base64(raw: bytes) -> str:
    return b2a_base64(raw, newline=False).decode()


def _wire_integer(value: Int64) -> JsonValue:
    return {"$integer": _base64(value.to_bytes(8, "little", signed=True))}


def _wire_bytes(value: bytes) -> JsonValue:
    return {"$bytes": _base64(value)}


def _wire_float(value: float) -> JsonValue:
    if value == 0 and copysign(1.0, value) > 0:
        return 0.0
    return {"$float": _base64(_FLOAT.pack(value))}


def _clean_float(value: float) -> JsonValue:
    if isfinite(value):
        return float(value)
    if value != value:
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _export_float(value: float) -> JsonValue:
    return float(value) if value == 0 else _wire_float(value)


_WIRE: Final = _Form(_wire_integer, _wire_float, _wire_bytes)
_CLEAN: Final = _Form(int.__repr__, _clean_float, _base64)
_EXPORT: Final = _Form(int, _export_float, _wire_bytes)


def _read(json: JsonValue, number: Callable[[int], Value], depth: int) -> Value:
    if isinstance(json, (str, float)) or json is None or json is True or json is False:
        return json
    if isinstance(json, dict):
        return _read_object(json, number, depth)
    if isinstance(json, list):
        return _read_array(json, number, depth)
    return number(json)


def _read_object(json: dict[str, JsonValue], number: Callable[[int], Value], depth: int) -> Value:
    if len(json) == 1:
        [(name, item)] = json.items()
        if name.startswith("$"):
            return _read_special(name, item)
    if depth >= NESTING_MAX:
        raise refuse_nesting()
    if len(json) > FIELDS_MAX:
        raise refuse_object(len(json))
    check_field_names(json)
    depth += 1
    value: dict[str, Value] = {}
    name = ""
    try:
        for name, item in json.items():
            if isinstance(item, (str, float)):
                value[name] = item  # The most usual ones, without a call.
            else:
                value[name] = _read(item, number, depth)
    except Refusal as refusal:
        refusal.came_through(f".{name}")
        raise
    return value


def _read_array(json: list[JsonValue], number: Callable[[int], Value], depth: int) -> Value:
    if depth >= NESTING_MAX:
        raise refuse_nesting()
    if len(json) > ARRAY_MAX:
        raise refuse_array(len(json))
    depth += 1
    value: list[Value] = []
    add = value.append
    try:
        for item in json:
            add(_read(item, number, depth))
    except Refusal as refusal:
        refusal.came_through(f"[{len(value)}]")
        raise
    return value


def _read_special(name: str, payload: JsonValue) -> Value:
    if name == "$bytes":
        return _read_base64(name, payload)
    if name == "$integer":
        return Int64(int.from_bytes(_read_eight(name, payload), "little", signed=True))
    if name == "$float":
        value = cast("float", _FLOAT.unpack(_read_eight(name, payload))[0])
        if isfinite(value) and not (value == 0 and copysign(1.0, value) < 0):
            raise Refusal(f"$float holds {value!r}, which is written as a plain number")
        return value
    if name in ("$set", "$map"):
        raise Refusal(f"{name} is no type any more; use an array of items or pairs")
    check_field_name(name)
    raise AssertionError(name)  # The check above refuses all that begins with $.


def _read_eight(name: str, payload: JsonValue) -> bytes:
    raw = _read_base64(name, payload)
    if len(raw) != 8:
        raise Refusal(f"{name} holds {len(raw)} bytes, it takes 8")
    return raw


def _read_base64(name: str, payload: JsonValue) -> bytes:
    if not isinstance(payload, str):
        raise Refusal(f"{name} takes a string of base64")
    try:
        raw = a2b_base64(payload)
    except ValueError:
        raw = None
    # The decoder skips what it does not know; writing it again shows whether it did.
    if raw is None or _base64(raw) != payload:
        raise Refusal(f"{name} takes standard base64 with padding")
    return raw


def _float_of(json: int) -> float:
    try:
        return float(json)
    except OverflowError:
        raise Refusal(f"{shown_int(json)} is too large for a number") from None
