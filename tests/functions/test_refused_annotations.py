"""What cannot go on the wire is refused with its place and with what to write instead."""

import enum
from typing import Any

import pytest

from flow_backend.errors import AppDefinitionError
from flow_backend.functions.function import Function
from flow_backend.functions.registry import make_app
from flow_backend.schema.alternatives import alternative_to
from flow_backend.schema.document import Document, document


@document("boards")
class Board(Document):
    name: str


HEAD = """\
import collections, dataclasses, datetime, decimal, enum, fractions, pathlib, typing, uuid
from collections import abc
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar
from attrs import frozen
from flow_backend import Date, Id, QueryCtx, action, query

T = TypeVar("T")
Name = NewType("Name", str)
class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"
class Level(enum.IntEnum):
    LOW = 1
class Odd(enum.Enum):
    A = object()
class Typed(TypedDict):
    x: int
class Named(NamedTuple):
    x: int
@dataclasses.dataclass
class Data:
    x: int
class Plain: ...
class Text(str): ...
class Day(datetime.date): ...
@frozen
class Box(Generic[T]):
    held: T
@frozen
class Inner:
    tags: list[set[str]]
@frozen
class Outer:
    inner: Inner | None
@frozen
class Held:
    board: Board
"""
LINE = len(HEAD.splitlines()) + 1

_SET = "or dict[str, bool] for what is looked up"
_CLASS = "use an attrs class: attrs.frozen above it, its fields annotated"
_ALL = "use str, float, int, bool, bytes, None, Int64, Instant, Date, Time, Id[...], list, tuple"

REFUSED: list[tuple[str, str]] = [
    ("set", f"set has no form there; use list[...], {_SET}"),
    ("set[str]", f"set[str] has no form there; use list[str], {_SET}"),
    ("frozenset[Date]", f"use list[date], {_SET}"),
    ("abc.Set[int]", f"use list[int], {_SET}"),
    ("datetime.datetime", "use Instant (milliseconds since the epoch), or Date and Time"),
    ("Day", "use Date itself"),
    ("datetime.timedelta", "use float, and say in the name that it counts seconds"),
    ("decimal.Decimal", "use str, or int and count the smallest unit, such as cents"),
    ("fractions.Fraction", "use str, or int and count the smallest unit"),
    ("complex", "use tuple[float, float]"),
    ("uuid.UUID", "use str"),
    ("pathlib.Path", "use str"),
    ("bytearray", "use bytes"),
    ("memoryview", "use bytes"),
    ("Colour", "use Literal['red', 'blue']"),
    ("Colour | None", "Colour has no form there; use Literal['red', 'blue']"),
    ("Level", "use Literal[1]"),
    ("Odd", "use Literal[...]"),
    ("Literal[Colour.RED]", "a Literal is of strings, numbers, booleans and None"),
    ("Literal[Level.LOW]", "a Literal is of strings, numbers, booleans and None"),
    ("Literal[b'x']", "b'x' is none of these"),
    ("Typed", _CLASS),
    ("Named", _CLASS),
    ("Data", _CLASS),
    ("Plain", _CLASS),
    ("Text", "use str itself"),
    ("Name", "use str itself"),
    ("Callable[[int], str]", "a function cannot be sent"),
    ("typing.Callable[..., Any]", "a function cannot be sent"),
    ("Callable", "a function cannot be sent"),
    ("type[int]", _ALL),
    ("object | type", _ALL),
    ("tuple", "say what it holds: tuple[str, ...], or tuple[str, float] for a pair"),
    ("Iterable[int]", "use list[int]"),
    ("collections.deque[str]", "use list[str]"),
    ("abc.MutableSequence[str]", "use list[str]"),
    ("Sequence", "use list[...] of what it holds"),
    ("range", "use list[...] of what it holds"),
    ("Mapping", "use dict[str, ...]"),
    ("dict[int, str]", "in dict[int, str] the keys are int, but an object has names"),
    ("dict[int, str]", "use dict[str, str], or a list of an attrs class"),
    ("dict[Literal['a'], str]", "use dict[str, str], or a list of an attrs class"),
    ("Mapping[Date, list[int]]", "use dict[str, list[int]], or a list of an attrs class"),
    ("abc.MutableMapping[str, int]", "use dict[str, int]"),
    ("collections.defaultdict[str, int]", "use dict[str, int]"),
    ("collections.OrderedDict", "use dict[str, ...]"),
    ("T", "write the type itself in the place of the type variable"),
    ("Box[int]", "Box.held: T has no form there; write the type itself"),
    ("typing.LiteralString", "use str"),
    ("typing.Never", "use None"),
    ("Exception", _ALL),
    ("Annotated[set[int], 'x']", f"use list[int], {_SET}"),
    ("list[dict[str, set[int]]]", f"set[int] has no form there; use list[int], {_SET}"),
    ("Outer", f"Outer.inner: Inner.tags: set[str] has no form there; use list[str], {_SET}"),
]


