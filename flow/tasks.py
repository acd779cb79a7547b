"""Tasks: the cards of a board."""

from collections.abc import Iterable, Sequence

from flow.boards import clean_title
from flow.rank import LONG_RANK, rank_between, spread
from flow.schema import Board, Task
from flow_backend import (
    AppError,
    Id,
    Instant,
    MutationCtx,
    Page,
    PaginationOptions,
    QueryCtx,
    mutation,
    query,
)

LABELS_MAX = 20
LABEL_MAX = 50


@query(name="list")
def list_tasks(ctx: QueryCtx, board: Id[Board]) -> list[Task]:
    """Give a board's tasks, by the order of its columns and then by rank."""
    tasks = ctx.db.scan(Task.by_place[board]).collect()
    found = ctx.db.get(board)
    if found is None or not tasks:
        return tasks
    order = {column.key: place for place, column in enumerate(found.columns)}
    # The index has the columns by key; within one the ranks are in order already.
    return sorted(tasks, key=lambda task: order.get(task.column, len(order)))


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
        rank=rank_between(_last_rank(ctx, board, place), None),
        title=clean_title(title, "The title of a task"),
        body=body,
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
    """Move a task into a column: before or after another task, else to the end.

    A neighbour that has left the column meanwhile counts as none: the task goes to the end.
    """
    moved = _existing(ctx, task)
    if before is not None and after is not None:
        raise AppError("Say where a task goes by one neighbour: before or after, not both.")
    if task in {before, after}:
        return
    board = moved.board
    place = _column_of(ctx, board, column)
    low, high = _gap(ctx, moved, place, before, after)
    if place == moved.column and _is_between(moved.rank, low, high):
        return
    rank = rank_between(low, high)
    ctx.db.patch(task, column=place, rank=rank)
    if len(rank) > LONG_RANK:
        _spread_column(ctx, board, place)


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
        changes["title"] = clean_title(title, "The title of a task")
    if body is not None:
        changes["body"] = body
    if labels is not None:
        changes["labels"] = _clean_labels(labels)
    ctx.db.patch(task, **changes)


@mutation
def complete(ctx: MutationCtx, task: Id[Task]) -> None:
    """Note that a task is done; one that is done already stays as it is."""
    if _existing(ctx, task).completed_at is None:
        ctx.db.patch(task, completed_at=Instant(ctx.clock.now()))


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
        raise AppError(f"The board {found.title!r} has no column {column!r}; it has {keys}.")
    return column


def _last_rank(
    ctx: MutationCtx, board: Id[Board], column: str, but: Id[Task] | None = None
) -> str | None:
    for task in ctx.db.scan(Task.by_place[board, column]).desc():
        if task.id != but:
            return task.rank
    return None


def _gap(
    ctx: MutationCtx,
    moved: Task,
    column: str,
    before: Id[Task] | None,
    after: Id[Task] | None,
) -> tuple[str | None, str | None]:
    """Give the ranks between which a task is to go, not counting itself."""
    beside = before or after
    neighbour = None if beside is None else ctx.db.get(beside)
    if neighbour is None or (neighbour.board, neighbour.column) != (moved.board, column):
        return _last_rank(ctx, moved.board, column, moved.id), None
    if before is not None:
        lower = ctx.db.scan(Task.by_place[moved.board, column, : neighbour.rank]).desc()
        return _rank_of_first(lower, moved.id), neighbour.rank
    upper = ctx.db.scan(Task.by_place[moved.board, column, neighbour.rank :])
    return neighbour.rank, _rank_of_first(upper, moved.id, neighbour.id)


def _rank_of_first(tasks: Iterable[Task], *but: Id[Task]) -> str | None:
    for task in tasks:
        if task.id not in but:
            return task.rank
    return None


def _is_between(rank: str, low: str | None, high: str | None) -> bool:
    return (low is None or low < rank) and (high is None or rank < high)


def _spread_column(ctx: MutationCtx, board: Id[Board], column: str) -> None:
    tasks = ctx.db.scan(Task.by_place[board, column]).collect()
    for task, rank in zip(tasks, spread(len(tasks)), strict=True):
        ctx.db.patch(task.id, rank=rank)


def _clean_labels(labels: Sequence[str]) -> tuple[str, ...]:
    cleaned = dict.fromkeys(" ".join(label.split()) for label in labels)
    cleaned.pop("", None)
    if len(cleaned) > LABELS_MAX or any(len(label) > LABEL_MAX for label in cleaned):
        raise AppError(f"A task has at most {LABELS_MAX} labels of {LABEL_MAX} characters each.")
    return tuple(cleaned)
