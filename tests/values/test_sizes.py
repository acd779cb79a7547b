"""Sizes and levels are counted as the limits count them, and each limit holds to the byte."""

import pytest
from hypothesis import given

from flow_backend.errors import InvalidValue
from flow_backend.values.sizes import (
    check_document,
    check_value,
    document_size,
    format_size,
    nesting_of,
    size_of,
)
from flow_backend.values.value import Int64, Value
from tests.values.models import in_array, in_object, nested, values

MIB = 2**20


def naive_size(value: Value) -> int:
    match value:
        case None | bool():
            return 1
        case int() | float():
            return 9
        case str():
            return len(value.encode()) + 2
        case bytes():
            return len(value) + 2
        case dict():
            return 2 + sum(len(name) + 1 + naive_size(item) for name, item in value.items())
        case _:
            return 2 + sum(map(naive_size, value))


def naive_nesting(value: Value) -> int:
    match value:
        case dict():
            return 1 + max([0, *map(naive_nesting, value.values())])
        case list() | tuple():
            return 1 + max([0, *map(naive_nesting, value)])
        case _:
            return 0


@pytest.mark.slow
@given(values)
def test_a_value_is_as_large_and_deep_as_counted_by_hand(value: Value) -> None:
    assert size_of(value) == naive_size(value)
    assert nesting_of(value) == naive_nesting(value)


@pytest.mark.parametrize(
    ("value", "size", "levels"),
    [
        (None, 1, 0),
        (True, 1, 0),
        (3, 9, 0),
        (Int64(3), 9, 0),
        (0.5, 9, 0),
        ("aä", 5, 0),
        (b"abc", 5, 0),
        ([], 2, 1),
        ({}, 2, 1),
        ({"ab": [None, (1.0,)]}, 2 + 3 + 2 + 1 + 11, 3),
        ({"": ""}, 2 + 1 + 2, 1),
    ],
)
def test_sizes_and_levels(value: object, size: int, levels: int) -> None:
    assert size_of(value) == size
    assert nesting_of(value) == levels


def test_a_value_may_have_32_mib_and_no_byte_more() -> None:
    check_value("x" * (32 * MIB - 2))
    with pytest.raises(InvalidValue) as caught:
        check_value(bytes(33 * MIB - 2))
    assert str(caught.value) == "Value is too large (33 MiB > maximum size 32 MiB)"
    with pytest.raises(InvalidValue, match=r"\(32\.01 MiB > maximum size 32 MiB\)"):
        check_value("x" * (32 * MIB - 1))


def test_a_value_may_have_64_levels() -> None:
    check_value(nested(64, in_array))
    for wrap in (in_array, in_object):
        with pytest.raises(InvalidValue) as caught:
            check_value(nested(65, wrap))
        assert str(caught.value) == (
            "Value is too nested (nested 65 levels deep > maximum nesting 64)"
        )
        with pytest.raises(InvalidValue):
            nesting_of(nested(65, wrap))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [0, {"b": "\ud800"}]}, "lone surrogate"),
        ({"a": [0, {"b": object()}]}, "object is not a value"),
        ({"a": [0, {"b": 2**53 + 1}]}, "Int64"),
        ({"a": [0, {"b": [0] * 8193}]}, "Array length is too long (8193 > maximum length 8192)"),
        (
            {"a": [0, {"b": dict.fromkeys(map(str, range(1025)), 0)}]},
            "Object has too many fields (1025 > maximum number 1024)",
        ),
        ({"a": [0, {"b": {"$c": 0}}]}, "Field name $c starts with '$', which is reserved."),
    ],
)
def test_whatever_is_wrong_inside_is_found(value: dict[str, object], message: str) -> None:
    for check in (check_value, check_document, size_of):
        with pytest.raises(InvalidValue) as caught:
            check(value)

        assert message in str(caught.value)
        assert str(caught.value).endswith(" (at .a[1].b)")


def test_a_document_counts_its_system_fields_also_before_it_has_them() -> None:
    system = {"_id": "j57000820c20a1g7104gm2rc1m70ynr8", "_creationTime": 1.0}

    assert document_size({"a": None}) == 2 + 3 + 38 + 23
    assert document_size({"a": None, **system}) == document_size({"a": None})
    assert document_size({"a": None, **system}) == size_of({"a": None, **system})


def test_a_document_may_have_1_mib_and_no_byte_more() -> None:
    rest = document_size({"a": ""})

    check_document({"a": "x" * (MIB - rest)})
    with pytest.raises(InvalidValue) as caught:
        check_document({"a": "x" * (MIB - rest + 1)})
    assert str(caught.value) == "Value is too large (1.01 MiB > maximum size 1 MiB)"


def test_a_document_may_have_16_levels_itself_counted() -> None:
    check_document({"a": nested(15, in_array)})
    for levels in (16, 40):
        with pytest.raises(InvalidValue) as caught:
            check_document({"a": nested(levels, in_object)})
        assert str(caught.value) == (
            f"Document is too nested (nested {levels + 1} levels deep > maximum nesting 16)"
        )


def test_a_documents_own_names_are_checked() -> None:
    check_document({"_id": "x", "_creationTime": 1.0, "a": {"_b": 1}})
    with pytest.raises(InvalidValue, match="starts with an underscore"):
        check_document({"_b": 1})


def test_a_document_has_1024_fields_with_those_of_the_system() -> None:
    fields = dict.fromkeys(map(str, range(1022)))

    check_document(fields)
    with pytest.raises(InvalidValue, match="too many fields"):
        check_document({**fields, "x": None})


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (MIB, "1 MiB"),
        (MIB + 1, "1.01 MiB"),
        (6 * MIB // 5, "1.2 MiB"),
        (100 * MIB, "100 MiB"),
    ],
)
def test_a_size_is_rounded_up(size: int, text: str) -> None:
    assert format_size(size) == text
