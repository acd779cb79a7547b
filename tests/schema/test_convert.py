"""Every kind of annotation, both ways, and what is said of a value that does not fit."""

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from attrs import define, field, frozen

from flow_backend.errors import InvalidValue, SchemaError
from flow_backend.schema.convert import TypeConverter
from flow_backend.schema.document import Document, Id, Instant, document, stored
from flow_backend.schema.ids import encode_id
from flow_backend.schema.mismatch import Mismatch, shown
from flow_backend.schema.model import build_schema
from flow_backend.schema.pages import Page, PaginationOptions
from flow_backend.values.value import Int64


@document("boards")
class Board(Document):
    name: str
    colour: str = "blue"


@frozen
class Inner:
    x: float
    names: tuple[str, ...] = ()


@frozen
class Outer:
    inner: Inner
    maybe: Inner | None = None


@define
class Tree:
    """It holds itself."""

    name: str
    below: "list[Tree]" = field(factory=list["Tree"])


def _check_even(_instance: object, _field: object, value: int) -> None:
    if value % 2:
        raise ValueError(f"{value} is odd")


@frozen
class Even:
    number: int = field(validator=_check_even)


class Colour(Enum):
    RED = "red"


build_schema([Board])
NUMBERS = {"boards": 10_001, "tasks": 10_002}
BOARD = encode_id(10_001, bytes(range(16)))
TASK = encode_id(10_002, bytes(range(16)))


@pytest.fixture
def types() -> TypeConverter:
    return TypeConverter(NUMBERS)


BOTH_WAYS: list[tuple[Any, Any, Any, Any]] = [
    (str, "é", "é", "é"),
    (bool, True, True, True),
    (float, 1.5, 1.5, 1.5),
    (float, math.inf, math.inf, {"$float": "AAAAAAAA8H8="}),
    (int, 3.0, 3, 3.0),
    (int, float(2**53), 2**53, float(2**53)),
    (bytes, b"\0", b"\0", {"$bytes": "AA=="}),
    (None, None, None, None),
    (Int64, Int64(1), Int64(1), {"$integer": "AQAAAAAAAAA="}),
    (Instant, 1.5, 1.5, 1.5),
    (Instant, -1.0, -1.0, -1.0),
    (date, "2026-11-22", date(2026, 11, 22), "2026-11-22"),
    (date, "0001-01-01", date(1, 1, 1), "0001-01-01"),
    (time, "08:00", time(8), "08:00"),
    (time, "23:59:59", time(23, 59, 59), "23:59:59"),
    (Id[Board], BOARD, BOARD, BOARD),
    (Id["Board"], BOARD, BOARD, BOARD),
    (Id, TASK, TASK, TASK),
    (list[int], [1.0], [1], [1.0]),
    (Sequence[int], [1.0], [1], [1.0]),
    (tuple[int, ...], [1.0, 2.0], (1, 2), [1.0, 2.0]),
    (tuple[int, str], [1.0, "a"], (1, "a"), [1.0, "a"]),
    (dict[str, int], {"a": 1.0}, {"a": 1}, {"a": 1.0}),
    (Mapping[str, int], {"a": 1.0}, {"a": 1}, {"a": 1.0}),
    (dict[Id[Board], int], {BOARD: 1.0}, {BOARD: 1}, {BOARD: 1.0}),
    (Literal["a", 1, True], 1.0, 1, 1.0),
    (Literal["a", 1, True], True, True, True),
    (int | None, None, None, None),
    (int | None, 1.0, 1, 1.0),
    (str | int, 1.0, 1, 1.0),
    (bool | int, True, True, True),
    (int | bool, True, True, True),
    (date | str, "2026-11-22", date(2026, 11, 22), "2026-11-22"),
    (date | str, "soon", "soon", "soon"),
    (str | date, "2026-11-22", "2026-11-22", "2026-11-22"),
    (Annotated[int, "a remark"], 1.0, 1, 1.0),
    (Inner, {"x": 1.0}, Inner(x=1.0), {"x": 1.0, "names": []}),
    (
        Outer,
        {"inner": {"x": 1.0, "names": ["a"]}, "maybe": None},
        Outer(Inner(1.0, ("a",))),
        {"inner": {"x": 1.0, "names": ["a"]}, "maybe": None},
    ),
    (
        Tree,
        {"name": "a", "below": [{"name": "b", "below": []}]},
        Tree("a", [Tree("b")]),
        {"name": "a", "below": [{"name": "b", "below": []}]},
    ),
    (Inner | Tree, {"name": "a"}, Tree("a"), {"name": "a", "below": []}),
    (Any, {"a": [1.0, None]}, {"a": [1.0, None]}, {"a": [1.0, None]}),
    (
        PaginationOptions,
        {"numItems": 3.0, "cursor": None, "unknown": 1.0},
        PaginationOptions(num_items=3.0),
        {
            "numItems": 3.0,
            "cursor": None,
            "endCursor": None,
            "id": None,
            "maximumRowsRead": None,
            "maximumBytesRead": None,
        },
    ),
]


