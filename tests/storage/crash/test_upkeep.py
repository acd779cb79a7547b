"""The log stays small under endless readers; new directories are on disk before what is in them."""

import os
from pathlib import Path
from random import Random

import pytest

from flow_backend.storage.settings import StorageSettings
from flow_backend.storage.sqlite import open_storage
from flow_backend.testing.disk import SimDisk
from flow_backend.testing.disk_vfs import simulated_vfs
from tests.effort import SEED, cases
from tests.storage.crash.life import LOG, start
from tests.storage.support import SCHEMA, START_NS, Clock, add, change, job

KIB = 1024
SECOND = 10**9


@pytest.mark.slow
def test_b4_overlapping_readers_do_not_let_the_log_grow_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Readers that live 5 s each, some always there. At a size the log is cut between two of them.

    Sizes are a thousandth of the real ones. There is no idle moment.
    """
    for seed in range(SEED, SEED + cases(20)):
        largest = largest_log(seed, monkeypatch)
        assert 128 * KIB < largest < 256 * KIB, f"seed {seed}: {largest} bytes"


def largest_log(seed: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Commit without a pause under 50 readers for ten minutes; give the log's largest size."""
    random = Random(seed)
    disk, clock = SimDisk(random=Random(seed)), Clock()
    settings = StorageSettings(checkpoint_bytes=64 * KIB, truncate_bytes=192 * KIB)
    storage = start(disk, now_ns=clock, settings=settings)
    storage.writer.commit([job(lambda t: add(t, "a"))])
    readers = [storage.open_snapshot() for _ in range(50)]
    ends: dict[int, int] = {}
    largest = 0

    def let_go(_: int = 0) -> None:
        """Time goes by: while SQLite waits for a lock, too."""
        clock.ns += SECOND // 10
        for number in [n for n, end in ends.items() if end <= clock.ns]:
            readers[number].end()
            del ends[number]

    monkeypatch.setattr(simulated_vfs(), "on_sleep", let_go)
    while clock.ns < START_NS + 600 * SECOND:
        for _ in range(5):
            number = random.randrange(50)
            if number not in ends:
                readers[number].begin()
                ends[number] = clock.ns + random.randrange(5 * SECOND)
        text = "x" * random.randrange(3000)
        storage.writer.commit([job(lambda t, text=text: change(t, "a", title=text))])
        let_go()
        largest = max(largest, len(disk.names[LOG].cache))
    for reader in readers:
        reader.close()
    storage.close()
    return largest


def test_b7_each_new_directory_is_on_disk_before_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory whose name is lost with the power takes the database with it."""
    steps: list[tuple[str, str]] = []
    opened: dict[int, str] = {}
    mkdir, open_file, fsync = os.mkdir, os.open, os.fsync

    def noted_open(path: str, flags: int, mode: int = 0o777) -> int:
        handle = open_file(path, flags, mode)
        opened[handle] = str(path)
        return handle

    def noted_mkdir(path: str, mode: int = 0o777) -> None:
        mkdir(path, mode)
        steps.append(("mkdir", str(path)))

    def noted_fsync(handle: int) -> None:
        fsync(handle)
        steps.append(("fsync", opened[handle]))

    monkeypatch.setattr(os, "open", noted_open)
    monkeypatch.setattr(os, "mkdir", noted_mkdir)
    monkeypatch.setattr(os, "fsync", noted_fsync)
    data = tmp_path / "one" / "two" / "three"

    open_storage(data, SCHEMA, now_ns=Clock()).close()

    wanted: list[tuple[str, str]] = []
    for directory in (tmp_path / "one", tmp_path / "one" / "two", data):
        path, parent = str(directory), str(directory.parent)
        wanted += [("mkdir", path), ("fsync", path), ("fsync", parent)]
    # Then for the database's own name, and for the rollback journal of the change to a log.
    assert steps == [*wanted, ("fsync", str(data)), ("fsync", str(data))]
