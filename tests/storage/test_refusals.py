"""A batch that SQLite refuses before COMMIT: it is not there, and the next one is not disturbed."""

from pathlib import Path

import pytest

from flow_backend.errors import FlowError, NotCommitted
from flow_backend.storage.base import IndexBounds, Job, Refused, Transaction
from tests.storage.support import TASKS, FileEngine, add, all_ids, job, read, write_connection


def batch(number: int) -> list[Job]:
    """Two mutations of two rows each, and one that is refused."""

    def two(transaction: Transaction, part: str) -> None:
        add(transaction, f"{number}{part}1")
        add(transaction, f"{number}{part}2")

    def refuse(transaction: Transaction) -> Refused:
        add(transaction, f"{number}refused")
        return Refused("no")

    return [job(lambda t: two(t, "a")), Job(refuse), job(lambda t: two(t, "b"))]


def ids_of(number: int) -> list[str]:
    return [f"{number}{part}{row}" for part in "ab" for row in "12"]


def test_a6_a_full_disk_before_commit_refuses_the_batch_in_words(tmp_path: Path) -> None:
    storage = FileEngine(tmp_path)()
    storage.writer.commit(batch(0))
    connection = write_connection(storage)
    pages = connection.pragma("page_count")
    connection.pragma("max_page_count", pages)
    last = storage.writer.last_ts

    def much(transaction: Transaction) -> None:
        for number in range(200):
            add(transaction, f"much{number}", title="x" * 500)

    def swallowing(transaction: Transaction) -> None:
        try:
            much(transaction)
        except Exception:  # What an app's own `except` may do.
            return

    for attempt in (much, swallowing):
        with pytest.raises(NotCommitted, match=r"storage is full.*try again"):
            storage.writer.commit([job(lambda t: add(t, "one")), job(attempt)])

    assert storage.writer.last_ts == last
    assert all_ids(storage) == ids_of(0)
    connection.pragma("max_page_count", 10**6)
    storage.writer.commit([job(much)])
    assert len(read(storage, IndexBounds(TASKS))) == 204
    storage.close()


def test_a6_an_interrupted_write_ends_its_batch_or_its_mutation_only(tmp_path: Path) -> None:
    """Whatever SQLite rolls back, no half of a batch is kept and the next one is not disturbed."""
    storage = FileEngine(tmp_path)()
    connection = write_connection(storage)

    def work(transaction: Transaction) -> None:
        for number in range(200):
            add(transaction, f"new{number}")

    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls == 150

    connection.set_progress_handler(stop, 10)
    with pytest.raises(FlowError):
        storage.writer.commit([job(lambda t: add(t, "one")), job(work)])
    connection.set_progress_handler(None)

    assert all_ids(storage) == []
    storage.writer.commit(batch(0))
    assert all_ids(storage) == ids_of(0)
    storage.close()
