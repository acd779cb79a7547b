"""Waiting for the clock: what it costs while nothing is due, and how late a change is shown."""

import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.boards import hub_call
from bench.jobs import APP
from bench.processes import Started, flow_command, started
from bench.report import Options, Section, percentile
from bench.wire import Hub, LoadError, Peer, Writer

PENDING: Final = 100_000
WAITING: Final = 1_000

_EACH: Final = 1_000
_HOUR_MS: Final = 3_600_000
HANGING: Final = 64  # As many actions as run at once by default.
_IDLE_SECONDS: Final = 10.0
_OVERDUE_MS: Final = 50.0
_READY_SECONDS: Final = 5.0
CALLS: Final = 200


def run(options: Options, disk: Path) -> Section:
    """Measure a server that waits beside an empty one, overdue tasks, and actions that hang."""
    section = Section("Waiting for the clock")
    _add_idle(section, options, disk)
    if not options.smoke:  # Up to a minute.
        _add_overdue(section, disk)
    _add_hanging(section, options, disk)
    return section


def _add_idle(section: Section, options: Options, disk: Path) -> None:
    pending = 1_000 if options.smoke else PENDING // 10 if options.quick else PENDING
    waiting = WAITING // 10 if options.smoke else WAITING
    seconds = 0.5 if options.smoke else 3.0 if options.quick else _IDLE_SECONDS
    with started(flow_command(disk / "empty", *APP)) as server:
        hub = Hub(server.address)
        peers = hub.open_watchers([[]] * 10, Peer)
        empty = _idle_share(server, hub, seconds)
        empty_mb = server.resident_bytes() / 1e6
        hub.discard(peers)
        hub.close()
    command = flow_command(disk / "waiting", *APP)
    with started(command) as server:
        hub = Hub(server.address)
        [writer] = hub.open_writers(1)
        for first in range(0, pending, _EACH):
            due = _now_ms() + _HOUR_MS + first
            plan: dict[str, object] = {
                "first": first,
                "count": min(_EACH, pending - first),
                "due": due,
            }
            hub_call(hub, writer, "work:plan", plan)
        hub.close()
    # Anew, since what planning took is not what waiting takes.
    with started(command) as server:
        hub = Hub(server.address)
        soon = _now_ms() + _HOUR_MS
        queries = [
            [_passed(soon + each) for each in range(first, waiting, 10)] for first in range(10)
        ]
        hub.open_watchers(queries, Peer)
        share = _idle_share(server, hub, seconds)
        resident_mb = server.resident_bytes() / 1e6
        hub.close()
    what = f"{pending:,} pending jobs, {waiting:,} queries that wait"
    _row(section, f"{what}: % of a core", share * 100, empty * 100)
    _row(section, f"{what}: resident MB", resident_mb, empty_mb)


def _idle_share(server: Started, hub: Hub, seconds: float) -> float:
    """Do nothing but answer pings. Returns: the share of a core that the server took."""
    hub.settle(0.3)
    cpu_ns, begun = server.cpu_ns(), time.perf_counter()
    while time.perf_counter() < begun + seconds:
        hub.poll()
    return (server.cpu_ns() - cpu_ns) / 1e9 / (time.perf_counter() - begun)


def _now_ms() -> float:
    return time.time() * 1000


class Watcher(Peer):
    """A client that notes when it was shown something, on the wall clock, in ms."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.shown_at: list[float] = []

    def shown(self) -> None:
        """A transition is there."""
        self.shown_at.append(_now_ms())


def _passed(at: float) -> tuple[str, dict[str, object]]:
    return "work:passed", {"at": at}


def _add_overdue(section: Section, disk: Path) -> None:
    """Two clients hold ``tasks:overdue``; the next whole minute passes, and nobody writes."""
    with started(flow_command(disk / "overdue", "--no-auth")) as server:
        hub = Hub(server.address)
        [writer] = hub.open_writers(1)
        board = hub_call(hub, writer, "boards:create", {"title": "Due"})
        # Tasks are due at whole minutes; the clients need a moment before that.
        minute = int(time.time() + _READY_SECONDS) // 60 + 1
        due = datetime.fromtimestamp(minute * 60, UTC)
        task = {"due_date": f"{due:%Y-%m-%d}", "due_time": f"{due:%H:%M}", "zone": "UTC"}
        hub_call(hub, writer, "tasks:add", {"board": board, "title": "Due", **task})
        watchers = hub.open_watchers([[("tasks:overdue", {})]] * 2, Watcher)
        before = server.metrics()["flow_query_runs_total"]
        hub.wait(lambda: all(len(each.shown_at) > 1 for each in watchers), "the instant", 70.0)
        runs = server.metrics()["flow_query_runs_total"] - before
        hub.close()
    late = [each.shown_at[1] - minute * 60_000 for each in watchers]
    if runs != 1 or min(late) < 0:
        raise LoadError(f"{runs:.0f} runs for one instant, the first client {min(late)} ms late")
    goal = f"<= {_OVERDUE_MS:.0f}: {'yes' if max(late) <= _OVERDUE_MS else 'NO'}"
    _row(section, "tasks:overdue at two clients, one run: ms late", max(late), goal=goal)


def _add_hanging(section: Section, options: Options, disk: Path) -> None:
    """Mutations of one client, alone and while actions wait for a server that never answers."""
    count = 50 if options.smoke else HANGING
    allow = ["env", "FLOW_OUTGOING_ALLOW=127.0.0.0/8"]
    allow.append(f"FLOW_SCHEDULED_ACTIONS_RUNNING_MAX={count}")
    allow.append(f"FLOW_ACTIONS_RUNNING_MAX={count}")
    command = [*allow, *flow_command(disk / "hanging", *APP)]
    with started(command) as server, socket.create_server(("127.0.0.1", 0)) as silent:
        hub = Hub(server.address)
        [writer] = hub.open_writers(1)
        _call_some(hub, writer)
        alone = _call_some(hub, writer)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        hub_call(hub, writer, "work:start_hanging", {"count": count, "url": url})
        hub.wait(
            lambda: server.metrics()["flow_scheduled_runs_total"] >= count, "the actions' start"
        )
        hub.settle(0.5)
        beside = _call_some(hub, writer)
        hub.close()
        server.process.kill()  # They would be waited for.
    what = f"a mutation beside {count:,} actions that hang"
    _row(section, f"{what}: p50 ms", percentile(beside, 0.5), percentile(alone, 0.5))
    _row(section, f"{what}: p99 ms", percentile(beside, 0.99), percentile(alone, 0.99))


def _call_some(hub: Hub, writer: Writer) -> list[float]:
    """Call one mutation after the other. Returns: how long each took, in ms."""
    taken: list[float] = []
    for number in range(CALLS):
        begun = time.perf_counter()
        hub_call(hub, writer, "work:note", {"number": number, "due": 0.0})
        taken.append((time.perf_counter() - begun) * 1000)
    return taken


def _row(
    section: Section, what: str, ours: float, alone: float | None = None, goal: str = "-"
) -> None:
    ratio = ours / alone if alone else None
    section.rows.append(
        {"what": what, "Flow": ours, "nothing to wait for": alone, "ratio": ratio, "goal": goal}
    )
