"""Many intersections: what 20,000 subscriptions to other keys add to a commit."""

import shutil
import time
from pathlib import Path
from typing import Final

from attrs import define, field

from bench.boards import add_tasks, hub_call
from bench.processes import Started, flow_command, started
from bench.report import Options, Section, median, percentile
from bench.wire import Hub, LoadError, Peer, Writer

_QUERIES_EACH: Final = 500
_WRITERS: Final = 32
_EDITS_MIN: Final = 5


@define
class Side:
    """A server with some subscriptions, and one more to the task that is written."""

    name: str
    server: Started
    hub: Hub
    writer: Writer
    watcher: Peer
    task: str
    crowd: list[Peer]
    seconds: list[float] = field(factory=list[float])
    cpu_us: list[float] = field(factory=list[float])
    edits: int = 0
    runs: float = 0.0

    def measure(self, seconds: float) -> None:
        """Edit one task for a while, each time once its subscriber has the last edit."""
        self.hub.settle()
        runs, cpu_ns, edits = self._runs(), self.server.cpu_ns(), 0
        until = time.perf_counter() + seconds
        while edits < _EDITS_MIN or time.perf_counter() < until:
            self.seconds.append(self._edit())
            edits += 1
        self.cpu_us.append((self.server.cpu_ns() - cpu_ns) / 1000 / edits)
        self.runs += self._runs() - runs
        self.edits += edits

    def _edit(self) -> float:
        writer, watcher = self.writer, self.watcher
        before, answers = watcher.ts, writer.answers
        begun = time.perf_counter()
        writer.mutate("tasks:edit", {"task": self.task, "title": f"Edit {writer.requests}"})
        self.hub.wait(lambda: watcher.ts > before and writer.answers > answers, "an edit")
        taken = time.perf_counter() - begun
        if watcher.ts < writer.answer_ts:
            raise LoadError("a client was told of a state from before the edit, and not of it")
        return taken

    def _runs(self) -> float:
        return self.server.metrics()["flow_query_runs_total"]


def run(options: Options, disk: Path) -> Section:
    """Measure two servers on equal data in turns: one with a crowd, one without."""
    section = Section(
        f"Many intersections: one commit among {options.keys:,} subscriptions to distinct tasks"
    )
    tasks = _fill(disk / "alone", options.keys + 1)
    shutil.copytree(disk / "alone", disk / "crowd")
    with (
        started(flow_command(disk / "alone")) as one,
        started(flow_command(disk / "crowd")) as other,
    ):
        alone, _ = _open("0", one, tasks[:1])
        crowd, taken = _open(f"{options.keys:,}", other, tasks)
        for side in (alone, crowd):
            side.measure(options.round_seconds / 4)
            side.seconds.clear()
            side.cpu_us.clear()
        for _ in range(options.rounds):
            alone.measure(options.round_seconds)
            crowd.measure(options.round_seconds)
        _add(section, alone, alone, None)
        _add(section, crowd, alone, taken)
        strangers = sum(peer.transitions - 1 for peer in crowd.crowd)
        section.notes.append(f"Transitions that the other subscribers got: {strangers} (goal: 0).")
        alone.hub.close()
        crowd.hub.close()
    return section


def _fill(data: Path, count: int) -> list[str]:
    with started(flow_command(data)) as server:
        hub = Hub(server.address)
        writers = hub.open_writers(_WRITERS)
        board = str(hub_call(hub, writers[0], "boards:create", {"title": "Many tasks"}))
        tasks = add_tasks(hub, writers, board, count)
        hub.close()
    return tasks


def _open(name: str, server: Started, tasks: list[str]) -> tuple[Side, float]:
    hub = Hub(server.address)
    [writer] = hub.open_writers(1)
    queries = [("tasks:get", dict[str, object](task=task)) for task in tasks]
    [watcher] = hub.open_watchers([queries[:1]], Peer)
    begun = time.perf_counter()
    others = queries[1:]
    starts = range(0, len(others), _QUERIES_EACH)
    crowd = hub.open_watchers([others[at : at + _QUERIES_EACH] for at in starts], Peer)
    taken = time.perf_counter() - begun
    return Side(name, server, hub, writer, watcher, tasks[0], crowd), taken


def _add(section: Section, side: Side, alone: Side, taken: float | None) -> None:
    p50, cpu = percentile(side.seconds, 0.5), median(side.cpu_us)
    runs = side.runs / side.edits
    section.rows.append(
        {
            "other subscriptions": side.name,
            "p50 ms": p50 * 1000,
            "p99 ms": percentile(side.seconds, 0.99) * 1000,
            "CPU us / commit": cpu,
            "runs / commit": runs,
            "live queries": side.server.metrics()["flow_live_queries"],
            "subscribing s": taken,
            "p50 / none": p50 / percentile(alone.seconds, 0.5),
            "CPU / none": cpu / median(alone.cpu_us),
            "goal": f"1 run: {'yes' if runs == 1 else 'NO'}; CPU / none ~ 1" if taken else None,
        }
    )
