"""What one version of an app has that another has not: functions, tables, indexes and so on."""

from collections.abc import Iterator, Mapping, Sequence
from types import CodeType
from typing import Any, Final, cast

import attrs
from attrs import field

from flow_backend.functions.describe import AppSpec, FunctionSpec, TableDescription, describe_app
from flow_backend.functions.registry import App
from flow_backend.records import frozen
from flow_backend.schema.shapes import ClassOf, ClassShape, FieldShape
from flow_backend.schema.table import TableSpec
from flow_backend.values.value import JsonValue

_NO_PART_OF_IT: Final = frozenset({"docs", "place"})


@frozen
class Changes:
    """What came, what went, and what is another now, with the parts of it that are.

    All in the order of the names.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: Mapping[str, tuple[str, ...]] = field(factory=dict[str, tuple[str, ...]])

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def as_json(self) -> dict[str, JsonValue]:
        """Give them as they are stored and sent."""
        return {
            "added": list(self.added),
            "removed": list(self.removed),
            "changed": {name: list(parts) for name, parts in self.changed.items()},
        }


@frozen
class Difference:
    """The difference of two versions. Indexes are called ``table.index``.

    A function's parts are kind, visibility, arguments, result and code; a table's are its fields,
    ``+`` before one that is new, ``-`` before one that is gone.
    """

    functions: Changes
    tables: Changes
    indexes: Changes
    crons: Changes
    routes: Changes

    def as_json(self) -> dict[str, JsonValue]:
        """Give it as it is stored and sent; what has not changed is left out."""
        parts = {each.name: getattr(self, each.name) for each in attrs.fields(Difference)}
        return {name: changes.as_json() for name, changes in parts.items() if changes}


def difference(old: App | None, new: App) -> Difference:
    """Compare two versions of an app; None is an app with nothing in it.

    Slow: tens of milliseconds for a large app.

    Raises: AppDefinitionError if the new one cannot be described.
    """
    before = AppSpec(new.name, {}, {}, {}, {}) if old is None else describe_app(old)
    after = describe_app(new)
    return Difference(
        _changes(_functions(old, before), _functions(new, after)),
        _changes(_tables(old, before), _tables(new, after)),
        _changes(_indexes(old), _indexes(new)),
        _changes(_crons(old), _crons(new)),
        _changes(_routes(old), _routes(new)),
    )


Parts = Mapping[str, object]
"""What a thing is made of, by the names that people know."""


def _changes(before: Mapping[str, Parts], after: Mapping[str, Parts]) -> Changes:
    changed = {
        name: parts
        for name in sorted(before.keys() & after.keys())
        if (parts := tuple(_unequal(before[name], after[name])))
    }
    added, removed = after.keys() - before.keys(), before.keys() - after.keys()
    return Changes(tuple(sorted(added)), tuple(sorted(removed)), changed)


def _unequal(before: Parts, after: Parts) -> Iterator[str]:
    for name in after:
        if name not in before:
            yield f"+{name}"
        elif before[name] != after[name]:
            yield name
    yield from (f"-{name}" for name in before if name not in after)


# --- What things are made of ----------------------------------------------------------------------


def _functions(app: App | None, spec: AppSpec) -> Mapping[str, Parts]:
    if app is None:
        return {}
    return {
        path: _function(function, app.functions[path].call, spec)
        for path, function in spec.functions.items()
    }


def _function(function: FunctionSpec, call: object, spec: AppSpec) -> Parts:
    return {
        "kind": function.kind,
        "visibility": function.internal,
        "arguments": {each.name: _print(each, spec) for each in function.arguments},
        "result": _print(function.returns, spec),
        "code": _print_of_code(getattr(call, "__code__", None)),
    }


def _tables(app: App | None, spec: AppSpec) -> Mapping[str, Parts]:
    if app is None:
        return {}
    return {
        name: _fields(table, spec) | _rules(app.schema.tables[name])
        for name, table in spec.tables.items()
    }


def _fields(table: TableDescription, spec: AppSpec) -> dict[str, object]:
    return {each.name: _print(each, spec) for each in table.fields}


def _rules(table: TableSpec) -> dict[str, object]:
    """Give what a delete elsewhere does to the table's documents."""
    return {f"on delete of {each.field}": each.on_delete for each in table.on_delete}


def _indexes(app: App | None) -> Mapping[str, Parts]:
    found: dict[str, Parts] = {}
    if app is None:
        return found
    for name, table in app.schema.tables.items():
        if not name.startswith("_"):
            for index in table.indexes:
                parts: Parts = {"fields": index.fields, "unique": index.unique}
                found[f"{name}.{index.name}"] = parts
            for search in table.searches:
                parts = {"searches": search.texts, "within": search.within}
                found[f"{name}.{search.name}"] = parts
    return found


def _crons(app: App | None) -> Mapping[str, Parts]:
    if app is None:
        return {}
    return {
        name: {
            "schedule": cron.schedule,
            "function": cron.function.path,
            "arguments": cron.args,
            "missed": cron.missed,
        }
        for name, cron in app.crons.items()
    }


def _routes(app: App | None) -> Mapping[str, Parts]:
    if app is None:
        return {}
    return {
        f"{each.method} {each.route}{'*' if each.is_prefix else ''}": {
            "code": _print_of_code(each.call.__code__)
        }
        for each in app.router.routes
    }


# --- What is compared -----------------------------------------------------------------------------


def _print(value: object, spec: AppSpec, inside: Sequence[str] = ()) -> object:
    """Give a shape so that equal ones are equal, whatever their words: classes with their fields.

    ``inside`` are the classes around it: one that holds itself is given once.
    """
    if isinstance(value, ClassOf):
        named = spec.classes.get(value.key)
        if named is None or value.key in inside:
            return ("class", value.key)
        return _print_of_class(named, spec, (*inside, value.key))
    if isinstance(value, FieldShape):
        return (value.required, value.sent, _print(value.shape, spec, inside))
    if attrs.has(type(value)):
        parts = attrs.asdict(cast("Any", value), recurse=False)
        kept = [part for name, part in parts.items() if name not in _NO_PART_OF_IT]
        return (type(value).__name__, *(_print(part, spec, inside) for part in kept))
    if isinstance(value, tuple):
        return tuple(_print(each, spec, inside) for each in cast("tuple[object, ...]", value))
    return value


def _print_of_class(cls: ClassShape, spec: AppSpec, inside: Sequence[str]) -> object:
    return {each.name: _print(each, spec, inside) for each in cls.fields}


def _print_of_code(code: CodeType | None) -> object:
    """Give what a function does, wherever it stands; what it calls is not looked at."""
    if code is None:
        return None
    constants = tuple(map(_print_of_constant, code.co_consts))
    return (code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants)


def _print_of_constant(value: object) -> object:
    if isinstance(value, CodeType):
        return _print_of_code(value)
    if isinstance(value, frozenset):
        return sorted(map(repr, cast("frozenset[object]", value)))
    # 1, 1.0 and True are equal, and not the same.
    return (type(value).__name__, repr(value))
