"""Who read which keys: from a key to the live queries that read it, at a cost of the matches."""

import random
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from attrs import define, field

from flow_backend.actors.search_map import SearchMap
from flow_backend.functions.read_set import Read, SearchRead
from flow_backend.schema.table import RowKeys

O = TypeVar("O")  # noqa: E741  # The owner of a range.


@define(eq=False)
class _Node(Generic[O]):
    """A range and its owners, in a tree ordered by start; ``last_stop`` is the subtree's greatest.

    No stop means that the range has no end.
    """

    start: bytes
    stop: bytes | None
    priority: float
    last_stop: bytes | None
    owners: dict[O, None] = field(factory=dict[O, None])
    left: "_Node[O] | None" = None
    right: "_Node[O] | None" = None

    @property
    def order(self) -> tuple[bytes, bool, bytes]:
        return _order(self.start, self.stop)

    def measure(self) -> None:
        """Take ``last_stop`` anew from the node and its children."""
        last = self.stop
        for child in (self.left, self.right):
            if child is not None and last is not None:
                last = None if child.last_stop is None else max(last, child.last_stop)
        self.last_stop = last


def _order(start: bytes, stop: bytes | None) -> tuple[bytes, bool, bytes]:
    return (start, stop is None, stop or b"")


@define
class IntervalTree(Generic[O]):
    """Half-open ranges of keys with owners.

    A treap: a search tree by start, a heap by random priority, so that it stays shallow whatever
    the order of insertion. Source: Seidel and Aragon, "Randomized Search Trees" (1996), with the
    greatest end of each subtree kept as in the interval trees of Cormen et al.
    """

    _root: _Node[O] | None = None
    _random: random.Random = field(factory=lambda: random.Random(0))

    def add(self, start: bytes, stop: bytes | None, owner: O) -> None:
        """Add a range of an owner; adding it twice is adding it once."""
        node = self._find(start, stop)
        if node is None:
            node = _Node[O](start, stop, self._random.random(), stop)
            less, more = _split(self._root, node.order)
            self._root = _merge(_merge(less, node), more)
        node.owners[owner] = None

    def discard(self, start: bytes, stop: bytes | None, owner: O) -> None:
        """Take an owner's range out, if it is there."""
        node = self._find(start, stop)
        if node is None:
            return
        node.owners.pop(owner, None)
        if not node.owners:
            self._root = _without(self._root, node.order)

    def owners_at(self, key: bytes) -> Iterator[O]:
        """Give the owners of all ranges that hold this key; one may come twice."""
        pending = [self._root]
        while pending:
            node = pending.pop()
            if node is None or (node.last_stop is not None and node.last_stop <= key):
                continue
            pending.append(node.left)
            if node.start <= key:
                if node.stop is None or key < node.stop:
                    yield from node.owners
                pending.append(node.right)

    def _find(self, start: bytes, stop: bytes | None) -> _Node[O] | None:
        wanted = _order(start, stop)
        node = self._root
        while node is not None and node.order != wanted:
            node = node.left if wanted < node.order else node.right
        return node


def _split(
    node: _Node[O] | None, order: tuple[bytes, bool, bytes]
) -> tuple[_Node[O] | None, _Node[O] | None]:
    """Split a tree into what is below ``order`` and what is not."""
    if node is None:
        return None, None
    if node.order < order:
        node.right, more = _split(node.right, order)
        node.measure()
        return node, more
    less, node.left = _split(node.left, order)
    node.measure()
    return less, node


def _merge(less: _Node[O] | None, more: _Node[O] | None) -> _Node[O] | None:
    """Join two trees of which all of the first is below all of the second."""
    if less is None or more is None:
        return less or more
    if less.priority > more.priority:
        less.right = _merge(less.right, more)
        less.measure()
        return less
    more.left = _merge(less, more.left)
    more.measure()
    return more


def _without(node: _Node[O] | None, order: tuple[bytes, bool, bytes]) -> _Node[O] | None:
    """Take the node of this order out of a tree."""
    if node is None:
        return None
    if node.order == order:
        return _merge(node.left, node.right)
    if order < node.order:
        node.left = _without(node.left, order)
    else:
        node.right = _without(node.right, order)
    node.measure()
    return node


@define
class RangeMap(Generic[O]):
    """The ranges that owners read, over all indexes of one table.

    Single keys, which is what ``get`` reads, stand in a dict; all else in a tree for each index.
    Searches stand apart.
    """

    _points: dict[tuple[int, bytes], dict[O, None]] = field(
        factory=dict[tuple[int, bytes], dict[O, None]]
    )
    _trees: dict[int, IntervalTree[O]] = field(factory=dict[int, IntervalTree[O]])
    _searches: SearchMap[O] = field(factory=SearchMap[O])
    _owned: dict[O, tuple[Read, ...]] = field(factory=dict[O, tuple[Read, ...]])

    def __len__(self) -> int:
        return len(self._owned)

    def put(self, owner: O, ranges: tuple[Read, ...]) -> None:
        """Let these be all that the owner read."""
        if self._owned.get(owner) == ranges:
            return
        self.discard(owner)
        self._owned[owner] = ranges
        for each in ranges:
            if isinstance(each, SearchRead):
                self._searches.add(each, owner)
            elif each.is_point:
                self._points.setdefault((each.index, each.start), {})[owner] = None
            else:
                tree = self._trees.setdefault(each.index, IntervalTree[O]())
                tree.add(each.start, each.stop, owner)

    def discard(self, owner: O) -> None:
        """Forget what the owner read."""
        for each in self._owned.pop(owner, ()):
            if isinstance(each, SearchRead):
                self._searches.discard(each, owner)
                continue
            if not each.is_point:
                self._trees[each.index].discard(each.start, each.stop, owner)
                continue
            owners = self._points.get((each.index, each.start), {})
            owners.pop(owner, None)
            if not owners:  # Also if the owner has named the same key twice.
                self._points.pop((each.index, each.start), None)

    def touched_by(self, rows: Iterable[RowKeys]) -> set[O]:
        """Give the owners who read a key of one of these rows, in any index."""
        found: set[O] = set()
        points, trees, searches = self._points, self._trees, self._searches
        for keys in rows:
            for index, key in enumerate(keys):
                owners = points.get((index, key))
                if owners is not None:
                    found.update(owners)
                tree = trees.get(index)
                if tree is not None:
                    found.update(tree.owners_at(key))
            if searches:
                searches.find(keys, found)
        return found
