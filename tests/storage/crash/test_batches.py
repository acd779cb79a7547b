"""Batches with failures among them, and clocks that jump, over many lives of a process."""

from contextlib import suppress
from random import Random

import pytest

from flow_backend.errors import NotCommitted, StartError, StorageError
from flow_backend.storage.base import Done, Job, Refused, RequestKey, Storage, Transaction
from flow_backend.testing.disk import SimDisk
from tests.effort import SEED, cases
from tests.storage.crash.life import Life, Told, content, rows, start
from tests.storage.support import START_NS, Clock, add, change, contents, remove

pytestmark = pytest.mark.slow

YEAR_NS = 365 * 86_400 * 10**9
IDS = "abcdefgh"
DUMPED = ("tasks", "_commit_log", "_request_records", "_clock", "_meta")


def random_job(seed: str, number: int, *, fails: bool) -> Job:
    """Give a job whose every step follows from its seed and the rows that it finds."""

    def run(t: Transaction) -> Done | Refused:
        random = Random(seed)
        for step in range(random.randrange(1, 6)):
            id = random.choice(IDS)
            there = t.get("tasks", id) is not None  # type: ignore[arg-type]
            savepoint = t.savepoint() if random.random() < 0.2 else None
            if not there:
                add(t, id, rank=str(number), title="x" * random.randrange(3000))
            elif random.random() < 0.5:
                change(t, id, rank=f"{number}-{step}")
            else:
                remove(t, id)
            if savepoint is not None:
                (savepoint.roll_back if random.random() < 0.5 else savepoint.release)()
            if fails and random.random() < 0.3:
                return Refused("no")
        return Refused("no") if fails else Done(str(len(contents(t))).encode())

    return Job(run, RequestKey("s", number))


def dump(storage: Storage) -> list[object]:
    return [rows(storage, f"SELECT * FROM {table} ORDER BY 1") for table in DUMPED]


def test_a3_a_batch_equals_the_same_batch_without_its_failures() -> None:
    """No write, no timestamp, no creation time and no row number of a failed one is left."""
    for seed in range(SEED, SEED + cases(2000)):
        random = Random(seed)
        clock = Clock()
        disks = SimDisk(random=Random(1)), SimDisk(random=Random(1))
        both, sound = (start(disk, now_ns=clock) for disk in disks)
        number = 0
        for _ in range(3):
            jobs: list[tuple[bool, Job]] = []
            for _ in range(random.randrange(1, 9)):
                fails = random.random() < 0.4
                jobs.append((fails, random_job(f"{seed} {number}", number, fails=fails)))
                number += 1
            all_outcomes = both.writer.commit([job for _, job in jobs]).outcomes
            outcomes = sound.writer.commit([job for fails, job in jobs if not fails]).outcomes
            kept = [o for (fails, _), o in zip(jobs, all_outcomes, strict=True) if not fails]
            assert tuple(kept) == outcomes, f"seed {seed}"
            clock.ns += random.randrange(10**7)
        assert dump(both) == dump(sound), f"seed {seed}"
        for disk in disks:
            disk.kill()


def test_a5_timestamps_only_grow_whatever_the_clock_does() -> None:
    """Jumps of up to a year around commits, refusals, failures, kills and power cuts."""
    for seed in range(SEED, SEED + cases(500)):
        random = Random(seed)
        disk, clock = SimDisk(random=Random(seed)), Clock()
        told = Told()
        for _ in range(4):
            storage = start(disk, now_ns=clock)
            assert storage.writer.last_ts >= told.ts, f"seed {seed}"
            told = Told(content(storage, 2), max(told.ts, storage.writer.last_ts))
            life = Life(storage, told)
            try:
                a_day(life, disk, clock, random)
                if random.random() < 0.3:
                    storage.close()
            except (StorageError, StartError):
                pass
            disk.mend()
            (disk.power_cut if random.random() < 0.5 else disk.kill)()


def a_day(life: Life, disk: SimDisk, clock: Clock, random: Random) -> None:
    """Commit, which asserts that timestamps grow, while the clock jumps and things fail."""
    for _ in range(random.randrange(1, 6)):
        clock.ns = START_NS + random.randrange(-YEAR_NS, YEAR_NS)
        writer = life.storage.writer
        match random.randrange(5):
            case 0:
                writer.commit([Job(lambda _: Refused("no"), None)])
                assert writer.last_ts >= life.told.ts
            case 1:
                life.told.ts = writer.mark_past(writer.last_ts)
            case 2:
                disk.fail(random.choice(("write", "sync", "read")), random.randrange(1, 9))
                with suppress(NotCommitted):
                    life.commit()
                disk.mend()
            case _:
                life.commit()
