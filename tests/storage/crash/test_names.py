"""B1, B7: files that were removed, and come back with the power."""

from random import Random

import pytest

from flow_backend.errors import StartError, StorageError
from flow_backend.storage.sqlite import open_files
from flow_backend.testing.disk import SimDisk
from flow_backend.testing.disk_files import sim_files
from flow_backend.values.timestamp import CommitTs
from tests.effort import cases
from tests.simulation.app import APP


def test_b1_a_rollback_journal_that_comes_back_takes_nothing_along() -> None:
    """A first start that fails leaves an empty log, and a journal whose end is not on disk.

    The next start's commits are acknowledged; after a power cut they must all be there.
    """
    tables = tuple(APP.schema.tables.values())
    for seed in range(cases(400)):
        disk = SimDisk(random=Random(seed))
        disk.fail("truncate", name="-wal")
        with pytest.raises(StartError):
            open_files(sim_files(disk), tables, now_ns=lambda: 1)
        disk.mend()
        disk.power_cut()

        storage = open_files(sim_files(disk), tables, now_ns=lambda: 10**18)
        marked = storage.writer.mark_past(CommitTs(2 * 10**18))
        disk.power_cut()
        with pytest.raises(StorageError):
            storage.close()  # The process was dead already.

        again = open_files(sim_files(disk), tables, now_ns=lambda: 1)
        assert again.writer.last_ts >= marked, f"seed {seed}: an acknowledged commit is gone"
        again.close()
