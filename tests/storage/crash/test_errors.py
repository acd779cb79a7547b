"""What the storage does at each of SQLite's errors, and that it goes on or ends as it says."""

from collections.abc import Iterator
from contextlib import suppress
from random import Random

import apsw
import pytest

from flow_backend.errors import NotCommitted, StorageError
from flow_backend.storage.ballast import FULL
from flow_backend.storage.base import Refused, Storage
from flow_backend.storage.connection import open_connection
from flow_backend.storage.failures import DatabaseDamaged, DiskFailed, OutOfMemory, ReadFailed
from flow_backend.storage.files import DATABASE
from flow_backend.storage.settings import StorageSettings
from flow_backend.testing.disk import Kind, SimDisk
from flow_backend.testing.disk_files import sim_files
from flow_backend.testing.disk_vfs import VFS_NAME
from tests.effort import SEED, cases
from tests.storage.crash.life import CHANGES, Life, Told, check, check_disk, content, rows, start
from tests.storage.support import Clock, add, all_ids, job, remove

SECOND = 10**9
KIB = 1024
BALLAST = StorageSettings(ballast_bytes=1024 * KIB)
SMALL = StorageSettings(cache_bytes=80 * KIB)


@pytest.fixture
def disk() -> Iterator[SimDisk]:
    disk = SimDisk(random=Random(SEED))
    yield disk
    disk.mend()
    disk.kill()


def many(prefix: str, count: int = 100) -> list[str]:
    return [f"{prefix}{number:03}" for number in range(count)]


def filled(disk: SimDisk, clock: Clock) -> Storage:
    """Start on a disk that has no room left but the ballast's."""
    storage = start(disk, now_ns=clock, settings=BALLAST)
    storage.writer.commit([job(lambda t: [add(t, id, title="x" * 500) for id in many("a")])])
    storage.writer.maintain()
    disk.capacity_bytes = disk.used_bytes
    return storage


def grow(storage: Storage, prefixes: str) -> None:
    for prefix in prefixes:
        ids = many(prefix)
        storage.writer.commit([job(lambda t, ids=ids: [add(t, i, title="x" * 500) for i in ids])])


def test_b8_a_full_disk_refuses_what_grows_and_lets_delete(disk: SimDisk) -> None:
    clock = Clock()
    storage = filled(disk, clock)
    with pytest.raises(NotCommitted, match=r"storage is full.*try again"):
        grow(storage, "bcdef")
    there = all_ids(storage)
    assert disk.names.get("flow.ballast") is None

    outcomes = storage.writer.commit(
        [
            job(lambda t: add(t, "new")),
            job(lambda t: [remove(t, id) for id in many("a", 90)]),
            job(lambda t: None),
        ]
    ).outcomes

    assert outcomes[0].result == Refused(FULL)
    assert outcomes[0].ts is None
    assert not any(isinstance(outcome.result, Refused) for outcome in outcomes[1:])
    assert all_ids(storage) == there[90:]
    # Room again: within 5 s it is seen, and the ballast is put back first.
    disk.capacity_bytes += 1100 * KIB
    clock.ns += 4 * SECOND
    assert storage.writer.commit([job(lambda t: add(t, "no"))]).outcomes[0].result == Refused(FULL)
    clock.ns += SECOND
    storage.writer.commit([job(lambda t: add(t, "yes"))])
    assert all_ids(storage) == [*there[90:], "yes"]
    assert disk.names["flow.ballast"].reserved_bytes == BALLAST.ballast_bytes
    storage.close()


def test_b8_a_server_starts_on_a_full_disk(disk: SimDisk) -> None:
    """Else nobody could delete anything after a restart."""
    clock = Clock()
    storage = filled(disk, clock)
    disk.kill()  # The ballast is there still, and gives the room for the start itself.
    storage = start(disk, now_ns=clock, settings=BALLAST)
    with pytest.raises(NotCommitted, match="storage is full"):
        grow(storage, "bcdef")
    there = all_ids(storage)
    for _ in range(3):
        disk.kill()
        storage = start(disk, now_ns=clock, settings=BALLAST)
        assert all_ids(storage) == there

        gone = there.pop(0)
        storage.writer.commit([job(lambda t, id=gone: remove(t, id))])

        assert all_ids(storage) == there
        storage.writer.maintain()
    disk.kill()


@pytest.mark.slow
def test_b8_full_at_each_write_of_a_commit_leaves_nothing_of_it() -> None:
    """It is answered "not committed", so no crash may bring it back."""
    base = SimDisk(random=Random(SEED))
    life = Life(start(base))
    life.work(3)
    base.kill()
    wanted = cases(200)
    for number in range(1, 10_000):
        disk = base.copy(Random(number))
        storage = start(disk)
        fault = disk.fail("write", 1 + number % 60, error=apsw.FullError)
        refused = Life(storage, Told(life.told.count, life.told.ts))
        with suppress(NotCommitted):
            refused.commit()
        assert fault.hits == (refused.told.count == life.told.count)
        if not fault.hits:
            disk.kill()
            continue
        if number % 3:
            refused.commit()
        wanted -= 1
        disk.kill()
        assert check_disk(disk, refused.told) == refused.told.count
        disk.power_cut()
        assert check_disk(disk, refused.told) == refused.told.count
        if not wanted:
            return
    pytest.fail("too few of them struck")


