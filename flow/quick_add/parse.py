"""One line in, one item out: ``parse``. A pure function; whoever asks says what time it is."""

import re
from datetime import datetime, timedelta
from typing import Final

from attrs import define, evolve, frozen

from flow.quick_add import reminders, sigils
from flow.quick_add.dates import Now, When, find_dates, plus_days
from flow.quick_add.line import Hint, Line
from flow.quick_add.repeats import Repeat, find_repeats
from flow.quick_add.result import LINE_MAX, READ_MAX, Marks, Names, QuickAdd
from flow.quick_add.times import (
    DURATION,
    Hour,
    daypart_behind,
    duration_minutes,
    find_times,
    iso_duration,
    read_time,
)
from flow.quick_add.words import AGAINST, COUNT, Phrase, count_of, phrase
from flow.settings import Settings
from flow.time.instants import shown_instead, to_instant, to_wall
from flow.time.recurrence import Anchor, first_occurrence
from flow.time.rule_text import day_text, rule_text
from flow.time.rules import COUNT_MAX
from flow_backend import Date, Instant, Time

_STARTING: Final = phrase(r"(?:starting|beginning|from)(?: on)?")
_UNTIL: Final = phrase(r",?\s*(?:until|till|ending|through)(?: on)?")
_TIMES: Final = phrase(rf",?\s*(?:for )?(?P<count>\d{{1,4}}|{COUNT}) times")
_TWO: Final = phrase(
    r"(?:at )?(?P<one>\d{1,2}(?::\d\d)?\s?[ap]m|\d{1,2}:\d\d|noon) and (?:at )?"
    r"(?P<two>\d{1,2}(?::\d\d)?\s?[ap]m|\d{1,2}:\d\d|noon|midnight)"
)
_TO: Final = re.compile(r"\s*to\s+(?=\S)", re.IGNORECASE)
_GAP: Final = " ,"


@frozen(kw_only=True)
class _Due:
    """When it is due, as far as the line says."""

    date: Date | None = None
    time: Time | None = None
    zone: str | None = None
    at: Instant | None = None
    elapsed: bool = False
    duration: str | None = None
    rule: str | None = None
    anchor: Anchor = "schedule"


