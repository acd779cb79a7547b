"""Counts the values in a JSON text before it is parsed: in memory each takes many times more."""

import re
from typing import Final

VALUES_MAX: Final = 1_000_000
"""How many values one message or body may hold, as the guarantees have it."""

_STRING: Final = re.compile(rb'"[^"]*"')


def has_too_many_values(text: bytes, most: int = VALUES_MAX) -> bool:
    """Tell whether a JSON text holds more than ``most`` values; names of fields are none.

    Empty arrays take 64 bytes each where their text takes three: 32 MiB of them would take 700.
    Texts within a megabyte cost nothing here; in others a few characters are counted.

    Source: the guarantees, "Back-pressure and bounds".
    """
    if len(text) <= most or _separators(text) <= most:
        return False
    if b"\\" in text:
        # Without its escapes, every quotation mark begins or ends a string.
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    # As many values, each a string with a name: more than that need not be looked at.
    if text.count(b'"') > 4 * most:
        return True
    return _separators(_STRING.sub(b"", text)) > most


def _separators(text: bytes) -> int:
    """Give at least the number of values: before each one but the first stands one of these."""
    return text.count(b",") + text.count(b"[") + text.count(b"{")
