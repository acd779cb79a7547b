"""An app as plain data: its functions with arguments and results, its tables, its classes.

What codegen prints, what the difference of two versions is read from, and what admins' tools ask.
"""

import inspect
from collections.abc import Mapping
from typing import Any, Literal

from attrs import frozen

from flow_backend.errors import AppDefinitionError, SchemaError
from flow_backend.functions.function import Action, Function, Mutation, Query
from flow_backend.functions.registry import App, place_of_function
from flow_backend.functions.validate import signature_of
from flow_backend.schema.docstrings import read_docstring
from flow_backend.schema.document import Document
from flow_backend.schema.model import Schema
from flow_backend.schema.shapes import ClassShape, FieldShape, Shape, Shapes, own_docstring

FunctionKind = Literal["query", "mutation", "action"]


@frozen
class FunctionSpec:
    """A function.

    Attributes:
        path: such as ``tasks:move``.
        arguments: in the order of the signature; one that is not required has a default.
        docs: its docstring without the part about arguments, in Markdown.
        place: ``file:line``.
    """

    path: str
    kind: FunctionKind
    internal: bool
    arguments: tuple[FieldShape, ...]
    returns: Shape
    docs: str
    place: str

    @property
    def module(self) -> str:
        """The module's part of the path."""
        return self.path.rpartition(":")[0]

    @property
    def name(self) -> str:
        """The function's part of the path."""
        return self.path.rpartition(":")[2]


@frozen
class IndexDescription:
    """An index of a table."""

    name: str
    fields: tuple[str, ...]
    unique: bool


@frozen
class SearchDescription:
    """A search index of a table."""

    name: str
    texts: tuple[str, ...]
    within: tuple[str, ...]


@frozen
class TableDescription:
    """A table and the class of its documents; a field that is not required has a default.

    ``fields`` are the class's own: a document on the wire has ``_id`` and ``_creationTime``, too.
    """

    name: str
    class_name: str
    module: str
    fields: tuple[FieldShape, ...]
    indexes: tuple[IndexDescription, ...]
    searches: tuple[SearchDescription, ...]
    docs: str


@frozen
class AppSpec:
    """An app as plain data, the same for the same code: everything is sorted.

    Attributes:
        functions: by path.
        tables: the app's own, by name.
        system_tables: those that every app has, by name.
        classes: all attrs classes that stand in arguments, results or documents, by key.
    """

    name: str
    functions: Mapping[str, FunctionSpec]
    tables: Mapping[str, TableDescription]
    system_tables: Mapping[str, TableDescription]
    classes: Mapping[str, ClassShape]


def describe_app(app: App) -> AppSpec:
    """Describe an app.

    Raises: AppDefinitionError that says file and line if a type in it has no form on the wire.
        What :meth:`App.bind` takes is described.
    """
    shapes = Shapes(app.name)
    tables = {
        name: _table(name, cls, app.schema, shapes) for name, cls in app.schema.documents.items()
    }
    functions = {
        path: _function(path, function, shapes) for path, function in app.functions.items()
    }
    return AppSpec(
        app.name,
        dict(sorted(functions.items())),
        {name: each for name, each in sorted(tables.items()) if not name.startswith("_")},
        {name: each for name, each in sorted(tables.items()) if name.startswith("_")},
        dict(sorted(shapes.classes.items())),
    )


def _function(path: str, function: Function[..., Any], shapes: Shapes) -> FunctionSpec:
    docs = read_docstring(inspect.unwrap(function.call).__doc__)
    try:
        parameters, returns = signature_of(function)
        arguments = tuple(
            FieldShape(
                each.wire_name,
                shapes.of(each.annotation),
                each.required,
                docs=docs.items.get(each.name, ""),
            )
            for each in parameters
        )
        result = shapes.of(returns)
    except SchemaError as error:
        raise AppDefinitionError(f"{place_of_function(function)}: {error}") from error
    place = place_of_function(function)
    kind, internal = _kind_of(function), function.internal
    return FunctionSpec(path, kind, internal, arguments, result, docs.text, place)


def _kind_of(function: Function[..., Any]) -> FunctionKind:
    match function:
        case Query():
            return "query"
        case Mutation():
            return "mutation"
        case Action():
            return "action"
        case _:
            raise AssertionError(function)


def _table(name: str, cls: type[Document], schema: Schema, shapes: Shapes) -> TableDescription:
    docs = read_docstring(own_docstring(cls))
    return TableDescription(
        name,
        cls.__name__,
        shapes.module_of(cls),
        shapes.fields(cls, docs),
        tuple(
            IndexDescription(each.name, each.fields, each.unique)
            for each in schema.tables[name].indexes
        ),
        tuple(
            SearchDescription(each.name, each.texts, each.within)
            for each in schema.tables[name].searches
        ),
        docs.text,
    )
