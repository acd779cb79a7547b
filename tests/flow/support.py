"""Flow on a database in memory: its functions alone, whose writes can be counted, or all of it."""

from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from random import Random
from typing import Any, Final, cast

from attrs import define, frozen

from flow_backend.actors.backend import Backend
from flow_backend.actors.messages.calls import Call as BackendCall
from flow_backend.actors.opening import open_backend
from flow_backend.actors.settings import BackendSettings
from flow_backend.errors import AppError, FlowError
from flow_backend.functions.context import NOBODY
from flow_backend.functions.function import Kind
from flow_backend.functions.limits import Limits, ThreadDeadlines
from flow_backend.functions.registry import App, load_app
from flow_backend.functions.runner import Runner
from flow_backend.runtime import SystemRuntime
from flow_backend.schema.ids import encode_id, new_internal_id
from flow_backend.schema.table import BY_CREATION_TIME
from flow_backend.server.frames import text_frame
from flow_backend.storage.base import (
    Committed,
    Done,
    Executed,
    IndexBounds,
    Reader,
    Refused,
    Storage,
    StoredRow,
    TableName,
    Transaction,
    Writer,
)
from flow_backend.storage.sqlite import open_memory_storage
from flow_backend.testing import Calls, TestApp
from flow_backend.testing.running import NO_TIME_LIMIT
from flow_backend.values.encode import decode
from flow_backend.values.value import JsonValue

APP: Final = load_app("flow")
# Its thread outlives a call, so there is one for all tests.
_DEADLINES: Final = ThreadDeadlines()

NOW: Final = "2026-10-29T12:00Z"

Fields = dict[str, Any]
"""A document or another object as a client gets it."""


@frozen
class Call:
    """How a mutation ended: its result, and how many documents it wrote."""

    value: Any
    written: int


class Said(Exception):
    """A function refused; the text is the data of its AppError."""


@define
class Flow:
    """The app in memory, whose writes are counted."""

    app: TestApp
    limits: Limits = NO_TIME_LIMIT

    def mutate(self, path: str, /, **arguments: object) -> Call:
        return self._mutate(path, arguments, self.app)

    def internally(self, path: str, /, **arguments: object) -> Call:
        """Run a mutation as the server does, also one that no client can call."""
        return self._mutate(path, arguments, self.app.as_admin())

    def _mutate(self, path: str, arguments: Mapping[str, object], calls: Calls) -> Call:
        counting = CountingWriter(self.storage.writer)
        backend = self._backend()
        # No two things happen at one instant, as with people.
        self.app._running.loop.clock.jump(0.001)
        backend.mutation.writer = counting
        try:
            value = said(lambda: calls.mutation(path, **arguments))
        finally:
            backend.mutation.writer = counting.writer
        return Call(value, counting.written[0])

    def do(self, path: str, /, **arguments: object) -> Any:
        return self.mutate(path, **arguments).value

    def query(self, path: str, /, **arguments: object) -> Any:
        self._backend()
        return said(lambda: self.app.query(path, **arguments))

    def query_bytes(self, path: str, arguments: Mapping[str, object]) -> bytes:
        self._backend()
        running = self.app._running
        return running.call(Kind.QUERY, path, cast("Any", arguments), NOBODY)

    def limited(self, **limits: Any) -> "Flow":
        """The same app and database, within other limits."""
        return Flow(self.app, Limits(**limits))

    @property
    def storage(self) -> Storage:
        return self.app._running.storage

    @property
    def runner(self) -> Runner:
        return self.app._running.backend.versions.newest.runner

    def _backend(self) -> Backend:
        """Give the backend, which keeps to the limits that are wanted here."""
        self.runner.limits = self.limits
        return self.app._running.backend

    def erase(self, table: str, ident: str) -> None:
        """Delete a row past all functions, as an administrator can."""
        self._write(lambda tx: tx.delete(_name(table), _row(tx, table, ident)))

    def set_field(self, table: str, ident: str, name: str, value: str | float) -> None:
        """Change a field past all functions."""

        def write(tx: Transaction) -> None:
            row = _row(tx, table, ident)
            tx.replace(_name(table), row, {**self._fields(table, row), name: value})

        self._write(write)

    def put_like(self, table: str, ident: str, rows: Sequence[Mapping[str, str]]) -> None:
        """Put copies of a row in its place, with these fields of their own, in one commit."""

        def write(tx: Transaction) -> None:
            row = _row(tx, table, ident)
            fields = self._fields(table, row)
            tx.delete(_name(table), row)
            number, random = tx.table_number(_name(table)), Random(1)
            for each in rows:
                new = encode_id(number, new_internal_id(random, 1))
                created = tx.next_creation_time()
                whole = {**fields, **each, "_id": new, "_creationTime": created}
                tx.insert(_name(table), new, whole)

        self._write(write)

    def stored(self, table: str, ident: str) -> bytes:
        """Give a row's bytes as storage has them."""
        snapshot = self.storage.open_snapshot()
        snapshot.begin()
        try:
            return _row(snapshot, table, ident)[3]
        finally:
            snapshot.end()
            snapshot.close()

    def rows(self, table: str) -> list[Fields]:
        """Give all rows of a table, in the order in which they were made."""
        return rows_of(self.storage, table)

    def _fields(self, table: str, row: StoredRow) -> dict[str, JsonValue]:
        return dict(APP.schema.tables[table].read(row[3]))

    def _write(self, write: Callable[[Transaction], None]) -> None:
        self.app.run(lambda ctx: write(ctx.db.transaction))

    def board(self, *columns: str) -> str:
        given = {"columns": list(columns)} if columns else {}
        return cast("str", self.do("boards:create", title="Kitchen", **given))

    def tasks(self, board: str) -> list[Fields]:
        return cast("list[Fields]", self.query("tasks:list", board=board))

    def paged(self, board: str) -> list[Fields]:
        """Give all tasks by column key and rank, also those of a board too long for one list."""
        tasks: list[Fields] = []
        page: Fields = {"continueCursor": None, "isDone": False}
        while not page["isDone"]:
            options = {"numItems": 5_000, "cursor": page["continueCursor"]}
            page = self.query("tasks:page", board=board, paginationOpts=options)
            tasks += page["page"]
        return tasks

    def titles(self, board: str, column: str | None = None) -> list[str]:
        return [t["title"] for t in self.tasks(board) if column in {None, t["column"]}]


