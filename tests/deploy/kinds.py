"""Every kind of annotation that goes on the wire: a value of it, both forms, and its TypeScript."""

from collections.abc import Mapping, Sequence
from datetime import date, time
from typing import Annotated, Any, Literal

from attrs import define, field, frozen

from flow_backend.functions.function import Function, mutation, query
from flow_backend.functions.registry import App, make_app
from flow_backend.schema.document import Document, Id, Instant, document
from flow_backend.schema.ids import encode_id
from flow_backend.schema.pages import Page, PaginationOptions
from flow_backend.values.value import Int64

NUMBERS = {"boards": 10_001, "_scheduled_functions": 10_002, "_crons": 10_003}
BOARD = Id[Any](encode_id(10_001, bytes(range(16))))


@document("boards")
class Board(Document):
    name: str
    colour: str = "blue"


@frozen
class Point:
    """Two forms in one: a client must send all of it."""

    x: float
    y: float


@frozen
class Corner:
    """A client may leave a field out, and never sends another."""

    at: Point
    name: str = "corner"
    size: int = field(default=0, init=False)


@define
class Tree:
    """It holds itself."""

    name: str
    below: "list[Tree]" = field(factory=list["Tree"])


@frozen
class Room:
    corners: tuple[Corner, ...]


@frozen
class House:
    """Only what it holds holds a field that may be left out."""

    rooms: dict[str, Room]


@frozen
class Private:
    _hidden: str


@frozen(kw_only=True)
class Kind:
    """A kind of annotation.

    Attributes:
        wire: what a client sends.
        value: what the function gets, and gives back.
        back: what the client gets; None is ``wire``.
        sent, got: the type in TypeScript, as an argument and as the result.
    """

    name: str
    annotation: Any
    wire: Any
    value: Any
    sent: str
    got: str = ""
    back: Any = None


def _kind(name: str, annotation: Any, wire: Any, value: Any, sent: str, **more: Any) -> Kind:
    return Kind(name=name, annotation=annotation, wire=wire, value=value, sent=sent, **more)


_INT64 = {"$integer": "AQAAAAAAAAA="}

