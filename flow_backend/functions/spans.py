"""Minutes, hours and days of time zones, as spans of instants."""

from datetime import UTC, datetime
from functools import lru_cache
from math import floor
from typing import TYPE_CHECKING, Final

from flow_backend.errors import InvalidTime
from flow_backend.records import frozen

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86_400

_STEP: Final = 900
"""Offsets are looked at this often: no zone has ever had two changes so close together."""
REACH: Final = DAY + 2 * HOUR
"""What a day, however long, does not reach beyond on either side of any of its instants."""


@frozen
class Span:
    """From ``start`` (included) to ``stop`` (not), ms since the epoch."""

    start: float
    stop: float


@frozen
class Piece:
    """A span in which a zone keeps one offset from UTC; all in whole seconds."""

    start: int
    stop: int
    offset: int


_recent: Final[dict[tuple[int, str | None], Span]] = {}


def span_at(now_ms: float, unit: int, zone: str | None) -> Span:
    """Give the minute, hour or day that an instant lies in, by the wall clock of a zone.

    A day begins with the first instant of its date, and ends where the date becomes another: it may
    have 23 or 25 hours, or begin at one o'clock. An hour and a minute end also where the clocks
    change: one that exists twice is two.

    Raises: InvalidTime if there is no such zone.
    """
    # The time of calls grows, so nearly all of them lie in the span of the one before.
    span = _recent.get((unit, zone))
    if span is None or not span.start <= now_ms < span.stop:
        span = _span(floor(now_ms / 1000), unit, zone)
        _recent[unit, zone] = span
    return span


def _span(now: int, unit: int, zone: str | None) -> Span:
    if zone is None:
        start = now - now % unit
        return Span(start * 1000.0, (start + unit) * 1000.0)
    reach = REACH if unit == DAY else unit
    pieces = pieces_of(zone_of(zone), now - reach, now + reach)
    [here] = [each for each in pieces if each.start <= now < each.stop]
    start = now - (now + here.offset) % unit
    stop = start + unit
    if unit != DAY:
        return Span(max(start, here.start) * 1000.0, min(stop, here.stop) * 1000.0)
    date = (now + here.offset) // DAY
    first = next(found[0] for each in pieces if (found := _of_date(each, date)))
    end = now
    for each in pieces:
        # Where the clocks change within the date, it goes on in the next piece.
        span = _of_date(each, date) if each.start <= end < each.stop else None
        if span is not None and span[0] <= end:
            end = span[1]
    return Span(first * 1000.0, end * 1000.0)


def _of_date(piece: Piece, date: int) -> tuple[int, int] | None:
    """Give the part of a piece that has this date, counted in days from the epoch."""
    start = max(piece.start, date * DAY - piece.offset)
    stop = min(piece.stop, (date + 1) * DAY - piece.offset)
    return (start, stop) if start < stop else None


def pieces_of(zone: "ZoneInfo", start: int, stop: int) -> list[Piece]:
    """Part a span of instants, in seconds, where a zone's offset from UTC changes."""
    pieces: list[Piece] = []
    begun, offset, at = start, _offset(zone, start), start
    while at < stop:
        after = min(at + _STEP, stop)
        if _offset(zone, after) != offset:
            low, high = at, after
            while high - low > 1:
                middle = (low + high) // 2
                if _offset(zone, middle) == offset:
                    low = middle
                else:
                    high = middle
            pieces.append(Piece(begun, high, offset))
            begun, offset, after = high, _offset(zone, high), high
        at = after
    return [*pieces, Piece(begun, stop, offset)]


def _offset(zone: "ZoneInfo", at: int) -> int:
    moment = datetime.fromtimestamp(at, UTC).astimezone(zone)
    offset = moment.utcoffset()
    assert offset is not None, zone
    return round(offset.total_seconds())


@lru_cache(maxsize=1024)
def zone_of(name: str) -> "ZoneInfo":
    """Find a time zone by its IANA name.

    Raises: InvalidTime if there is none.
    """
    from zoneinfo import ZoneInfo  # Most apps never ask for one.

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError, TypeError):
        # Names that are paths, folders of the database, too long, or no text at all.
        raise InvalidTime(
            f"there is no time zone {name!r:.80}; IANA names look like Europe/Berlin, "
            "America/New_York, UTC"
        ) from None
