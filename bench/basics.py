"""The basics: start, memory, and how fast connections are taken."""

import time
from pathlib import Path
from typing import Final

from attrs import define, field

from bench.processes import Started, floor_command, flow_command, started
from bench.report import Options, Section, median
from bench.wire import Hub, Peer, Queries, open_sockets

_CONNECTIONS: Final = 1000
_WARM: Final = 50
_QUERY: Final[Queries] = (("boards:list", {}),)


def run(options: Options, disk: Path) -> Section:
    """Measure starts, idle memory, memory for each connection, and connections per second."""
    section = Section(
        f"Basics: start, memory, and {_CONNECTIONS:,} connections",
    )
    _starts(section, options, disk)
    _connections(section, options, disk)
    return section


def _starts(section: Section, options: Options, disk: Path) -> None:
    ours, floors = list[float](), list[float]()
    resident, resident_floors = list[float](), list[float]()
    for number in range(options.starts + 1):
        with started(floor_command("imports")) as floor:
            floors.append(floor.ready_seconds * 1000)
            resident_floors.append(floor.resident_bytes() / 1e6)
        with started(flow_command(disk / "basics")) as server:
            # The first start makes the database; later ones are what a user waits for.
            if number:
                ours.append(server.ready_seconds * 1000)
            resident.append(server.resident_bytes() / 1e6)
    libraries = "its libraries, imported"
    _row(section, "start to ready, ms", ours, floors, libraries, at_most=500)
    _row(section, "idle memory, MB", resident, resident_floors, libraries, at_most=50)


def _connections(section: Section, options: Options, disk: Path) -> None:
    ours, floor = Connections(), Connections()
    with started(flow_command(disk / "basics")) as server, started(floor_command("raw")) as raw:
        _hold(server, ours, subscribe=True)
        _hold(raw, floor, subscribe=False)
        for _ in range(options.rounds):
            _accept(raw, floor)
            _accept(server, ours)
    sockets = "raw sockets"
    _row(section, "WebSockets taken / s", ours.per_second, floor.per_second, sockets, at_least=1000)
    _row(section, "CPU us for each", ours.cpu_us, floor.cpu_us, sockets)
    what = "KB for each, with a subscription"
    _row(section, what, ours.kilobytes, floor.kilobytes, sockets, at_most=30)


@define
class Connections:
    """What connections cost one server."""

    per_second: list[float] = field(factory=list[float])
    cpu_us: list[float] = field(factory=list[float])
    kilobytes: list[float] = field(factory=list[float])


def _hold(server: Started, found: Connections, *, subscribe: bool) -> None:
    """Measure memory first, since a process takes what it has freed before it asks for more."""
    hub = Hub(server.address)
    sizes: list[int] = []
    for count in (_WARM, _CONNECTIONS):
        if subscribe:
            hub.open_watchers([_QUERY] * count, Peer)
        else:
            for connection in open_sockets(server.address, count):
                hub.add(Peer(connection))
        sizes.append(server.resident_bytes())
    found.kilobytes.append((sizes[1] - sizes[0]) / _CONNECTIONS / 1000)
    hub.close()
    time.sleep(0.2)


def _accept(server: Started, found: Connections) -> None:
    cpu_ns, begun = server.cpu_ns(), time.perf_counter()
    opened = open_sockets(server.address, _CONNECTIONS)
    found.per_second.append(_CONNECTIONS / (time.perf_counter() - begun))
    found.cpu_us.append((server.cpu_ns() - cpu_ns) / 1000 / _CONNECTIONS)
    for one in opened:
        one.close()
    time.sleep(0.1)  # The server is to be done with them before it is asked for more.


def _row(
    section: Section,
    what: str,
    ours: list[float],
    floor: list[float],
    the_floor_is: str,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> None:
    mine, least = median(ours), median(floor)
    goal = None
    if at_most is not None:
        goal = f"<= {at_most:,}: {'yes' if mine <= at_most else 'NO'}"
    if at_least is not None:
        goal = f">= {at_least:,}: {'yes' if mine >= at_least else 'NO'}"
    section.rows.append(
        {
            "what": what,
            "Flow": mine,
            "floor": least,
            "Flow / floor": mine / least if least else None,
            "the floor is": the_floor_is,
            "goal": goal,
        }
    )
