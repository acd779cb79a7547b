"""Reminders in a line: how long before, when, or none."""

import re
from typing import Final

from flow.quick_add.line import Line
from flow.quick_add.words import COUNT, count_of, phrase

_UNIT: Final = r"(?:minutes?|mins?|min|m|hours?|hrs?|h|days?|d|weeks?|w)"
_AMOUNT: Final = rf"(?:{COUNT}|half an)\s*{_UNIT}"
_BEFORE: Final = phrase(
    rf",?\s*remind me (?P<amounts>{_AMOUNT}(?: and {_AMOUNT})?) (?:before|earlier)"
)
_SHORT: Final = phrase(r"!(?P<count>\d{1,4})(?P<unit>m|min|h|d|w)")
_NONE: Final = phrase("no reminders?|without reminders?")
_ANY: Final = re.compile("remind|![0-9]", re.IGNORECASE)
_ONE: Final = re.compile(rf"(?P<count>{COUNT}|half an)\s*(?P<unit>{_UNIT})", re.IGNORECASE)
START: Final = re.compile(r"\s*remind me(?:\s+(?:to|that|about))?(?=\s+\S)", re.IGNORECASE)
ABSOLUTE: Final = phrase(r",?\s*remind me")


def take_offsets(line: Line) -> tuple[str, ...] | None:
    """Read ``remind me 30m before``, ``!30m`` and ``no reminder``; None if none is there."""
    found = list[tuple[int, str]]()
    if _ANY.search(line.view) is None:
        return None
    for match in list(_BEFORE.finditer(line.view)):
        for one in _ONE.finditer(match["amounts"]):
            found.append((match.start(), _offset(one["count"], one["unit"])))
        line.take(*match.span(), "reminder", f"{' '.join(match['amounts'].split())} before")
    for match in list(_SHORT.finditer(line.view)):
        found.append((match.start(), _offset(match["count"], match["unit"])))
        line.take(*match.span(), "reminder", f"{match['count']}{match['unit']} before")
    if found:
        return tuple(dict.fromkeys(offset for _, offset in sorted(found, key=lambda each: each[0])))
    none = _NONE.search(line.view)
    if none is None:
        return None
    line.take(*none.span(), "reminder", "No reminder")
    return ()


def _offset(count: str, unit: str) -> str:
    kind = unit.lower()[0]
    if count.lower() == "half an":
        return "-PT30M"
    number = count_of(count)
    if kind in "dw":
        return f"-P{number * (7 if kind == 'w' else 1)}D"
    return f"-PT{number}{kind.upper()}"
