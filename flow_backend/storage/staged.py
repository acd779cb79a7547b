"""What an import brings, as the writer is told of it; and what is said of what does not fit."""

from collections.abc import Mapping
from typing import Final, Literal

from flow_backend.records import frozen
from flow_backend.schema.table import TableSpec

ImportMode = Literal["requireEmpty", "append", "replace", "replaceAll"]


@frozen
class StagedTable:
    """One table of an import.

    Attributes:
        spec: what the columns were made for; the writer takes them over only if it is the same.
        staged: the name of the SQL table that holds the documents, empty if there are none.
        file: where they come from, in an import's words.
        rows: how many there are.
    """

    spec: TableSpec
    staged: str
    file: str
    rows: int


@frozen
class StagedImport:
    """All that an import is to change.

    Attributes:
        path: the file with the documents.
        tables: those that are written, by name.
        mode: what becomes of the documents that these tables have already.
        newest_created: the newest creation time among the documents, ms since the epoch.
    """

    path: str
    tables: Mapping[str, StagedTable]
    mode: ImportMode
    newest_created: float

    @property
    def rows(self) -> int:
        """How many documents it brings."""
        return sum(table.rows for table in self.tables.values())


@frozen
class Problem:
    """What does not fit in a file: where it stands, and why.

    Attributes:
        file: its name, or that of the entry of a zip.
        row: counted from 1; 0 says that the file as a whole is meant.
        table: empty if it is not known.
        path: the field, such as ``.rooms[2]``; empty for the whole document.
    """

    file: str
    row: int
    table: str
    path: str
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}, row {self.row}" if self.row else self.file
        field = f"{self.table}{self.path}"
        return f"{place}: {field}: {self.reason}" if field else f"{place}: {self.reason}"


PROBLEMS_SHOWN: Final = 20
"""How many problems are told one by one; the others are counted."""


def no_such(target: str, target_id: str) -> str:
    """Say that a reference points to no document."""
    return f'there is no document {target_id} in table "{target}"'


def path_of(fields: tuple[str, ...]) -> str:
    """Give the path that names the fields of an index."""
    return "." + "/".join(fields)


def table_exists(table: str) -> str:
    """Say that a table is not empty; Convex's words."""
    return (
        f"Table {table} already exists. Please choose a new table name or use replace/append modes."
    )
