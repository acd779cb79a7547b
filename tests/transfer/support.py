"""An app with every type of value, and its data as Convex would write it into a snapshot."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, cast

import orjson
from attrs import frozen

from flow_backend.functions.export_files import Exporter, ExportFormat
from flow_backend.functions.import_files import ImportFile, ImportFormat
from flow_backend.functions.import_stage import Stager, TableChange, changes_of
from flow_backend.functions.registry import BoundApp, make_app
from flow_backend.schema.document import Document, Id, Instant, document
from flow_backend.schema.ids import encode_id
from flow_backend.schema.index import Index
from flow_backend.schema.reference import Reference
from flow_backend.schema.search_index import SearchIndex
from flow_backend.storage.base import (
    Committed,
    SearchBounds,
    Storage,
    StoredRow,
    TableName,
    Term,
    Transaction,
)
from flow_backend.storage.sqlite import open_storage
from flow_backend.storage.staged import ImportMode
from flow_backend.values.value import Int64

START_MS = 1_800_000_000_000.0


@document("rooms")
class Room(Document):
    name: str
    code: str | None = None

    by_code = Index("code", unique=True)
    by_name = Index("name")
    words = SearchIndex("name", within=("code",))


@frozen
class Place:
    x: float
    y: Int64


@document("things")
class Thing(Document):
    room: Id[Room] | None = None
    text: str
    number: float
    whole: int
    big: Int64
    raw: bytes
    flag: bool
    nothing: None
    at: Instant
    place: Place
    items: list[float | str | bytes | None]
    anything: Any
    record: dict[str, Int64]
    by_room = Index("room")
    of_room = Reference("room", on_delete="restrict")
    by_big = Index("big")


APP = make_app("everything", [Room, Thing], {})
USER_TABLES = ("rooms", "things")


class Database:
    """A database with the app of every type, and what imports and exports do with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        specs = tuple(APP.schema.tables.values())
        self.storage: Storage = open_storage(
            folder / "data", specs, now_ns=lambda: int(START_MS * 1e6)
        )
        self.app: BoundApp = APP.bind(
            {str(name): number for name, number in self.storage.table_numbers.items()}
        )
        self.files = 0
        self.changes: Sequence[TableChange] = ()
        self.warnings: Sequence[str] = ()

    def take(
        self,
        path: Path,
        mode: ImportMode = "requireEmpty",
        form: ImportFormat = "zip",
        table: str | None = None,
    ) -> Committed:
        """Import a file, as the server does."""
        self.files += 1
        file = ImportFile(path, form, table)
        stager = Stager(self.app, file, mode, Random(self.files), START_MS, 0.0, lambda _: None)
        staging = self.folder / f"{self.files}.staging"
        staged = stager.stage(staging)
        self.warnings = file.warnings
        snapshot = self.storage.open_snapshot()
        try:
            snapshot.begin()
            self.changes = changes_of(snapshot, staged)
            return self.storage.writer.swap_in(staged, _note)
        finally:
            snapshot.close()
            staging.unlink()

    def give(self, form: ExportFormat = "zip", table: str | None = None) -> Path:
        """Export into a new file."""
        self.files += 1
        path = self.folder / f"{self.files}.export"
        snapshot = self.storage.open_snapshot()
        try:
            snapshot.begin()
            tables = {name: APP.schema.tables[name] for name in USER_TABLES}
            exporter = Exporter(snapshot, tables, self.app.table_numbers, lambda _: None)
            exporter.write(path, form, table)
        finally:
            snapshot.close()
        return path

    def search_rooms(self, word: str) -> list[StoredRow]:
        """Find rooms by a word of their names."""
        snapshot = self.storage.open_snapshot()
        try:
            snapshot.begin()
            return list(
                snapshot.search(SearchBounds(TableName("rooms"), "words", (Term(word),)), 9)
            )
        finally:
            snapshot.close()

    def id(self, table: str, number: int) -> str:
        return id_of(self.app.table_numbers[table], number)

    def close(self) -> None:
        self.storage.close()


def _note(transaction: Transaction) -> None:
    """Write something of the server's own, as its record of an import is."""
    ident = encode_id(transaction.table_number(cast("Any", "_imports")), bytes(16))
    row = transaction.get(cast("Any", "_imports"), ident)
    created = transaction.next_creation_time()
    document = {"_id": ident, "_creationTime": created, "state": {}, "format": "zip"}
    if row is not None:
        transaction.delete(cast("Any", "_imports"), row)
    transaction.insert(cast("Any", "_imports"), ident, cast("Any", document))


def id_of(table_number: int, number: int) -> str:
    return encode_id(table_number, number.to_bytes(16, "big"))


def write_zip(path: Path, entries: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def lines(*documents: Mapping[str, object] | str) -> str:
    """Write documents a line each; text stands as it is."""
    return "".join(
        (each if isinstance(each, str) else orjson.dumps(each).decode()) + "\n"
        for each in documents
    )


def read_zip(path: Path) -> dict[str, list[Any]]:
    """Give what each entry of a zip holds, a JSON value a line."""
    with zipfile.ZipFile(path) as archive:
        return {
            name: [orjson.loads(line) for line in archive.read(name).splitlines()]
            for name in archive.namelist()
            if name.endswith(".jsonl")
        }
