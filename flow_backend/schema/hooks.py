"""How values of single types are checked and converted, both ways."""

import re
from collections.abc import Callable
from datetime import date, time
from types import NoneType
from typing import Any, Final

from flow_backend.schema.document import Instant
from flow_backend.schema.mismatch import Hooks, Mismatch, Unstructure
from flow_backend.values.encode import check_text, to_wire
from flow_backend.values.value import Int64, JsonValue

SAFE_INTEGER: Final = 2**53

# Narrower than what fromisoformat() takes (weeks, no dashes), and ASCII digits alone.
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?")
_AN_INSTANT: Final = "an instant: a finite number of milliseconds since the epoch"


def simple_hooks() -> dict[Any, Hooks]:
    """Give the hooks of every type that stands for itself."""
    null = (_structure_null, _unstructure_null)
    return {
        str: (_structure_exactly(str, "a string"), _unstructure_str),
        bool: (_structure_exactly(bool, "a boolean"), _unstructure_bool),
        float: (_structure_exactly(float, "a number"), _unstructure_float),
        int: (_structure_int, _unstructure_int),
        bytes: (_structure_exactly(bytes, "bytes"), _unstructure_as(bytes, "bytes")),
        Int64: (
            _structure_exactly(Int64, "an int64 (a bigint in JavaScript)"),
            _unstructure_as(Int64, "an Int64"),
        ),
        Instant: (_structure_instant, _unstructure_instant),
        date: (_structure_date, _unstructure_date),
        time: (_structure_time, _unstructure_time),
        None: null,
        NoneType: null,
    }


def number_hooks() -> dict[Any, Hooks]:
    """Give the hooks of numbers that take a float for an int64, and the other way round."""
    hooks = simple_hooks()

    def after(convert: Callable[[object], object], kind: Any) -> Hooks:
        structure, unstructure = hooks[kind]
        return (lambda value, wanted: structure(convert(value), wanted)), unstructure

    floats = {kind: after(_as_float, kind) for kind in (float, int, Instant)}
    return {**floats, Int64: after(_as_int64, Int64)}


def _as_float(value: object) -> object:
    return float(value) if isinstance(value, Int64) and float(value) == value else value


def _as_int64(value: object) -> object:
    if type(value) is float and value.is_integer() and abs(value) <= SAFE_INTEGER:
        return Int64(int(value))
    return value


def structure_any(value: object, _: object) -> object:
    """Take any value as it is."""
    return value


def _structure_exactly(kind: type, name: str) -> Callable[[object, object], object]:
    def structure(value: object, _: object) -> object:
        if type(value) is not kind:
            raise Mismatch(name, value)
        return value

    return structure


def _unstructure_as(kind: type, name: str) -> Unstructure:
    def unstructure(value: object) -> JsonValue:
        if not isinstance(value, kind):
            raise Mismatch(name, value)
        return to_wire(value)

    return unstructure


def _unstructure_str(value: object) -> str:
    if not isinstance(value, str):
        raise Mismatch("a string", value)
    check_text(value)
    return value if type(value) is str else str.__str__(value)


def _unstructure_bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise Mismatch("a boolean", value)
    return value


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
    if isinstance(value, (bool, Int64)) or not isinstance(value, (int, float)):
        raise Mismatch("a number", value)
    if isinstance(value, int) and abs(value) > SAFE_INTEGER:
        raise Mismatch("a number; an int is within ±2^53", value)
    return to_wire(float(value))


def _structure_instant(value: object, _: object) -> Instant:
    # A −0 is 0: as a point in time they are one, and the column keeps one.
    if type(value) is not float or value - value != 0:
        raise Mismatch(_AN_INSTANT, value)
    return Instant(value + 0.0)


def _unstructure_instant(value: object) -> float:
    if isinstance(value, (bool, Int64)) or not isinstance(value, (int, float)):
        raise Mismatch(_AN_INSTANT, value)
    if value - value != 0 or abs(value) > 1e300:
        raise Mismatch(_AN_INSTANT, value)
    return float(value) + 0.0


def _structure_date(value: object, _: object) -> date:
    if type(value) is str and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:  # There is no such day.
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
