"""Tasks: the cards of a board."""

from collections.abc import Sequence
from typing import Final

from flow.boards import clean_title
from flow.places import find_gap, last_rank, spread_if_long
from flow.rank import rank_between
from flow.schema import Board, Task
from flow_backend import (
    AppError,
    Id,
    MutationCtx,
    Page,
    PaginationOptions,
    QueryCtx,
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
) -> Id[Task]:
    """Add a task at the end of a column; without one, of the board's first."""
    place = _column_of(ctx, board, column)
    task = Task(
        board=board,
        column=place,
        rank=rank_between(last_rank(ctx, board, place), None),
        title=clean_title(title, _TITLE),
        body=_checked_body(body),
        labels=_clean_labels(labels or []),
    )
    return ctx.db.insert(task)


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
) -> None:
    """Change what is given of a task, and leave the rest."""
    _existing(ctx, task)
    changes: dict[str, object] = {}
    if title is not None:
        changes["title"] = clean_title(title, _TITLE)
    if body is not None:
        changes["body"] = _checked_body(body)
    if labels is not None:
        changes["labels"] = _clean_labels(labels)
    ctx.db.patch(task, **changes)


@mutation
def complete(ctx: MutationCtx, task: Id[Task]) -> None:
    """Note that a task is done; one that is done already keeps its time."""
    if _existing(ctx, task).completed_at is None:
        ctx.db.patch(task, completed_at=ctx.clock.now())


@mutation
def reopen(ctx: MutationCtx, task: Id[Task]) -> None:
    """Note that a task is not done after all."""
    _existing(ctx, task)
    ctx.db.patch(task, completed_at=None)


@mutation
def remove(ctx: MutationCtx, task: Id[Task]) -> None:
    """Remove a task. One that is gone already is gone: two people may both remove it."""
    if ctx.db.get(task) is not None:
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
