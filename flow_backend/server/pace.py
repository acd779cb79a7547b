"""How fast one session may send: a bucket of messages that fills again by the second."""

from math import inf
from typing import Final

from attrs import define, field, frozen


@frozen
class MessageRate:
    """So many messages a second on end, and ``burst`` at once.

    Who sends faster is read no faster, and given up after ``patience_seconds`` of that.
    """

    per_second: float
    burst: float
    patience_seconds: float


UNBOUNDED: Final = MessageRate(inf, inf, inf)


@define
class Pace:
    """What one session may still send now. ``allowance`` is counted down with each message.

    No clock is read before the allowance is used up, so that a message costs a subtraction.
    """

    rate: MessageRate
    counted_at: float
    allowance: float = field(init=False)
    _too_fast_since: float | None = None

    def __attrs_post_init__(self) -> None:
        self.allowance = self.rate.burst

    def earn(self, now: float) -> bool:
        """Add what the time since has earned. Returns: False if the session never slows down."""
        rate = self.rate
        self.allowance += (now - self.counted_at) * rate.per_second
        self.allowance = min(rate.burst, self.allowance)
        self.counted_at = now
        if self.allowance >= rate.burst / 2:
            self._too_fast_since = None  # It was quiet for a while.
        if self.allowance >= 0:
            return True
        if self._too_fast_since is None:
            self._too_fast_since = now
        return now - self._too_fast_since <= rate.patience_seconds