@define
class _Reading:
    """The line, and what was found in it so far."""

    line: Line
    now: Now
    hints: list[Hint]
    warnings: list[str]
    repeat_taken: range = range(0)
    date_taken: range = range(0)

    # --- Repeats

    def repeat(self) -> Repeat | None:
        """Read the last repeat that stands where repeats do."""
        found = find_repeats(self.line.view, self.now)
        for each in found:
            if not each.counts:
                self._hint(each.start, each.end, each.words, each.rule())
        counting = [each for each in found if each.counts]
        if not counting:
            return None
        chosen = counting[-1]
        self.repeat_taken = self.line.take(chosen.start, chosen.end, "repeat", "")
        return chosen

    def repeat_bounds(self) -> tuple[Date | None, Time | None, str]:
        """Read from when on a repeat goes, and how long: a date, a time, the end of its rule."""
        first: Date | None = None
        at: Time | None = None
        tail = ""
        if (found := self._behind(_STARTING)) is not None:
            start, when, hour = found
            if when is not None:
                first = when.date
                self.line.take(start, when.end, "date", f"from {day_text(first, self.now.today)}")
            elif hour is not None:
                at = hour.time
                self.line.take(start, hour.end, "time", f"from {at:%H:%M}")
        if (found := self._behind(_UNTIL)) is not None and found[1] is not None:
            start, last = found[0], found[1]
            tail = f";UNTIL={last.date:%Y%m%d}"
            label = f"until {day_text(last.date, self.now.today)}"
            self.line.take(start, last.end, "repeat", label)
        match = _TIMES.search(self.line.view)
        if match is not None and not tail and 1 <= count_of(match["count"]) <= COUNT_MAX:
            tail = f";COUNT={count_of(match['count'])}"
            self.line.take(*match.span(), "repeat", f"{count_of(match['count'])} times")
        return first, at, tail

    def _behind(self, word: Phrase) -> tuple[int, When | None, Hour | None] | None:
        """Find a word with a date or a time right behind it."""
        for match in word.finditer(self.line.view):
            rest = match.end() + 1
            for when in find_dates(" " * rest + self.line.view[rest:], self.now):
                if when.start == rest:
                    return match.start(), when, None
            for hour in find_times(" " * rest + self.line.view[rest:], self.now):
                if hour.start == rest:
                    return match.start(), None, hour
        return None

    def two_times(self) -> tuple[Time, Time] | None:
        """Read ``at 8am and 8pm``; the minutes have to be the same, since a rule has no others."""
        match = _TWO.search(self.line.view)
        if match is None:
            return None
        one, two = sorted((read_time(match["one"]), read_time(match["two"])))
        if one.minute != two.minute or one == two:
            return None
        self.line.take(*match.span(), "time", f"{one:%H:%M} and {two:%H:%M}")
        return one, two

    # --- Dates and times

    def when(self) -> tuple[When | None, Hour | None]:
        """Read the last date that stands where dates do, and the time that goes with it."""
        dates, times = find_dates(self.line.view, self.now), find_times(self.line.view, self.now)
        times = [each for each in times if not _overlaps(each, dates)]
        chosen: When | None = None
        beside: Hour | None = None
        free = list(times)
        for when in dates:
            hour = self._time_beside(when, times)
            if hour is not None:
                free = [each for each in free if each is not hour]
            if self._counts(when, hour):
                chosen, beside = when, hour
            else:
                self._hint_date(when, hour)
        if chosen is not None:
            self.date_taken = self.line.take(chosen.start, chosen.end, "date", "")
        if beside is None and (chosen is None or chosen.at is None):
            qualified = [each for each in free if self._time_counts(each, is_beside=False)]
            beside = qualified[-1] if qualified else None
        if beside is not None:
            evening = chosen is not None and chosen.evening
            self.line.take(beside.start, beside.end, "time", _time_label(beside, evening))
        return chosen, beside

    def _time_beside(self, when: When, times: list[Hour]) -> Hour | None:
        if when.at is not None:
            return None
        view = self.line.view
        part = daypart_behind(view, when.end, self.now) if when.time is None else None
        if part is not None:
            end, time = part
            return Hour(start=when.end, end=end, sort="word", time=time, soft=True)
        for hour in times:
            behind = when.end <= hour.start and not view[when.end : hour.start].strip(_GAP)
            before = hour.end <= when.start and not view[hour.end : when.start].strip(_GAP)
            if (behind or before) and self._time_counts(hour, is_beside=True, behind=behind):
                return hour
        return None

    def _counts(self, when: When, hour: Hour | None) -> bool:
        line = self.line
        if when.marked:
            return True
        start = when.start if hour is None else min(when.start, hour.start)
        if AGAINST.search(line.view, 0, start) is not None:
            return False
        if when.strength == "strong" or hour is not None or line.is_at_end(when.end):
            return True
        if not line.is_at_start(when.start):
            return False
        colon = line.view[when.end : when.end + 1] in {":", ","}
        return when.strength == "month day" or (when.strength == "weekday" and colon)

    def _time_counts(self, hour: Hour, *, is_beside: bool, behind: bool = False) -> bool:
        line = self.line
        against = not hour.marked and AGAINST.search(line.view, 0, hour.start) is not None
        # What stands right behind a date has the date before it, whatever comes before that.
        if against and not behind:
            return False
        if is_beside or hour.sort == "clear" or line.is_at_end(hour.end):
            return True
        return hour.sort == "clock" and line.is_at_start(hour.start)

    def duration(self, hour: Hour | None, end: int) -> str | None:
        """Read ``for 90m`` behind a time."""
        if hour is None:
            return None
        if hour.minutes is not None:
            return iso_duration(hour.minutes)
        for match in DURATION.finditer(self.line.view):
            near = match.start() >= end and not self.line.view[end : match.start()].strip(_GAP)
            if (near or self.line.is_at_end(match.end())) and duration_minutes(match):
                minutes = duration_minutes(match)
                self.line.take(*match.span(), "duration", _minutes_text(minutes))
                return iso_duration(minutes)
        return None

    # --- Hints

    def _hint_date(self, when: When, hour: Hour | None) -> None:
        start, end, meaning = when.start, when.end, str(when.date)
        if hour is not None:
            start, end = min(start, hour.start), max(end, hour.end)
            meaning = f"{when.date}T{hour.on(when.evening):%H:%M}"
        self._hint(start, end, self.line.text[start:end], meaning)

    def _hint(self, start: int, end: int, words: str, meaning: str) -> None:
        self.hints.append(Hint(start, end, " ".join(words.lower().split()), meaning))


