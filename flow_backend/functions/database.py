"""``ctx.db``: documents as functions read and write them."""

from random import Random
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar, cast

from attrs import define, field, frozen

from flow_backend.errors import (
    DocumentError,
    InvalidCall,
    InvalidId,
    InvalidRange,
    InvalidValue,
)
from flow_backend.functions.limits import Budget
from flow_backend.functions.pagination import paginate
from flow_backend.functions.read_set import ReadRange, ReadSet, just
from flow_backend.functions.registry import BoundApp
from flow_backend.schema.convert import Mismatch
from flow_backend.schema.document import Document, Id, stored
from flow_backend.schema.ids import encode_id, new_internal_id, table_number_of
from flow_backend.schema.index import BoundIndex, KeyRange
from flow_backend.schema.pages import Page, PaginationOptions
from flow_backend.schema.table import BY_CREATION_TIME, TableSpec
from flow_backend.storage.base import (
    IndexBounds,
    Position,
    Reader,
    StoredRow,
    TableName,
    Transaction,
)
from flow_backend.storage.keys import bounds_range, position_key, position_of
from flow_backend.values.order import sort_key
from flow_backend.values.sizes import check_document, size_of
from flow_backend.values.value import JsonValue

D = TypeVar("D", bound=Document)
T = TypeVar("T")

_MS_A_DAY = 86_400_000


@define
class OpenScan:
    """How far one scan was consumed; its read range follows from that."""

    spec: TableSpec
    bounds: IndexBounds
    descending: bool
    last: StoredRow | None = None
    exhausted: bool = False

    def read_range(self) -> ReadRange | None:
        """Give the keys that the scan depends on: up to the last row consumed, or all of them."""
        start, stop = bounds_range(self.spec, self.bounds, self.descending)
        number = _index_number(self.spec, self.bounds.index)
        if not self.exhausted:
            if self.last is None:
                return None
            key = position_key(position_of(self.spec, self.bounds.index, self.last))
            if self.descending:
                start = key
            else:
                stop = key + b"\x00"
        if stop is not None and stop <= start:
            return None
        return ReadRange(number, start, stop)


def _index_number(spec: TableSpec, index: str) -> int:
    for number, each in enumerate(spec.all_indexes):
        if each.name == index:
            return number
    raise InvalidRange(f"table {spec.name!r} has no index {index!r}")


@define
class Reads:
    """What one call and those nested in it have read. A mutation needs none: it is serial."""

    scans: list[OpenScan] = field(factory=list[OpenScan])
    ids: dict[tuple[TableName, str], None] = field(factory=dict[tuple[TableName, str], None])

    def read_set(self) -> ReadSet:
        """Give the ranges, by table."""
        found: dict[TableName, dict[ReadRange, None]] = {}
        for table, ident in self.ids:
            found.setdefault(table, {})[just(0, sort_key(ident))] = None
        for scan in self.scans:
            reads = scan.read_range()
            if reads is not None:
                found.setdefault(scan.bounds.table, {})[reads] = None
        return {table: tuple(ranges) for table, ranges in found.items()}


