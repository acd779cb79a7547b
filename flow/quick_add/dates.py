"""Dates in a line: every phrase that could be one, and whether it stands where dates stand."""

import calendar
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Final, Literal

from attrs import frozen

from flow.quick_add.words import (
    COUNT,
    DAY_NAMES,
    DAYPART,
    MARKER,
    MONTH,
    MONTHS,
    NTH,
    ORDINALS,
    WEEKDAY,
    WEEKDAYS,
    Phrase,
    count_of,
    phrase,
)
from flow.settings import Settings
from flow.time.instants import to_wall
from flow_backend import Instant, Time

Strength = Literal["strong", "weekday", "month day", "weak"]
"""A strong phrase counts anywhere, a weekday or a day of a month also in certain places."""

_YEARS_SEARCHED: Final = 9


@frozen(kw_only=True)
class Now:
    """The moment of capture: the instant, and what the writer's clock and settings say."""

    at: Instant
    wall: datetime
    zone: str
    settings: Settings

    @property
    def today(self) -> date:
        """The writer's day."""
        return self.wall.date()

    @property
    def week_begins(self) -> date:
        """The first day of this week."""
        first = 0 if self.settings.week_starts == "monday" else 6
        return self.today - timedelta(days=(self.today.weekday() - first) % 7)

    def daypart(self, word: str) -> Time:
        """Give the time of day that a word such as ``evening`` means."""
        settings = self.settings
        return {
            "morning": settings.morning,
            "afternoon": settings.afternoon,
            "evening": settings.evening,
            "night": settings.night,
        }[word.lower()]


@frozen(kw_only=True)
class When:
    """A phrase that could be a date.

    Attributes:
        start, end: its place, with a marker such as ``by``.
        words: the phrase without its marker.
        time: a time of day that is part of it, such as that of ``tonight``.
        soft: whether that time gives way to the whole day if it is over already.
        at: the instant, if it counts elapsed time.
        evening: whether hours beside it are those after noon.
        warning: what does not agree in it.
    """

    start: int
    end: int
    words: str
    strength: Strength
    date: date
    marked: bool = False
    time: Time | None = None
    soft: bool = False
    at: Instant | None = None
    evening: bool = False
    warning: str | None = None


@frozen(kw_only=True)
class _Read:
    date: date
    time: Time | None = None
    soft: bool = False
    at: Instant | None = None
    evening: bool = False
    warning: str | None = None


_Reader = Callable[[re.Match[str], Now], "_Read | None"]


def find_dates(view: str, now: Now) -> list[When]:
    """Give the phrases that could be dates, in order; of two that overlap the longer one."""
    found = list[When]()
    for pattern, strength, read in _PATTERNS:
        for match in pattern.finditer(view):
            meaning = read(match, now)
            if meaning is None:
                continue
            found.append(
                When(
                    start=match.start(),
                    end=match.end(),
                    words=" ".join(match["words"].split()),
                    strength=strength,
                    date=meaning.date,
                    marked=match["marker"] is not None,
                    time=meaning.time,
                    soft=meaning.soft,
                    at=meaning.at,
                    evening=meaning.evening,
                    warning=meaning.warning,
                )
            )
    found.sort(key=lambda each: (each.start - each.end, each.start))
    chosen = list[When]()
    for each in found:
        if all(each.end <= other.start or other.end <= each.start for other in chosen):
            chosen.append(each)
    return sorted(chosen, key=lambda each: each.start)


def next_weekday(now: Now, weekday: int) -> date:
    """Give the next such day; today is none."""
    return now.today + timedelta(days=(weekday - now.today.weekday() - 1) % 7 + 1)


def next_date(today: date, month: int, day: int) -> date | None:
    """Give the next day of that name, today included; None if there is none in years."""
    for year in range(today.year, min(today.year + _YEARS_SEARCHED, date.max.year + 1)):
        found = day_of(year, month, day)
        if found is not None and found >= today:
            return found
    return None


def day_of(year: int, month: int, day: int) -> date | None:
    """Give the date, or None if no calendar has it."""
    try:
        return date(year, month, day)
    except ValueError:
        return None


