"""How objects of classes are checked and converted: attrs classes, documents, pages."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, time
from typing import Any, Final, Literal, NamedTuple, TypeVar, cast, get_args, get_origin

import attrs
import orjson

from flow_backend.errors import InvalidValue, SchemaError
from flow_backend.schema.document import Document, stored, stored_of
from flow_backend.schema.families import is_id, name_of, sequence_hooks
from flow_backend.schema.hook_table import HookTable
from flow_backend.schema.mismatch import Hooks, Mismatch, Structure, Unstructure, mismatch_of
from flow_backend.schema.pages import Page, PageStatus, PaginationOptions
from flow_backend.schema.plain_names import plain_names
from flow_backend.values.encode import encode, to_wire
from flow_backend.values.names import check_field_names

T = TypeVar("T")

_OPTION_NAMES: Final = {
    "num_items": "numItems",
    "end_cursor": "endCursor",
    "maximum_rows_read": "maximumRowsRead",
    "maximum_bytes_read": "maximumBytesRead",
}


class ObjectField(NamedTuple):
    """One field of an object on the wire, and the keyword that takes it in Python."""

    wire: str
    keyword: str
    annotation: Any
    required: bool


def wire_fields(cls: type) -> list[tuple[str, Any]]:
    """Give the fields of an attrs class with their types resolved.

    Raises: SchemaError if an annotation names what does not exist.
    """
    return [(each.name, each.type) for each in resolved_fields(cls)]


def resolved_fields(cls: type) -> tuple["attrs.Attribute[Any]", ...]:
    """Give the attributes of an attrs class with their types resolved.

    Raises: SchemaError if an annotation is missing or names what does not exist.
    """
    try:
        attrs.resolve_types(cast("Any", cls), include_extras=True)
    except (NameError, TypeError) as error:
        raise SchemaError(f"{_full_name(cls)}: {error}") from error
    fields = cast("tuple[attrs.Attribute[Any], ...]", attrs.fields(cast("Any", cls)))
    for each in fields:
        if each.type is None:
            raise SchemaError(f"{_full_name(cls)}.{each.name} has no annotation")
    return fields


def _full_name(cls: type) -> str:
    return plain_names(f"{cls.__module__}.{cls.__name__}")


def _object(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise Mismatch(what, value)
    return cast("dict[str, object]", value)


def structure_fields(
    table: HookTable, fields: Sequence[ObjectField], what: str, *, extra: bool = False
) -> Structure:
    """Make what checks an object and gives its fields as keywords; absent ones are left out.

    ``extra`` says that fields which are not declared are left out, too, instead of refused.
    """
    hooks = [(each, table.get_structure_hook(each.annotation)) for each in fields]
    known = {each.wire for each in fields}

    def structure(value: object, _: object) -> dict[str, object]:
        given = _object(value, what)
        taken: dict[str, object] = {}
        for (wire, keyword, annotation, required), hook in hooks:
            if wire in given:
                try:
                    taken[keyword] = hook(given[wire], annotation)
                except Exception as error:
                    raise mismatch_of(error, given[wire], f".{wire}") from None
            elif required:
                raise Mismatch(f"the field {wire!r}, which is required", given)
        if len(taken) < len(given) and not extra:
            unknown = min(given.keys() - known)
            raise Mismatch(f"no field {unknown!r} (it is not declared)", given)
        return taken

    return structure


def structure_class(table: HookTable, cls: Any) -> Structure:
    """Make what checks an object and gives an instance of an attrs class."""
    origin: type = get_origin(cls) or cls
    for each in resolved_fields(origin):
        if each.init:
            _hook_of_field(table.get_structure_hook, origin, each.name, each.type)
    fields = [
        ObjectField(each.name, each.alias or each.name, each.type, each.default is attrs.NOTHING)
        for each in resolved_fields(origin)
        if each.init
    ]
    taken = structure_fields(table, fields, f"an object ({name_of(cls)})")

    def structure(value: object, wanted: Any) -> object:
        return origin(**taken(value, wanted))

    return structure


def unstructure_class(table: HookTable, cls: Any) -> Unstructure:
    """Make what turns an instance of an attrs class into an object."""
    origin: type = get_origin(cls) or cls
    hooks = _field_hooks(table, origin)

    def unstructure(value: object) -> object:
        if not isinstance(value, origin):
            raise Mismatch(name_of(cls), value)
        return _unstructure_fields(value, hooks)

    return unstructure


def _field_hooks(table: HookTable, cls: type) -> list[tuple[str, Unstructure]]:
    get = table.get_unstructure_hook
    return [(name, _hook_of_field(get, cls, name, kind)) for name, kind in wire_fields(cls)]


def _hook_of_field(get: Callable[[Any], T], cls: type, name: str, annotation: Any) -> T:
    """Look a hook up; a refusal says which field it is about."""
    try:
        return get(annotation)
    except SchemaError as error:
        raise SchemaError(f"{cls.__name__}.{name}: {error}") from error


def _unstructure_fields(value: object, hooks: list[tuple[str, Unstructure]]) -> dict[str, Any]:
    wire: dict[str, Any] = {}
    name = ""
    try:
        for name, hook in hooks:
            wire[name] = hook(getattr(value, name))
    except (Mismatch, InvalidValue) as error:
        raise mismatch_of(error, getattr(value, name), f".{name}") from None
    return wire


# --- Documents ------------------------------------------------------------------------------------


def is_document(annotation: Any) -> bool:
    """Say whether an annotation is a document class."""
    return isinstance(annotation, type) and issubclass(annotation, Document)


def refuse_document(cls: type) -> Structure:
    """Make what refuses a document as an argument: its id is what one passes.

    :func:`document_in` has found it already, except in an Any.
    """

    def structure(value: object, _: object) -> object:
        raise Mismatch(f"Id[{cls.__name__}] (a document itself is no argument)", value)

    return structure


def document_in(annotation: Any, seen: frozenset[Any] = frozenset()) -> type[Document] | None:
    """Find a document class that stands in an annotation, at any depth, but not as an id."""
    if is_document(annotation):
        return cast("type[Document]", annotation)
    if is_id(annotation) or get_origin(annotation) is Literal:
        return None
    parts = get_args(annotation)
    cls = get_origin(annotation) or annotation
    if isinstance(cls, type) and attrs.has(cls) and cls not in seen:
        seen = seen | {cls}
        parts = (*parts, *(each.type for each in resolved_fields(cls) if each.init))
    return next((found for each in parts if (found := document_in(each, seen)) is not None), None)


def structure_document(cls: type[Document]) -> Structure:
    """Make what takes a document out of a result that this server encoded."""

    def structure(value: object, _: object) -> object:
        if not isinstance(value, dict):
            raise Mismatch(f"a document of class {cls.__name__}", value)
        wire = cast("dict[str, Any]", value)
        return stored(cls, wire["_id"], wire["_creationTime"], encode(wire), True)

    return structure


def unstructure_document(table: HookTable, cls: type[Document]) -> Unstructure:
    """Make what sends a document as it is stored, if it was read and is of today's schema."""
    # Filled when first needed: documents may hold classes that hold documents.
    hooks: list[tuple[str, Unstructure]] = []

    def unstructure(value: object) -> object:
        if not isinstance(value, cls):
            raise Mismatch(f"a document of class {cls.__name__}", value)
        place = stored_of(value)
        if place is None:
            raise Mismatch(f"a {cls.__name__} that was read (this one has no id yet)", value)
        _, ident, created, raw, current = place
        if current:
            return orjson.Fragment(raw)
        if not hooks:
            hooks.extend(_field_hooks(table, cls))
        wire = _unstructure_fields(value, hooks)
        return {"_id": str.__str__(ident), "_creationTime": created, **wire}

    return unstructure


