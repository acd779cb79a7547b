"""Searches: documents that have given words, the best first, and what to show of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

from flow_backend.errors import InvalidSearch
from flow_backend.functions.read_set import SearchRead
from flow_backend.functions.snippets import Snippet, make_snippet
from flow_backend.records import frozen
from flow_backend.schema.document import Document, stored_row
from flow_backend.storage.base import SEARCHED_MAX, SearchBounds, Term
from flow_backend.storage.words import digest_of, is_unspaced, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from flow_backend.functions.database import Database
    from flow_backend.schema.table import SearchSpec, TableSpec
    from flow_backend.storage.base import TableName
    from flow_backend.values.value import JsonValue

D = TypeVar("D", bound=Document)

TERMS_MAX: Final = 32
TEXT_MAX: Final = 1000
"""Characters of a text to search for."""


@frozen
class Hit(Generic[D]):
    """A document that a search has found."""

    document: D
    _terms: tuple[Term, ...]
    _texts: tuple[str, ...]

    def snippet(self, field: str | None = None, *, words: int = 24) -> Snippet:
        """Give the part of the text that shows most of what was searched for.

        ``field`` is one of the index's; without one it is the first in which there is a hit.

        Raises: InvalidSearch if the index is not over that field.
        """
        if field is not None and field not in self._texts:
            raise InvalidSearch(
                f"a snippet of {field!r}: the search index is over {', '.join(self._texts)}"
            )
        fields = self._texts if field is None else (field,)
        return make_snippet(self.document, fields, self._terms, words)


@frozen
class Search(Generic[D]):
    """Documents by how well they match. Nothing is read before one is asked for.

    It depends on every document that matches, whether it was taken or not: another that comes to
    match may stand before those that were taken.
    """

    db: Database
    _bounds: SearchBounds | None
    _cls: type[D]
    _spec: SearchSpec

    def any_word(self) -> Search[D]:
        """Give also what has only some of the words; what has more of them comes first."""
        bounds = self._bounds
        if bounds is not None:
            bounds = SearchBounds(bounds.table, bounds.index, bounds.terms, bounds.within, True)
        return Search(self.db, bounds, self._cls, self._spec)

    def __iter__(self) -> Iterator[Hit[D]]:
        return iter(self.collect())

    def collect(self) -> list[Hit[D]]:
        """Give all hits, of which there are 1,024 at most."""
        return self.take(SEARCHED_MAX)

    def take(self, count: int) -> list[Hit[D]]:
        """Give the first ``count`` hits, or fewer if there are not that many.

        Raises: InvalidSearch for a negative number, or one above 1,024.
        """
        if not 0 <= count <= SEARCHED_MAX:
            raise InvalidSearch(f"take({count}): a search gives 0 to {SEARCHED_MAX} documents")
        bounds = self._bounds
        if bounds is None or not count:
            return []
        return [
            Hit(stored_row(self._cls, row), bounds.terms, self._spec.texts)
            for row in self.db.search_rows(bounds, count)
        ]

    def documents(self, count: int = SEARCHED_MAX) -> list[D]:
        """Give the documents of the first ``count`` hits."""
        return [hit.document for hit in self.take(count)]

    def first(self) -> D | None:
        """Give the best document, or None."""
        found = self.take(1)
        return found[0].document if found else None


def check_within(table: TableName, search: SearchSpec, names: Iterable[str]) -> None:
    """Check that an index can be narrowed by fields of these names.

    Raises: InvalidSearch if not.
    """
    for name in names:
        if name not in search.within:
            known = ", ".join(search.within) or "no field"
            raise InvalidSearch(
                f"the search index {table}.{search.name} cannot be narrowed by {name!r}: "
                f"within=(…) of its declaration names {known}"
            )


def search_bounds(
    table: TableName, search: SearchSpec, text: str, within: Mapping[str, JsonValue]
) -> SearchBounds | None:
    """Work out what a search asks for; None if the text has no word, and so finds nothing.

    Raises: InvalidSearch for a text that is too long or has too many words.
    """
    if len(text) > TEXT_MAX:
        raise InvalidSearch(
            f"a text to search for has at most {TEXT_MAX} characters, not {len(text)}"
        )
    terms = terms_of(text)
    if len(terms) > TERMS_MAX:
        raise InvalidSearch(
            f"a search is for at most {TERMS_MAX} words, not {len(terms)}; cut the text"
        )
    if not terms:
        return None
    digests = [
        (place, digest_of(place, within[name]))
        for place, name in enumerate(search.within)
        if name in within
    ]
    return SearchBounds(table, search.name, terms, tuple(digests))


def terms_of(text: str) -> tuple[Term, ...]:
    """Give the words of a text, each once; the last one may be the beginning of a word."""
    words = words_of(text)
    terms = [Term(word, is_unspaced(word)) for word in words[:-1]]
    terms += [Term(word, True) for word in words[-1:]]
    return tuple(dict.fromkeys(terms))


def read_of(spec: TableSpec, bounds: SearchBounds) -> SearchRead:
    """Give what a search depends on: all that it would find, now or after a write."""
    place = [each.name for each in spec.searches].index(bounds.index)
    return SearchRead(
        len(spec.all_indexes) + place,
        len(spec.searches[place].within),
        bounds.within,
        tuple([_needle(term) for term in bounds.terms]),
        bounds.any_term,
    )


def _needle(term: Term) -> bytes:
    word = b"\0" + term.word.encode()
    return word if term.is_prefix else word + b"\0"
