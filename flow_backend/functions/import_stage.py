"""Reads a file to be imported into a staging file, or says what of it does not fit."""

from collections.abc import Callable, Mapping
from math import nextafter
from pathlib import Path
from random import Random
from typing import Final

from attrs import define, field

from flow_backend.errors import ImportRefused, InvalidValue
from flow_backend.functions.import_check import Checker
from flow_backend.functions.import_files import ImportFile, Row
from flow_backend.functions.registry import BoundApp
from flow_backend.functions.system_rows import user_tables
from flow_backend.records import frozen
from flow_backend.schema.table import TableSpec
from flow_backend.storage.base import IndexBounds, Reader, TableName
from flow_backend.storage.staged import (
    PROBLEMS_SHOWN,
    ImportMode,
    Problem,
    StagedImport,
    table_exists,
)
from flow_backend.storage.staging import DuplicateId, Staging

_EVERY_ROWS: Final = 500


@frozen
class TableChange:
    """What an import does to one table; ``there`` counts its documents before."""

    table: str
    creates: int
    deletes: int
    there: int


@define
class Stager:
    """Stages one file. Used in a thread: it reads, checks and writes for as long as that takes.

    ``progress`` is told the number of rows every now and then; what it raises ends the work.
    """

    app: BoundApp
    file: ImportFile
    mode: ImportMode
    random: Random
    now_ms: float
    created: float
    progress: Callable[[int], None]
    _problems: list[str] = field(factory=list[str], init=False)
    _count: int = field(default=0, init=False)

    def stage(self, path: Path) -> StagedImport:
        """Write the staging file at ``path``; on an error there is none.

        Raises: ImportRefused with all that does not fit.
        """
        self.file.open()
        self._check_tables()
        staging = Staging(path)
        try:
            for table, entry in self.file.tables.items():
                staging.add_table(self.app.schema.tables[table], entry)
            self._fill(staging)
            if not self._count:
                for problem in staging.problems(self.mode):
                    self._note(problem)
            if self._count:
                raise ImportRefused(
                    "The file does not fit the app's schema. Nothing was changed.",
                    self._problems,
                    self._count,
                )
            return staging.finish(self.mode, self._emptied())
        except BaseException:
            staging.discard()
            raise

    def _check_tables(self) -> None:
        tables = user_tables(self.app)
        for table in self.file.tables:
            if table not in tables:
                raise ImportRefused(
                    f"The app has no table {table!r}, so nothing can be put into it. It has "
                    f"{', '.join(tables) or 'none'}. Add a class for it to the app's schema, or "
                    "take it out of the file."
                )

    def _emptied(self) -> Mapping[str, TableSpec]:
        if self.mode != "replaceAll":
            return {}
        return {name: self.app.schema.tables[name] for name in user_tables(self.app)}

    def _fill(self, staging: Staging) -> None:
        checker = Checker(self.app, self.file, self.random, self.now_ms, self._next_created)
        for number, row in enumerate(self.file.rows(), 1):
            if number % _EVERY_ROWS == 0:
                self.progress(number)
            if isinstance(row, Problem):
                self._note(row)
                continue
            document = checker.document(row)
            if isinstance(document, list):
                for problem in document:
                    self._note(problem)
                continue
            try:
                staging.add(row.table, row.row, document)
            except DuplicateId:
                self._note(_problem(row, "._id", f"{document['_id']} stands in the file before"))
            except InvalidValue as error:
                self._note(_problem(row, "", str(error)))

    def _next_created(self) -> float:
        """Give creation times in the order of the rows, from now on."""
        self.created = max(self.now_ms, nextafter(self.created, float("inf")))
        return self.created

    def _note(self, problem: Problem) -> None:
        self._count += 1
        if len(self._problems) < PROBLEMS_SHOWN:
            self._problems.append(str(problem))


def _problem(row: Row, path: str, reason: str) -> Problem:
    return Problem(row.file, row.row, row.table, path, reason)


def changes_of(reader: Reader, staged: StagedImport) -> list[TableChange]:
    """Say what an import does to each table of the snapshot.

    Raises: ImportRefused if a table has documents that should have none.
    """
    changes: list[TableChange] = []
    for name, each in sorted(staged.tables.items()):
        there = sum(1 for _ in reader.scan(IndexBounds(TableName(name))))
        if there and each.rows and staged.mode == "requireEmpty":
            raise ImportRefused(table_exists(name))
        gone = there if staged.mode in {"replace", "replaceAll"} else 0
        changes.append(TableChange(name, each.rows, gone, there))
    return changes
