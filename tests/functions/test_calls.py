"""Calls: arguments, results, nested calls, limits, errors, and what the client is told."""

from datetime import UTC, datetime
from typing import Any, Literal

import attrs
import orjson
import pytest
from attrs import evolve, frozen

from flow_backend.auth.identity import Identity
from flow_backend.errors import AppError, DocumentError, FlowError
from flow_backend.functions.context import ActionCtx, Caller, MutationCtx, QueryCtx
from flow_backend.functions.function import (
    action,
    internal_mutation,
    internal_query,
    mutation,
    query,
)
from flow_backend.functions.limits import Limits
from flow_backend.functions.seed import Seed
from flow_backend.schema.document import Id
from flow_backend.schema.pages import Page, PaginationOptions
from flow_backend.storage.base import Done
from tests.functions.backend import START_NS, Backend, Board, Open, Task, open_backend, said


@frozen
class Point:
    x: float
    y: float = 0.0


@query
def echo(
    ctx: QueryCtx, number: int, word: Literal["a", "b"] = "a", points: tuple[Point, ...] = ()
) -> list[Point]:
    return list(points) or [Point(x=number)]


@mutation
def add_board(ctx: MutationCtx, name: str) -> Id[Board]:
    return ctx.db.insert(Board(name=name))


@mutation
def add_task(ctx: MutationCtx, board: Id[Board], title: str, rank: float = 0.0) -> Id[Task]:
    return ctx.db.insert(Task(board=board, title=title, rank=rank))


@query
def tasks(ctx: QueryCtx) -> list[Task]:
    return ctx.db.scan(Task).collect()


@query
def get_task(ctx: QueryCtx, task: Id[Task]) -> Task | None:
    return ctx.db.get(task)


@query
def the_task(ctx: QueryCtx, title: str) -> Task | None:
    return ctx.db.scan(Task.by_title[title]).unique()


@query
def wrong_result(ctx: QueryCtx) -> list[int]:
    return [1, "two"]  # type: ignore[list-item]  # pyright: ignore[reportReturnType]


@mutation
def wrong_after_write(ctx: MutationCtx) -> int:
    ctx.db.insert(Board(name="lost"))
    return "no"  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


@internal_query
def secret(ctx: QueryCtx) -> int:
    return 42


@internal_mutation
def secret_add(ctx: MutationCtx) -> None:
    ctx.db.insert(Board(name="secret"))


@mutation
def patch(ctx: MutationCtx, id: Id[Any], changes: dict[str, Any]) -> None:
    ctx.db.patch(id, **changes)


@mutation
def rename(ctx: MutationCtx, task: Id[Task], title: str) -> None:
    found = ctx.db.get(task)
    assert found is not None
    ctx.db.replace(task, attrs.evolve(found, title=title))  # type: ignore[misc]  # mypy knows attrs' own decorators.


@mutation
def replace_with_other(ctx: MutationCtx, task: Id[Task]) -> None:
    ctx.db.replace(task, Board(name="x"))  # pyright: ignore


@mutation
def delete(ctx: MutationCtx, id: Id[Any]) -> None:
    ctx.db.delete(id)


@mutation
def nested(ctx: MutationCtx, catch: bool) -> list[str]:
    ctx.db.insert(Board(name="outer"))
    try:
        ctx.run(add_and_fail)
    except ValueError:
        if not catch:
            raise
    ctx.db.insert(Board(name="after"))
    return ctx.run(names)


@mutation
def add_and_fail(ctx: MutationCtx) -> None:
    ctx.db.insert(Board(name="inner"))
    raise ValueError("inner failed")


@query
def names(ctx: QueryCtx) -> list[str]:
    return [board.name for board in ctx.db.scan(Board)]


@query
def writes_in_query(ctx: QueryCtx) -> None:
    ctx.run(add_board, name="x")  # type: ignore[arg-type]  # pyright: ignore


@query
def deep(ctx: QueryCtx, levels: int) -> int:
    return 1 if levels == 1 else 1 + ctx.run(deep, levels=levels - 1)


@query
def says_no(ctx: QueryCtx, data: Any) -> None:
    raise AppError(data)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError


@query
def fails(ctx: QueryCtx, how: str) -> None:
    ctx.log.info("before", 1)
    match how:
        case "exit":
            raise SystemExit(3)
        case "unprintable":
            raise Unprintable
        case _:
            raise KeyError("lost")


@query
def log(ctx: QueryCtx, lines: int, length: int = 1) -> None:
    for _ in range(lines):
        ctx.log.warn("x" * length)


