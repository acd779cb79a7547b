"""Rows for people: columns side by side, as wide as the terminal allows."""

import shutil
import sys
import unicodedata
from collections.abc import Sequence
from typing import Final

import orjson

from flow_backend.values.encode import encode
from flow_backend.values.value import Int64

_GAP: Final = "  "
_LEAST: Final = 6
"""What a column keeps of its width when not all of them have room."""


def table_lines(
    columns: Sequence[str], rows: Sequence[Sequence[object]], width: int | None = None
) -> list[str]:
    """Give the lines of a table: the names, a rule, then the rows; numbers to the right.

    Without a ``width`` in characters nothing is cut. With one, the widest columns give way first,
    and what is cut ends in an ellipsis.
    """
    cells = [[cell_text(cell) for cell in row] for row in rows]
    right = [all(_is_number(row[place]) for row in rows) for place in range(len(columns))]
    widths = [
        max(map(shown_width, (name, *(row[place] for row in cells))))
        for place, name in enumerate(columns)
    ]
    if width is not None:
        widths = _fitted(widths, width - len(_GAP) * (len(columns) - 1))
    lines = [
        _line(columns, widths, right),
        _GAP.join("─" * each for each in widths),
        *(_line(row, widths, right) for row in cells),
    ]
    return [line.rstrip() for line in lines]


def _is_number(cell: object) -> bool:
    return cell is None or (isinstance(cell, (int, float, Int64)) and not isinstance(cell, bool))


def terminal_width() -> int | None:
    """Give the width of the terminal in characters, None if the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def cell_text(cell: object) -> str:
    """Give a value as a cell shows it: text as it is, on one line; whole numbers without a dot."""
    if isinstance(cell, str):
        return one_line(cell)
    if cell is None:
        return "null"
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, (bytes, bytearray)):
        return f"<{len(cell)} bytes>"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, (int, float)):
        return str(cell)
    return one_line(orjson.dumps(orjson.loads(encode(cell))).decode())


def one_line(text: str) -> str:
    """Show what would break the line, or change the terminal, as its escape."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def shown_width(text: str) -> int:
    """Give how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )


def _fitted(widths: list[int], room: int) -> list[int]:
    """Take from the widest until all fit, or none can give more."""
    fitted = list(widths)
    while sum(fitted) > room:
        widest = max(fitted)
        if widest <= _LEAST:
            break
        fitted[fitted.index(widest)] -= 1
    return fitted


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    shown: list[str] = []
    for cell, width, to_right in zip(cells, widths, right, strict=True):
        text = _cut(cell, width)
        space = " " * (width - shown_width(text))
        shown.append(space + text if to_right else text + space)
    return _GAP.join(shown)


def _cut(text: str, width: int) -> str:
    if shown_width(text) <= width:
        return text
    kept = ""
    for each in text:
        if shown_width(kept + each) > width - 1:
            break
        kept += each
    return f"{kept}…"