def parse(
    text: str, now: Instant, zone: str, settings: Settings, names: Names | None = None
) -> QuickAdd:
    """Read a line.

    Args:
        text: as it was typed; of a text with line breaks they count as spaces.
        now: the moment of capture.
        zone: where the writer is: its days and clock are meant.
        settings: what words such as "morning" mean, and in which order dates are written.
        names: the projects and people that there are.

    Raises: AppError for an unknown zone.
    """
    if len(text) > LINE_MAX:
        return QuickAdd(title=" ".join(text.split()))
    moment = Now(at=now, wall=to_wall(now, zone), zone=zone, settings=settings)
    line = Line(text)
    if len(text) > READ_MAX:
        # Some phrases are looked for at each place of each other: the work grows faster than the
        # line, and anybody may send one. The cut is between words.
        line.protect(max(line.view.rfind(" ", 0, READ_MAX), 0), len(text))
    sigils.protect(line)
    if sigils.take_note(line):
        return _finished(line, QuickAdd(title="", kind="note"))
    marks = sigils.take_marks(line, names or Names())
    reading = _Reading(line, moment, [], [])
    offsets = reminders.take_offsets(line)
    is_reminder = (start := reminders.START.match(line.view)) is not None
    if start is not None:
        line.take(*start.span(), "kind", "Reminder")
    absolute = _absolute_reminder(reading)
    due = _due(reading)
    if is_reminder and (to := _TO.match(line.view)) is not None:
        line.take(*to.span(), "kind", "Reminder")
    return _finished(line, _item(marks, reading, due, offsets, absolute, is_reminder))


def _item(
    marks: Marks,
    reading: _Reading,
    due: _Due,
    offsets: tuple[str, ...] | None,
    absolute: tuple[Date | None, Time | None] | None,
    is_reminder: bool,
) -> QuickAdd:
    found = offsets
    if absolute is not None:
        date, time = absolute
        day = date or due.date or reading.now.today
        wall = datetime.combine(day, time or reading.now.settings.all_day_reminder)
        found = (*(offsets or ()), wall.isoformat(timespec="minutes"))
    if is_reminder and found is None:
        found = ("PT0S",)
    return QuickAdd(
        title="",
        kind="reminder" if is_reminder else "task",
        due_date=due.date,
        due_time=due.time,
        zone=due.zone,
        due_at=due.at,
        elapsed=due.elapsed,
        duration=due.duration,
        rule=due.rule,
        anchor=due.anchor,
        reminders=found,
        project=marks.project,
        section=marks.section,
        labels=marks.labels,
        assignees=marks.assignees,
        priority=marks.priority,
        body=marks.body,
        hints=tuple(sorted(reading.hints, key=lambda each: each.start)),
        warnings=tuple(reading.warnings),
    )


def _finished(line: Line, item: QuickAdd) -> QuickAdd:
    """Give the item its title; if nothing is left for one, nothing was read."""
    title = line.title()
    if not title:
        whole = " ".join(line.text.split())
        needs = (Hint(0, len(line.text), "", "needs a title"),)
        return QuickAdd(title=whole, hints=needs if whole else ())
    spans = tuple(sorted(line.spans, key=lambda each: each.start))
    return evolve(item, title=title, spans=spans)


def _absolute_reminder(reading: _Reading) -> tuple[Date | None, Time | None] | None:
    """Read ``remind me apr 1`` or ``remind me at 5pm`` at the end of the line."""
    line, now = reading.line, reading.now
    # It ends the line: what stands before another one cannot.
    for match in [*reminders.ABSOLUTE.finditer(line.view)][-1:]:
        rest = match.end() + 1
        tail = " " * rest + line.view[rest:]
        when = next((each for each in find_dates(tail, now) if each.start == rest), None)
        place = rest if when is None else when.end + 1
        hour = next((each for each in find_times(tail, now) if each.start == place), None)
        end = hour.end if hour is not None else when.end if when is not None else None
        if end is None or not line.is_at_end(end):
            continue
        date = None if when is None else when.date
        time = hour.time if hour is not None else when.time if when is not None else None
        said = [day_text(date, now.today)] if date is not None else []
        said += [f"{time:%H:%M}"] if time is not None else []
        line.take(match.start(), end, "reminder", f"Remind {' '.join(said)}")
        return date, time
    return None


def _due(reading: _Reading) -> _Due:
    repeat = reading.repeat()
    first: Date | None = None
    starts_at: Time | None = None
    tail = ""
    two: tuple[Time, Time] | None = None
    if repeat is not None:
        first, starts_at, tail = reading.repeat_bounds()
        two = reading.two_times()
    count = len(reading.line.spans)
    when, hour = reading.when()
    last = max((span.end for span in reading.line.spans[count:]), default=0)
    duration = reading.duration(hour, last)
    if repeat is not None:
        due = _first_due(reading, repeat, tail, when, hour, first, starts_at, two)
    else:
        due = _single_due(reading, when, hour)
    if when is not None:
        _label_date(reading, due, when)
        if when.warning is not None:
            reading.warnings.append(when.warning)
    _warn_of_gap(reading, due)
    return evolve(due, duration=duration if due.time is not None else None)


