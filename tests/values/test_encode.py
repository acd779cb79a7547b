"""Values go into JSON and come back the same, in the very form that the clients read."""

import json
import re
import struct
from collections.abc import Callable
from datetime import date
from enum import StrEnum

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_backend.errors import InvalidValue
from flow_backend.values.encode import (
    decode,
    encode,
    from_export,
    from_wire,
    parse_json,
    to_clean,
    to_export,
    to_wire,
)
from flow_backend.values.value import Int64, JsonValue, Value
from tests.values.models import NAN_WITH_PAYLOAD, in_array, in_object, nested, same, values

VECTORS: list[tuple[Value, str]] = [
    (Int64(0), '{"$integer":"AAAAAAAAAAA="}'),
    (Int64(1), '{"$integer":"AQAAAAAAAAA="}'),
    (Int64(-1), '{"$integer":"//////////8="}'),
    (Int64(2**63 - 1), '{"$integer":"/////////38="}'),
    (Int64(-(2**63)), '{"$integer":"AAAAAAAAAIA="}'),
    (-0.0, '{"$float":"AAAAAAAAAIA="}'),
    (float("nan"), '{"$float":"AAAAAAAA+H8="}'),
    (float("inf"), '{"$float":"AAAAAAAA8H8="}'),
    (float("-inf"), '{"$float":"AAAAAAAA8P8="}'),
    (b"\x00\x01\xff", '{"$bytes":"AAH/"}'),
    (0.0, "0.0"),
    (1.0, "1.0"),
    (0.1, "0.1"),
    (1e300, "1e+300"),
    (1.7976931348623157e308, "1.7976931348623157e+308"),
    (None, "null"),
    (True, "true"),
    ("ä\x00", '"ä\\u0000"'),
    ({"b": [], "a": {}, "": None}, '{"":null,"a":{},"b":[]}'),
]


class Colour(StrEnum):
    RED = "red"


class Name(str):
    __slots__ = ()


class Metres(float):
    __slots__ = ()


@pytest.mark.parametrize(("value", "text"), VECTORS)
def test_a_value_has_the_text_of_the_specification(value: Value, text: str) -> None:
    assert encode(value) == text.encode()
    assert same(decode(text), value)


@pytest.mark.slow
@given(values)
def test_every_value_comes_back_the_same(value: Value) -> None:
    data = encode(value)

    assert same(decode(data), value)
    assert same(decode(data.decode()), value)
    assert same(from_wire(to_wire(value)), value)
    assert encode(decode(data)) == data


@pytest.mark.slow
@given(values)
def test_the_text_is_canonical(value: Value) -> None:
    """Another JSON library sees sorted keys and no bare integer, and would leave no space."""

    def refuse(text: str) -> None:
        raise AssertionError(text)

    def ordered(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert [name for name, _ in pairs] == sorted({name for name, _ in pairs})
        return dict(pairs)

    text = encode(value).decode()
    json.loads(text, parse_int=refuse, parse_constant=refuse, object_pairs_hook=ordered)
    outside_strings = re.sub(r'"(\\.|[^"\\])*"', "", text)
    assert not re.search(r"\s", outside_strings)


def test_an_int_is_a_float_on_the_wire() -> None:
    assert encode([3, 2**53, -(2**53), True]) == (
        b"[3.0,9007199254740992.0,-9007199254740992.0,true]"
    )


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, pytest.param(10**5000, id="huge")])
def test_an_int_without_an_exact_float_is_refused(number: int) -> None:
    with pytest.raises(InvalidValue, match="Int64"):
        to_wire(number)