KINDS: list[Kind] = [
    _kind("text", str, "é", "é", "string"),
    _kind("boolean", bool, True, True, "boolean"),
    _kind("float", float, 1.5, 1.5, "number"),
    _kind("int", int, 3.0, 3, "number"),
    _kind("int64", Int64, _INT64, Int64(1), "bigint"),
    _kind("bytes", bytes, {"$bytes": "AA=="}, b"\0", "ArrayBuffer"),
    _kind("none", None, None, None, "null"),
    _kind("any", Any, {"a": [1.0]}, {"a": [1.0]}, "any"),
    _kind("object", object, ["a"], ["a"], "unknown"),
    _kind("instant", Instant, 1.5, Instant(1.5), "number"),
    _kind("date", date, "2026-11-22", date(2026, 11, 22), "string"),
    _kind("time", time, "08:00", time(8), "string"),
    _kind("id", Id[Board], BOARD, BOARD, 'GenericId<"boards">'),
    _kind("id_of_any", Id, BOARD, BOARD, 'GenericId<"boards">'),
    _kind("list", list[int], [1.0], [1], "number[]"),
    _kind("bare_list", list, ["a"], ["a"], "any[]"),
    _kind("sequence", Sequence[str], ["a"], ["a"], "string[]"),
    _kind("tuple", tuple[str, ...], ["a"], ("a",), "string[]"),
    _kind("pair", tuple[int, str], [1.0, "a"], (1, "a"), "[number, string]"),
    _kind("empty_tuple", tuple[()], [], (), "[]"),
    _kind("dict", dict[str, int], {"a": 1.0}, {"a": 1}, "Record<string, number>"),
    _kind("bare_dict", dict, {"a": 1.0}, {"a": 1.0}, "Record<string, any>"),
    _kind("mapping", Mapping[str, str], {"a": "b"}, {"a": "b"}, "Record<string, string>"),
    _kind(
        "dict_by_id",
        dict[Id[Board], int],
        {BOARD: 1.0},
        {BOARD: 1},
        'Record<GenericId<"boards">, number>',
    ),
    _kind("literal", Literal["a", 'b"\\|'], 'b"\\|', 'b"\\|', '"a" | "b\\"\\\\|"'),
    _kind("literal_of_many", Literal[1, -2, True], -2.0, -2, "1 | -2 | true"),
    _kind("literal_of_none", Literal["a", None], None, None, '"a" | null'),  # noqa: PYI061
    _kind("optional", str | None, None, None, "string | null"),
    _kind("union", int | str | list[bool], [True], [True], "number | string | boolean[]"),
    _kind("numbers", int | float, 1.5, 1.5, "number"),
    _kind("list_of_union", list[int | None], [1.0, None], [1, None], "(number | null)[]"),
    _kind("list_of_literal", list[Literal["a", "b"]], ["b"], ["b"], '("a" | "b")[]'),
    _kind("union_in_union", Literal["a", "b"] | None, "b", "b", '"a" | "b" | null'),
    _kind("annotated", Annotated[int, "a remark"], 1.0, 1, "number"),
    _kind(
        "class",
        Point,
        {"x": 1.0, "y": 2.0},
        Point(1.0, 2.0),
        "{ x: number; y: number }",
    ),
    _kind(
        "class_with_defaults",
        Corner,
        {"at": {"x": 1.0, "y": 2.0}},
        Corner(Point(1.0, 2.0)),
        "{ at: { x: number; y: number }; name?: string }",
        got="{ at: { x: number; y: number }; name: string; size: number }",
        back={"at": {"x": 1.0, "y": 2.0}, "name": "corner", "size": 0.0},
    ),
    _kind(
        "recursive",
        Tree,
        {"name": "a", "below": [{"name": "b"}]},
        Tree("a", [Tree("b")]),
        "TreeInput",
        got="Tree",
        back={"name": "a", "below": [{"name": "b", "below": []}]},
    ),
    _kind(
        "class_of_classes_with_defaults",
        House,
        {"rooms": {"a": {"corners": [{"at": {"x": 1.0, "y": 2.0}}]}}},
        House({"a": Room((Corner(Point(1.0, 2.0)),))}),
        "{ rooms: Record<string, { corners: CornerInput[] }> }",
        got="{ rooms: Record<string, { corners: Corner[] }> }",
        back={
            "rooms": {
                "a": {
                    "corners": [{"at": {"x": 1.0, "y": 2.0}, "name": "corner", "size": 0.0}],
                }
            }
        },
    ),
    _kind("private_field", Private, {"_hidden": "a"}, Private("a"), "{ _hidden: string }"),
    _kind(
        "list_of_classes",
        list[Corner | None],
        [None],
        [None],
        "({ at: { x: number; y: number }; name?: string } | null)[]",
        got="({ at: { x: number; y: number }; name: string; size: number } | null)[]",
    ),
]


def echo(annotation: Any) -> Function[..., Any]:
    """Make a mutation that gives back what it takes, of this type."""

    @mutation
    def give(ctx: Any, value: Any) -> Any:
        return value

    give.call.__annotations__.update({"value": annotation, "return": annotation})
    return give


def _defaulted() -> Function[..., Any]:
    @mutation
    def defaulted(ctx: Any, needed: int, text: str | None = None, count: int = 1) -> None: ...

    return defaulted


def _paged() -> Function[..., Any]:
    @query
    def paged(ctx: Any, pagination_opts: PaginationOptions) -> Page[Board]:
        raise NotImplementedError

    return paged


def _unannotated() -> Function[..., Any]:
    @mutation
    def unannotated(ctx: Any):
        return 1

    return unannotated


def kinds_app() -> App:
    """Give an app with a function for each kind, and those that need more than one type."""
    functions = {f"kinds:{each.name}": echo(each.annotation) for each in KINDS}
    more = {
        "kinds:defaulted": _defaulted(),
        "kinds:unannotated": _unannotated(),
        "parts/deep:paged": _paged(),
        "parts:deep": _defaulted(),
    }
    return make_app("kinds_app", [Board], {**functions, **more})
