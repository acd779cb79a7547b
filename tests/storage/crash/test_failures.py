"""The disk fails at each of its operations: whole batches only, and all that were answered."""

import itertools
from random import Random

import apsw
import pytest

from flow_backend.errors import NotCommitted, StartError, StorageError
from flow_backend.storage.base import Storage
from flow_backend.storage.settings import StorageSettings
from flow_backend.testing.disk import Kind, SimDisk
from tests.effort import FULL, SEED, cases
from tests.storage.crash.life import CHANGES, Life, Told, check, check_disk, content, start

pytestmark = pytest.mark.slow

KINDS: tuple[Kind, ...] = ("write", "sync", "read", "truncate")
BATCH = 16
SMALL = StorageSettings(cache_bytes=80 * 1024)
"""A cache of few pages, so that a batch reads and writes in its midst."""


def prepared(seed: int) -> tuple[SimDisk, Told]:
    """Give a disk with some batches on it, whose process has ended."""
    disk = SimDisk(random=Random(seed))
    life = Life(start(disk), batch=BATCH)
    life.work(3)
    disk.kill()
    return disk, life.told


@pytest.mark.parametrize("error", [apsw.IOError, apsw.FullError])
@pytest.mark.parametrize("times", [1, None])
def test_a6_each_operation_of_a_batch_fails(error: type[apsw.Error], times: int | None) -> None:
    """Answered "not committed": nothing of it is there, and it runs when it is sent again."""
    base, told = prepared(SEED)
    every = 1 if FULL else 7
    ended, went_on, count = 0, 0, 0

    for kind in KINDS:
        at = 1
        while True:
            disk = base.copy(Random(f"{kind} {at}"))
            life = Life(start(disk, settings=SMALL), Told(told.count, told.ts), BATCH, 2)
            fault = disk.fail(kind, at, times, error)
            try:
                life.work(4, goes_on=True)
            except (NotCommitted, StorageError) as failure:
                ended += isinstance(failure, StorageError)
            disk.mend()
            if not fault.hits:
                disk.kill()
                break
            at, count = at + every, count + 1
            try:
                # Who was told "not committed" can rely on it, in this process and in the next.
                assert content(life.storage, BATCH) in (life.told.count, life.told.count + BATCH)
                if life.told.not_committed:
                    life.commit()
                    went_on += 1
                    assert content(life.storage, BATCH) == life.told.count
            except StorageError:
                pass  # It is the end of this process: the next one sees what is there.
            disk.kill(evict=at % 2 == 0)
            check_disk(disk, life.told, BATCH)
            disk.power_cut()
            check_disk(disk, life.told, BATCH)

    assert count >= cases(2000) // 4, count
    assert ended
    assert went_on


def start_with_cuts(disk: SimDisk, told: Told) -> Storage:
    """Start on a disk; at many operations of that, see what a power cut would have left."""
    points = 0
    wrong: list[Exception] = []

    def cut(kind: Kind, _: str) -> None:
        nonlocal points
        points += 1
        if kind not in CHANGES or wrong or disk.random.random() > 0.2:
            return
        again = disk.copy(Random(points))
        again.mend()
        again.power_cut()
        try:
            check_disk(again, told)
        except Exception as error:  # SQLite, which calls this, would make it an error of its own.
            wrong.append(error)

    disk.on_operation = cut
    storage = start(disk)
    disk.on_operation = None
    if wrong:
        raise wrong[0]
    return storage


def lose_each_sync(seed: int, more: int) -> int:
    """Let each sync of a process's life in turn fail and drop its pages. Returns: how many did."""
    for at in itertools.count(1):
        disk = SimDisk(random=Random(f"{seed} {at}"))
        fault = disk.fail("sync", at, drops_pages=True)
        told = Told()
        try:
            life = Life(start(disk), told)
            life.work(7)
            life.storage.close()
        except (StorageError, StartError, NotCommitted):
            pass
        if not fault.hits:
            disk.kill()
            return at - 1
        disk.kill(evict=disk.random.random() < 0.3)
        if at % 3 == 0:  # There is no room for the copy of the log.
            disk.fail("write", 1, None, apsw.FullError, name="-wal.copy")
        storage = start_with_cuts(disk, told)
        found = check(storage, told)
        later = Life(storage, Told(found, storage.writer.last_ts), 1)
        later.work(more)
        if disk.random.random() < 0.5:
            disk.kill()
            check_disk(disk, later.told, 1)
        disk.power_cut()
        check_disk(disk, later.told, 1)
    raise AssertionError("the syncs of a life never end")


@pytest.mark.parametrize("more", [0, 1, 5, 99])
def test_b6_a_failed_sync_that_drops_its_pages_loses_nothing(more: int) -> None:
    """The process ends, the next one writes the log anew, works on; then the power goes."""
    count, wanted = 0, cases(2000) // (8 if more == 99 else 4)
    for seed in itertools.count(SEED + 1):
        count += lose_each_sync(seed, more)
        if count >= wanted:
            return


@pytest.mark.parametrize("more", [0, 1, 5])
def test_b6_a_failed_sync_in_the_next_start_loses_nothing(more: int) -> None:
    """The copy of the log may fail as well, and its sync drop its pages."""
    disk = SimDisk(random=Random(SEED))
    life = Life(start(disk))
    life.work(7)
    for at in range(1, 100):
        attempt = disk.copy(Random(at))
        attempt.kill()
        fault = attempt.fail("sync", at, drops_pages=True)
        found = life.told
        try:
            storage = start(attempt)
            later = Life(storage, Told(check(storage, life.told), storage.writer.last_ts))
            found = later.told
            later.work(more)
        except (StartError, StorageError):
            pass
        attempt.mend()
        attempt.kill(evict=True)
        if not fault.hits:
            break
        check_disk(attempt, found)
        attempt.power_cut()
        check_disk(attempt, found)
    assert at > 3
    disk.kill()