@query
def context(ctx: QueryCtx) -> list[Any]:
    draws = [ctx.random.random() for _ in range(2)]
    return [ctx.clock.now(), ctx.env["COLOUR"], *draws]


@query
def who(ctx: QueryCtx, look: bool) -> str | None:
    if not look:
        return None
    identity = ctx.auth.identity
    return None if identity is None else identity.subject


@query
def size(ctx: QueryCtx, count: int) -> str:
    return "x" * count


@query
def reads(ctx: QueryCtx, gets: int, scans: int) -> None:
    for _ in range(gets):
        ctx.db.normalize_id(Board, "x")
        for board in ctx.db.scan(Board).take(0):
            ctx.db.get(board.id)
    for _ in range(scans):
        ctx.db.scan(Task).first()


@query
def page(ctx: QueryCtx, options: PaginationOptions) -> Page[Task]:
    return ctx.db.scan(Task).paginate(options)


@mutation
def add_many(ctx: MutationCtx, count: int, name: str = "b") -> None:
    for _ in range(count):
        ctx.db.insert(Board(name=name))


@query
def collect(ctx: QueryCtx, how: str, count: int = 0) -> int:
    scan = ctx.db.scan(Board)
    match how:
        case "collect":
            return len(scan.collect())
        case "take":
            return len(scan.take(count))
        case "filter":
            return len(scan.filter(lambda _: False).collect())
        case _:
            return sum(1 for _ in scan)


@action
async def act(ctx: ActionCtx, fail: bool = False) -> str:
    name: str = await ctx.run(names_text)
    if fail:
        raise AppError({"code": "no"})
    return name


@query
def names_text(ctx: QueryCtx) -> str:
    return ",".join(board.name for board in ctx.db.scan(Board))


FUNCTIONS = {
    f"t:{name}": value for name, value in list(globals().items()) if hasattr(value, "call")
}


@pytest.fixture
def backend(start: Open) -> Backend:
    return start(FUNCTIONS)


def limited(start: Open, **limits: int) -> Backend:
    return start(FUNCTIONS, limits=evolve(Limits(), **limits))


# --- Arguments and results ------------------------------------------------------------------------


def test_defaults_and_classes(backend: Backend) -> None:
    assert backend.query("t:echo", number=3) == [{"x": 3.0, "y": 0.0}]
    assert backend.query("t:echo", number=3, points=[{"x": 1}]) == [{"x": 1.0, "y": 0.0}]


@pytest.mark.parametrize(
    ("args", "path", "expected"),
    [
        ({}, "(the whole value)", "the field 'number', which is required"),
        ({"number": 1, "more": 2}, "(the whole value)", "no field 'more' (it is not declared)"),
        ({"number": "1"}, ".number", "a whole number within ±2^53"),
        ({"number": 1.5}, ".number", "a whole number within ±2^53"),
        ({"number": 1, "word": "c"}, ".word", "'a' or 'b'"),
        ({"number": 1, "points": [{"x": 1}, {}]}, ".points[1]", "the field 'x', which is required"),
        ({"number": 1, "points": [{"x": None}]}, ".points[0].x", "a number"),
    ],
)
def test_wrong_arguments_are_named(
    backend: Backend, args: dict[str, Any], path: str, expected: str
) -> None:
    """The text begins as tools expect it, and says function, place and what was expected."""
    text = said(backend.refused_query("t:echo", **args))

    assert text.startswith("ArgumentValidationError: t:echo: ")
    assert f"\nPath: {path}\n" in text
    assert text.endswith(f"\nExpected: {expected}")


def test_undecodable_arguments(backend: Backend) -> None:
    text = said(backend.refused_query("t:echo", number={"$integer": 3}))
    assert text.startswith("Invalid arguments for t.js:echo: ")


def test_a_wrong_result_names_its_place(backend: Backend) -> None:
    text = said(backend.refused_query("t:wrong_result"))
    assert text.startswith("ReturnsValidationError: t:wrong_result: ")
    assert "\nPath: [1]\n" in text
    assert "'two'" in text


def test_a_wrong_result_takes_the_writes_back(backend: Backend) -> None:
    said(backend.refused("t:wrong_after_write"))
    assert backend.query("t:names") == []


