"""Whether stored documents fit another version's classes: only what has changed is looked at.

All documents fit the version in force, so a field whose type is as it was needs no look.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson
from attrs import define, field

from flow_backend.errors import InvalidValue
from flow_backend.functions.registry import BoundApp
from flow_backend.records import frozen
from flow_backend.schema.mismatch import Mismatch, Structure, shown
from flow_backend.schema.table import TableSpec
from flow_backend.values.encode import from_wire
from flow_backend.values.value import JsonValue

SHOWN: Final = 20
"""So many documents that do not fit are named; of the others there is the count."""

Fields = tuple[str, ...]


@frozen
class Misfit:
    """A document that does not fit.

    Attributes:
        path: the field in it, and what is inside of that: ``labels[2]``.
        reason: what is wrong there, and perhaps what to do.
    """

    table: str
    id: str
    path: str
    reason: str

    @property
    def text(self) -> str:
        """It all in a line."""
        return f'table "{self.table}", document {self.id}, {self.path}: {self.reason}'


@define
class Misfits:
    """What was found in many documents.

    Attributes:
        checked: how many were looked at.
        count: how many do not fit.
        first: some of them.
    """

    checked: int = 0
    count: int = 0
    first: list[Misfit] = field(factory=list[Misfit])

    def add(self, misfit: Misfit) -> None:
        """Note one."""
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(misfit)

    def take(self, other: "Misfits") -> None:
        """Take over what was found elsewhere."""
        self.checked += other.checked
        self.count += other.count
        self.first += other.first[: SHOWN - len(self.first)]


def fields_to_check(
    before: Mapping[str, TableSpec], after: Mapping[str, TableSpec]
) -> dict[str, Fields]:
    """Give the fields of each table that a stored document may not fit any more.

    A field that gets a default, and else stays as it is, needs no look. A table of which nothing
    is known from before is looked at as a whole.
    """
    wanted: dict[str, Fields] = {}
    for name, spec in after.items():
        old = before.get(name)
        if old is None:
            wanted[name] = tuple(spec.fields)
        elif old.fingerprint != spec.fingerprint:
            wanted[name] = tuple(
                each.name
                for each in spec.fields.values()
                if (was := old.fields.get(each.name)) is None
                or was.print != each.print
                or (was.has_default and not each.has_default)
            )
    return {name: fields for name, fields in wanted.items() if fields}


@define
class FitCheck:
    """Checks documents of one table."""

    table: str
    _fields: tuple[tuple[str, Structure, Any, bool], ...]

    @classmethod
    def of(cls, app: BoundApp, table: str, fields: Fields) -> "FitCheck":
        """Make what checks some fields by the annotations of a version."""
        types, specs = app.schema.types[table], app.schema.tables[table].fields
        structurer = app.types.structurer
        return cls(
            table,
            tuple(
                (name, structurer(types[name]), types[name], not specs[name].has_default)
                for name in fields
            ),
        )

    def run(self, rows: Iterable[tuple[str, bytes]]) -> Misfits:
        """Check documents: the id and the stored bytes of each."""
        misfits, check = Misfits(), self._misfit
        for ident, raw in rows:
            misfits.checked += 1
            if (misfit := check(ident, raw)) is not None:
                misfits.add(misfit)
        return misfits

    def _misfit(self, ident: str, raw: bytes) -> Misfit | None:
        document: dict[str, JsonValue] = orjson.loads(raw)
        for name, structure, annotation, required in self._fields:
            if name not in document:
                if required:
                    reason = "the field is required, and this document has none: give it a default"
                    return Misfit(self.table, ident, name, reason)
                continue
            try:
                structure(from_wire(document[name]), annotation)
            except Mismatch as error:
                reason = f"expected {error.expected}, has {shown(error.came)}"
                return Misfit(self.table, ident, name + error.path, reason)
            except InvalidValue as error:
                return Misfit(self.table, ident, name, str(error))
        return None


def check_rows(
    app: BoundApp, table: str, fields: Fields, rows: Iterator[tuple[str, bytes]]
) -> Misfits:
    """Check all rows of a table; in a thread or a process, for it takes its time."""
    return FitCheck.of(app, table, fields).run(rows)
