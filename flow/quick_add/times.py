"""Times of day in a line: every phrase that could be one, with its range, duration and zone."""

import re
from datetime import datetime, timedelta
from typing import Final, Literal

from attrs import frozen

from flow.quick_add.dates import Now
from flow.quick_add.words import DAYPART, MARKER, phrase
from flow.settings import checked_zone
from flow_backend import AppError, Date, Time

Sort = Literal["clear", "clock", "word", "hour"]
"""``5pm`` and ``at 17:30`` are clear, ``17:30`` is a clock's, ``noon`` a word, ``at 5`` an hour."""


@frozen(kw_only=True)
class Hour:
    """A phrase that could be a time of day.

    Attributes:
        start, end: its place, with ``at``, a marker, and the zone behind it.
        time: the time of day; of an ``hour`` in the evening see :meth:`on`.
        minutes: how long, if it is a range.
        zone: an IANA name behind it.
        soft: whether it gives way to the whole day if it is over already.
    """

    start: int
    end: int
    sort: Sort
    time: Time
    minutes: int | None = None
    zone: str | None = None
    marked: bool = False
    soft: bool = False
    is_hour: bool = False

    def on(self, evening: bool) -> Time:
        """Give the time; beside ``tonight`` a bare hour is one after noon."""
        if evening and self.is_hour and 7 <= self.time.hour < 12:
            return self.time.replace(hour=self.time.hour + 12)
        return self.time


_CLOCK: Final = r"(?:[01]?\d|2[0-3]):[0-5]\d"
_TWELVE: Final = r"(?:1[0-2]|0?[1-9])(?:[:.][0-5]\d)?"
_ONE: Final = rf"(?:{_TWELVE}\s?[ap]\.?m\.?|{_CLOCK}|noon|midnight)"
_ZONE: Final = r"(?: (?P<zone>UTC|GMT|[A-Z][A-Za-z]+(?:/[A-Z][A-Za-z_-]+){1,2}))?"
_DASH: Final = r"\s*(?:-|\u2013|\u2014|to|until|till)\s*"

_RANGE: Final = phrase(
    rf"(?:(?P<marker>{MARKER}) |from |at )?"
    rf"(?P<first>{_TWELVE}(?:\s?[ap]m)?|{_CLOCK}|noon){_DASH}(?P<second>{_ONE}){_ZONE}"
)
_SINGLE: Final = phrase(rf"(?:(?P<marker>{MARKER}) )?(?P<at>at )?(?P<time>{_ONE}){_ZONE}")
_BARE: Final = phrase(rf"at (?P<hour>[01]?\d|2[0-3]){_ZONE}")
_PART: Final = phrase(rf"(?:in the (?P<part>{DAYPART})|at (?P<night>night))")
_ANY: Final = re.compile(rf"\d|noon|midnight|{DAYPART}", re.IGNORECASE)
_BESIDE: Final = phrase(rf"(?P<beside>{DAYPART})")
_MINUTES: Final = r"(?:minutes?|mins?|min|m)"
_HOURS: Final = r"(?P<hours>\d{1,2}(?:[.,]5)?|an?)\s*(?:hours?|hrs?|h)"
DURATION: Final = phrase(
    rf"for (?:{_HOURS}(?:(?: and)?\s*(?P<extra>\d{{1,2}})\s*{_MINUTES}?)?"
    rf"|(?P<minutes>\d{{1,4}})\s*{_MINUTES}|(?P<half>half an hour))"
)


def find_times(view: str, now: Now) -> list[Hour]:
    """Give the phrases that could be times, in order; of two that overlap the longer one."""
    if _ANY.search(view) is None:
        return []
    found = [*_ranges(view), *_singles(view), *_bare_hours(view), *_dayparts(view, now)]
    found.sort(key=lambda each: (each.start - each.end, each.start))
    chosen = list[Hour]()
    for each in found:
        if all(each.end <= other.start or other.end <= each.start for other in chosen):
            chosen.append(each)
    return sorted(chosen, key=lambda each: each.start)


def read_time(text: str) -> Time:
    """Read ``5pm``, ``17:30``, ``noon`` or ``midnight``, which is the last minute of its day."""
    word = re.sub(r"[\s.]", "", text.lower()) if "m" in text.lower() else text.lower()
    if word in {"noon", "midnight"}:
        return Time(12) if word == "noon" else Time(23, 59)
    digits = word.rstrip("apm")
    hour, _, minute = digits.partition(":")
    if word.endswith("m") and "." in text and ":" not in digits and len(digits) > 2:
        hour, minute = digits[:-2], digits[-2:]
    number = int(hour)
    if word.endswith("m"):
        number = number % 12 + (12 if word.endswith("pm") else 0)
    return Time(number, int(minute or 0))


