"""The contract of a function: its arguments and its result, checked by its annotations."""

import inspect
import typing
from collections.abc import Mapping
from typing import Any, Final, cast

import orjson
from attrs import define, frozen

from flow_backend.errors import InvalidArguments, InvalidResult, InvalidValue, SchemaError
from flow_backend.functions.function import Function
from flow_backend.schema.classes import ObjectField
from flow_backend.schema.convert import TypeConverter
from flow_backend.schema.document import Document, bytes_of_rows
from flow_backend.schema.mismatch import Mismatch, Structure, Unstructure, mismatch_of, shown
from flow_backend.schema.pages import PaginationOptions
from flow_backend.values.encode import decode, from_wire
from flow_backend.values.refusal import ARRAY_MAX
from flow_backend.values.value import JsonValue

_PAGINATION = "paginationOpts"
"""What the official clients call the argument of :class:`PaginationOptions`."""


_UNNAMED: Final = {
    inspect.Parameter.VAR_POSITIONAL: "take a list instead, such as {0}: list[str]",
    inspect.Parameter.VAR_KEYWORD: "name each argument, or take {0}: dict[str, ...]",
    inspect.Parameter.POSITIONAL_ONLY: "take the / out of the signature",
}
"""Kinds of parameters that no name reaches, and what to write instead."""


@frozen
class Parameter:
    """A parameter; ``wire_name`` differs from ``name`` for pagination options only."""

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
    _take: Structure
    _give: Unstructure
    _document: type[Document] | None

    def arguments(self, wire: JsonValue) -> dict[str, object]:
        """Check arguments in wire form and give them as keyword arguments.

        Raises: InvalidArguments that names the function, the argument's path and what was expected.
        """
        try:
            return cast("dict[str, object]", self._take(from_wire(wire), None))
        except InvalidValue as error:
            raise InvalidArguments(
                f"Invalid arguments for {shown_path(self.path)}: {error}"
            ) from None
        except Mismatch as error:
            raise InvalidArguments(self._explain(error, "ArgumentValidationError")) from None

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
                found = mismatch_of(error, value, f".{name}")
                raise InvalidArguments(self._explain(found, "ArgumentValidationError")) from None
        return wire

    def result(self, value: object) -> bytes:
        """Check what the function returned and encode it canonically.

        Documents that were only read are spliced: their stored bytes are the result's.

        Raises: InvalidResult that names the function, the path and what was expected.
        """
        if self._document is not None and type(value) is list:
            documents = cast("list[object]", value)
            stored = bytes_of_rows(documents, self._document)
            if stored is not None and len(stored) <= ARRAY_MAX:
                return b"[" + b",".join(stored) + b"]"
        try:
            return orjson.dumps(self._give(value), option=orjson.OPT_SORT_KEYS)
        except Mismatch as error:
            raise InvalidResult(self._explain(error, "ReturnsValidationError")) from None
        except (InvalidValue, orjson.JSONEncodeError) as error:
            raise InvalidResult(f"ReturnsValidationError: {self.path}: {error}") from None

    def decode_result(self, encoded: bytes) -> Any:
        """Give a result that :meth:`result` encoded to the server's own code, typed again."""
        return self._types.structure_result(decode(encoded), self.returns)

    def take_result(self, wire: JsonValue) -> Any:
        """Give a result in wire form to a client of the server, typed.

        Raises: InvalidResult if it does not fit: server and client have different versions.
        """
        try:
            return self._types.structure_result(from_wire(wire), self.returns)
        except Mismatch as error:
            raise InvalidResult(
                f"{self._explain(error, 'ReturnsValidationError')}\n"
                "The server has another version of this function than this program."
            ) from None

    def _explain(self, error: Mismatch, kind: str) -> str:
        return (
            f"{kind}: {self.path}: Value does not match its type.\n"
            f"Path: {error.path or '(the whole value)'}\n"
            f"Value: {shown(error.came)}\n"
            f"Expected: {error.expected}"
        )


def shown_path(path: str) -> str:
    """Print a path as the official clients' users know it: ``tasks.js:move``."""
    module, _, name = path.rpartition(":")
    return f"{module}.js:{name}"


def compile_contract(function: Function[..., Any], types: TypeConverter) -> Contract:
    """Read a function's signature.

    Raises: SchemaError naming the function, the parameter and the alternative.
    """
    parameters, returns = signature_of(function)
    for each in parameters:
        types.check(each.annotation, f"{function.path}, parameter {each.name!r}")
    types.check(returns, f"{function.path}, the result", argument=False)
    fields = [ObjectField(p.wire_name, p.name, p.annotation, p.required) for p in parameters]
    return Contract(
        function.path,
        tuple(parameters),
        returns,
        types,
        types.structurer_of_fields(fields),
        types.unstructurer(returns),
        _listed_document(returns),
    )


def signature_of(function: Function[..., Any]) -> tuple[list[Parameter], Any]:
    """Give a function's parameters without ctx, and the type of its result."""
    signature = inspect.signature(function.call)
    try:
        hints = typing.get_type_hints(function.call, include_extras=True)
    except (NameError, TypeError) as error:
        raise SchemaError(f"{function.path}: an annotation cannot be read: {error}") from error
    parameters: list[Parameter] = []
    if not signature.parameters:
        raise SchemaError(f"{function.path}: the first parameter of a function is ctx; it has none")
    for each in list(signature.parameters.values())[1:]:
        if each.kind in _UNNAMED:
            raise SchemaError(
                f"{function.path}: arguments go by name on the wire, so {each} cannot be filled; "
                f"{_UNNAMED[each.kind].format(each.name)}"
            )
        if each.name not in hints:
            raise SchemaError(
                f"{function.path}: parameter {each.name!r} has no annotation; give it the type of "
                "its values, or Any to take every value"
            )
        annotation = hints[each.name]
        wire_name = _PAGINATION if annotation is PaginationOptions else each.name
        parameters.append(Parameter(each.name, wire_name, annotation, each.default is each.empty))
    return parameters, hints.get("return", Any)


def _listed_document(returns: Any) -> type[Document] | None:
    """Give the class of a result that is a list of documents: the common, large case."""
    items = typing.get_args(returns) if typing.get_origin(returns) is list else ()
    item: Any = items[0] if items else None
    return item if isinstance(item, type) and issubclass(item, Document) else None
