"""The log of functions: bounded in memory and on disk, in order, and never in anybody's way."""

from pathlib import Path

import pytest
import trio

from flow_backend.functions.context import NOBODY
from flow_backend.functions.endings import Ending
from flow_backend.runtime import SystemRuntime
from flow_backend.server import function_log as module
from flow_backend.server.function_log import FunctionLog, entry_of, open_function_log
from flow_backend.storage.logs import FILE, LogFile, LogFilter, LogRow

ALL = LogFilter()


def ending(path: str = "notes:add", at_ms: float = 1e12, *lines: str) -> Ending:
    return Ending("Mutation", path, at_ms, 0.001, NOBODY, lines)


async def paths(log: FunctionLog, count: int) -> list[str]:
    """Give the paths in the log, once there are so many entries."""
    rows, place = await log.history(0, 100_000, ALL)
    with trio.fail_after(20):
        while len(rows) < count:
            more, place = await log.after(place, 100_000, ALL, 20)
            rows += more
    return [row.path for row in rows]


async def test_more_than_the_bound_is_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing waits for the log, and memory is bounded while nobody writes it."""
    monkeypatch.setattr(module, "_WAITING_MAX", 10)
    async with open_function_log(tmp_path, 1 << 20, SystemRuntime()) as log:
        assert log is not None
        for number in range(15):
            log.note(ending(f"notes:{number}"))

        found = await paths(log, 11)

        assert found == [*(f"notes:{number}" for number in range(10)), "_log:left_out"]
        rows, _ = await log.history(0, 1, ALL)
        said = entry_of(rows[0])["logLines"][0]["messages"][0]
        assert said.startswith("5 calls are not in this log")
        log.note(ending("notes:after"))
        assert (await paths(log, 12))[-1] == "notes:after"
        assert log.left_out == 5


async def test_bytes_that_wait_are_bounded_too(tmp_path: Path) -> None:
    async with open_function_log(tmp_path, 1 << 20, SystemRuntime()) as log:
        assert log is not None
        for _ in range(30):
            log.note(ending("notes:add", 1e12, "[INFO] " + "x" * (1 << 20)))

        assert log.left_out == 30 - 16


def test_the_file_keeps_the_newest_within_its_bound(tmp_path: Path) -> None:
    bytes_max = 1 << 18
    file = LogFile(tmp_path / FILE, bytes_max)
    file.open()
    for batch in range(20):
        start = batch * 100
        rows = [LogRow(start + n + 1, "a:b", False, "x" * 500) for n in range(100)]
        file.append(rows)

    kept = file.newest(0, 10_000, ALL)

    assert kept[-1].micros == 2000
    assert [row.micros for row in kept] == list(range(2000 - len(kept) + 1, 2001))
    assert 200 < len(kept) < 500
    file.close()
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) < 2 * bytes_max


def test_a_file_that_cannot_be_read_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    file = LogFile(tmp_path / FILE, 1 << 20)

    assert file.open() == 0

    file.append([LogRow(5, "a:b", False, "{}")])
    file.close()
    assert file.open() == 5
    file.close()


async def test_a_clock_that_is_set_back_leaves_the_order(tmp_path: Path) -> None:
    """Who follows from the newest entry on is told of the next, whatever the clock says."""
    async with open_function_log(tmp_path, 1 << 20, SystemRuntime()) as log:
        assert log is not None
        log.note(ending("notes:first", 2e12))
        log.note(ending("notes:second", 1e12))

        assert await paths(log, 2) == ["notes:first", "notes:second"]
        _, place = await log.history(0, 10, ALL)
        log.note(ending("notes:third", 1e12))
        rows, _ = await log.after(place, 10, ALL, 20)
        assert [row.path for row in rows] == ["notes:third"]


async def test_who_follows_one_function_is_not_woken_for_nothing(tmp_path: Path) -> None:
    async with open_function_log(tmp_path, 1 << 20, SystemRuntime()) as log:
        assert log is not None
        heard: list[str] = []

        async def follow() -> None:
            rows, _ = await log.after(0, 10, LogFilter("notes:b"), 20)
            heard.extend(row.path for row in rows)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            log.note(ending("notes:a"))
            await paths(log, 1)
            log.note(ending("notes:b"))

        assert heard == ["notes:b"]


async def test_what_waits_is_written_at_the_end_and_who_waits_is_let_go(tmp_path: Path) -> None:
    async with open_function_log(tmp_path, 1 << 20, SystemRuntime()) as log:
        assert log is not None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(log.after, 0, 10, LogFilter("notes:none"), 3600)
            await trio.lowlevel.checkpoint()
            log.let_go()
        assert await log.after(10**18, 10, ALL, 3600) == ([], 10**18)
        log.note(ending())

    file = LogFile(tmp_path / FILE, 1 << 20)
    file.open()
    assert [row.path for row in file.newest(0, 10, ALL)] == ["notes:add"]
    file.close()


async def test_a_disk_that_takes_no_log_holds_up_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    async with open_function_log(folder, 1 << 20, SystemRuntime()) as log:
        assert log is not None
        for _ in range(3):
            log.note(ending())

        assert log.left_out == 3
        assert await log.history(0, 10, ALL) == ([], 0)


async def test_none_is_kept_where_none_is_wanted(tmp_path: Path) -> None:
    async with open_function_log(tmp_path, 0, SystemRuntime()) as log:
        assert log is None
    assert not await trio.Path(tmp_path, FILE).exists()


async def test_what_no_json_holds_is_shown_all_the_same(tmp_path: Path) -> None:
    async with open_function_log(tmp_path, 1 << 20, SystemRuntime()) as log:
        assert log is not None
        log.note(
            Ending("Query", "notes:\ud800", 1e12, 0.1, NOBODY, ("[WARN] \udfff",), "no \ud800")
        )
        await paths(log, 1)
        rows, _ = await log.history(0, 1, ALL)

        entry = entry_of(rows[0])

    assert entry["identifier"] == "notes:?"
    assert (entry["error"], entry["logLines"][0]["messages"]) == ("no ?", ["?"])


async def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """Functions log what they are given; a log that was readable by all is so no longer."""
    (tmp_path / FILE).touch(0o644)
    async with open_function_log(tmp_path, 1 << 20, SystemRuntime()) as log:
        assert log is not None
        log.note(ending())
        await paths(log, 1)

        files = [tmp_path / f"{FILE}{end}" for end in ("", "-wal", "-shm")]

        assert [each.stat().st_mode & 0o777 for each in files] == [0o600] * 3
