"""Waiting for an instant of the wall clock, which may be set at any moment."""

from math import inf
from typing import Final

import structlog
from attrs import define, field

from flow_backend.runtime import Runtime, ms_of

logger = structlog.get_logger()

LOOK_SECONDS: Final = 1.0
"""A clock that was set, or a machine that slept, is noticed after this long at most."""
_LEAST_SECONDS: Final = 0.0005
_SET_SECONDS: Final = 0.1
"""What the wall clock gains or loses at one look beyond this, somebody has set it by."""


@define(eq=False)
class WallTimer:
    """Says how long to sleep until an instant, and when the wall clock was set meanwhile.

    Sleeping goes by the monotonic clock, for at most a second at a time while anything is waited
    for, and without end while nothing is.

    Attributes:
        until_ms: the instant that is waited for, ms since the epoch; infinite to learn of a clock
            that is set, and of nothing else; None to wait for nothing.
        look_seconds: how long it sleeps at most; infinite where nobody sets the clock.
    """

    runtime: Runtime
    until_ms: float | None = None
    look_seconds: float = LOOK_SECONDS
    _wall_seconds: float = field(default=0.0, init=False)
    _monotonic: float = field(default=0.0, init=False)

    def wait_for(self, until_ms: float | None) -> None:
        """Wait for this instant from now on, in place of the one before."""
        if self.until_ms is None:
            # While nobody waited nobody looked: what the clocks drifted apart by is no jump.
            self._note()
        self.until_ms = until_ms

    @property
    def now_ms(self) -> float:
        """The wall clock, ms since the epoch."""
        return ms_of(self.runtime.now_ns())

    @property
    def sleep_seconds(self) -> float:
        """For how long to sleep before looking again."""
        if self.until_ms is None:
            return inf
        left = self.until_ms / 1000 - self.runtime.now_ns() / 1e9
        return min(max(left, _LEAST_SECONDS), self.look_seconds)

    def was_set(self) -> float:
        """Give by how many seconds the wall clock was set since the last look: mostly 0."""
        wall, monotonic = self._wall_seconds, self._monotonic
        self._note()
        set_by = (self._wall_seconds - wall) - (self._monotonic - monotonic)
        if abs(set_by) < _SET_SECONDS:
            return 0.0
        logger.warning("the wall clock was set, or the machine slept", seconds=round(set_by, 3))
        return set_by

    def _note(self) -> None:
        self._wall_seconds = self.runtime.now_ns() / 1e9
        self._monotonic = self.runtime.monotonic()
