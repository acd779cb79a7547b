"""The schema of an app: its document classes, read into what storage must know."""

import hashlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import date, time
from types import NoneType
from typing import Any, Final, Literal, cast, get_args, get_origin

import attrs
import orjson
from attrs import field, frozen

from flow_backend.errors import InvalidValue, SchemaError
from flow_backend.schema.classes import is_document, resolved_fields, wire_fields
from flow_backend.schema.convert import TypeConverter
from flow_backend.schema.defaults import check_indexable, default_of, filling_of
from flow_backend.schema.document import Document, Instant
from flow_backend.schema.families import is_id, is_union, table_of_id
from flow_backend.schema.mismatch import Mismatch
from flow_backend.schema.plain_names import plain_names
from flow_backend.schema.reference import Referrer, reference_specs, referrers_of
from flow_backend.schema.search_specs import search_specs
from flow_backend.schema.system import SYSTEM_DOCUMENTS
from flow_backend.schema.table import ColumnKind, FieldSpec, IndexSpec, SqlShape, TableSpec
from flow_backend.values.encode import from_wire
from flow_backend.values.value import Int64, JsonValue

_IDENTIFIER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_RESERVED_INDEXES: Final = frozenset({"by_id", "by_creation_time"})
_MAX_INDEXES: Final = 64


@frozen
class Schema:
    """All tables of an app, its own first and then those that every app has.

    Attributes:
        documents: the class of each table.
        tables: what storage must know of each table.
        types: for each table the annotation of each field.
        referrers: for each table that is pointed to by declared references, by whom.
    """

    documents: Mapping[str, type[Document]] = field(factory=dict[str, type[Document]])
    tables: Mapping[str, TableSpec] = field(factory=dict[str, TableSpec])
    types: Mapping[str, Mapping[str, Any]] = field(factory=dict[str, Mapping[str, Any]])
    referrers: Mapping[str, tuple[Referrer, ...]] = field(factory=dict[str, tuple[Referrer, ...]])


def build_schema(classes: Iterable[type[Document]]) -> Schema:
    """Read document classes.

    Raises: SchemaError that names the class and says what to change.
    """
    documents: dict[str, type[Document]] = {}
    for cls in classes:
        table = cls.__table__
        if table in documents:
            raise SchemaError(
                f"{place_of(cls)}: {cls.__name__} and {documents[table].__name__} are both "
                f"table {table!r}; rename one"
            )
        try:
            _check_name(table, f"{cls.__name__}: the table name")
        except SchemaError as error:
            # Only now: to find the line of a class its whole file is parsed.
            raise SchemaError(f"{place_of(cls)}: {error}") from error
        documents[table] = cls
    documents |= {cls.__table__: cls for cls in SYSTEM_DOCUMENTS}
    converter = TypeConverter()
    tables: dict[str, TableSpec] = {}
    types: dict[str, Mapping[str, Any]] = {}
    for table, cls in documents.items():
        try:
            types[table] = dict(wire_fields(cls))
            tables[table] = _table_spec(cls, types[table], converter, documents)
        except (SchemaError, Mismatch, InvalidValue) as error:
            raise SchemaError(f"{place_of(cls)}: {error}") from error
        cls.__fill__ = _filler(cls, types[table], _defaults(tables[table]), converter)
    return Schema(documents, tables, types, referrers_of(tables.values()))


def prepare_document(cls: type[Document]) -> None:
    """Let a class decode documents in a program that has loaded no app, such as a client.

    Raises: SchemaError.
    """
    if "__fill__" in vars(cls):
        return
    converter = TypeConverter()
    types = dict(wire_fields(cls))
    defaults: dict[str, JsonValue] = {}
    for each in resolved_fields(cls):
        default = default_of(each, f"{cls.__name__}.{each.name}")
        if default is not attrs.NOTHING:
            defaults[each.name] = converter.to_wire(default, types[each.name])
    cls.__fill__ = _filler(cls, types, defaults, converter)


def place_of(cls: type) -> str:
    """Say where a class stands: ``file:line``."""
    try:
        # A version's modules have been unpacked somewhere: its author knows them by another path.
        loader = getattr(sys.modules.get(cls.__module__), "__loader__", None)
        file = getattr(loader, "shown_path", None) or inspect.getsourcefile(cls)
        return f"{file}:{inspect.getsourcelines(cls)[1]}"
    except (OSError, TypeError):  # It was made by a program, and has no source.
        return plain_names(cls.__module__)


def _check_name(name: str, what: str) -> None:
    if _IDENTIFIER.fullmatch(name) is None:
        raise SchemaError(
            f"{what} {name!r} must be 1 to 64 letters, digits and underscores, a letter first"
        )


