"""The range map against a list of ranges that is gone through one by one."""

# A leak shows nowhere but inside.
# pyright: reportPrivateUsage=false

from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from flow_backend.actors.range_map import IntervalTree, RangeMap
from flow_backend.functions.read_set import ReadRange, SearchRead, just

# Few bytes, and among them those that keys end in, so that bounds meet keys often.
KEYS = st.lists(st.sampled_from([b"\x00", b"\x01", b"a", b"\xff"]), max_size=2).map(b"".join)
OWNERS = st.integers(0, 5)
INDEXES = st.integers(0, 1)
RANGES = st.one_of(
    st.builds(just, INDEXES, KEYS),
    st.builds(ReadRange, INDEXES, KEYS, st.one_of(st.none(), KEYS)),
)


class RangeMapMachine(RuleBasedStateMachine):
    """A dict of lists does the same, slowly."""

    def __init__(self) -> None:
        super().__init__()
        self.map = RangeMap[int]()
        self.naive: dict[int, tuple[ReadRange, ...]] = {}

    @rule(owner=OWNERS, ranges=st.lists(RANGES, max_size=4))
    def put(self, owner: int, ranges: list[ReadRange]) -> None:
        self.map.put(owner, tuple(ranges))
        self.naive[owner] = tuple(ranges)

    @rule(owner=OWNERS)
    def discard(self, owner: int) -> None:
        self.map.discard(owner)
        self.naive.pop(owner, None)

    @rule(rows=st.lists(st.tuples(KEYS, KEYS), max_size=3))
    def touch(self, rows: list[tuple[bytes, bytes]]) -> None:
        touched = {
            owner
            for owner, ranges in self.naive.items()
            for each in ranges
            for row in rows
            if each.start <= row[each.index] and (each.stop is None or row[each.index] < each.stop)
        }
        assert self.map.touched_by(rows) == touched

    @invariant()
    def counts_owners(self) -> None:
        assert len(self.map) == len(self.naive)


RangeMapMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestRangeMap = pytest.mark.slow(RangeMapMachine.TestCase)


def test_a_range_holds_its_start_and_not_its_stop() -> None:
    """The ends are where comparisons go wrong."""
    tree = IntervalTree[str]()
    tree.add(b"b", b"d", "b to d")
    tree.add(b"d", None, "from d")
    tree.add(b"b", b"c", "b to c")

    assert set(tree.owners_at(b"a")) == set()
    assert set(tree.owners_at(b"b")) == {"b to d", "b to c"}
    assert set(tree.owners_at(b"c")) == {"b to d"}
    assert set(tree.owners_at(b"d")) == {"from d"}
    assert set(tree.owners_at(b"\xff\xff")) == {"from d"}


def test_many_ranges_are_found_at_every_key() -> None:
    """A subtree may be passed over only if nothing in it reaches so far."""
    chance = Random(1)
    spans = [(start, start + chance.randrange(1, 40)) for start in range(0, 200, 2)]
    chance.shuffle(spans)
    tree = IntervalTree[tuple[int, int]]()
    for start, stop in spans:
        tree.add(bytes([start]), bytes([stop]), (start, stop))
    for span in spans[:50]:
        tree.discard(bytes([span[0]]), bytes([span[1]]), span)

    for key in range(250):
        right = {(start, stop) for start, stop in spans[50:] if start <= key < stop}
        assert set(tree.owners_at(bytes([key]))) == right


def test_what_is_discarded_leaves_nothing() -> None:
    """A map that only grows is a leak."""
    ranges = RangeMap[int]()
    for owner in range(50):
        ranges.put(owner, (just(0, b"%d" % owner), ReadRange(1, b"%d" % owner, None)))

    for owner in range(50):
        ranges.discard(owner)

    assert not ranges._points
    assert all(tree._root is None for tree in ranges._trees.values())
    assert len(ranges) == 0


def test_a_search_meets_keys_of_a_version_that_had_no_such_index() -> None:
    """A run on a new version may be told of before the last writes on the old one."""
    ranges = RangeMap[str]()
    ranges.put("new", (SearchRead(3, 1, (), (b"\0milk\0",)),))

    assert ranges.touched_by([(b"id", b"created")]) == set()
    assert ranges.touched_by([(b"id", b"created", b"x", b"d" * 12 + b"\0milk\0")]) == {"new"}
