"""From a line to a task, a note or a reminder: what quick add and triage share."""

from typing import Final

from attrs import evolve, frozen

from flow import task_reminders
from flow.boards import TITLE_MAX, make_board
from flow.due import due_fields, repeat_fields
from flow.new_reminder import make_reminder
from flow.notes import make_note
from flow.places import last_rank
from flow.quick_add.parse import parse
from flow.quick_add.result import Names, QuickAdd
from flow.rank import rank_between
from flow.schema import Board, Capture, ItemKind, QuickAdded, Reminder, Task
from flow.settings import is_zone, settings_of
from flow.time.instants import offset_at, to_instant, wall_of
from flow_backend import AppError, Date, Id, Instant, MutationCtx, QueryCtx

BOARD_OF_TASKS: Final = "Tasks"
KEY_MAX: Final = 100
BOARDS_MAX: Final = 2_000
_RINGS_AT_DUE: Final = ("PT0S",)


@frozen(kw_only=True)
class Made:
    """What a line was made into.

    Attributes:
        id: of the table that belongs to ``kind``.
        board: where a task stands.
        warnings: what may not be as it was meant, in words.
    """

    kind: ItemKind
    id: str
    title: str
    due_at: Instant | None = None
    board: Id[Board] | None = None
    warnings: tuple[str, ...] = ()


def read_line(
    ctx: QueryCtx | MutationCtx, line: str, captured_at: Instant, zone: str | None
) -> QuickAdd:
    """Read a line as of the moment and the place at which it was typed.

    A zone that is none is that of home: no line is lost by a device that is set wrongly.
    """
    settings = settings_of(ctx)
    where = zone if zone is not None and is_zone(zone) else settings.home_zone
    names = Names(projects=[board.title for board in _boards(ctx)])
    return parse(line, captured_at, where, settings, names)


def made_before(ctx: MutationCtx, key: str | None) -> QuickAdded | None:
    """Give what a line with this key was made into already, if there is one."""
    if key is None:
        return None
    if not 1 <= len(key) <= KEY_MAX:
        raise AppError(f"The key of a line has 1 to {KEY_MAX} characters, such as a UUID.")
    return ctx.db.scan(QuickAdded.by_key[key]).unique()


def make_item(
    ctx: MutationCtx,
    item: QuickAdd,
    *,
    zone: str | None,
    board: Id[Board] | None = None,
    capture: Id[Capture] | None = None,
) -> Made:
    """Make what a line says.

    Args:
        ctx: the mutation.
        item: the line, read.
        zone: where it was typed; a time that was read there is kept there, if that is not home.
        board: where a task goes that names no project; None is the oldest board.
        capture: what it comes from.

    Raises: AppError if the line cannot be made into its kind: a reminder that says no time.
    """
    if not item.title:
        raise AppError("There is nothing in this line. Type at least one letter.")
    if item.kind == "note":
        return _make_note(ctx, item, capture)
    item = _in_its_zone(ctx, item, zone)
    if item.kind == "reminder":
        return _make_reminder(ctx, item, capture)
    return _make_task(ctx, item, board, capture)


def _in_its_zone(ctx: MutationCtx, item: QuickAdd, zone: str | None) -> QuickAdd:
    """Keep the zone in which a time was meant: a traveller's "5pm" is that of where they are.

    What is an instant first ("in 3 hours") moves nowhere, wherever home will be.
    """
    home = settings_of(ctx).home_zone
    if item.elapsed and item.zone is None:
        return evolve(item, zone=zone if zone is not None and is_zone(zone) else home)
    if item.due_time is None or item.zone is not None or zone is None or not is_zone(zone):
        return item
    return item if zone == home else evolve(item, zone=zone)


def _make_note(ctx: MutationCtx, item: QuickAdd, capture: Id[Capture] | None) -> Made:
    is_short = len(item.title) <= TITLE_MAX
    title, body = (item.title, item.body) if is_short else ("", item.title)
    made = make_note(ctx, title, body, item.labels, capture)
    return Made(kind="note", id=made, title=item.title)


