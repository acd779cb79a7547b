"""Ids have Convex's format, and of all strings only one stands for each document."""

from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flow_backend.errors import InvalidId
from flow_backend.schema.ids import decode_id, encode_id, new_internal_id, table_number_of

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
COUNTED = bytes(range(16))

VECTORS = [
    (10001, COUNTED, "j57000820c20a1g7104gm2rc1m70ynr8"),
    (10001, bytes(16), "j5700000000000000000000000001qv0"),
    (10002, b"\xff" * 16, "j97fzzzzzzzzzzzzzzzzzzzzzzzzzm7a"),
    (1, COUNTED, "040020g30g2gc1r81450p30d1r7qke8"),
]

table_numbers = st.one_of(
    [st.integers(1, limit) for limit in (2**7 - 1, 2**14 - 1, 2**21 - 1, 2**28 - 1, 2**32 - 1)]
)
internals = st.binary(min_size=16, max_size=16)


def text_of(binary: bytes) -> str:
    """Base 32, bit by bit, without a look at what the bytes are."""
    bits = "".join(f"{byte:08b}" for byte in binary)
    bits += "0" * (-len(bits) % 5)
    return "".join(ALPHABET[int(bits[at : at + 5], 2)] for at in range(0, len(bits), 5))


def with_checksum(body: bytes) -> bytes:
    """Fletcher-16 as the specification words it."""
    c0 = c1 = 0
    for byte in body:
        c0 = (c0 + byte) % 256
        c1 = (c1 + c0) % 256
    return body + (c1 * 256 + c0).to_bytes(2, "little")


@pytest.mark.parametrize(("number", "internal", "text"), VECTORS)
def test_an_id_has_the_text_of_the_specification(number: int, internal: bytes, text: str) -> None:
    assert encode_id(number, internal) == text
    assert decode_id(text) == (number, internal)
    assert table_number_of(text) == number


@given(table_numbers, internals)
def test_ids_come_back(number: int, internal: bytes) -> None:
    text = encode_id(number, internal)

    assert decode_id(text) == (number, internal)
    assert table_number_of(text) == number


@pytest.mark.parametrize(
    ("number", "length"),
    [
        (127, 31),
        (128, 32),
        (2**14 - 1, 32),
        (2**14, 34),
        (2**21, 36),
        (2**28 - 1, 36),
        (2**28, 37),
        (2**32 - 1, 37),
    ],
)
def test_the_table_decides_the_length(number: int, length: int) -> None:
    groups, rest = [number & 127], number >> 7
    while rest:
        groups[-1] |= 128
        groups.append(rest & 127)
        rest >>= 7

    assert encode_id(number, COUNTED) == text_of(with_checksum(bytes(groups) + COUNTED))
    assert len(encode_id(number, COUNTED)) == length


@pytest.mark.slow
@given(table_numbers, internals, st.data())
def test_one_changed_character_makes_another_id_or_none(
    number: int, internal: bytes, data: st.DataObject
) -> None:
    """The checksum cannot find every change; but what is taken is written in just that way."""
    text = encode_id(number, internal)
    at = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.sampled_from(ALPHABET + "ilouAZ _+-!é0"))
    changed = text[:at] + character + text[at + 1 :]
    assume(changed != text)

    try:
        found = decode_id(changed)
    except InvalidId:
        return
    assert found != (number, internal)
    assert encode_id(*found) == changed


@given(st.text(max_size=40) | st.text(alphabet=ALPHABET, min_size=30, max_size=38))
def test_any_text_is_an_id_or_refused(text: str) -> None:
    try:
        found = decode_id(text)
    except InvalidId:
        return
    assert encode_id(*found) == text


GOOD = VECTORS[0][2]


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD[:-1],
        GOOD + "0",
        GOOD.upper(),
        GOOD[:-1] + "9",  # The checksum.
        "i" + GOOD[1:],
        "_" + GOOD[1:],
        GOOD[:5] + "_" + GOOD[6:],
        " " + GOOD[1:],
        GOOD[:-1] + "\n",
        "+" + GOOD[1:],
        "é" * 32,
        "\ud800" * 32,
        "٣" * 32,  # A digit, as int() sees it.
        VECTORS[3][2][:-1] + "9",  # An unused bit.
        text_of(with_checksum(bytes([0]) + COUNTED)),  # Number 0.
        text_of(with_checksum(bytes([0x81, 0x00]) + COUNTED)),  # Number 1, in two bytes.
        text_of(with_checksum(bytes([0x81]) + COUNTED)),  # The number goes on, the id does not.
        text_of(with_checksum(bytes([0x01, 0x01]) + COUNTED)),
        text_of(with_checksum(bytes([0xFF] * 4 + [0x1F]) + COUNTED)),  # Past 32 bits.
    ],
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidId, match="is not a document id"):
        decode_id(text)


@pytest.mark.parametrize("text", ["", "j57", "!" * 32, "é" * 32, "0" * 32, "z" * 32])
def test_the_number_alone_is_refused_where_none_can_be_read(text: str) -> None:
    with pytest.raises(InvalidId):
        table_number_of(text)


def test_a_new_id_is_random_but_for_the_day() -> None:
    one, other = new_internal_id(Random(1), 20_000), new_internal_id(Random(2), 20_000)

    assert len(one) == 16
    assert one[14:] == other[14:] == (20_000).to_bytes(2, "big")
    assert one[:14] != other[:14]
    assert new_internal_id(Random(1), 20_000) == one
