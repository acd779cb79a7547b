"""The peers' tables: fan-out, moves and transfers, all servers in turns, one row for each."""

import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from attrs import define, field

from bench import moves, transfers
from bench.fanout import Raw, Rounds
from bench.http_load import HttpClient, ask, open_clients
from bench.peers.contenders import (
    EMAIL,
    PASSWORD,
    Contender,
    Crew,
    FlowBoard,
    HandWritten,
    PocketBase,
)
from bench.peers.install import install
from bench.processes import allow_files, floor_command, floor_number, flow_command, started
from bench.report import Cell, Options, Section, median, percentile
from bench.transfers import Accounts, Found, Loop
from bench.wire import Hub, LoadError

_AUDIENCES: Final = (1, 100, 1000)
_BOARDS: Final = ((100, 0), (200, 155))
_FILES: Final = 4096
_FLOW: Final = "Flow"
_RAW: Final = "raw sockets"
_SQLITE: Final = "SQLite alone"

WHAT_THEY_DO: Final = (
    "All servers run one process on the first core, the load on the second, in turns.",
    "Flow: fsync before each answer; whole results; each mutation once, over reconnects and "
    "crashes; all clients see one order.",
    "Node (ws, better-sqlite3) and Python (Starlette, uvicorn with uvloop, sqlite3), by hand: "
    "synchronous=FULL; the whole board to all after each change; one place in order; no request "
    "ids, so that a resend runs twice; every watched board is sent again, whatever changed.",
    "folding: what waits together is one transaction and one broadcast.",
    "PocketBase as it ships: WAL, synchronous=NORMAL, so that no commit waits for the disk; the "
    "one record to all; no transaction over several records without code on the server; no request "
    "ids; no order between records.",
)


@contextmanager
def _servers(disk: Path) -> Generator[list[Contender]]:
    """Start all of them, each on a folder of its own."""
    programs = install()
    allow_files(_FILES)
    with ExitStack() as stack:
        flow = stack.enter_context(started(flow_command(disk / "flow")))
        contenders: list[Contender] = [FlowBoard(_FLOW, flow)]
        for name, command in (("Node", programs.node), ("Python", programs.python)):
            for fold in (False, True):
                folder = disk / f"{name}-{fold}"
                folder.mkdir()
                options = [str(folder), "fold"] if fold else [str(folder)]
                server = stack.enter_context(started([*command, *options]))
                shown = f"{name}, folding" if fold else name
                contenders.append(HandWritten(shown, server))
        command = _pocketbase(programs.pocketbase, disk / "pocketbase")
        contenders.append(PocketBase("PocketBase", stack.enter_context(started(command))))
        for contender in contenders:
            stack.callback(contender.hub.close)
        yield contenders


