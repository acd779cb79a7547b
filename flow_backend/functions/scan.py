"""Scans: documents in the order of an index, read no further than they are consumed."""

from __future__ import annotations

from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from flow_backend.errors import DocumentError, InvalidCall, InvalidRange
from flow_backend.functions.limits import Interrupted
from flow_backend.functions.pagination import paginate
from flow_backend.functions.reads import OpenScan
from flow_backend.records import frozen
from flow_backend.schema.document import Document, stored_row, stored_rows
from flow_backend.storage.base import IndexBounds, InterruptedRead, StoredRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flow_backend.functions.database import Database
    from flow_backend.schema.pages import Page, PaginationOptions

D = TypeVar("D", bound=Document)

_FIRST_ROWS: Final = 64
"""How many rows are taken from storage before they are counted: at 1 MiB each no danger yet."""

_MORE_ROWS: Final = 1024
_SMALL_BYTES: Final = 64 * 1024
"""Once rows have turned out to be this small together, more are taken at once."""

_bytes_of: Final = itemgetter(3)


@frozen
class Scan(Generic[D]):
    """Documents in the order of an index. It reads no further than it is consumed.

    Only what was consumed is depended on: a live query that took the first three is not run again
    for a fourth.
    """

    db: Database
    bounds: IndexBounds
    descending: bool
    _cls: type[D]
    _predicates: tuple[Callable[[D], bool], ...] = ()

    def desc(self) -> Scan[D]:
        """Give the same documents, the last one first."""
        return Scan(self.db, self.bounds, not self.descending, self._cls, self._predicates)

    def filter(self, predicate: Callable[[D], bool]) -> Scan[D]:
        """Leave out what does not fit. What was looked at counts as read all the same."""
        predicates = (*self._predicates, predicate)
        return Scan(self.db, self.bounds, self.descending, self._cls, predicates)

    @property
    def is_filtered(self) -> bool:
        """Whether rows may be left out."""
        return bool(self._predicates)

    def __iter__(self) -> Iterator[D]:
        if self._predicates:
            for row in self.rows():
                document = self.admits(row)
                if document is not None:
                    yield document
            return
        # As rows() does, in one generator for two: most scans are not filtered.
        opened, rows = self._open(self.bounds)
        read, cls = self.db.budget.read, self._cls
        try:
            for row in rows:
                opened.last = row
                read(1, len(row[3]))
                yield stored_row(cls, row)
        except (Interrupted, InterruptedRead):
            opened.exhausted = True
            raise
        opened.exhausted = True

    def admits(self, row: StoredRow) -> D | None:
        """Give the row's document if no filter leaves it out."""
        document = stored_row(self._cls, row)
        for fits in self._predicates:
            if not fits(document):
                return None
        return document

    def rows(self, bounds: IndexBounds | None = None) -> Iterator[StoredRow]:
        """Give the rows as storage has them, counted and recorded."""
        opened, rows = self._open(bounds or self.bounds)
        read = self.db.budget.read
        try:
            for row in rows:
                # Before the row is handed out, so that whoever stops now has consumed it.
                opened.last = row
                read(1, len(row[3]))
                yield row
        except (Interrupted, InterruptedRead):
            # How far it came is not known, so that it depends on all.
            opened.exhausted = True
            raise
        opened.exhausted = True

    def collect(self) -> list[D]:
        """Give all documents."""
        return list(self) if self._predicates else stored_rows(self._cls, self._rows(None))

    def take(self, count: int) -> list[D]:
        """Give the first ``count``, or fewer if there are not that many."""
        if count < 0:
            raise InvalidRange(f"take({count}): the number of documents cannot be negative")
        if not count:
            return []
        if self._predicates:
            return list(islice(self, count))
        return stored_rows(self._cls, self._rows(count))

    def first(self) -> D | None:
        """Give the first document, or None."""
        found = self.take(1)
        return found[0] if found else None

    def unique(self) -> D | None:
        """Give the only document, or None.

        Raises: DocumentError if there are two.
        """
        found = self.take(2)
        if len(found) > 1:
            raise DocumentError(
                f"unique() query returned more than one result from table {self.bounds.table}: "
                f"{found[0].id}, {found[1].id}"
            )
        return found[0] if found else None

    def paginate(self, options: PaginationOptions) -> Page[D]:
        """Give one page. A live query's page keeps its end while rows come and go inside it.

        Raises: InvalidCall for a second page in one call; InvalidCursorError, InvalidRange.
        """
        pages = self.db.pages
        if pages.used:
            raise InvalidCall("a function can read only one page: call paginate() once")
        pages.used = True
        page, pages.journal = paginate(self, options, pages.journal)
        return page

    def _open(self, bounds: IndexBounds) -> tuple[OpenScan, Iterator[StoredRow]]:
        db = self.db
        db.budget.open_range()
        opened = OpenScan(db.spec(bounds.table), bounds, self.descending)
        rows = db.reader.scan(bounds, descending=self.descending)
        if db.reads is not None:
            db.reads.scans.append(opened)
        return opened, rows

    def _rows(self, count: int | None) -> list[StoredRow]:
        """Give the first ``count`` rows, or all: as :meth:`rows`, with less work for each."""
        opened, rows = self._open(self.bounds)
        read: list[StoredRow] = []
        most = _FIRST_ROWS
        try:
            while count is None or len(read) < count:
                wanted = most if count is None else min(most, count - len(read))
                chunk = list(islice(rows, wanted))
                if chunk and self._count(opened, chunk) < _SMALL_BYTES:
                    most = _MORE_ROWS
                read += chunk
                if len(chunk) < wanted:
                    opened.exhausted = True
                    break
        except (Interrupted, InterruptedRead):
            # How far it came is not known, so that it depends on all.
            opened.exhausted = True
            raise
        return read

    def _count(self, opened: OpenScan, chunk: list[StoredRow]) -> int:
        """Count rows as read and give their bytes; a limit is passed at the row that passes it."""
        budget = self.db.budget
        size = sum(map(len, map(_bytes_of, chunk)))
        if budget.has_room_for(len(chunk), size):
            budget.read(len(chunk), size)
            opened.last = chunk[-1]
            return size
        for row in chunk:
            opened.last = row
            budget.read(1, len(row[3]))
        return size
