"""Deletes do what references say, over any graph, and all of it or nothing."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, cast

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow_backend.errors import LimitExceeded, SchemaError
from flow_backend.functions.context import MutationCtx, QueryCtx
from flow_backend.functions.function import mutation, query
from flow_backend.functions.limits import Limits
from flow_backend.schema.document import Document, Id, document
from flow_backend.schema.index import Index
from flow_backend.schema.model import build_schema
from flow_backend.schema.reference import Reference
from flow_backend.schema.system import ScheduledFunction
from tests.effort import cases
from tests.functions.backend import Backend, Open, open_backend, said


@document("nodes")
class Node(Document):
    parent: Id["Node"] | None = None
    friend: Id["Node"] | None = None
    other: Id["Node"] | None = None
    boss: Id["Node"] | None = None
    loose: Id["Node"] | None = None

    by_parent = Index("parent")
    by_friend = Index("friend", "other")
    by_other = Index("other")
    by_boss = Index("boss")

    of_parent = Reference("parent", on_delete="cascade")
    of_friend = Reference("friend", on_delete="null")
    of_other = Reference("other", on_delete="null")
    of_boss = Reference("boss", on_delete="restrict")


@document("leaves")
class Leaf(Document):
    node: Id[Node]

    by_node = Index("node")
    of_node = Reference("node", on_delete="cascade")


KINDS = ("parent", "friend", "other", "boss", "loose")


@mutation
def make(ctx: MutationCtx, edges: list[list[Any]], size: int, leaves: list[int]) -> list[str]:
    """Make nodes, then point one to the other: edges are kind, from and to."""
    for leaf in ctx.db.scan(Leaf):
        ctx.db.delete(leaf.id)
    for node in ctx.db.scan(Node).collect():
        ctx.db.patch(node.id, boss=None, parent=None)
    for node in ctx.db.scan(Node).collect():
        ctx.db.delete(node.id)
    ids = [ctx.db.insert(Node()) for _ in range(size)]
    for kind, start, end in edges:
        ctx.db.patch(ids[int(start)], **{kind: ids[int(end)]})
    for leaf_of in leaves:
        ctx.db.insert(Leaf(node=ids[leaf_of]))
    return [str(each) for each in ids]


@mutation
def delete(ctx: MutationCtx, node: Id[Node]) -> None:
    ctx.db.delete(node)


@mutation
def try_delete(ctx: MutationCtx, node: Id[Node]) -> None:
    """A function may catch what went too far: nothing of the delete is there then."""
    with suppress(LimitExceeded):
        ctx.db.delete(node)


@mutation
def point(ctx: MutationCtx, start: Id[Node], end: Id[Node]) -> None:
    ctx.db.patch(start, friend=end)


@query
def nodes(ctx: QueryCtx) -> list[Node]:
    return ctx.db.scan(Node).collect()


@query
def leaves(ctx: QueryCtx) -> list[Leaf]:
    return ctx.db.scan(Leaf).collect()


FUNCTIONS = {
    f"n:{each.call.__name__}": each for each in (make, delete, try_delete, point, nodes, leaves)
}
SIZE = 6
graphs = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)),
    max_size=9,
)
Shared = Callable[[], Backend]


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    backend = open_backend(FUNCTIONS, [Node, Leaf])
    yield lambda: backend
    backend.close()


def edges_of(found: list[Any]) -> dict[str, dict[str, Any]]:
    return {each["_id"]: {kind: each[kind] for kind in KINDS} for each in found}


@pytest.mark.slow
@settings(
    max_examples=cases(1000, 20_000),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(graphs, st.lists(st.integers(0, SIZE - 1), max_size=3))
def test_a_delete_does_what_a_model_of_sets_does(
    shared: Shared, edges: list[tuple[str, int, int]], leaf_of: list[int]
) -> None:
    """Circles, nodes that point to themselves, and a restriction that goes with what it guards."""
    backend = shared()
    ids = backend.mutate("n:make", edges=[list(e) for e in edges], size=SIZE, leaves=leaf_of)
    before = edges_of(backend.query("n:nodes"))

    gone = {ids[0]}
    while more := {n for n, points in before.items() if points["parent"] in gone} - gone:
        gone |= more
    left = {n: dict(points) for n, points in before.items() if n not in gone}
    guarded = any(points["boss"] in gone for points in left.values())

    if guarded:
        assert "StillReferenced" not in said(backend.refused("n:delete", node=ids[0]))
        assert edges_of(backend.query("n:nodes")) == before
        assert len(backend.query("n:leaves")) == len(leaf_of)
        return
    backend.mutate("n:delete", node=ids[0])
    for points in left.values():
        for kind in ("friend", "other"):
            points[kind] = None if points[kind] in gone else points[kind]
    assert edges_of(backend.query("n:nodes")) == left
    hung = [leaf["node"] for leaf in backend.query("n:leaves")]
    assert sorted(hung) == sorted(ids[n] for n in leaf_of if ids[n] not in gone)


def test_the_refusal_names_both_documents(start: Open) -> None:
    """Whoever may not delete one must find the other."""
    backend = start(FUNCTIONS, documents=[Node, Leaf])
    one, other = backend.mutate("n:make", edges=[["boss", 1, 0]], size=2, leaves=[])

    text = said(backend.refused("n:delete", node=one))

    assert one in text
    assert other in text
    assert "boss" in text


@pytest.mark.slow
def test_a_long_chain_goes_whole(start: Open) -> None:
    """However deep: nothing here recurses."""
    size = 1100
    chain = [["parent", number + 1, number] for number in range(size - 1)]
    backend = start(FUNCTIONS, documents=[Node, Leaf])
    ids = backend.mutate("n:make", edges=chain, size=size, leaves=[size - 1])

    backend.mutate("n:delete", node=ids[0])

    assert backend.query("n:nodes") == []
    assert backend.query("n:leaves") == []


def test_what_a_delete_takes_with_it_counts(start: Open) -> None:
    """Past a limit nothing of it has happened, also if the function catches the error."""
    backend = start(FUNCTIONS, documents=[Node, Leaf])
    star = [["parent", number, 0] for number in range(1, 5)]
    ids = backend.mutate("n:make", edges=star, size=5, leaves=[1, 2])
    wide = backend.runner

    backend.runner = evolve(wide, limits=Limits(documents_written=5))
    assert "Too many writes" in said(backend.refused("n:delete", node=ids[0]))
    backend.mutate("n:try_delete", node=ids[0])
    assert "Too many documents read" in said(
        evolve(backend, runner=evolve(wide, limits=Limits(documents_read=12))).refused(
            "n:delete", node=ids[0]
        )
    )
    backend.runner = wide

    assert len(backend.query("n:nodes")) == 5
    assert len(backend.query("n:leaves")) == 2
    backend.mutate("n:delete", node=ids[0])
    assert backend.query("n:nodes") == []


def test_an_id_that_does_not_exist_is_refused(start: Open) -> None:
    """Declared or not, a field of an id points to a document when it is written."""
    backend = start(FUNCTIONS, documents=[Node, Leaf])
    one, other = backend.mutate("n:make", edges=[], size=2, leaves=[])
    backend.mutate("n:delete", node=one)

    assert f"there is no document {one}" in said(backend.refused("n:point", start=other, end=one))


def test_a_reference_that_cannot_be_is_refused() -> None:
    """With what to change."""

    def declared(annotation: Any, **attributes: Any) -> str:
        body = {"__annotations__": {"to": annotation}, "__module__": __name__}
        odd = type("Odd", (Document,), cast("dict[str, Any]", {**body, **attributes}))
        with pytest.raises(SchemaError) as caught:
            build_schema([document("odd")(odd), Node])
        return str(caught.value)

    cascade = Reference("to", on_delete="cascade")
    assert 'add by_to = Index("to")' in declared(Id[Node], of=cascade)
    assert "does not have" in declared(Id[Node], of=Reference("no", on_delete="cascade"))
    assert "holds no id" in declared(str, of=cascade, by_to=Index("to"))
    null = Reference("to", on_delete="null")
    assert "can be null" in declared(Id[Node], of=null, by_to=Index("to"))
    twice = declared(Id[Node] | None, of=null, again=cascade, by_to=Index("to"))
    assert "two references" in twice
    assert "table of the server" in declared(Id[ScheduledFunction], of=cascade, by_to=Index("to"))
    with pytest.raises(SchemaError, match="restrict, cascade, null"):
        Reference("to", on_delete="nothing")  # type: ignore[arg-type]
