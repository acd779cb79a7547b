"""Reads the documents of a file that is imported, row by row, and says what is none.

Source: the HTTP API, "import".
"""

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Final, Literal

from attrs import define, field

from flow_backend.errors import ImportRefused, InvalidValue
from flow_backend.records import frozen
from flow_backend.storage.staged import Problem
from flow_backend.values.encode import from_export, from_wire, parse_json
from flow_backend.values.names import check_field_name
from flow_backend.values.value import JsonValue, Value

ImportFormat = Literal["csv", "jsonLines", "jsonArray", "zip"]

LINE_BYTES_MAX: Final = 8 * 2**20
"""A document has at most 1 MiB; its JSON may be longer, with escapes, but never by so much."""

ARRAY_BYTES_MAX: Final = 16 * 2**20

DOCUMENTS: Final = "documents.jsonl"
MARKER: Final = "generated_schema.jsonl"
TABLES: Final = "_tables"
COMPONENTS: Final = "_components"
README: Final = "README.md"
_BOM: Final = b"\xef\xbb\xbf"


@frozen
class Row:
    """One document of a file.

    Attributes:
        row: its place, counted from 1.
        value: its fields.
        is_exact: whether integers are told apart from floats; else all were meant as floats.
        is_text: whether every value is text, as in CSV.
    """

    file: str
    row: int
    table: str
    value: Mapping[str, Value]
    is_exact: bool = False
    is_text: bool = False


@define
class ImportFile:
    """A file to be imported; ``table`` is the one that it goes into, unless it is a zip.

    Attributes:
        numbers: the number that ids of each table carry in this file, as far as it says.
        tables: the tables that it has, with the entry of each.
        warnings: what of it is left out.
    """

    path: Path
    format: ImportFormat
    table: str | None
    name: str = "the file"
    numbers: Mapping[str, int] = field(factory=dict[str, int], init=False)
    tables: Mapping[str, str] = field(factory=dict[str, str], init=False)
    warnings: list[str] = field(factory=list[str], init=False)
    _exact: frozenset[str] = field(factory=frozenset[str], init=False)

    def open(self) -> None:
        """Look what is in it.

        Raises: ImportRefused if it is not what it is said to be.
        """
        if self.format != "zip":
            if self.table is None:
                raise ImportRefused("Say which table the documents go into (--table).")
            self.tables = {self.table: self.name}
            return
        if self.table is not None:
            raise ImportRefused("A zip names its tables itself: leave --table away.")
        with _reading(self), zipfile.ZipFile(self.path) as archive:
            entries = _sort_entries(archive, self.warnings)
            self.tables = entries.documents
            self._exact = frozenset(
                table for table, entry in entries.markers.items() if _is_uniform(archive, entry)
            )
            if entries.tables is not None:
                self.numbers = _read_numbers(archive, entries.tables)
        if not self.tables:
            raise ImportRefused(
                f"The zip holds no documents: a table is a folder with a {DOCUMENTS}."
            )

    def rows(self) -> Iterator[Row | Problem]:
        """Give the documents, in the file's order, and in their place what is none.

        Raises: ImportRefused if the rest of the file cannot be read.
        """
        with _reading(self):
            if self.format == "zip":
                yield from self._zip_rows()
                return
            assert self.table is not None
            with self.path.open("rb") as file:
                if self.format == "csv":
                    yield from _csv_rows(file, self.name, self.table)
                elif self.format == "jsonArray":
                    yield from _array_rows(file, self.name, self.table)
                else:
                    yield from _line_rows(file, self.name, self.table, is_exact=False)

    def _zip_rows(self) -> Iterator[Row | Problem]:
        with zipfile.ZipFile(self.path) as archive:
            for table, entry in self.tables.items():
                with archive.open(entry) as file:
                    yield from _line_rows(file, entry, table, is_exact=table in self._exact)


class _reading(AbstractContextManager[None]):  # noqa: N801  # Reads as a word of the with statement.
    """Turns what a broken file raises into words."""

    def __init__(self, file: ImportFile) -> None:
        self._file = file

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)):
            raise ImportRefused(f"The zip cannot be read: {error or 'it is cut short'}.") from None
        if isinstance(error, RuntimeError) and "password" in str(error):
            raise ImportRefused("The zip is encrypted: unpack it, and pack it without.") from None


@define
class _Entries:
    documents: dict[str, str] = field(factory=dict[str, str])
    markers: dict[str, str] = field(factory=dict[str, str])
    tables: str | None = None