def test_documents_are_sent_as_they_are_stored(backend: Backend) -> None:
    board = backend.mutate("t:add_board", name="home")
    task = backend.mutate("t:add_task", board=board, title="é")
    run = backend.run("t:tasks")

    assert isinstance(run.result, Done)
    [sent] = orjson.loads(run.result.result)
    assert sent == {
        "_creationTime": sent["_creationTime"],
        "_id": task,
        "after": None,
        "board": board,
        "labels": [],
        "rank": 0.0,
        "title": "é",
    }
    assert backend.query("t:get_task", task=task) == sent


def test_arguments_and_results_have_a_limit(start: Open) -> None:
    backend = limited(start, arguments_bytes=40, result_bytes=12)

    assert backend.query("t:size", count=10) == "x" * 10
    text = said(backend.refused_query("t:size", count=11))
    assert text == "The result of t.js:size is too large (actual: 13 B, limit: 12 B)"
    assert len(orjson.dumps({"title": "x" * 28})) == 40
    assert backend.query("t:the_task", title="x" * 28) is None
    text = said(backend.refused_query("t:the_task", title="x" * 29))
    assert text == "Arguments for t.js:the_task are too large (actual: 41 B, limit: 40 B)"


# --- Finding functions ----------------------------------------------------------------------------


def test_missing_and_internal_functions_read_the_same(backend: Backend) -> None:
    """Whoever may not call it must not learn that it is there."""
    for path in ("t:missing", "t:secret"):
        text = said(backend.refused_query(path))
        assert text == f"Could not find public function for '{path}'."
    assert backend.query("t:secret", Caller(admin=True)) == 42


def test_the_wrong_kind(backend: Backend) -> None:
    assert said(backend.refused_query("t:add_board", name="x")) == (
        "Trying to execute t.js:add_board as Query, but it is defined as Mutation."
    )
    assert said(backend.refused("t:names")) == (
        "Trying to execute t.js:names as Mutation, but it is defined as Query."
    )


# --- Documents ------------------------------------------------------------------------------------


def test_patch_and_replace_keep_id_and_creation_time(backend: Backend) -> None:
    board = backend.mutate("t:add_board", name="home")
    task = backend.mutate("t:add_task", board=board, title="a")
    before = backend.query("t:get_task", task=task)

    backend.mutate("t:patch", id=task, changes={"rank": 2, "labels": ["x"]})
    backend.mutate("t:rename", task=task, title="b")

    assert backend.query("t:get_task", task=task) == {
        **before,
        "rank": 2.0,
        "labels": ["x"],
        "title": "b",
    }


def test_a_patch_that_changes_nothing_writes_nothing(backend: Backend) -> None:
    board = backend.mutate("t:add_board", name="home")
    assert len(backend.writes) == 1
    backend.mutate("t:patch", id=board, changes={"name": "home"})
    assert backend.writes == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"colour": "red"}, "Task has no field 'colour'; it has board, title, rank, after, labels"),
        ({"title": 3}, 'table "tasks" because it does not match the schema: at .title: expected'),
        ({"labels": ["a", 3]}, "at .labels[1]: expected a string, got 3.0"),
        ({"board": "x"}, "at .board: expected an id of table 'boards'"),
    ],
)
def test_a_bad_patch_says_what_is_wrong(
    backend: Backend, changes: dict[str, Any], text: str
) -> None:
    board = backend.mutate("t:add_board", name="home")
    task = backend.mutate("t:add_task", board=board, title="a")
    assert text in said(backend.refused("t:patch", id=task, changes=changes))


def test_references_are_to_documents_that_exist(backend: Backend) -> None:
    board = backend.mutate("t:add_board", name="home")
    task = backend.mutate("t:add_task", board=board, title="a")
    text = said(backend.refused("t:patch", id=task, changes={"board": task}))
    assert "an id of table 'boards', not of another table" in text
    backend.mutate("t:delete", id=task)
    other = backend.mutate("t:add_task", board=board, title="b")
    text = said(backend.refused("t:patch", id=other, changes={"after": task}))
    assert f'tasks.after: there is no document {task} in table "tasks"' in text


def test_what_is_gone_cannot_be_written(backend: Backend) -> None:
    board = backend.mutate("t:add_board", name="home")
    backend.mutate("t:delete", id=board)

    texts = {
        "Update": said(backend.refused("t:patch", id=board, changes={"name": "x"})),
        "Delete": said(backend.refused("t:delete", id=board)),
    }
    for verb, text in texts.items():
        assert text.startswith(f"{verb} on nonexistent document ID {board} in table boards")


def test_a_document_replaces_one_of_its_class(backend: Backend) -> None:
    board = backend.mutate("t:add_board", name="home")
    task = backend.mutate("t:add_task", board=board, title="a")
    text = said(backend.refused("t:replace_with_other", task=task))
    assert text.startswith("a Board cannot take the place of a Task")


