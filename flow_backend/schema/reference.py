"""References: what becomes of a document when the one that it points to is deleted."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, get_args

from flow_backend.errors import SchemaError
from flow_backend.records import frozen
from flow_backend.schema.table import IndexSpec, OnDelete, ReferenceSpec, TableSpec

_CHOICES: Final = get_args(OnDelete)


class Reference:
    """Says what a delete of the document that ``field`` points to does to this one.

    ``restrict`` refuses it, ``cascade`` deletes this document too, and ``null`` sets the field to
    null. An index that begins with the field finds the documents.

    Like an Index it has no annotation in the class body.
    """

    def __init__(self, field: str, *, on_delete: Literal["restrict", "cascade", "null"]) -> None:
        if on_delete not in _CHOICES:
            raise SchemaError(f"on_delete is one of {', '.join(_CHOICES)}, not {on_delete!r}")
        self.field = field
        self.on_delete: OnDelete = on_delete
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name


@frozen
class ReferenceDeclaration:
    """A reference as its class declares it."""

    name: str
    field: str
    on_delete: OnDelete


@frozen
class Referrer:
    """A table whose documents may point to those of another, and what finds them."""

    table: str
    reference: ReferenceSpec


def reference_specs(
    class_name: str,
    declared: Iterable[ReferenceDeclaration],
    types: Mapping[str, Any],
    targets: Mapping[str, str],
    indexes: Iterable[IndexSpec],
) -> tuple[ReferenceSpec, ...]:
    """Read the references of a class; ``targets`` are the tables that its fields point to.

    Raises: SchemaError that says what to change.
    """
    specs = dict[str, ReferenceSpec]()
    indexes = tuple(indexes)
    for each in declared:
        where, name = f"{class_name}.{each.name}", each.field
        if name not in types:
            raise SchemaError(
                f"{where}: the reference names the field {name!r}, which {class_name} does not "
                f"have; its fields are {', '.join(types)}"
            )
        target = targets.get(name)
        if target is None:
            raise SchemaError(
                f"{where}: the field {name!r} holds no id of a document: a reference is a field of "
                "type Id[X] or Id[X] | None"
            )
        if target.startswith("_"):
            raise SchemaError(
                f"{where}: {target!r} is a table of the server, which deletes what is in it by "
                "itself; leave the reference out"
            )
        if name in specs:
            raise SchemaError(f"{where}: the field {name!r} has two references; keep one")
        if each.on_delete == "null" and type(None) not in get_args(types[name]):
            raise SchemaError(
                f"{where}: on_delete='null' needs a field that can be null: annotate {name!r} as "
                "Id[…] | None"
            )
        index = next((index.name for index in indexes if index.fields[0] == name), None)
        if index is None:
            raise SchemaError(
                f"{where}: no index begins with {name!r}, so the documents that refer could not be "
                f'found; add by_{name} = Index("{name}")'
            )
        specs[name] = ReferenceSpec(name, target, each.on_delete, index)
    return tuple(specs.values())


def referrers_of(tables: Iterable[TableSpec]) -> Mapping[str, tuple[Referrer, ...]]:
    """Give for each table that is pointed to who does so by a declared reference."""
    found = dict[str, tuple[Referrer, ...]]()
    for table in tables:
        for reference in table.on_delete:
            known = found.get(reference.target, ())
            found[reference.target] = (*known, Referrer(table.name, reference))
    return found
