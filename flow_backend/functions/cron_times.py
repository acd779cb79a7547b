"""When a cron comes round: wall times of a time zone, and what becomes of them at its changes."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import floor
from typing import TYPE_CHECKING, Final, cast

from flow_backend.errors import AppDefinitionError
from flow_backend.functions.spans import REACH, pieces_of, zone_of
from flow_backend.records import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAIVE_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # Wall times, without a zone.
_BACK: Final = timedelta(hours=3)
"""Wall times that do not exist come later than their order says, but by less than this."""


@frozen
class Interval:
    """Every so many seconds, counted from the first run, in elapsed time."""

    seconds: int

    @property
    def text(self) -> str:
        """What is kept beside the next instant: a cron with another text begins anew."""
        return f"interval {self.seconds}"

    def first(self, now_ms: float) -> float:
        """Give the first instant of a cron that is new: at once."""
        return now_ms

    def after(self, due_ms: float, now_ms: float) -> float:
        """Give the first instant after ``now_ms``, counted from one at which it was due."""
        step = self.seconds * 1000
        return due_ms + step * (max(0, floor((now_ms - due_ms) / step)) + 1)


@frozen
class WallTimes:
    """The wall times that fit a cron expression of five fields, in a time zone.

    An expression whose minute or hour begins with ``*`` counts elapsed time: every instant whose
    wall time fits is one, so an hour that comes twice counts twice, and one that is left out has
    none. Any other names wall times: one that does not exist becomes the instant it would have been
    by the offset before the change (02:30 becomes 03:30), and of one that exists twice the first
    counts. Two that fall on one instant are one.
    """

    expression: str
    zone: str

    @property
    def text(self) -> str:
        """What is kept beside the next instant: a cron with another text begins anew."""
        return f"{self.expression} {self.zone}"

    @property
    def is_elapsed(self) -> bool:
        """Whether it counts elapsed time."""
        minute, hour = self.expression.split()[:2]
        return minute.startswith("*") or hour.startswith("*")

    def first(self, now_ms: float) -> float:
        """Give the first instant of a cron that is new."""
        return self.after(now_ms, now_ms)

    def after(self, due_ms: float, now_ms: float) -> float:
        """Give the first instant after ``now_ms``."""
        del due_ms
        after = floor(now_ms / 1000)
        return 1000.0 * (self._elapsed(after) if self.is_elapsed else self._named(after))

    def check(self) -> None:
        """Look whether there is any such time.

        Raises: AppDefinitionError if there is none, or the expression is none.
        """
        from cronsim import CronSimError

        try:
            next(self._walls(datetime(2026, 1, 1)))  # noqa: DTZ001
        except CronSimError as error:
            raise AppDefinitionError(
                f"{self.expression!r} is no cron expression ({error}): it has five fields, minute "
                "hour day month weekday, such as */5 * * * * or 0 9 * * MON"
            ) from None
        except StopIteration:
            raise AppDefinitionError(f"no time ever fits {self.expression!r}") from None

    def _walls(self, after: datetime) -> "Iterator[datetime]":
        from cronsim import CronSim  # Apps without crons need none.

        return cast("Iterator[datetime]", CronSim(self.expression, after))

    def _named(self, after: int) -> int:
        zone = zone_of(self.zone)
        wall = datetime.fromtimestamp(after, UTC).astimezone(zone).replace(tzinfo=None, fold=0)
        found: int | None = None
        last: datetime | None = None
        for each in self._walls(wall - _BACK):
            if last is not None and each > last:
                break
            # With fold=0 a time that is left out counts by the offset before, and a double one is
            # the first of the two.
            instant = floor(each.replace(tzinfo=zone).timestamp())
            if instant > after:
                found = instant if found is None else min(found, instant)
                # Those that are moved stand before this one in the order of wall times, and the
                # ones that overtake them not long after.
                last = last or each + _BACK
        assert found is not None, self.text
        return found

    def _elapsed(self, after: int) -> int:
        zone, at = zone_of(self.zone), after
        while True:
            instant = at
            for piece in pieces_of(zone, at, at + REACH):
                begin = max(piece.start, after + 1) + piece.offset
                wall = next(self._walls(_NAIVE_EPOCH + timedelta(seconds=begin - 1)))
                instant = round((wall - _NAIVE_EPOCH).total_seconds()) - piece.offset
                if instant < piece.stop:
                    return instant
            # No wall time in between fits, by whatever offset.
            at = max(at + REACH, instant - REACH)


Schedule = Interval | WallTimes


@lru_cache(maxsize=1024)
def wall_times(expression: str, zone: str) -> WallTimes:
    """Make wall times and check them.

    Raises: AppDefinitionError.
    """
    if len(expression.split()) != 5:
        raise AppDefinitionError(
            f"{expression!r} is no cron expression: it has five fields, minute hour day month "
            "weekday, such as */5 * * * * or 0 9 * * MON"
        )
    made = WallTimes(" ".join(expression.split()).upper(), zone)
    zone_of(zone)
    made.check()
    return made
