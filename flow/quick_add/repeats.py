"""Repeats in a line: ``every other friday until 15 dec`` and its like, as parts of a rule."""

import re
from datetime import date
from typing import Final

from attrs import define, field, frozen

from flow.quick_add.dates import Now
from flow.quick_add.times import find_times
from flow.quick_add.words import (
    AGAINST,
    COUNT,
    DAY_CODES,
    DAYPART,
    MONTH,
    MONTHS,
    NTH,
    ORDINAL,
    WEEKDAY,
    WEEKDAYS,
    count_of,
    ordinal_of,
    phrase,
)
from flow.time.recurrence import Anchor
from flow_backend import Time

WORKDAYS: Final = "MO,TU,WE,TH,FR"


@define
class Repeat:
    """A repeat as it was read.

    Attributes:
        start, end: its place in the line.
        words: the phrase.
        names_day: whether it says on which day: ``every friday`` does, ``every week`` not.
        parts: what names days, in the order of a rule: ``{"BYDAY": "FR"}``.
        counts: whether it stands where it is read, not only offered.
    """

    start: int
    end: int
    words: str
    frequency: str
    interval: int = 1
    parts: dict[str, str] = field(factory=dict[str, str])
    anchor: Anchor = "schedule"
    time: Time | None = None
    counts: bool = True

    @property
    def is_bare(self) -> bool:
        """Whether it says no day: then the day it begins with is the one."""
        return not self.parts and self.frequency not in {"DAILY", "HOURLY", "MINUTELY"}

    def rule(self, tail: str = "") -> str:
        """Write it as the body of an RRULE."""
        parts = [f"FREQ={self.frequency}"]
        if self.interval > 1:
            parts.append(f"INTERVAL={self.interval}")
        parts += [f"{name}={value}" for name, value in self.parts.items()]
        return ";".join(parts) + tail

    def begin_on(self, first: date) -> None:
        """Take the day of a bare repeat from the one that it begins with."""
        if not self.is_bare or self.anchor == "done":
            return
        if self.frequency == "WEEKLY":
            self.parts["BYDAY"] = DAY_CODES[first.weekday()]
        elif self.frequency == "MONTHLY":
            self.parts |= _month_days([first.day])
        else:
            self.parts |= _year_day(first.month, first.day)


@frozen
class _Step:
    frequency: str
    interval: int


_UNITS: Final = {
    "minute": _Step("MINUTELY", 1),
    "hour": _Step("HOURLY", 1),
    "day": _Step("DAILY", 1),
    "week": _Step("WEEKLY", 1),
    "month": _Step("MONTHLY", 1),
    "quarter": _Step("MONTHLY", 3),
    "year": _Step("YEARLY", 1),
}
_ADVERBS: Final = {
    "hourly": _Step("HOURLY", 1),
    "daily": _Step("DAILY", 1),
    "weekly": _Step("WEEKLY", 1),
    "biweekly": _Step("WEEKLY", 2),
    "fortnightly": _Step("WEEKLY", 2),
    "monthly": _Step("MONTHLY", 1),
    "quarterly": _Step("MONTHLY", 3),
    "yearly": _Step("YEARLY", 1),
    "annually": _Step("YEARLY", 1),
}
_EVERY: Final = r"(?:every|each|ev)(?P<done>!)? "
_DAYS: Final = rf"{WEEKDAY}s?(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*){WEEKDAY}s?)*"
_SPAN: Final = rf"{WEEKDAY}\s*(?:-|\u2013|to|through)\s*{WEEKDAY}"
_OF_MONTH: Final = r"(?: of (?:the|each|every) month| of month)?"
_NTHS: Final = rf"{NTH}(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*)(?:the\s+)?{NTH})*"
_UNIT: Final = "(?P<unit>minute|min|hour|day|week|month|quarter|year)s?"

