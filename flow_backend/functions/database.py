"""``ctx.db``: documents as functions read and write them."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar, cast

import orjson
from attrs import define, field

from flow_backend.errors import DocumentError, InvalidId, InvalidRange, InvalidValue
from flow_backend.functions.budget import Budget
from flow_backend.functions.deletion import Deletion
from flow_backend.functions.reads import Reads
from flow_backend.functions.registry import BoundApp
from flow_backend.functions.scan import Scan
from flow_backend.functions.search import Search, check_within, read_of, search_bounds
from flow_backend.functions.seed import Seed
from flow_backend.schema.document import Document, Id, stored_row
from flow_backend.schema.families import number_of_id
from flow_backend.schema.ids import encode_id
from flow_backend.schema.index import BoundIndex, KeyRange
from flow_backend.schema.mismatch import Mismatch, mismatch_of
from flow_backend.schema.search_index import BoundSearch
from flow_backend.schema.table import BY_CREATION_TIME, TableSpec
from flow_backend.storage.base import (
    IndexBounds,
    Position,
    Reader,
    SearchBounds,
    StoredRow,
    TableName,
    Transaction,
)
from flow_backend.values.encode import from_wire
from flow_backend.values.sizes import DOCUMENT_BYTES_MAX, check_document
from flow_backend.values.value import JsonValue

D = TypeVar("D", bound=Document)

_MS_A_DAY: Final = 86_400_000
_SYSTEM_FIELDS_BYTES: Final = 61
"""What ``_id`` and ``_creationTime`` add to a document that has them not yet."""


@define
class Pages:
    """The journal of a call: before, the end of the page of the last run; after, that of this."""

    journal: str | None = None
    used: bool = False


@define
class Database:
    """Reads documents at one timestamp. Mutations have a :class:`WritableDatabase`."""

    app: BoundApp
    reader: Reader
    budget: Budget
    reads: Reads | None = None
    pages: Pages = field(factory=Pages)

    def spec(self, table: TableName) -> TableSpec:
        """Give what is known of a table."""
        return self.app.schema.tables[table]

    def get(self, id: Id[D], /) -> D | None:
        """Give the document, or None if there is none (any more).

        Raises: InvalidId if this is no id of a table of the app.
        """
        table, cls = self.app.place_of_id(id)
        row = self._row(table, id)
        return None if row is None else cast("D", stored_row(cls, row))

    def scan(self, keys: KeyRange[D] | BoundIndex[D] | type[D], /) -> Scan[D]:
        """Give documents in index order.

        ``Task.by_board[board]`` is a part of an index, ``Task.by_due`` all of it, and ``Task`` the
        whole table by creation time.
        """
        if isinstance(keys, BoundIndex):
            keys = KeyRange(keys.document, keys.index)
        if isinstance(keys, KeyRange):
            return Scan(self, self._bounds(keys), False, keys.document)
        bounds = IndexBounds(TableName(keys.__table__), BY_CREATION_TIME)
        return Scan(self, bounds, False, keys)

    def search(self, index: BoundSearch[D], text: str, /, **within: object) -> Search[D]:
        """Give the documents that have all words of a text, the best first.

        ``ctx.db.search(Task.text, "milk bre", board=board)``: the last word may be the beginning of
        one. ``within`` are values of the fields that the index names as ``within``.

        Raises: InvalidSearch for a text of too many words, or a field that is not named there.
        """
        table = TableName(index.document.__table__)
        spec = self.spec(table)
        [search] = [each for each in spec.searches if each.name == index.index]
        check_within(table, search, within)
        values = self._wire(table, tuple(within), tuple(within.values()))
        bounds = search_bounds(table, search, text, dict(zip(within, values, strict=True)))
        return Search(self, bounds, index.document, search)

    def search_rows(self, bounds: SearchBounds, count: int) -> Sequence[StoredRow]:
        """Read what a search finds, counted and recorded."""
        self.budget.open_range()
        if self.reads is not None:
            self.reads.searches.append((bounds.table, read_of(self.spec(bounds.table), bounds)))
        rows = self.reader.search(bounds, count)
        for row in rows:
            self.budget.read(1, len(row[3]))
        return rows

    def normalize_id(self, cls: type[D], text: str) -> Id[D] | None:
        """Give the text as an id if it is one of this class's table, else None."""
        try:
            number = number_of_id(text)
        except InvalidId:
            return None
        return Id(text) if self.app.table_numbers.get(cls.__table__) == number else None

    def _row(self, table: TableName, ident: str) -> StoredRow | None:
        self.budget.open_range()
        if self.reads is not None:
            self.reads.ids[table, ident] = None
        row = self.reader.get(table, ident)
        if row is not None:
            self.budget.read(1, len(row[3]))
        return row

    def _bounds(self, keys: KeyRange[Any]) -> IndexBounds:
        table = TableName(keys.document.__table__)
        fields = self.app.index_fields[table, keys.index]
        ranged = fields[len(keys.prefix) :]
        return IndexBounds(
            table,
            keys.index,
            self._wire(table, fields, keys.prefix) if keys.prefix else (),
            self._wire(table, ranged, keys.start) if keys.start else (),
            self._wire(table, ranged, keys.stop) if keys.stop else (),
        )

    def _wire(self, table: str, fields: tuple[str, ...], values: tuple[object, ...]) -> Position:
        writers = self.app.writers[table]
        try:
            return tuple(
                [writers[name](value) for name, value in zip(fields, values, strict=False)]
            )
        except (Mismatch, InvalidValue) as error:
            raise InvalidRange(f"{table}: {error}") from None