def _single_due(reading: _Reading, when: When | None, hour: Hour | None) -> _Due:
    now = reading.now
    if when is not None and when.at is not None:
        return _Due(date=when.date, time=when.time, at=when.at, elapsed=True)
    zone = None if hour is None else hour.zone
    if when is None:
        if hour is None:
            return _Due()
        return _next_time(now, hour.time, zone)
    time = when.time if hour is None else hour.on(when.evening)
    soft = when.soft if hour is None else hour.soft
    if time is None:
        if when.date < now.today:
            reading.warnings.append("past")
        return _Due(date=when.date)
    at = to_instant(datetime.combine(when.date, time), zone or now.zone)
    if at <= now.at:
        if soft:
            return _Due(date=when.date)
        reading.warnings.append("past")
    return _Due(date=when.date, time=time, zone=zone, at=at)


def _next_time(now: Now, time: Time, zone: str | None) -> _Due:
    """Give the next time that clocks show this: today, or tomorrow."""
    for days in (0, 1, 2):
        day = plus_days(now.today, days) or now.today
        at = to_instant(datetime.combine(day, time), zone or now.zone)
        if at > now.at:
            return _Due(date=day, time=time, zone=zone, at=at)
    return _Due(date=now.today, time=time, zone=zone, at=now.at)


def _first_due(
    reading: _Reading,
    repeat: Repeat,
    tail: str,
    when: When | None,
    hour: Hour | None,
    first: Date | None,
    starts_at: Time | None,
    two: tuple[Time, Time] | None,
) -> _Due:
    """Give the first time that a repeat comes round."""
    now = reading.now
    zone = None if hour is None else hour.zone
    if first is None and when is not None:
        first = when.date
    time = starts_at or repeat.time
    if hour is not None:
        time = hour.on(repeat.time is not None and repeat.time.hour >= 12)
    elif time is None and when is not None:
        time = when.time
    repeat.begin_on(first or now.today)
    if two is not None:
        repeat.parts |= {"BYHOUR": f"{two[0].hour},{two[1].hour}", "BYMINUTE": str(two[0].minute)}
        time = two[0]
    rule = repeat.rule(tail)
    reading.line.relabel(reading.repeat_taken, rule_text(rule, repeat.anchor))
    found = first_occurrence(rule, now.at, zone or now.zone, time=time, start=first)
    if found is None:
        reading.warnings.append("never")
        return _Due(rule=rule, anchor=repeat.anchor, zone=zone)
    begins = found.begins_at if found.time is not None else None
    at_minute = found.time.replace(second=0, microsecond=0) if found.time is not None else None
    return _Due(
        date=found.date,
        time=at_minute,
        zone=zone,
        at=begins,
        elapsed=repeat.frequency in {"HOURLY", "MINUTELY"},
        rule=rule,
        anchor=repeat.anchor,
    )


def _label_date(reading: _Reading, due: _Due, when: When) -> None:
    """Say what the date means, now that it is known."""
    label = day_text(when.date, reading.now.today)
    if when.time is not None and due.time == when.time:
        label += f" {when.time:%H:%M}"
    reading.line.relabel(reading.date_taken, label)


def _warn_of_gap(reading: _Reading, due: _Due) -> None:
    if due.date is None or due.time is None or due.at is None:
        return
    zone = due.zone or reading.now.zone
    shown = shown_instead(datetime.combine(due.date, due.time), zone)
    if shown is not None:
        reading.warnings.append(f"gap:fires {shown:%H:%M}")


def _overlaps(hour: Hour, dates: list[When]) -> bool:
    return any(hour.start < when.end and when.start < hour.end for when in dates)


def _time_label(hour: Hour, evening: bool) -> str:
    label = f"{hour.on(evening):%H:%M}"
    if hour.minutes is not None:
        end = datetime.combine(Date(2000, 1, 1), hour.on(evening)) + timedelta(minutes=hour.minutes)
        label += f"\u2013{end:%H:%M}"
    return label if hour.zone is None else f"{label} {hour.zone}"


def _minutes_text(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    return " ".join(
        part for part in (f"{hours} h" if hours else "", f"{rest} min" if rest else "") if part
    )
