"""Limits of calls, at each of them and one past it: the error names the limit and by how much."""

import re
from typing import Any

import pytest

from flow_backend.functions.context import MutationCtx, QueryCtx
from flow_backend.functions.function import mutation, query
from flow_backend.functions.limits import Limits
from flow_backend.schema.document import Document, document
from flow_backend.schema.index import Index
from flow_backend.storage.base import Refused
from tests.functions.backend import Backend, open_backend, said

ITEMS_MAX = 8192


@document("rows")
class Row(Document):
    n: float
    text: str = ""
    by_n = Index("n")


@mutation
def fill(ctx: MutationCtx, count: int, text: str = "") -> None:
    for number in range(count):
        ctx.db.insert(Row(n=float(number), text=text))


@query
def rows(ctx: QueryCtx) -> list[Row]:
    return ctx.db.scan(Row).collect()


@query
def first_rows(ctx: QueryCtx, count: int) -> list[Row]:
    return ctx.db.scan(Row).take(count)


@query
def numbers(ctx: QueryCtx) -> list[float]:
    return [row.n for row in ctx.db.scan(Row)]


@query
def gets(ctx: QueryCtx, count: int) -> None:
    for number in range(count):
        ctx.db.scan(Row.by_n[float(number)]).first()


@query
def text_of(ctx: QueryCtx, size: int) -> str:
    return "x" * size


@query
def length(ctx: QueryCtx, text: str) -> int:
    return len(text)


FUNCTIONS = {each.name: each for each in (fill, rows, first_rows, numbers, gets, text_of, length)}


def opened(limits: Limits | None = None) -> Backend:
    return open_backend(FUNCTIONS, [Row], limits)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["rows", "numbers"])
def test_g_a_list_of_8192_is_a_result_and_one_of_8193_names_the_limit(path: str) -> None:
    """A board that grew too long must say so, whichever way its list is made."""
    backend = opened()
    backend.mutate("fill", count=ITEMS_MAX)
    assert len(backend.query(path)) == ITEMS_MAX

    backend.mutate("fill", count=1)
    text = said(backend.refused_query(path))
    assert f"({ITEMS_MAX + 1} > maximum length {ITEMS_MAX})" in text
    assert path in text
    backend.close()


EACH = 100


@pytest.mark.parametrize(
    ("path", "limit", "args", "text"),
    [
        ("rows", "documents_read", {}, "(limit: {most}). Read less: {_} to {count} documents."),
        ("gets", "ranges_read", {"count": EACH}, "(limit: {most} gets and scans). {_} to {count}."),
        ("fill", "documents_written", {"count": EACH}, "(limit: {most} documents). {_} {count}."),
        ("text_of", "result_bytes", {"size": EACH - 2}, "(actual: {count} B, limit: {most} B)"),
        ("length", "arguments_bytes", {"text": "x" * 89}, "(actual: {count} B, limit: {most} B)"),
    ],
)
def test_g_a_call_at_its_limit_is_done_and_one_past_it_says_by_how_much(
    path: str, limit: str, args: dict[str, Any], text: str
) -> None:
    for most in (EACH, EACH - 1):
        small = opened(Limits(**{limit: most}))
        if path == "rows":
            most_now = small.runner.limits
            small.runner.limits = Limits()
            small.mutate("fill", count=EACH)
            small.runner.limits = most_now
        if most == EACH:
            small.mutate(path, **args) if path == "fill" else small.query(path, **args)
        else:
            refused = (small.refused if path == "fill" else small.refused_query)(path, **args)
            before, _, after = text.partition("{_}")
            for part in (before, after):
                assert part.format(most=most, count=EACH).strip() in said(refused), refused
        small.close()


@pytest.mark.parametrize("limit", ["bytes_read", "bytes_written"])
def test_g_a_call_at_its_limit_of_bytes_is_done_and_one_past_it_says_by_how_much(
    limit: str,
) -> None:
    def attempt(most: int | None) -> str | None:
        backend = opened(None if most is None or limit == "bytes_read" else Limits(**{limit: most}))
        try:
            if limit == "bytes_written":
                result = backend.attempt("fill", count=3, text="x" * 50).result
            else:
                backend.mutate("fill", count=3, text="x" * 50)
                if most is not None:
                    backend.runner.limits = Limits(bytes_read=most)
                result = backend.run("rows").result
            return said(result) if isinstance(result, Refused) else None
        finally:
            backend.close()

    refused = attempt(10)
    assert refused is not None
    most = 10
    while (refused := attempt(most)) is not None:
        # What it had come to is the next bound that it may have: up to all of it.
        assert f"(limit: {most} bytes)" in refused
        found = re.search(r"It had come to (\d+) bytes", refused)
        assert found is not None, refused
        assert int(found[1]) > most
        most = int(found[1])
    assert attempt(most - 1) is not None
