"""Timestamps on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_backend.errors import InvalidValue
from flow_backend.values.timestamp import LAST_TS, CommitTs, decode_ts, encode_ts


@pytest.mark.parametrize(
    ("ts", "text"),
    [
        (0, "AAAAAAAAAAA="),
        (1, "AQAAAAAAAAA="),
        (256, "AAEAAAAAAAA="),
        (LAST_TS, "/////////38="),
    ],
)
def test_known_timestamps_have_their_known_texts(ts: int, text: str) -> None:
    """The bytes are little endian: the other order would look right for zero alone."""
    assert encode_ts(CommitTs(ts)) == text
    assert decode_ts(text) == ts


@given(st.integers(0, LAST_TS))
def test_a_timestamp_comes_back(ts: int) -> None:
    assert decode_ts(encode_ts(CommitTs(ts))) == ts


@pytest.mark.parametrize("ts", [-1, LAST_TS + 1])
def test_a_timestamp_out_of_range_is_not_written(ts: int) -> None:
    with pytest.raises(InvalidValue, match="out of range"):
        encode_ts(CommitTs(ts))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AQAAAAAAAAA",
        "AQAAAAAAAAA==",
        "AQAAAAAAAAAA",  # Nine bytes.
        "AQAAAAAAAA==",  # Seven bytes.
        "AQAAAAAAAAB=",  # The last two bits are set.
        "AQAAAAA AAA=",
        "AQAAAAA-AAA=",
        "AQAAAAAÄAAA=",
        "//////////8=",  # 2^64 − 1: no commit ever has it, and it would not fit into storage.
    ],
)
def test_another_text_is_refused(text: str) -> None:
    """Each timestamp has one text: two that mean the same would compare as different."""
    with pytest.raises(InvalidValue):
        decode_ts(text)


@given(st.text(max_size=14))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        ts = decode_ts(text)
    except InvalidValue:
        return
    assert encode_ts(ts) == text
