"""Values to test with, and a naive model of what it means that two of them are the same."""

import struct
from collections.abc import Callable, Sequence
from typing import TypeVar

from hypothesis import strategies as st

from flow_backend.values.value import UNSET, Int64, Unset, Value

T = TypeVar("T")

NAN_WITH_PAYLOAD = struct.unpack(">d", bytes.fromhex("fff8000000000abc"))[0]

int64s = st.integers(-(2**63), 2**63 - 1).map(Int64)
odd_floats = st.sampled_from([0.0, -0.0, float("inf"), float("-inf"), NAN_WITH_PAYLOAD, 5e-324])
floats = st.floats(allow_nan=True) | odd_floats
texts = st.text(max_size=6) | st.text(alphabet="\x00a\x7f\uffff\U00010000", max_size=4)
binaries = st.binary(max_size=5) | st.lists(st.sampled_from([0, 1, 255]), max_size=4).map(bytes)
names = st.text(alphabet="abz_ ~", max_size=3)
scalars: st.SearchStrategy[Value] = st.none() | st.booleans() | int64s | floats | texts | binaries


def _containers(children: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    lists = st.lists(children, max_size=4)
    objects = st.dictionaries(names, children, max_size=4)
    return lists | objects


values: st.SearchStrategy[Value] = st.recursive(scalars, _containers, max_leaves=12)


def bits(value: float) -> int:
    """The 64 bits of a float, as an integer without sign."""
    (number,) = struct.unpack(">Q", struct.pack(">d", value))
    assert isinstance(number, int)
    return number


def same(left: Value, right: Value) -> bool:
    """Equal in type, and in each bit of a float."""
    if type(left) is not type(right):
        return False
    match left, right:
        case (float(), float()):
            return bits(left) == bits(right)
        case (list(), list()):
            return len(left) == len(right) and all(map(same, left, right))
        case (dict(), dict()):
            return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
        case _:
            return left == right


def in_array(value: object) -> object:
    return [value]


def in_object(value: object) -> object:
    return {"a": value}


def nested(levels: int, wrap: Callable[[object], object]) -> object:
    """Nothing, inside so many containers."""
    value: object = None
    for _ in range(levels):
        value = wrap(value)
    return value


RANKS: tuple[type, ...] = (Unset, type(None), Int64, float, bool, str, bytes, list, dict)


def compare(left: Value | Unset, right: Value | Unset) -> int:
    """Compare as the specification words it: below 0, 0, or above 0."""
    if type(left) is not type(right):
        return RANKS.index(type(left)) - RANKS.index(type(right))
    match left, right:
        case (float(), float()):
            return _signed_magnitude(left) - _signed_magnitude(right)
        case (str(), str()):
            return _first_difference([ord(c) for c in left], [ord(c) for c in right], _minus)
        case (bytes(), bytes()):
            return _first_difference(list(left), list(right), _minus)
        case (int(), int()):  # Booleans too: false is 0.
            return int(left) - int(right)
        case (list(), list()):
            return _first_difference(left, right, compare)
        case (dict(), dict()):
            return _first_difference(_pairs(left), _pairs(right), _pair)
        case _:
            assert left in (None, UNSET)
            return 0


def _signed_magnitude(value: float) -> int:
    number = bits(value)
    return number if number < 2**63 else 2**63 - 1 - number


def _first_difference(
    left: Sequence[T], right: Sequence[T], compare_items: Callable[[T, T], int]
) -> int:
    for one, other in zip(left, right, strict=False):
        if order := compare_items(one, other):
            return order
    return len(left) - len(right)


def _minus(left: int, right: int) -> int:
    return left - right


def _pairs(value: dict[str, Value]) -> list[tuple[str, Value]]:
    return sorted(value.items(), key=lambda pair: pair[0])


def _pair(left: tuple[str, Value], right: tuple[str, Value]) -> int:
    return compare(left[0], right[0]) or compare(left[1], right[1])
