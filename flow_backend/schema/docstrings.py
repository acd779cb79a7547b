"""Docstrings of Google's form, taken apart: the text, and what is said of each name."""

import inspect
import re
from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

_ITEMS: Final = frozenset({"Args", "Arguments", "Attributes"})
_SECTION: Final = re.compile(r"([A-Z][a-z]+):(?:\s+(.*))?")
_ITEM: Final = re.compile(r"(\*{0,2}\w+(?:,\s*\*{0,2}\w+)*):(?:\s+(.*))?")
_ROLE: Final = re.compile(r":[a-z]+:`~?([^`]+)`")


@frozen
class Docs:
    """What a docstring says.

    Attributes:
        text: all but the sections about names, in Markdown.
        items: of each parameter or attribute what is said of it, on one line.
    """

    text: str = ""
    items: Mapping[str, str] = field(factory=dict[str, str])


def read_docstring(docstring: str | None) -> Docs:
    """Take a docstring apart. What has another form than Google's stays in the text."""
    if not docstring:
        return Docs()
    text: list[str] = []
    items: dict[str, list[str]] = {}
    names: list[str] | None = None  # None outside of a section about names.
    for line in inspect.cleandoc(docstring).splitlines():
        section = _SECTION.fullmatch(line)
        if section is not None and section[1] in _ITEMS and not section[2]:
            names = []
        elif names is not None and (not line or line[0] == " "):
            names = _take_item(line, names, items)
        else:
            names = None
            text.append(line)
    joined = "\n".join(text).strip("\n")
    return Docs(
        _markdown(re.sub(r"\n{3,}", "\n\n", joined)),
        {name: _markdown(" ".join(lines)) for name, lines in items.items()},
    )


def _take_item(line: str, names: list[str], items: dict[str, list[str]]) -> list[str]:
    """Read a line of a section about names; the result is whom the next line may go on about."""
    stripped = line.strip()
    item = _ITEM.fullmatch(stripped)
    # The names of Google's form stand at one level of indentation, and what goes on at two.
    if item is not None and line.startswith("    ") and not line.startswith("     "):
        names = [each.strip(" *") for each in item[1].split(",")]
        for name in names:
            items[name] = [item[2]] if item[2] else []
    elif stripped:
        for name in names:
            items[name].append(stripped)
    return names


def _markdown(text: str) -> str:
    """Turn what Sphinx would read into Markdown."""
    return _ROLE.sub(r"`\1`", text).replace("``", "`")
