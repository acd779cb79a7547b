"""How long functions take, which decides where they run: on the event loop, or beside it."""

from collections import deque

from attrs import define, field

FAST_SECONDS = 0.001
"""Functions that take less run on the loop: going to a thread costs a tenth of that."""

VERY_SLOW_SECONDS = 0.05


@define
class Durations:
    """How long each function takes, in seconds, by its last four runs.

    One slow run among them may be the machine's fault and is passed over, unless it was very slow.
    """

    _last: dict[str, deque[float]] = field(factory=dict[str, deque[float]])
    _fast: dict[str, bool] = field(factory=dict[str, bool])

    def learn(self, path: str, seconds: float) -> None:
        """Note a run."""
        last = self._last.get(path)
        if last is None:
            last = self._last[path] = deque(maxlen=4)
        last.append(seconds)
        if seconds < FAST_SECONDS and self._fast.get(path):
            return  # One more fast run among fast ones: nothing to work out.
        expected = self.of(path)
        self._fast[path] = expected is not None and expected < FAST_SECONDS

    def of(self, path: str) -> float | None:
        """Give the expected duration, None if the function never ran."""
        last = self._last.get(path)
        if not last:
            return None
        ordered = sorted(last)
        if len(ordered) == 1 or ordered[-1] > VERY_SLOW_SECONDS:
            return ordered[-1]
        return ordered[-2]

    def is_fast(self, path: str) -> bool:
        """Say whether the function may run on the loop."""
        return self._fast.get(path, False)
