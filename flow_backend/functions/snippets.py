"""Snippets: the part of a text that shows what was searched for, with the hits told apart."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, cast

from flow_backend.records import frozen
from flow_backend.schema.document import Document
from flow_backend.storage.base import Term
from flow_backend.storage.words import Word, placed_words

_LOOKED_AT: Final = 100_000
"""Characters of a text in which a snippet is looked for; hits are mostly near the beginning."""


@frozen
class SnippetPart:
    """A piece of a text; ``hit`` says that it is what was searched for."""

    text: str
    hit: bool = False


@frozen
class Snippet:
    """A part of a field's text, in pieces, so that no client must read markup in them.

    Attributes:
        field: whose text it is.
        parts: joined they are the text, with … where something was left out before or after.
    """

    field: str
    parts: tuple[SnippetPart, ...]


def make_snippet(
    document: Document, fields: Sequence[str], terms: Sequence[Term], words: int
) -> Snippet:
    """Cut about ``words`` words out of the first of these fields in which there is a hit.

    Without any hit it is the beginning of the first field that has a text.
    """
    plain: Snippet | None = None
    for field in fields:
        text = _text_of(getattr(document, field))[:_LOOKED_AT]
        placed = placed_words(text)
        hits = [place for place, word in enumerate(placed) if _is_hit(word.word, terms)]
        if hits:
            return Snippet(field, _cut(text, placed, hits, max(1, words), terms))
        if plain is None and placed:
            plain = Snippet(field, _cut(text, placed, [], max(1, words), terms))
    return plain or Snippet(fields[0], ())


def _text_of(value: object) -> str:
    if isinstance(value, str):
        return value
    return "\n".join(cast("Sequence[str]", value)) if isinstance(value, (list, tuple)) else ""


def _is_hit(word: str, terms: Sequence[Term]) -> bool:
    return any(
        word.startswith(term.word) if term.is_prefix else word == term.word for term in terms
    )


def _cut(
    text: str, placed: Sequence[Word], hits: Sequence[int], words: int, terms: Sequence[Term]
) -> tuple[SnippetPart, ...]:
    first = _best_start(placed, hits, words, terms)
    last = min(first + words, len(placed))
    first = max(0, min(first, last - words))
    start = 0 if first == 0 else placed[first].start
    stop = len(text) if last == len(placed) else placed[last - 1].stop
    pieces = [("…", False)] if start > 0 else []
    at = start
    for place in hits:
        if first <= place < last:
            word = placed[place]
            pieces += [(text[at : word.start], False), (text[word.start : word.stop], True)]
            at = word.stop
    pieces += [(text[at:stop], False), ("…" if stop < len(text) else "", False)]
    joined = groupby([piece for piece in pieces if piece[0]], key=itemgetter(1))
    return tuple([SnippetPart("".join([text for text, _ in run]), hit) for hit, run in joined])


def _best_start(
    placed: Sequence[Word], hits: Sequence[int], words: int, terms: Sequence[Term]
) -> int:
    """Give the first word of the window with the most different terms, a little before its hit."""
    best, most = 0, 0
    for place in hits:
        window = [placed[each].word for each in hits if place <= each < place + words]
        found = sum(any(_is_hit(word, (term,)) for word in window) for term in terms)
        if found > most:
            best, most = max(0, place - words // 4), found
        if found == len(terms):
            break
    return best
