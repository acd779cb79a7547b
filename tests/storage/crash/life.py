"""A life of the storage on a simulated disk, and what must be found there after any end of it.

Each transaction writes three tables and its request's record, and the next one builds on it: so the
whole content follows from how many of them are there.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from attrs import define, field

from flow_backend.errors import NotCommitted
from flow_backend.schema.table import ColumnKind, FieldSpec, TableSpec
from flow_backend.storage.base import (
    Done,
    IndexBounds,
    Job,
    RequestKey,
    Storage,
    TableName,
    Transaction,
)
from flow_backend.storage.files import DATABASE
from flow_backend.storage.settings import DEFAULT_SETTINGS, StorageSettings
from flow_backend.storage.sqlite import open_files
from flow_backend.testing.disk import Kind, SimDisk
from flow_backend.testing.disk_files import SimFiles, sim_files
from tests.storage.support import BOARDS, SCHEMA, TASKS, Clock, add, ids, write_connection

LOG: Final = f"{DATABASE}-wal"
NOTES: Final = TableName("notes")
NOTES_SPEC: Final = TableSpec(
    "notes", {"text": FieldSpec("text", ColumnKind.TEXT)}, fingerprint="1"
)
TABLES: Final = (*SCHEMA, NOTES_SPEC)
NOTES_KEPT: Final = 4
CHANGES: Final[frozenset[Kind]] = frozenset(
    {"write", "sync", "truncate", "delete", "rename", "sync directory"}
)
"""Only these change the disk: a cut before any other is the same as the one before it."""


def start(
    disk: SimDisk,
    *,
    now_ns: Callable[[], int] | None = None,
    settings: StorageSettings = DEFAULT_SETTINGS,
    files: SimFiles | None = None,
) -> Storage:
    """Start a process on the disk."""
    return open_files(files or sim_files(disk), TABLES, now_ns=now_ns or Clock(), settings=settings)


def transaction(number: int) -> Job:
    """Give the transaction of this number."""

    def run(t: Transaction) -> Done:
        id = f"{number:04}"
        add(t, id, rank=f"{number * 7919 % 1000:03}", title="t" * (number * 97 % 900))
        created_at = t.next_creation_time()
        t.insert(BOARDS, id, {"_id": id, "_creationTime": created_at, "name": f"board {number}"})
        created_at = t.next_creation_time()
        t.insert(NOTES, id, {"_id": id, "_creationTime": created_at, "text": "n" * number})
        old = t.get(NOTES, f"{number - NOTES_KEPT:04}")
        if old is not None:
            t.delete(NOTES, old)
        return Done(str(number).encode())

    return Job(run, RequestKey("session", number))


@define
class Told:
    """What the process has answered: it was promised."""

    count: int = 0
    ts: int = 0
    not_committed: int = 0


@define
class Life:
    """A process at work; ``told`` is what its clients know."""

    storage: Storage
    told: Told = field(factory=Told)
    batch: int = 2
    maintain_every: int = 3

    def work(self, batches: int, *, goes_on: bool = False) -> None:
        """Commit so many batches. ``goes_on`` sends one that was refused again, once."""
        for number in range(batches):
            for attempt in (1, 2):
                try:
                    self.commit()
                    break
                except NotCommitted:
                    self.told.not_committed += 1
                    if not goes_on or attempt == 2:
                        raise
            if number % self.maintain_every == self.maintain_every - 1:
                self.storage.writer.maintain()

    def commit(self) -> None:
        """Commit the next batch."""
        first = self.told.count
        jobs = [transaction(number) for number in range(first, first + self.batch)]
        committed = self.storage.writer.commit(jobs)
        assert [o.result for o in committed.outcomes] == [
            Done(str(number).encode()) for number in range(first, first + self.batch)
        ]
        assert not any(outcome.replayed for outcome in committed.outcomes)
        assert committed.ts > self.told.ts
        self.told.count += self.batch
        self.told.ts = committed.ts


def content(storage: Storage, batch: int) -> int:
    """Check that what is there is exactly what so many whole batches leave; give their count."""
    snapshot = storage.open_snapshot()
    try:
        snapshot.begin()
        tasks = ids(list(snapshot.scan(IndexBounds(TASKS))))
        by_rank = ids(list(snapshot.scan(IndexBounds(TASKS, "by_board"))))
        boards = ids(list(snapshot.scan(IndexBounds(BOARDS))))
        notes = ids(list(snapshot.scan(IndexBounds(NOTES))))
    finally:
        snapshot.close()
    count = len(tasks)
    numbers = [f"{number:04}" for number in range(count)]
    assert count % batch == 0, f"half a batch: {count} transactions"
    assert tasks == numbers
    assert sorted(by_rank) == boards == numbers
    assert notes == numbers[-NOTES_KEPT:]
    [(records, first, last)] = rows(
        storage, "SELECT count(*), min(request), max(request) FROM _request_records"
    )
    assert (records, first, last) == ((count, 0, count - 1) if count else (0, None, None))
    [(logged,)] = rows(storage, "SELECT count(*) FROM _commit_log")
    assert logged == 3 * count + max(0, count - NOTES_KEPT)
    return count


def check(storage: Storage, told: Told, batch: int = 2) -> int:
    """Check the content, that nothing that was told is missing, and the file itself.

    Returns: how many transactions are there.
    """
    count = content(storage, batch)
    assert count >= told.count, f"{told.count} were acknowledged, {count} are there"
    # Unknown is only the one batch that was being committed.
    assert count <= told.count + batch, f"{told.count} were acknowledged, {count} are there"
    assert storage.writer.last_ts >= told.ts
    assert rows(storage, "PRAGMA integrity_check") == [("ok",)]
    return count


def rows(storage: Storage, sql: str) -> Sequence[tuple[object, ...]]:
    return write_connection(storage).execute(sql).fetchall()


def check_disk(disk: SimDisk, told: Told, batch: int = 2) -> int:
    """Start a process, check what it finds, and let it go without a word."""
    storage = start(disk)
    try:
        return check(storage, told, batch)
    finally:
        disk.kill()


Examine = Callable[[SimDisk, Told], None]


@define
class Sweep:
    """Runs a life once, and gives the disk as it is before each operation that changes it.

    Each point's chance is its own, so that one can be looked at alone.
    """

    seed: int
    examine: Examine
    every: int = 1
    points: int = 0
    _seen: int = 0
    _told: Told = field(factory=Told)
    _disk: SimDisk = field(init=False)
    _failure: Exception | None = None

    def run(self, batches: int, prepare: Callable[[Storage], None] = lambda _: None) -> int:
        """Run the life with its start and its end; give the number of points."""
        self._disk = disk = SimDisk(random=Random(self.seed))
        disk.on_operation = self._point
        life = Life(start(disk), self._told)
        prepare(life.storage)
        life.work(batches)
        life.storage.close()
        if self._failure is not None:
            raise self._failure
        return self.points

    def _point(self, kind: Kind, name: str) -> None:
        if kind not in CHANGES:
            return
        self._seen += 1
        if self._seen % self.every:
            return
        self.points += 1
        told = Told(self._told.count, self._told.ts)
        try:
            self.examine(self._disk.copy(Random(f"{self.seed}.{self._seen}")), told)
        except Exception as error:
            error.add_note(f"seed {self.seed}, change {self._seen}: before a {kind} of {name}")
            # It is raised at the end, and not into the midst of SQLite's work.
            self._failure = error
            self._disk.on_operation = None


def sweep(
    cases: int, examine: Examine, *, batches: int = 7, first_seed: int = 0, every: int = 1
) -> int:
    """Sweep over whole lives, a seed each, until there were so many cases; give their number."""
    points, seed = 0, first_seed
    while points < cases:
        points += Sweep(seed, examine, every).run(batches)
        seed += 1
    return points
