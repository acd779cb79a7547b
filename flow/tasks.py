"""Tasks: the cards of a board."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from attrs import frozen

from flow import task_reminders
from flow.boards import clean_title
from flow.captures import clean_line, time_of_capture
from flow.due import (
    NO_DUE,
    checked_priority,
    due_fields,
    repeat_fields,
    roll_back,
    roll_on,
)
from flow.due_lists import Day, Today, overdue_tasks, tasks_today, tasks_upcoming
from flow.making import Made, made_before, make_item, read_line
from flow.places import find_gap, last_rank, spread_if_long
from flow.rank import rank_between
from flow.schema import Board, QuickAdded, Task
from flow.settings import settings_of
from flow_backend import (
    AppError,
    Date,
    Id,
    Instant,
    MutationCtx,
    Page,
    PaginationOptions,
    QueryCtx,
    Snippet,
    Time,
    mutation,
    query,
)

BODY_MAX: Final = 100_000
LABELS_MAX: Final = 20
LABEL_MAX: Final = 50

_TITLE: Final = "The title of a task"


@query(name="list")
def list_tasks(ctx: QueryCtx, board: Id[Board]) -> list[Task]:
    """Give a board's tasks, by the order of its columns and then by rank."""
    found = ctx.db.get(board)
    if found is None:
        return []
    # A scan for each column, since the index has them by key. To sort instead would mean to decode
    # every task, and the stored bytes are sent as they are only because nobody looks at them.
    return [
        task
        for column in found.columns
        for task in ctx.db.scan(Task.by_place[board, column.key]).collect()
    ]


@query
def get(ctx: QueryCtx, task: Id[Task]) -> Task | None:
    """Give a task, or null if there is none."""
    return ctx.db.get(task)


@frozen
class FoundTask:
    """A task that a search has found, and what to show of it."""

    task: Task
    snippet: Snippet


@query
def search(
    ctx: QueryCtx, text: str, board: Id[Board] | None = None, count: int = 20
) -> list[FoundTask]:
    """Find tasks by the words of their titles, labels and texts, the best first.

    The last word may be the beginning of one. It finds done tasks, too.
    """
    hits = ctx.db.search(Task.text, text, **({} if board is None else {"board": board}))
    return [FoundTask(hit.document, hit.snippet()) for hit in hits.take(count)]


@query
def overdue(ctx: QueryCtx) -> list[Task]:
    """Give the open tasks whose time has passed, the longest overdue first; at most 1,000.

    The list changes by itself: it is run again when the next task's instant passes.
    """
    return overdue_tasks(ctx)


@query
def today(ctx: QueryCtx) -> Today:
    """Give what is still due today, by its time; what is overdue already is not in it.

    The day is that of the home zone, and turns by itself at midnight there.
    """
    return tasks_today(ctx)


@query
def upcoming(ctx: QueryCtx, days: int = 7) -> list[Day]:
    """Give what is due from tomorrow on, by its day; days without a task are left out."""
    return tasks_upcoming(ctx, days)


@query
def page(ctx: QueryCtx, board: Id[Board], pagination_opts: PaginationOptions) -> Page[Task]:
    """Give a board's tasks piece by piece, by column key and rank."""
    return ctx.db.scan(Task.by_place[board]).paginate(pagination_opts)


@mutation
def add(
    ctx: MutationCtx,
    board: Id[Board],
    title: str,
    column: str | None = None,
    body: str = "",
    labels: list[str] | None = None,
    due_date: Date | None = None,
    due_time: Time | None = None,
    zone: str | None = None,
    priority: int | None = None,
) -> Id[Task]:
    """Add a task at the end of a column; without one, of the board's first.

    Without ``due_time`` it is due all of the day; without ``zone`` the time is that of home.
    """
    place = _column_of(ctx, board, column)
    due: dict[str, Any] = {}
    if due_date is not None or due_time is not None:
        due = due_fields(due_date, due_time, zone, settings_of(ctx).home_zone)
    task = Task(
        board=board,
        column=place,
        rank=rank_between(last_rank(ctx, board, place), None),
        title=clean_title(title, _TITLE),
        body=_checked_body(body),
        labels=_clean_labels(labels or []),
        priority=checked_priority(priority),
        **due,
    )
    return ctx.db.insert(task)


@mutation
def quick_add(
    ctx: MutationCtx,
    line: str,
    captured_at: Instant,
    zone: str,
    board: Id[Board] | None = None,
    key: str | None = None,
) -> Made:
    """Make what a line says: a task, or a note or a reminder if it begins so.

    Args:
        ctx: the mutation.
        line: such as ``Pay rent every month on the 1st #Home``.
        captured_at: when it was typed, by the device; the line may arrive much later.
        zone: where that was.
        board: where a task goes that names no project.
        key: made by the device: a line that is sent twice is made into one item.
    """
    before = made_before(ctx, key)
    if before is not None:
        return Made(kind=before.kind, id=before.item, title=line)
    moment = time_of_capture(captured_at, ctx.clock.now())
    made = make_item(ctx, read_line(ctx, clean_line(line), moment, zone), zone=zone, board=board)
    if key is not None:
        ctx.db.insert(QuickAdded(key=key, kind=made.kind, item=made.id))
    return made


