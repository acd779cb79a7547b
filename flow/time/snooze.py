"""Snooze presets and quiet hours: when a ring comes that is not to come now."""

from datetime import datetime, timedelta
from typing import Final

from attrs import frozen

from flow.settings import Settings
from flow.time.instants import to_instant, to_wall
from flow_backend import Instant, Time

_DAY: Final = timedelta(days=1)
_HOUR_MS: Final = 3_600_000
_ELAPSED: Final = (
    ("10_minutes", "10 min", _HOUR_MS // 6),
    ("1_hour", "1 hour", _HOUR_MS),
    ("3_hours", "3 hours", 3 * _HOUR_MS),
)
_DAY_BEGINS: Final = Time(4)
"""Before 04:00 people mean by "this morning" the day that is coming, and by "tomorrow" nobody
knows which."""
_EVENING_SHOWN_UNTIL: Final = Time(17)
_NIGHT_SHOWN_UNTIL: Final = Time(20, 30)
_SATURDAY: Final = 5


@frozen(kw_only=True)
class Preset:
    """A snooze that is offered: ``key`` names it, ``label`` is what the button says."""

    key: str
    label: str
    at: Instant


def snooze_presets(now: Instant, settings: Settings) -> list[Preset]:
    """Give the presets that make sense now, in the order in which they are shown.

    Minutes and hours are elapsed time, days are the calendar's in the home zone. One that gives
    the same instant as an earlier one is left out.
    """
    presets = [Preset(key=k, label=says, at=Instant(now + ms)) for k, says, ms in _ELAPSED]
    zone = settings.home_zone
    for key, label, wall in _on_the_wall(to_wall(now, zone), settings):
        at = to_instant(wall, zone)
        if all(at != earlier.at for earlier in presets):
            presets.append(Preset(key=key, label=label, at=at))
    return presets


def _on_the_wall(now: datetime, settings: Settings) -> list[tuple[str, str, datetime]]:
    today, time = now.date(), now.time()
    morning, found = settings.morning, list[tuple[str, str, datetime]]()
    if time < _DAY_BEGINS:
        found.append(("this_morning", "This morning", datetime.combine(today, morning)))
    elif time < _EVENING_SHOWN_UNTIL:
        found.append(("this_evening", "This evening", datetime.combine(today, settings.evening)))
    elif time < _NIGHT_SHOWN_UNTIL:
        found.append(("tonight", "Tonight", datetime.combine(today, settings.night)))
    if time >= _DAY_BEGINS:
        found.append(("tomorrow", "Tomorrow", datetime.combine(today + _DAY, morning)))
    if (weekday := today.weekday()) < _SATURDAY:
        saturday = today + (_SATURDAY - weekday) * _DAY
        found.append(("this_weekend", "This weekend", datetime.combine(saturday, morning)))
    first = 6 if settings.week_starts == "sunday" else 0
    week = today + ((first - weekday - 1) % 7 + 1) * _DAY
    found.append(("next_week", "Next week", datetime.combine(week, morning)))
    # Who has an early evening may find it past already.
    return [each for each in found if each[2] > now]


def quiet_until(at: Instant, settings: Settings) -> Instant | None:
    """Give when the quiet hours end in which an instant lies; None if it lies in none.

    They are wall times in the home zone: in the night of a change of the clocks they are an hour
    longer or shorter.
    """
    start, end = settings.quiet_from, settings.quiet_until
    if start is None or end is None or start == end:
        return None
    wall = to_wall(at, settings.home_zone)
    time, date = wall.time(), wall.date()
    over_midnight = start > end
    if over_midnight and time >= start:
        date += _DAY
    elif not (time < end if over_midnight else start <= time < end):
        return None
    until = to_instant(datetime.combine(date, end), settings.home_zone)
    # Where the clocks go back over the end itself, it may lie behind already.
    return until if until > at else None
