"""What is not read at all, and what is marked by a sign: projects, labels, people, priorities."""

import re
from typing import Final

from flow.quick_add.line import Line
from flow.quick_add.result import Marks, Names
from flow.quick_add.words import END

_PROTECTED: Final = (
    re.compile(r"`[^`]+`"),
    re.compile(r"\[\[[^\]]+\]\]"),
    re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE),
    re.compile(r"(?<!\S)[^\s@]+@[^\s@]*\w"),
    # Only a quotation that ends where a word could; an inch or an apostrophe begins none.
    re.compile(r'(?<![\w#/])"[^"]+"(?!\w)'),
    re.compile(r"(?<!\w)“[^”]+”"),
)
_ESCAPED: Final = re.compile(r"(?<!\S)\\(?=\S)\S+")
_NOTE: Final = re.compile(r"\s*(?:note|n):\s*(?=\S)", re.IGNORECASE)
_BODY: Final = re.compile(r"(?:(?<=\s)|(?<![\s\S]))//\s")
_NAME: Final = r"(?:\"[^\"]+\"|[^\s/\"#@]+)"
_PROJECT: Final = re.compile(rf"(?<!\S)#(?!\d+{END})({_NAME})(?:/({_NAME}))?")
_SECTION: Final = re.compile(rf"/({_NAME})")
_LABEL: Final = re.compile(r"(?<!\S)@([\w-]+(?:/[\w-]+)*)" + END)
_PERSON: Final = re.compile(r"(?<!\S)\+(\w[\w-]*)" + END)
_PRIORITY: Final = re.compile(r"(?<!\S)p([1-4])" + END, re.IGNORECASE)
_TAIL: Final = ",.;:!?)"


def protect(line: Line) -> None:
    """Set apart what is text whatever it spells; a backslash before a word goes."""
    for pattern in _PROTECTED:
        for found in list(pattern.finditer(line.view)):
            line.protect(*found.span())
    for found in list(_ESCAPED.finditer(line.view)):
        line.dropped.add(found.start())
        line.protect(*found.span())


def take_note(line: Line) -> bool:
    """Read ``note:`` at the start. What follows is the note, and nothing of it is read."""
    found = _NOTE.match(line.view)
    if found is None:
        return False
    line.take(*found.span(), "kind", "Note")
    return True


def take_marks(line: Line, names: Names) -> Marks:
    """Read what is marked by a sign, and the text behind ``//``."""
    body = _take_body(line)
    project, section = _take_project(line, names)
    labels = list[str]()
    for found in list(_LABEL.finditer(line.view)):
        labels.append(found[1])
        line.take(*found.span(), "label", found[1])
    return Marks(
        project=project,
        section=section,
        labels=tuple(dict.fromkeys(labels)),
        assignees=_take_people(line, names),
        priority=_take_priority(line),
        body=body,
    )


def _take_body(line: Line) -> str:
    found = _BODY.search(line.view)
    if found is None:
        return ""
    body = line.text[found.end() :].strip()
    line.take(found.start(), len(line.view), "body", "Text")
    return body


def _take_project(line: Line, names: Names) -> tuple[str | None, str | None]:
    """Read the last project. A name that exists may have spaces; the longest that fits wins."""
    last: tuple[int, int, str, str | None] | None = None
    for found in _PROJECT.finditer(line.view):
        start, end = found.span()
        name, section = _unquoted(line.text, found, 1), _unquoted(line.text, found, 2)
        existing = _existing(line, start + 1, names)
        if existing is not None:
            name, end = existing
            behind = _SECTION.match(line.view, end)
            section = None if behind is None else _unquoted(line.text, behind, 1)
            end = end if behind is None else behind.end()
        if not name or (section is None and name.isdigit()):
            continue
        # Punctuation behind it belongs to the sentence.
        last = start, end - _tail(section or name, line.text[end - 1]), name, section
        name, section = name.rstrip(_TAIL), section and section.rstrip(_TAIL)
        if name:
            last = last[0], last[1], name, section
    if last is None:
        return None, None
    start, end, name, section = last
    line.take(start, end, "project", name if section is None else f"{name} / {section}")
    return name, section


def _existing(line: Line, start: int, names: Names) -> tuple[str, int] | None:
    text = line.view[start:].casefold()
    for name in sorted(names.projects, key=len, reverse=True):
        folded = name.casefold()
        if text.startswith(folded) and re.match(rf"/|{END}", text[len(folded) :]) is not None:
            return name, start + len(name)
    return None


def _unquoted(text: str, found: re.Match[str], group: int) -> str | None:
    start, end = found.span(group)
    return None if start < 0 else " ".join(text[start:end].strip('"').split())


def _tail(name: str, last: str) -> int:
    """Count the punctuation at the end of a name that stands in no quotes."""
    return 0 if last == '"' else len(name) - len(name.rstrip(_TAIL))


def _take_people(line: Line, names: Names) -> tuple[str, ...]:
    known = {name.casefold(): name for name in names.people}
    people = list[str]()
    for found in list(_PERSON.finditer(line.view)):
        name = known.get(found[1].casefold())
        if name is not None:
            people.append(name)
            line.take(*found.span(), "person", name)
    return tuple(dict.fromkeys(people))


def _take_priority(line: Line) -> int | None:
    found = list(_PRIORITY.finditer(line.view))
    if not found:
        return None
    line.take(*found[-1].span(), "priority", f"P{found[-1][1]}")
    return int(found[-1][1])
