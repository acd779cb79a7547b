"""Defaults of fields: what stands in for a field that a stored document does not have."""

from collections.abc import Callable
from types import NoneType
from typing import Any, cast, get_args, get_origin

import attrs

from flow_backend.errors import SchemaError
from flow_backend.schema.classes import is_document, resolved_fields
from flow_backend.schema.families import is_record, is_sequence, is_union
from flow_backend.schema.table import Filling
from flow_backend.values.value import JsonValue


def default_of(field: "attrs.Attribute[Any]", where: str) -> object:
    """Give a field's default, made anew if a factory makes it; NOTHING if it has none.

    Raises: SchemaError for a factory that does not give the same value each time.
    """
    default: object = field.default
    if not isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # It is a class at run time.
        return default
    factory = cast("Any", default)
    if factory.takes_self:
        raise SchemaError(
            f"{where}: a default cannot be made from other fields, which a stored document may "
            "lack as well; give a plain default, or set the field where the document is inserted"
        )
    made = factory.factory()
    if made != factory.factory():
        raise SchemaError(
            f"{where}: the factory of the default gives another value each time, so a document "
            "that lacks the field would read otherwise each time; set the field where the document "
            "is inserted"
        )
    return made


ToWire = Callable[[object, Any], JsonValue]


def filling_of(annotation: Any, to_wire: ToWire) -> Filling | None:
    """Give the defaults inside of values of a type, None if there are none that are surely there.

    A union of two classes has none: which of them an object is may depend on what is filled in. Nor
    has a class inside of itself.
    """
    return _filling(annotation, to_wire, frozenset())


def _filling(annotation: Any, to_wire: ToWire, outside: frozenset[Any]) -> Filling | None:
    members = get_args(annotation) if is_union(annotation) else (annotation,)
    kinds = [kind for kind in members if kind is not NoneType]
    if len(kinds) != 1 or kinds[0] in outside:
        return None
    kind = kinds[0]
    if (is_sequence(kind) or is_record(kind)) and get_args(kind):
        args = [each for each in get_args(kind) if each is not Ellipsis]
        # A tuple of items that differ is filled only if they need it alike.
        items, *others = [
            _filling(each, to_wire, outside) for each in args[-1 if is_record(kind) else 0 :]
        ]
        is_alike = items is not None and all(each == items for each in others)
        return Filling(items=items) if is_alike else None
    cls = get_origin(kind) or kind
    if not attrs.has(cls) or is_document(cls):
        return None
    fields: list[tuple[str, bool, JsonValue, Filling | None]] = []
    for each in resolved_fields(cls):
        default = default_of(each, f"{cls.__qualname__}.{each.name}")
        has = default is not attrs.NOTHING
        inner_filling = _filling(each.type, to_wire, outside | {kind})
        if has or inner_filling is not None:
            wire = to_wire(default, each.type) if has else None
            fields.append((each.name, has, wire, inner_filling))
    return Filling(tuple(fields)) if fields else None


def check_indexable(annotation: Any, name: str, where: str, to_wire: ToWire) -> None:
    """Check that documents can be found by a field of this type, however old they are.

    Raises: SchemaError if it holds objects that lack a default when they are stored, and nothing
        can say which.
    """
    cls = _class_with_defaults(annotation)
    if cls is not None and filling_of(annotation, to_wire) is None:
        # A stored object that lacks the field stands elsewhere than the object that it reads as.
        raise SchemaError(
            f"{where}: the field {name!r} holds one of several types, among them "
            f"{cls.__name__}, whose fields have defaults: those stored without them would not be "
            "found. Index a field of its own"
        )


def _class_with_defaults(annotation: Any) -> type | None:
    seen, found = set[Any](), [annotation]
    while found:
        each = found.pop()
        found.extend(get_args(each))
        cls = get_origin(each) or each
        if not attrs.has(cls) or is_document(cls) or cls in seen:
            continue
        seen.add(cls)
        for part in resolved_fields(cls):
            if part.default is not attrs.NOTHING:
                return cast("type", cls)
            found.append(part.type)
    return None
