"""A deployment in words: what it changes, what must be agreed to, and what is wrong with it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

Fields = Mapping[str, Any]

_PARTS: Final = ("functions", "tables", "indexes", "crons", "routes")
_LISTED_MAX: Final = 40
_WIDTH: Final = max(map(len, _PARTS)) + 2


def plan_lines(summary: Fields) -> list[str]:
    """Give what a version changes, a line for each thing; none if it changes nothing."""
    lines: list[str] = []
    for part in _PARTS:
        lines += _titled(part, list(_entries(summary.get(part, {}))))
    filled = [f"{each['index']}: {documents(each['documents'])}" for each in _of(summary, "fill")]
    return lines + _titled("to fill", filled)


def brief(summary: Fields) -> str:
    """Give what a version changes in a few words: ``functions +1 ~2, indexes -1``."""
    parts: list[str] = []
    for part in _PARTS:
        changes: Fields = summary.get(part, {})
        counts = [
            f"{sign}{len(changes[name])}"
            for sign, name in (("+", "added"), ("~", "changed"), ("-", "removed"))
            if changes.get(name)
        ]
        if counts:
            parts.append(f"{part} {' '.join(counts)}")
    return ", ".join(parts)


def problem_lines(problems: Iterable[Fields]) -> list[str]:
    """Give a line for each problem: its text says where it is, too."""
    return [f"  {each['text']}" for each in problems]


def progress_text(deployment: Fields) -> str:
    """Say in a few words where a deployment stands."""
    progress: Fields = deployment.get("progress") or {}
    state = str(deployment["state"])
    if not progress.get("total"):
        return state
    what = f"{int(progress['done']):,} of {int(progress['total']):,} {progress['what']}"
    return f"{state}: {what}"


def documents(count: float) -> str:
    """Give a number of documents with its word."""
    return f"{int(count):,} {'document' if count == 1 else 'documents'}"


def _titled(title: str, entries: list[str]) -> list[str]:
    if len(entries) > _LISTED_MAX:
        entries = [*entries[:_LISTED_MAX], f"… and {len(entries) - _LISTED_MAX:,} more"]
    return [f"  {'' if place else title:{_WIDTH}}{each}" for place, each in enumerate(entries)]


def _entries(changes: Fields) -> Iterator[str]:
    yield from (f"+ {name}" for name in _of(changes, "added"))
    for name, parts in changes.get("changed", {}).items():
        yield f"~ {name}  ({', '.join(parts)})"
    yield from (f"- {name}" for name in _of(changes, "removed"))


def _of(fields: Fields, name: str) -> list[Any]:
    return list(fields.get(name, ()))