@mutation
def move(
    ctx: MutationCtx,
    task: Id[Task],
    column: str,
    before: Id[Task] | None = None,
    after: Id[Task] | None = None,
) -> None:
    """Move a task into a column: before or after another task, else to its end.

    Where a task was that has left the column meanwhile is not on record, so such a neighbour counts
    as none. A client that names both neighbours still gets its place: ``before`` counts first, then
    ``after``, then the end. A task beside itself stays; to its own place nothing is written.
    """
    moved = _existing(ctx, task)
    place = _column_of(ctx, moved.board, column)
    if place == moved.column and task in {before, after}:
        return
    gap = find_gap(ctx, moved, place, before, after)
    if place == moved.column and gap.holds(moved.rank):
        return
    rank = rank_between(gap.low, gap.high)
    ctx.db.patch(task, column=place, rank=rank)
    spread_if_long(ctx, moved.board, place, rank)


@mutation
def edit(
    ctx: MutationCtx,
    task: Id[Task],
    title: str | None = None,
    body: str | None = None,
    labels: list[str] | None = None,
    priority: int | Literal["keep"] | None = "keep",
) -> None:
    """Change what is given of a task, and leave the rest; a null ``priority`` takes it away."""
    _existing(ctx, task)
    changes: dict[str, object] = {}
    if title is not None:
        changes["title"] = clean_title(title, _TITLE)
    if body is not None:
        changes["body"] = _checked_body(body)
    if labels is not None:
        changes["labels"] = _clean_labels(labels)
    if priority != "keep":
        changes["priority"] = checked_priority(priority)
    if not changes:
        return
    ctx.db.patch(task, **changes)
    if title is not None:
        task_reminders.moved(ctx, _existing(ctx, task))  # They say what it is called.


@mutation
def set_due(
    ctx: MutationCtx,
    task: Id[Task],
    due_date: Date | None,
    due_time: Time | None = None,
    zone: str | None = None,
) -> None:
    """Say when a task is due; null takes its date away, and its repeat with it.

    Of a repeat only the open occurrence is moved. Its reminders move along.
    """
    found = _existing(ctx, task)
    due = due_fields(due_date, due_time, zone, settings_of(ctx).home_zone)
    ctx.db.patch(task, **(NO_DUE if due_date is None else due))
    if found.completed_at is None:
        task_reminders.moved(ctx, _existing(ctx, task))


@mutation
def set_repeat(
    ctx: MutationCtx,
    task: Id[Task],
    rule: str | None,
    anchor: Literal["schedule", "done"] = "schedule",
) -> None:
    """Let a task with a date repeat by a rule (the body of an RRULE); null ends that."""
    found = _existing(ctx, task)
    ctx.db.patch(task, **repeat_fields(rule, anchor, found.due_date, found.due_at))


@mutation
def set_reminders(ctx: MutationCtx, task: Id[Task], offsets: list[str]) -> None:
    """Let a task have these reminders and no others, such as ``-PT30M`` before it is due."""
    task_reminders.set_for_task(ctx, _existing(ctx, task), offsets)


@frozen
class Next:
    """When a task that repeats is due next; ``at`` is the instant at which it turns overdue."""

    date: Date
    at: Instant


@mutation
def complete(ctx: MutationCtx, task: Id[Task], due_at: Instant | None = None) -> Next | None:
    """Note that a task is done; one that is done already keeps its time.

    One that repeats goes on with its next occurrence, which is the result. What has passed
    meanwhile is skipped. ``due_at`` is the one that the client saw: if another device has completed
    that occurrence already, it is not the next one that is done.
    """
    found = _existing(ctx, task)
    if found.completed_at is not None:
        return None
    is_another = found.rule is not None and due_at is not None and due_at != found.due_at
    if is_another and found.due_date is not None and found.due_at is not None:
        return Next(found.due_date, found.due_at)
    following = roll_on(ctx, found)
    if following is not None and following.due_date is not None and following.due_at is not None:
        task_reminders.moved(ctx, following)
        return Next(following.due_date, following.due_at)
    ctx.db.patch(task, completed_at=ctx.clock.now())
    task_reminders.ended(ctx, task)
    return None


@mutation
def reopen(ctx: MutationCtx, task: Id[Task]) -> None:
    """Note that a task is not done after all; of one that repeats, that its last time was not."""
    roll_back(ctx, _existing(ctx, task))
    task_reminders.moved(ctx, _existing(ctx, task))


@mutation
def remove(ctx: MutationCtx, task: Id[Task]) -> None:
    """Remove a task. One that is gone already is gone: two people may both remove it."""
    if ctx.db.get(task) is not None:
        task_reminders.removed(ctx, task)
        ctx.db.delete(task)


def _existing(ctx: MutationCtx, task: Id[Task]) -> Task:
    found = ctx.db.get(task)
    if found is None:
        raise AppError("This task is gone: someone has removed it.")
    return found


def _column_of(ctx: MutationCtx, board: Id[Board], column: str | None) -> str:
    """Check a column's key; None is the board's first column."""
    found = ctx.db.get(board)
    if found is None:
        raise AppError("This board is gone: someone has removed it.")
    if column is None:
        return found.columns[0].key
    keys = [each.key for each in found.columns]
    if column not in keys:
        known = ", ".join(keys)
        raise AppError(
            f'The board "{found.title}" has no column "{column}". Its columns are {known}.'
        )
    return column


def _checked_body(body: str) -> str:
    if len(body) > BODY_MAX:
        raise AppError(f"The text of a task has {len(body)} characters; {BODY_MAX} is the most.")
    return body


def _clean_labels(labels: Sequence[str]) -> tuple[str, ...]:
    cleaned = dict.fromkeys(" ".join(label.split()) for label in labels)
    cleaned.pop("", None)
    if len(cleaned) > LABELS_MAX or any(len(label) > LABEL_MAX for label in cleaned):
        raise AppError(f"A task has at most {LABELS_MAX} labels of {LABEL_MAX} characters each.")
    return tuple(cleaned)
