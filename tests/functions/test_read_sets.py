"""A query is run again if and only if what it consumed has changed, or a key range that it read."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from attrs import frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow_backend.functions.context import MutationCtx, QueryCtx
from flow_backend.functions.function import mutation, query
from flow_backend.functions.read_set import ReadSet
from flow_backend.schema.document import Document, Id, document
from flow_backend.schema.index import Index
from flow_backend.schema.pages import PaginationOptions
from flow_backend.storage.base import Done, Refused, TableName, Write
from tests.functions.backend import Backend, Open, open_backend

_VALUES = st.integers(0, 3)


@document("cells")
class Cell(Document):
    row: str
    column: int
    size: int | None = None

    by_place = Index("row", "column")
    by_size = Index("size")


@frozen
class Plan:
    """One scan and how it is consumed."""

    index: str
    row: str
    low: int | None
    high: int | None
    descending: bool
    keep: int
    end: str
    count: int


@query
def read(ctx: QueryCtx, plan: Plan) -> list[Cell]:
    bounds: Any
    if plan.index == "place":
        bounds = Cell.by_place[plan.row, plan.low : plan.high]
    elif plan.index == "size":
        bounds = Cell.by_size[plan.low : plan.high]
    else:
        bounds = Cell
    scan = ctx.db.scan(bounds)
    if plan.descending:
        scan = scan.desc()
    if plan.keep:
        scan = scan.filter(lambda cell: cell.column >= plan.keep)
    match plan.end:
        case "take":
            return scan.take(plan.count)
        case "first":
            found = scan.first()
            return [] if found is None else [found]
        case "page":
            return scan.paginate(PaginationOptions(num_items=plan.count or 1)).page
        case _:
            return scan.collect()


@query
def get(ctx: QueryCtx, cell: Id[Cell]) -> Cell | None:
    return ctx.db.get(cell)


@mutation
def add(ctx: MutationCtx, row: str, column: int, size: int | None) -> Id[Cell]:
    return ctx.db.insert(Cell(row=row, column=column, size=size))


@mutation
def clear(ctx: MutationCtx) -> None:
    for cell in ctx.db.scan(Cell):
        ctx.db.delete(cell.id)


@mutation
def change(ctx: MutationCtx, cell: Id[Cell], row: str, column: int, size: int | None) -> None:
    ctx.db.patch(cell, row=row, column=column, size=size)


@mutation
def remove(ctx: MutationCtx, cell: Id[Cell]) -> None:
    ctx.db.delete(cell)


FUNCTIONS = {f"c:{each.call.__name__}": each for each in (read, get, add, change, remove, clear)}

cells = st.fixed_dictionaries(
    {"row": st.sampled_from("ab"), "column": _VALUES, "size": st.none() | _VALUES}
)
plans = st.fixed_dictionaries(
    {
        "index": st.sampled_from(["place", "size", "table"]),
        "row": st.sampled_from("ab"),
        "low": st.none() | _VALUES,
        "high": st.none() | _VALUES,
        "descending": st.booleans(),
        "keep": st.integers(0, 2),
        "end": st.sampled_from(["take", "first", "page", "collect"]),
        "count": st.integers(0, 4),
    }
)
changes = st.tuples(st.sampled_from(["add", "change", "remove"]), st.integers(0, 99), cells)


def touched(reads: ReadSet, writes: Sequence[tuple[str, Write]]) -> bool:
    """What a table does with a commit: hold each key of before and after against the ranges."""
    return any(
        key in each
        for table, write in writes
        for each in reads.get(TableName(table), ())
        for keys in (write.before, write.after)
        if keys is not None
        for key in [keys[each.index]]
    )


Placed = tuple[dict[str, Any], int]
"""A cell and its place in the order of creation, which breaks ties."""


def apply(
    backend: Backend, before: list[Placed], ids: list[str], what: tuple[str, int, dict[str, Any]]
) -> list[Placed]:
    """Do one write; give the row before and after it, as the model has them."""
    kind, number, cell = what
    if kind == "add" or not ids:
        backend.mutate("c:add", **cell)
        return [(cell, len(before))]
    number %= len(ids)
    if kind == "change":
        backend.mutate("c:change", cell=ids[number], **cell)
        return [before[number], (cell, number)]
    backend.mutate("c:remove", cell=ids[number])
    return [before[number]]


@pytest.fixture(scope="module")
def shared() -> Iterator[Backend]:
    backend = open_backend(FUNCTIONS, [Cell])
    yield backend
    backend.close()


@pytest.mark.slow
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(cells, max_size=7), plans, changes)
def test_a_write_invalidates_what_it_changes(
    shared: Backend,
    before: list[dict[str, Any]],
    plan: dict[str, Any],
    what: tuple[str, int, dict[str, Any]],
) -> None:
    """No miss: a write after which the query gives something else is in its read set.

    And no false alarm: a write of rows that the run did not consume, and could not, is not.
    """
    shared.mutate("c:clear")
    ids = [shared.mutate("c:add", **cell) for cell in before]
    placed = [(cell, number) for number, cell in enumerate(before)]
    first = shared.run("c:read", plan=plan)
    rows = apply(shared, placed, ids, what)
    writes = shared.writes
    again = shared.run("c:read", plan=plan)

    assert isinstance(first.result, Done), first
    assert isinstance(again.result, Done), again
    hit = touched(first.read_set, writes)
    if again.result.result != first.result.result:
        assert hit
    if writes:
        assert hit == any(is_consumed(plan, placed, row) for row in rows)
    else:
        assert not hit


def is_consumed(plan: dict[str, Any], before: list[Placed], row: Placed) -> bool:
    """Say, by a model of lists, whether a row lies in what the scan consumed."""
    inside = [each for each in before if in_bounds(plan, order_key(plan, each))]
    inside.sort(key=lambda each: order_key(plan, each), reverse=plan["descending"])
    wanted = {"take": plan["count"], "first": 1, "page": plan["count"] or 1}.get(plan["end"])
    if wanted == 0 or not in_bounds(plan, order_key(plan, row)):
        return False
    found = 0
    for each in inside:
        found += each[0]["column"] >= plan["keep"]
        if found == wanted:
            last, key = order_key(plan, each), order_key(plan, row)
            return key >= last if plan["descending"] else key <= last
    return True  # It ran to the end of its range.


def order_key(plan: dict[str, Any], row: Placed) -> tuple[Any, ...]:
    cell, number = row
    size = -1 if cell["size"] is None else cell["size"]  # Null sorts first.
    match plan["index"]:
        case "place":
            return (cell["row"], cell["column"], number)
        case "size":
            return (size, number)
        case _:
            return (number,)


def in_bounds(plan: dict[str, Any], key: tuple[Any, ...]) -> bool:
    if plan["index"] == "table":
        return True
    if plan["index"] == "place" and key[0] != plan["row"]:
        return False
    low, high = plan["low"], plan["high"]
    return (low is None or key[-2] >= low) and (high is None or key[-2] < high)


def test_a_get_depends_on_its_document_alone(start: Open) -> None:
    """Also on one that is not there."""
    backend = start(FUNCTIONS, documents=[Cell])
    one = backend.mutate("c:add", row="a", column=1, size=None)
    other = backend.mutate("c:add", row="a", column=1, size=None)
    run = backend.run("c:get", cell=one)

    backend.mutate("c:change", cell=other, row="b", column=1, size=None)
    assert not touched(run.read_set, backend.writes)
    backend.mutate("c:remove", cell=one)
    assert touched(run.read_set, backend.writes)
    gone = backend.run("c:get", cell=one)
    assert gone.result == Done(b"null")
    assert gone.read_set == run.read_set


def test_a_failing_query_depends_on_what_it_read(start: Open) -> None:
    """It is run again when that changes, and may succeed then."""

    @query
    def fail(ctx: QueryCtx) -> None:
        ctx.db.scan(Cell.by_size).first()
        raise ValueError

    backend = start({**FUNCTIONS, "c:fail": fail}, documents=[Cell])
    run = backend.run("c:fail")

    assert isinstance(run.result, Refused)
    backend.mutate("c:add", row="a", column=1, size=None)
    assert touched(run.read_set, backend.writes)
