"""Exports: snapshots of the data, written into files that admins download.

Source: the HTTP API, "export".
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol, cast

import orjson
import structlog
import trio
from attrs import define, field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from flow_backend.errors import Overloaded
from flow_backend.functions.job_steps import Step
from flow_backend.functions.registry import BoundApp
from flow_backend.functions.system_rows import AddRow, ChangeRow, DeleteRows, rows_of, user_tables
from flow_backend.runtime import Runtime, Worker
from flow_backend.schema.document import Document
from flow_backend.schema.system import Export
from flow_backend.server.admin import require_admin
from flow_backend.server.calls import guarded
from flow_backend.server.core import BackendFacade
from flow_backend.server.requests import RequestRefused
from flow_backend.storage.base import Done, Refused, Storage, TableName, Transaction
from flow_backend.storage.staged import StagedImport
from flow_backend.values.encode import to_wire
from flow_backend.values.timestamp import CommitTs
from flow_backend.values.value import Int64, JsonValue

if TYPE_CHECKING:
    from flow_backend.functions.export_files import ExportFormat

EXPORTS: Final = TableName(Export.__table__)
KEPT: Final = 5
"""How many exports are kept, with their files."""

_FORMATS: Final = frozenset({"zip", "jsonl", "csv"})
_PIECE_BYTES: Final = 256 * 1024

log = structlog.stdlib.get_logger("flow.data")


class DataBackend(BackendFacade, Protocol):
    """The backend, as far as exports and imports need it."""

    @property
    def app(self) -> BoundApp:
        """The app that serves now."""
        ...

    @property
    def storage(self) -> Storage:
        """The database."""
        ...

    @property
    def runtime(self) -> Runtime:
        """The clock, the randomness and the threads."""
        ...

    async def write(self, step: Step, what: str) -> Done | Refused:
        """Do work of the server's own in a transaction. Raises: Overloaded."""
        ...

    async def swap_in(
        self, staged: StagedImport, record: Callable[[Transaction], None]
    ) -> CommitTs:
        """Take over a staged import. Raises: ImportRefused, Overloaded."""
        ...


@define
class LazyWorker:
    """A thread that starts when it is first needed, since most servers never need it."""

    runtime: Runtime
    name: str
    _worker: Worker | None = None

    def get(self) -> Worker:
        """Give it."""
        if self._worker is None:
            self._worker = self.runtime.worker(self.name)
        return self._worker

    def close(self) -> None:
        """Let it end."""
        if self._worker is not None:
            self._worker.close()


