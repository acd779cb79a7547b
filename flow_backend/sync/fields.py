"""Fields of a message as they come from a client: each is what the protocol says, or it is named.

What came is told by its kind alone: a value may be a secret, or 16 MiB.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, TypeVar

from flow_backend.errors import InvalidValue, MalformedMessage
from flow_backend.values.timestamp import CommitTs, decode_ts
from flow_backend.values.value import JsonValue

Fields: TypeAlias = Mapping[str, JsonValue]
_Parsed = TypeVar("_Parsed")
_U32_MAX: Final = 2**32 - 1


def variant(
    fields: Fields, name: str, parsers: Mapping[str, Callable[[Fields], _Parsed]]
) -> _Parsed:
    """Read an object by the parser that its field ``name`` picks."""
    tag = fields.get(name)
    parse = parsers.get(tag) if isinstance(tag, str) else None
    if parse is None:
        came = repr(tag[:40]) if isinstance(tag, str) else kind_of(tag)
        raise MalformedMessage(f"The field '{name}' is {' or '.join(parsers)}, but {came} came.")
    return parse(fields)


def u32(fields: Fields, name: str) -> int:
    """Read an integer of 32 bits."""
    value = fields.get(name)
    # To isinstance a bool is an int, but it is no number on the wire.
    if type(value) is not int:
        raise wrong(name, "an integer", value)
    if not 0 <= value <= _U32_MAX:
        raise MalformedMessage(f"The field '{name}' is at most {_U32_MAX} and not negative.")
    return value


def string(fields: Fields, name: str) -> str:
    """Read a string."""
    value = fields.get(name)
    if not isinstance(value, str):
        raise wrong(name, "a string", value)
    return value


def optional_string(fields: Fields, name: str) -> str | None:
    """Read a string; None if it is null or left out."""
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise wrong(name, "a string or null", value)
    return value


def optional_ts(fields: Fields, name: str) -> CommitTs | None:
    """Read a timestamp; None if it is null or left out."""
    text = optional_string(fields, name)
    if text is None:
        return None
    try:
        return decode_ts(text)
    except InvalidValue as error:
        raise MalformedMessage(f"The field '{name}' is no timestamp. {error}") from error


def wrong(name: str, expected: str, value: JsonValue) -> MalformedMessage:
    """Make the error for a field that is not as ``expected``."""
    return MalformedMessage(f"The field '{name}' is {expected}, but {kind_of(value)} came.")


def kind_of(value: JsonValue) -> str:
    """Name a value's kind for an error, with its article."""
    match value:
        case None:
            return "null or nothing"
        case bool():
            return "a boolean"
        case int():
            return "a number"
        case float():
            return "a number with a fraction"
        case str():
            return "a string"
        case list():
            return "an array"
        case dict():
            return "an object"
