"""Places in a column: between which ranks a card goes, and room where ranks have become long."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from flow.rank import LONG_RANK, ranks_between
from flow.schema import Board, Task
from flow_backend import Id, MutationCtx

SPREAD_EACH_WAY: Final = 500
"""How many tasks on either side of a long rank are spread with it; with no more than that, all of
the column. A bound is needed: one mutation may only write so much, and all others wait for it."""


class Gap(NamedTuple):
    """The ranks on both sides of a place; None is the column's end."""

    low: str | None
    high: str | None

    def holds(self, rank: str) -> bool:
        """Tell whether a rank lies in the gap already."""
        return (self.low is None or self.low < rank) and (self.high is None or rank < self.high)


def find_gap(
    ctx: MutationCtx,
    moved: Task,
    column: str,
    before: Id[Task] | None,
    after: Id[Task] | None,
) -> Gap:
    """Find where a task goes: ahead of ``before``, else behind ``after``, else to the end.

    A neighbour that is not in the column (any more) counts as none. The task itself is looked past,
    so that its own place is a gap too. A few rows are read, however long the column.
    """
    if (high := _rank_in(ctx, moved.board, column, before)) is not None:
        ahead = ctx.db.scan(Task.by_place[moved.board, column, :high]).desc()
        return Gap(_first_rank(ahead, moved.id), high)
    if (low := _rank_in(ctx, moved.board, column, after)) is not None:
        # The least string above ``low``: the scan starts right behind the neighbour.
        behind = ctx.db.scan(Task.by_place[moved.board, column, low + "\0" :])
        return Gap(low, _first_rank(behind, moved.id))
    return Gap(last_rank(ctx, moved.board, column, moved.id), None)


def last_rank(
    ctx: MutationCtx, board: Id[Board], column: str, but: Id[Task] | None = None
) -> str | None:
    """Give the rank of a column's last task, not counting ``but``; None if there is none."""
    return _first_rank(ctx.db.scan(Task.by_place[board, column]).desc(), but)


def spread_if_long(ctx: MutationCtx, board: Id[Board], column: str, rank: str) -> None:
    """Give the tasks around a rank new, short ones, if it has become long. Their order stays.

    Source: the product's study of its rivals, "Rank".
    """
    if len(rank) <= LONG_RANK:
        return
    ahead = ctx.db.scan(Task.by_place[board, column, :rank]).desc().take(SPREAD_EACH_WAY + 1)
    behind = ctx.db.scan(Task.by_place[board, column, rank:]).take(SPREAD_EACH_WAY + 1)
    # The outermost of a longer column keep their ranks: all new ones lie between them.
    low = ahead.pop().rank if len(ahead) > SPREAD_EACH_WAY else None
    high = behind.pop().rank if len(behind) > SPREAD_EACH_WAY else None
    tasks = [*reversed(ahead), *behind]
    for task, fresh in zip(tasks, ranks_between(low, high, len(tasks)), strict=True):
        ctx.db.patch(task.id, rank=fresh)


def _rank_in(ctx: MutationCtx, board: Id[Board], column: str, task: Id[Task] | None) -> str | None:
    """Give a task's rank if it is in this column of this board."""
    found = None if task is None else ctx.db.get(task)
    if found is None or (found.board, found.column) != (board, column):
        return None
    return found.rank


def _first_rank(tasks: Iterable[Task], but: Id[Task] | None) -> str | None:
    return next((task.rank for task in tasks if task.id != but), None)