@pytest.mark.parametrize(("annotation", "decoded", "value", "wire"), BOTH_WAYS)
def test_values_go_both_ways(
    types: TypeConverter, annotation: Any, decoded: Any, value: Any, wire: Any
) -> None:
    taken = types.structure(decoded, annotation)

    assert taken == value
    assert type(taken) is type(value) or isinstance(taken, Id)
    sent = types.to_wire(value, annotation)
    assert sent == wire
    assert type(sent) is type(wire)


UNFIT: list[tuple[Any, Any, Any]] = [
    (str, 1.0, "at the top: expected a string, got 1.0"),
    (bool, 1.0, "expected a boolean, got 1.0"),
    (float, True, "expected a number, got True"),
    (float, Int64(1), "expected a number, got Int64(1)"),
    (int, 1.5, "expected a whole number within ±2^53, got 1.5"),
    (int, math.inf, "expected a whole number within ±2^53, got inf"),
    (int, math.nan, "expected a whole number within ±2^53, got nan"),
    (int, float(2**53 + 2), "expected a whole number within ±2^53"),
    (int, True, "expected a whole number"),
    (bytes, "x", "expected bytes, got 'x'"),
    (None, 0.0, "expected null, got 0.0"),
    (Int64, 1.0, "expected an int64 (a bigint in JavaScript), got 1.0"),
    (Instant, math.nan, "expected an instant: a finite number"),
    (Instant, "now", "expected an instant: a finite number"),
    (date, "2026-02-30", 'expected a date such as "2026-11-22", got'),
    (date, "2026-W47-7", "expected a date such as"),
    (date, "20261122", "expected a date such as"),
    (date, "2026-11-22T00", "expected a date such as"),
    (time, "24:00", 'expected a time of day such as "08:00", got'),
    (time, "8:00", "expected a time of day such as"),
    (time, "08:00:00.5", "expected a time of day such as"),
    (time, "08:00Z", "expected a time of day such as"),
    (time, "\u0660\u0668:\u0660\u0660", "expected a time of day such as"),
    (Id[Board], TASK, "expected an id of table 'boards', not of another table"),
    (Id[Board], "x", "expected an id of table 'boards' ("),
    (Id[Board], BOARD.upper(), "expected an id of table 'boards' ("),
    (Id[Board], 1.0, "expected an id of table 'boards', got 1.0"),
    (list[int], "x", "expected an array, got 'x'"),
    (list[int], [1.0, "x"], "at [1]: expected a whole number within"),
    (tuple[int, str], [1.0], "expected an array of 2, got [1.0]"),
    (tuple[int, str], [1.0, 2.0], "at [1]: expected a string, got 2.0"),
    (dict[str, int], {"a": "x"}, "at .a: expected a whole number"),
    (dict[Id[Board], int], {"a": 1.0}, "at .keys(): expected an id of table 'boards'"),
    (Literal["a", 1], True, "expected 'a' or 1, got True"),
    (Literal["a", 1], [], "expected 'a' or 1, got []"),
    (int | None, "x", "expected a whole number within ±2^53, got 'x'"),
    (int | str, None, "expected int or str, got None"),
    (Id[Board] | int, "x", "expected Id[boards] or int, got 'x'"),
    (Inner, [], "expected an object (Inner), got []"),
    (Inner, {}, "expected the field 'x', which is required, got {}"),
    (Inner, {"x": 1.0, "z": 1.0, "y": 2.0}, "expected no field 'y' (it is not declared)"),
    (Outer, {"inner": {"x": "a"}}, "at .inner.x: expected a number, got 'a'"),
    (
        list[Outer],
        [{"inner": {"x": 1.0, "names": ["a", 2.0]}}],
        "at [0].inner.names[1]: expected a string, got 2.0",
    ),
    (Inner | Tree, {}, "expected Inner or Tree, got {}"),
    (Tree, {"name": "a", "below": [{}]}, "at .below[0]: expected the field 'name'"),
    (list[Even], [{"number": 3.0}], "at [0]: expected another value (3 is odd)"),
    (Board, {}, "expected Id[Board] (a document itself is no argument), got {}"),
]