def _sort_entries(archive: zipfile.ZipFile, warnings: list[str]) -> _Entries:
    """Find what each entry is; what cannot be imported is left out with a warning."""
    entries = _Entries()
    left_out: dict[str, int] = {}
    for entry in archive.namelist():
        *folders, name = entry.split("/")
        if not name or not folders:
            continue
        if COMPONENTS in folders:
            left_out[COMPONENTS] = left_out.get(COMPONENTS, 0) + 1
            continue
        table = folders[-1]
        if table == TABLES:
            entries.tables = entry if name == DOCUMENTS else entries.tables
        elif table.startswith("_"):
            left_out[table] = left_out.get(table, 0) + 1
        elif name == DOCUMENTS:
            if table in entries.documents:
                raise ImportRefused(
                    f"The zip has table {table!r} twice: as {entries.documents[table]} and {entry}."
                )
            entries.documents[table] = entry
        elif name == MARKER:
            entries.markers[table] = entry
    for what, count in sorted(left_out.items()):
        why = "files are not kept by Flow" if what == "_storage" else "the server keeps its own"
        if what == COMPONENTS:
            why = "Flow has no components"
        warnings.append(f"{what} is left out ({count} entries): {why}")
    return entries


def _is_uniform(archive: zipfile.ZipFile, entry: str) -> bool:
    with archive.open(entry) as file:
        return file.read(64).strip() == b'"uniform"'


def _read_numbers(archive: zipfile.ZipFile, entry: str) -> dict[str, int]:
    """Read which number the ids of each table carry.

    Raises: ImportRefused.
    """
    numbers: dict[str, int] = {}
    with archive.open(entry) as file:
        for row in _line_rows(file, entry, "", is_exact=True):
            if isinstance(row, Problem):
                raise ImportRefused(str(row))
            name, number = row.value.get("name"), row.value.get("id")
            if not isinstance(name, str) or not isinstance(number, (int, float)) or number < 1:
                raise ImportRefused(
                    f"{entry}, row {row.row}: this is no name and number of a table."
                )
            numbers[name] = int(number)
    return numbers


def _line_rows(
    file: IO[bytes], name: str, table: str, *, is_exact: bool
) -> Iterator[Row | Problem]:
    number = 0
    while line := file.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(line) > LINE_BYTES_MAX:
            raise ImportRefused(f"{name}: row {number} has more than {LINE_BYTES_MAX} bytes.")
        if number == 1 and line.startswith(_BOM):
            raise ImportRefused(f"{name} begins with a byte order mark: save it as plain UTF-8.")
        if line.isspace():
            continue
        try:
            parsed = parse_json(line)
        except InvalidValue as error:
            yield Problem(name, number, table, "", f"Row {number} wasn't valid JSON: {error}")
            continue
        yield _object_row(name, number, table, parsed, is_exact)


def _object_row(
    name: str, number: int, table: str, parsed: JsonValue, is_exact: bool
) -> Row | Problem:
    if not isinstance(parsed, dict):
        return Problem(name, number, table, "", f"Row {number} wasn't an object")
    try:
        value = _decode(parsed, is_exact)
    except InvalidValue as error:
        return Problem(name, number, table, "", str(error))
    if not isinstance(value, dict):  # Such as {"$bytes": ...}.
        return Problem(name, number, table, "", f"Row {number} wasn't an object")
    return Row(name, number, table, value, is_exact)


def _decode(parsed: JsonValue, is_exact: bool) -> Value:
    try:
        return from_export(parsed)
    except InvalidValue:
        if is_exact:
            raise
        # An integer beyond 64 bits: a float, where integers are not told apart.
        return from_wire(parsed)


def _array_rows(file: IO[bytes], name: str, table: str) -> Iterator[Row | Problem]:
    data = file.read(ARRAY_BYTES_MAX + 1)
    if len(data) > ARRAY_BYTES_MAX:
        raise ImportRefused(
            f"{name} has more than 16 MiB, which is too much for one JSON array: write a document "
            "a line, and import it as JSON lines."
        )
    try:
        parsed = parse_json(data)
    except InvalidValue as error:
        raise ImportRefused(f"{name} wasn't valid JSON: {error}") from None
    if not isinstance(parsed, list):
        raise ImportRefused(f"{name} is no JSON array of objects.")
    for number, item in enumerate(parsed, 1):
        yield _object_row(name, number, table, item, is_exact=False)


def _csv_rows(file: IO[bytes], name: str, table: str) -> Iterator[Row | Problem]:
    # Spreadsheets write a byte order mark.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    reader = csv.reader(text, strict=True)
    try:
        header = [each.strip(" ") for each in next(reader, list[str]())]
        _check_header(header, name)
        for number, cells in enumerate(reader, 1):
            if not cells:
                continue
            if len(cells) != len(header):
                problem = f"CSV row {number} doesn't have all of the fields in the header"
                yield Problem(name, number, table, "", problem)
                continue
            yield Row(name, number, table, dict(zip(header, cells, strict=True)), is_text=True)
    except csv.Error as error:
        raise ImportRefused(f"{name}, line {reader.line_num}: no CSV: {error}") from None
    except UnicodeDecodeError:
        raise ImportRefused(f"{name}, line {reader.line_num + 1}: no UTF-8.") from None


def _check_header(header: list[str], name: str) -> None:
    if not header:
        raise ImportRefused(f"{name} is empty: its first row names the fields.")
    for each in header:
        try:
            check_field_name(each)
        except InvalidValue as error:
            raise ImportRefused(f"{name}, the header: {error}") from None
    if len(set(header)) != len(header):
        raise ImportRefused(f"{name}, the header: a field stands there twice.")
