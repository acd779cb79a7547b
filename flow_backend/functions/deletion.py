"""What a delete takes with it: the documents that refer to it, as their references say."""

from typing import TYPE_CHECKING

from attrs import define, field

from flow_backend.errors import StillReferenced
from flow_backend.schema.reference import Referrer
from flow_backend.schema.table import OnDelete
from flow_backend.storage.base import IndexBounds, StoredRow, TableName

if TYPE_CHECKING:
    from flow_backend.functions.database import WritableDatabase


@define
class Deletion:
    """One delete with all that follows from it.

    All that is to go is found first, and only then is anything refused or written. So a document
    that restricts does not stand in the way if it goes itself, whichever is reached first; and what
    refers in a circle goes once.
    """

    _db: "WritableDatabase"
    _doomed: dict[str, tuple[TableName, StoredRow]] = field(
        factory=dict[str, tuple[TableName, StoredRow]]
    )

    def delete(self, table: TableName, row: StoredRow) -> None:
        """Delete a row, and what its referrers say.

        Raises: StillReferenced, LimitExceeded; nothing was written then.
        """
        if table not in self._db.app.schema.referrers:
            self._db.delete_row(table, row)
            return
        self._doom(table, row)
        for ident, (name, _) in self._doomed.items():
            for referrer, other in self._referring(name, ident, "restrict"):
                raise StillReferenced(
                    f'document {ident} of table "{name}" cannot be deleted: document {other[1]} of '
                    f'table "{referrer.table}" refers to it ({referrer.reference.field}, '
                    "on_delete='restrict')"
                )
        savepoint = self._db.transaction.savepoint()
        try:
            self._write()
        except BaseException:  # A limit, say, which the function may catch and go on.
            savepoint.roll_back()
            raise
        savepoint.release()

    def _write(self) -> None:
        self._set_null()
        for name, doomed in self._doomed.values():
            self._db.delete_row(name, doomed)

    def _doom(self, table: TableName, row: StoredRow) -> None:
        self._doomed[row[1]] = table, row
        waiting = [row[1]]
        while waiting:
            ident = waiting.pop()
            for referrer, other in self._referring(self._doomed[ident][0], ident, "cascade"):
                self._doomed[other[1]] = TableName(referrer.table), other
                waiting.append(other[1])

    def _set_null(self) -> None:
        # A document may refer to several that go, in several fields.
        fields = dict[str, tuple[TableName, StoredRow, dict[str, None]]]()
        for ident, (name, _) in self._doomed.items():
            for referrer, other in self._referring(name, ident, "null"):
                table = TableName(referrer.table)
                entry = fields.setdefault(other[1], (table, other, {}))
                entry[2][referrer.reference.field] = None
        for table, row, changed in fields.values():
            self._db.write_row(table, row, {**changed})

    def _referring(
        self, table: TableName, ident: str, on_delete: OnDelete
    ) -> list[tuple[Referrer, StoredRow]]:
        """Give the rows that refer to a document by references of one kind, and do not go."""
        db = self._db
        found = list[tuple[Referrer, StoredRow]]()
        for referrer in db.app.schema.referrers.get(table, ()):
            if referrer.reference.on_delete != on_delete:
                continue
            # A look counts as a document, even one that finds nothing: a thousand that go make
            # thousands of looks, which are no scans of the app's.
            db.budget.read(1, 0)
            bounds = IndexBounds(TableName(referrer.table), referrer.reference.index, (ident,))
            for row in db.reader.scan(bounds):
                if row[1] in self._doomed:
                    continue
                db.budget.read(1, len(row[3]))
                found.append((referrer, row))
        return found
