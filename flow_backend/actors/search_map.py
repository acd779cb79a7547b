"""Who searched for which words: from a row's words to the live queries that would find it."""

from typing import Final, Generic, TypeVar

from attrs import define, field

from flow_backend.functions.read_set import SearchRead
from flow_backend.schema.table import RowKeys
from flow_backend.storage.words import DIGEST_BYTES, key_words

O = TypeVar("O")  # noqa: E741  # The owner of a search.

_NUL: Final = b"\0"
_Place = tuple[int, tuple[tuple[int, bytes], ...]]
"""A search index, and what its searches are narrowed by."""


@define(eq=False)
class _Group(Generic[O]):
    """Searches with equal ``within``, by a word; those for the beginning of one by its bytes."""

    words: dict[bytes, dict[tuple[O, SearchRead], None]] = field(
        factory=dict[bytes, dict[tuple[O, SearchRead], None]]
    )
    beginnings: dict[int, dict[bytes, dict[tuple[O, SearchRead], None]]] = field(
        factory=dict[int, dict[bytes, dict[tuple[O, SearchRead], None]]]
    )

    def table(self, needle: bytes) -> tuple[bytes, dict[bytes, dict[tuple[O, SearchRead], None]]]:
        """Give the word of a needle and where it stands."""
        if needle.endswith(_NUL):
            return needle[1:-1], self.words
        word = needle[1:]
        return word, self.beginnings.setdefault(len(word), {})


@define(eq=False)
class SearchMap(Generic[O]):
    """The searches of owners, over all search indexes of one table.

    A row's words are intersected with those that were searched for, so that the cost follows the
    words of the row and the matches, not the number of searches.
    """

    _groups: dict[_Place, _Group[O]] = field(factory=dict[_Place, _Group[O]])
    # Which fields the searches of an index are narrowed by, with the number of groups that are.
    _shapes: dict[tuple[int, int, tuple[int, ...]], int] = field(
        factory=dict[tuple[int, int, tuple[int, ...]], int]
    )

    def __bool__(self) -> bool:
        return bool(self._groups)

    def add(self, read: SearchRead, owner: O) -> None:
        """Add a search of an owner; adding it twice is adding it once."""
        place = read.index, read.within
        group = self._groups.get(place)
        if group is None:
            group = self._groups[place] = _Group[O]()
            shape = _shape(read)
            self._shapes[shape] = self._shapes.get(shape, 0) + 1
        for needle in _anchors(read):
            word, table = group.table(needle)
            table.setdefault(word, {})[owner, read] = None

    def discard(self, read: SearchRead, owner: O) -> None:
        """Take an owner's search out, if it is there."""
        place = read.index, read.within
        group = self._groups.get(place)
        if group is None:
            return
        for needle in _anchors(read):
            word, table = group.table(needle)
            owners = table.get(word, {})
            owners.pop((owner, read), None)
            if not owners:
                table.pop(word, None)
            if not table and table is not group.words:
                group.beginnings.pop(len(word), None)
        if not group.words and not group.beginnings:
            del self._groups[place]
            shape = _shape(read)
            self._shapes[shape] -= 1
            if not self._shapes[shape]:
                del self._shapes[shape]

    def find(self, keys: RowKeys, found: set[O]) -> None:
        """Add the owners of all searches that find a row with these keys."""
        words = dict[int, set[bytes]]()
        for index, digests, places in self._shapes:
            # A run may know of a new version's index before the last writes of the old one are
            # here: it has seen those, and their keys may be fewer.
            key = keys[index] if index < len(keys) else b""
            within = tuple(
                [(at, key[at * DIGEST_BYTES : (at + 1) * DIGEST_BYTES]) for at in places]
            )
            group = self._groups.get((index, within))
            if group is None:
                continue
            if index not in words:
                words[index] = set(key_words(key, digests))
            _find_in(group, words[index], key, found)


def _find_in(group: _Group[O], words: set[bytes], key: bytes, found: set[O]) -> None:
    met = [group.words[word] for word in group.words.keys() & words]
    for length, table in group.beginnings.items():
        met += [table[word] for word in table.keys() & {word[:length] for word in words}]
    for searches in met:
        found.update([owner for owner, read in searches if owner not in found and key in read])


def _anchors(read: SearchRead) -> tuple[bytes, ...]:
    """Give the words of a search that a row must be looked up by.

    If it must have all of them, one is enough, the longest: that is the rarest, as a rule.
    """
    if read.any_term:
        return read.needles
    return (max(read.needles, key=len),)


def _shape(read: SearchRead) -> tuple[int, int, tuple[int, ...]]:
    return read.index, read.digests, tuple([place for place, _ in read.within])