@pytest.mark.parametrize(("annotation", "decoded", "text"), UNFIT)
def test_what_does_not_fit_is_named(
    types: TypeConverter, annotation: Any, decoded: Any, text: str
) -> None:
    with pytest.raises(Mismatch) as caught:
        types.structure(decoded, annotation)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "value", "text"),
    [
        (str, 1, "expected a string, got 1"),
        (bool, 1, "expected a boolean, got 1"),
        (float, True, "expected a number, got True"),
        (float, 2**53 + 1, "expected a number; an int is within ±2^53"),
        (int, 1.0, "expected a whole number, got 1.0"),
        (int, True, "expected a whole number, got True"),
        (int, Int64(1), "expected a whole number, got Int64(1)"),
        (int, 2**53 + 1, "expected a whole number within ±2^53 (use Int64 for more)"),
        (Int64, 1, "expected an Int64, got 1"),
        (bytes, "x", "expected bytes, got 'x'"),
        (Instant, math.inf, "expected an instant: a finite number"),
        (date, datetime(2026, 1, 1), "expected a date, got datetime"),  # noqa: DTZ001
        (date, "2026-11-22", "expected a date, got '2026-11-22'"),
        (time, time(8, 0, 0, 5), "expected a time of day in whole seconds, without a zone"),
        (Id[Board], Id(TASK), "expected an id of table 'boards', not of another table"),
        (list[int], "ab", "expected a list or tuple, got 'ab'"),
        (list[int], [1, "x"], "at [1]: expected a whole number, got 'x'"),
        (tuple[int, str], (1,), "expected a tuple of 2"),
        (dict[str, int], {"a": "x"}, "at .a: expected a whole number"),
        (dict[str, int], [1], "expected a dict, got [1]"),
        (Literal["a"], "b", "expected 'a', got 'b'"),
        (int | str, 1.5, "expected int or str, got 1.5"),
        (Inner, Tree("a"), "expected Inner, got Tree("),
        (Outer, Outer(Inner("a")), "at .inner.x: expected a number, got 'a'"),  # type: ignore[arg-type]  # pyright: ignore
        (Board, Board(name="a"), "expected a Board that was read (this one has no id yet)"),
        (Page[int], [1], "expected a Page (what .paginate() gives)"),
        (
            Page[int],
            Page[Any](page=[1, "x"], is_done=True, continue_cursor=""),
            "at .page[1]: expected a whole number, got 'x'",
        ),
        (Any, {"a": [1, {"b": object()}]}, "at .a[1].b: expected a value that can go on the wire"),
    ],
)
def test_what_a_function_gives_is_checked(
    types: TypeConverter, annotation: Any, value: Any, text: str
) -> None:
    with pytest.raises(Mismatch) as caught:
        types.to_wire(value, annotation)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (str, "\ud800"),
        (dict[str, int], {"$a": 1}),
        (Any, {"$a": 1}),
        (list[int], [1] * 8193),
        (dict[str, int], {str(n): n for n in range(1025)}),
    ],
)
def test_values_have_limits(types: TypeConverter, annotation: Any, value: Any) -> None:
    with pytest.raises((InvalidValue, Mismatch)):
        types.to_wire(value, annotation)


@pytest.mark.parametrize(
    "annotation",
    [complex, set[str], dict[int, str], datetime, Colour, list[complex], complex | None, object],
)
def test_other_types_have_no_form_on_the_wire(types: TypeConverter, annotation: Any) -> None:
    """A subclass counts as another type: a datetime is not a date, an enum no string."""
    if annotation is object:
        types.check(annotation, "here")  # As Any: all that is a value.
        return
    with pytest.raises(SchemaError, match=r"^here: values of type .* cannot go on the wire"):
        types.check(annotation, "here")


def test_the_order_of_a_union_counts(types: TypeConverter) -> None:
    """To Python int | float equals float | int; the first that fits takes the value."""
    assert type(types.structure(1.0, int | float)) is int
    assert type(types.structure(1.0, float | int)) is float
    assert type(types.structure([1.0], list[int | float])[0]) is int
    assert type(types.structure([1.0], list[float | int])[0]) is float


def test_a_document_that_was_read_is_spliced(types: TypeConverter) -> None:
    raw = b'{"_creationTime":1.0,"_id":"x","name":"raw"}'
    sent = types.to_wire(stored(Board, BOARD, 1.0, raw, True), Board)
    assert type(sent).__name__ == "Fragment"


def test_a_document_of_an_older_schema_is_encoded_anew(types: TypeConverter) -> None:
    """Its bytes lack a field; what is sent has the default."""
    raw = b'{"_creationTime":1.0,"_id":"x","name":"old"}'
    old = stored(Board, BOARD, 1.0, raw, False)
    assert old.colour == "blue"
    assert types.to_wire(old, Board) == {
        "_id": BOARD,
        "_creationTime": 1.0,
        "name": "old",
        "colour": "blue",
    }


def test_a_value_is_shown_in_a_line() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise ValueError

    assert len(shown("x" * 1000)) == 120
    assert shown(Broken()) == "<Broken>"
