"""Three-way merge of a text that two people changed at once: lines first, then words in a line."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from attrs import frozen

from flow.text.matching import Effort, Matcher

STEPS_MAX: Final = 300_000
"""How many steps the comparisons of one merge may take, some 0.1 s; see :class:`Effort`."""

_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_TOKEN: Final = re.compile(r"\w+|\s+|[^\w\s]")


@frozen
class Merged:
    """A merged text; ``conflict`` says that a part of it stands there twice."""

    text: str
    conflict: bool


@frozen
class _Sides:
    """The lines, or words, of the three texts, or of a stretch of them."""

    base: list[str]
    theirs: list[str]
    mine: list[str]


def merge_texts(base: str, theirs: str, mine: str, heading: str) -> Merged:
    """Merge two texts that were both made of ``base``.

    What one side alone changed is taken. What both added at one place is all kept, theirs first.
    Where both changed the same words, mine stand in their place, and the other's lines below them
    in a quote under ``heading``. So every word that a side added is in the result, and of the
    words of ``base`` none is gone that both sides kept.
    """
    settled = _settle_whole(base, theirs, mine)
    if settled is not None:
        return Merged(settled, False)
    effort = Effort(STEPS_MAX)
    sides = _Sides(_lines(base), _lines(theirs), _lines(mine))
    parts: list[str] = []
    conflict = False
    for group in _groups(sides, effort):
        if isinstance(group, _Sides):
            done = _settle_lines(group, heading, effort)
            parts.append(done.text)
            conflict |= done.conflict
        else:
            parts += group
    return Merged(_same_end("".join(parts), theirs, mine), conflict)


def merge_line(base: str, theirs: str, mine: str) -> str | None:
    """Merge two lines that were both made of ``base``, such as titles.

    Returns: the line, or None where both changed the same words.
    """
    settled = _settle_whole(base, theirs, mine)
    if settled is not None:
        return settled
    done = _merge_words(base, theirs, mine, Effort(STEPS_MAX))
    return None if done.conflict else done.text


def join_texts(theirs: str, mine: str, heading: str) -> Merged:
    """Keep both of two texts of which nobody knows what they were made of.

    What they begin and end with alike stands there once; between, mine comes first and theirs below
    it in a quote.
    """
    head, theirs_rest, mine_rest, tail = _apart(_lines(theirs), _lines(mine))
    middle = _one_of(theirs_rest, mine_rest)
    conflict = middle is None
    if middle is None:
        middle = ["".join(mine_rest) + quote(heading, theirs_rest)]
    return Merged(_same_end("".join([*head, *middle, *tail]), theirs, mine), conflict)


def _settle_whole(base: str, theirs: str, mine: str) -> str | None:
    """Give the result where at most one side changed anything, or both did the same."""
    if theirs in {base, mine}:
        return mine
    return theirs if mine == base else None


def _groups(
    sides: _Sides, effort: Effort, *, in_words: bool = False
) -> Iterator[list[str] | _Sides]:
    """Give in order what merge3 settles, and for each conflict what stands there on each side."""
    from merge3 import Merge3  # Every module is loaded at the start, and few edits are merged.

    def matcher(_: object, a: Sequence[str], b: Sequence[str]) -> Matcher:
        return Matcher(a, b, effort, in_words)

    # It is annotated as a class; all that merge3 does with it is to call it with these three.
    merge = Merge3(sides.base, sides.theirs, sides.mine, sequence_matcher=cast("Any", matcher))
    for group in merge.merge_groups():
        if group[0] == "conflict":
            yield _Sides(list(group[1]), list(group[2]), list(group[3]))
        else:
            yield list(group[1])


def _settle_lines(sides: _Sides, heading: str, effort: Effort) -> Merged:
    """Settle lines that both sides changed."""
    head, a, b, tail = _apart(sides.theirs, sides.mine)
    one = _one_of(a, b)
    if one is not None:
        return Merged("".join([*head, *one, *tail]), False)
    base = "".join(sides.base)
    if not base.strip():
        return Merged("".join([*head, *_union(a, b, effort), *tail]), False)
    # What was kept twice before stands beside the lines: quoted again, with each save of two who
    # go on typing, it would double.
    quotes = _quotes(_Sides(_quoted(sides.base), _quoted(a), _quoted(b)), effort)
    theirs = _unquoted(a)
    words = _merge_words(
        "".join(_unquoted(sides.base)), "".join(theirs), "".join(_unquoted(b)), effort
    )
    known = all(f"> {line}" in quotes for line in theirs if line.strip())
    below = quote(heading, theirs) if words.conflict and not known else ""
    text = _ended(words.text) + "".join(quotes) + below
    return Merged("".join([*head, text, *tail]), words.conflict)


def _quoted(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith(">")]


def _unquoted(lines: list[str]) -> list[str]:
    """Give the lines between quotes, without the empty ones that keep them apart."""
    around = ["", *lines, ""]
    return [
        line
        for before, line, after in zip(around, lines, around[2:], strict=False)
        if not line.startswith(">")
        and (line.strip() or not (before.startswith(">") or after.startswith(">")))
    ]


def _quotes(sides: _Sides, effort: Effort) -> list[str]:
    """Merge quoted lines: what either side put in, without what either took out."""
    base = set(sides.base)
    gone = (base - set(sides.theirs)) | (base - set(sides.mine))
    kept = [line for line in _union(sides.theirs, sides.mine, effort) if line not in gone]
    apart = [f"\n{line}" if line.startswith("> **") else line for line in kept]
    return [*apart, "\n"] if kept else []


def _merge_words(base: str, theirs: str, mine: str, effort: Effort) -> Merged:
    """Merge word by word; where both changed the same ones, mine are taken."""
    if effort.is_over:
        return Merged(mine, True)
    parts: list[str] = []
    conflict = False
    sides = _Sides(_TOKEN.findall(base), _TOKEN.findall(theirs), _TOKEN.findall(mine))
    for group in _groups(sides, effort, in_words=True):
        if not isinstance(group, _Sides):
            parts += group
            continue
        head, a, b, tail = _apart(group.theirs, group.mine)
        one = _one_of(a, b)
        if one is None and not "".join(group.base).strip():
            one = [*a, " ", *b]  # Both put words in here: they stand side by side.
        conflict |= one is None
        parts += [*head, *(b if one is None else one), *tail]
    return Merged("".join(parts), conflict)


def _apart(a: list[str], b: list[str]) -> tuple[list[str], list[str], list[str], list[str]]:
    """Take off what two lists begin and end with alike. Returns: start, rests of both, end."""
    least = min(len(a), len(b))
    start = next((i for i in range(least) if a[i] != b[i]), least)
    least -= start
    end = next((i for i in range(least) if a[-1 - i] != b[-1 - i]), least)
    return a[:start], a[start : len(a) - end], b[start : len(b) - end], a[len(a) - end :]


def _one_of(a: list[str], b: list[str]) -> list[str] | None:
    """Give the side that has all there is, if the other one has nothing but space."""
    if not "".join(a).strip():
        return b
    return None if "".join(b).strip() else a


def _union(a: list[str], b: list[str], effort: Effort) -> list[str]:
    """Give the lines of both, those that both have once: theirs before mine."""
    parts: list[str] = []
    from_a = from_b = 0
    for at_a, at_b, length in Matcher(a, b, effort).get_matching_blocks():
        parts += [*a[from_a:at_a], *b[from_b:at_b], *a[at_a : at_a + length]]
        from_a, from_b = at_a + length, at_b + length
    return parts


def quote(heading: str, lines: list[str]) -> str:
    """Make a quote in Markdown, apart from what stands around it by empty lines."""
    inner = "".join(lines).strip("\n").split("\n")
    quoted = "".join(f"> {line}\n" if line.strip() else ">\n" for line in inner)
    return f"\n> **{heading}**\n>\n{quoted}\n"


def _lines(text: str) -> list[str]:
    return _LINE.findall(_ended(text))


def _ended(text: str) -> str:
    """End the last line: else a line would change by another that is put below it."""
    return text if not text or text.endswith("\n") else text + "\n"


def _same_end(text: str, theirs: str, mine: str) -> str:
    """Take off the last line's end where the two texts had none."""
    if theirs.endswith("\n") or mine.endswith("\n"):
        return text
    return text.removesuffix("\n")
