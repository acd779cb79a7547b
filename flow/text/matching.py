"""Finds what two texts have in common, in a bounded number of steps, whatever the texts."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from attrs import define, field

EDITS_MAX: Final = 200
"""How many parts may differ in a stretch that is compared exactly."""

# What these cost, in steps over a part that is equal in both, as it was measured.
_DIAGONAL_STEPS: Final = 4
_COMPARISON_STEPS: Final = 200

Block = tuple[int, int, int]
"""A stretch that is equal in both: where it begins in each, and how long it is."""


@define
class Effort:
    """What comparisons may still cost. A mutation has a second, and texts can be made to be slow.

    The usual comparisons take time that grows with the square, or the cube, of a text in which one
    line stands a thousand times. When this is used up the rest counts as different, so that more
    than needed is kept twice, and nothing is lost.
    """

    steps: int

    def spend(self, steps: int) -> bool:
        """Take steps off. Returns: whether there were that many."""
        self.steps -= steps
        return self.steps >= 0

    @property
    def is_over(self) -> bool:
        """Whether all is used up."""
        return self.steps < 0


@define
class _Gap:
    """A stretch of both texts that is still to be compared; the ends are excluded."""

    a_from: int
    a_to: int
    b_from: int
    b_to: int


@define
class Matcher:
    """Compares two sequences as merge3 asks for it: as ``difflib.SequenceMatcher`` does.

    With ``in_words`` a stretch without letters or digits counts as different unless it stands
    beside one with them: spaces are in every line, and alone they hold nothing together.
    """

    a: Sequence[str]
    b: Sequence[str]
    effort: Effort
    in_words: bool = False
    _blocks: list[Block] = field(factory=list[Block], init=False)

    def get_matching_blocks(self) -> list[Block]:
        """Give the stretches that are equal, in order, and an empty one at the end of both."""
        self.effort.spend(_COMPARISON_STEPS)
        gaps = [_Gap(0, len(self.a), 0, len(self.b))]
        while gaps:
            gap = self._trim(gaps.pop())
            if gap.a_from < gap.a_to and gap.b_from < gap.b_to:
                gaps += self._compare(gap)
        self._blocks.sort()
        return [*_joined(self._blocks), (len(self.a), len(self.b), 0)]

    def _trim(self, gap: _Gap) -> _Gap:
        """Take off what both begin and end with."""
        a, b = self.a, self.b
        most = min(gap.a_to - gap.a_from, gap.b_to - gap.b_from)
        same = 0
        while same < most and a[gap.a_from + same] == b[gap.b_from + same]:
            same += 1
        if same:
            self._blocks.append((gap.a_from, gap.b_from, same))
        most -= same
        last = 0
        while last < most and a[gap.a_to - 1 - last] == b[gap.b_to - 1 - last]:
            last += 1
        if last:
            self._blocks.append((gap.a_to - last, gap.b_to - last, last))
        return _Gap(gap.a_from + same, gap.a_to - last, gap.b_from + same, gap.b_to - last)

    def _compare(self, gap: _Gap) -> list[_Gap]:
        """Compare a gap exactly, or else give the smaller gaps that it falls into."""
        found = self._exactly(gap)
        if found is not None:
            self._blocks += filter(self._has_words, found) if self.in_words else found
            return []
        return self._between_anchors(gap)

    def _has_words(self, block: Block) -> bool:
        start, _, length = block
        return any(char.isalnum() for part in self.a[start : start + length] for char in part)

    def _exactly(self, gap: _Gap) -> list[Block] | None:
        """Find the fewest edits from one stretch to the other; None if they are too many.

        Source: Myers, "An O(ND) difference algorithm and its variations", 1986.
        """
        a, b = self.a, self.b
        width, height = gap.a_to - gap.a_from, gap.b_to - gap.b_from
        # How far in ``a`` each diagonal has come, and the same before each number of edits.
        reached = {1: 0}
        history: list[dict[int, int]] = []
        for edits in range(min(EDITS_MAX, width + height) + 1):
            history.append(reached.copy())
            if not self.effort.spend(len(reached)):
                return None
            for diagonal in range(-edits, edits + 1, 2):
                start = x = _next_step(reached, diagonal, edits)
                y = x - diagonal
                while x < width and y < height and a[gap.a_from + x] == b[gap.b_from + y]:
                    x, y = x + 1, y + 1
                reached[diagonal] = x
                if not self.effort.spend(_DIAGONAL_STEPS + x - start):
                    return None
                if x >= width and y >= height:
                    return list(_walk_back(history, width, height, gap))
        return None

    def _between_anchors(self, gap: _Gap) -> list[_Gap]:
        """Match what stands once in each of both, in the same order, and give what lies between.

        Source: the patience diff of Bram Cohen.
        """
        if not self.effort.spend(gap.a_to - gap.a_from + gap.b_to - gap.b_from):
            return []
        in_a = _once(self.a, gap.a_from, gap.a_to)
        in_b = _once(self.b, gap.b_from, gap.b_to)
        pairs = [(at, in_b[part]) for part, at in in_a.items() if part in in_b]
        anchors = _rising(pairs)
        self._blocks += [(at_a, at_b, 1) for at_a, at_b in anchors]
        gaps: list[_Gap] = []
        a_from, b_from = gap.a_from, gap.b_from
        for at_a, at_b in anchors:
            gaps.append(_Gap(a_from, at_a, b_from, at_b))
            a_from, b_from = at_a + 1, at_b + 1
        return [*gaps, _Gap(a_from, gap.a_to, b_from, gap.b_to)] if anchors else []


def _next_step(reached: dict[int, int], diagonal: int, edits: int) -> int:
    """Give where a diagonal goes on: below the one beside it that has come further."""
    if diagonal == -edits:
        return reached[diagonal + 1]
    if diagonal != edits and reached[diagonal - 1] < reached[diagonal + 1]:
        return reached[diagonal + 1]
    return reached[diagonal - 1] + 1


def _walk_back(history: list[dict[int, int]], x: int, y: int, gap: _Gap) -> Iterator[Block]:
    """Give the equal stretches of the way that led to a place."""
    for edits in range(len(history) - 1, -1, -1):
        reached = history[edits]
        diagonal = x - y
        start = _next_step(reached, diagonal, edits)
        if x > start:
            yield gap.a_from + start, gap.b_from + start - diagonal, x - start
        down = start == reached.get(diagonal + 1) and (
            diagonal == -edits
            or (diagonal != edits and reached[diagonal - 1] < reached[diagonal + 1])
        )
        x, y = (start, start - diagonal - 1) if down else (start - 1, start - diagonal)


def _once(parts: Sequence[str], start: int, stop: int) -> dict[str, int]:
    """Give what stands once in a stretch, and where."""
    times = Counter(parts[start:stop])
    return {parts[at]: at for at in range(start, stop) if times[parts[at]] == 1}


def _rising(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Choose as many pairs as rise in both; they come in the order of the first."""
    ends: list[int] = []
    last: list[int] = []
    before: list[int | None] = []
    for index, (_, at) in enumerate(pairs):
        place = bisect_left(ends, at)
        before.append(last[place - 1] if place else None)
        ends[place : place + 1] = [at]
        last[place : place + 1] = [index]
    chosen: list[tuple[int, int]] = []
    walk = last[-1] if last else None
    while walk is not None:
        chosen.append(pairs[walk])
        walk = before[walk]
    return chosen[::-1]


def _joined(blocks: list[Block]) -> Iterator[Block]:
    """Make one of stretches that follow each other in both."""
    at_a = at_b = length = 0
    for next_a, next_b, more in blocks:
        if (next_a, next_b) == (at_a + length, at_b + length):
            length += more
            continue
        if length:
            yield at_a, at_b, length
        at_a, at_b, length = next_a, next_b, more
    if length:
        yield at_a, at_b, length
