"""The contract of a function: its arguments and its result, checked by its annotations."""

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, cast

import attrs
import orjson
from attrs import define, frozen

from flow_backend.errors import InvalidArguments, InvalidResult, InvalidValue, SchemaError
from flow_backend.functions.function import Function
from flow_backend.schema.convert import Mismatch, TypeConverter, shown
from flow_backend.schema.document import Document, stored_of
from flow_backend.schema.pages import PaginationOptions
from flow_backend.values.encode import from_wire
from flow_backend.values.value import JsonValue

_PAGINATION = "paginationOpts"
"""What the official clients call the argument of :class:`PaginationOptions`."""


@frozen
class Parameter:
    """A parameter of a function. ``wire_name`` differs from ``name`` for pagination options only."""

    name: str
    wire_name: str
    annotation: Any
    required: bool


@define
class Contract:
    """What a function takes and gives, compiled from its signature for one database."""

    path: str
    parameters: tuple[Parameter, ...]
    returns: Any
    _types: TypeConverter
    _arguments_class: type
    _names: tuple[tuple[str, str], ...]
    _result: Callable[[object], object]

    def arguments(self, wire: JsonValue) -> dict[str, object]:
        """Check arguments in wire form and give them as keyword arguments.

        Raises: InvalidArguments that names the function, the argument's path and what was expected.
        """
        try:
            value = from_wire(wire)
            taken = self._types.structure(value, self._arguments_class)
        except InvalidValue as error:
            raise InvalidArguments(f"Invalid arguments for {self.path}: {error}") from None
        except Mismatch as error:
            raise InvalidArguments(self._explain(error, "ArgumentValidationError")) from None
        return {name: getattr(taken, name) for name, _ in self._names}

    def wire_arguments(self, arguments: Mapping[str, object]) -> dict[str, JsonValue]:
        """Turn keyword arguments of a call from server code into wire form.

        Raises: InvalidArguments.
        """
        by_name = {parameter.name: parameter for parameter in self.parameters}
        wire: dict[str, JsonValue] = {}
        for name, value in arguments.items():
            if name not in by_name:
                raise InvalidArguments(
                    f"ArgumentValidationError: {self.path} has no argument {name!r}; "
                    f"it has {', '.join(by_name) or 'none'}"
                )
            parameter = by_name[name]
            try:
                wire[parameter.wire_name] = self._types.to_wire(value, parameter.annotation)
            except (Mismatch, InvalidValue) as error:
                raise InvalidArguments(
                    f"ArgumentValidationError: {self.path}: .{name}: {error}"
                ) from None
        return wire

    def result(self, value: object) -> bytes:
        """Check what the function returned and encode it canonically.

        Documents that were only read are spliced: their stored bytes are the result's.

        Raises: InvalidResult that names the function, the path and what was expected.
        """
        spliced = _spliced(value, self.returns)
        if spliced is not None:
            return spliced
        try:
            return orjson.dumps(self._result(value), option=orjson.OPT_SORT_KEYS)
        except Mismatch as error:
            raise InvalidResult(self._explain(error, "ReturnsValidationError")) from None
        except (InvalidValue, orjson.JSONEncodeError) as error:
            raise InvalidResult(f"ReturnsValidationError: {self.path}: {error}") from None

    def _explain(self, error: Mismatch, kind: str) -> str:
        return (
            f"{kind}: {self.path}: Value does not match its type.\n"
            f"Path: {error.path or '(the whole value)'}\n"
            f"Value: {shown(error.came)}\n"
            f"Expected: {error.expected}"
        )


def _spliced(value: object, returns: Any) -> bytes | None:
    """Join stored bytes, if the result is a list of unchanged documents: the common, large case."""
    if type(value) is not list or not value:
        return None
    (item,) = typing.get_args(returns) if typing.get_origin(returns) is list else (None,)
    if not (isinstance(item, type) and issubclass(item, Document)):
        return None
    parts: list[bytes] = []
    for each in cast("list[object]", value):
        place = stored_of(each) if type(each) is item else None  # pyright: ignore[reportArgumentType]
        if place is None or not place[3]:
            return None
        parts.append(place[2])
    return b"[" + b",".join(parts) + b"]"


def compile_contract(function: Function[..., Any], types: TypeConverter) -> Contract:
    """Read a function's signature.

    Raises: SchemaError naming the function, the parameter and the alternative.
    """
    signature = inspect.signature(function.call)
    try:
        hints = typing.get_type_hints(function.call, include_extras=True)
    except NameError as error:
        raise SchemaError(f"{function.path}: {error}") from error
    parameters: list[Parameter] = []
    for each in list(signature.parameters.values())[1:]:
        if each.kind in {each.VAR_POSITIONAL, each.VAR_KEYWORD, each.POSITIONAL_ONLY}:
            raise SchemaError(f"{function.path}: *args and **kwargs cannot go on the wire: {each}")
        annotation = hints.get(each.name, Any)
        types.check(annotation, f"{function.path}, parameter {each.name!r}")
        wire_name = _PAGINATION if annotation is PaginationOptions else each.name
        parameters.append(Parameter(each.name, wire_name, annotation, each.default is each.empty))
    returns = hints.get("return", Any)
    types.check(returns, f"{function.path}, the result")
    return Contract(
        function.path,
        tuple(parameters),
        returns,
        types,
        _arguments_class(function.path, parameters, signature, types),
        tuple((parameter.name, parameter.wire_name) for parameter in parameters),
        types.unstructurer(returns),
    )


def _arguments_class(
    path: str, parameters: list[Parameter], signature: inspect.Signature, types: TypeConverter
) -> type:
    """Make the class whose fields are a function's parameters: cattrs then checks a call at once."""
    fields: dict[str, Any] = {}
    for parameter in parameters:
        default = signature.parameters[parameter.name].default
        fields[parameter.name] = (
            attrs.field(type=parameter.annotation)
            if parameter.required
            else attrs.field(type=parameter.annotation, default=default)
        )
    made = attrs.make_class("Arguments", fields, frozen=True, kw_only=True)
    renamed = {p.name: p.wire_name for p in parameters if p.name != p.wire_name}
    types.register_arguments(made, renamed)
    return made