@define
class WritableDatabase(Database):
    """Reads and writes documents in a mutation's transaction."""

    transaction: Transaction = field(kw_only=True)
    seed: Seed = field(kw_only=True)

    def insert(self, document: D, /) -> Id[D]:
        """Add a document; it gets an id and a creation time.

        Raises: DocumentError if it does not fit its schema, points to a document that does not
            exist, or has a key that a unique index holds already.
        """
        table = TableName(type(document).__table__)
        if table[0] == "_":
            raise _read_only(table)
        transaction = self.transaction
        fields = self._fields(table, document)
        self._check(table, fields, fields)
        day = int(transaction.now_ms // _MS_A_DAY)
        ident = encode_id(transaction.table_number(table), self.seed.internal_id(day))
        fields["_id"] = ident
        fields["_creationTime"] = transaction.next_creation_time()
        transaction.insert(table, ident, fields)
        return Id(ident)

    def patch(self, id: Id[Any], /, **changes: object) -> None:
        """Put new values in the place of some fields.

        Raises: DocumentError if there is no such document or field, or a value does not fit.
        """
        table, cls = self._place(id)
        row = self._existing("Update", table, id)
        writers = self.app.writers[table]
        changed: dict[str, JsonValue] = {}
        for name, value in changes.items():
            if name not in writers:
                raise DocumentError(
                    f"{cls.__name__} has no field {name!r}; it has {', '.join(writers)}"
                )
            changed[name] = self._field(table, name, value)
        self.write_row(table, row, changed)

    def replace(self, id: Id[D], document: D, /) -> None:
        """Put a document in the place of another; id and creation time stay.

        Raises: DocumentError if there is no such document, or the new one does not fit.
        """
        table, cls = self._place(id)
        if type(document) is not cls:
            raise DocumentError(
                f"a {type(document).__name__} cannot take the place of a {cls.__name__}"
            )
        row = self._existing("Replace", table, id)
        self.write_row(table, row, self._fields(table, document))

    def delete(self, id: Id[Any], /) -> None:
        """Remove a document, and do what the references to it say: see ``Reference``.

        Raises: DocumentError if there is none; StillReferenced if a reference restricts.
        """
        table, _ = self._place(id)
        Deletion(self).delete(table, self._existing("Delete", table, id))

    def delete_row(self, table: TableName, row: StoredRow) -> None:
        """Remove a row that was just read, and nothing else."""
        self.budget.write(len(row[3]))
        self.transaction.delete(table, row)

    def _place(self, ident: str) -> tuple[TableName, type[Document]]:
        """Give the table and the class of what is to be written."""
        place = self.app.place_of_id(ident)
        if place[0][0] == "_":
            raise _read_only(place[0])
        return place

    def _existing(self, what: str, table: TableName, ident: str) -> StoredRow:
        row = self._row(table, ident)
        if row is None:
            raise DocumentError(f"{what} on nonexistent document ID {ident} in table {table}")
        return row

    def write_row(self, table: TableName, row: StoredRow, changed: dict[str, JsonValue]) -> None:
        """Put new values in wire form into a row that was just read."""
        # What is of today's schema has all its fields.
        fields: dict[str, JsonValue] = (
            orjson.loads(row[3]) if row[4] else self.spec(table).read(row[3])
        )
        fields.update(changed)
        encoded = self._check(table, fields, changed)
        if encoded == row[3]:
            return  # Nothing is new: no write, no live query to run again.
        self.transaction.replace(table, row, fields, encoded)

    def _fields(self, table: TableName, document: Document) -> dict[str, JsonValue]:
        return {
            name: self._field(table, name, getattr(document, name))
            for name in self.app.writers[table]
        }

    def _field(self, table: str, name: str, value: object) -> JsonValue:
        try:
            return cast("JsonValue", self.app.writers[table][name](value))
        except (Mismatch, InvalidValue) as error:
            raise DocumentError(
                f'Failed to insert or update a document in table "{table}" because it does not '
                f"match the schema: {mismatch_of(error, value, f'.{name}')}"
            ) from None

    def _check(
        self, table: TableName, fields: dict[str, JsonValue], changed: dict[str, JsonValue]
    ) -> bytes:
        """Check size, nesting and references of a document, and encode it.

        Only what changed can point to what does not exist, or be nested too deep.
        """
        encoded = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
        if _may_be_too_large(encoded) or not all(map(_is_shallow, changed.values())):
            content = cast("dict[str, object]", from_wire(cast("JsonValue", fields)))
            try:
                check_document(content)
            except InvalidValue as error:
                raise DocumentError(f'A document of table "{table}": {error}') from None
        self.budget.write(len(encoded))
        references = self.app.schema.tables[table].references
        for name, value in changed.items():
            target = references.get(name)
            if target is None or not isinstance(value, str):
                continue
            if self._row(TableName(target), value) is None:
                raise DocumentError(
                    f'{table}.{name}: there is no document {value} in table "{target}"'
                )
        return encoded


def _read_only(table: TableName) -> DocumentError:
    return DocumentError(
        f'the table "{table}" is the server\'s: it can be read, and only the server writes it. '
        "Functions are scheduled and canceled with ctx.scheduler."
    )


def _may_be_too_large(encoded: bytes) -> bool:
    """Say whether a document must be measured.

    No value measures more than three times its JSON: a number in an array, 9 for the 4 of ``1.0,``,
    comes nearest.
    """
    return (len(encoded) + _SYSTEM_FIELDS_BYTES) * 3 > DOCUMENT_BYTES_MAX


def _is_shallow(value: JsonValue) -> bool:
    """Say whether a field is a scalar, or an array of those: far from too deep."""
    if isinstance(value, list):
        return not any(isinstance(item, (list, dict)) for item in value)
    return not isinstance(value, dict)
