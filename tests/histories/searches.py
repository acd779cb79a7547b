"""Random searches in a range map, against plain sets of words, and the keys of changed rows."""

# That nothing is left behind shows nowhere but inside.
# pyright: reportPrivateUsage=false

from random import Random

from attrs import frozen

from flow_backend.actors.range_map import RangeMap
from flow_backend.functions.read_set import ReadRange, SearchRead
from flow_backend.functions.search import read_of, search_bounds
from flow_backend.schema.table import ColumnKind, FieldSpec, IndexSpec, SearchSpec, TableSpec
from flow_backend.storage.base import TableName
from flow_backend.storage.keys import TableKeys
from flow_backend.values.value import JsonValue

PAGES = TableName("pages")
SPEC = TableSpec(
    "pages",
    {name: FieldSpec(name, ColumnKind.TEXT) for name in ("title", "body", "board", "state")},
    (IndexSpec("by_board", ("board",)),),
    searches=(
        SearchSpec("text", ("title", "body"), ("board", "state")),
        SearchSpec("titles", ("title",)),
    ),
)
# Some begin as others do, and some stand in the middle of others.
_WORDS = ("a", "ab", "abc", "b", "bc", "c", "ca")
_VALUES = ("x", "y")


@frozen
class Asked:
    """A search as the model has it: the last word may be the beginning of one."""

    index: int
    words: tuple[str, ...]
    within: dict[str, str]
    any_word: bool

    def finds(self, page: dict[str, JsonValue]) -> bool:
        if any(page[name] != value for name, value in self.within.items()):
            return False
        texts = SPEC.searches[self.index].texts
        words = {word for name in texts for word in str(page[name]).split()}
        # A word that was asked for as the last one and before it is both.
        found = [word in words for word in self.words[:-1]]
        found.append(any(word.startswith(self.words[-1]) for word in words))
        return any(found) if self.any_word else all(found)

    def read(self) -> SearchRead:
        search = SPEC.searches[self.index]
        bounds = search_bounds(PAGES, search, " ".join(self.words), self.within)
        assert bounds is not None
        read = read_of(SPEC, bounds)
        return SearchRead(read.index, read.digests, read.within, read.needles, self.any_word)


def _random_search(random: Random) -> Asked:
    index = random.randrange(2)
    names = [name for name in SPEC.searches[index].within if random.random() < 0.4]
    words = tuple(random.choices(_WORDS, k=random.randint(1, 3)))
    within = {name: random.choice(_VALUES) for name in names}
    return Asked(index, words, within, random.random() < 0.4)


def _random_page(random: Random) -> dict[str, JsonValue]:
    return {
        "_id": "one",
        "_creationTime": 1.0,
        "title": " ".join(random.choices(_WORDS, k=random.randrange(3))),
        "body": " ".join(random.choices(_WORDS, k=random.randrange(3))),
        "board": random.choice(_VALUES),
        "state": random.choice(_VALUES),
    }


def check_searches(seed: int, steps: int = 30) -> None:
    """Put, discard and look up at random; compare after each step.

    Raises: AssertionError.
    """
    random = Random(seed)
    keys = TableKeys(SPEC)
    ranges, naive = RangeMap[int](), dict[int, list[Asked]]()
    page = _random_page(random)
    parts = keys.key_parts(page, 1)
    for _ in range(steps):
        owner = random.randrange(6)
        if random.random() < 0.7:
            asked = [_random_search(random) for _ in range(random.randrange(3))]
            # A range that no row has a key in stands beside: the two kinds are told apart.
            reads = (*(each.read() for each in asked), ReadRange(0, b"", b"\0\0"))
            ranges.put(owner, reads)
            naive[owner] = asked
        else:
            ranges.discard(owner)
            naive.pop(owner, None)
        name = random.choice(("title", "body", "board", "state"))
        page = page | ({name: _random_page(random)[name]} if random.random() < 0.8 else {})
        before, (parts, _) = parts, keys.replaced(parts, page)
        assert parts == keys.key_parts(page, 1), page
        assert (parts is before) == (parts == before)
        found = {owner for owner, asked in naive.items() if any(each.finds(page) for each in asked)}
        assert ranges.touched_by([parts.keys]) == found, (page, naive)
        # Keys of a version that had no search index yet meet nobody who searches.
        assert not ranges.touched_by([parts.keys[:3]])
        for asked in naive.values():
            for each in asked:
                read = each.read()
                assert (parts.keys[read.index] in read) == each.finds(page), (page, each)
    for owner in list(naive):
        ranges.discard(owner)
    assert not ranges._searches
    assert not ranges._searches._shapes