def _table_spec(
    cls: type[Document],
    types: Mapping[str, Any],
    converter: TypeConverter,
    documents: Mapping[str, type[Document]],
) -> TableSpec:
    fields: dict[str, FieldSpec] = {}
    references: dict[str, str] = {}
    for each in attrs.fields(cast("Any", cls)):
        where = f"{cls.__name__}.{each.name}"
        if each.name.startswith("_") or each.name in {"id", "created"}:
            raise SchemaError(f"{where}: names with a leading underscore, id and created are taken")
        _check_name(each.name, f"{cls.__name__}: the field name")
        annotation = types[each.name]
        converter.check(annotation, where)
        default = default_of(each, where)
        wire = None if default is attrs.NOTHING else converter.to_wire(default, annotation)
        has_default = default is not attrs.NOTHING
        kind, shape = column_kind(annotation), sql_shape(annotation)
        fields[each.name] = FieldSpec(
            each.name,
            kind,
            has_default,
            wire,
            shape,
            _print_of(annotation),
            filling_of(annotation, converter.to_wire),
        )
        target = _reference(annotation)
        if target is not None:
            if target not in documents:
                raise SchemaError(f"{where}: points to table {target!r}, which is not in the app")
            references[each.name] = target
    indexes = _index_specs(cls, fields, types, converter)
    searches = search_specs(cls, types, {index.name for index in indexes}, converter.to_wire)
    on_delete = reference_specs(cls.__name__, cls.__references__, types, references, indexes)
    described = [(n, f.print, f.has_default, f.default) for n, f in sorted(fields.items())]
    fingerprint = hashlib.sha256(orjson.dumps(described)).hexdigest()[:16]
    return TableSpec(cls.__table__, fields, indexes, references, fingerprint, searches, on_delete)


def _print_of(annotation: Any) -> str:
    """Describe a type so that two descriptions differ if a stored value may read otherwise."""
    lines = [plain_names(repr(annotation))]
    seen, found = set[Any](), [annotation]
    while found:
        each = found.pop()
        found.extend(get_args(each))
        cls = get_origin(each) or each
        if not attrs.has(cls) or is_document(cls) or cls in seen:
            continue
        seen.add(cls)
        for part in resolved_fields(cls):
            default = default_of(part, f"{cls.__qualname__}.{part.name}")
            shown = "" if default is attrs.NOTHING else f" = {default!r}"
            name = f"{cls.__qualname__}.{part.alias or part.name}"
            lines.append(plain_names(f"{name}: {part.type!r}{shown}"))
            found.append(part.type)
    return "\n".join([lines[0], *sorted(lines[1:])])


def _reference(annotation: Any) -> str | None:
    """Give the table that a field points to, if it holds one id (or null)."""
    kinds = [kind for kind in _members(annotation) if kind is not NoneType]
    return table_of_id(kinds[0]) if len(kinds) == 1 and is_id(kinds[0]) else None


def _index_specs(
    cls: type[Document],
    fields: Mapping[str, FieldSpec],
    types: Mapping[str, Any],
    converter: TypeConverter,
) -> tuple[IndexSpec, ...]:
    seen: dict[tuple[str, ...], str] = {}
    specs: list[IndexSpec] = []
    for index in cls.__indexes__:
        where = f"{cls.__name__}.{index.name}"
        _check_name(index.name, f"{cls.__name__}: the index name")
        if index.name in _RESERVED_INDEXES:
            raise SchemaError(f"{where}: every table has this index already; choose another name")
        for name in index.fields:
            if name not in fields:
                raise SchemaError(
                    f"{where}: the index names the field {name!r}, which {cls.__name__} does not "
                    f"have; its fields are {', '.join(fields)}"
                )
            check_indexable(types[name], name, where, converter.to_wire)
        if index.fields in seen:
            raise SchemaError(f"{where}: has the same fields as {seen[index.fields]}; keep one")
        seen[index.fields] = index.name
        specs.append(IndexSpec(index.name, index.fields, index.unique))
    if len(specs) > _MAX_INDEXES:
        raise SchemaError(f"{cls.__name__}: has {len(specs)} indexes; {_MAX_INDEXES} is the most")
    return tuple(specs)


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if is_union(annotation) else (annotation,)


def column_kind(annotation: Any) -> ColumnKind:
    """Say how a field of this type is kept in a column: natively where SQL's order is ours."""
    kinds = {_column_kind_of_one(kind) for kind in _members(annotation) if kind is not NoneType}
    return kinds.pop() if len(kinds) == 1 and len(_distinct(annotation)) == 1 else ColumnKind.KEY


def _distinct(annotation: Any) -> set[Any]:
    return {kind for kind in _members(annotation) if kind is not NoneType}


