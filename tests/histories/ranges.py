"""Random ranges in a range map, against a list that is gone through one by one, and its shape."""

# The shape of the tree shows nowhere but inside.
# pyright: reportPrivateUsage=false

from random import Random
from typing import Any

from flow_backend.actors.range_map import IntervalTree, RangeMap
from flow_backend.functions.read_set import ReadRange, just

# Few bytes, and among them those that keys end in, so that bounds meet keys often.
_BYTES = (b"", b"\x00", b"a", b"a\x00", b"a\x00\x00", b"a\xff", b"b", b"b\x00")
_INDEXES = 2


def _random_range(random: Random) -> ReadRange:
    index, start = random.randrange(_INDEXES), random.choice(_BYTES)
    chance = random.random()
    if chance < 0.3:
        return just(index, start)
    return ReadRange(index, start, None if chance < 0.45 else random.choice(_BYTES))


def check_ranges(seed: int, steps: int = 40) -> None:
    """Put, discard and look up at random; compare after each step.

    Raises: AssertionError.
    """
    random = Random(seed)
    ranges, naive = RangeMap[int](), dict[int, tuple[ReadRange, ...]]()
    for _ in range(steps):
        owner = random.randrange(8)
        if random.random() < 0.7:
            reads = tuple(_random_range(random) for _ in range(random.randrange(4)))
            ranges.put(owner, reads)
            naive[owner] = reads
        else:
            ranges.discard(owner)
            naive.pop(owner, None)
        _compare(ranges, naive)
    for owner in list(naive):
        ranges.discard(owner)
    assert not ranges._points
    assert not ranges._owned
    assert all(tree._root is None for tree in ranges._trees.values())


def _compare(ranges: RangeMap[int], naive: dict[int, tuple[ReadRange, ...]]) -> None:
    assert len(ranges) == len(naive)
    for key in _BYTES:
        for reads in naive.values():
            for each in reads:
                holds = each.start <= key and (each.stop is None or key < each.stop)
                assert (key in each) == holds
        for index in range(_INDEXES):
            # The other key is in no range: below it there is nothing, and no range begins there.
            row = tuple(key if place == index else b"\xff\xff" for place in range(_INDEXES))
            right = {owner for owner, reads in naive.items() if _is_met(reads, row)}
            assert ranges.touched_by([row]) == right, (row, naive)
    for index, tree in ranges._trees.items():
        right_order = sorted(
            {
                (each.start, each.stop is None, each.stop or b"")
                for reads in naive.values()
                for each in reads
                if each.index == index and each.stop != each.start + b"\x00"
            }
        )
        assert _check_tree(tree) == right_order
        for key in _BYTES:
            found = list(tree.owners_at(key))
            assert len(found) == sum(_times(reads, index, key) for reads in naive.values())
    points = {
        (each.index, each.start)
        for reads in naive.values()
        for each in reads
        if each.stop == each.start + b"\x00"
    }
    assert ranges._points.keys() == points


def _is_met(reads: tuple[ReadRange, ...], row: tuple[bytes, ...]) -> bool:
    return any(
        each.start <= row[each.index] and (each.stop is None or row[each.index] < each.stop)
        for each in reads
    )


def _times(reads: tuple[ReadRange, ...], index: int, key: bytes) -> int:
    """Count the different ranges of an owner in a tree that hold a key."""
    return sum(
        each.index == index
        and each.stop != each.start + b"\x00"
        and each.start <= key
        and (each.stop is None or key < each.stop)
        for each in set(reads)
    )


def _check_tree(tree: IntervalTree[int]) -> list[tuple[bytes, bool, bytes]]:
    """Check each node of a tree against its children. Returns: the orders, as they stand."""
    found = list[tuple[bytes, bool, bytes]]()

    def visit(node: Any) -> list[bytes | None]:
        stops = [node.stop]
        assert node.owners, "a node without an owner"
        if node.left is not None:
            assert node.priority >= node.left.priority, "the heap is upside down"
            stops += visit(node.left)
        found.append((node.start, node.stop is None, node.stop or b""))
        if node.right is not None:
            assert node.priority >= node.right.priority, "the heap is upside down"
            stops += visit(node.right)
        last = None if None in stops else max(stops)
        assert node.last_stop == last, "a subtree's greatest end is wrong"
        return stops

    if tree._root is not None:
        visit(tree._root)
    return found
