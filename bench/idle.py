"""Idle sessions: thousands of sockets that each watch a query, and to which nothing happens."""

import time
from pathlib import Path
from typing import Final

from attrs import frozen

from bench.boards import hub_call
from bench.processes import Started, allow_files, floor_command, flow_command, started
from bench.report import Options, Section
from bench.wire import Hub, Peer, add_queries, connect_message, open_sockets, text_frame

_WARM: Final = 50
_FILES_SPARE: Final = 500
_IDLE_ROUNDS: Final = 3
_PER_SECOND_LEAST: Final = 1000
_KB_MOST: Final = 30


@frozen
class Opened:
    """What many sockets cost one server."""

    peers: list[Peer]
    per_second: float
    cpu_us: float
    kilobytes: float
    subscribing_per_second: float | None


def run(options: Options, disk: Path) -> Section:
    """Measure how fast so many come, what each holds and costs, and how long a change takes."""
    count = options.idle
    section = Section(f"Idle sessions: {count:,} sockets that each watch one query")
    # The load holds them all; a server keeps 200 free beside its own.
    raised = allow_files(count + _FILES_SPARE)
    with started(floor_command("raw")) as raw:
        hub = Hub(raw.address)
        floor = _open(raw, hub, count, subscribe=False)
        hub.close()
    with started(flow_command(disk / "idle")) as server:
        hub = Hub(server.address)
        [writer] = hub.open_writers(1)
        ours = _open(server, hub, count, subscribe=True)
        idle_share = _spend_idle(server, hub, options.rounds * options.round_seconds * _IDLE_ROUNDS)
        ts = max(peer.ts for peer in ours.peers)
        begun = time.perf_counter()
        hub_call(hub, writer, "boards:create", {"title": "News"})
        hub.wait(lambda: all(peer.ts > ts for peer in ours.peers), "a change at all")
        change = time.perf_counter() - begun
        hub.close()
    fast = "yes" if ours.per_second >= _PER_SECOND_LEAST else "NO"
    small = "yes" if ours.kilobytes <= _KB_MOST else "NO"
    goal = f">= {_PER_SECOND_LEAST:,}: {fast}"
    _row(section, "WebSockets taken / s", ours.per_second, floor.per_second, goal)
    _row(section, "CPU us for each", ours.cpu_us, floor.cpu_us)
    _row(section, "first results / s", ours.subscribing_per_second)
    goal = f"<= {_KB_MOST}: {small}"
    _row(section, "KB for each, with a subscription", ours.kilobytes, floor.kilobytes, goal)
    _row(section, "% of a core while nothing happens", idle_share * 100)
    _row(section, "one change until all have it, ms", change * 1000)
    section.notes.append(raised or "The limit of open files was high enough as it was.")
    return section


def _open(server: Started, hub: Hub, count: int, *, subscribe: bool) -> Opened:
    # What a process takes for its first clients is not what each costs.
    warm = [Peer(connection) for connection in open_sockets(server.address, _WARM)]
    _follow(hub, warm, subscribe=subscribe)
    resident, cpu_ns, begun = server.resident_bytes(), server.cpu_ns(), time.perf_counter()
    peers = [Peer(connection) for connection in open_sockets(server.address, count)]
    taken = time.perf_counter() - begun
    cpu_us = (server.cpu_ns() - cpu_ns) / 1000 / count
    subscribing = _follow(hub, peers, subscribe=subscribe)
    kilobytes = (server.resident_bytes() - resident) / count / 1000
    rate = count / subscribing if subscribe else None
    return Opened(peers, count / taken, cpu_us, kilobytes, rate)


def _follow(hub: Hub, peers: list[Peer], *, subscribe: bool) -> float:
    """Look after new sockets. Returns: the seconds until all have their first results."""
    begun = time.perf_counter()
    for peer in peers:
        if subscribe:
            query = add_queries([("boards:list", {})])
            peer.socket.sendall(text_frame(connect_message()) + text_frame(query))
        hub.add(peer)
    if subscribe:
        hub.wait(lambda: all(peer.transitions for peer in peers), "the first results", 120.0)
    return time.perf_counter() - begun


def _spend_idle(server: Started, hub: Hub, seconds: float) -> float:
    """Do nothing but answer pings. Returns: the share of a core that the server took."""
    hub.settle()
    cpu_ns, begun = server.cpu_ns(), time.perf_counter()
    while time.perf_counter() < begun + seconds:
        hub.poll()
    return (server.cpu_ns() - cpu_ns) / 1e9 / (time.perf_counter() - begun)


def _row(
    section: Section, what: str, ours: float | None, floor: float | None = None, goal: str = "-"
) -> None:
    ratio = ours / floor if ours is not None and floor else None
    section.rows.append(
        {"what": what, "Flow": ours, "raw sockets": floor, "Flow / raw": ratio, "goal": goal}
    )
