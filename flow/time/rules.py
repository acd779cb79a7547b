"""Rules of repeats: the body of an RFC 5545 RRULE, checked, and the wall times that it names."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Final, cast

from attrs import evolve, frozen

from flow_backend import AppError, Time

INTERVAL_MAX: Final = 100_000
COUNT_MAX: Final = 5_000
TIMES_A_DAY_MAX: Final = 48
HORIZON_YEARS: Final = 50
"""How far ahead an occurrence is looked for. A rule may name days that never come, and 29 February
on one weekday comes every 28 or 40 years."""

DAYS_OF_WEEK: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_ELAPSED: Final = {"MINUTELY": 60, "HOURLY": 3600}
_CALENDAR: Final = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_CLAMPED_FROM: Final = 28
_END_OF_DAY: Final = Time(23, 59, 59)
_PART: Final = re.compile(r"([A-Z]+)=([A-Z0-9,+\-]+)")
_DAY: Final = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "BYMONTH": (1, 12),
    "BYMONTHDAY": (-31, 31),
    "BYSETPOS": (-366, 366),
    "BYHOUR": (0, 23),
    "BYMINUTE": (0, 59),
    "BYYEARDAY": (-366, 366),
    "BYWEEKNO": (-53, 53),
}
_NO_ZERO: Final = frozenset({"BYMONTHDAY", "BYSETPOS", "BYYEARDAY", "BYWEEKNO"})
_DAY_PARTS: Final = ("BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO")


@frozen(kw_only=True)
class Rule:
    """A rule, read: ``FREQ=WEEKLY;INTERVAL=2;BYDAY=FR``.

    Attributes:
        frequency: DAILY, WEEKLY, MONTHLY and YEARLY count on the calendar, in wall times; MINUTELY
            and HOURLY count elapsed time.
        until: the last wall time that may be one; a date alone has that day included.
        count: how many occurrences there are in all.
        week_start: 0 for Monday to 6 for Sunday.
        days: weekdays with the number of the one that is meant, 0 for all: ``2TU`` is ``(1, 2)``.
        numbers: the other parts that name days or times: ``{"BYMONTHDAY": (28, 29)}``.
    """

    frequency: str
    interval: int = 1
    until: datetime | None = None
    count: int | None = None
    week_start: int = 0
    days: tuple[tuple[int, int], ...] = ()
    numbers: Mapping[str, tuple[int, ...]]

    @property
    def step_seconds(self) -> int | None:
        """Seconds from one occurrence to the next, if the rule counts elapsed time."""
        step = _ELAPSED.get(self.frequency)
        return None if step is None else step * self.interval

    @property
    def names_time(self) -> bool:
        """Whether the rule itself says at what times of a day: ``BYHOUR=8,20;BYMINUTE=0``."""
        return "BYHOUR" in self.numbers

    @property
    def names_day(self) -> bool:
        """Whether the rule says which days, and not only how far apart they are."""
        return bool(self.days) or "BYMONTH" in self.numbers or self.has_day_part

    @property
    def has_day_part(self) -> bool:
        """Whether the rule says which days of its months, weeks or years."""
        return bool(self.days) or any(part in self.numbers for part in _DAY_PARTS)


# --- Reading


@lru_cache(maxsize=512)
def read_rule(text: str) -> Rule:
    """Read the body of a rule.

    Raises: AppError that says which part is wrong.
    """
    parts: dict[str, str] = {}
    for piece in text.split(";"):
        found = _PART.fullmatch(piece)
        if found is None or found[1] in parts:
            raise _wrong(text, f'"{piece}" is no part of a rule, or stands twice')
        parts[found[1]] = found[2]
    frequency = parts.pop("FREQ", "")
    if frequency not in _ELAPSED and frequency not in _CALENDAR:
        raise _wrong(text, "FREQ is MINUTELY, HOURLY, DAILY, WEEKLY, MONTHLY or YEARLY")
    rule = Rule(
        frequency=frequency,
        interval=_number(text, "INTERVAL", parts.pop("INTERVAL", "1"), 1, INTERVAL_MAX),
        until=_until(text, parts.pop("UNTIL", None)),
        count=_count(text, parts.pop("COUNT", None)),
        week_start=_week_start(text, parts.pop("WKST", "MO")),
        days=tuple(_day(text, each) for each in _items(parts.pop("BYDAY", ""))),
        numbers={name: _numbers(text, name, value) for name, value in parts.items()},
    )
    _check_whole(text, rule)
    return rule


def _check_whole(text: str, rule: Rule) -> None:
    if rule.step_seconds is not None and (rule.days or rule.numbers):
        raise _wrong(text, "a repeat of hours or minutes has no BY… parts: it counts elapsed time")
    if "BYMINUTE" in rule.numbers and not rule.names_time:
        raise _wrong(text, "BYMINUTE needs BYHOUR")
    if "BYSETPOS" in rule.numbers and not rule.has_day_part:
        raise _wrong(text, "BYSETPOS needs BYDAY or BYMONTHDAY")
    if rule.frequency not in {"MONTHLY", "YEARLY"} and any(number for _, number in rule.days):
        raise _wrong(text, "a numbered weekday such as 2TU needs FREQ=MONTHLY or YEARLY")
    times = len(rule.numbers.get("BYHOUR", (0,))) * len(rule.numbers.get("BYMINUTE", (0,)))
    if times > TIMES_A_DAY_MAX:
        raise _wrong(text, f"it names {times} times a day; {TIMES_A_DAY_MAX} is the most")
    if rule.until is not None and rule.count is not None:
        raise _wrong(text, "UNTIL and COUNT exclude each other")


def _items(value: str) -> list[str]:
    return value.split(",") if value else []


def _number(text: str, name: str, value: str, low: int, high: int) -> int:
    number = int(value) if re.fullmatch(r"[+-]?\d{1,9}", value) else None
    if number is None or not low <= number <= high or (number == 0 and name in _NO_ZERO):
        raise _wrong(text, f"{name} is a whole number from {low} to {high}, not {value}")
    return number


def _numbers(text: str, name: str, value: str) -> tuple[int, ...]:
    bounds = _RANGES.get(name)
    if bounds is None:
        raise _wrong(text, f"{name} is not known")
    return tuple(sorted({_number(text, name, each, *bounds) for each in value.split(",")}))


def _count(text: str, value: str | None) -> int | None:
    return None if value is None else _number(text, "COUNT", value, 1, COUNT_MAX)


def _week_start(text: str, value: str) -> int:
    if value not in DAYS_OF_WEEK:
        raise _wrong(text, f"WKST is one of {', '.join(DAYS_OF_WEEK)}, not {value}")
    return DAYS_OF_WEEK.index(value)


def _day(text: str, value: str) -> tuple[int, int]:
    found = _DAY.fullmatch(value)
    number = int(found[1] or 0) if found else 0
    if found is None or abs(number) > 53 or (found[1] and number == 0):
        raise _wrong(text, f"BYDAY has weekdays such as MO, 2TU or -1FR, not {value}")
    return DAYS_OF_WEEK.index(found[2]), number


def _until(text: str, value: str | None) -> datetime | None:
    """Read UNTIL, which is local: as a date it means all of that day, however late it rings."""
    if value is None:
        return None
    try:
        if "T" in value:
            return datetime.strptime(value, "%Y%m%dT%H%M%S")  # noqa: DTZ007  # A wall time.
        day = datetime.strptime(value, "%Y%m%d")  # noqa: DTZ007
    except ValueError:
        raise _wrong(text, f"UNTIL is a local date such as 20261215, not {value}") from None
    return datetime.combine(day, _END_OF_DAY)


def _wrong(text: str, why: str) -> AppError:
    return AppError(
        f'"{text}" is no rule of a repeat: {why}. An example is FREQ=WEEKLY;INTERVAL=2;BYDAY=FR.'
    )


# --- Wall times


def walls(rule: Rule, start: datetime, since: datetime) -> Iterator[datetime]:
    """Yield the wall times of a calendar rule, in order.

    Args:
        rule: one that does not count elapsed time.
        start: the wall time at which the series begins; its phase and its time of day count.
        since: earlier ones are left out.
    """
    rule = _named(rule, start)
    if rule.count is None:
        low = max(start, since)
        yield from _from(rule, start, low)
        return
    # Which is the last can only be said by counting from the first.
    for wall in islice(_from(rule, start, start), rule.count):
        if wall >= since:
            yield wall


def _from(rule: Rule, start: datetime, low: datetime) -> Iterator[datetime]:
    """Yield the wall times from ``low`` on, as if nobody counted."""
    # Loaded late: it takes 40 ms, which the start of a server should not wait for.
    from dateutil.rrule import DAILY, MONTHLY, WEEKLY, YEARLY, rrule, weekday

    frequencies = {"DAILY": DAILY, "WEEKLY": WEEKLY, "MONTHLY": MONTHLY, "YEARLY": YEARLY}
    horizon = datetime(min(low.year + HORIZON_YEARS, 9998), 12, 31)  # noqa: DTZ001
    days = [weekday(day, number or None) for day, number in rule.days]
    found = cast("Callable[..., Iterable[datetime]]", rrule)(
        frequencies[rule.frequency],
        dtstart=_aligned(rule, start, low),
        interval=rule.interval,
        wkst=rule.week_start,
        until=horizon if rule.until is None else min(rule.until, horizon),
        byweekday=days or None,
        **{name.lower(): value for name, value in rule.numbers.items()},
    )
    for wall in found:
        if wall >= low:
            yield wall


def _aligned(rule: Rule, start: datetime, low: datetime) -> datetime:
    """Move the start of a series forward, as a walk from an old one takes ever longer.

    It keeps the phase of the interval: the start of the last period of the rule that is not after
    ``low``. Parts that name days apply within it, so it may lie ahead of the series' own start.
    """
    if rule.names_time:
        start = start.replace(hour=0, minute=0, second=0)
    match rule.frequency:
        case "DAILY":
            steps = (low.date() - start.date()).days // rule.interval
            return start + timedelta(days=steps * rule.interval)
        case "WEEKLY":
            week = start - timedelta(days=(start.weekday() - rule.week_start) % 7)
            steps = (low.date() - week.date()).days // (7 * rule.interval)
            return week + timedelta(days=steps * 7 * rule.interval)
        case "MONTHLY":
            steps = (_months(low) - _months(start)) // rule.interval
            year, month = divmod(_months(start) + steps * rule.interval, 12)
            return start.replace(year=year, month=month + 1, day=1)
        case _:
            steps = (low.year - start.year) // rule.interval
            return start.replace(year=start.year + steps * rule.interval, month=1, day=1)


def _months(wall: datetime) -> int:
    return wall.year * 12 + wall.month - 1


def _named(rule: Rule, start: datetime) -> Rule:
    """Write into a rule the day that it takes from its start, so that the start can be moved.

    A day of the month above 28 is that day or the last one: plain RFC 5545 would skip the months
    that have none.
    """
    if rule.has_day_part or rule.frequency == "DAILY":
        return rule
    if rule.frequency == "WEEKLY":
        return evolve(rule, days=((start.weekday(), 0),))
    numbers = {**rule.numbers}
    if rule.frequency == "YEARLY":
        numbers.setdefault("BYMONTH", (start.month,))
    if start.day <= _CLAMPED_FROM or (rule.frequency == "YEARLY" and len(numbers["BYMONTH"]) > 1):
        return evolve(rule, numbers={**numbers, "BYMONTHDAY": (start.day,)})
    numbers |= {"BYMONTHDAY": tuple(range(_CLAMPED_FROM, start.day + 1)), "BYSETPOS": (-1,)}
    return evolve(rule, numbers=numbers)
