"""After a failure that nobody mends, the disk is left as it is."""

from random import Random

import pytest

from flow_backend.errors import StartError, StorageError
from flow_backend.storage.failures import DiskFailed
from flow_backend.testing.disk import Kind, SimDisk
from tests.storage.crash.test_disk import LOG, start
from tests.storage.support import add, all_ids, job

WRITES: set[Kind] = {"write", "sync", "truncate", "delete", "rename"}


def test_b6_nothing_is_written_after_a_failed_commit() -> None:
    """SQLite checkpoints by itself when its last connection is closed."""
    disk = SimDisk(random=Random(1))
    storage = start(disk)
    storage.writer.commit([job(lambda t: add(t, "a"))])
    disk.fail("sync", drops_pages=True, name=LOG)
    with pytest.raises(StorageError):
        storage.writer.commit([job(lambda t: add(t, "b"))])
    later: list[tuple[Kind, str]] = []
    disk.on_operation = lambda kind, name: later.append((kind, name))

    with pytest.raises(StorageError):
        storage.close()

    assert [each for each in later if each[0] in WRITES] == []
    disk.kill(evict=True)
    assert all_ids(start(disk)) == ["a"]
    disk.kill()


def test_b6_a_writer_whose_sync_failed_commits_nothing_more() -> None:
    """The kernel may mark the pages clean: a second try would succeed and lie."""
    disk = SimDisk(random=Random(1))
    storage = start(disk)
    storage.writer.commit([job(lambda t: add(t, "a"))])
    disk.fail("sync", name=LOG)

    with pytest.raises(DiskFailed) as caught:
        storage.writer.commit([job(lambda t: add(t, "b"))])

    assert caught.value.exit_code == 74
    operations = disk.operations
    again = [job(lambda t: add(t, "c"))]
    for act in (lambda: storage.writer.commit(again), storage.writer.maintain, storage.close):
        with pytest.raises(DiskFailed):
            act()
    assert disk.operations == operations
    disk.kill()
    found = start(disk)
    assert all_ids(found)[0] == "a"
    assert "c" not in all_ids(found)
    disk.kill()


def test_b6_nothing_is_written_after_a_failed_start() -> None:
    disk = SimDisk(random=Random(1))
    start(disk).writer.commit([job(lambda t: add(t, "a"))])
    disk.kill()
    disk.fail("truncate")
    later: list[Kind] = []
    disk.on_operation = lambda kind, name: later.append(kind)

    with pytest.raises(StartError):
        start(disk)

    assert set(later[later.index("truncate") + 1 :]) & WRITES == set()
    disk.kill()


def test_b4_a_reader_never_checkpoints() -> None:
    disk = SimDisk(random=Random(1))
    storage = start(disk)
    storage.writer.commit([job(lambda t: add(t, "a"))])
    snapshot = storage.open_snapshot()
    assert snapshot.begin() == storage.writer.last_ts
    disk.fail("sync")  # So the writer's connection goes without a checkpoint.
    with pytest.raises(StorageError):
        storage.writer.commit([job(lambda t: add(t, "b"))])
    with pytest.raises(StorageError):
        storage.close()
    later: list[Kind] = []
    disk.on_operation = lambda kind, name: later.append(kind)

    snapshot.close()  # It is the last one now.

    assert set(later) & WRITES == set()
    disk.kill()
