"""Pages against a model: who follows them sees every row once, whatever is written."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow_backend.functions.context import MutationCtx, QueryCtx
from flow_backend.functions.function import mutation, query
from flow_backend.functions.limits import Limits
from flow_backend.functions.runner import QueryRun
from flow_backend.schema.document import Document, document
from flow_backend.schema.index import Index
from flow_backend.schema.pages import Page, PaginationOptions
from flow_backend.storage.base import Done, Refused
from tests.functions.backend import Backend, Open, open_backend, said


@document("items")
class Item(Document):
    rank: int
    even: bool = True

    by_rank = Index("rank")


@query
def ranked(
    ctx: QueryCtx, page: PaginationOptions, desc: bool = False, odd: bool = False
) -> Page[Item]:
    scan = ctx.db.scan(Item.by_rank)
    if odd:
        scan = scan.filter(lambda item: item.rank % 2 == 1)
    return (scan.desc() if desc else scan).paginate(page)


@query
def part(ctx: QueryCtx, page: PaginationOptions, low: int) -> Page[Item]:
    return ctx.db.scan(Item.by_rank[low:]).paginate(page)


@query
def twice(ctx: QueryCtx, page: PaginationOptions) -> Page[Item]:
    ctx.db.scan(Item).paginate(page)
    return ctx.db.scan(Item).paginate(page)


@mutation
def put(ctx: MutationCtx, ranks: list[int]) -> None:
    for rank in ranks:
        ctx.db.insert(Item(rank=rank))


@mutation
def drop(ctx: MutationCtx, rank: int) -> None:
    for item in ctx.db.scan(Item.by_rank[rank]):
        ctx.db.delete(item.id)


@mutation
def clear(ctx: MutationCtx) -> None:
    for item in ctx.db.scan(Item):
        ctx.db.delete(item.id)


FUNCTIONS = {f"p:{f.call.__name__}": f for f in (ranked, part, twice, put, drop, clear)}


@pytest.fixture(scope="module")
def shared() -> Iterator[Backend]:
    backend = open_backend(FUNCTIONS, [Item])
    yield backend
    backend.close()


@pytest.fixture
def backend(start: Open) -> Backend:
    return start(FUNCTIONS, documents=[Item])


def options(count: float, cursor: str | None = None, **more: Any) -> dict[str, Any]:
    return {"numItems": count, "cursor": cursor, "id": 3, **more}


def page_of(run: QueryRun) -> dict[str, Any]:
    assert isinstance(run.result, Done), run.result
    page: dict[str, Any] = orjson.loads(run.result.result)
    return page


def ranks(page: dict[str, Any]) -> list[int]:
    return [int(row["rank"]) for row in page["page"]]


some_ranks = st.lists(st.integers(0, 9), max_size=8)


@pytest.mark.slow
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(some_ranks, some_ranks, st.integers(0, 9), st.integers(1, 4), st.booleans(), st.booleans())
def test_pages_that_are_re_run_stay_gapless(
    shared: Backend,
    before: list[int],
    added: list[int],
    dropped: int,
    count: int,
    desc: bool,
    odd: bool,
) -> None:
    """Rows come and go inside of pages whose ends the journals keep: no gap, and no row twice."""
    shared.mutate("p:clear")
    shared.mutate("p:put", ranks=before)
    pages: list[tuple[str | None, QueryRun]] = []
    cursor: str | None = None
    while True:
        run = shared.run("p:ranked", paginationOpts=options(count, cursor), desc=desc, odd=odd)
        pages.append((cursor, run))
        if page_of(run)["isDone"]:
            break
        assert len(ranks(page_of(run))) == count
        cursor = page_of(run)["continueCursor"]
    assert [rank for _, run in pages for rank in ranks(page_of(run))] == model(before, desc, odd)

    shared.mutate("p:put", ranks=added)
    shared.mutate("p:drop", rank=dropped)

    seen: list[int] = []
    for cursor, run in pages:
        again = shared.run(
            "p:ranked",
            journal=run.journal,
            paginationOpts=options(count, cursor),
            desc=desc,
            odd=odd,
        )
        assert page_of(again)["continueCursor"] == page_of(run)["continueCursor"]
        assert page_of(again)["isDone"] == page_of(run)["isDone"]
        assert again.journal == run.journal
        seen += ranks(page_of(again))
    left = [rank for rank in before + added if rank != dropped]
    assert seen == model(left, desc, odd)


def model(ranks: list[int], desc: bool, odd: bool) -> list[int]:
    return sorted((rank for rank in ranks if not odd or rank % 2), reverse=desc)


def test_a_page_that_fills_up_at_the_last_row_is_not_the_last(backend: Backend) -> None:
    backend.mutate("p:put", ranks=[1, 2])
    page = page_of(backend.run("p:ranked", paginationOpts=options(2)))
    assert not page["isDone"]
    rest = page_of(backend.run("p:ranked", paginationOpts=options(2, page["continueCursor"])))
    assert (rest["page"], rest["isDone"]) == ([], True)


def test_a_page_is_split_at_its_middle(backend: Backend) -> None:
    """What clients do with a page that has grown: two pages, from and to the split cursor."""
    backend.mutate("p:put", ranks=[1, 2, 3, 4, 5])
    page = page_of(backend.run("p:ranked", paginationOpts=options(4)))
    split, end = page["splitCursor"], page["continueCursor"]
    backend.mutate("p:put", ranks=[2, 4])

    first = backend.run("p:ranked", paginationOpts=options(1, None, endCursor=split))
    second = backend.run("p:ranked", paginationOpts=options(1, split, endCursor=end))

    assert ranks(page_of(first)) == [1, 2]
    # The later 4 comes behind the end, which is right behind the first one.
    assert ranks(page_of(second)) == [2, 3, 4]
    assert page_of(first)["continueCursor"] == split
    assert page_of(second)["continueCursor"] == end


def test_a_small_page_has_no_split(backend: Backend) -> None:
    backend.mutate("p:put", ranks=[1, 2])
    assert page_of(backend.run("p:ranked", paginationOpts=options(4)))["splitCursor"] is None


@pytest.mark.parametrize("limit", [{"maximumRowsRead": 3}, {"maximumBytesRead": 220}])
def test_a_limit_ends_a_page_early(backend: Backend, limit: dict[str, Any]) -> None:
    backend.mutate("p:put", ranks=[1, 2, 3, 4, 5])
    page = page_of(backend.run("p:ranked", paginationOpts=options(5, **limit)))
    assert ranks(page) == [1, 2, 3]
    assert page["pageStatus"] == "SplitRequired"
    rest = page_of(backend.run("p:ranked", paginationOpts=options(5, page["continueCursor"])))
    assert ranks(rest) == [4, 5]
    assert rest["pageStatus"] is None


def test_the_calls_own_limit_ends_a_page_early(start: Open) -> None:
    """Rather than fail: the client reads on in the next page."""
    backend = start(FUNCTIONS, documents=[Item], limits=evolve(Limits(), documents_read=3))
    backend.mutate("p:put", ranks=[1, 2, 3, 4, 5])
    page = page_of(backend.run("p:ranked", paginationOpts=options(5)))
    assert ranks(page) == [1, 2, 3]
    assert page["pageStatus"] == "SplitRequired"
    rest = page_of(backend.run("p:ranked", paginationOpts=options(5, page["continueCursor"])))
    assert ranks(rest) == [4, 5]


def test_most_of_a_limit_recommends_a_split(backend: Backend) -> None:
    backend.mutate("p:put", ranks=[1, 2, 3, 4])
    page = page_of(backend.run("p:ranked", paginationOpts=options(9, maximumRowsRead=5)))
    assert page["pageStatus"] == "SplitRecommended"


@pytest.mark.parametrize("cursor", ["", "x", "bm8=", "W10=", "é"])
def test_what_is_no_cursor_makes_the_client_start_again(backend: Backend, cursor: str) -> None:
    refused = backend.refused_query("p:ranked", paginationOpts=options(1, cursor))
    assert_invalid_cursor(refused)


def test_a_cursor_is_of_one_query(backend: Backend) -> None:
    """Of its order, its bounds and its filters."""
    backend.mutate("p:put", ranks=[1, 2, 3])
    cursor = page_of(backend.run("p:ranked", paginationOpts=options(1)))["continueCursor"]

    for name in ("desc", "odd"):
        args: dict[str, Any] = {"paginationOpts": options(1, cursor), name: True}
        refused = backend.refused_query("p:ranked", **args)
        assert_invalid_cursor(refused)
    for low in (1, 2):
        refused = backend.refused_query("p:part", paginationOpts=options(1, cursor), low=low)
        assert_invalid_cursor(refused)


def assert_invalid_cursor(refused: Refused) -> None:
    assert refused.data is not None
    assert orjson.loads(refused.data) == {
        "isConvexSystemError": True,
        "paginationError": "InvalidCursor",
    }
    assert said(refused).startswith("Uncaught ConvexError: InvalidCursor: ")


def test_a_journal_of_another_query_pins_nothing(backend: Backend) -> None:
    """A deploy may change the query; its pages are then read anew."""
    backend.mutate("p:put", ranks=[1, 2, 3])
    run = backend.run("p:ranked", paginationOpts=options(1))
    other = backend.run("p:ranked", journal=run.journal, paginationOpts=options(2), desc=True)
    assert ranks(page_of(other)) == [3, 2]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"numItems": 0, "cursor": None}, "a page must request at least 1 document, not 0"),
        ({"numItems": -1, "cursor": None}, "a page must request at least 1 document, not -1"),
        ({"numItems": 32001, "cursor": None}, "a page has at most 32000 documents, not 32001"),
        ({"numItems": 1, "maximumRowsRead": 0}, "maximumRowsRead and maximumBytesRead must be"),
        ({"cursor": None}, "the field 'numItems', which is required"),
    ],
)
def test_bad_options_are_named(backend: Backend, given: dict[str, Any], text: str) -> None:
    assert text in said(backend.refused_query("p:ranked", paginationOpts=given))


def test_a_function_reads_one_page(backend: Backend) -> None:
    text = said(backend.refused_query("p:twice", paginationOpts=options(1)))
    assert text.startswith("a function can read only one page: call paginate() once")


def test_a_page_depends_on_what_it_holds(backend: Backend) -> None:
    """A row behind its end does not run it again, and one before it does."""
    backend.mutate("p:put", ranks=[1, 3, 5, 7])
    first = backend.run("p:ranked", paginationOpts=options(2))
    cursor = page_of(first)["continueCursor"]
    second = backend.run("p:ranked", paginationOpts=options(1, cursor))

    hits: list[list[bool]] = []
    for rank in (2, 4, 6):
        backend.mutate("p:put", ranks=[rank])
        [(table, write)] = backend.writes
        assert write.after is not None
        hits.append(
            [
                any(write.after[r.index] in r for r in run.read_set[table])  # type: ignore[index]
                for run in (first, second)
            ]
        )
    assert hits == [[True, False], [False, True], [False, False]]