def refusal(definition: str) -> str:
    """Load an app with one function, written in a file, and give what is said of it."""
    names: dict[str, Any] = {"__name__": "my_app.tasks", "Board": Board}
    exec(compile(HEAD + definition, "my_app/tasks.py", "exec"), names)
    (function,) = [each for each in names.values() if isinstance(each, Function)]
    with pytest.raises(AppDefinitionError) as caught:
        make_app("my_app", [Board], {"tasks:bad": function}).bind({"boards": 10_001})
    return str(caught.value)


@pytest.mark.parametrize(("annotation", "text"), REFUSED, ids=lambda text: text[:30])
def test_a_type_that_cannot_go_on_the_wire(annotation: str, text: str) -> None:
    """Function, parameter, file and line, and the alternative; as a result, too."""
    said = refusal(f"@query\ndef bad(ctx: QueryCtx, given: {annotation}) -> None: ...")
    assert said.startswith(f"my_app/tasks.py:{LINE}: tasks:bad, parameter 'given': values of type ")
    assert text in said

    said = refusal(f"@query\ndef bad(ctx: QueryCtx) -> {annotation}: ...")
    assert said.startswith(f"my_app/tasks.py:{LINE}: tasks:bad, the result: values of type ")
    assert text in said


SIGNATURES: list[tuple[str, str]] = [
    ("ctx: QueryCtx, *more: str", "*more: str cannot be filled; take a list instead, such as more"),
    ("ctx: QueryCtx, **more: str", "cannot be filled; name each argument, or take more: dict[str"),
    ("ctx: QueryCtx, x: int, /", "x: int cannot be filled; take the / out of the signature"),
    ("ctx: QueryCtx, x", "parameter 'x' has no annotation; give it the type of its values, or Any"),
    ("ctx: QueryCtx, x=1", "parameter 'x' has no annotation"),
    ("ctx: QueryCtx, x: 'Missing'", "an annotation cannot be read: name 'Missing' is not defined"),
    ("", "the first parameter of a function is ctx; it has none"),
    (
        "ctx: QueryCtx, x: Board",
        "Board is a document, which is passed and stored by its id; use Id",
    ),
    ("ctx: QueryCtx, x: list[Board | None]", "use Id[Board], and ctx.db.get to read it"),
    ("ctx: QueryCtx, x: Held", "use Id[Board], and ctx.db.get to read it"),
]


@pytest.mark.parametrize(("parameters", "text"), SIGNATURES)
def test_a_signature_that_no_call_can_fill(parameters: str, text: str) -> None:
    said = refusal(f"@query\ndef bad({parameters}) -> None: ...")
    assert said.startswith(f"my_app/tasks.py:{LINE}: tasks:bad")
    assert text in said


def test_a_word_of_newer_pythons_is_explained() -> None:
    """``type X = ...`` came with Python 3.12; so its object is made by hand here."""
    made = type("TypeAliasType", (), {"__repr__": lambda self: "Kind"})()

    assert alternative_to(made) == "write Kind = ... without the word type"


def test_every_enum_is_answered() -> None:
    empty = enum.Enum("empty", [])

    assert alternative_to(empty) == "use Literal[...]"
