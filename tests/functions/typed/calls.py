"""An app for the type checkers: the lines that end with ``# error`` are wrong, and no others.

(``attrs.evolve`` of a document is right: pyright follows it, mypy only for attrs' own decorators.)
"""

from typing import assert_type

import attrs

from flow_backend import (
    ActionCtx,
    Document,
    Id,
    Index,
    Instant,
    MutationCtx,
    Page,
    PaginationOptions,
    QueryCtx,
    SearchIndex,
    action,
    document,
    mutation,
    query,
)


@document("boards")
class Board(Document):
    name: str

    by_name = Index("name")


@document("tasks")
class Task(Document):
    board: Id[Board]
    title: str
    column: str = "todo"
    due_at: Instant | None = None

    by_board = Index("board", "column")
    text = SearchIndex("title", within=("board",))


@query(name="list")
def list_tasks(ctx: QueryCtx, board: Id[Board]) -> list[Task]:
    return ctx.db.scan(Task.by_board[board]).collect()


@query
def in_pages(ctx: QueryCtx, page: PaginationOptions) -> Page[Task]:
    return ctx.db.scan(Task.by_board).desc().filter(lambda task: task.title != "").paginate(page)


@mutation
def move(ctx: MutationCtx, task: Id[Task], column: str, top: bool = False) -> Id[Task]:
    found = ctx.db.get(task)
    assert_type(found, Task | None)
    if found is None:
        return task
    assert_type(found.id, Id[Task])
    assert_type(found.created, Instant)
    assert_type(found.board, Id[Board])
    ctx.db.patch(task, column=column)
    ctx.db.replace(found.id, attrs.evolve(found, column=column))  # mypy knows no attrs class here
    found.title = "x"  # error
    return found.id


@mutation
def add(ctx: MutationCtx, board: Id[Board]) -> Id[Task]:
    assert_type(ctx.run(list_tasks, board=board), list[Task])
    Task(board=board)  # error
    Task(board=board, title=3)  # error
    task = ctx.db.insert(Task(board=board, title="new"))
    assert_type(task, Id[Task])
    assert_type(ctx.run(move, task=task, column="done"), Id[Task])
    ctx.run(move, task=task, column="done", top=True)
    ctx.run(move, task=board, column="done")  # error
    ctx.run(move, task=task, column=3)  # error
    ctx.run(move, task=task)  # error
    ctx.run(move, task=task, column="done", colour="red")  # error
    ctx.run(fetch, task=task)  # error
    assert_type(ctx.db.scan(Task.by_board[board, "todo"]).first(), Task | None)
    assert_type(ctx.db.search(Task.text, "milk", board=board).first(), Task | None)
    assert_type(ctx.db.search(Task.text, "milk").take(3)[0].document, Task)
    ctx.db.search(Task.by_board, "milk")  # error
    ctx.db.scan(Task.text)  # error
    ctx.db.search(Task.text)  # error
    assert_type(ctx.db.scan(Board).take(3), list[Board])
    for each in ctx.db.scan(Task):
        assert_type(each, Task)
    wrong: Id[Board] = task  # error
    return wrong  # error


@query
def reads(ctx: QueryCtx, task: Id[Task]) -> str:
    ctx.db.patch(task, column="x")  # error
    ctx.run(move, task=task, column="x")  # error
    return ctx.random.choice(["a", "b"]) + str(ctx.clock.now())


@action
async def fetch(ctx: ActionCtx, task: Id[Task]) -> int:
    moved = await ctx.run(move, task=task, column="done")
    assert_type(moved, Id[Task])
    await ctx.run(move, task="text", column="done")  # error
    ctx.db.get(task)  # error
    return len(moved)
