"""The start of storage: from a directory to an open database, in the order that loses nothing.

Source: the guarantees, B3 and B5.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, cast

import apsw

from flow_backend.errors import StartError
from flow_backend.schema.table import TableSpec
from flow_backend.storage import build, failures, layout, packages
from flow_backend.storage.ballast import with_room
from flow_backend.storage.base import TableName
from flow_backend.storage.connection import Connection, close_connection, open_connection
from flow_backend.storage.files import CANNOT_CREATE, Files
from flow_backend.storage.read_only import ReadOnly
from flow_backend.storage.settings import StorageSettings
from flow_backend.storage.tables import StoredTable
from flow_backend.storage.transaction import Clock

_DATA_DAMAGED: Final = 65
_INTERNAL: Final = 70
_LOG_KEPT_BYTES: Final = 64 * 2**20
_CHECK_STEPS: Final = 100_000

Opened = tuple[Connection, dict[TableName, StoredTable], Clock]
"""The write connection, the tables of the schema, and the clock's row."""


Tables = Sequence[TableSpec] | Callable[[ReadOnly | None], Sequence[TableSpec]]


class _State(NamedTuple):
    """What the file says of itself before it is changed; no format means that it is empty."""

    format: int | None
    clean: bool


def open_database(
    files: Files, specs: Tables, now_ns: Callable[[], int], settings: StorageSettings
) -> Opened:
    """Open the database and bring it to today's schema.

    ``specs`` may be a function that says which schema that is, of what the database holds; None is
    a new one.

    Raises: StartError if another process has it, it cannot be written, it is damaged or of a newer
        format, or its documents do not fit the schema; nothing was changed then.
    """
    _check_sqlite_version()
    files.prepare()
    connection: Connection | None = None
    try:
        left_log = files.renew_log()
        connection = connect(files, settings, read_only=False)
        opened = connection
        # The change to a write-ahead log removes a rollback journal, and SQLite does not sync that:
        # one that comes back with the power would roll back all that was committed since.
        files.sync()
        with_room(files, lambda: _checkpoint(opened))
        state = _read_state(connection)
        if state.format is not None and (left_log or not state.clean):
            _check_pages(connection, now_ns, settings.check_seconds)
        if callable(specs):
            specs = specs(None if state.format is None else ReadOnly(opened))
        chosen = specs
        tables, clock = with_room(files, lambda: _bring_up(opened, chosen, state, now_ns))
    except BaseException as error:
        if connection is not None:
            close_connection(connection, leave_log=True)
        files.release()
        if isinstance(error, (apsw.Error, OSError)):
            raise _start_error(files, error) from error
        raise
    return opened, tables, clock


def connect(files: Files, settings: StorageSettings, *, read_only: bool) -> Connection:
    """Open a connection and set it up; each setting is read back.

    Raises: StartError if SQLite does not take a setting; apsw.Error.
    """
    connection = open_connection(files.database, files.vfs)
    try:
        _set_up(connection, settings, read_only=read_only)
    except BaseException:
        close_connection(connection, leave_log=True)
        raise
    return connection


def _set_up(connection: Connection, settings: StorageSettings, *, read_only: bool) -> None:
    connection.set_busy_timeout(settings.busy_ms)
    # Otherwise an ordered scan is compiled anew whenever other values are bound to it, in the hope
    # of statistics that are never gathered here: four times the work of the scan itself.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    pragmas: dict[str, int | str] = {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL: an acknowledged commit is on disk.
        # An automatic checkpoint would come inside of some COMMIT, and be its slowest part.
        "wal_autocheckpoint": 0,
        "journal_size_limit": _LOG_KEPT_BYTES,
        "mmap_size": 0,
        "cache_size": -(settings.cache_bytes // 1024),
        "trusted_schema": 0,
        "query_only": int(read_only),
    }
    for name, wanted in pragmas.items():
        connection.pragma(name, wanted)
        found = connection.pragma(name)
        if name == "mmap_size" and found is None:
            continue  # This disk has no memory mapping at all.
        if found != wanted:
            raise StartError(
                f"SQLite does not take {name} = {wanted}, it stays at {found!r}", _INTERNAL
            )


