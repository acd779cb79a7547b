"""Ranks: strings that order cards, so that a move writes one document.

They are fractional keys in base 62: between any two there is another. The browser computes the same
keys for its guess (npm's fractional-indexing and this package agree).
"""

from collections.abc import Sequence

from fractional_indexing import generate_key_between, generate_n_keys_between

LONG_RANK = 48
"""A column with a longer rank is spread anew. Only many moves to one spot make ranks that long."""


def rank_between(before: str | None, after: str | None) -> str:
    """Give a rank behind ``before`` and ahead of ``after``; None is the column's end."""
    return str(generate_key_between(before, after))


def spread(count: int) -> Sequence[str]:
    """Give short ranks for a whole column, in order."""
    return [str(key) for key in generate_n_keys_between(None, None, count)]
