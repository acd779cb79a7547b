"""Plain SQL over the views, for people: it only reads, and only so long.

It has a connection of its own, which takes part in nothing that the server does.
"""

import time
from typing import Any, Final

import apsw
from attrs import frozen

from flow_backend.errors import SqlRefused
from flow_backend.storage.scan import quote
from flow_backend.storage.views import SUFFIX, view_name

_STEPS: Final = 10_000
_BUSY_MS: Final = 5_000
_READING: Final = frozenset(
    {apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_FUNCTION, apsw.SQLITE_RECURSIVE}
)
_SHOWING: Final = frozenset({"table_info", "table_xinfo", "table_list", "index_list", "index_info"})

_ONLY_READS: Final = (
    "plain SQL only reads: use SELECT; what changes data is a mutation, or an import"
)

SqlCell = str | int | float | bytes | None


@frozen
class SqlAnswer:
    """What a statement gave.

    Attributes:
        columns: their names.
        rows: a tuple for each.
        more: whether rows were left out, past one of the limits.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[SqlCell, ...], ...]
    more: bool = False


def run_sql(
    database: str, text: str, *, seconds: float, rows_max: int, bytes_max: int = 64 << 20
) -> SqlAnswer:
    """Run one statement on a database file; in a thread, as it may take its ``seconds``.

    A table's own name stands for its view, which has every field as a column.

    Raises: SqlRefused.
    """
    connection: Any = None
    try:
        connection = _open(database)
        deadline = time.monotonic() + seconds
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        return _answer(connection, text, rows_max, bytes_max)
    except apsw.InterruptError:
        raise SqlRefused(
            f"the statement was stopped after {seconds:g} s: make it smaller, or give it more "
            "time with --seconds"
        ) from None
    except apsw.AuthError:
        raise SqlRefused(_ONLY_READS) from None
    except apsw.Error as error:
        raise SqlRefused(_said(error, connection)) from None
    finally:
        if connection is not None:
            connection.close(True)


def _open(database: str) -> Any:
    connection: Any = apsw.Connection(database, flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.set_busy_timeout(_BUSY_MS)
        connection.pragma("trusted_schema", 0)
        for table in _tables(connection):
            # The temporary one is found first.
            connection.execute(
                f"CREATE TEMP VIEW {quote(table)} AS SELECT * FROM main.{quote(view_name(table))}"  # noqa: S608  # Quoted names of the schema.
            )
        connection.authorizer = _allow
    except BaseException:
        connection.close(True)
        raise
    return connection


def _tables(connection: Any) -> list[str]:
    rows = connection.execute(
        "SELECT substr(v.name, 1, length(v.name) - ?) FROM main.sqlite_schema v "
        "JOIN main.sqlite_schema t ON t.type = 'table' AND t.name || ? = v.name "
        "WHERE v.type = 'view' ORDER BY 1",
        (len(SUFFIX), SUFFIX),
    )
    return [name for (name,) in rows]


def _allow(
    operation: int, one: str | None, two: str | None, _database: str | None, _trigger: str | None
) -> int:
    if operation in _READING:
        is_unsafe = operation == apsw.SQLITE_FUNCTION and two == "load_extension"
        return apsw.SQLITE_DENY if is_unsafe else apsw.SQLITE_OK
    shows = operation == apsw.SQLITE_PRAGMA and one in _SHOWING
    return apsw.SQLITE_OK if shows else apsw.SQLITE_DENY


def _answer(connection: Any, text: str, rows_max: int, bytes_max: int) -> SqlAnswer:
    columns: list[tuple[str, ...]] = []

    def begin(cursor: Any, _sql: str, _bindings: object) -> bool:
        if columns:
            raise SqlRefused("that is more than one statement: run them one by one")
        # Here they are known also if no row comes.
        columns.append(tuple([name for name, *_ in cursor.get_description()]))
        return True

    cursor = connection.cursor()
    cursor.exec_trace = begin
    rows: list[tuple[SqlCell, ...]] = []
    weight = 0
    for row in cursor.execute(text):
        weight += sum(len(cell) if isinstance(cell, (str, bytes)) else 8 for cell in row)
        if len(rows) >= rows_max or weight > bytes_max:
            return SqlAnswer(columns[0], tuple(rows), more=True)
        rows.append(row)
    if not columns or not columns[0]:
        raise SqlRefused("there is no statement in that: give one, such as SELECT 1")
    return SqlAnswer(columns[0], tuple(rows))


def _said(error: apsw.Error, connection: Any) -> str:
    if connection is None:
        return f"the database cannot be opened: {error}"
    said = str(error).removeprefix("SQLError: ")
    if "because it is a view" in said:
        return _ONLY_READS
    if "no such table" in said:
        said += f"; the tables are {', '.join(_tables(connection))}"
    return said
