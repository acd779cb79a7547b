"""``ctx.clock``: the time of a call, and which instants its answer depends on."""

from math import inf, isfinite
from typing import Final, Literal, get_args

from attrs import define

from flow_backend.errors import InvalidTime
from flow_backend.functions.spans import DAY, HOUR, MINUTE, Span, span_at
from flow_backend.schema.document import Instant

Granularity = Literal["minute", "hour", "day"]

_GRANULARITIES: Final = dict(zip(get_args(Granularity), (MINUTE, HOUR, DAY), strict=True))


@define
class Clock:
    """``ctx.clock``: time, which stands still within a call.

    What a query asks here by :meth:`passed`, or by :meth:`now` with a granularity, is part of what
    it read: a live query is run again when the answer becomes another one. A mutation or an action
    runs once, so there these are plain comparisons with the moment at which it began.

    Attributes:
        wakes_at: the earliest instant at which an answer that was given becomes another; infinite
            if only a clock that is set back could change them, None if none was given.
    """

    _now: Instant
    wakes_at: float | None = None

    def now(self, granularity: Granularity | None = None, zone: str | None = None) -> Instant:
        """Give the time at which this call began, ms since the epoch.

        With a granularity: the first instant of the minute, hour or day that it lies in, by the
        wall clock of an IANA time zone (UTC without one). A live query that asks this is run again
        when the next one begins. Without a granularity the time makes no query run again.

        Raises: InvalidTime for a granularity or a zone that there is not.
        """
        if granularity is None:
            if zone is not None:
                raise InvalidTime(
                    f"ctx.clock.now(zone={zone!r}) needs a granularity: an instant is the same in "
                    "all time zones, but its day is not"
                )
            return self._now
        unit = _GRANULARITIES.get(granularity)
        if unit is None:  # Type checkers know better, but nothing else holds an app to that.
            known = ", ".join(map(repr, _GRANULARITIES))
            raise InvalidTime(
                f"ctx.clock.now() knows the granularities {known}, not {granularity!r}"
            )
        span: Span = span_at(self._now, unit, zone)
        self._look(span.stop)
        return Instant(span.start)

    def passed(self, instant: Instant) -> bool:
        """Say whether an instant is here or has passed.

        A live query that asks this is run again when the instant comes, once, and nothing is
        polled; also if the server was down then, or its clock was set.

        Raises: InvalidTime if it is no instant.
        """
        if type(instant) not in {float, int} or not isfinite(instant):
            raise InvalidTime(
                "ctx.clock.passed() takes an instant in ms since the epoch, as ctx.clock.now() "
                f"gives, not {instant!r:.80}. Ask whether there is one before asking whether it "
                "has passed."
            )
        has_passed = self._now >= instant
        self._look(inf if has_passed else float(instant))
        return has_passed

    def _look(self, until: float) -> None:
        if self.wakes_at is None or until < self.wakes_at:
            self.wakes_at = until
