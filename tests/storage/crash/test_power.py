"""Power cuts and kills at every operation: what was acknowledged is there, whole, and sound."""

from contextlib import suppress
from random import Random

import pytest

from flow_backend.errors import StartError
from flow_backend.storage.failures import ReadFailed
from flow_backend.testing.disk import Kind, SimDisk
from tests.effort import SEED, cases
from tests.storage.crash.life import (
    CHANGES,
    LOG,
    Life,
    Told,
    check,
    check_disk,
    content,
    start,
    sweep,
)

pytestmark = pytest.mark.slow


def test_b1_a2_a_power_cut_at_each_operation_loses_nothing_acknowledged() -> None:
    """Three tables and the request's record stand or fall together, and as a whole batch."""
    found = set[int]()

    def cut(disk: SimDisk, told: Told) -> None:
        disk.power_cut()
        found.add(check_disk(disk, told) - told.count)

    sweep(cases(2000, 50_000), cut, first_seed=SEED)

    assert found == {0, 2}  # The batch under way was lost in some, and in some it was there.


def test_b1_a_kill_at_each_operation_loses_nothing_acknowledged() -> None:
    def kill(disk: SimDisk, told: Told) -> None:
        disk.kill()
        check_disk(disk, told)

    sweep(cases(2000, 50_000), kill, first_seed=SEED + 1)


def test_b3_what_was_read_after_a_kill_survives_a_power_cut() -> None:
    """Who was shown a commit must not lose it: the log is on disk before anything is read."""

    def kill_read_cut(disk: SimDisk, told: Told) -> None:
        disk.kill()
        seen = check_disk(disk, told)
        disk.power_cut()
        assert check_disk(disk, told) >= seen, f"{seen} were shown after the kill"

    sweep(cases(2000, 50_000), kill_read_cut, first_seed=SEED + 2)


def test_b3_all_that_a_start_serves_is_in_the_file() -> None:
    """The log is copied into the file before anything is read, whatever it went through."""

    def kill_and_lose_the_log(disk: SimDisk, told: Told) -> None:
        disk.kill()
        storage = start(disk)
        seen = content(storage, 2)
        disk.kill()
        disk.names.pop(LOG)
        found = check_disk(disk, told)
        assert found == seen, f"{seen} were served, {found} of them are in the file"

    sweep(cases(200), kill_and_lose_the_log, first_seed=SEED, every=9)


def test_b3_a_second_power_cut_in_the_recovery_loses_nothing() -> None:
    points = 0

    def cut_twice(disk: SimDisk, told: Told) -> None:
        nonlocal points
        disk.power_cut()

        def cut_again(kind: Kind, _: str) -> None:
            nonlocal points
            if kind in CHANGES:
                points += 1
                again = disk.copy(Random(points))
                again.power_cut()
                check_disk(again, told)

        disk.on_operation = cut_again
        check(start(disk), told)
        disk.kill()

    # From some crash points, every operation of the start that follows.
    wanted = cases(2000, 50_000)
    sweep(max(1, wanted // 30), cut_twice, first_seed=SEED + 3, every=29)

    assert points > wanted


def test_b3_a_start_that_fails_loses_nothing() -> None:
    """Each operation of a start fails in turn; the next start finds everything."""
    disk = SimDisk(random=Random(SEED))
    life = Life(start(disk))
    life.work(5)
    for at in range(1, 10_000):
        attempt = disk.copy(Random(at))
        attempt.power_cut()
        fault = attempt.fail(None, at, drops_pages=True)
        with suppress(StartError, ReadFailed):
            check(start(attempt), life.told)
        attempt.mend()
        if not fault.hits:
            break
        attempt.power_cut()
        check_disk(attempt, life.told)
    assert at > 50
    disk.kill()