def plus_months(day: date, months: int) -> date | None:
    """Go on by calendar months; where there is no such day, it is the month's last."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not date.min.year <= year <= date.max.year:
        return None
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def plus_days(day: date, days: int) -> date | None:
    """Go on by days; None past the end of the calendar."""
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return None


def _read_if(found: date | None) -> "_Read | None":
    return None if found is None else _Read(date=found)


# --- Phrases


def _simple(match: re.Match[str], now: Now) -> "_Read | None":
    word = match["words"].lower()
    if word == "today":
        return _Read(date=now.today)
    if word == "tonight":
        return _Read(date=now.today, time=now.settings.night, soft=True, evening=True)
    # Capitals are a name: "Call Tom".
    if word == "tom" and match["words"] != "tom":
        return None
    days = 2 if word.startswith("day") else 1
    return _read_if(plus_days(now.today, days))


def _day_with_part(match: re.Match[str], now: Now) -> "_Read | None":
    part, word = match["part"], match["day"].lower()
    time = now.daypart(part)
    evening = part.lower() != "morning"
    if word == "this":
        return _Read(date=now.today, time=time, soft=True, evening=evening)
    day = now.today if word == "today" else plus_days(now.today, 1)
    return None if day is None else _Read(date=day, time=time, soft=True, evening=evening)


def _in_units(match: re.Match[str], now: Now) -> "_Read | None":
    count = count_of(match["count"])
    unit = match["unit"].lower()
    if unit.startswith("d"):
        return _read_if(plus_days(now.today, count))
    if unit.startswith("w"):
        return _read_if(plus_days(now.today, 7 * count))
    return _read_if(plus_months(now.today, count * (12 if unit.startswith("y") else 1)))


def _elapsed(match: re.Match[str], now: Now) -> "_Read | None":
    unit = (match["unit"] or "m").lower()
    if match["count"] is None:
        minutes = 30  # Half an hour.
    else:
        minutes = count_of(match["count"]) * (60 if unit.startswith("h") else 1)
    at = Instant(now.at + minutes * 60_000)
    wall = to_wall(at, now.zone)
    # Seconds are no part of what people mean, nor of what they read.
    at = Instant(at - (wall.second * 1000 + wall.microsecond / 1000))
    return _Read(date=wall.date(), time=Time(wall.hour, wall.minute), at=at)


def _named_weekday(match: re.Match[str], now: Now) -> "_Read | None":
    weekday = WEEKDAYS[match["day"].lower()]
    word = (match["which"] or "next").lower()
    if word == "this":
        return _Read(date=now.today + timedelta(days=(weekday - now.today.weekday()) % 7))
    begins = now.week_begins + timedelta(days=7)
    return _Read(date=begins + timedelta(days=(weekday - begins.weekday()) % 7))


def _period(match: re.Match[str], now: Now) -> "_Read | None":
    unit = match["unit"].lower()
    if unit == "weekend":
        saturday = now.today + timedelta(days=(5 - now.today.weekday()) % 7)
        if now.today.weekday() == 6 and match["which"].lower() == "this":
            saturday = now.today
        return _Read(date=saturday + timedelta(days=7 * (match["which"].lower() == "next")))
    if unit == "week":
        return _read_if(plus_days(now.week_begins, 7))
    first = now.today.replace(day=1)
    if unit == "month":
        return _read_if(plus_months(first, 1))
    return _read_if(plus_months(first.replace(month=1), 12))


def _end_of(match: re.Match[str], now: Now) -> "_Read | None":
    unit = (match["unit"] or match["short"][-1]).lower()[0]
    today = now.today
    if unit == "d":
        return _Read(date=today, time=now.settings.workday_end, soft=True, evening=True)
    if unit == "w":
        # The week's last day of work; at the weekend that is over, and the next one's is meant.
        return _Read(date=today + timedelta(days=(4 - today.weekday()) % 7))
    if unit == "m":
        return _Read(date=today.replace(day=calendar.monthrange(today.year, today.month)[1]))
    return _Read(date=today.replace(month=12, day=31))


def _month_day(match: re.Match[str], now: Now) -> "_Read | None":
    day, month = int(re.sub(r"\D", "", match["dom"])), MONTHS[match["month"].lower()]
    year = match["year"]
    found = next_date(now.today, month, day) if year is None else day_of(int(year), month, day)
    if found is None:
        return None
    weekday = match["weekday"]
    if weekday is None or WEEKDAYS[weekday.lower()] == found.weekday():
        return _Read(date=found)
    real = DAY_NAMES[found.weekday()].lower()
    return _Read(date=found, warning=f"{weekday.lower()[:3]} but {found} is {real}")


def _iso(match: re.Match[str], _now: Now) -> "_Read | None":
    return _read_if(day_of(int(match["y"]), int(match["m"]), int(match["d"])))


def _numeric(match: re.Match[str], now: Now) -> "_Read | None":
    first, second = int(match["first"]), int(match["second"])
    if (first, second) == (24, 7) and match["third"] is None:
        return None  # Day and night, not a date.
    month, day = (first, second) if now.settings.date_order == "mdy" else (second, first)
    if match["third"] is None:
        return _read_if(next_date(now.today, month, day) if 1 <= month <= 12 else None)
    year = int(match["third"])
    return _read_if(day_of(year + 2000 if year < 100 else year, month, day))


def _day_of_month(match: re.Match[str], now: Now) -> "_Read | None":
    word = match["dom"].lower()
    day = ORDINALS.get(word) or int(word[:-2])
    for months in range(12):
        first = plus_months(now.today.replace(day=1), months)
        found = None if first is None else day_of(first.year, first.month, day)
        if found is not None and found >= now.today:
            return _Read(date=found)
    return None


def _weekday(match: re.Match[str], now: Now) -> "_Read | None":
    return _Read(date=next_weekday(now, WEEKDAYS[match["words"].lower()]))


def _marked(pattern: str) -> Phrase:
    return phrase(rf"(?:(?P<marker>{MARKER}) )?(?P<words>{pattern})")


_YEAR: Final = r"(?:,? ?(?P<year>[12]\d{3})(?!\d|:\d))"
_OF_WEEK: Final = rf"(?:(?P<weekday>{WEEKDAY}),? )?"
_DOM: Final = rf"(?P<dom>{NTH}|\d{{1,2}})(?!\d|:\d)"
_PATTERNS: Final[tuple[tuple[Phrase, Strength, _Reader], ...]] = (
    (_marked("today|tonight|day after tomorrow|tomorrow|tmrw|tmr|tom"), "strong", _simple),
    (
        _marked(rf"(?P<day>this|today|tomorrow|tmr|tom) (?P<part>{DAYPART})"),
        "strong",
        _day_with_part,
    ),
    (
        _marked(rf"in (?P<count>{COUNT}) (?P<unit>days?|weeks?|months?|years?)"),
        "strong",
        _in_units,
    ),
    (
        _marked(r"\+(?P<count>\d{1,3})(?P<unit>days?|d|weeks?|w|months?|mo|years?|y)"),
        "strong",
        _in_units,
    ),
    (
        _marked(
            rf"in half an hour|in (?P<count>{COUNT})\s*(?P<unit>minutes?|mins?|min|m|hours?|hrs?|h)"
        ),
        "strong",
        _elapsed,
    ),
    (
        _marked(r"\+(?P<count>\d{1,4})(?P<unit>minutes?|mins?|min|m|hours?|hrs?|h)"),
        "strong",
        _elapsed,
    ),
    (_marked(rf"(?P<which>next|this) (?P<day>{WEEKDAY})"), "strong", _named_weekday),
    (_marked(rf"(?P<day>{WEEKDAY}) (?P<which>next) week"), "strong", _named_weekday),
    (_marked("(?P<which>this|next) (?P<unit>weekend)"), "strong", _period),
    (_marked("(?P<which>next) (?P<unit>week|month|year)"), "strong", _period),
    (
        _marked(
            "(?:at )?(?:the )?end of (?:the |this )?(?P<unit>day|week|month|year)"
            "|(?P<short>eo[dwmy])"
        ),
        "strong",
        _end_of,
    ),
    (_marked(rf"{_OF_WEEK}(?P<month>{MONTH})\.? {_DOM}{_YEAR}"), "strong", _month_day),
    (
        _marked(rf"{_OF_WEEK}(?:the )?{_DOM} (?:of )?(?P<month>{MONTH})\.?{_YEAR}"),
        "strong",
        _month_day,
    ),
    (_marked(rf"{_OF_WEEK}(?P<month>{MONTH})\.? {_DOM}(?P<year>(?!))?"), "month day", _month_day),
    (
        _marked(rf"{_OF_WEEK}(?:the )?{_DOM} (?:of )?(?P<month>{MONTH})\.?(?P<year>(?!))?"),
        "month day",
        _month_day,
    ),
    (_marked(r"(?P<y>[12]\d{3})-(?P<m>\d\d)-(?P<d>\d\d)"), "strong", _iso),
    (
        _marked(r"(?P<first>\d{1,2})/(?P<second>\d{1,2})/(?P<third>[12]\d{3}|\d\d)"),
        "strong",
        _numeric,
    ),
    (
        _marked(r"(?P<first>\d{1,2})/(?P<second>\d{1,2})(?P<third>(?!))?"),
        "weak",
        _numeric,
    ),
    (_marked(rf"(?:the )?(?P<dom>{NTH})"), "weak", _day_of_month),
    (_marked(WEEKDAY), "weekday", _weekday),
)
