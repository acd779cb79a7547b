"""The simulated disk itself: what each kind of crash leaves, and that one seed decides it."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from random import Random

import apsw
import pytest

from flow_backend.errors import NotCommitted, StartError, StorageError
from flow_backend.storage.base import Storage
from flow_backend.storage.failures import ReadFailed
from flow_backend.storage.files import DATABASE
from flow_backend.storage.sqlite import open_files
from flow_backend.testing.disk import SimDisk
from flow_backend.testing.disk_files import sim_files
from flow_backend.testing.sim_file import SimFile, sectors
from tests.storage.support import SCHEMA, Clock, add, all_ids, job, write_connection

ROOT = Path(__file__).parents[3]
LOG = f"{DATABASE}-wal"

# Commits, reads beside the writer, checkpoints, is cut off, starts again; then prints the image.
SCRIPT = """
from tests.storage.crash.test_disk import a_life
print(a_life(7))
"""


def start(disk: SimDisk) -> Storage:
    return open_files(sim_files(disk), SCHEMA, now_ns=Clock())


def work(storage: Storage, life: int) -> None:
    for number in range(100):
        storage.writer.commit([job(lambda t, n=number: add(t, f"{life}-{n}"))])
        all_ids(storage)
        if number % 4 == 0:
            storage.writer.maintain()


def a_life(seed: int) -> str:
    disk = SimDisk(random=Random(seed))
    for life in range(3):
        storage = start(disk)
        disk.cut_at = disk.operations + 100 + 10 * life
        with pytest.raises((StorageError, NotCommitted, ReadFailed)):
            work(storage, life)
        disk.power_cut()
    return disk.image()


@pytest.mark.slow
def test_one_seed_gives_one_image_in_any_process() -> None:
    """A failure is worth something only if it can be had again."""
    images = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    ]

    assert images == [a_life(7)] * 2
    assert a_life(8) != a_life(7)


def test_a_power_cut_keeps_what_was_synced_and_any_part_of_the_rest() -> None:
    outcomes = set[bytes]()
    for seed in range(200):
        file = SimFile()
        file.write(0, b"a" * 1000)
        file.sync()
        file.write(500, b"b" * 600)
        file.cut_power(Random(seed))
        content = bytes(file.cache)
        assert content[:500] == b"a" * 500
        assert content == bytes(file.disk)
        outcomes.add(content)

    lost, whole = b"a" * 1000, b"a" * 500 + b"b" * 600
    torn = b"a" * 512 + b"b" * 512
    assert {lost, whole, b"a" * 500 + b"b" * 12 + b"a" * 488} < outcomes
    assert any(content.startswith(torn) for content in outcomes)


def test_sectors_begin_where_the_disks_do() -> None:
    parts = sectors(500, b"x" * 600)

    assert [(start, len(part)) for start, part in parts] == [(500, 12), (512, 512), (1024, 76)]


def test_a_kill_keeps_what_was_written_and_a_cut_after_it_does_not() -> None:
    found = set[str]()
    for seed in range(20):
        disk = SimDisk(random=Random(seed))
        disk.create("f").write(0, b"x")
        disk.kill()
        assert bytes(disk.names["f"].cache) == b"x"
        disk.power_cut()
        found.add(str(bytes(disk.names["f"].cache)) if "f" in disk.names else "no file")

    assert found == {"no file", "b''", "b'x'"}


def test_the_dead_stay_dead() -> None:
    """A connection of a process that ended must not checkpoint on the disk of the next."""
    disk = SimDisk(random=Random(1))
    dead = start(disk)
    dead.writer.commit([job(lambda t: add(t, "a"))])
    disk.kill()
    image = disk.image()

    with pytest.raises((StorageError, NotCommitted)):
        dead.writer.commit([job(lambda t: add(t, "b"))])
    del dead

    assert disk.image() == image
    alive = start(disk)
    assert all_ids(alive) == ["a"]
    alive.close()


def test_connections_share_the_log() -> None:
    disk = SimDisk(random=Random(1))
    storage = start(disk)
    storage.writer.commit([job(lambda t: add(t, "a"))])
    snapshot = storage.open_snapshot()
    first = snapshot.begin()
    storage.writer.commit([job(lambda t: add(t, "b"))])

    assert storage.writer.last_ts > first
    assert snapshot.get("tasks", "b") is None  # type: ignore[arg-type]
    assert all_ids(storage) == ["a", "b"]
    snapshot.close()
    with pytest.raises(StartError, match="another server"):
        start(disk)
    storage.close()
    start(disk).close()


def test_a_sync_that_drops_its_pages_is_seen_when_the_kernel_forgets_them() -> None:
    disk = SimDisk(random=Random(1))
    storage = start(disk)
    storage.writer.commit([job(lambda t: add(t, "a"))])
    size = len(disk.names[LOG].disk)
    fault = disk.fail("sync", drops_pages=True, name=LOG)

    with pytest.raises(StorageError):
        storage.writer.commit([job(lambda t: add(t, "b"))])

    assert fault.hits == 1
    assert disk.names[LOG].pending == []
    assert len(disk.names[LOG].cache) > len(disk.names[LOG].disk) == size
    disk.kill(evict=True)
    again = start(disk)
    assert all_ids(again) == ["a"]
    again.close()


def test_a_full_disk_takes_what_needs_no_room() -> None:
    disk = SimDisk(random=Random(1))
    storage = start(disk)
    storage.writer.commit([job(lambda t: add(t, "a"))])
    storage.writer.maintain()
    disk.capacity_bytes = disk.used_bytes

    storage.writer.commit([job(lambda t: add(t, "b"))])  # From the start of the log again.
    with pytest.raises((NotCommitted, StorageError)):
        storage.writer.commit(
            [job(lambda t: [add(t, f"c{n}", title="x" * 999) for n in range(99)])]
        )

    disk.kill()
    disk.capacity_bytes = None
    again = start(disk)
    assert all_ids(again) == ["a", "b"]
    again.close()


@pytest.mark.parametrize("kind", ["open", "read", "write", "sync", "truncate", "delete", "rename"])
def test_each_kind_of_operation_can_fail(kind: str) -> None:
    disk = SimDisk(random=Random(1))
    start(disk).writer.commit([job(lambda t: add(t, "a"))])
    disk.kill()
    fault = disk.fail(kind, 1, None)  # type: ignore[arg-type]

    # A log that cannot be deleted at the end is no failure: the next start does it.
    with suppress(StartError, StorageError):
        start(disk).close()
        assert kind == "delete"

    assert fault.hits
    disk.mend()
    disk.kill()
    again = start(disk)
    assert all_ids(again) == ["a"]
    assert write_connection(again).execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    again.close()


def test_errors_are_those_that_sqlite_gives() -> None:
    disk = SimDisk(random=Random(1))
    storage = start(disk)
    disk.fail("sync")
    with pytest.raises(StorageError) as caught:
        storage.writer.commit([job(lambda t: add(t, "a"))])

    cause = caught.value.__cause__
    assert isinstance(cause, apsw.IOError)
    assert cause.extendedresult == apsw.SQLITE_IOERR_FSYNC
    disk.kill()
