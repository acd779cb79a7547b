"""The instants that live queries wait for, earliest first."""

import heapq
from collections.abc import Iterator
from math import inf

from attrs import define, field

from flow_backend.actors.messages.calls import LiveQueryId

_SLACK = 64


@define(eq=False)
class Instants:
    """The next instant of each live query that has looked at the clock, in ms since the epoch.

    It is infinite where only a clock that is set back can change the answer. Each change costs
    O(log n), and what is out of date in the heap is left there until it comes up, or is half of it.
    """

    _next: dict[LiveQueryId, float] = field(factory=dict[LiveQueryId, float])
    _heap: list[tuple[float, LiveQueryId]] = field(factory=list[tuple[float, LiveQueryId]])

    def __len__(self) -> int:
        return len(self._next)

    def __iter__(self) -> Iterator[LiveQueryId]:
        return iter(self._next)

    def put(self, query: LiveQueryId, instant: float | None) -> None:
        """Note what a query waits for now; None if it no longer looks at the clock."""
        before = self._next.get(query)
        if before == instant:
            return
        if instant is None:
            del self._next[query]
            return
        self._next[query] = instant
        if instant != inf:
            heapq.heappush(self._heap, (instant, query))
            if len(self._heap) > 2 * len(self._next) + _SLACK:
                self._heap = [(at, each) for each, at in self._next.items() if at != inf]
                heapq.heapify(self._heap)

    def take_due(self, now: float) -> list[LiveQueryId]:
        """Take out those whose instant is not after ``now``."""
        due: list[LiveQueryId] = []
        heap = self._heap
        while heap and heap[0][0] <= now:
            instant, query = heapq.heappop(heap)
            if self._next.get(query) == instant:
                # Now its answer is out of date, and only its next run can say what comes after.
                self._next[query] = inf
                due.append(query)
        return due

    @property
    def earliest(self) -> float | None:
        """The first instant that is to come; infinite if there is none but the clock counts."""
        heap = self._heap
        while heap and self._next.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
        if heap:
            return heap[0][0]
        return inf if self._next else None
