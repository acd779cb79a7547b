"""What the writer keeps of rows is what SQL would give, whatever was undone meanwhile."""

from random import Random

import pytest

from flow_backend.storage.base import (
    Done,
    IndexBounds,
    Job,
    Refused,
    Storage,
    StoredRow,
    TableName,
    Transaction,
)
from flow_backend.storage.recent_rows import RecentRows
from tests.storage.support import TASKS, add, change, job, refused_job, remove

IDS = "abcdef"


class Failed(Exception):
    """Ends a batch."""


def check(transaction: Transaction) -> None:
    """Compare what is kept with what a scan finds, which always asks SQL."""
    scanned = {row[1]: row for row in transaction.scan(IndexBounds(TASKS))}
    for id in IDS:
        assert transaction.get(TASKS, id) == scanned.get(id)


def write_something(transaction: Transaction, random: Random) -> None:
    id = random.choice(IDS)
    if transaction.get(TASKS, id) is None:
        add(transaction, id)
    elif random.random() < 0.3:
        remove(transaction, id)
    else:
        change(transaction, id, rank=str(random.random()), title="t" * random.randrange(9))


def nest(transaction: Transaction, random: Random, depth: int) -> None:
    """Write, with parts inside of parts, some of which are undone."""
    for _ in range(random.randrange(4)):
        if depth and random.random() < 0.5:
            part = transaction.savepoint()
            nest(transaction, random, depth - 1)
            part.roll_back() if random.random() < 0.6 else part.release()
        else:
            write_something(transaction, random)
        if random.random() < 0.5:
            check(transaction)


def random_job(random: Random) -> Job:
    def run(transaction: Transaction) -> Done | Refused:
        check(transaction)
        nest(transaction, random, 3)
        check(transaction)
        match random.randrange(8):
            case 0:
                raise Failed
            case 1 | 2:
                return Refused("no")
            case _:
                return Done(b"null")

    return Job(run)


@pytest.mark.parametrize("seed", range(4))
def test_a_get_gives_what_a_scan_finds_whatever_is_undone(storage: Storage, seed: int) -> None:
    random = Random(seed)
    for _ in range(12):
        try:
            storage.writer.commit([random_job(random) for _ in range(random.randrange(1, 4))])
        except Failed:
            continue
    storage.writer.commit([job(check)])


def test_a_refused_jobs_rows_are_forgotten(storage: Storage) -> None:
    storage.writer.commit([job(lambda t: add(t, "a", title="kept"))])

    def spoil(transaction: Transaction) -> None:
        change(transaction, "a", title="spoilt")
        add(transaction, "b")
        row = transaction.get(TASKS, "a")
        assert row is not None
        assert b"spoilt" in row[3]

    storage.writer.commit([refused_job(spoil), job(check)])

    storage.writer.commit([job(check)])


def test_what_is_kept_has_a_bound() -> None:
    def row(number: int) -> StoredRow:
        return number, str(number), 1.0, b"x" * 1000, True

    rows = RecentRows(bytes_max=20_000)
    for number in range(100):
        rows.put((TableName("t"), str(number)), row(number))
        assert rows.get((TableName("t"), str(number))) == row(number)

    kept = [number for number in range(100) if rows.get((TableName("t"), str(number)))]
    assert 1 <= len(kept) <= 20
