"""A2: three tables, a job and a request: a power cut leaves all of a transaction, or nothing."""

from random import Random
from typing import Final

import pytest

from flow_backend.errors import StartError, StorageError
from flow_backend.functions.job_steps import waiting_jobs
from flow_backend.functions.jobs import JOBS, NewJob, add_job
from flow_backend.functions.seed import Seed
from flow_backend.schema.model import build_schema
from flow_backend.storage.base import Done, IndexBounds, Job, Storage, Transaction
from flow_backend.storage.sqlite import open_files
from flow_backend.testing.disk import SimDisk
from flow_backend.testing.disk_files import sim_files
from tests.effort import SEED, cases
from tests.storage.crash.life import NOTES, TABLES, transaction
from tests.storage.support import BOARDS, TASKS, Clock, ids

WITH_JOBS: Final = (*TABLES, build_schema(()).tables[JOBS])
BATCH: Final = 3


def opened(disk: SimDisk) -> Storage:
    return open_files(sim_files(disk), WITH_JOBS, now_ns=Clock())


def scheduling(number: int) -> Job:
    """Give a transaction of the suite that schedules a job as well."""
    plain = transaction(number)

    def run(t: Transaction) -> Done:
        new = NewJob("jobs:work", {"number": float(number)}, 0.0, "mutation")
        add_job(t, Seed(number), new)
        done = plain.run(t)
        assert isinstance(done, Done)
        return done

    return Job(run, plain.request)


def count_of(storage: Storage) -> int:
    """Check that every part of each transaction is there, or none; give how many are."""
    snapshot = storage.open_snapshot()
    try:
        snapshot.begin()
        tasks = ids(list(snapshot.scan(IndexBounds(TASKS))))
        boards = ids(list(snapshot.scan(IndexBounds(BOARDS))))
        notes = ids(list(snapshot.scan(IndexBounds(NOTES))))
        jobs = waiting_jobs(snapshot, "mutation", (), most=10**6, bytes_max=2**30)
    finally:
        snapshot.close()
    assert tasks == boards
    assert notes == tasks[-4:]
    assert [job.args for job in jobs] == [{"number": float(n)} for n in range(len(tasks))]
    again = storage.writer.commit([scheduling(number) for number in range(len(tasks))])
    assert all(outcome.replayed for outcome in again.outcomes)
    return len(tasks)


@pytest.mark.slow
def test_a2_f3_a_job_exists_if_and_only_if_its_transaction_does() -> None:
    cuts = 0
    for seed in range(SEED, SEED + cases(300)):
        random = Random(seed)
        disk = SimDisk(random=random)
        told = 0
        for _ in range(3):
            try:
                storage = opened(disk)
                found = count_of(storage)
                assert found in (told, told + BATCH), (found, told)
                told = found
                disk.fail("write", random.randrange(1, 30), None)
                for _ in range(random.randrange(1, 6)):
                    storage.writer.commit([scheduling(told + n) for n in range(BATCH)])
                    told += BATCH
            except (StorageError, StartError):
                cuts += 1
            disk.mend()
            disk.power_cut()
        storage = opened(disk)
        assert count_of(storage) in (told, told + BATCH)
        storage.close()
    assert cuts
