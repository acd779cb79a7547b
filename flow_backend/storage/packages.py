"""The packages of deployed versions, in the database: a copy of its file has all that there is."""

from collections.abc import Collection
from typing import Final, cast

import orjson

from flow_backend.storage.connection import Connection

# A row of its own and no document: a package may be larger than one.
CREATE: Final = """
CREATE TABLE IF NOT EXISTS _packages (
    _rowid INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    zip BLOB NOT NULL
)
"""


def keep_package(connection: Connection, digest: str, zipped: bytes) -> None:
    """Keep a package, in the caller's transaction; one that is kept already stays as it is."""
    text = "INSERT INTO _packages (digest, zip) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING"
    connection.execute(text, (digest, zipped))


def read_package(connection: Connection, digest: str) -> bytes | None:
    """Give a package as it was kept, None if it is not there."""
    rows = connection.execute("SELECT zip FROM _packages WHERE digest = ?", (digest,)).fetchall()
    return cast("bytes", rows[0][0]) if rows else None


def drop_packages(connection: Connection, kept: Collection[str]) -> None:
    """Delete all packages but these, in the caller's transaction."""
    text = "DELETE FROM _packages WHERE digest NOT IN (SELECT value FROM json_each(?))"
    connection.execute(text, (orjson.dumps(sorted(kept)).decode(),))
