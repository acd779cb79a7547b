"""Markdown as HTML that is safe to show, piece by piece, so that a change costs one piece."""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from html import escape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

COST_MAX: Final = 450_000
"""What is rendered of one text, in microseconds as they were measured: under half of what a query
has. What comes after it is shown as it was written."""

_KEPT_PIECES: Final = 2_048
_KEPT_LENGTH: Final = 4_000

# To Markdown a line of other spaces is none of an empty one.
_SPACE: Final = " \t\n"
_FENCE: Final = re.compile(r"(`{3,}|~{3,})([^\n]*)\n?")
_SHIFTED_FENCE: Final = re.compile(r" {1,3}(?:`{3}|~{3})")
_MARKED_LINE: Final = re.compile(r"^[ >]*[-*+#|0-9]", re.MULTILINE)
# A letter, or a heading: with an empty line before, either ends all that was open but a fence.
_FRESH: Final = re.compile(r"[^\W\d_]|#{1,6} ")

_TAGS: Final = (
    "a blockquote br code del em h1 h2 h3 h4 h5 h6 hr li ol p pre s strong table tbody td th thead "
    "tr ul"
)
_ATTRIBUTES: Final = {"a": {"href", "title"}, "ol": {"start"}}


def render(text: str) -> str:
    """Give a Markdown text as HTML.

    Tables and struck out words are understood, and a line's end is one. HTML in the text is shown
    as text. Links open a page of their own that learns nothing of this one. An image becomes a link
    to it: to look at a note must not tell anyone else that it was looked at.
    """
    parts: list[str] = []
    left = COST_MAX
    pieces = split(text)
    for index, piece in enumerate(pieces):
        left -= _cost(piece)
        if left < 0:
            parts.append(f"<pre>{escape(''.join(pieces[index:]), quote=False)}</pre>\n")
            break
        parts.append(_kept(piece) if len(piece) <= _KEPT_LENGTH else render_piece(piece))
    return "".join(parts)


def split(text: str) -> list[str]:
    """Split a text where its parts can be rendered apart and give the same, put together."""
    # A definition of a link holds for the whole text, also before it.
    return [text] if "]:" in text else list(_pieces(text))


def _pieces(text: str) -> Iterator[str]:
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    start, fence = 0, ""
    after_blank = False
    for index, line in enumerate(lines):
        if not fence and _SHIFTED_FENCE.match(line):
            break  # Whether it opens one depends on the list that it may stand in.
        if after_blank and not fence and _FRESH.match(line):
            yield "".join(lines[start:index])
            start = index
        fence = _fence_after(line, fence)
        after_blank = not line.strip(_SPACE)
    if start < len(lines):
        yield "".join(lines[start:])


def _fence_after(line: str, fence: str) -> str:
    """Give what opened the code that stands after a line, or an empty text outside of code."""
    # What closes one may be shifted by up to three spaces.
    found = _FENCE.match(re.sub(r"^ {1,3}", "", line) if fence else line)
    if found is None:
        return fence
    marks, rest = found.groups()
    if fence:
        closes = marks[0] == fence[0] and len(marks) >= len(fence) and not rest.strip(_SPACE)
        return "" if closes else fence
    return "" if marks[0] == "`" and "`" in rest else marks


def _cost(piece: str) -> int:
    """Estimate how long a piece takes, from what was measured of the slowest of each kind."""
    count = piece.count
    lines = 25 * count("\n") + 35 * len(_MARKED_LINE.findall(piece))
    marks = 12 * (count("*") + count("~") + count("_")) + 25 * count("|")
    links = 20 * (count("[") + count("](")) + 60 * (count("![") + count("][") + count("://"))
    others = 5 * (count("`") + count("<") + count("&") + count("\\"))
    return len(piece) // 3 + lines + marks + links + others


def render_piece(piece: str) -> str:
    """Give a piece of Markdown as clean HTML, however long it takes."""
    import nh3

    return nh3.clean(
        _markdown().render(piece),
        tags=set(_TAGS.split()),
        attributes=_ATTRIBUTES,
        set_tag_attribute_values={"a": {"target": "_blank"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer",
    )


_kept: Final = lru_cache(_KEPT_PIECES)(render_piece)


@cache
def _markdown() -> "MarkdownIt":
    # Slow to load, and a server on which nobody reads a note needs none of it.
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True})
    markdown.enable(["table", "strikethrough"])
    markdown.add_render_rule("image", _image_as_link)
    return markdown


def _image_as_link(_: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    token = tokens[index]
    address = escape(str(token.attrGet("src") or ""))
    return f'<a href="{address}">{escape(token.content or address)}</a>'
