"""The disk fails at any operation: nothing acknowledged is gone, nothing refused is there."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from attrs import define, field

from flow_backend.errors import FlowError, NotCommitted, StorageError
from flow_backend.storage.base import IndexBounds, Job, Refused, Storage, Transaction
from flow_backend.storage.failures import DiskFailed
from flow_backend.storage.files import SystemFiles
from flow_backend.storage.sqlite import open_files
from tests.storage.support import (
    SCHEMA,
    TASKS,
    Clock,
    FileEngine,
    add,
    all_ids,
    job,
    read,
    write_connection,
)

VFS_NAME = "faulty"


@define
class Machine:
    """Counts the operations of the disk, and fails the one that it is told to."""

    fail_at: int | None = None
    error: type[apsw.Error] = apsw.IOError
    count: int = 0
    failed: list[str] = field(factory=list[str])

    def operation(self, kind: str) -> None:
        self.count += 1
        if self.fail_at is not None and self.count == self.fail_at:
            self.failed.append(kind)
            raise self.error(f"injected in {kind}")


class FaultyFile(apsw.VFSFile):
    """A file of the real disk whose writes, syncs and cuts may fail."""

    def __init__(self, machine: Machine, name: object, flags: list[int]) -> None:
        super().__init__("", name, flags)  # type: ignore[arg-type]
        self.machine = machine

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  # SQLite's name.
        self.machine.operation("write")
        super().xWrite(data, offset)  # pyright: ignore[reportUnknownMemberType]  # apsw's Buffer.

    def xSync(self, flags: int) -> None:  # noqa: N802  # SQLite's name.
        self.machine.operation("sync")
        super().xSync(flags)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802  # SQLite's name.
        self.machine.operation("truncate")
        super().xTruncate(newsize)


class FaultyDisk(apsw.VFS):
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        super().__init__(VFS_NAME, "")

    def xOpen(self, name: object, flags: list[int]) -> FaultyFile:  # noqa: N802  # SQLite's name.
        return FaultyFile(self.machine, name, flags)


class FaultyFiles(SystemFiles):
    @property
    def vfs(self) -> str:
        return VFS_NAME


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine()
    disk = FaultyDisk(machine)
    yield machine
    disk.unregister()


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


def run(directory: Path) -> tuple[list[int], FlowError | None]:
    """Run the whole life of a process; give the acknowledged batches and what ended it."""
    storage = open_files(FaultyFiles(directory), SCHEMA, now_ns=Clock())
    done = list[int]()
    try:
        for number in range(6):
            try:
                storage.writer.commit(batch(number))
            except NotCommitted:
                continue
            done.append(number)
            if number % 2:
                storage.writer.maintain()
    except StorageError as error:
        ended: FlowError | None = error
    else:
        ended = None
    try:
        storage.close()
    except StorageError as error:
        ended = ended or error
    return done, ended


@pytest.mark.slow
@pytest.mark.parametrize("error", [apsw.IOError, apsw.FullError])
def test_a6_b6_each_operation_of_the_disk_may_fail(
    machine: Machine, tmp_path: Path, error: type[apsw.Error]
) -> None:
    """Each write, sync and truncate in turn: whole batches only, and all that were answered."""
    machine.count = 0
    run(tmp_path / "counted")
    operations = machine.count
    reached = set[str]()

    for operation in range(1, operations, 3):
        directory = tmp_path / str(operation)
        open_files(FaultyFiles(directory), SCHEMA, now_ns=Clock()).close()
        machine.count, machine.fail_at, machine.error = 0, operation, error

        try:
            done, ended = run(directory)
        except FlowError as failed:
            done, ended = [], failed  # The start failed: it serves nobody.
        machine.fail_at = None

        storage = FileEngine(directory)()
        found = all_ids(storage)
        # Whole batches in order; unknown is only the one in whose COMMIT the disk failed.
        present = [number for number in range(6) if f"{number}a1" in found]
        assert found == [id for number in present for id in ids_of(number)]
        assert set(done) <= set(present)
        assert len(present) - len(done) <= (1 if ended else 0)
        check = write_connection(storage).execute("PRAGMA integrity_check").fetchall()
        assert check == [("ok",)]
        storage.close()
        reached.add("ended" if ended else "went on")

    assert set(machine.failed) >= {"write", "sync"}
    assert "ended" in reached


def test_b6_a_writer_whose_sync_failed_commits_nothing_more(
    machine: Machine, tmp_path: Path
) -> None:
    """The kernel may mark the pages clean: a second try would succeed and lie."""
    storage = open_files(FaultyFiles(tmp_path), SCHEMA, now_ns=Clock())
    storage.writer.commit(batch(0))
    writes = count_until_sync(machine, storage)
    machine.count, machine.fail_at = 0, writes

    with pytest.raises(DiskFailed) as caught:
        storage.writer.commit(batch(2))

    assert machine.failed == ["sync"]
    assert caught.value.exit_code == 74
    machine.fail_at = None
    for act in (lambda: storage.writer.commit(batch(3)), storage.writer.maintain, storage.close):
        with pytest.raises(DiskFailed):
            act()
    found = FileEngine(tmp_path)()
    assert all_ids(found)[:8] == ids_of(0) + ids_of(1)
    assert "3a1" not in all_ids(found)
    found.close()


def count_until_sync(machine: Machine, storage: Storage) -> int:
    """Commit the next batch; its last operation is the sync of the log."""
    machine.count = 0
    storage.writer.commit(batch(1))
    return machine.count


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