@frozen
class Scan(Generic[D]):
    """Documents in the order of an index. It reads no further than it is consumed.

    Only what was consumed is depended on: a live query that took the first three is not run again
    for a fourth.
    """

    _db: "Database"
    _cls: type[D]
    _bounds: IndexBounds
    _descending: bool = False
    _predicates: tuple[Callable[[D], bool], ...] = ()

    def desc(self) -> "Scan[D]":
        """Give the same documents, the last one first."""
        return Scan(self._db, self._cls, self._bounds, not self._descending, self._predicates)

    def filter(self, predicate: Callable[[D], bool]) -> "Scan[D]":
        """Leave out what does not fit. What was looked at counts as read all the same."""
        predicates = (*self._predicates, predicate)
        return Scan(self._db, self._cls, self._bounds, self._descending, predicates)

    def __iter__(self) -> Iterator[D]:
        predicates = self._predicates
        for row in self.rows():
            document = stored(self._cls, row[1], row[2], row[3], row[4])
            if all(fits(document) for fits in predicates):
                yield document

    def rows(self, bounds: IndexBounds | None = None) -> Iterator[StoredRow]:
        """Give the rows as storage has them, counted and recorded."""
        db = self._db
        wanted = bounds or self._bounds
        db.budget.open_range()
        opened = OpenScan(db.spec(wanted.table), wanted, self._descending)
        if db.reads is not None:
            db.reads.scans.append(opened)
        read = db.budget.read
        for row in db.reader.scan(wanted, descending=self._descending):
            # Before the row is handed out, so that whoever stops now has consumed it.
            opened.last = row
            read(1, len(row[3]))
            yield row
        opened.exhausted = True

    def collect(self) -> list[D]:
        """Give all documents."""
        return list(self)

    def take(self, count: int) -> list[D]:
        """Give the first ``count``, or fewer if there are not that many."""
        if count < 0:
            raise InvalidRange(f"take({count}): the number of documents cannot be negative")
        taken: list[D] = []
        if count:
            for document in self:
                taken.append(document)
                if len(taken) == count:
                    break
        return taken

    def first(self) -> D | None:
        """Give the first document, or None."""
        return next(iter(self), None)

    def unique(self) -> D | None:
        """Give the only document, or None.

        Raises: DocumentError if there are two.
        """
        found = self.take(2)
        if len(found) > 1:
            raise DocumentError(
                f"unique() query returned more than one result from table {self._bounds.table}: "
                f"{found[0].id}, {found[1].id}"
            )
        return found[0] if found else None

    def paginate(self, options: PaginationOptions) -> Page[D]:
        """Give one page. A live query's page keeps its end while rows come and go inside it.

        Raises: InvalidCall for a second page in one call; InvalidCursorError, InvalidRange.
        """
        pages = self._db.pages
        if pages.used:
            raise InvalidCall("a function can read only one page: call paginate() once")
        pages.used = True
        page, pages.journal = paginate(self, options, pages.journal)
        return page

    @property
    def bounds(self) -> IndexBounds:
        """What is scanned."""
        return self._bounds

    @property
    def descending(self) -> bool:
        """Whether the last one comes first."""
        return self._descending

    @property
    def db(self) -> "Database":
        """Where it is scanned."""
        return self._db

    def admits(self, row: StoredRow) -> D | None:
        """Give the row's document if no filter leaves it out."""
        document = stored(self._cls, row[1], row[2], row[3], row[4])
        return document if all(fits(document) for fits in self._predicates) else None

    @property
    def is_filtered(self) -> bool:
        """Whether rows may be left out."""
        return bool(self._predicates)


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
        table, cls = self._class_of(id)
        row = self._row(table, id)
        return None if row is None else cast("D", stored(cls, row[1], row[2], row[3], row[4]))

    def scan(self, keys: KeyRange[D] | BoundIndex[D] | type[D], /) -> Scan[D]:
        """Give documents in index order.

        ``Task.by_board[board]`` is a part of an index, ``Task.by_due`` all of it, and ``Task`` the
        whole table by creation time.
        """
        if isinstance(keys, BoundIndex):
            keys = KeyRange(keys.document, keys.index)
        if isinstance(keys, KeyRange):
            return Scan(self, keys.document, self._bounds(keys))
        return Scan(self, keys, IndexBounds(TableName(keys.__table__), BY_CREATION_TIME))

    def normalize_id(self, cls: type[D], text: str) -> Id[D] | None:
        """Give the text as an id if it is one of this class's table, else None."""
        try:
            number = table_number_of(text)
        except InvalidId:
            return None
        return Id(text) if self.app.table_numbers.get(cls.__table__) == number else None

    def _class_of(self, ident: str) -> tuple[TableName, type[Document]]:
        name = self.app.table_names.get(table_number_of(ident))
        cls = None if name is None else self.app.schema.documents.get(name)
        if name is None or cls is None:
            raise InvalidId(f"the id {ident!r} belongs to no table of this app")
        return TableName(name), cls

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
        spec = next(each for each in self.spec(table).indexes if each.name == keys.index)
        types = self.app.schema.types[table]

        def wire(values: tuple[object, ...], at: int) -> Position:
            return tuple(
                self._wire(table, name, types[name], value)
                for name, value in zip(spec.fields[at:], values, strict=False)
            )

        after = len(keys.prefix)
        return IndexBounds(
            table, keys.index, wire(keys.prefix, 0), wire(keys.start, after), wire(keys.stop, after)
        )

    def _wire(self, table: str, name: str, annotation: Any, value: object) -> JsonValue:
        try:
            return cast("JsonValue", self.app.types.to_wire(value, annotation))
        except (Mismatch, InvalidValue) as error:
            raise InvalidRange(f"{table}.{name}: {error}") from None


