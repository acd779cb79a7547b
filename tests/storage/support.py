"""What the tests of storage share: a schema, a clock that is told, and ways to write a job."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

from attrs import define, frozen

from flow_backend.schema.table import ColumnKind, FieldSpec, IndexSpec, TableSpec
from flow_backend.storage.base import (
    Done,
    IndexBounds,
    Job,
    Reader,
    Refused,
    RequestKey,
    Storage,
    StoredRow,
    TableName,
    Transaction,
)
from flow_backend.storage.connection import Connection
from flow_backend.storage.settings import DEFAULT_SETTINGS, StorageSettings
from flow_backend.storage.sqlite import open_memory_storage, open_storage
from flow_backend.values.value import JsonValue

TASKS = TableName("tasks")
BOARDS = TableName("boards")

TASKS_SPEC = TableSpec(
    "tasks",
    {
        "board": FieldSpec("board", ColumnKind.TEXT),
        "column": FieldSpec("column", ColumnKind.TEXT),
        "rank": FieldSpec("rank", ColumnKind.TEXT),
        "title": FieldSpec("title", ColumnKind.TEXT),
        "due_at": FieldSpec("due_at", ColumnKind.INTEGER, has_default=True, default=None),
        "key": FieldSpec("key", ColumnKind.TEXT, has_default=True, default=None),
    },
    (
        IndexSpec("by_board", ("board", "column", "rank")),
        IndexSpec("by_due", ("due_at",)),
        IndexSpec("by_key", ("board", "key"), unique=True),
    ),
    fingerprint="1",
)
BOARDS_SPEC = TableSpec("boards", {"name": FieldSpec("name", ColumnKind.TEXT)}, fingerprint="1")
SCHEMA = (TASKS_SPEC, BOARDS_SPEC)

START_NS = 1_800_000_000_000_000_000
NS_PER_MS = 1_000_000


@define
class Clock:
    """A wall clock that stands still until it is set."""

    ns: int = START_NS

    def __call__(self) -> int:
        return self.ns


class Engine(Protocol):
    """Opens the database of one test; again and again, if it survives being closed."""

    def __call__(
        self,
        tables: Sequence[TableSpec] = SCHEMA,
        *,
        now_ns: Callable[[], int] = ...,
        settings: StorageSettings = DEFAULT_SETTINGS,
    ) -> Storage: ...


@frozen
class FileEngine:
    directory: Path

    def __call__(
        self,
        tables: Sequence[TableSpec] = SCHEMA,
        *,
        now_ns: Callable[[], int] = Clock(),  # noqa: B008  # It stands still.
        settings: StorageSettings = DEFAULT_SETTINGS,
    ) -> Storage:
        return open_storage(self.directory, tables, now_ns=now_ns, settings=settings)


@frozen
class MemoryEngine:
    def __call__(
        self,
        tables: Sequence[TableSpec] = SCHEMA,
        *,
        now_ns: Callable[[], int] = Clock(),  # noqa: B008  # It stands still.
        settings: StorageSettings = DEFAULT_SETTINGS,
    ) -> Storage:
        return open_memory_storage(tables, now_ns=now_ns, settings=settings)


def task(
    id: str, created_at: float, fields: Mapping[str, JsonValue] | None = None
) -> dict[str, JsonValue]:
    """Give a whole task; what ``fields`` does not say is plain."""
    plain: dict[str, JsonValue] = {
        "_id": id,
        "_creationTime": created_at,
        "board": "home",
        "column": "todo",
        "rank": "a",
        "title": id,
        "due_at": None,
        "key": None,
    }
    return {**plain, **(fields or {})}


def add(transaction: Transaction, id: str, **fields: JsonValue) -> None:
    transaction.insert(TASKS, id, task(id, transaction.next_creation_time(), fields))


def change(transaction: Transaction, id: str, **fields: JsonValue) -> None:
    row = transaction.get(TASKS, id)
    assert row is not None, id
    document = {**TASKS_SPEC.read(row[3]), **fields}
    transaction.replace(TASKS, row, document)


def remove(transaction: Transaction, id: str) -> None:
    row = transaction.get(TASKS, id)
    assert row is not None, id
    transaction.delete(TASKS, row)


def job(
    work: Callable[[Transaction], object],
    request: RequestKey | None = None,
    result: bytes = b"null",
) -> Job:
    """Make a job that succeeds."""

    def run(transaction: Transaction) -> Done:
        work(transaction)
        return Done(result)

    return Job(run, request)


def refused_job(work: Callable[[Transaction], object], request: RequestKey | None = None) -> Job:
    """Make a job that does its work and then says no."""

    def run(transaction: Transaction) -> Refused:
        work(transaction)
        return Refused("no")

    return Job(run, request)


def read(storage: Storage, bounds: IndexBounds, *, descending: bool = False) -> list[StoredRow]:
    """Read a scan in a snapshot of its own."""
    snapshot = storage.open_snapshot()
    try:
        snapshot.begin()
        return list(snapshot.scan(bounds, descending=descending))
    finally:
        snapshot.close()


def ids(rows: Sequence[StoredRow]) -> list[str]:
    return [row[1] for row in rows]


def all_ids(storage: Storage, table: TableName = TASKS) -> list[str]:
    return ids(read(storage, IndexBounds(table)))


def contents(reader: Reader, table: TableName = TASKS) -> dict[str, bytes]:
    return {row[1]: row[3] for row in reader.scan(IndexBounds(table))}


def write_connection(storage: Storage) -> Connection:
    """Give the writer's own connection, for a look at what no interface shows."""
    return cast("Connection", vars(storage.writer)["_connection"])
