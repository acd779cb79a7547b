"""Errors of the disk, as the clients of a backend meet them, and those with which it ends."""

from contextlib import suppress
from random import Random

import apsw
import pytest
from trio.testing import MockClock

from flow_backend.actors.messages.calls import Call
from flow_backend.errors import StorageError, leaves
from flow_backend.storage.failures import DatabaseDamaged, DiskFailed, OutOfMemory
from flow_backend.storage.files import DATABASE
from flow_backend.testing.disk import SimDisk
from tests.actors.stage import stage

LOG = f"{DATABASE}-wal"
ENDS = [
    (apsw.CorruptError, DatabaseDamaged, 65),
    (apsw.IOError, DiskFailed, 74),
    (apsw.NoMemError, OutOfMemory, 71),
]
TIMES = {apsw.CorruptError: 1, apsw.IOError: 3, apsw.NoMemError: 2}


async def read_until_the_end(disk: SimDisk, error: type[apsw.Error], where: str) -> None:
    async with stage(disk=disk) as on:
        client = on.client()
        client.subscribe("s:entries", of="a")
        await on.mutate(client, "s:append", token="1", to="a")
        if where == "in a thread":
            on.durations.slow = frozenset({"s:entries"})
        fault = disk.fail("read", 1, None, error, name=LOG)
        for number in range(TIMES[error]):
            if where == "asked once":
                with suppress(StorageError):  # Its caller hears an error, and ends nothing.
                    await on.backend.query(Call("s:entries", {"of": "a"}))
            else:
                client.mutate("s:append", token=f"more {number}", to="a")
            await on.rest()
        assert fault.hits
        pytest.fail("the backend went on")


@pytest.mark.parametrize(("error", "ending", "exit_code"), ENDS)
@pytest.mark.parametrize("where", ["on the loop", "in a thread", "asked once"])
async def test_b8_what_nobody_mends_ends_the_backend_wherever_it_was_read(
    autojump_clock: MockClock,
    error: type[apsw.Error],
    ending: type[StorageError],
    exit_code: int,
    where: str,
) -> None:
    """A damaged file at once; a disk that fails three times, and memory that is short twice."""
    disk = SimDisk(random=Random(1))

    with pytest.raises((BaseExceptionGroup, StorageError)) as caught:
        await read_until_the_end(disk, error, where)

    ends = [leaf for leaf in leaves(caught.value) if isinstance(leaf, StorageError)]
    assert ends
    assert all(isinstance(leaf, ending) for leaf in ends), ends
    assert {leaf.exit_code for leaf in ends} == {exit_code}  # type: ignore[attr-defined]
    disk.mend()
    disk.kill()


async def test_b8_a_full_disk_refuses_mutations_and_serves_queries(
    autojump_clock: MockClock,
) -> None:
    disk = SimDisk(random=Random(1))
    async with stage(disk=disk) as on:
        client = on.client()
        entries = client.subscribe("s:entries", of="a")
        await on.mutate(client, "s:append", token="1", to="a")
        disk.fail("write", 1, 30, apsw.FullError)

        refused = client.mutate("s:append", token="2", to="a")
        await on.rest()

        assert on.backend.metrics()["storage_full_total"] > 0
        done = await on.backend.query(Call("s:entries", {"of": "a"}))
        assert b"2" not in done.result.result  # type: ignore[union-attr]
        disk.mend()
        await on.mutate(client, "s:append", token="3", to="a")
        assert entries is not None
        assert refused is not None
