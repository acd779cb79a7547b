"""A text's values are counted as the parser would count them, strings left out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_backend.values.amount import has_too_many_values

trees = st.recursive(
    st.none() | st.integers(0, 9) | st.text(alphabet='a,[{"\\:', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(alphabet='b,["\\', max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


def values_in(tree: object) -> int:
    match tree:
        case list():
            return 1 + sum(map(values_in, tree))
        case dict():
            return 1 + sum(map(values_in, tree.values()))
        case _:
            return 1


@given(trees, st.booleans())
def test_g_no_more_values_get_through_than_the_bound(tree: object, ascii_only: bool):
    text = json.dumps(tree, ensure_ascii=ascii_only).encode()
    count = values_in(tree)
    # Empty containers are counted twice.
    slack = len(json.dumps(tree)) - len(json.dumps(tree).replace("[]", "").replace("{}", ""))
    assert not has_too_many_values(text, count + slack)
    # Only the first value of all has nothing before it that is counted.
    assert count == 1 or has_too_many_values(text, (count - 1) // 2)


@pytest.mark.parametrize("inside", [b"[,", b'\\",', b"\\\\,{"])
def test_g_what_stands_in_a_string_is_one_value(inside: bytes):
    assert not has_too_many_values(b'["' + inside * 6_000 + b'"]', 1000)


@pytest.mark.parametrize("item", [b"[],", b"1,", b'"",', b'"\\\\",', b'"\\"",', b"{},"])
def test_g_one_value_more_than_the_bound_is_too_many(item: bytes):
    assert has_too_many_values(b"[" + item * 10_001 + b"0]", 10_000)