def _pocketbase(program: list[str], folder: Path) -> list[str]:
    where = f"--dir={folder}"
    subprocess.run(
        [*program, "superuser", "upsert", EMAIL, PASSWORD, where], check=True, capture_output=True
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return [*program, "serve", f"--http=127.0.0.1:{port}", where]


def _note_goal(rows: list[dict[str, Cell]], figure: str, *, floor: str | None, most: bool) -> None:
    """Say beside Flow's figure whether it is ahead of every peer's."""
    peers = {row["server"]: row[figure] for row in rows if row["server"] != floor}
    figures = {name: number for name, number in peers.items() if isinstance(number, float)}
    best = (max if most else min)(figures, key=lambda name: figures[name])
    for row in rows:
        ahead = "yes" if best == _FLOW else f"NO, {best}"
        row["goal"] = f"ahead of all: {ahead}" if row["server"] == _FLOW else None


# --- Fan-out -------------------------------------------------------------------------------------


def run_fanout(options: Options, disk: Path) -> Section:
    """Measure each board before each audience, all servers in turns."""
    section = Section("Peers, kanban fan-out: one move until all subscribers have it")
    with _servers(disk) as contenders, started(floor_command("raw")) as raw:
        floor = Raw(raw)
        for contender in contenders:
            contender.hire(1)
        for tasks, body_bytes in _BOARDS[:1] if options.quick else _BOARDS:
            for contender in contenders:
                contender.fill(tasks, body_bytes)
            for count in _AUDIENCES[:2] if options.smoke else _AUDIENCES:
                _measure_fanout(section, contenders, floor, count, options)
        floor.hub.close()
    section.notes += WHAT_THEY_DO
    return section


def _measure_fanout(
    section: Section, contenders: list[Contender], floor: Raw, count: int, options: Options
) -> None:
    for contender in contenders:
        contender.admit(count)
    rounds = {contender.name: Rounds(contender) for contender in contenders}
    for contender in contenders:
        Rounds(contender).measure(0.0)
    floor.admit(count, contenders[0].watchers[0].transition_bytes)
    rounds[_RAW] = Rounds(floor)
    for _ in range(options.rounds):
        for each in rounds.values():
            each.measure(options.round_seconds)
    least = percentile(rounds[_RAW].seconds, 0.5)
    for name, each in rounds.items():
        p50 = percentile(each.seconds, 0.5)
        section.rows.append(
            {
                "server": name,
                "subscribers": f"{count:,}",
                "KB to each": each.mover.watchers[0].transition_bytes / 1000,
                "p50 ms": p50 * 1000,
                "p99 ms": percentile(each.seconds, 0.99) * 1000,
                "p50 / raw": p50 / least,
                "CPU us each": median(each.cpu_us),
            }
        )
    _note_goal(section.rows[-len(rounds) :], "p50 ms", floor=_RAW, most=False)
    for contender in contenders:
        contender.dismiss()
    floor.dismiss()


# --- Moves ---------------------------------------------------------------------------------------


@define
class Throughput:
    """What the rounds of one server and number of writers gave."""

    per_second: list[float] = field(factory=list[float])
    cpu_us: list[float] = field(factory=list[float])
    shown_per_second: list[float] = field(factory=list[float])


def run_moves(options: Options, disk: Path) -> Section:
    """Measure moves per second of all servers in turns, with and without an audience."""
    section = Section("Peers, moves per second: closed loop, 200 tasks")
    with _servers(disk) as contenders:
        for contender in contenders:
            contender.fill(moves.TASKS, moves.BODY_BYTES)
            contender.hire(max(moves.WRITERS))
        for audience in moves.AUDIENCES:
            for contender in contenders:
                contender.admit(audience)
            for writers in moves.WRITERS:
                _measure_moves(section, contenders, writers, audience, options, disk)
            for contender in contenders:
                contender.dismiss()
    section.notes += WHAT_THEY_DO
    return section


def _measure_moves(
    section: Section,
    contenders: list[Contender],
    writers: int,
    audience: int,
    options: Options,
    disk: Path,
) -> None:
    found = {contender.name: Throughput() for contender in contenders}
    floors: list[float] = []
    for contender in contenders:
        _move_for(contender, writers, options.round_seconds / 4, Throughput())
    half = str(options.round_seconds / 2)
    for _ in range(options.rounds):
        body_bytes = str(moves.BODY_BYTES)
        floors.append(floor_number("sqlite", str(disk), str(writers), half, body_bytes))
        for contender in contenders:
            _move_for(contender, writers, options.round_seconds, found[contender.name])
    flow, least = median(found[_FLOW].per_second), median(floors)
    for name, these in found.items():
        rate = median(these.per_second)
        _add_moves(section, name, writers, audience, rate, flow, these)
    _add_moves(section, _SQLITE, writers, audience, least, flow, None)
    _note_goal(section.rows[-len(found) - 1 :], "moves/s", floor=_SQLITE, most=True)


def _add_moves(
    section: Section,
    name: str,
    writers: int,
    audience: int,
    rate: float,
    flow: float,
    found: Throughput | None,
) -> None:
    section.rows.append(
        {
            "server": name,
            "writers": f"{writers}",
            "subscribers": f"{audience}",
            "moves/s": rate,
            "Flow / this": flow / rate,
            "CPU us each": median(found.cpu_us) if found else None,
            "shown/s each": median(found.shown_per_second) if found and audience else None,
        }
    )


def _move_for(contender: Contender, writers: int, seconds: float, found: Throughput) -> None:
    """Move for a while; at the end all must have been shown all."""
    crew = contender.crew[:writers]
    contender.hub.settle()
    shown = sum(watcher.transitions for watcher in contender.watchers)
    answered = sum(each.answers for each in crew)
    cpu_ns, begun = contender.server.cpu_ns(), time.perf_counter()

    def again(each: Crew) -> None:
        if time.perf_counter() < begun + seconds:
            contender.move(each)

    contender.moved = again
    for each in crew:
        contender.move(each)
    while time.perf_counter() < begun + seconds:
        contender.hub.poll()
    hub, name = contender.hub, contender.name
    # To the last answer, since some servers answer in large groups, after seconds of silence.
    hub.wait(lambda: all(each.answers == each.requests for each in crew), f"{name}'s last answers")
    taken = time.perf_counter() - begun
    made = sum(each.answers for each in crew) - answered
    spent_ns = contender.server.cpu_ns() - cpu_ns
    shown = sum(watcher.transitions for watcher in contender.watchers) - shown
    contender.moved = None
    hub.wait(contender.has_caught_up, f"{name}'s newest state", 60.0)
    found.per_second.append(made / taken)
    found.cpu_us.append(spent_ns / 1000 / made)
    if contender.watchers:
        found.shown_per_second.append(shown / len(contender.watchers) / taken)


# --- Transfers -----------------------------------------------------------------------------------


def run_transfers(options: Options, disk: Path) -> Section:
    """Measure transfers over HTTP, of those that can make one, in turns."""
    count = options.accounts
    section = Section(
        f"Peers, transfers over HTTP among {count:,} accounts, {transfers.CLIENTS} clients"
    )
    with _servers(disk) as contenders, started(_bank_command(disk)) as bank:
        loops: dict[str, Loop] = {}
        hub = Hub(bank.address)
        transfers.open_accounts(hub, count)
        loops[_FLOW] = Loop(bank, hub)
        loops[_FLOW].over_http(transfers.send)
        for contender in contenders:
            if isinstance(contender, HandWritten):
                accounts = {"count": count, "balance": transfers.BALANCE}
                _ask_once(contender.hub, "/accounts", accounts)
                loop = loops[contender.name] = Loop(contender.server, contender.hub)
                loop.over_http(_send)
        _measure_transfers(section, loops, count, options)
        for name, loop in loops.items():
            if name == _FLOW:
                transfers.check_sum(hub, count)
            elif (held := _ask_once(loop.hub, "/total", {})) != {
                "total": count * transfers.BALANCE
            }:
                raise LoadError(f"{name} lost or made money: {held}")
        hub.close()
    section.notes.append("Convex's published figures, on 32 threads: 1,140; under Zipf 1.5, 126.")
    section.notes += WHAT_THEY_DO[:-1]
    return section


def _ask_once(hub: Hub, path: str, body: object) -> object:
    [client] = open_clients(hub, 1)
    value = ask(hub, client, path, body)["value"]
    hub.discard([client])
    return value


def _bank_command(disk: Path) -> list[str]:
    return flow_command(disk / "bank", "--app", "bench.apps.bank")


def _send(client: HttpClient, arguments: dict[str, object]) -> None:
    client.send("POST", "/transfer", arguments)


def _measure_transfers(
    section: Section, loops: dict[str, Loop], count: int, options: Options
) -> None:
    for kind, skewed in (("uniform", False), ("Zipf 1.5", True)):
        accounts = Accounts(count, skewed=skewed)
        found = {name: Found() for name in loops}
        for loop in loops.values():
            loop.measure(accounts, options.round_seconds / 4, Found())
        for _ in range(options.rounds):
            for name, loop in loops.items():
                loop.measure(accounts, options.round_seconds, found[name])
        flow = median(found[_FLOW].per_second)
        for name, these in found.items():
            rate = median(these.per_second)
            section.rows.append(
                {
                    "server": name,
                    "accounts": kind,
                    "transfers/s": rate,
                    "Flow / this": flow / rate,
                    "p50 ms": percentile(these.seconds, 0.5) * 1000,
                    "p99 ms": percentile(these.seconds, 0.99) * 1000,
                    "CPU us each": median(these.cpu_us),
                }
            )
        _note_goal(section.rows[-len(found) :], "transfers/s", floor=None, most=True)