def duration_minutes(found: re.Match[str]) -> int:
    """Read ``for 90m`` or ``for 2 hours``, as minutes."""
    if found["half"] is not None:
        return 30
    if found["minutes"] is not None:
        return int(found["minutes"])
    hours = (
        1.0 if found["hours"].lower() in {"a", "an"} else float(found["hours"].replace(",", "."))
    )
    return int(hours * 60) + int(found["extra"] or 0)


def iso_duration(minutes: int) -> str:
    """Write minutes as ISO 8601: ``PT2H`` for whole hours, else ``PT90M``."""
    return f"PT{minutes // 60}H" if minutes % 60 == 0 else f"PT{minutes}M"


def _ranges(view: str) -> list[Hour]:
    found = list[Hour]()
    for match in _RANGE.finditer(view):
        first, second = match["first"], match["second"]
        if first.isdigit() and second.lower()[-2:] not in {"am", "pm"}:
            continue  # "2-16:30" is no way to write a time.
        end = read_time(second)
        is_open = _is_open(first) and second[-1].lower() == "m" and second[-2].lower() in "ap"
        start = read_time(first + second[-2:] if is_open else first)
        # "11-1pm" begins before noon.
        if is_open and start >= end:
            start = read_time(first + ("am" if second[-2:].lower() == "pm" else "pm"))
        minutes = int((_on_a_day(end) - _on_a_day(start)) / timedelta(minutes=1)) % 1440
        if not minutes or not _zone_is_known(match):
            continue
        found.append(
            Hour(
                start=match.start(),
                end=match.end(),
                sort="clear",
                time=start,
                minutes=minutes,
                zone=match["zone"],
                marked=match["marker"] is not None,
            )
        )
    return found


def _is_open(text: str) -> bool:
    """Tell whether a range's first time takes am or pm from its second."""
    return (
        not text.lower().endswith("m")
        and text.lower() != "noon"
        and (":" not in text or int(text.partition(":")[0]) <= 12)
    )


def _on_a_day(time: Time) -> datetime:
    return datetime.combine(Date(2000, 1, 1), time)


def _singles(view: str) -> list[Hour]:
    found = list[Hour]()
    for match in _SINGLE.finditer(view):
        text = match["time"]
        word = text.lower() in {"noon", "midnight"}
        clear = not word and (text[-1].lower() in "m." or match["at"] is not None)
        end = match.end() if _zone_is_known(match) else match.end("time")
        found.append(
            Hour(
                start=match.start(),
                end=end,
                sort="word" if word else "clear" if clear else "clock",
                time=read_time(text),
                zone=match["zone"] if _zone_is_known(match) else None,
                marked=match["marker"] is not None,
            )
        )
    return found


def _bare_hours(view: str) -> list[Hour]:
    found = list[Hour]()
    for match in _BARE.finditer(view):
        hour = int(match["hour"])
        # From one to six it is the afternoon, from seven on the morning.
        meant = hour + 12 if 1 <= hour <= 6 else hour
        found.append(
            Hour(
                start=match.start(),
                end=match.end() if _zone_is_known(match) else match.end("hour"),
                sort="hour",
                time=Time(meant),
                zone=match["zone"] if _zone_is_known(match) else None,
                is_hour=True,
            )
        )
    return found


def _dayparts(view: str, now: Now) -> list[Hour]:
    found = list[Hour]()
    for match in _PART.finditer(view):
        time = now.daypart(match["part"] or match["night"])
        found.append(Hour(start=match.start(), end=match.end(), sort="word", time=time))
    return found


def daypart_behind(view: str, place: int, now: Now) -> tuple[int, Time] | None:
    """Give the end and the time of a part of the day right behind a date: ``friday morning``."""
    match = _BESIDE.match(view, place + 1) if view[place : place + 1] == " " else None
    return None if match is None else (match.end(), now.daypart(match["beside"]))


def _zone_is_known(match: re.Match[str]) -> bool:
    if match["zone"] is None:
        return True
    try:
        checked_zone(match["zone"])
    except AppError:
        return False
    return True
