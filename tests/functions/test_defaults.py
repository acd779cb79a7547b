"""Fields with defaults: made by factories, inside of classes, in indexes, added and changed."""

from pathlib import Path
from typing import Any, cast

import attrs
import pytest

from flow_backend.errors import SchemaError
from flow_backend.functions.context import MutationCtx, QueryCtx
from flow_backend.functions.function import mutation, query
from flow_backend.schema.document import Document, document
from flow_backend.schema.index import Index
from flow_backend.schema.model import build_schema
from tests.functions.backend import Backend, open_backend


def made_class(name: str, fields: dict[str, tuple[Any, Any]]) -> Any:
    """Make an attrs class; None stands for no default."""
    made = {
        each: attrs.field(type=kind) if default is None else attrs.field(type=kind, default=default)
        for each, (kind, default) in fields.items()
    }
    return attrs.make_class(name, made, frozen=True, kw_only=True)


def table(fields: dict[str, tuple[Any, Any]], **indexes: Any) -> type[Document]:
    """Make a document class of the table "things"; ``...`` stands for no default."""
    body: dict[str, Any] = {
        "__annotations__": {name: kind for name, (kind, _) in fields.items()},
        "__module__": __name__,
        **{name: default for name, (_, default) in fields.items() if default is not ...},
        **indexes,
    }
    return document("things")(cast("type[Document]", type("Thing", (Document,), body)))


def opened(directory: Path, cls: type[Document]) -> Backend:
    """Start a version of the app whose only class is this one."""

    @mutation
    def add(ctx: MutationCtx, fields: dict[str, Any]) -> str:
        return ctx.db.insert(cast("Any", cls)(**fields))

    @mutation
    def rename(ctx: MutationCtx, name: str) -> None:
        for each in ctx.db.scan(cls).collect():
            ctx.db.patch(each.id, name=name)

    @query
    def show(ctx: QueryCtx) -> list[Any]:
        return list(ctx.db.scan(cls))

    @query
    def by(ctx: QueryCtx, size: float) -> list[Any]:
        return ctx.db.scan(cast("Any", cls).by_size[size]).collect()

    @query
    def at(ctx: QueryCtx, x: float, y: float) -> int:
        place = cast("Any", attrs.fields(cast("Any", cls))).place.type
        return len(ctx.db.scan(cast("Any", cls).by_place[place(x=x, y=y)]).collect())

    functions = {"t:add": add, "t:show": show, "t:rename": rename, "t:by": by, "t:at": at}
    return open_backend(functions, [cls], directory=directory)


def shown(backend: Backend) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in each.items() if name[0] != "_"}
        for each in backend.query("t:show")
    ]


def test_a_document_without_a_field_reads_as_the_default_of_today(tmp_path: Path) -> None:
    """A row that has a value keeps it; one that is written gets its defaults for good."""
    backend = opened(tmp_path, table({"name": (str, ...)}))
    backend.mutate("t:add", fields={"name": "old"})
    backend.close()
    sized = {
        "name": (str, ...),
        "size": (float, 1.0),
        "tags": (list[str], attrs.field(factory=list)),
    }
    backend = opened(tmp_path, table(sized, by_size=Index("size")))
    assert shown(backend) == [{"name": "old", "size": 1.0, "tags": []}]
    backend.mutate("t:add", fields={"name": "new", "size": 1.0})
    backend.close()

    backend = opened(tmp_path, table({**sized, "size": (float, 2.0)}, by_size=Index("size")))

    assert [(each["name"], each["size"]) for each in shown(backend)] == [("old", 2.0), ("new", 1.0)]
    assert [each["name"] for each in backend.query("t:by", size=2.0)] == ["old"]
    backend.mutate("t:rename", name="written")
    backend.close()
    backend = opened(tmp_path, table({**sized, "size": (float, 3.0)}, by_size=Index("size")))
    assert [each["size"] for each in shown(backend)] == [2.0, 1.0]
    assert backend.query("t:by", size=3.0) == []
    backend.close()


def test_a_default_inside_of_a_class_is_one_everywhere(tmp_path: Path) -> None:
    """In results, in an index over the objects, in lists of them, and after a patch of the row."""

    def version(fields: dict[str, tuple[Any, Any]]) -> type[Document]:
        place = made_class("Place", fields)
        return table(
            {
                "name": (str, ...),
                "place": (place, ...),
                "places": (tuple[place, ...], ()),
                "maybe": (place | None, None),
            },
            by_place=Index("place"),
        )

    def add(cls: type[Document]) -> None:
        backend = opened(tmp_path, cls)
        place = cast("Any", attrs.fields(cast("Any", cls))).place.type
        one = place(x=1.0)

        @mutation
        def put(ctx: MutationCtx) -> None:
            ctx.db.insert(cast("Any", cls)(name="a", place=one, places=(one,), maybe=one))

        backend.close()
        backend = open_backend({"t:put": put}, [cls], directory=tmp_path)
        backend.mutate("t:put")
        backend.close()

    add(version({"x": (float, None)}))

    backend = opened(tmp_path, version({"x": (float, None), "y": (float, 7.0)}))
    whole = {"x": 1.0, "y": 7.0}
    assert shown(backend) == [{"name": "a", "place": whole, "places": [whole], "maybe": whole}]
    assert backend.query("t:at", x=1.0, y=7.0) == 1
    backend.mutate("t:rename", name="b")
    # The row is of today's schema now, and its bytes are sent as they are.
    assert shown(backend) == [{"name": "b", "place": whole, "places": [whole], "maybe": whole}]
    assert backend.query("t:at", x=1.0, y=7.0) == 1
    backend.close()


def test_a_changed_default_inside_of_a_class_moves_rows_in_the_index(tmp_path: Path) -> None:
    def version(fields: dict[str, tuple[Any, Any]]) -> type[Document]:
        place = made_class("Place", fields)
        return table({"name": (str, ...), "place": (place, ...)}, by_place=Index("place"))

    first = version({"x": (float, None)})

    @mutation
    def put(ctx: MutationCtx) -> None:
        place = cast("Any", attrs.fields(cast("Any", first))).place.type
        ctx.db.insert(cast("Any", first)(name="a", place=place(x=1.0)))

    backend = open_backend({"t:put": put}, [first], directory=tmp_path)
    backend.mutate("t:put")
    backend.close()

    for default in (7.0, 8.0):
        backend = opened(tmp_path, version({"x": (float, None), "y": (float, default)}))
        assert backend.query("t:at", x=1.0, y=default) == 1
        assert backend.query("t:at", x=1.0, y=15.0 - default) == 0
        backend.close()


def test_a_default_that_is_not_one_value_is_refused() -> None:
    """A document that lacks the field would read otherwise each time."""
    numbers = iter(range(100))
    with pytest.raises(SchemaError, match=r"Thing\.size: the factory .* another value each time"):
        build_schema([table({"size": (float, attrs.field(factory=lambda: float(next(numbers))))})])
    from_self = attrs.Factory(lambda self: 1.0, takes_self=True)
    with pytest.raises(SchemaError, match="made from other fields"):
        build_schema([table({"size": (float, attrs.field(default=from_self))})])
    one, other = made_class("One", {"x": (float, 1.0)}), made_class("Other", {"x": (str, None)})
    with pytest.raises(SchemaError, match="among them One, whose fields have defaults"):
        build_schema([table({"place": (one | other, ...)}, by_place=Index("place"))])