def test_subclasses_of_the_types_are_what_they_derive_from() -> None:
    value = {Name("k"): (Name("v"), Colour.RED, Metres(1.5), Metres("inf"))}

    assert encode(value) == b'{"k":["v","red",1.5,{"$float":"AAAAAAAA8H8="}]}'


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"rooms": [1, 2, {"owner": date(2026, 1, 2)}]}, "date is not a value"),
        ({"rooms": [1, 2, {"owner": {"$a": 1}}]}, "starts with '$'"),
        ({"rooms": [1, 2, {"owner": "\ud800"}]}, "lone surrogate"),
        ({"rooms": [1, 2, {"owner": 2**60}]}, "past ±2^53"),
        ({"rooms": [1, 2, {"owner": [0] * 8193}]}, "Array length is too long (8193 > "),
        ({"rooms": ("", "", {"owner": {1: 2}})}, "Field names are strings, not int"),
        ({"rooms": [1, 2, {"owner": {3}}]}, "set is not a value"),
    ],
)
def test_a_refusal_says_where(value: object, message: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        encode(value)

    assert message in str(caught.value)
    assert str(caught.value).endswith(" (at .rooms[2].owner)")


def test_a_refusal_on_the_way_in_says_where() -> None:
    with pytest.raises(InvalidValue) as caught:
        decode('{"a":[0,{"b":{"$bytes":"A"}}]}')

    assert str(caught.value) == "$bytes takes standard base64 with padding (at .a[1].b)"


@pytest.mark.parametrize(("text", "value"), [("3", 3.0), ("[-7]", [-7.0]), ("-0.0", -0.0)])
def test_a_json_number_is_a_float(text: str, value: Value) -> None:
    """JavaScript writes 3 for 3.0, and it must never become an int64."""
    assert same(decode(text), value)


def test_of_a_key_that_stands_twice_the_last_counts() -> None:
    assert decode('{"a":1.0,"a":"x"}') == {"a": "x"}


@pytest.mark.parametrize(
    "text",
    [
        '{"$integer":"AAAAAAAAAA=="}',  # Seven bytes.
        '{"$integer":1}',
        '{"$integer":"AQAAAAAAAAA"}',
        '{"$integer":" AQAAAAAAAAA="}',
        '{"$integer":"AQAAAAAAAAA=","x":1}',
        '{"$float":"AAAAAAAA8D8="}',  # 1.0
        '{"$float":"AAAAAAAAAAA="}',  # +0
        '{"$bytes":"AAF="}',  # Bits that no byte has.
        '{"$bytes":"-_8="}',
        '{"$bytes":"ä"}',
        '{"$bytes":null}',
        '{"$set":[]}',
        '{"$map":[]}',
        '{"$undefined":null}',
        '{"$commitTs":null}',
        '{"$":1}',
        '{"a":1,"$b":2}',
        '{"ä":1}',
        "",
        "nul",
        "NaN",
        "1e999",
        "[1,]",
        '"\\ud800"',
        '"\ud800"',
        b"\xff",
        '{"a":' * 900 + "1" + "}" * 900,
        "[" * 100_000 + "]" * 100_000,
        "9" * 400,
    ],
)
def test_what_is_no_value_is_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidValue):
        decode(text)


@given(st.binary() | st.text())
def test_any_input_gives_a_value_or_the_one_error(data: bytes | str) -> None:
    try:
        value = decode(data)
    except InvalidValue:
        return
    assert same(decode(encode(value)), value)


@pytest.mark.parametrize("wrap", [in_array, in_object])
def test_64_levels_pass_and_65_do_not(wrap: Callable[[object], object]) -> None:
    fits, too_deep = nested(64, wrap), nested(65, wrap)

    assert decode(encode(fits)) == fits
    for refuse in (lambda: encode(too_deep), lambda: decode(orjson.dumps(too_deep))):
        with pytest.raises(InvalidValue, match=r"nested 65 levels deep > maximum nesting 64\)$"):
            refuse()


def test_a_value_that_holds_itself_is_refused() -> None:
    ring: list[object] = []
    ring.append(ring)

    with pytest.raises(InvalidValue, match="too nested"):
        encode(ring)


def test_the_bounds_of_arrays_and_objects_hold_both_ways() -> None:
    array, fields = [None] * 8192, dict.fromkeys(map(str, range(1024)))

    assert decode(encode([array, fields])) == [array, fields]
    for value, message in (
        ([*array, None], r"Array length is too long \(8193 > maximum length 8192\)"),
        ({**fields, "x": None}, r"Object has too many fields \(1025 > maximum number 1024\)"),
    ):
        for refuse in (lambda v=value: encode(v), lambda v=value: decode(orjson.dumps(v))):
            with pytest.raises(InvalidValue, match=message):
                refuse()


@pytest.mark.parametrize(
    ("value", "clean", "export"),
    [
        (Int64(123), b'"123"', b"123"),
        (-0.0, b"-0.0", b"-0.0"),
        (3, b"3.0", b"3.0"),
        (float("nan"), b'"NaN"', b'{"$float":"AAAAAAAA+H8="}'),
        (float("inf"), b'"Infinity"', b'{"$float":"AAAAAAAA8H8="}'),
        (float("-inf"), b'"-Infinity"', b'{"$float":"AAAAAAAA8P8="}'),
        (b"\x00\x01\xff", b'"AAH/"', b'{"$bytes":"AAH/"}'),
        ({"a": (None, True, "x")}, b'{"a":[null,true,"x"]}', b'{"a":[null,true,"x"]}'),
    ],
)
def test_the_two_other_formats(value: Value, clean: bytes, export: bytes) -> None:
    assert orjson.dumps(to_clean(value)) == clean
    assert orjson.dumps(to_export(value)) == export


@pytest.mark.slow
@given(values)
def test_an_export_loses_nothing(value: Value) -> None:
    printed = orjson.dumps(to_export(value))

    assert same(from_export(parse_json(printed)), value)


def test_an_export_refuses_an_integer_of_more_than_64_bits() -> None:
    with pytest.raises(InvalidValue, match="does not fit"):
        from_export(parse_json("18446744073709551615"))


def test_the_payload_of_a_nan_survives() -> None:
    value = decode(encode(NAN_WITH_PAYLOAD))

    assert struct.pack(">d", value).hex() == "fff8000000000abc"


def test_parsing_json_looks_at_no_meaning() -> None:
    expected: JsonValue = {"$x": [1, 1.0]}

    assert parse_json('{"$x":[1,1.0]}') == expected
    with pytest.raises(InvalidValue, match="not JSON"):
        parse_json("{")
