"""Scheduled jobs: how many are planned and run per second, how late, and after downtime."""

import time
from pathlib import Path
from typing import Final

from bench.boards import hub_call
from bench.http_load import call, open_clients
from bench.processes import floor_number, flow_command, started
from bench.report import Options, Section, percentile
from bench.wire import Hub, LoadError, Writer

APP: Final = ("--app", "bench.apps.timed")
CALLERS: Final = 32
SINGLES: Final = 20

_PLANNED_AT_ONCE: Final = 500
_LATE_P99_MS: Final = 250.0
_OVERDUE_SECONDS: Final = 60.0
_WAIT_SECONDS: Final = 90.0


def run(options: Options, disk: Path) -> Section:
    """Measure the same mutation called directly and scheduled, in one run."""
    section = Section("Scheduled jobs: each inserts one row; synchronous=FULL")
    count = 200 if options.smoke else 2_000 if options.quick else 10_000
    at_once = min(count, 1_000)
    with started(flow_command(disk / "jobs", *APP)) as server:
        hub = Hub(server.address)
        writers = hub.open_writers(CALLERS)
        direct = _call_directly(hub, writers, at_once)
        floor = floor_number("sqlite", str(disk), str(CALLERS), str(options.round_seconds), "10")
        _row(section, f"mutations called directly / s, {CALLERS} callers", direct, floor)
        first, begun = 10**6, time.perf_counter()
        due = _now_ms() + (1_000 if options.smoke else 4_000)
        _plan(hub, writers[0], first, at_once, due)
        planned = at_once / (time.perf_counter() - begun)
        _row(section, f"scheduled / s, {_PLANNED_AT_ONCE} in a mutation", planned)
        late = _wait_ran(hub, first, at_once)
        _row(section, "due at one instant: run / s", at_once / (max(late) / 1000), floor)
        _late_rows(section, f"late, {at_once:,} due at one instant", late)
        singles = SINGLES // 10 if options.smoke else SINGLES
        late = [_run_single(hub, writers[0], 2 * 10**6 + each) for each in range(singles)]
        _late_rows(section, "late, one at a time", late)
        hub.close()
    taken = _run_overdue(disk, count)
    goal = f"<= {_OVERDUE_SECONDS:.0f}: {'yes' if taken <= _OVERDUE_SECONDS else 'NO'}"
    _row(section, f"{count:,} overdue at the start, s until all have run", taken, goal=goal)
    section.notes.append(
        "SQLite alone: the floor of the moves, a row with indexes, log and record for each."
    )
    return section


def _now_ms() -> float:
    return time.time() * 1000


def _call_directly(hub: Hub, writers: list[Writer], count: int) -> float:
    asked = done = 0

    def ask(writer: Writer) -> None:
        nonlocal asked
        if asked < count:
            writer.mutate("work:note", {"number": asked, "due": 0.0})
            asked += 1

    def take(writer: Writer) -> None:
        nonlocal done
        done += 1
        ask(writer)

    begun = time.perf_counter()
    for writer in writers:
        writer.on_answer = take
        ask(writer)
    hub.wait(lambda: done == count, "the direct calls", _WAIT_SECONDS)
    for writer in writers:
        writer.on_answer = None
    return count / (time.perf_counter() - begun)


def _plan(hub: Hub, writer: Writer, first: int, count: int, due: float) -> None:
    for start in range(first, first + count, _PLANNED_AT_ONCE):
        some = min(_PLANNED_AT_ONCE, first + count - start)
        hub_call(hub, writer, "work:plan", {"first": start, "count": some, "due": due})
    if _now_ms() > due:
        raise LoadError("planning took so long that the first jobs were due before the last stood")


def _wait_ran(hub: Hub, first: int, count: int) -> list[float]:
    """Wait until all have run. Returns: how late each began, in ms; each exactly once."""
    until = time.perf_counter() + _WAIT_SECONDS
    while True:
        late: list[float] = []
        [client] = open_clients(hub, 1)
        for start in range(first, first + count, 1_000):
            stop = min(start + 1_000, first + count)
            part = call(hub, client, "query", "work:late", first=start, stop=stop)
            assert isinstance(part, list), part
            late += part
        hub.discard([client])
        if len(late) >= count:
            break
        if time.perf_counter() > until:
            raise LoadError(f"{len(late)} of {count} jobs ran in {_WAIT_SECONDS:.0f} s")
        time.sleep(0.1)
    if len(late) != count or min(late) < 0:
        raise LoadError(f"{len(late)} runs of {count} jobs, the earliest {min(late)} ms late")
    return late


def _run_single(hub: Hub, writer: Writer, number: int) -> float:
    _plan(hub, writer, number, 1, _now_ms() + 100)
    time.sleep(0.1)
    return _wait_ran(hub, number, 1)[0]


def _run_overdue(disk: Path, count: int) -> float:
    """Plan, stop the server, let the instant pass. Returns: seconds from the start to the last."""
    command = flow_command(disk / "overdue", *APP)
    with started(command) as server:
        hub = Hub(server.address)
        [writer] = hub.open_writers(1)
        due = _now_ms() + max(1_000, count)
        _plan(hub, writer, 0, count, due)
        hub.close()
    time.sleep(max(0.0, due - _now_ms()) / 1000)
    begun = _now_ms()
    with started(command) as server:
        hub = Hub(server.address)
        late = _wait_ran(hub, 0, count)
        hub.close()
    return (max(late) - (begun - due)) / 1000


def _late_rows(section: Section, what: str, late: list[float]) -> None:
    p99 = percentile(late, 0.99)
    goal = f"< {_LATE_P99_MS:.0f}: {'yes' if p99 < _LATE_P99_MS else 'NO'}"
    _row(section, f"{what}: p50 ms", percentile(late, 0.5))
    _row(section, f"{what}: p99 ms", p99, goal=goal)


def _row(
    section: Section, what: str, ours: float, floor: float | None = None, goal: str = "-"
) -> None:
    share = ours / floor if floor else None
    section.rows.append(
        {"what": what, "Flow": ours, "SQLite alone": floor, "share": share, "goal": goal}
    )
