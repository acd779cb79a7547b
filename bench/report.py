"""What a run found: tables for people, JSON for comparing runs."""

import statistics
from collections.abc import Sequence
from typing import Final

from attrs import define, field, frozen

Cell = str | float | None

_GAP: Final = "  "


@frozen
class Options:
    """How long to measure, and among how much: other subscriptions, accounts, idle sockets."""

    quick: bool
    smoke: bool
    rounds: int
    round_seconds: float
    starts: int
    keys: int
    accounts: int
    idle: int

    @staticmethod
    def of(length: str) -> "Options":
        """Give the lengths of a ``whole`` run, a ``quick`` one, or one that only shows it runs."""
        match length:
            case "whole":
                return Options(False, False, 5, 0.8, 4, 20_000, 100_000, 5_000)
            case "quick":
                return Options(True, False, 2, 0.3, 1, 2_000, 10_000, 1_000)
            case _:
                return Options(True, True, 1, 0.05, 1, 100, 500, 100)


@define
class Section:
    """One benchmark: a table, whose columns are the keys of its rows."""

    title: str
    rows: list[dict[str, Cell]] = field(factory=list[dict[str, Cell]])
    notes: list[str] = field(factory=list[str])

    def lines(self) -> list[str]:
        """Lay the table out."""
        columns = list(self.rows[0])
        texts = [columns, *([_text(row[column]) for column in columns] for row in self.rows)]
        widths = [max(len(row[place]) for row in texts) for place in range(len(columns))]
        lines = [self.title]
        for row in texts:
            first = row[0].ljust(widths[0])
            others = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append(_GAP.join(["", first, *others]).rstrip())
        return [*lines, *(f"  {note}" for note in self.notes), ""]


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    if cell >= 100 or cell == int(cell):
        return f"{cell:,.0f}"
    return f"{cell:.3g}" if cell < 1 else f"{cell:.1f}"


def median(numbers: Sequence[float]) -> float:
    """Give the middle of several rounds."""
    return statistics.median(numbers)


def percentile(numbers: Sequence[float], share: float) -> float:
    """Give the number below which a share of all lies."""
    ordered = sorted(numbers)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
