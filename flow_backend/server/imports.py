"""Imports: files that admins upload, checked whole, then taken over in one commit.

Source: the HTTP API, "import".
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, cast

import structlog
import trio
from attrs import define, field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from flow_backend.actors.gate import Gate
from flow_backend.errors import FlowError, ImportRefused, Overloaded
from flow_backend.functions.system_rows import ChangeRow, DeleteRows
from flow_backend.schema.system import Import
from flow_backend.server.admin import require_admin
from flow_backend.server.calls import guarded
from flow_backend.server.config import Settings
from flow_backend.server.exports import (
    DataBackend,
    LazyWorker,
    add_row,
    json_response,
    read_rows,
)
from flow_backend.server.requests import RequestRefused, parse_object, read_body
from flow_backend.storage.base import TableName
from flow_backend.storage.staged import ImportMode, StagedImport
from flow_backend.values.encode import to_wire
from flow_backend.values.value import Int64, JsonValue

if TYPE_CHECKING:
    from flow_backend.functions.import_files import ImportFormat
    from flow_backend.functions.import_stage import TableChange

IMPORTS: Final = TableName(Import.__table__)
KEPT: Final = 50
"""How many imports are remembered."""

CONFIRM_SECONDS: Final = 3600.0
"""How long a file that was checked waits to be confirmed."""

_FORMATS: Final = frozenset({"csv", "jsonLines", "jsonArray", "zip"})
_MODES: Final = frozenset({"requireEmpty", "append", "replace", "replaceAll"})
_PARTS_MAX: Final = 100_000
_TOKEN_BITS: Final = 128
_FAILED: Final = "Hit an error while importing:\n"

log = structlog.stdlib.get_logger("flow.data")


class _Stopped(Exception):
    """The server stops, or the import was canceled."""


@define
class _Import:
    """An import under way.

    Attributes:
        folder: where the upload stands, with the staging file beside it.
        confirmed: set when it may be taken over.
        canceled: looked at by the thread that checks it.
    """

    id: str
    format: "ImportFormat"
    mode: ImportMode
    table: str | None
    folder: Path
    confirmed: trio.Event = field(factory=trio.Event)
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    is_ready: bool = False
    canceled: bool = False
    rows: int = 0
    warnings: list[str] = field(factory=list[str])


@define
class Imports:
    """Takes uploads, checks them one at a time, and has the writer take them over.

    Owns: the folder of the uploads and staging files, its threads, and the imports under way.
    """

    backend: DataBackend
    settings: Settings
    gate: Gate
    folder: Path
    progress_seconds: float = 1.0
    _uploading: LazyWorker = field(init=False)
    _checking: LazyWorker = field(init=False)
    _turn: trio.Lock = field(factory=trio.Lock, init=False)
    _nursery: trio.Nursery | None = field(default=None, init=False)
    _under_way: dict[str, _Import] = field(factory=dict[str, _Import], init=False)

    def __attrs_post_init__(self) -> None:
        self._uploading = LazyWorker(self.backend.runtime, "upload")
        self._checking = LazyWorker(self.backend.runtime, "import")

    def routes(self) -> list[Route]:
        """Give the routes of all endpoints."""
        post = ["POST"]
        return [
            Route("/api/import/start_upload", guarded(self.start_upload), methods=post),
            Route("/api/import/upload_part", guarded(self.upload_part), methods=post),
            Route("/api/import/finish_upload", guarded(self.finish_upload), methods=post),
            Route("/api/perform_import", guarded(self.perform), methods=post),
            Route("/api/cancel_import", guarded(self.cancel), methods=post),
        ]

    async def run(self) -> None:
        """Tend imports, for ever."""
        await self._forget_unfinished()
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                await trio.sleep_forever()
        finally:
            self._nursery = None
            self._uploading.close()
            self._checking.close()

    # --- Requests ----------------------------------------------------------------------------

    async def start_upload(self, request: Request) -> Response:
        """Begin a file."""
        await require_admin(self.backend, request.headers)
        token = f"{self.backend.runtime.random.getrandbits(_TOKEN_BITS):032x}"
        folder = self.folder / token
        await self._uploading.get().run(lambda: folder.mkdir(mode=0o700, parents=True))
        return json_response({"uploadToken": token})

    async def upload_part(self, request: Request) -> Response:
        """Take a piece of a file; one that comes twice counts once."""
        await require_admin(self.backend, request.headers)
        folder = self._upload(request.query_params.get("uploadToken"))
        number = request.query_params.get("partNumber", "")
        if not number.isdecimal() or not 1 <= int(number) <= _PARTS_MAX:
            raise RequestRefused(400, "BadPartNumber", f"'partNumber' is from 1 to {_PARTS_MAX}.")
        part = str(int(number))
        data = await read_body(request, self.settings, self.gate)
        await self._on_disk(lambda: (folder / f"{part}.part").write_bytes(data))
        return json_response(part)

    async def finish_upload(self, request: Request) -> Response:
        """Put the pieces together, and begin to check the file."""
        await require_admin(self.backend, request.headers)
        fields = parse_object(await read_body(request, self.settings, self.gate))
        folder = self._upload(fields.get("uploadToken"))
        form, mode, table = _asked_for(fields.get("import"))
        parts = fields.get("partTokens")
        if not isinstance(parts, list):
            raise RequestRefused(400, "BadJsonBody", "'partTokens' lists what each part gave.")
        if self._nursery is None:
            raise RequestRefused(503, "Overloaded", "The server is stopping.")
        names = [f"{part}.part" for part in parts if isinstance(part, str) and part.isdecimal()]
        path = folder / "file"
        await self._on_disk(lambda: _put_together(folder, names, path))
        ident = await add_row(
            self.backend, Import(state={"state": "uploaded"}, format=form, mode=mode, table=table)
        )
        under_way = _Import(ident, form, mode, table, folder)
        self._under_way[ident] = under_way
        self._nursery.start_soon(self._import, under_way)
        return json_response({"importId": ident})

    async def perform(self, request: Request) -> Response:
        """Go on with an import that waits to be confirmed."""
        under_way = await self._named(request)
        if not under_way.is_ready or under_way.confirmed.is_set():
            raise RequestRefused(
                400, "ImportNotReady", "This import does not wait to be confirmed."
            )
        under_way.confirmed.set()
        # A client that asks for the state now must not find that it still waits.
        await self._change(under_way.id, {"state": "in_progress", "progress_message": "Importing"})
        return json_response({})

    async def cancel(self, request: Request) -> Response:
        """End an import that was not confirmed yet."""
        under_way = await self._named(request)
        if under_way.confirmed.is_set():
            raise RequestRefused(400, "ImportInProgress", "It is too late: it was confirmed.")
        under_way.canceled = True
        under_way.scope.cancel()
        return json_response({})

    async def _named(self, request: Request) -> _Import:
        await require_admin(self.backend, request.headers)
        fields = parse_object(await read_body(request, self.settings, self.gate))
        ident = fields.get("importId")
        under_way = self._under_way.get(ident) if isinstance(ident, str) else None
        if under_way is None:
            raise RequestRefused(404, "ImportNotFound", "There is no such import under way.")
        return under_way

    def _upload(self, token: JsonValue) -> Path:
        folder = self.folder / token if isinstance(token, str) and token.isalnum() else None
        if folder is None or not folder.is_dir() or (folder / "file").exists():
            raise RequestRefused(
                400, "BadUploadToken", "'uploadToken' is what /api/import/start_upload gave."
            )
        return folder

    async def _on_disk(self, work: Callable[[], object]) -> None:
        try:
            await self._uploading.get().run(work)
        except OSError as error:
            raise RequestRefused(
                503, "NotStored", f"The file cannot be stored: {error.strerror}."
            ) from None

    # --- Work --------------------------------------------------------------------------------

    async def _import(self, under_way: _Import) -> None:
        """See an import through, from its check to its end."""
        ident = under_way.id
        try:
            with under_way.scope:
                await self._see_through(under_way)
            if under_way.scope.cancelled_caught:
                await self._fail(ident, "It was canceled.")
        except ImportRefused as error:
            await self._fail(ident, _FAILED + error.text, error)
        except _Stopped:
            await self._fail(ident, "It was canceled.")
        except (FlowError, OSError) as error:
            log.warning("An import failed", error=str(error))
            await self._fail(ident, f"{_FAILED}{error}")
        except Exception as error:
            log.exception("An import failed", exc_info=error)
            await self._fail(ident, f"{_FAILED}The server's log says why.")
        finally:
            del self._under_way[ident]
            shutil.rmtree(under_way.folder, ignore_errors=True)

    async def _see_through(self, under_way: _Import) -> None:
        async with self._turn:
            staged, changes = await self._check(under_way)
        under_way.is_ready = True
        await self._ask(under_way, changes)
        with trio.move_on_after(CONFIRM_SECONDS):
            await under_way.confirmed.wait()
        if not under_way.confirmed.is_set():
            raise ImportRefused("It was not confirmed within an hour.")
        state = {"state": "completed", "num_rows_written": to_wire(Int64(staged.rows))}
        # What says that it is done is a part of the commit that does it.
        done = ChangeRow(IMPORTS, under_way.id, {"state": cast("JsonValue", state)})
        ts = await self.backend.swap_in(staged, done.write)
        log.info("Imported", documents=staged.rows, tables=len(staged.tables), ts=ts)
        await self._forget_old()

    async def _check(self, under_way: _Import) -> "tuple[StagedImport, list[TableChange]]":
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._report, under_way)
            nursery.start_soon(_note_end, under_way)
            checked = await self._checking.get().run(lambda: self._try_to_stage(under_way))
            nursery.cancel_scope.cancel()
        if isinstance(checked, Exception):
            raise checked
        return checked

    def _try_to_stage(
        self, under_way: _Import
    ) -> "tuple[StagedImport, list[TableChange]] | Exception":
        # Given, and not raised: a nursery would put it into a group.
        try:
            return self._stage(under_way)
        except Exception as error:
            return error

    def _stage(self, under_way: _Import) -> "tuple[StagedImport, list[TableChange]]":
        """Read and check the file; in the thread."""
        # Only here: most servers never need what it imports.
        from flow_backend.functions.import_files import ImportFile
        from flow_backend.functions.import_stage import Stager, changes_of

        runtime = self.backend.runtime

        def progress(rows: int) -> None:
            under_way.rows = rows
            if under_way.canceled:
                raise _Stopped

        file = ImportFile(under_way.folder / "file", under_way.format, under_way.table)
        stager = Stager(
            self.backend.app,
            file,
            under_way.mode,
            Random(runtime.random.getrandbits(64)),
            runtime.now_ns() / 1e6,
            0.0,
            progress,
        )
        staged = stager.stage(under_way.folder / "staged")
        under_way.warnings = file.warnings
        snapshot = self.backend.storage.open_snapshot()
        try:
            snapshot.begin()
            return staged, changes_of(snapshot, staged)
        finally:
            snapshot.close()

    async def _report(self, under_way: _Import) -> None:
        """Tell how far the check has come, for those who watch."""
        while True:
            await trio.sleep(self.progress_seconds)
            text = f"{under_way.rows:,} rows checked"
            with suppress(Overloaded):
                await self._change(under_way.id, {"state": "uploaded", "progress_message": text})

    async def _ask(self, under_way: _Import, changes: "Sequence[TableChange]") -> None:
        warnings = under_way.warnings
        state: dict[str, JsonValue] = {
            "state": "waiting_for_confirmation",
            "message_to_confirm": _message(changes, warnings),
            "require_manual_confirmation": any(change.deletes for change in changes),
        }
        summary = [
            {"table": each.table, "creates": float(each.creates), "deletes": float(each.deletes)}
            for each in changes
        ]
        await self._change(
            under_way.id,
            state,
            summary=cast("JsonValue", summary),
            warnings=list[JsonValue](warnings),
        )

    async def _fail(self, ident: str, text: str, error: ImportRefused | None = None) -> None:
        problems = list[JsonValue](error.problems if error else ())
        count = float(error.count if error else 0)
        state: dict[str, JsonValue] = {"state": "failed", "error_message": text}
        try:
            await self._change(ident, state, problems=problems, problem_count=count)
        except Overloaded as overloaded:
            log.warning("It could not be noted that an import failed", error=str(overloaded))

    async def _change(self, ident: str, state: Mapping[str, JsonValue], **more: JsonValue) -> None:
        step = ChangeRow(IMPORTS, ident, {"state": dict(state), **more})
        await self.backend.write(step, "_system:imports")

    async def _forget_unfinished(self) -> None:
        """Say of what the last run of the server left that it has failed, and remove its files."""
        for row in read_rows(self.backend, IMPORTS):
            if row["state"]["state"] not in {"completed", "failed"}:
                await self._fail(row["_id"], f"{_FAILED}The server was stopped.")
        if self.folder.exists():
            shutil.rmtree(self.folder, ignore_errors=True)

    async def _forget_old(self) -> None:
        rows = await self._checking.get().run(lambda: read_rows(self.backend, IMPORTS))
        if old := tuple(row["_id"] for row in rows[KEPT:]):
            await self.backend.write(DeleteRows(IMPORTS, old), "_system:imports")


async def _note_end(under_way: _Import) -> None:
    # A thread is not ended from outside: it looks at this. After the check it says nothing more.
    try:
        await trio.sleep_forever()
    finally:
        under_way.canceled = True


def _asked_for(given: JsonValue) -> "tuple[ImportFormat, ImportMode, str | None]":
    """Read what an import is to be. Raises: RequestRefused."""
    if not isinstance(given, dict):
        raise RequestRefused(400, "BadJsonBody", "'import' is an object with 'format' and 'mode'.")
    form, mode, table = given.get("format"), given.get("mode"), given.get("tableName")
    if form not in _FORMATS:
        raise RequestRefused(400, "BadFormat", f"'format' is one of {', '.join(sorted(_FORMATS))}.")
    if mode not in _MODES:
        raise RequestRefused(400, "BadMode", f"'mode' is one of {', '.join(sorted(_MODES))}.")
    if given.get("componentPath"):
        raise RequestRefused(400, "BadComponent", "Flow has no components.")
    if table is not None and not isinstance(table, str):
        raise RequestRefused(400, "BadTable", "'tableName' is the name of a table.")
    return cast("ImportFormat", form), cast("ImportMode", mode), table


def _put_together(folder: Path, names: Sequence[str], path: Path) -> None:
    with path.open("xb") as file:
        for name in names:
            with (folder / name).open("rb") as part:
                shutil.copyfileobj(part, file)
            with suppress(OSError):
                (folder / name).unlink()


def _message(changes: "Sequence[TableChange]", warnings: Sequence[str]) -> str:
    """Say what an import does, in the form that Convex's command line prints."""
    rows = [
        (each.table, str(each.creates), f"{each.deletes} of {each.there}" if each.there else "")
        for each in changes
    ]
    heads = ("table", "create", "delete")
    widths = [max(len(row[place]) for row in (heads, *rows)) for place in range(3)]
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (heads, *rows)
    ]
    lines.insert(1, "-" * (sum(widths) + 6))
    notes = [f"Left out: {warning}." for warning in warnings]
    return "\n".join(["Import change summary:", *lines, *notes])
