"""The line at the top of every page: what it would be made into, while it is typed."""

from attrs import frozen

from flow.making import read_line
from flow.quick_add.line import Kind
from flow.schema import ItemKind
from flow.time.recurrence import Anchor
from flow.time.rule_text import rule_text
from flow_backend import Date, Instant, QueryCtx, Time, query


@frozen(kw_only=True)
class PreviewSpan:
    """A phrase that was read: its place in the line, in UTF-16 units, and what its chip says."""

    start: int
    end: int
    kind: Kind
    label: str


@frozen(kw_only=True)
class PreviewHint:
    """A phrase that could be read: its place, in UTF-16 units, and what it would mean."""

    start: int
    end: int
    text: str
    meaning: str


@frozen(kw_only=True)
class QuickAddView:
    """A line, read, as the browser shows it."""

    title: str
    kind: ItemKind
    due_date: Date | None
    due_time: Time | None
    due_at: Instant | None
    zone: str | None
    duration: str | None
    rule: str | None
    rule_text: str | None
    anchor: Anchor
    priority: int | None
    project: str | None
    section: str | None
    labels: tuple[str, ...]
    reminders: tuple[str, ...] | None
    body: str
    hints: tuple[PreviewHint, ...]
    warnings: tuple[str, ...]
    spans: tuple[PreviewSpan, ...]


@query
def preview(ctx: QueryCtx, line: str, captured_at: Instant, zone: str) -> QuickAddView:
    """Read a line and make nothing of it.

    Args:
        ctx: the query.
        line: as it stands in the field.
        captured_at: the time on the device.
        zone: where the device is; one that is none is that of home.
    """
    item = read_line(ctx, line, captured_at, zone)
    units = _units(line)
    return QuickAddView(
        title=item.title,
        kind=item.kind,
        due_date=item.due_date,
        due_time=item.due_time,
        due_at=item.due_at,
        zone=item.zone,
        duration=item.duration,
        rule=item.rule,
        rule_text=None if item.rule is None else rule_text(item.rule, item.anchor),
        anchor=item.anchor,
        priority=item.priority,
        project=item.project,
        section=item.section,
        labels=item.labels,
        reminders=item.reminders,
        body=item.body,
        hints=tuple(
            PreviewHint(
                start=units[each.start], end=units[each.end], text=each.text, meaning=each.meaning
            )
            for each in item.hints
        ),
        warnings=item.warnings,
        spans=tuple(
            PreviewSpan(
                start=units[each.start], end=units[each.end], kind=each.kind, label=each.label
            )
            for each in item.spans
        ),
    )


def _units(line: str) -> list[int]:
    """Give each code point's place in UTF-16, as browsers count, and that of the end."""
    places = [0]
    for character in line:
        places.append(places[-1] + (2 if ord(character) > 0xFFFF else 1))
    return places
