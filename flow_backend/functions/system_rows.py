"""Rows of the server's own tables, written in a transaction of their own or in another's."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson
from attrs import frozen

from flow_backend.functions.job_steps import Run
from flow_backend.functions.registry import BoundApp
from flow_backend.functions.seed import Seed
from flow_backend.schema.ids import encode_id
from flow_backend.storage.base import Done, IndexBounds, Reader, Refused, TableName, Transaction
from flow_backend.values.value import JsonValue

_MS_A_DAY = 86_400_000

Fields = Mapping[str, JsonValue]
"""Fields of a row, in wire form."""


@frozen
class AddRow:
    """Add a row, and give its id as JSON. ``fields`` has all of the class's."""

    table: TableName
    fields: Fields
    seed: int

    def __call__(self, transaction: Transaction, run: Run) -> Done | Refused:
        """Do it; see :class:`flow_backend.functions.job_steps.Step`."""
        del run
        drawn = Seed(self.seed).internal_id(int(transaction.now_ms // _MS_A_DAY))
        ident = encode_id(transaction.table_number(self.table), drawn)
        created = transaction.next_creation_time()
        row = {"_id": ident, "_creationTime": created, **self.fields}
        transaction.insert(self.table, ident, row)
        return Done(orjson.dumps(ident))


@frozen
class ChangeRow:
    """Write some fields of a row anew; one that is gone stays so."""

    table: TableName
    id: str
    fields: Fields

    def __call__(self, transaction: Transaction, run: Run) -> Done | Refused:
        """Do it; see :class:`flow_backend.functions.job_steps.Step`."""
        del run
        self.write(transaction)
        return Done(b"null")

    def write(self, transaction: Transaction) -> None:
        """Do it as a part of another's transaction."""
        row = transaction.get(self.table, self.id)
        if row is not None:
            document: dict[str, Any] = orjson.loads(row[3])
            transaction.replace(self.table, row, {**document, **self.fields})


@frozen
class DeleteRows:
    """Delete rows, as far as they are there."""

    table: TableName
    ids: tuple[str, ...]

    def __call__(self, transaction: Transaction, run: Run) -> Done | Refused:
        """Do it; see :class:`flow_backend.functions.job_steps.Step`."""
        del run
        for ident in self.ids:
            row = transaction.get(self.table, ident)
            if row is not None:
                transaction.delete(self.table, row)
        return Done(b"null")


def rows_of(reader: Reader, table: TableName) -> list[dict[str, Any]]:
    """Give the documents of a small table in wire form, the newest first."""
    found = reader.scan(IndexBounds(table), descending=True)
    return [cast("dict[str, Any]", orjson.loads(row[3])) for row in found]


def user_tables(app: BoundApp) -> Sequence[str]:
    """Give the app's own tables, those that can be exported and imported, by name."""
    return sorted(name for name in app.schema.tables if not name.startswith("_"))