@define
class Exports:
    """Writes exports, one at a time, and hands them out.

    Owns: the folder of the files, the thread that writes them, and which export is under way.
    """

    backend: DataBackend
    folder: Path
    progress_seconds: float = 1.0
    _thread: LazyWorker = field(init=False)
    _reading: LazyWorker = field(init=False)
    _asked: trio.MemorySendChannel[str] = field(init=False)
    _to_do: trio.MemoryReceiveChannel[str] = field(init=False)
    _is_busy: bool = False
    _stopping: bool = False
    _documents: int = 0

    def __attrs_post_init__(self) -> None:
        self._thread = LazyWorker(self.backend.runtime, "export")
        self._reading = LazyWorker(self.backend.runtime, "export reader")
        self._asked, self._to_do = trio.open_memory_channel[str](1)

    def routes(self) -> list[Route]:
        """Give the routes of all endpoints."""
        return [
            Route("/api/export/request/{format}", guarded(self.request), methods=["POST"]),
            Route("/api/export/{format}/{ts:int}", guarded(self.download), methods=["GET"]),
        ]

    async def run(self) -> None:
        """Write what is asked for, for ever."""
        await self._forget_unfinished()
        try:
            async for ident in self._to_do:
                try:
                    await self._export(ident)
                except Overloaded as error:
                    # What its row says is put right at the next start.
                    log.warning("An export could not be noted", error=str(error))
                finally:
                    self._is_busy = False
        finally:
            self._thread.close()
            self._reading.close()

    # --- Requests ----------------------------------------------------------------------------

    async def request(self, request: Request) -> Response:
        """Ask for an export; it is on disk that it was asked for when this answers."""
        await require_admin(self.backend, request.headers)
        form, table = self._asked_for(request)
        if self._is_busy:
            raise RequestRefused(
                400, "ExportInProgress", "There is already an export requested or in progress."
            )
        self._is_busy = True
        try:
            fields = Export(state="requested", format=form, table=table)
            ident = await self._add(fields)
        except BaseException:
            self._is_busy = False
            raise
        self._asked.send_nowait(ident)
        return json_response({"exportId": ident})

    def _asked_for(self, request: Request) -> "tuple[ExportFormat, str | None]":
        form, table = request.path_params["format"], request.query_params.get("table")
        if form not in _FORMATS:
            raise RequestRefused(400, "BadFormat", "An export is zip, jsonl or csv.")
        tables = user_tables(self.backend.app)
        if form == "zip" and table is not None:
            raise RequestRefused(
                400, "BadTable", "A zip has all tables; one table is jsonl or csv."
            )
        if form != "zip" and table not in tables:
            known = ", ".join(tables) or "none"
            raise RequestRefused(400, "BadTable", f"Name one table of the app: it has {known}.")
        return cast("ExportFormat", form), table

    async def download(self, request: Request) -> Response:
        """Give the file of an export that is complete."""
        await require_admin(self.backend, request.headers)
        ts: int = request.path_params["ts"]
        reading = self._reading.get()
        row = await reading.run(lambda: self._find(ts))
        if row is None or row["format"] != request.path_params["format"]:
            raise RequestRefused(404, "NotFound", f"There is no export {ts}, or not any more.")
        name = str(row["zip_object_key"])
        file = await reading.run(lambda: _open(self.folder / name))
        if file is None:
            raise RequestRefused(404, "NotFound", f"The file {name} is gone: export again.")
        return _FileResponse(file, name, reading)

    def _find(self, ts: int) -> dict[str, Any] | None:
        wanted = to_wire(Int64(ts)) if ts < 2**63 else None
        rows = [row for row in self._rows() if row["start_ts"] == wanted]
        return rows[0] if rows and rows[0]["state"] == "completed" else None

    # --- Work --------------------------------------------------------------------------------

    async def _export(self, ident: str) -> None:
        self._documents, self._stopping = 0, False
        await self._change(ident, state="in_progress")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._report, ident)
            nursery.start_soon(self._note_stop)
            done = await self._thread.get().run(lambda: self._try_to_write(ident))
            nursery.cancel_scope.cancel()
        await self._change(ident, **done)
        await self._delete_old()

    def _try_to_write(self, ident: str) -> dict[str, Any]:
        # Here and below: most servers never need what it imports.
        from flow_backend.functions.export_files import ExportStopped

        try:
            return self._write(ident)
        except ExportStopped:
            reason = "The server was stopped."
        except OSError as error:
            reason = f"The file cannot be written: {error.strerror}."
        except Exception as error:
            log.exception("An export failed", exc_info=error)
            reason = "The server's log says why."
        return {"state": "failed", "error": reason}

    def _write(self, ident: str) -> dict[str, Any]:
        """Write the file; in the thread. Give what the export's row is to say then."""
        from flow_backend.functions.export_files import Exporter

        app = self.backend.app
        snapshot = self.backend.storage.open_snapshot()
        try:
            ts = snapshot.begin()
            row = next(each for each in rows_of(snapshot, EXPORTS) if each["_id"] == ident)
            form: ExportFormat = row["format"]
            what = "snapshot" if form == "zip" else row["table"]
            name = f"{what}_{ts}.{form}"
            self.folder.mkdir(mode=0o700, exist_ok=True)
            exporter = Exporter(
                snapshot,
                {each: app.schema.tables[each] for each in user_tables(app)},
                app.table_numbers,
                self._progressed,
            )
            unfinished = self.folder / f"{name}.part"
            unfinished.unlink(missing_ok=True)
            exporter.write(unfinished, form, row["table"])
            unfinished.replace(self.folder / name)
        finally:
            snapshot.close()
        return {
            "state": "completed",
            "start_ts": to_wire(Int64(ts)),
            "complete_ts": to_wire(Int64(max(ts, self.backend.runtime.now_ns()))),
            "zip_object_key": name,
            "documents": float(exporter.documents),
            "bytes": float((self.folder / name).stat().st_size),
        }

    def _progressed(self, documents: int) -> None:
        self._documents = documents
        if self._stopping:
            from flow_backend.functions.export_files import ExportStopped

            raise ExportStopped

    async def _report(self, ident: str) -> None:
        """Tell how far it has come, for those who watch."""
        while True:
            await trio.sleep(self.progress_seconds)
            with suppress(Overloaded):
                await self._change(ident, documents=float(self._documents))

    async def _note_stop(self) -> None:
        # A thread is not ended from outside: it looks at this.
        try:
            await trio.sleep_forever()
        finally:
            self._stopping = True

    async def _forget_unfinished(self) -> None:
        """Say of what the last run of the server left that it has failed."""
        # At the start of the server, and nearly always there is none: no thread for that.
        rows = self._rows()
        for row in rows:
            if row["state"] in {"requested", "in_progress"}:
                await self._change(row["_id"], state="failed", error="The server was stopped.")
        for part in self.folder.glob("*.part") if rows else ():
            part.unlink(missing_ok=True)

    async def _delete_old(self) -> None:
        rows = await self._reading.get().run(self._rows)
        old = rows[KEPT:]
        for name in (row["zip_object_key"] for row in old):
            if name is not None:
                with suppress(OSError):
                    (self.folder / name).unlink(missing_ok=True)
        if old:
            step = DeleteRows(EXPORTS, tuple(row["_id"] for row in old))
            await self.backend.write(step, "_system:exports")

    # --- Rows --------------------------------------------------------------------------------

    def _rows(self) -> list[dict[str, Any]]:
        return read_rows(self.backend, EXPORTS)

    async def _add(self, export: Export) -> str:
        return await add_row(self.backend, export)

    async def _change(self, ident: str, **fields: JsonValue) -> None:
        await self.backend.write(ChangeRow(EXPORTS, ident, fields), "_system:exports")


