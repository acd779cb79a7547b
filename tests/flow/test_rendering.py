"""Markdown as HTML: what it looks like, what it must never contain, and in pieces as in whole."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.text.rendering import COST_MAX, render, render_piece, split
from tests.effort import cases

LINES = [
    *(
        "",
        "",
        "",
        "Text",
        "more *text*",
        "# Heading",
        "## Two",
        "- item",
        "  - inner",
        "- ```",
        "+ a",
    ),
    *("1. one", "2) two", "10 things", "   deep", "    code", "\tcode", "> quote", "> - both", ">"),
    *("```", "```py", "``` `x`", "~~~", "````", "  ```", "> ```", "***", "---", "===", "| a | b |"),
    *("|---|---|", "a | b", "--|--", "[x]", "[x](y)", "![p](q)", "<b>html</b>", "<!--", "-->", "*"),
    *(
        "<div>",
        "\\",
        "`tick",
        "two  ",
        "é",
        "日本",
        "#no heading",
        "#",
        "1.",
        "-",
        "\u00a0",
        "\x0b",
    ),
]


@pytest.mark.slow
@settings(max_examples=cases(4_000), deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=14).map("\n".join))
def test_in_pieces_it_is_the_same_as_in_whole(text: str) -> None:
    """A change then costs the piece that it is in, and nobody can tell."""
    assert "".join(split(text)) == text
    assert "".join(map(render_piece, split(text))) == render_piece(text)


def test_a_long_text_falls_into_pieces() -> None:
    """Else the property above would hold for nothing."""
    assert len(split("One\n\nTwo\n- a\n\n- b\n\n# Three\n\n```\n\nno\n```\n\nFour")) == 4
    assert len(split("One\n\nTwo [x]\n\n[x]: y")) == 1  # It counts for all of the text.


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a\nb", "<p>a<br>\nb</p>\n"),
        ("~~a~~ `b<c`", "<p><s>a</s> <code>b&lt;c</code></p>\n"),
        ("<b onclick=x>a</b>", "<p>&lt;b onclick=x&gt;a&lt;/b&gt;</p>\n"),
        ("[a](javascript:alert(1))", "<p>[a](javascript:alert(1))</p>\n"),
        ("[a](data:text/html,x)", "<p>[a](data:text/html,x)</p>\n"),
        (
            '[a](https://e.org/?a&b "t")',
            '<p><a href="https://e.org/?a&amp;b" title="t" target="_blank" '
            'rel="noopener noreferrer">a</a></p>\n',
        ),
        (
            "![a *b*](https://e.org/i.png)",
            '<p><a href="https://e.org/i.png" target="_blank" '
            'rel="noopener noreferrer">a *b*</a></p>\n',
        ),
        ("3. a\n4. b", '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>\n'),
        ("", ""),
    ],
)
def test_what_is_shown(text: str, html: str) -> None:
    assert render(text) == html


class Attributes(HTMLParser):
    """Collects the tags, and what could run or be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.tags = set[str]()
        self.attributes = set[str]()
        self.addresses = list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name == "href"]


NASTY = [
    *(
        "<script>",
        "</script>",
        "<img src=x onerror=y>",
        "[a](",
        "![a](",
        ")",
        "javascript:",
        " JaVa",
        "\n",
    ),
    *(
        "&#106;avascript:a",
        "data:a",
        "<",
        ">",
        '"',
        "'",
        "`",
        "<http://a>",
        "vbscript:a",
        "\t",
        "\x00",
    ),
    *(
        '" onclick="a',
        "https://e.org",
        "file:///etc",
        "](",
        "[",
        "]",
        "|a|b|\n|-|:-:|\n",
        "style=x",
    ),
]


@pytest.mark.slow
@settings(max_examples=cases(2_000), deadline=None)
@given(st.lists(st.sampled_from(NASTY), max_size=10).map("".join))
def test_nothing_of_a_note_runs_or_is_fetched(text: str) -> None:
    """A note may be written by somebody else, or pasted from anywhere."""
    found = Attributes()
    found.feed(render(text))

    assert not found.tags & {"script", "img", "style", "iframe", "svg", "object", "form", "input"}
    assert found.attributes <= {"href", "title", "target", "rel", "start"}
    for address in found.addresses:
        scheme = re.match(r"[\s\x00-\x1f]*([a-zA-Z][a-zA-Z0-9+.-]*):", address)
        assert scheme is None or scheme[1].lower() in {"http", "https", "mailto"}


def test_what_takes_too_long_is_shown_as_it_was_written() -> None:
    """A query has a second; each bracket alone would take it 20 µs."""
    text = "*First*\n\n" + "Text\n\nMore" + "[<" * 100_000

    html = render(text)

    assert html.startswith("<p><em>First</em></p>\n<p>Text</p>\n<pre>More[&lt;[&lt;")
    assert html.endswith("[&lt;</pre>\n")
    assert "<pre>" not in render("Some words of a long text.\n\n" * 6_000)
    assert COST_MAX < 1_000_000
