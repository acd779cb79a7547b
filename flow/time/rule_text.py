"""Repeats and days in words, as chips and lists show them: ``every 2nd Tuesday``."""

from datetime import date
from typing import Final

from flow.time.recurrence import Anchor
from flow.time.rules import Rule, read_rule

_DAYS: Final = (
    *("Monday", "Tuesday", "Wednesday", "Thursday"),
    *("Friday", "Saturday", "Sunday"),
)
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_UNITS: Final = {
    "MINUTELY": "minute",
    "HOURLY": "hour",
    "DAILY": "day",
    "WEEKLY": "week",
    "MONTHLY": "month",
    "YEARLY": "year",
}
_WORKDAYS: Final = (0, 1, 2, 3, 4)


def day_text(day: date, today: date) -> str:
    """Say a day: ``Today``, ``Tomorrow``, ``Fri 30 Oct``; with its year if that is another."""
    apart = (day - today).days
    if apart in {0, 1}:
        return "Tomorrow" if apart else "Today"
    said = f"{_DAYS[day.weekday()][:3]} {day.day} {_MONTHS[day.month - 1][:3]}"
    return said if day.year == today.year else f"{said} {day.year}"


def rule_text(rule: str, anchor: Anchor = "schedule") -> str:
    """Say a repeat: ``every other Friday``, ``every 3 days after completion``.

    Raises: AppError if ``rule`` is none.
    """
    read = read_rule(rule)
    said = _interval(read) if not read.has_day_part else _with_days(read)
    if "BYHOUR" in read.numbers:
        minute = read.numbers.get("BYMINUTE", (0,))[0]
        said += " at " + _listed([f"{hour:02}:{minute:02}" for hour in read.numbers["BYHOUR"]])
    if read.until is not None:
        said += f" until {read.until.day} {_MONTHS[read.until.month - 1][:3]} {read.until.year}"
    if read.count is not None:
        said += f", {read.count} times" if read.count > 1 else ", once"
    return f"{said} after completion" if anchor == "done" else said


def _interval(rule: Rule) -> str:
    unit = _UNITS[rule.frequency]
    if rule.frequency == "MONTHLY" and rule.interval == 3:
        return "every quarter"
    return _every(rule, unit)


def _every(rule: Rule, unit: str) -> str:
    if rule.interval == 1:
        return f"every {unit}"
    return f"every other {unit}" if rule.interval == 2 else f"every {rule.interval} {unit}s"


def _with_days(rule: Rule) -> str:
    if rule.frequency == "WEEKLY":
        return _weekly(rule)
    if rule.frequency == "YEARLY":
        return _yearly(rule)
    if rule.frequency != "MONTHLY":
        return _interval(rule)
    which = _days_of_month(rule)
    if rule.interval == 1:
        return f"every {which}" if rule.days else f"every month on the {which}"
    return f"{_interval(rule)} on the {which}"


def _weekly(rule: Rule) -> str:
    days = sorted(weekday for weekday, _ in rule.days)
    if tuple(days) == _WORKDAYS:
        said = "weekday"
        return f"every {said}" if rule.interval == 1 else f"{_every(rule, 'week')} on weekdays"
    said = _listed([_DAYS[day] for day in days])
    if rule.interval == 1:
        return f"every {said}"
    if rule.interval == 2 and len(days) == 1:
        return f"every other {said}"
    return f"{_every(rule, 'week')} on {said}"


def _yearly(rule: Rule) -> str:
    months, days = rule.numbers.get("BYMONTH", ()), rule.numbers.get("BYMONTHDAY", ())
    if len(months) != 1 or not days:
        return _interval(rule)
    said = f"{max(days)} {_MONTHS[months[0] - 1]}"
    return f"every {said}" if rule.interval == 1 else f"{_interval(rule)} on {said}"


def _days_of_month(rule: Rule) -> str:
    places = rule.numbers.get("BYSETPOS", ())
    if rule.days and places:
        return f"{_nth(places[0])} workday"
    if rule.days:
        return _listed(
            [f"{_nth(nth)} {_DAYS[day]}" if nth else _DAYS[day] for day, nth in rule.days]
        )
    days = sorted(rule.numbers["BYMONTHDAY"], key=lambda day: (day < 0, day))
    if places:
        return f"{_nth(max(days))} or last day"
    return _listed([_nth(day) if day > 0 else "last day" for day in days])


def _nth(number: int) -> str:
    if number < 0:
        return "last"
    tail = {1: "st", 2: "nd", 3: "rd"}.get(number % 10 if number % 100 not in {11, 12, 13} else 0)
    return f"{number}{tail or 'th'}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
