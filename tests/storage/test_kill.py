"""Kill -9 under load: what was acknowledged is there, whole, once, and the file is sound."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flow_backend.storage.base import IndexBounds, RequestKey
from tests.storage.support import (
    BOARDS,
    TASKS,
    FileEngine,
    add,
    job,
    read,
    write_connection,
)

ROOT = Path(__file__).parents[2]
KILLS = 20

# Commits batches of four mutations, each of a row in two tables, and prints each acknowledged one.
CHILD = """
import sys, time
from pathlib import Path
from flow_backend.storage.base import Done, Job, RequestKey
from flow_backend.storage.sqlite import open_storage
from tests.storage.support import BOARDS, SCHEMA, add

def mutation(number):
    def run(transaction):
        id = f"{number:08}"
        add(transaction, id)
        created_at = transaction.next_creation_time()
        board = {"_id": id, "_creationTime": created_at, "name": "x" * (number * 97 % 3000)}
        transaction.insert(BOARDS, id, board)
        return Done(str(number).encode())
    return Job(run, RequestKey("s", number))

storage = open_storage(Path(sys.argv[1]), SCHEMA, now_ns=time.time_ns)
number = int(sys.argv[2])
while True:
    committed = storage.writer.commit([mutation(number + n) for n in range(4)])
    print(number + 3, committed.ts, flush=True)
    number += 4
    if number % 40 == 0:
        storage.writer.maintain()
"""


@pytest.mark.slow
def test_b1_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    engine = FileEngine(tmp_path / "data")
    next_number, last_ts = 0, 0

    for kill in range(KILLS):
        # Each child is killed some acknowledgements later than the one before.
        acknowledged, ts = run_and_kill(tmp_path / "data", next_number, lines=1 + kill)

        storage = engine()
        tasks = [row[1] for row in read(storage, IndexBounds(TASKS, "by_id"))]
        boards = [row[1] for row in read(storage, IndexBounds(BOARDS, "by_id"))]
        assert len(tasks) > acknowledged
        assert tasks == boards == [f"{number:08}" for number in range(len(tasks))]
        assert len(tasks) % 4 == 0  # Whole batches.
        assert storage.writer.last_ts >= ts > last_ts
        check = write_connection(storage).execute("PRAGMA integrity_check").fetchall()
        assert check == [("ok",)]
        keys = [RequestKey("s", number) for number in range(len(tasks))]
        again = storage.writer.commit([job(lambda t: add(t, "twice"), key) for key in keys])
        assert all(outcome.replayed for outcome in again.outcomes)
        next_number, last_ts = len(tasks), storage.writer.last_ts
        storage.close()


def run_and_kill(data: Path, first: int, lines: int) -> tuple[int, int]:
    """Run a child until so many batches are acknowledged, kill it; give the last one it told."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(data), str(first)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    told = [child.stdout.readline() for _ in range(lines)]
    os.kill(child.pid, signal.SIGKILL)
    told += child.stdout.readlines()  # What it said between the last line read and its end.
    child.stdout.close()
    child.wait()
    # The kill may have torn the last line.
    whole = [line.split() for line in told if line.endswith(b"\n")]
    number, ts = whole[-1]
    return int(number), int(ts)