_PATTERNS: Final = tuple(
    phrase(_EVERY + pattern)
    for pattern in (
        rf"(?P<ord>{ORDINAL}) (?P<weekday>{WEEKDAY})s?{_OF_MONTH}",
        rf"(?P<ord>{ORDINAL}) (?P<workday>workday|weekday){_OF_MONTH}",
        rf"(?:month on the )?(?P<last>last) day{_OF_MONTH}",
        rf"month on the (?P<ord>{ORDINAL}) (?P<weekday>{WEEKDAY})",
        rf"(?:(?P<n>{COUNT}|other) )?weeks? on (?P<days>{_DAYS})",
        rf"(?:(?P<n>{COUNT}|other) )?(?P<unit>month|quarter|year)s? on (?:the )?(?P<nths>{_NTHS})",
        rf"(?:year on )?(?P<month>{MONTH})\.? (?P<dom>{NTH}|\d{{1,2}})(?!\d|:\d)",
        rf"(?:year on )?(?:the )?(?P<dom>{NTH}|\d{{1,2}}) (?:of )?(?P<month>{MONTH})",
        rf"(?P<span>{_SPAN})",
        rf"(?:(?P<n>other) )?(?P<days>{_DAYS})",
        r"(?P<workdays>weekday|workday)s?",
        r"(?P<weekend>weekend)s?",
        rf"(?P<part>{DAYPART})s?",
        rf"(?P<ord>{ORDINAL}) {_UNIT}",
        rf"(?:(?P<n>\d{{1,3}}|{COUNT}|other) )?{_UNIT}",
        rf"(?:the )?(?P<nths>{_NTHS}){_OF_MONTH}",
    )
)
_ANY: Final = re.compile(r"\b(?:every|each|ev)\b|ly\b", re.IGNORECASE)
_ADVERB: Final = phrase(rf"(?P<adverb>{'|'.join(_ADVERBS)})")
_AFTER: Final = re.compile(r",?\s+(?:after completion|from completion|when done)\b", re.IGNORECASE)


def find_repeats(view: str, now: Now) -> list[Repeat]:
    """Give the phrases that could be repeats, in order; of two that overlap the longer one."""
    found = list[Repeat]()
    if _ANY.search(view) is None:
        return found
    for pattern in _PATTERNS:
        for match in pattern.finditer(view):
            repeat = _every(match, now)
            if repeat is not None:
                repeat.counts = AGAINST.search(view, 0, match.start()) is None
                found.append(repeat)
    found += _adverbs(view, now)
    found.sort(key=lambda each: (each.start - each.end, each.start))
    chosen = list[Repeat]()
    for each in found:
        if all(each.end <= other.start or other.end <= each.start for other in chosen):
            chosen.append(each)
    for each in chosen:
        if (done := _AFTER.match(view, each.end)) is not None:
            each.end, each.anchor = done.end(), "done"
    return sorted(chosen, key=lambda each: each.start)


def _adverbs(view: str, now: Now) -> list[Repeat]:
    """Find adverbs; they count at the end and before a time."""
    found = list[Repeat]()
    time_at: set[int] | None = None
    for match in _ADVERB.finditer(view):
        step = _ADVERBS[match["adverb"].lower()]
        rest = view[match.end() :]
        behind = len(rest) - len(rest.lstrip(" ,"))
        at_end = not rest.strip(" ,.;:!?)") or _MODIFIER.match(rest) is not None
        if time_at is None:
            time_at = {each.start for each in find_times(view, now)}
        counts = at_end or match.end() + behind in time_at
        counts = counts and AGAINST.search(view, 0, match.start()) is None
        words = match["adverb"]
        found.append(
            Repeat(match.start(), match.end(), words, step.frequency, step.interval, counts=counts)
        )
    return found


_MODIFIER: Final = re.compile(
    r",?\s+(?:starting|until|till|ending|after completion|\d+ times)\b", re.IGNORECASE
)


