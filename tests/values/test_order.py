"""The bytes of a key sort as the values do, and as the specification lists them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flow_backend.errors import InvalidValue
from flow_backend.values.order import key_of, prefix_end, sort_key, values_end
from flow_backend.values.value import UNSET, Int64, Unset, Value
from tests.values.models import compare, in_array, nested, values

VECTORS: list[tuple[Value | Unset, str]] = [
    (UNSET, "01"),
    (None, "03"),
    (Int64(1), "0901"),
    (Int64(-1), "07ff"),
    (Int64(200), "0a00c8"),
    (Int64(-200), "06ff38"),
    (Int64(2**40), "0c0000010000000000"),
    (Int64(0), "08"),
    (Int64(127), "097f"),
    (Int64(128), "0a0080"),
    (Int64(-128), "0780"),
    (Int64(-129), "06ff7f"),
    (Int64(32767), "0a7fff"),
    (Int64(32768), "0b00008000"),
    (Int64(2**63 - 1), "0c7fffffffffffffff"),
    (Int64(-(2**63)), "048000000000000000"),
    (1.0, "0dbff0000000000000"),
    (1, "0dbff0000000000000"),
    (-1.0, "0d400fffffffffffff"),
    (0.0, "0d8000000000000000"),
    (-0.0, "0d7fffffffffffffff"),
    (False, "0e"),
    (True, "0f"),
    ("a", "106100"),
    ("a\0b", "106100ff6200"),
    (b"\0", "1100ff00"),
    ([None, "x"], "120310780000"),
    ((None, "x"), "120310780000"),
    ([], "1200"),
    ({}, "1500"),
    ({"a": 1.0}, "1561000dbff000000000000000"),
    ({"": None}, "1500ff0300"),
    ({"b": None, "a": None}, "15610003620003" + "00"),
]

sortable = values | st.just(UNSET)


def sign(number: int) -> int:
    return (number > 0) - (number < 0)


@pytest.mark.parametrize(("value", "key"), VECTORS)
def test_a_value_has_the_key_of_the_specification(value: Value | Unset, key: str) -> None:
    assert sort_key(value).hex() == key


@pytest.mark.slow
@given(sortable, sortable)
@example({}, {"": None})
@example({"": None}, {"a": None})
@example("\uffff", "\U00010000")
@example("a", "a\0")
@example(["a"], ["a", None])
@example({"a": {}}, {"a": {}, "b": None})
def test_keys_sort_as_values_do(left: Value | Unset, right: Value | Unset) -> None:
    one, other = sort_key(left), sort_key(right)

    assert (one > other) - (one < other) == sign(compare(left, right))


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-300, 300))
def test_integers_near_each_other_sort(number: int, step: int) -> None:
    other = min(max(number + step, -(2**63)), 2**63 - 1)

    for a, b in ((number, other), (number >> 40, other >> 40), (number >> 54, number >> 55)):
        assert (sort_key(Int64(a)) < sort_key(Int64(b))) == (a < b)


@pytest.mark.slow
@given(st.lists(sortable, max_size=3), st.lists(sortable, max_size=3))
@example(["a", None], ["a\0b"])
def test_keys_of_sequences_sort_item_by_item(
    left: list[Value | Unset], right: list[Value | Unset]
) -> None:
    expected = len(left) - len(right)
    for one, other in zip(left, right, strict=False):
        if order := compare(one, other):
            expected = order
            break

    a, b = key_of(left), key_of(right)
    assert (a > b) - (a < b) == sign(expected)


@pytest.mark.slow
@given(st.lists(sortable, max_size=2), st.lists(sortable, max_size=3))
@example(["a"], ["a\0b"])
@example([b""], [b"\0"])
@example([{}], [{"": 1.0}])
def test_the_range_of_a_prefix_holds_what_begins_with_its_values(
    prefix: list[Value | Unset], sequence: list[Value | Unset]
) -> None:
    """By bytes alone, what equals "a" would take in "a" with a NUL and more behind it."""
    head = sequence[: len(prefix)]
    begins = len(head) == len(prefix) and not any(map(compare, head, prefix))

    start = key_of(prefix)
    assert (start <= key_of(sequence) < values_end(start)) == begins


@given(st.binary(max_size=3), st.binary(max_size=4))
@example(b"a\xff", b"a\xff\xff")
def test_the_end_of_a_prefix_is_the_first_that_does_not_begin_with_it(
    prefix: bytes, other: bytes
) -> None:
    end = prefix_end(prefix)

    if end is None:
        assert prefix.strip(b"\xff") == b""
    else:
        assert (prefix <= other < end) == other.startswith(prefix)


@pytest.mark.parametrize(
    "value",
    ["\ud800", 2**53 + 1, [UNSET], {"$a": 1}, nested(65, in_array), object()],
)
def test_what_has_no_wire_form_has_no_key(value: Value) -> None:
    with pytest.raises(InvalidValue):
        sort_key(value)
