"""Frozen records that are cheap to make: what actors, storage and functions hand each other."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrs import frozen
else:
    from functools import partial

    import attrs

    # To type checkers, which see every line, these classes are attrs.frozen. At run time nothing
    # traps an assignment: attrs would fill each field of a frozen instance through a call, and a
    # move of a card makes some forty records.
    frozen = partial(attrs.define, unsafe_hash=True)

__all__ = ["frozen"]
