"""What to write in the place of an annotation whose values cannot go on the wire."""

import dataclasses
import typing
from collections import abc
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any, Final, NewType, TypeVar, cast, get_args, get_origin
from uuid import UUID

from flow_backend.schema.families import name_of

_ANY_LIST: Final = "use list[...] of what it holds"
_ANY_DICT: Final = "use dict[str, ...]"
_CLASS: Final = "use an attrs class: attrs.frozen above it, its fields annotated"

_CALLABLE: Final[Any] = abc.Callable

# The first that is a base of the class counts.
_CLASSES: Final[tuple[tuple[type | tuple[type, ...], str], ...]] = (
    (datetime, "use Instant (milliseconds since the epoch), or Date and Time"),
    (date, "use Date itself"),
    (time, "use Time itself"),
    (timedelta, "use float, and say in the name that it counts seconds"),
    (
        (Decimal, Fraction),
        "use str, or int and count the smallest unit, such as cents",
    ),
    (complex, "use tuple[float, float]"),
    ((UUID, PurePath), "use str"),
    ((bytearray, memoryview), "use bytes"),
    (abc.Set, "use list[...], or dict[str, bool] for what is looked up"),
    ((abc.Awaitable, abc.Coroutine), "annotate the result itself"),
    (abc.Mapping, _ANY_DICT),
)


def alternative_to(annotation: Any) -> str:
    """Say what an app should write instead; the last resort is the list of all types."""
    for explain in (_of_special_form, _of_class, _of_generic):
        found = explain(annotation)
        if found is not None:
            return found
    return (
        "use str, float, int, bool, bytes, None, Int64, Instant, Date, Time, Id[...], list, tuple, "
        "dict[str, ...], Literal, unions, and attrs classes of these"
    )


def _of_special_form(annotation: Any) -> str | None:
    if annotation is tuple:
        return "say what it holds: tuple[str, ...], or tuple[str, float] for a pair"
    if annotation in {typing.Never, typing.NoReturn}:
        return "use None"
    if annotation is typing.LiteralString:
        return "use str"
    if isinstance(annotation, NewType):
        return f"use {name_of(annotation.__supertype__)} itself"
    if isinstance(annotation, TypeVar):
        return "write the type itself in the place of the type variable"
    if isinstance(annotation, (str, typing.ForwardRef)):
        return "import the name that it is made of"
    if type(annotation).__name__ == "TypeAliasType":
        return f"write {annotation} = ... without the word type"
    return None


def _of_class(annotation: Any) -> str | None:
    if not isinstance(annotation, type):
        return None
    cls = cast("type[Any]", annotation)
    if issubclass(cls, Enum):
        values = ", ".join(repr(each.value) for each in cls)
        is_plain = all(isinstance(each.value, (str, int)) for each in cls)
        return f"use Literal[{values}]" if is_plain and values else "use Literal[...]"
    if typing.is_typeddict(cls) or dataclasses.is_dataclass(cls) or hasattr(cls, "_fields"):
        return _CLASS
    for bases, text in _CLASSES:
        if issubclass(cls, bases):
            return text
    for plain in (bool, str, bytes, int, float):
        if issubclass(cls, plain):
            return f"use {plain.__name__} itself"
    if issubclass(cls, abc.Iterable):
        return _ANY_LIST
    if cls.__module__ in {"builtins", "collections.abc"}:
        return None
    return _CLASS


def _of_generic(annotation: Any) -> str | None:
    origin: Any = get_origin(annotation)
    if _CALLABLE in {origin, annotation}:
        return "a function cannot be sent: pass what it is to be done with, or its name as a str"
    if origin is None:
        return None
    items = [each for each in get_args(annotation) if each is not Ellipsis]
    found = _of_class(origin)
    if found == _ANY_LIST and len(items) == 1:
        return f"use list[{name_of(items[0])}]"
    if found is not None and issubclass(origin, abc.Set) and len(items) == 1:
        return f"use list[{name_of(items[0])}], or dict[str, bool] for what is looked up"
    if found == _ANY_DICT and len(items) == 2:
        return f"use dict[str, {name_of(items[1])}]"
    return "write a class of its own for each type that it holds" if found == _CLASS else found