def rows_of(storage: Storage, table: str) -> list[Fields]:
    """Give all rows of a table, in the order in which they were made."""
    snapshot = storage.open_snapshot()
    snapshot.begin()
    try:
        rows = snapshot.scan(IndexBounds(_name(table), BY_CREATION_TIME))
        return [dict(APP.schema.tables[table].read(row[3])) for row in rows]
    finally:
        snapshot.end()
        snapshot.close()


def _name(table: str) -> TableName:
    return TableName(table)


def _row(reader: Reader, table: str, ident: str) -> StoredRow:
    row = reader.get(TableName(table), ident)
    assert row is not None, ident
    return row


def value_of(result: Done | Refused) -> Any:
    match result:
        case Done(encoded):
            return decode(encoded)
        case Refused(message, _, None):
            raise AssertionError(message)
        case Refused(_, _, data):
            said = decode(cast("bytes", data))
            assert isinstance(said, str), said
            raise Said(said)


def said(call: Callable[[], Any]) -> Any:
    """Call; an AppError, whose data is a text in Flow, becomes what was said."""
    try:
        return call()
    except AppError as error:
        raise Said(error.data) from error
    except FlowError as error:
        raise AssertionError(str(error)) from error


class CountingWriter:
    """A writer that counts what each batch writes; all else is as with the real one."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.written: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.writer, name)

    def finish(self, executed: Executed) -> Committed:
        batch = self.writer.finish(executed)
        self.written.append(sum(len(writes) for writes in batch.writes.values()))
        return batch


@contextmanager
def open_flow() -> Generator[Flow]:
    with TestApp(APP, now=NOW) as app:
        yield Flow(app)


@define
class RunningFlow:
    """The app in the whole backend, called as the HTTP API calls it."""

    backend: Backend

    async def do(self, path: str, /, **arguments: object) -> Any:
        call = BackendCall(path, cast("Any", arguments), NOBODY)
        return value_of((await self.backend.mutate(call)).result)

    async def query(self, path: str, /, **arguments: object) -> Any:
        call = BackendCall(path, cast("Any", arguments), NOBODY)
        return value_of((await self.backend.query(call)).result)

    def rows(self, table: str) -> list[Fields]:
        """Give all rows of a table, in the order in which they were made."""
        return rows_of(self.backend.storage, table)


@asynccontextmanager
async def open_running_flow(
    settings: BackendSettings | None = None, app: App = APP
) -> AsyncGenerator[RunningFlow]:
    runtime = SystemRuntime()
    storage = open_memory_storage(list(app.schema.tables.values()), now_ns=runtime.now_ns)
    try:
        async with open_backend(
            app, storage, runtime, text_frame=text_frame, deadlines=_DEADLINES, settings=settings
        ) as backend:
            yield RunningFlow(backend)
    finally:
        storage.close()
