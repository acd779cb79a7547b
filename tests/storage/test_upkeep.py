"""What is kept for how long, and how SQLite's log is kept small."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from flow_backend.storage.base import Job, Refused, RequestKey, Storage
from flow_backend.storage.request_records import TOO_OLD
from flow_backend.storage.settings import DAY, StorageSettings
from tests.storage.support import (
    Clock,
    FileEngine,
    add,
    all_ids,
    change,
    job,
    remove,
    write_connection,
)

NS = 1_000_000_000


@pytest.fixture
def engine(tmp_path: Path) -> FileEngine:
    return FileEngine(tmp_path)


@pytest.fixture
def storage(engine: FileEngine, clock: Clock) -> Iterator[Storage]:
    storage = engine(now_ns=clock)
    yield storage
    storage.close()


def sent(number: int | str, session: str = "s") -> Job:
    return job(lambda t: add(t, f"{session}{number}"), RequestKey(session, number))


def test_the_commit_log_has_before_and_after_of_each_commit(storage: Storage) -> None:
    storage.writer.commit([job(lambda t: add(t, "a", rank="1")), job(lambda t: add(t, "b"))])
    storage.writer.commit([job(lambda t: (change(t, "a", rank="2"), change(t, "a", rank="3")))])
    storage.writer.commit([job(lambda t: (remove(t, "a"), add(t, "x"), remove(t, "x")))])

    log = write_connection(storage).execute(
        "SELECT ts, \"table\", id, before ->> 'rank', after ->> 'rank' FROM _commit_log"
    )

    rows = log.fetchall()
    assert [row[1:] for row in rows] == [
        (10001, "a", None, "1"),
        (10001, "b", None, "a"),
        (10001, "a", "1", "3"),
        (10001, "a", "3", None),
    ]
    stamps = [cast("int", row[0]) for row in rows]
    assert stamps == sorted(set(stamps))


def test_the_commit_log_is_pruned_by_age(engine: FileEngine, clock: Clock) -> None:
    storage = engine(now_ns=clock, settings=StorageSettings(prune_max=3))

    def count() -> object:
        return write_connection(storage).execute("SELECT count(*) FROM _commit_log").fetchall()

    storage.writer.commit([job(lambda t: [add(t, id) for id in "abcde"])])
    clock.ns += 6 * DAY * NS
    storage.writer.commit([job(lambda t: add(t, "young"))])
    storage.writer.maintain()
    assert count() == [(6,)]
    clock.ns += 2 * DAY * NS

    for left in (3, 1, 1):
        storage.writer.maintain()
        assert count() == [(left,)]
    storage.close()


def test_c4_a_resend_from_before_the_horizon_is_refused(
    storage: Storage, engine: FileEngine, clock: Clock
) -> None:
    """It cannot be known any more whether it ran, so it must not run again."""
    storage.writer.commit([sent(1), sent(2), sent(1, "other"), sent("key")])
    clock.ns += 13 * DAY * NS
    storage.writer.maintain()
    assert storage.writer.commit([sent(1)]).outcomes[0].replayed
    storage.writer.commit([sent(3)])
    clock.ns += 2 * DAY * NS
    storage.writer.maintain()

    again = [sent(1), sent(2), sent(3), sent(4), sent(2, "other")]
    outcomes = storage.writer.commit(again).outcomes

    assert [outcome.result for outcome in outcomes[:2]] == [Refused(TOO_OLD)] * 2
    assert [outcome.ts for outcome in outcomes[:2]] == [None, None]
    assert outcomes[2].replayed
    assert not outcomes[3].replayed
    assert not outcomes[4].replayed
    assert "s4" in all_ids(storage)


def test_c4_the_horizon_survives_a_restart_and_ends_after_a_year(
    engine: FileEngine, clock: Clock
) -> None:
    storage = engine(now_ns=clock)
    storage.writer.commit([sent(5)])
    clock.ns += 15 * DAY * NS
    storage.writer.maintain()
    storage.close()

    storage = engine(now_ns=clock)
    assert storage.writer.commit([sent(5)]).outcomes[0].result == Refused(TOO_OLD)
    storage.writer.commit([sent(1, "other")])
    clock.ns += 366 * DAY * NS
    storage.writer.maintain()

    rows = write_connection(storage).execute("SELECT session FROM _sessions").fetchall()
    assert rows == [("other",)]
    storage.close()


def test_b4_the_log_is_copied_in_idle_moments(storage: Storage, tmp_path: Path) -> None:
    log = tmp_path / "flow.sqlite3-wal"
    storage.writer.commit([job(lambda t: [add(t, f"{n:04}") for n in range(500)])])
    size = log.stat().st_size
    assert size > 100_000

    storage.writer.maintain()
    for number in range(5):
        storage.writer.commit([job(lambda t, n=number: add(t, f"later {n}"))])
        storage.writer.maintain()

    assert log.stat().st_size == size  # Written from its start again, not longer.


@pytest.mark.slow
def test_b4_a_writer_without_idle_moments_copies_the_log_itself(
    engine: FileEngine, tmp_path: Path
) -> None:
    storage = engine(settings=StorageSettings(checkpoint_bytes=200_000))

    for number in range(100):
        storage.writer.commit([job(lambda t, n=number: [add(t, f"{n}-{m}") for m in range(10)])])

    assert (tmp_path / "flow.sqlite3-wal").stat().st_size < 400_000
    storage.close()


def test_b4_a_reader_holds_the_log_but_not_the_writer(storage: Storage) -> None:
    snapshot = storage.open_snapshot()
    snapshot.begin()
    storage.writer.commit([job(lambda t: add(t, "a"))])

    storage.writer.maintain()
    storage.writer.commit([job(lambda t: add(t, "b"))])

    assert all_ids(storage) == ["a", "b"]
    snapshot.close()


def test_b4_a_huge_log_is_cut_when_nobody_reads(engine: FileEngine, tmp_path: Path) -> None:
    storage = engine(settings=StorageSettings(truncate_bytes=1, busy_ms=10))
    snapshot = storage.open_snapshot()
    snapshot.begin()
    storage.writer.commit([job(lambda t: add(t, "a"))])
    storage.writer.maintain()
    assert (tmp_path / "flow.sqlite3-wal").stat().st_size > 0
    snapshot.close()

    storage.writer.maintain()

    assert (tmp_path / "flow.sqlite3-wal").stat().st_size == 0
    storage.close()