def test_b8_a_failed_read_fails_its_reader_and_the_third_ends_the_process(disk: SimDisk) -> None:
    clock = Clock()
    Life(start(disk, now_ns=clock)).work(5)
    disk.kill()
    for pause, ends in ((31, False), (20, True)):
        storage = start(disk, now_ns=clock, settings=SMALL)
        outcomes: list[type[Exception]] = []
        for _ in range(4):
            snapshot = storage.open_snapshot()
            disk.fail("read", name=DATABASE)
            with pytest.raises((ReadFailed, StorageError)) as caught:
                content(storage, 2)
            outcomes.append(caught.type)
            disk.mend()
            snapshot.close()
            clock.ns += pause * SECOND
        if not ends:
            assert outcomes == [ReadFailed] * 4
            check(storage, Told(10))
        else:
            assert outcomes == [ReadFailed, ReadFailed, DiskFailed, DiskFailed]
            with pytest.raises(DiskFailed):
                storage.writer.commit([job(lambda t: add(t, "a"))])
            with pytest.raises(DiskFailed):
                storage.close()
        disk.kill()
    check_disk(disk, Told(10))


def test_b8_a_damaged_page_met_by_a_reader_ends_the_process(disk: SimDisk) -> None:
    """Exit code 65; nothing is written again, so that the files can be looked at."""
    Life(start(disk)).work(20)
    disk.kill()
    storage = start(disk)
    file = disk.names[DATABASE]
    for page in range(3, len(file.cache) // 4096):
        file.cache[page * 4096 : page * 4096 + 100] = b"\x55" * 100

    with pytest.raises(DatabaseDamaged, match="backup") as caught:
        content(storage, 2)

    assert caught.value.exit_code == 65
    later: list[Kind] = []
    disk.on_operation = lambda kind, name: later.append(kind)
    for act in (storage.open_snapshot().begin, lambda: storage.writer.commit([]), storage.close):
        with pytest.raises(DatabaseDamaged):
            act()
    assert set(later) & CHANGES == set()
    disk.kill()


@pytest.mark.parametrize("where", ["reader", "writer"])
def test_b8_no_memory_fails_once_and_ends_the_process_twice(disk: SimDisk, where: str) -> None:
    clock = Clock()
    Life(start(disk)).work(5)
    disk.kill()
    storage = start(disk, now_ns=clock, settings=SMALL)

    def act() -> None:
        disk.fail("read", error=apsw.NoMemError)
        try:
            if where == "reader":
                content(storage, 2)
            else:
                storage.writer.commit([job(lambda t: remove(t, "0000"))])
        finally:
            disk.mend()

    for _ in range(2):
        with pytest.raises((ReadFailed, NotCommitted)):
            act()
        clock.ns += 61 * SECOND
    with pytest.raises((ReadFailed, NotCommitted)):
        act()
    with pytest.raises(OutOfMemory) as caught:
        act()

    assert caught.value.exit_code == 71
    disk.kill()
    check_disk(disk, Told(10))


@pytest.mark.parametrize(
    "error", [apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError, apsw.BusyError]
)
def test_b8_what_cannot_be_written_can_be_read(disk: SimDisk, error: type[apsw.Error]) -> None:
    Life(start(disk)).work(20)
    for number in range(5):
        disk.kill()
        storage = start(disk, settings=SMALL)
        assert content(storage, 2) == 40
        fault = disk.fail("read", error=error)
        with pytest.raises(NotCommitted, match=r"Nothing was saved.*try again"):
            storage.writer.commit([job(lambda t, id=f"{number:04}": remove(t, id))])
        assert fault.hits
        disk.mend()
        assert content(storage, 2) == 40

    storage.writer.commit([job(lambda t: remove(t, "0000"))])

    assert all_ids(storage)[0] == "0001"
    storage.close()


def test_b8_read_only_inside_commit_is_not_committed(disk: SimDisk) -> None:
    storage = start(disk)
    life = Life(storage)
    life.work(2)
    disk.fail("write", times=None, error=apsw.ReadOnlyError)
    for _ in range(3):
        with pytest.raises(NotCommitted, match="cannot be written"):
            life.commit()
        assert content(storage, 2) == 4
    disk.mend()
    life.commit()
    storage.close()
    check_disk(disk, life.told)


def test_b8_another_writer_fails_the_batch_and_is_counted(disk: SimDisk) -> None:
    storage = start(disk)
    path = sim_files(disk).database
    other = open_connection(path, VFS_NAME)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(NotCommitted, match="locked the database"):
        storage.writer.commit([job(lambda t: add(t, "a"))])

    assert storage.troubles == {"busy": 1}
    other.execute("ROLLBACK")
    other.close()
    storage.writer.commit([job(lambda t: add(t, "b"))])
    assert all_ids(storage) == ["b"]
    assert rows(storage, "PRAGMA integrity_check") == [("ok",)]
    storage.close()
