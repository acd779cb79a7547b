"""What an Int64 takes, and that an absent field is one thing only."""

import copy
import pickle

import pytest

from flow_backend.errors import InvalidValue
from flow_backend.values.value import UNSET, Int64


@pytest.mark.parametrize("number", [0, 1, -1, 2**63 - 1, -(2**63)])
def test_an_int64_is_an_int_of_its_own_type(number: int) -> None:
    assert Int64(number) == number
    assert repr(Int64(number)) == f"Int64({number})"
    assert f"{Int64(number)}" == str(number)
    assert type(pickle.loads(pickle.dumps(Int64(number)))) is Int64


@pytest.mark.parametrize(
    "number", [2**63, -(2**63) - 1, True, False, 1.0, "1", None, pytest.param(10**5000, id="huge")]
)
def test_an_int64_refuses_what_is_no_integer_of_64_bits(number: int) -> None:
    with pytest.raises(InvalidValue, match="Int64"):
        Int64(number)


def test_there_is_one_unset_and_it_is_true() -> None:
    assert copy.deepcopy(UNSET) is UNSET
    assert pickle.loads(pickle.dumps(UNSET)) is UNSET
    assert bool(UNSET)
    assert repr(UNSET) == "UNSET"
