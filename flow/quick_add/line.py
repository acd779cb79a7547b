"""The line while it is read: what was taken of it, what is protected, and what is left."""

import re
from typing import Final, Literal

from attrs import define, evolve, field, frozen

Kind = Literal[
    "project",
    "label",
    "priority",
    "person",
    "body",
    "kind",
    "reminder",
    "repeat",
    "date",
    "time",
    "duration",
]
"""What a phrase says."""

PROTECTED: Final = "\ue000"
"""Stands for a character that is text, whatever it spells: of no phrase a part."""

_BEFORE: Final = " \t\n,;:-\u2013\u2014"
_JOINED: Final = ",.;:!?)"


@frozen
class Span:
    """A phrase that was read: ``start`` to ``end`` of the line, in code points, and its meaning."""

    start: int
    end: int
    kind: Kind
    label: str


@frozen
class Hint:
    """A phrase that was left in the title, and could be read so."""

    start: int
    end: int
    text: str
    meaning: str


@define
class Line:
    """One line of text.

    Attributes:
        text: as it was typed.
        view: the same length; what is protected or taken cannot be read in it.
        dropped: characters that are in no title, such as a backslash.
    """

    text: str
    view: str = field(init=False)
    spans: list[Span] = field(factory=list[Span])
    dropped: set[int] = field(factory=set[int])

    def __attrs_post_init__(self) -> None:
        # Other spaces read as the usual one, and a character of the private area cannot pass for
        # protected text.
        self.view = re.sub(r"\s", " ", self.text).replace(PROTECTED, "?")

    def protect(self, start: int, end: int) -> None:
        """Make a part text that no phrase can be read in."""
        self.view = self.view[:start] + PROTECTED * (end - start) + self.view[end:]

    def take(self, start: int, end: int, kind: Kind, label: str) -> range:
        """Read a part: it leaves the title, and what stands around it is neighbours now.

        Returns: the numbers of its spans; there are several if something between was read before.
        """
        first = len(self.spans)
        inside = [span for span in self.spans if start <= span.start and span.end <= end]
        edges = [
            start,
            *(place for span in sorted(inside, key=_start) for place in _ends(span)),
            end,
        ]
        for begins, stops in zip(edges[::2], edges[1::2], strict=True):
            words = self.view[begins:stops]
            # Of a phrase that was matched with its spaces, the words alone.
            low = begins + len(words) - len(words.lstrip(" "))
            high = begins + len(words.rstrip(" "))
            if low < high:
                self.spans.append(Span(low, high, kind, label))
        self.view = self.view[:start] + " " * (end - start) + self.view[end:]
        return range(first, len(self.spans))

    def relabel(self, taken: range, label: str) -> None:
        """Say what a part means that was taken, once that is known."""
        for number in taken:
            self.spans[number] = evolve(self.spans[number], label=label)

    def is_at_end(self, place: int) -> bool:
        """Tell whether nothing of the line is left behind a place."""
        return not self.view[place:].strip(" ,.;:!?)")

    def is_at_start(self, place: int) -> bool:
        """Tell whether nothing of the line is left before a place."""
        return not self.view[:place].strip(" (")

    def title(self) -> str:
        """Give what was not read, with its spaces collapsed."""
        pieces = list[str]()
        place = 0
        for span in [*sorted(self.spans, key=lambda each: each.start), None]:
            stop = len(self.text) if span is None else span.start
            kept = [
                self.text[at] for at in range(place, max(place, stop)) if at not in self.dropped
            ]
            pieces.append(" ".join("".join(kept).split()))
            place = stop if span is None else max(place, span.end)
        title = ""
        for number, piece in enumerate(pieces):
            title = piece if number == 0 else _joined(title, piece)
        if self.spans and pieces[-1] == "":
            title = title.rstrip(_BEFORE)
        return " ".join(re.sub(r"\(\s*\)", "", title).split())


def _start(span: Span) -> int:
    return span.start


def _ends(span: Span) -> tuple[int, int]:
    return span.start, span.end


def _joined(left: str, right: str) -> str:
    """Close the gap that a phrase has left."""
    if not left:
        return right.lstrip(_BEFORE)
    if not right:
        return left
    if right[0] in _JOINED:
        return left.rstrip(_BEFORE) + right
    return left + right if left[-1] == "(" else f"{left} {right}"
