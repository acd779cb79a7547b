"""Writes documents of one snapshot into a file: a zip of all tables, or one table's rows.

Source: the HTTP API, "export"; the values, "json (clean) and export_json".
"""

import csv
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, Literal

import orjson
from attrs import define

from flow_backend.functions.import_files import DOCUMENTS, MARKER, README, TABLES
from flow_backend.schema.table import TableSpec
from flow_backend.storage.base import IndexBounds, Reader, StoredRow, TableName
from flow_backend.values.encode import from_wire, to_export
from flow_backend.values.value import JsonValue

ExportFormat = Literal["zip", "jsonl", "csv"]

_PIECE_BYTES: Final = 256 * 1024
_README: Final = """# A snapshot of a Flow database

Each folder is a table. Its `documents.jsonl` has a document a line, in Convex's snapshot format:
numbers with a fraction or an exponent are floats, integers are 64-bit integers, and what JSON
lacks is an object with one key: `{"$bytes": "<base64>"}`, `{"$float": "<base64 of 8 bytes>"}`.

`flow import --replace-all <file>` puts all of it back, with ids and creation times.
"""


class ExportStopped(Exception):
    """The server stops, and the file is not finished."""


@define
class Exporter:
    """Writes what a reader has, table by table; memory stays that of a few documents.

    ``progress`` is told the number of documents every now and then; what it raises ends the work.
    """

    reader: Reader
    tables: Mapping[str, TableSpec]
    numbers: Mapping[str, int]
    progress: Callable[[int], None]
    documents: int = 0

    def write(self, path: Path, form: ExportFormat, table: str | None) -> None:
        """Write a new file; on an error there is none.

        Raises: OSError, and what ``progress`` raises.
        """
        try:
            if form == "zip":
                self._write_zip(path)
            else:
                assert table is not None
                with path.open("xb") as file:
                    pieces = self._lines(table) if form == "jsonl" else self._csv(table)
                    for piece in pieces:
                        file.write(piece)
        except BaseException:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise

    def _write_zip(self, path: Path) -> None:
        # Level 1: a third more bytes than the usual one, in a third of the time.
        with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            _put(archive, README, _README.encode())
            names = sorted(self.tables, key=lambda name: self.numbers[name])
            listed = [orjson.dumps({"name": name, "id": self.numbers[name]}) for name in names]
            _put(archive, f"{TABLES}/{DOCUMENTS}", b"".join(line + b"\n" for line in listed))
            for name in names:
                # How large it becomes is not known before, and may be more than 4 GiB.
                with archive.open(f"{name}/{DOCUMENTS}", "w", force_zip64=True) as file:
                    _write_all(file, self._lines(name))
                _put(archive, f"{name}/{MARKER}", b'"uniform"\n')

    def _lines(self, table: str) -> Iterator[bytes]:
        """Give the documents as lines, many at once."""
        piece = bytearray()
        spec = self.tables[table]
        for row in self._rows(table):
            piece += export_line(spec, row)
            piece += b"\n"
            if len(piece) >= _PIECE_BYTES:
                yield bytes(piece)
                piece.clear()
                self.progress(self.documents)
        yield bytes(piece)
        self.progress(self.documents)

    def _csv(self, table: str) -> Iterator[bytes]:
        spec = self.tables[table]
        names = ["_id", "_creationTime", *spec.fields]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        for row in self._rows(table):
            writer.writerow(_cells(orjson.loads(export_line(spec, row)), names))
            if text.tell() >= _PIECE_BYTES:
                yield text.getvalue().encode()
                text.seek(0)
                text.truncate()
                self.progress(self.documents)
        yield text.getvalue().encode()
        self.progress(self.documents)

    def _rows(self, table: str) -> Iterator[StoredRow]:
        for row in self.reader.scan(IndexBounds(TableName(table))):
            self.documents += 1
            yield row


def export_line(spec: TableSpec, row: StoredRow) -> bytes:
    """Give a document in the format ``export_json``, without a line's end."""
    _, _, _, raw, of_today = row
    if of_today and b'"$' not in raw:
        # Only what JSON lacks is written otherwise; a text may look like it, and loses nothing.
        return raw
    wire: JsonValue = orjson.loads(raw) if of_today else spec.read(raw)
    return orjson.dumps(to_export(from_wire(wire)), option=orjson.OPT_SORT_KEYS)


def _put(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    # With no date of its own: the same data give the same file.
    archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 1)


def _write_all(file: IO[bytes], pieces: Iterator[bytes]) -> None:
    for piece in pieces:
        file.write(piece)


def _cells(document: Mapping[str, JsonValue], names: Sequence[str]) -> list[str]:
    return [_cell(document.get(name)) for name in names]


def _cell(value: JsonValue) -> str:
    """Give a value as a cell: null is empty, and what is no scalar is JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
