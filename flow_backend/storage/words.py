"""The words of texts, as the search indexes of SQLite take them, and the keys made of them.

A row's key in a search index says all that a search can find the row by: the values that it may be
narrowed by, and every word. So whether a search is met by a write is seen without SQLite.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple, Protocol, cast

from flow_backend.schema.table import SearchSpec, WireDocument, key_part
from flow_backend.values.value import JsonValue

FORMAT: Final = 1
"""Changes when the words of a text are others than before: the indexes are then built anew."""

TOKENIZER: Final = ("unicode61", "remove_diacritics", "2")
DIGEST_BYTES: Final = 12
"""Of a value in ``within``: two values with one digest do not happen."""

# Chinese and Japanese put no space between words: each pair of neighbours counts as one instead.
_UNSPACED: Final = re.compile("[\u3041-\u3096\u30a1-\u30fa\u30fc\u3400-\u4dbf\u4e00-\u9fff]+")


class Word(NamedTuple):
    """A word with its place in the text, in characters."""

    word: str
    start: int
    stop: int


class _Tokenizer(Protocol):
    def __call__(
        self, utf8: bytes, flags: int, locale: str | None, *, include_offsets: bool
    ) -> list[tuple[int, int, str]] | list[tuple[str]]: ...


class _Source(Protocol):
    def fts5_tokenizer(self, name: str, args: list[str]) -> _Tokenizer: ...


_made: Final = list[tuple[_Tokenizer, int]]()


def _tokenizer() -> tuple[_Tokenizer, int]:
    """Give SQLite's own tokenizer, and the flag that says it reads a document.

    It keeps the GIL while it works, so threads may share it.
    """
    if not _made:
        # Only here: commands that need no database come by this module, too.
        import apsw

        connection = cast("_Source", cast("object", apsw.Connection(":memory:")))
        made = connection.fts5_tokenizer(TOKENIZER[0], list(TOKENIZER[1:]))
        _made.append((made, apsw.FTS5_TOKENIZE_DOCUMENT))
    return _made[0]


def spaced(text: str) -> str:
    """Give a text as it goes into an index: with spaces between words where writing has none."""
    return text if text.isascii() else _UNSPACED.sub(_pairs, text)


def _pairs(found: re.Match[str]) -> str:
    run = found[0]
    pairs = [run[place : place + 2] for place in range(len(run))]
    return f" {' '.join(pairs)} "


def words_of(text: str) -> list[str]:
    """Give the words of a text in their order, folded: small letters without accents."""
    tokenizer, flag = _tokenizer()
    found = tokenizer(spaced(text).encode(), flag, None, include_offsets=False)
    return [each[0] for each in cast("list[tuple[str]]", found)]


def is_unspaced(word: str) -> bool:
    """Say whether this is a single character of a writing without spaces.

    Its words are pairs, so alone it can only be the beginning of one.
    """
    return len(word) == 1 and _UNSPACED.fullmatch(word) is not None


def placed_words(text: str) -> list[Word]:
    """Give the words of a text with their places, to mark them in it."""
    words: list[Word] = []
    last = 0
    for found in _UNSPACED.finditer(text):
        words += _placed(text, last, found.start())
        start, last = found.span()
        # Of a pair its first character stands here, and the next pair has the second one.
        words += [Word(text[at : min(at + 2, last)], at, at + 1) for at in range(start, last)]
    return words + _placed(text, last, len(text))


def _placed(text: str, start: int, stop: int) -> list[Word]:
    part = text[start:stop].encode()
    tokenizer, flag = _tokenizer()
    found = tokenizer(part, flag, None, include_offsets=True)
    places = cast("list[tuple[int, int, str]]", found)
    if len(part) == stop - start:
        return [Word(word, start + first, start + last) for first, last, word in places]
    # SQLite counts bytes: what lies between two places is decoded, and measured.
    words: list[Word] = []
    at, seen = start, 0
    for first, last, word in places:
        at += len(part[seen:first].decode())
        end = at + len(part[first:last].decode())
        words.append(Word(word, at, end))
        at, seen = end, last
    return words


# --- Keys -----------------------------------------------------------------------------------------


class SearchSource(NamedTuple):
    """What a row's entry in a search index is made of."""

    texts: tuple[str, ...]
    within: tuple[bytes, ...]


def source_of(search: SearchSpec, document: WireDocument) -> SearchSource:
    """Take what an index needs out of a whole document.

    Raises: InvalidValue for NaN in a field that searches may be narrowed by.
    """
    return SearchSource(
        tuple([_text(document.get(name)) for name in search.texts]),
        tuple([digest_of(place, document.get(name)) for place, name in enumerate(search.within)]),
    )


def digest_of(place: int, value: JsonValue) -> bytes:
    """Give what stands for a value of the field at a place in ``within``.

    Raises: InvalidValue for NaN.
    """
    # The ids of a few boards come again and again. (1 and true would be one to the cache.)
    return _digest_of_text(place, value) if isinstance(value, str) else _digest(place, value)


def _digest(place: int, value: JsonValue) -> bytes:
    return blake2b(bytes([place]) + key_part(value), digest_size=DIGEST_BYTES).digest()


@lru_cache(maxsize=1024)
def _digest_of_text(place: int, value: str) -> bytes:
    return _digest(place, value)


def key_of(source: SearchSource) -> bytes:
    """Give a row's key: the digests, then each word once, with a NUL on either side."""
    words = set[str]()
    for text in source.texts:
        words.update(words_of(text))
    return b"".join([*source.within, b"\0", "\0".join(sorted(words)).encode(), b"\0"])


def key_words(search_key: bytes, within: int) -> list[bytes]:
    """Give the words of a row's key, in UTF-8, given how many digests stand before them."""
    return search_key[within * DIGEST_BYTES + 1 : -1].split(b"\0")


def _text(value: JsonValue) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        # A line for each, so that no word goes over from one to the next.
        return "\n".join([item for item in value if isinstance(item, str)])
    return ""