def _every(match: re.Match[str], now: Now) -> Repeat | None:
    groups = match.groupdict()
    repeat = Repeat(*match.span(), " ".join(match[0].split()), "DAILY")
    if groups["done"] is not None:
        repeat.anchor = "done"
    if (counted := groups.get("n")) is not None:
        repeat.interval = 2 if counted.lower() == "other" else count_of(counted)
    ordinal = None if groups.get("ord") is None else ordinal_of(groups["ord"])
    if groups.get("unit") is not None:
        unit = groups["unit"].lower()
        step = _UNITS["minute" if unit == "min" else unit]
        repeat.frequency = step.frequency
        repeat.interval = step.interval * (ordinal or repeat.interval)
        if repeat.interval < 1:
            return None
    if groups.get("weekday") is not None:
        repeat.frequency = "MONTHLY"
        repeat.parts["BYDAY"] = f"{ordinal}{DAY_CODES[WEEKDAYS[groups['weekday'].lower()]]}"
        if ordinal is not None and ordinal > 5:
            return None
    elif groups.get("workday") is not None:
        repeat.frequency = "MONTHLY"
        repeat.parts |= {"BYDAY": WORKDAYS, "BYSETPOS": str(ordinal)}
    elif groups.get("last") is not None:
        repeat.frequency, repeat.parts["BYMONTHDAY"] = "MONTHLY", "-1"
    elif groups.get("month") is not None:
        day = int(re.sub(r"\D", "", groups["dom"]))
        if not _exists(MONTHS[groups["month"].lower()], day):
            return None
        repeat.frequency = "YEARLY"
        repeat.parts |= _year_day(MONTHS[groups["month"].lower()], day)
    elif not _add_days(repeat, groups, now):
        return None
    return repeat


def _add_days(repeat: Repeat, groups: dict[str, str | None], now: Now) -> bool:
    """Add the days that a phrase names. Returns: whether it makes sense."""
    if (days := groups.get("days")) is not None:
        named = [WEEKDAYS[day.lower()] for day in re.findall(WEEKDAY, days, re.IGNORECASE)]
        repeat.frequency = "WEEKLY"
        repeat.parts["BYDAY"] = ",".join(DAY_CODES[day] for day in sorted(set(named)))
        # Which days are of one week depends on where it begins.
        if repeat.interval > 1 and len(set(named)) > 1 and now.settings.week_starts == "sunday":
            repeat.parts["WKST"] = "SU"
    elif (span := groups.get("span")) is not None:
        first, last = (WEEKDAYS[each.lower()] for each in re.findall(WEEKDAY, span, re.IGNORECASE))
        named = [(first + step) % 7 for step in range((last - first) % 7 + 1)]
        repeat.frequency = "WEEKLY"
        repeat.parts["BYDAY"] = ",".join(DAY_CODES[day] for day in sorted(named))
    elif groups.get("workdays") is not None:
        repeat.frequency, repeat.parts["BYDAY"] = "WEEKLY", WORKDAYS
    elif groups.get("weekend") is not None:
        repeat.frequency, repeat.parts["BYDAY"] = "WEEKLY", "SA"
    elif (part := groups.get("part")) is not None:
        repeat.time = now.daypart(part)
    elif (nths := groups.get("nths")) is not None:
        numbers = sorted({int(each[:-2]) for each in re.findall(NTH, nths, re.IGNORECASE)})
        if not all(1 <= number <= 31 for number in numbers):
            return False
        if repeat.frequency == "YEARLY":
            return False  # Of which month?
        repeat.frequency = "MONTHLY"
        repeat.parts |= _month_days(numbers)
    return True


def _month_days(days: list[int]) -> dict[str, str]:
    """Name days of a month; one that not all months have is the last day of the others."""
    if len(days) == 1 and days[0] > 28:
        named = ",".join(str(day) for day in range(28, days[0] + 1))
        return {"BYMONTHDAY": named, "BYSETPOS": "-1"}
    return {"BYMONTHDAY": ",".join("-1" if day == 31 else str(day) for day in days)}


def _year_day(month: int, day: int) -> dict[str, str]:
    if (month, day) == (2, 29):
        return {"BYMONTH": "2", "BYMONTHDAY": "28,29", "BYSETPOS": "-1"}
    return {"BYMONTH": str(month), "BYMONTHDAY": str(day)}


def _exists(month: int, day: int) -> bool:
    try:
        date(2024, month, day)
    except ValueError:
        return False
    return True