@define
class WritableDatabase(Database):
    """Reads and writes documents in a mutation's transaction."""

    transaction: Transaction = field(kw_only=True)
    random: Random = field(kw_only=True)

    def insert(self, document: D, /) -> Id[D]:
        """Add a document; it gets an id and a creation time.

        Raises: DocumentError if it does not fit its schema, points to a document that does not
            exist, or has a key that a unique index holds already.
        """
        table = TableName(type(document).__table__)
        names = self.app.schema.types[table]
        fields = {name: self._field(table, name, getattr(document, name)) for name in names}
        self._check(table, fields, fields)
        ident = encode_id(
            self.transaction.table_number(table),
            new_internal_id(self.random, int(self.transaction.now_ms // _MS_A_DAY)),
        )
        created = self.transaction.next_creation_time()
        whole = {"_id": ident, "_creationTime": created, **fields}
        self.transaction.insert(table, ident, whole)
        return Id(ident)

    def patch(self, id: Id[Any], /, **changes: object) -> None:
        """Put new values in the place of some fields.

        Raises: DocumentError if there is no such document or field, or a value does not fit.
        """
        table, cls = self._class_of(id)
        row = self._existing("Update", table, id)
        changed: dict[str, JsonValue] = {}
        for name, value in changes.items():
            if name not in self.app.schema.types[table]:
                raise DocumentError(
                    f"{cls.__name__} has no field {name!r}; "
                    f"it has {', '.join(self.app.schema.types[table])}"
                )
            changed[name] = self._field(table, name, value)
        self._write(table, row, changed)

    def replace(self, id: Id[D], document: D, /) -> None:
        """Put a document in the place of another; id and creation time stay.

        Raises: DocumentError if there is no such document, or the new one does not fit.
        """
        table, cls = self._class_of(id)
        if type(document) is not cls:
            raise DocumentError(
                f"a {type(document).__name__} cannot take the place of a {cls.__name__}"
            )
        row = self._existing("Replace", table, id)
        names = self.app.schema.types[table]
        fields = {name: self._field(table, name, getattr(document, name)) for name in names}
        self._write(table, row, fields)

    def delete(self, id: Id[Any], /) -> None:
        """Remove a document.

        Raises: DocumentError if there is none.
        """
        table, _ = self._class_of(id)
        row = self._existing("Delete", table, id)
        self.budget.write(len(row[3]))
        self.transaction.delete(table, row)

    def _existing(self, what: str, table: TableName, ident: str) -> StoredRow:
        row = self._row(table, ident)
        if row is None:
            raise DocumentError(f"{what} on nonexistent document ID {ident} in table {table}")
        return row

    def _write(self, table: TableName, row: StoredRow, changed: dict[str, JsonValue]) -> None:
        before = self.spec(table).read(row[3])
        fields = {**before, **changed}
        self._check(table, fields, changed)
        if fields == before and row[4]:
            self.budget.write(0)
            return  # Nothing is new: no write, no live query to run again.
        self.transaction.replace(table, row, fields)

    def _field(self, table: str, name: str, value: object) -> JsonValue:
        try:
            return cast(
                "JsonValue", self.app.types.to_wire(value, self.app.schema.types[table][name])
            )
        except (Mismatch, InvalidValue) as error:
            raise DocumentError(
                f'Failed to insert or update a document in table "{table}" because it does not '
                f"match the schema: .{name}: {error}"
            ) from None

    def _check(
        self, table: TableName, fields: dict[str, JsonValue], changed: dict[str, JsonValue]
    ) -> None:
        """Check size and references; only what changed can point to what does not exist."""
        content = {name: value for name, value in fields.items() if not name.startswith("_")}
        try:
            check_document(cast("Any", content))
        except InvalidValue as error:
            raise DocumentError(f'A document of table "{table}": {error}') from None
        self.budget.write(size_of(cast("Any", content)))
        for name, target in self.spec(table).references.items():
            value = changed.get(name)
            if isinstance(value, str) and self._row(TableName(target), value) is None:
                raise DocumentError(
                    f'{table}.{name}: there is no document {value} in table "{target}"'
                )