def test_unique_is_one_or_none(backend: Backend) -> None:
    board = backend.mutate("t:add_board", name="home")
    assert backend.query("t:the_task", title="a") is None
    one = backend.mutate("t:add_task", board=board, title="a")
    assert backend.query("t:the_task", title="a")["_id"] == one
    two = backend.mutate("t:add_task", board=board, title="a")
    text = said(backend.refused_query("t:the_task", title="a"))
    assert text.startswith("unique() query returned more than one result from table tasks")
    assert f"{one}, {two}" in text


def test_an_id_of_another_table_is_no_argument(backend: Backend) -> None:
    board = backend.mutate("t:add_board", name="home")
    text = said(backend.refused_query("t:get_task", task=board))
    assert "Expected: an id of table 'tasks', not of another table" in text
    changed = board[:-1] + ("0" if board[-1] != "0" else "8")
    assert "an id of table" in said(backend.refused_query("t:get_task", task=changed))


# --- Nested calls ---------------------------------------------------------------------------------


def test_a_nested_mutation_that_is_caught_takes_back_its_own_writes(backend: Backend) -> None:
    assert backend.mutate("t:nested", catch=True) == ["outer", "after"]
    assert backend.query("t:names") == ["outer", "after"]


def test_a_nested_mutation_that_is_not_caught_takes_all_back(backend: Backend) -> None:
    text = said(backend.refused("t:nested", catch=False))
    assert text.startswith("Uncaught ValueError: inner failed\n    at add_and_fail (functions/")
    assert "at nested (functions/test_calls.py:" in text
    assert backend.query("t:names") == []


def test_a_query_cannot_write(backend: Backend) -> None:
    text = said(backend.refused_query("t:writes_in_query"))
    assert text.startswith("Cannot call a mutation function from a query function (t:add_board)")


def test_calls_nest_so_deep_and_no_deeper(backend: Backend) -> None:
    assert backend.query("t:deep", levels=8) == 8
    text = said(backend.refused_query("t:deep", levels=9))
    assert text.startswith("Functions call each other more than 8 deep, which is the limit")


# --- Limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["collect", "filter", "iterate", "take"])
def test_documents_read_are_limited_at_the_bound(start: Open, how: str) -> None:
    backend = limited(start, documents_read=100)
    backend.mutate("t:add_many", count=100)
    backend.query("t:collect", how=how, count=1000)
    backend.mutate("t:add_many", count=1)

    run = backend.run("t:collect", how=how, count=1000)

    text = said(run.result)  # type: ignore[arg-type]  # It is refused, or has no message.
    assert text.startswith(
        "Too many documents read in a single function execution (limit: 100). Read less: "
    )
    [reads] = run.read_set["boards"]  # type: ignore[index]
    assert reads.stop is not None, "it depends on the rows up to the one that was too much"


def test_bytes_read_are_limited_at_the_bound(start: Open) -> None:
    probe = open_backend(FUNCTIONS)
    probe.mutate("t:add_many", count=3)
    probe.snapshot.begin()
    from flow_backend.storage.base import IndexBounds, TableName

    sizes = [len(row[3]) for row in probe.snapshot.scan(IndexBounds(TableName("boards")))]
    probe.close()
    backend = limited(start, bytes_read=sum(sizes))
    backend.mutate("t:add_many", count=3)

    assert backend.query("t:collect", how="collect") == 3
    tight = limited(start, bytes_read=sum(sizes) - 1)
    tight.mutate("t:add_many", count=3)
    assert said(tight.refused_query("t:collect", how="collect")).startswith(
        f"Too many bytes read in a single function execution (limit: {sum(sizes) - 1} bytes)"
    )


def test_ranges_read_are_limited_at_the_bound(start: Open) -> None:
    backend = limited(start, ranges_read=5)
    backend.query("t:reads", gets=0, scans=5)
    text = said(backend.refused_query("t:reads", gets=0, scans=6))
    assert text.startswith("Too many reads in a single function execution (limit: 5 gets and scans")


def test_documents_written_are_limited_at_the_bound(start: Open) -> None:
    backend = limited(start, documents_written=5)
    backend.mutate("t:add_many", count=5)
    text = said(backend.refused("t:add_many", count=6))
    assert text.startswith("Too many writes in a single function execution (limit: 5 documents)")
    assert len(backend.query("t:names")) == 5