def read_rows(backend: DataBackend, table: TableName) -> list[dict[str, Any]]:
    """Give the rows of one of the server's small tables, the newest first."""
    snapshot = backend.storage.open_snapshot()
    try:
        snapshot.begin()
        return rows_of(snapshot, table)
    finally:
        snapshot.close()


async def add_row(backend: DataBackend, document: Document) -> str:
    """Add a row to one of the server's tables, and give its id; it is on disk then.

    Raises: Overloaded.
    """
    table = type(document).__table__
    writers = backend.app.writers[table]
    fields = {name: write(getattr(document, name)) for name, write in writers.items()}
    step = AddRow(TableName(table), fields, backend.runtime.random.getrandbits(64))
    done = await backend.write(step, f"_system:{table}")
    if isinstance(done, Refused):
        raise Overloaded(done.message)
    return str(orjson.loads(done.result))


class _FileResponse(Response):
    """Sends a file piece by piece; it was opened, and is closed at the end."""

    def __init__(self, file: BinaryIO, name: str, worker: Worker) -> None:
        super().__init__(media_type="application/octet-stream")
        self.headers["content-length"] = str(os.fstat(file.fileno()).st_size)
        # Without quotes: Convex's command line takes all after the sign for the name.
        self.headers["content-disposition"] = f"attachment; filename={name}"
        self._file = file
        self._worker = worker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        del scope, receive
        with self._file as file:
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            while piece := await self._worker.run(lambda: file.read(_PIECE_BYTES)):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def json_response(body: object) -> Response:
    """Answer with JSON."""
    return Response(orjson.dumps(body), media_type="application/json")