# --- Pages ----------------------------------------------------------------------------------------


def is_page(annotation: Any) -> bool:
    """Say whether an annotation is ``Page`` or ``Page[...]``."""
    return annotation is Page or get_origin(annotation) is Page


def structure_options(table: HookTable) -> Structure:
    """Make what reads ``paginationOpts``; what newer clients add to it is left out."""
    fields = [
        ObjectField(
            _OPTION_NAMES.get(each.name, each.name),
            each.name,
            each.type,
            each.default is attrs.NOTHING,
        )
        for each in resolved_fields(PaginationOptions)
    ]
    taken = structure_fields(
        table, fields, "paginationOpts, an object with numItems and cursor", extra=True
    )

    def structure(value: object, wanted: Any) -> object:
        return PaginationOptions(**taken(value, wanted))

    return structure


def unstructure_options(value: object) -> object:
    """Turn pagination options into what the clients send, for a call from server code."""
    if not isinstance(value, PaginationOptions):
        raise Mismatch("PaginationOptions", value)
    return {
        _OPTION_NAMES.get(each.name, each.name): to_wire(getattr(value, each.name))
        for each in resolved_fields(PaginationOptions)
    }


def page_hooks(table: HookTable, annotation: Any) -> Hooks:
    """Give the hooks of ``Page[...]``, in which the fields have the official clients' names."""
    (item,) = get_args(annotation) or (Any,)
    structure_items, items = sequence_hooks(table, cast("Any", list)[item])

    def structure(value: object, wanted: Any) -> object:
        page = _object(value, "a page")
        try:
            rows = structure_items(page.get("page"), wanted)
        except Exception as error:
            raise mismatch_of(error, page.get("page"), ".page") from None
        return Page[Any](
            page=rows,
            is_done=page.get("isDone") is True,
            continue_cursor=str(page.get("continueCursor")),
            split_cursor=cast("str | None", page.get("splitCursor")),
            page_status=cast("PageStatus | None", page.get("pageStatus")),
        )

    def unstructure(value: object) -> object:
        if not isinstance(value, Page):
            raise Mismatch("a Page (what .paginate() gives)", value)
        page = cast("Page[object]", value)
        try:
            rows = items(page.page)
        except (Mismatch, InvalidValue) as error:
            raise mismatch_of(error, page.page, ".page") from None
        return {
            "page": rows,
            "isDone": page.is_done,
            "continueCursor": page.continue_cursor,
            "splitCursor": page.split_cursor,
            "pageStatus": page.page_status,
        }

    return structure, unstructure


# --- What a function without an annotation returns ------------------------------------------------


def unstructure_any(table: HookTable) -> Unstructure:
    """Make what turns any value into wire form, whatever it holds."""

    def part(step: str, value: object) -> object:
        try:
            return unstructure(value)
        except (Mismatch, InvalidValue) as error:
            raise mismatch_of(error, value, step) from None

    def unstructure(value: object) -> object:
        if isinstance(value, (Document, date, time)) or attrs.has(type(value)):
            return table.get_unstructure_hook(type(value))(value)
        if isinstance(value, (list, tuple)):
            items = cast("Sequence[object]", value)
            return [part(f"[{index}]", each) for index, each in enumerate(items)]
        if isinstance(value, Mapping):
            record = cast("Mapping[str, object]", value)
            check_field_names(record)
            return {str.__str__(name): part(f".{name}", each) for name, each in record.items()}
        return to_wire(value)

    return unstructure
