"""The writer begins anew: what it meets then means the same as at any other time."""

from pathlib import Path

import apsw
import pytest

from flow_backend.storage.base import RequestKey, Storage
from flow_backend.storage.failures import DatabaseDamaged
from tests.storage.support import FileEngine, add, job

PAGE_BYTES = 4096


def damage_requests(storage: Storage, database: Path) -> None:
    """Overwrite the first page of the request records, once the file holds it."""
    storage.writer.maintain()
    with database.open("r+b") as pages:
        connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
        [(page,)] = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = '_request_records'"
        ).fetchall()
        connection.close()
        pages.seek((page - 1) * PAGE_BYTES)
        pages.write(b"\x55" * PAGE_BYTES)


def test_b8_damage_that_is_met_while_the_writer_begins_anew_is_called_damage(
    tmp_path: Path,
) -> None:
    """Else the server tries again until it gives up, and says nothing of a backup."""
    key = RequestKey("s", "a key")
    storage = FileEngine(tmp_path)()
    storage.writer.commit([job(lambda t: add(t, "1"), key)])
    damage_requests(storage, tmp_path / "flow.sqlite3")

    with pytest.raises(DatabaseDamaged, match="backup"):
        storage.writer.start_again([key])

    with pytest.raises(DatabaseDamaged):
        storage.close()
