"""From what a clock on the wall shows to instants, and back: zones, days, what is due, offsets."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from flow_backend import AppError, Date, Instant, Time

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
MIDNIGHT: Final = Time()
_YEARS: Final = (1900, 2500)
_OFFSET: Final = re.compile(
    r"(?P<sign>[+-])?P(?:(?P<weeks>\d{1,4})W)?(?:(?P<days>\d{1,4})D)?"
    r"(?:T(?:(?P<hours>\d{1,5})H)?(?:(?P<minutes>\d{1,6})M)?(?:(?P<seconds>\d{1,7})S)?)?"
)

# --- Zones


@lru_cache(maxsize=600)
def zone_of(name: str) -> "ZoneInfo":
    """Give a time zone by its IANA name.

    Raises: AppError if there is none of that name.
    """
    # Loaded with the first zone: an app that starts has not asked for one yet.
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise AppError(
            f'There is no time zone "{name}". Use a name such as Europe/Berlin or America/New_York.'
        ) from None


# --- Wall times


def to_instant(wall: datetime, zone: str) -> Instant:
    """Give the instant at which the clocks of a zone show a wall time.

    A time that is skipped when the clocks go forward is read with the offset from before: 02:30 is
    the instant at which they show 03:30. One that comes twice when they go back is the first.

    Args:
        wall: a naive datetime; its ``fold`` is not looked at.
        zone: an IANA name.

    Raises: AppError for an unknown zone or a year that nobody plans for.
    """
    if not _YEARS[0] <= wall.year <= _YEARS[1]:
        raise AppError(f"The year {wall.year} is too far off: use {_YEARS[0]} to {_YEARS[1]}.")
    # zoneinfo with fold=0 is right about both: PEP 495 has it so.
    aware = wall.replace(tzinfo=zone_of(zone), fold=0)
    return Instant((aware - _EPOCH) / _MS)


def to_wall(instant: Instant, zone: str) -> datetime:
    """Give what the clocks of a zone show at an instant: a naive datetime, ``fold`` 0.

    Raises: AppError for an unknown zone, or an instant that is no time of a calendar.
    """
    zone_info = zone_of(zone)
    try:
        aware = (_EPOCH + timedelta(milliseconds=instant)).astimezone(zone_info)
    except (OverflowError, ValueError):
        raise AppError(f"{instant} is no instant: it is in ms since 1970, in UTC.") from None
    return aware.replace(tzinfo=None, fold=0)


def shown_instead(wall: datetime, zone: str) -> datetime | None:
    """Give what the clocks show at a wall time that they skip; None if they do not skip it."""
    shown = to_wall(to_instant(wall, zone), zone)
    return None if shown == wall else shown


def wall_of(date: Date, time: Time | None) -> datetime:
    """Put a date and a time together; without a time it is the day's midnight."""
    return datetime.combine(date, time or MIDNIGHT)


# --- Days and what is due


def day_bounds(date: Date, zone: str) -> tuple[Instant, Instant]:
    """Give the instants at which a day begins and ends in a zone: 23, 24 or 25 hours apart."""
    midnight = datetime.combine(date, MIDNIGHT)
    return to_instant(midnight, zone), to_instant(midnight + timedelta(days=1), zone)


def due_at(date: Date, time: Time | None, zone: str) -> Instant:
    """Give the instant after which something is overdue.

    Args:
        date: the day that it is due.
        time: None for all of the day: it is overdue when the day has ended.
        zone: its own zone, or the home zone of the person.
    """
    if time is None:
        return day_bounds(date, zone)[1]
    return to_instant(datetime.combine(date, time), zone)


# --- Offsets


def check_offset(offset: str) -> str:
    """Check how far from due a reminder rings: ``-PT30M``, ``-P1D``, ``PT0S``, or a wall time.

    Returns: the offset.
    Raises: AppError that gives examples.
    """
    if _wall_in(offset) is None:
        _split(offset)
    return offset


def offset_at(
    offset: str,
    date: Date,
    time: Time | None,
    zone: str,
    all_day: Time,
    due: Instant | None = None,
) -> Instant:
    """Give the instant at which a reminder with an offset rings.

    Days and weeks are counted on the calendar, and keep the wall time; hours and minutes are
    elapsed time. So a day before 09:00 is 09:00, and 24 hours before may be 08:00 or 10:00.

    Args:
        offset: an ISO 8601 duration with its sign, or a wall time (``2027-04-01T09:00``).
        date: the day that the item is due.
        time: its time; None for all of the day, whose reminders count from ``all_day``.
        zone: where ``date``, ``time`` and a wall time as offset are read.
        all_day: the time of day from which reminders of days count.
        due: when it is due, if that is known as an instant: of two equal wall times, the second.

    Raises: AppError for an offset that cannot be read.
    """
    absolute = _wall_in(offset)
    if absolute is not None:
        return to_instant(absolute, zone)
    days, elapsed = _split(offset)
    wall = datetime.combine(date, all_day if time is None else time)
    if days or due is None or time is None:
        base = to_instant(wall + timedelta(days=days), zone)
    else:
        base = due
    return Instant(base + elapsed * 1000)


def _wall_in(offset: str) -> datetime | None:
    if "-" not in offset[1:] or "T" not in offset:
        return None
    try:
        found = datetime.fromisoformat(offset)
    except ValueError:
        return None
    return found if found.tzinfo is None else None


@lru_cache(maxsize=256)
def _split(offset: str) -> tuple[int, int]:
    """Give an offset's calendar days and its elapsed seconds, both with its sign."""
    found = _OFFSET.fullmatch(offset)
    parts = {} if found is None else found.groupdict()
    sign = -1 if parts.pop("sign", None) == "-" else 1
    numbers = {name: int(digits) for name, digits in parts.items() if digits is not None}
    if not numbers:
        raise AppError(
            f'"{offset}" does not say when to remind. Use -PT30M for half an hour before, -P1D for '
            "a day before, PT0S for the time itself, or a date and time such as 2027-04-01T09:00."
        )
    days = numbers.get("weeks", 0) * 7 + numbers.get("days", 0)
    hours, minutes = numbers.get("hours", 0), numbers.get("minutes", 0)
    return sign * days, sign * (hours * 3600 + minutes * 60 + numbers.get("seconds", 0))