def test_bytes_written_are_limited_at_the_bound(start: Open) -> None:
    one = len(orjson.dumps({"name": "b"}))
    backend = limited(start, bytes_written=3 * one)
    backend.mutate("t:add_many", count=3)
    text = said(backend.refused("t:add_many", count=4))
    assert text.startswith(
        f"Too many bytes written in a single function execution (limit: {3 * one}"
    )


def test_a_document_has_a_size_limit(backend: Backend) -> None:
    """1 MiB by the measure of values, system fields included: no byte more, and none less."""
    room = 2**20 - 2 - 61 - len("name") - 1 - 2
    backend.mutate("t:add_board", name="x" * room)
    text = said(backend.refused("t:add_board", name="x" * (room + 1)))
    assert "Value is too large (1.01 MiB > maximum size 1 MiB)" in text


def test_log_lines_are_limited(start: Open) -> None:
    backend = limited(start, log_lines=3, log_line_bytes=6)

    run = backend.run("t:log", lines=3, length=4)
    assert run.result == Done(b"null", ("[WARN] 'xxxx'",) * 3)
    run = backend.run("t:log", lines=5, length=5)
    assert run.result == Done(
        b"null",
        ("[WARN] 'xxxxx (truncated due to length)",) * 3
        + ("[WARN] Log overflow (maximum 3). Remaining log lines omitted.",),
    )


# --- Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["no", {"code": "full", "left": 0.0}, None, [1.0]])
def test_the_data_of_an_app_error_reaches_the_client(start: Open, data: Any) -> None:
    """Also where texts are withheld."""
    for redact in (False, True):
        refused = start(FUNCTIONS, redact=redact).refused_query("t:says_no", data=data)
        assert refused.data is not None
        assert orjson.loads(refused.data) == data


def test_texts_and_logs_can_be_withheld(start: Open) -> None:
    refused = start(FUNCTIONS, redact=True).refused_query("t:fails", how="")
    assert refused.log_lines == ()
    assert refused.message.startswith("[Request ID: ")
    assert refused.message.endswith("] Server Error")


def test_an_error_is_told_with_the_apps_own_lines(backend: Backend) -> None:
    refused = backend.refused_query("t:fails", how="")
    first, at = said(refused).split("\n")
    assert first == "Uncaught KeyError: 'lost'"
    assert at.startswith("    at fails (functions/test_calls.py:")
    assert refused.log_lines == ("[INFO] 'before' 1",)
    assert backend.refused_query("t:fails", how="") == refused, "a re-run is equal"


@pytest.mark.parametrize("how", ["exit", "unprintable"])
def test_an_app_cannot_end_the_server(backend: Backend, how: str) -> None:
    text = said(backend.refused_query("t:fails", how=how))
    assert text.startswith(("Uncaught SystemExit: 3", "Uncaught Unprintable: (it cannot be print"))


# --- The context ----------------------------------------------------------------------------------


def test_time_and_randomness_are_given(backend: Backend) -> None:
    now, colour, *draws = backend.query("t:context")
    assert now == START_NS / 1e6
    assert datetime.fromtimestamp(now / 1000, UTC).year == 2027
    assert colour == "blue"
    assert draws[0] != draws[1]


def test_a_seed_draws_the_same_again() -> None:
    one, other = Seed(5), Seed(5)
    assert one.random.random() == other.random.random()
    assert [one.internal_id(1) for _ in range(2)] == [other.internal_id(1) for _ in range(2)]
    assert one.internal_id(1) != Seed(6).internal_id(1)
    assert one.internal_id(20_000)[-2:] == (20_000).to_bytes(2, "big")


def test_a_query_that_looks_at_the_identity_says_so(backend: Backend) -> None:
    ada = Caller(Identity(token_identifier="i|ada", subject="ada", issuer="i"))
    assert not backend.run("t:who", ada, look=False).looked_at_identity
    run = backend.run("t:who", ada, look=True)
    assert run.looked_at_identity
    assert run.result == Done(b'"ada"')


async def test_an_action_runs_functions_and_says_no(backend: Backend) -> None:
    backend.mutate("t:add_board", name="home")

    async def run(function: Any, arguments: Any) -> Any:
        return backend.query(function.path, **arguments)

    assert await backend.runner.action("t:act", {}, Caller(), run) == Done(b'"home"')
    refused = await backend.runner.action("t:act", {"fail": True}, Caller(), run)
    assert not isinstance(refused, Done)
    assert refused.data == b'{"code":"no"}'


def test_errors_are_of_one_tree() -> None:
    assert issubclass(DocumentError, FlowError)
