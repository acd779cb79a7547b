"""Ranks, beside those of the package that browsers use."""

import json
from itertools import pairwise
from pathlib import Path

from flow.rank import rank_between, ranks_between

RECORDED = json.loads((Path(__file__).parent / "npm_ranks.json").read_text())


def test_ranks_equal_those_of_the_browsers_package() -> None:
    """The browser's guess then stands where the server's answer will: nothing jumps."""
    assert len(RECORDED["between"]) == 270
    for low, high, recorded in RECORDED["between"]:
        assert rank_between(low, high) == recorded, (low, high)


def test_many_ranks_at_once_equal_those_of_the_browsers_package() -> None:
    """Short, in order, and the same on both sides."""
    for low, high, recorded in RECORDED["many"]:
        assert ranks_between(low, high, len(recorded)) == recorded, (low, high)
        assert all(first < second for first, second in pairwise(recorded))
