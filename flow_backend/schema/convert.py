"""Annotations are the contract: values are checked and converted at the boundary, both ways.

*Structuring* takes decoded values (see the values specification) to what the annotation says;
*unstructuring* takes them to wire form, and checks as well, since what a function returns may be
wrong too. Documents that were only read become fragments of their bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin

import attrs
from attrs import define, field

from flow_backend.errors import SchemaError
from flow_backend.schema import classes, families
from flow_backend.schema.classes import ObjectField, wire_fields
from flow_backend.schema.document import Document, Id
from flow_backend.schema.families import is_id, is_union, name_of, table_of_id
from flow_backend.schema.hook_table import HookTable
from flow_backend.schema.hooks import number_hooks, simple_hooks, structure_any
from flow_backend.schema.mismatch import Hooks, Mismatch, Structure, Unstructure, mismatch_of, shown
from flow_backend.schema.pages import PaginationOptions
from flow_backend.values.value import Value

__all__ = [
    "Mismatch",
    "TypeConverter",
    "is_id",
    "is_union",
    "name_of",
    "shown",
    "table_of_id",
    "wire_fields",
]


@define
class TypeConverter:
    """Converts between decoded values, annotated Python, and wire form.

    ``numbers`` gives the table number of each table's ids; without it ids are only looked at in
    form. ``document_of_result`` makes what a document in a result becomes. ``any_number`` takes a
    float for an int64 and an int64 for a float where they are equal: files that people make do not
    tell them apart.
    """

    numbers: dict[str, int] = field(factory=dict[str, int])
    document_of_result: Callable[[type[Document]], Structure] = classes.structure_document
    any_number: bool = False
    _table: HookTable = field(init=False)
    _results: HookTable = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._table = _table_of(self.numbers, classes.refuse_document)
        for annotation, hooks in number_hooks().items() if self.any_number else ():
            self._table.register(annotation, hooks)
        self._results = _table_of(self.numbers, self.document_of_result)

    def structure(self, value: Value, annotation: Any) -> Any:
        """Check and convert a decoded value.

        Raises: Mismatch with the path of the first thing that does not fit.
        """
        try:
            return self.structurer(annotation)(value, annotation)
        except Mismatch:
            raise
        except Exception as error:
            raise mismatch_of(error, value, "") from None

    def structure_result(self, value: Value, annotation: Any) -> Any:
        """Convert a result that this server encoded: documents in it are documents again."""
        return self._results.get_structure_hook(annotation)(value, annotation)

    def to_wire(self, value: object, annotation: Any) -> Any:
        """Check a value and give its wire form, in which documents may be ``orjson.Fragment``.

        Raises: Mismatch, InvalidValue.
        """
        return self.unstructurer(annotation)(value)

    def structurer(self, annotation: Any) -> Structure:
        """Give the function that :meth:`structure` would use, to be kept."""
        return self._table.get_structure_hook(annotation)

    def unstructurer(self, annotation: Any) -> Unstructure:
        """Give the function that :meth:`to_wire` would use, to be kept."""
        return self._table.get_unstructure_hook(annotation)

    def structurer_of_fields(self, fields: Sequence[ObjectField]) -> Structure:
        """Make what checks an object with these fields and gives them as keywords."""
        return classes.structure_fields(self._table, fields, "an object with the arguments")

    def check(self, annotation: Any, where: str, *, argument: bool = True) -> None:
        """Make sure that values of this type can go on the wire.

        Raises: SchemaError that names ``where``, what cannot, and what to write instead.
        """
        try:
            if argument:
                self.structurer(annotation)
                _refuse_documents(annotation)
            self.unstructurer(annotation)
        except Exception as error:
            raise SchemaError(
                f"{where}: values of type {name_of(annotation)} cannot go on the wire: {error}"
            ) from error


def _refuse_documents(annotation: Any) -> None:
    cls = classes.document_in(annotation)
    if cls is not None:
        name = cls.__name__
        raise SchemaError(
            f"{name} is a document, which is passed and stored by its id; use Id[{name}], and "
            "ctx.db.get to read it"
        )


def _table_of(
    numbers: Mapping[str, int], document: Callable[[type[Document]], Structure]
) -> HookTable:
    """Make the table of exactly the types that go on the wire.

    ``document`` makes what a document among decoded values becomes.
    """
    table = HookTable()
    family = table.register_family

    def pair(fits: Callable[[Any], bool], hooks: Callable[[Any], Hooks]) -> None:
        family(fits, lambda t: hooks(t)[0], lambda t: hooks(t)[1])

    # Documents, pages and their options are attrs classes, too: the last that fits decides.
    family(
        lambda t: attrs.has(get_origin(t) or t),
        lambda t: classes.structure_class(table, t),
        lambda t: classes.unstructure_class(table, t),
    )
    family(
        classes.is_document,
        document,
        lambda t: classes.unstructure_document(table, t),
    )
    family(
        lambda t: t is PaginationOptions,
        lambda _: classes.structure_options(table),
        lambda _: classes.unstructure_options,
    )
    family(
        lambda t: get_origin(t) is Annotated,
        lambda t: table.get_structure_hook(get_args(t)[0]),
        lambda t: table.get_unstructure_hook(get_args(t)[0]),
    )
    pair(classes.is_page, lambda t: classes.page_hooks(table, t))
    pair(families.is_record, lambda t: families.record_hooks(table, t))
    pair(families.is_sequence, lambda t: families.sequence_hooks(table, t))
    pair(families.is_literal, families.literal_hooks)
    pair(families.is_union, lambda t: families.union_hooks(table, t))
    pair(is_id, lambda t: families.id_hooks(numbers, t))

    anything = (structure_any, classes.unstructure_any(table))
    of_any_table = families.id_hooks(numbers, Id)  # Id is a class, and one of strings.
    single = {**simple_hooks(), Any: anything, object: anything, Id: of_any_table}
    for annotation, hooks in single.items():
        table.register(annotation, hooks)
    return table
