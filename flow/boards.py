"""Boards: making and reading them."""

import re

from flow.schema import Board, Column
from flow_backend import AppError, Id, MutationCtx, QueryCtx, mutation, query

DEFAULT_COLUMNS = ["To do", "Doing", "Done"]
TITLE_MAX = 200
COLUMNS_MAX = 50


@mutation
def create(ctx: MutationCtx, title: str, columns: list[str] | None = None) -> Id[Board]:
    """Make a board; without ``columns`` it gets To do, Doing and Done."""
    return make_board(ctx, title, columns)


def make_board(ctx: MutationCtx, title: str, columns: list[str] | None = None) -> Id[Board]:
    """Make a board, for functions that need one.

    Raises: AppError for an empty or too long title, or too many columns.
    """
    titles = DEFAULT_COLUMNS if columns is None else columns
    if not titles or len(titles) > COLUMNS_MAX:
        raise AppError(f"A board has 1 to {COLUMNS_MAX} columns, not {len(titles)}.")
    cleaned = [clean_title(each, "The title of a column") for each in titles]
    board = Board(title=clean_title(title, "The title of a board"), columns=_with_keys(cleaned))
    return ctx.db.insert(board)


@query(name="list")
def list_boards(ctx: QueryCtx) -> list[Board]:
    """Give all boards, the oldest first."""
    return ctx.db.scan(Board).collect()


@query
def get(ctx: QueryCtx, board: Id[Board]) -> Board | None:
    """Give a board, or null if there is none."""
    return ctx.db.get(board)


def clean_title(title: str, what: str) -> str:
    """Trim a title. Raises: AppError if nothing is left of it, or it is too long."""
    trimmed = " ".join(title.split())
    if not trimmed:
        raise AppError(f"{what} is empty. Type at least one letter.")
    if len(trimmed) > TITLE_MAX:
        raise AppError(f"{what} has {len(trimmed)} characters; {TITLE_MAX} is the most.")
    return trimmed


def _with_keys(titles: list[str]) -> tuple[Column, ...]:
    """Give each column a key of its title's letters, such as ``to-do``, and a number if needed."""
    columns: dict[str, Column] = {}
    for title in titles:
        stem = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "column"
        key, number = stem, 2
        while key in columns:
            key, number = f"{stem}-{number}", number + 1
        columns[key] = Column(key, title)
    return tuple(columns.values())