def _column_kind_of_one(kind: Any) -> ColumnKind:
    if kind in {str, date, time} or is_id(kind):
        return ColumnKind.TEXT
    if get_origin(kind) is Literal and all(isinstance(each, str) for each in get_args(kind)):
        return ColumnKind.TEXT
    if kind in {int, bool, Int64}:
        return ColumnKind.INTEGER
    return ColumnKind.REAL if kind is Instant else ColumnKind.KEY


def sql_shape(annotation: Any) -> SqlShape:
    """Say what a field of this type is in the views for plain SQL."""
    shapes = {_sql_shape_of_one(kind) for kind in _distinct(annotation)}
    return shapes.pop() if len(shapes) == 1 else SqlShape.ANY


def _sql_shape_of_one(kind: Any) -> SqlShape:
    if _column_kind_of_one(kind) is ColumnKind.TEXT:
        return SqlShape.TEXT
    if kind is Int64:
        return SqlShape.INT64
    if kind in {int, bool}:
        return SqlShape.INTEGER
    if kind in {float, Instant}:
        return SqlShape.REAL
    return SqlShape.BYTES if kind is bytes else SqlShape.ANY


# --- Reading stored documents ---------------------------------------------------------------------

_PLAIN: Final = frozenset({str, bool, NoneType})
_KEPT_DOCUMENTS: Final = 2048
_KEPT_BYTES: Final = 4096


def _defaults(spec: TableSpec) -> dict[str, JsonValue]:
    return {name: each.default for name, each in spec.fields.items()}


def _filler(
    cls: type[Document],
    types: Mapping[str, Any],
    defaults: Mapping[str, JsonValue],
    converter: TypeConverter,
) -> Callable[[Document, bytes], None]:
    """Make what decodes a stored document into its slots; it was checked when it was written."""
    # The slots' own setters go past the frozen class, as object.__setattr__ does, and quicker.
    puts = [inspect.getattr_static(cls, name).__set__ for name in types]
    fields = [
        (name, _from_stored(kind, converter), defaults.get(name)) for name, kind in types.items()
    ]

    def decode(raw: bytes) -> tuple[object, ...]:
        wire = orjson.loads(raw)
        values: list[object] = []
        for name, convert, default in fields:
            # A row of an older schema lacks fields that came later.
            value = wire.get(name, default)
            values.append(value if convert is None else convert(value))
        return tuple(values)

    # Only values that nobody can change may be shared between calls.
    is_shared = all(_is_immutable(kind) for kind in types.values())
    recent = cls.__recent__

    def fill(document: Document, raw: bytes) -> None:
        for put, value in zip(puts, decode(raw), strict=True):
            put(document, value)
        if is_shared and len(raw) <= _KEPT_BYTES:
            if len(recent) >= _KEPT_DOCUMENTS:
                recent.clear()
            recent[raw] = document

    return fill


def _is_immutable(annotation: Any, within: tuple[Any, ...] = ()) -> bool:
    """Say whether no value of this type can be changed, nor anything in it.

    ``within`` are the classes that it is a part of: one may hold itself.
    """
    if is_union(annotation) or get_origin(annotation) is tuple:
        parts = [each for each in get_args(annotation) if each is not Ellipsis]
        return all(_is_immutable(each, within) for each in parts)
    if attrs.has(annotation):
        props = getattr(annotation, "__attrs_props__", None)
        if annotation in within or not props or not props.is_frozen:
            return annotation in within
        kinds = [each.type for each in resolved_fields(annotation)]
        return all(_is_immutable(kind, (*within, annotation)) for kind in kinds)
    return (
        _is_plain(annotation)
        or get_origin(annotation) is Literal
        or annotation in {int, float, bytes, Int64, Instant, date, time}
    )


def _from_stored(annotation: Any, converter: TypeConverter) -> Callable[[Any], object] | None:
    """Make what turns a field's stored JSON into its value; None if that is the value already."""
    if _is_plain(annotation):
        return None
    structure = converter.structurer(annotation)
    kinds = [kind for kind in _members(annotation) if kind is not NoneType]
    if kinds in ([Instant], [float]):
        # Only numbers that JSON lacks are written otherwise.
        return lambda wire: (
            wire if type(wire) is float or wire is None else structure(from_wire(wire), annotation)
        )
    if get_origin(annotation) in {tuple, list} and all(
        _is_plain(item) for item in get_args(annotation) if item is not Ellipsis
    ):
        return cast("Callable[[Any], object]", get_origin(annotation))
    return lambda wire: structure(from_wire(wire), annotation)


def _is_plain(annotation: Any) -> bool:
    """Say whether JSON gives a value of this type already; an id is a string then, and is one."""
    return all(kind in _PLAIN or is_id(kind) for kind in _members(annotation))
