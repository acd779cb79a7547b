"""An app as plain data, and in the form that third-party code generators read."""

from typing import Any

from attrs import define, field, frozen

from flow_backend.functions.api_spec import api_spec
from flow_backend.functions.describe import AppSpec, SearchDescription, describe_app
from flow_backend.functions.function import Function, internal_action, mutation, query
from flow_backend.functions.registry import make_app
from flow_backend.schema.document import Document, Id, Instant, document
from flow_backend.schema.index import Index
from flow_backend.schema.pages import Page, PaginationOptions
from flow_backend.schema.search_index import SearchIndex
from flow_backend.schema.shapes import (
    ArrayOf,
    ClassOf,
    FieldShape,
    IdOf,
    Plain,
    UnionOf,
)


@document("boards")
class Board(Document):
    """A board.

    Attributes:
        name: what it is called.
    """

    name: str
    made: Instant | None = None

    by_name = Index("name", unique=True)
    text = SearchIndex("name", within=("made",))


@define
class Tree:
    """It holds itself."""

    name: str
    below: "list[Tree]" = field(factory=list["Tree"])
    size: int = field(init=False, default=1)


@frozen
class Rows:
    boards: list[Board]


@query(name="list")
def list_boards(ctx: Any, pagination_opts: PaginationOptions) -> Page[Board]:
    """Give all boards."""
    raise NotImplementedError


@mutation
def plant(ctx: Any, board: Id[Board], tree: Tree, note: str | None = None) -> Tree:
    """Plant a tree.

    Args:
        ctx: the mutation.
        board: where.
        tree: which.
        note: why.
    """
    raise NotImplementedError


@internal_action
async def rows(ctx: Any) -> Rows:
    raise NotImplementedError


FUNCTIONS: dict[str, Function[..., Any]] = {
    "boards:list": list_boards,
    "parts/trees:plant": plant,
    "boards:rows": rows,
}


def described() -> AppSpec:
    return describe_app(make_app("flow", [Board], FUNCTIONS))


def test_functions_are_described_as_clients_see_them() -> None:
    spec = described()

    assert list(spec.functions) == ["boards:list", "boards:rows", "parts/trees:plant"]
    planted = spec.functions["parts/trees:plant"]
    tree = ClassOf(f"{__name__}:Tree")
    assert (planted.module, planted.name, planted.kind) == ("parts/trees", "plant", "mutation")
    assert planted.docs == "Plant a tree."
    assert planted.arguments == (
        FieldShape("board", IdOf("boards"), True, docs="where."),
        FieldShape("tree", tree, True, docs="which."),
        FieldShape("note", UnionOf((Plain("string"), Plain("null"))), False, docs="why."),
    )
    assert planted.returns == tree
    assert planted.place.endswith("test_describe.py:60")
    assert spec.functions["boards:rows"].internal
    assert [each.name for each in spec.functions["boards:list"].arguments] == ["paginationOpts"]


def test_tables_and_classes_are_described_with_their_docs() -> None:
    spec = described()

    (board,) = spec.tables.values()
    assert (board.name, board.class_name, board.docs) == ("boards", "Board", "A board.")
    assert board.fields[0] == FieldShape("name", Plain("string"), True, docs="what it is called.")
    assert not board.fields[1].required
    assert [(each.name, each.unique) for each in board.indexes] == [("by_name", True)]
    assert board.searches == (SearchDescription("text", ("name",), ("made",)),)
    tree = spec.classes[f"{__name__}:Tree"]
    assert tree.fields[1] == FieldShape("below", ArrayOf(ClassOf(f"{__name__}:Tree")), False)
    assert not tree.fields[2].sent
    assert "_scheduled_functions" in spec.system_tables


def test_the_modules_of_a_version_are_those_of_the_app() -> None:
    """Each version of an app has module names of its own; its description does not show that."""

    @frozen
    class Place:
        x: float

    Place.__module__ = "flow@12.parts.places"

    @query
    def where(ctx: Any) -> Place:
        raise NotImplementedError

    spec = describe_app(make_app("flow", [], {"a:where": where}))

    assert spec.classes["parts/places:" + Place.__qualname__].module == "parts/places"


def test_the_api_spec_is_in_validator_json() -> None:
    """Source: the semantics, "JSON form"."""
    listed, rows_, planted, route = api_spec(described(), [("GET", "/hook/*")])

    string, number = {"type": "string"}, {"type": "number"}
    tree_sent = {
        "type": "object",
        "value": {
            "name": {"fieldType": string, "optional": False},
            "below": {
                "fieldType": {"type": "array", "value": {"type": "any"}},
                "optional": True,
            },
        },
    }
    assert isinstance(planted, dict)
    assert planted == {
        "identifier": "parts/trees.js:plant",
        "functionType": "Mutation",
        "visibility": {"kind": "public"},
        "args": {
            "type": "object",
            "value": {
                "board": {
                    "fieldType": {"type": "id", "tableName": "boards"},
                    "optional": False,
                },
                "tree": {"fieldType": tree_sent, "optional": False},
                "note": {
                    "fieldType": {"type": "union", "value": [string, {"type": "null"}]},
                    "optional": True,
                },
            },
        },
        "returns": {
            "type": "object",
            "value": {
                "name": {"fieldType": string, "optional": False},
                "below": {
                    "fieldType": {"type": "array", "value": {"type": "any"}},
                    "optional": False,
                },
                "size": {"fieldType": number, "optional": False},
            },
        },
    }
    assert route == {"functionType": "HttpAction", "method": "GET", "path": "/hook/*"}
    assert isinstance(rows_, dict)
    assert rows_["visibility"] == {"kind": "internal"}
    assert "'tableName': 'boards'" in str(rows_["returns"])
    assert isinstance(listed, dict)
    assert "numItems" in str(listed["args"])
    assert "isDone" in str(listed["returns"])
