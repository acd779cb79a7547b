"""What a value is: the types that documents, arguments and results are made of."""

from enum import Enum
from typing import Final, Self, TypeAlias

from flow_backend.errors import InvalidValue

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1


class Int64(int):
    """A 64-bit integer that stays one: JavaScript's ``bigint``.

    A plain ``int`` goes on the wire as a float64, as every JavaScript number does. Arithmetic
    gives a plain ``int``: wrap the sum again if it is to stay an integer.

    Raises: InvalidValue for what is no whole number of 64 bits; a ``bool`` is none.
    Source: the values, "Types".
    """

    __slots__ = ()

    def __new__(cls, value: int) -> Self:
        """Take ``value`` as it is; nothing is rounded or parsed."""
        _check_int64(value)
        return super().__new__(cls, value)

    def __repr__(self) -> str:
        return f"Int64({int(self)})"

    def __str__(self) -> str:
        return int.__repr__(self)


class Unset(Enum):
    """The type of :data:`UNSET`; an enum, so that ``is UNSET`` narrows for both type checkers."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""An absent field. It is no value: it sorts below null and is never stored or sent."""

Value: TypeAlias = (
    bool
    | int
    | float
    | Int64
    | str
    | bytes
    | list["Value"]
    | tuple["Value", ...]
    | dict[str, "Value"]
    | None
)

JsonValue: TypeAlias = bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"] | None
"""A JSON tree, as a JSON parser gives it and a serializer takes it."""


def _check_int64(given: object) -> None:
    # Callers without types come here too, so what they give is not taken on trust.
    if isinstance(given, bool) or not isinstance(given, int):
        raise InvalidValue(f"Int64 takes an int, not {type(given).__name__}")
    if not INT64_MIN <= given <= INT64_MAX:
        raise InvalidValue(
            f"{shown_int(given)} does not fit into an Int64, which goes from -2^63 to 2^63 - 1"
        )


def shown_int(value: int) -> str:
    """Print ``value`` for an error; Python refuses to print integers of thousands of digits."""
    return str(int(value)) if value.bit_length() <= 256 else f"an int of {value.bit_length()} bits"