def _check_sqlite_version() -> None:
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split(".")[:3])
    # 3.7.0 to 3.51.2 can lose committed pages; the mend was carried back to two older lines.
    mended = version[:2] == (3, 44) and version >= (3, 44, 6)
    mended = mended or (version[:2] == (3, 50) and version >= (3, 50, 7))
    if version < (3, 51, 3) and not mended:
        raise StartError(
            f"SQLite {apsw.sqlite_lib_version()} can lose committed data; Flow needs 3.51.3 or "
            "later: upgrade the package apsw",
            _INTERNAL,
        )


def _checkpoint(connection: Connection) -> None:
    """Put all of the log into the file and on disk, before anything is read from it.

    A process that was killed between write and fsync leaves commits that this one sees in the
    kernel's memory only; whoever was shown one would lose it with the power.
    """
    [(busy, _, _)] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    if busy != 0:
        raise StartError("another program has the database open; stop it first", CANNOT_CREATE)


def _read_state(connection: Connection) -> _State:
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    if not names:
        return _State(None, clean=True)
    if "_meta" not in names:
        raise StartError(
            "the file in the data directory is an SQLite database, but none of Flow's; give "
            "another directory",
            _DATA_DAMAGED,
        )
    meta = {row[0]: row[1] for row in connection.execute("SELECT name, value FROM _meta")}
    found = meta.get("format")
    if not isinstance(found, int):
        raise StartError(
            f"the database does not say its format. {failures.HOW_TO_RESTORE}", _DATA_DAMAGED
        )
    if found > layout.FORMAT:
        raise StartError(
            f"the database was written by a newer Flow (format {found}, this one knows up to "
            f"{layout.FORMAT}); start that version, or restore a backup from before the upgrade",
            CANNOT_CREATE,
        )
    return _State(found, clean=meta.get("clean_stop") == 1)


def _check_pages(connection: Connection, now_ns: Callable[[], int], seconds: float) -> None:
    """Check the file after an unclean stop, as far as the time allows.

    Raises: StartError if it is damaged.
    """
    deadline = now_ns() + int(seconds * 1e9)
    connection.set_progress_handler(lambda: now_ns() > deadline, _CHECK_STEPS)
    try:
        found = [row[0] for row in connection.execute("PRAGMA quick_check(5)").fetchall()]
    except apsw.InterruptError:
        return  # What was looked at is sound; a large file must not keep the server from starting.
    finally:
        connection.set_progress_handler(None)
    if found != ["ok"]:
        lines = "; ".join(line for row in found for line in str(row).splitlines())
        raise StartError(
            f"the database is damaged: {lines}. {failures.HOW_TO_RESTORE}",
            _DATA_DAMAGED,
        )


def _bring_up(
    connection: Connection,
    specs: Sequence[TableSpec],
    state: _State,
    now_ns: Callable[[], int],
) -> tuple[dict[TableName, StoredTable], Clock]:
    """Bring the file to today's schema and take the mark of a clean stop away."""

    def work() -> tuple[dict[TableName, StoredTable], Clock]:
        if state.format is None:
            layout.create_system_tables(connection, max(1, now_ns()))
        connection.execute(packages.CREATE)
        connection.execute(build.CREATE)
        tables, changed = layout.apply_schema(connection, specs)
        [row] = connection.execute("SELECT ts, created_at FROM _clock").fetchall()
        clock = Clock(*cast("tuple[int, float]", row))
        if changed and state.format is not None:
            # Documents may read otherwise now: what was seen at the old timestamp is not this.
            clock.ts = max(clock.ts + 1, now_ns())
            connection.execute("UPDATE _clock SET ts = ?", (clock.ts,))
        connection.execute("UPDATE _meta SET value = 0 WHERE name = 'clean_stop'")
        return tables, clock

    return layout.in_transaction(connection, work)


def _start_error(files: Files, error: apsw.Error | OSError) -> StartError:
    if isinstance(error, failures.DAMAGED):
        return StartError(
            f"the database {files.database} is damaged. {failures.HOW_TO_RESTORE}", _DATA_DAMAGED
        )
    reason = failures.reason_of(error) if isinstance(error, apsw.Error) else error.strerror
    return StartError(f"cannot open the database {files.database}: {reason}", CANNOT_CREATE)