def _make_reminder(ctx: MutationCtx, item: QuickAdd, capture: Id[Capture] | None) -> Made:
    if item.due_date is None:
        raise AppError('Say when to be reminded, such as "remind me tomorrow at 9am to call mom".')
    at = _instant_if_needed(ctx, item)
    offsets = item.reminders or _RINGS_AT_DUE
    ident: Id[Reminder] | None = None
    for offset in offsets:
        date: Date | None = item.due_date
        time, instant, rule = item.due_time, at, item.rule
        if offset not in _RINGS_AT_DUE:
            # It rings at another time than the line is about, once.
            settings = settings_of(ctx)
            zone, all_day = item.zone or settings.home_zone, settings.all_day_reminder
            instant = offset_at(offset, item.due_date, time, zone, all_day, item.due_at)
            date, time, rule = None, None, None
        made = make_reminder(
            ctx,
            title=_short(item.title),
            due_date=date,
            due_time=time,
            zone=item.zone,
            at=instant,
            rule=rule,
            anchor=item.anchor,
            capture=capture,
        )
        ident = ident or made
    found = None if ident is None else ctx.db.get(ident)
    assert found is not None, ident
    return Made(
        kind="reminder",
        id=found.id,
        title=found.title,
        due_at=found.next_at,
        warnings=item.warnings,
    )


def _make_task(
    ctx: MutationCtx, item: QuickAdd, board: Id[Board] | None, capture: Id[Capture] | None
) -> Made:
    warnings = list(item.warnings)
    place = _board_of(ctx, item, board, warnings)
    column = _column_of(place, item.section, warnings)
    due = due_fields(
        item.due_date, item.due_time, item.zone, settings_of(ctx).home_zone, item.due_at
    )
    body = item.body
    if len(item.title) > TITLE_MAX:
        body = "\n\n".join(part for part in (item.title, item.body) if part)
    made = ctx.db.insert(
        Task(
            board=place.id,
            column=column,
            rank=rank_between(last_rank(ctx, place.id, column), None),
            title=_short(item.title),
            body=body,
            labels=item.labels,
            priority=item.priority,
            duration=item.duration,
            capture=capture,
            **due,
            **repeat_fields(item.rule, item.anchor, item.due_date, item.due_at),
        )
    )
    task = ctx.db.get(made)
    assert task is not None, made
    if item.reminders:
        task_reminders.set_for_task(ctx, task, item.reminders)
    return Made(
        kind="task",
        id=made,
        title=task.title,
        due_at=task.due_at,
        board=place.id,
        warnings=tuple(warnings),
    )


def _board_of(
    ctx: MutationCtx, item: QuickAdd, board: Id[Board] | None, warnings: list[str]
) -> Board:
    """Find the board by the project, else the one that is shown, else the oldest; or make one."""
    if item.project is not None:
        wanted = item.project.casefold()
        found = next((each for each in _boards(ctx) if each.title.casefold() == wanted), None)
        if found is None:
            found = _new_board(ctx, item.project)
            warnings.append(f'The board "{found.title}" is new.')
        return found
    shown = None if board is None else ctx.db.get(board)
    return shown or ctx.db.scan(Board).first() or _new_board(ctx, BOARD_OF_TASKS)


def _new_board(ctx: MutationCtx, title: str) -> Board:
    found = ctx.db.get(make_board(ctx, title))
    assert found is not None, title
    return found


def _column_of(board: Board, section: str | None, warnings: list[str]) -> str:
    if section is None:
        return board.columns[0].key
    wanted = section.casefold()
    for column in board.columns:
        if wanted in {column.key.casefold(), column.title.casefold()}:
            return column.key
    first = board.columns[0]
    warnings.append(
        f'The board "{board.title}" has no column "{section}": it stands in "{first.title}".'
    )
    return first.key


def _instant_if_needed(ctx: MutationCtx, item: QuickAdd) -> Instant | None:
    """Give the instant if the wall time alone does not say it: the second 01:30 of a night."""
    if item.due_at is None or item.due_date is None or item.elapsed:
        return item.due_at
    zone = item.zone or settings_of(ctx).home_zone
    usual = to_instant(wall_of(item.due_date, item.due_time), zone)
    return None if usual == item.due_at else item.due_at


def _short(title: str) -> str:
    return title if len(title) <= TITLE_MAX else title[: TITLE_MAX - 1].rstrip() + "…"


def _boards(ctx: QueryCtx | MutationCtx) -> list[Board]:
    return ctx.db.scan(Board).take(BOARDS_MAX)
