"""First result: from the subscription to the first transition, 200 of many tasks, always anew."""

import time
from pathlib import Path
from typing import Final

from bench.boards import add_tasks, hub_call
from bench.processes import Started, floor_number, flow_command, started
from bench.report import Options, Section, median, percentile
from bench.wire import Hub, LoadError, Peer

_BOARD_TASKS: Final = 200
_BOARDS_MIN: Final = 2
_WRITERS: Final = 32
_ROUND_BOARDS_MIN: Final = 10


class Reader(Peer):
    """A client that watches one board at a time."""

    version = 1

    def watch(self, board: str) -> None:
        """Subscribe to a board's tasks."""
        arguments = {"board": board}
        self._modify(
            {"type": "Add", "queryId": self.version, "udfPath": "tasks:list", "args": [arguments]}
        )

    def leave(self) -> None:
        """Stop watching what was watched last."""
        self._modify({"type": "Remove", "queryId": self.version - 1})

    def _modify(self, modification: dict[str, object]) -> None:
        versions = {"baseVersion": self.version, "newVersion": self.version + 1}
        self.version += 1
        self.send({"type": "ModifyQuerySet", **versions, "modifications": [modification]})


def run(options: Options, disk: Path) -> Section:
    """Measure first results of boards that nobody watches, in turns with SQLite in process."""
    boards = max(_BOARDS_MIN, options.accounts // 10 // _BOARD_TASKS)
    tasks = boards * _BOARD_TASKS
    section = Section(
        f"First result: subscribe until the first transition, {_BOARD_TASKS} of {tasks:,} tasks"
    )
    with started(flow_command(disk / "first")) as server:
        hub = Hub(server.address)
        names = _fill(hub, boards)
        [reader] = hub.open_watchers([[]], Reader)
        seconds, cpu_us, floors = list[float](), list[float](), list[float]()
        _measure(server, hub, reader, names[:_BOARDS_MIN], [], [])
        runs = server.metrics()["flow_query_runs_total"]
        for _ in range(options.rounds):
            half = str(options.round_seconds / 2)
            floors.append(floor_number("select", str(disk), str(tasks), half))
            some = names * max(1, _ROUND_BOARDS_MIN // len(names))
            _measure(server, hub, reader, some, seconds, cpu_us)
        runs = (server.metrics()["flow_query_runs_total"] - runs) / len(seconds)
        hub.close()
    p50, floor = percentile(seconds, 0.5), median(floors)
    section.rows.append(
        {
            "tasks": f"{tasks:,}",
            "KB": reader.transition_bytes / 1000,
            "p50 ms": p50 * 1000,
            "p99 ms": percentile(seconds, 0.99) * 1000,
            "SQL and join, ms": floor * 1000,
            "p50 / floor": p50 / floor,
            "CPU us each": median(cpu_us),
            "runs each": runs,
            "goal": f"1 run each: {'yes' if runs == 1 else 'NO'}",
        }
    )
    section.notes.append("SQL and join: the same rows by hand, in process, with nothing sent.")
    return section


def _fill(hub: Hub, boards: int) -> list[str]:
    writers = hub.open_writers(_WRITERS)
    names: list[str] = []
    for number in range(boards):
        names.append(str(hub_call(hub, writers[0], "boards:create", {"title": f"{number}"})))
        add_tasks(hub, writers, names[-1], _BOARD_TASKS)
    hub.discard(writers)
    return names


def _measure(
    server: Started,
    hub: Hub,
    reader: Reader,
    boards: list[str],
    seconds: list[float],
    cpu_us: list[float],
) -> None:
    hub.settle()
    spent_ns = 0
    for board in boards:
        shown, cpu_ns = reader.transitions, server.cpu_ns()
        begun = time.perf_counter()
        reader.watch(board)
        hub.wait(lambda shown=shown: reader.transitions > shown, "a first result")
        seconds.append(time.perf_counter() - begun)
        spent_ns += server.cpu_ns() - cpu_ns
        if reader.transition_bytes < _BOARD_TASKS * 100:
            raise LoadError(f"a first result of {reader.transition_bytes} bytes is no whole board")
        # The last subscription is to be gone, so that the next to this board begins anew.
        shown, size = reader.transitions, reader.transition_bytes
        reader.leave()
        hub.wait(lambda shown=shown: reader.transitions > shown, "the end of a subscription")
        reader.transition_bytes = size
    cpu_us.append(spent_ns / 1000 / len(boards))
