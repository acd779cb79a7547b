"""Ranks: strings that order cards, so that a move writes one document.

They are fractional keys in base 62: between any two there is another. The browser computes the same
keys for its guess (npm's fractional-indexing and this package agree).
"""

from collections.abc import Sequence
from typing import Final

from fractional_indexing import generate_key_between, generate_n_keys_between

LONG_RANK: Final = 48
"""Characters. A column with a longer rank is spread anew: only many moves to one spot make some."""


def rank_between(low: str | None, high: str | None) -> str:
    """Give a rank behind ``low`` and ahead of ``high``; None is the column's end on that side."""
    return str(generate_key_between(low, high))


def ranks_between(low: str | None, high: str | None, count: int) -> Sequence[str]:
    """Give ``count`` short ranks in order, all of them behind ``low`` and ahead of ``high``."""
    return [str(key) for key in generate_n_keys_between(low, high, count)]
