"""Transfers: money between 100,000 accounts, 64 clients that each wait, uniform and skewed."""

import itertools
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from attrs import define, field

from bench.http_load import HttpClient, call, check_success, open_clients
from bench.processes import Started, floor_number, flow_command, started
from bench.report import Options, Section, median, percentile
from bench.wire import Hub, LoadError, Writer

CLIENTS: Final = 64
GOAL_PER_SECOND: Final = 1140
"""What is published of Convex, uniform, on a desktop with 32 threads; 126 under Zipf 1.5."""

BALANCE: Final = 1000
_SKEW: Final = 1.5
_OPENED_AT_ONCE: Final = 2_000
_SHARE_OF_UNIFORM: Final = 0.9

Ask = Callable[[dict[str, object]], None]


class Accounts:
    """Thinks up transfers among accounts, each as likely as the other or a few much likelier."""

    def __init__(self, count: int, *, skewed: bool) -> None:
        self.numbers = range(count)
        self.random = random.Random(7)
        weights = (1 / (place + 1) ** _SKEW for place in range(count))
        self.summed = list(itertools.accumulate(weights)) if skewed else None

    def next_transfer(self) -> dict[str, object]:
        """Give the arguments of a transfer between two accounts."""
        while True:
            chosen = self.random.choices(self.numbers, cum_weights=self.summed, k=2)
            if chosen[0] != chosen[1]:
                return {"source": chosen[0], "target": chosen[1], "amount": 1}


@define
class Found:
    """What the rounds of one way gave."""

    per_second: list[float] = field(factory=list[float])
    seconds: list[float] = field(factory=list[float])
    cpu_us: list[float] = field(factory=list[float])
    per_commit: list[float] = field(factory=list[float])


class Loop:
    """Clients that each ask for the next transfer when the last is answered."""

    def __init__(self, server: Started, hub: Hub) -> None:
        self.server = server
        self.hub = hub
        self._asks: list[Ask] = []
        self._send: Callable[[HttpClient, dict[str, object]], None] | None = None
        self._begun: list[float] = []
        self._accounts = Accounts(2, skewed=False)
        self._until = 0.0
        self._under_way = 0
        self._answered = 0
        self._seconds: list[float] = []

    def over_http(self, send: Callable[[HttpClient, dict[str, object]], None]) -> None:
        """Ask by HTTP clients, which are new for each round; ``send`` writes one's request.

        A server ends a connection on which nothing is asked for some seconds, as it should.
        """
        self._send = send

    def _connect(self, send: Callable[[HttpClient, dict[str, object]], None]) -> list[HttpClient]:
        clients = open_clients(self.hub, CLIENTS)

        def asks(client: HttpClient) -> Ask:
            return lambda arguments: send(client, arguments)

        def take(client: HttpClient, number: int) -> None:
            check_success(client)
            self._take(number)

        for number, client in enumerate(clients):
            client.on_answer = lambda client, number=number: take(client, number)
        self._asks = [asks(client) for client in clients]
        return clients

    def over_socket(self, writers: Sequence[Writer]) -> None:
        """Ask by WebSockets."""

        def asks(writer: Writer) -> Ask:
            return lambda arguments: writer.mutate("accounts:transfer", arguments)

        for number, writer in enumerate(writers):
            writer.on_answer = lambda _, number=number: self._take(number)
        self._asks = [asks(writer) for writer in writers]

    def measure(self, accounts: Accounts, seconds: float, found: Found) -> int:
        """Transfer for a while. Returns: how many transfers were made, the last ones included."""
        clients = self._connect(self._send) if self._send is not None else []
        self.hub.settle()
        self._accounts, self._seconds, self._answered = accounts, [], 0
        self._begun = [0.0] * len(self._asks)
        cpu_ns, begun = self.server.cpu_ns(), time.perf_counter()
        self._until = begun + seconds
        for number in range(len(self._asks)):
            self._ask(number)
        while time.perf_counter() < self._until or self._answered < len(self._asks):
            self.hub.poll()
        taken, answered = time.perf_counter() - begun, self._answered
        spent_ns = self.server.cpu_ns() - cpu_ns
        self.hub.wait(lambda: not self._under_way, "the last answers")
        found.per_second.append(answered / taken)
        found.cpu_us.append(spent_ns / 1000 / answered)
        found.seconds += self._seconds
        self.hub.discard(clients)
        return self._answered

    def _ask(self, number: int) -> None:
        self._under_way += 1
        self._begun[number] = time.perf_counter()
        self._asks[number](self._accounts.next_transfer())

    def _take(self, number: int) -> None:
        now = time.perf_counter()
        self._under_way -= 1
        self._answered += 1
        self._seconds.append(now - self._begun[number])
        if now < self._until:
            self._ask(number)


def run(options: Options, disk: Path) -> Section:
    """Measure HTTP and socket, uniform and skewed, in turns with SQLite alone."""
    count = options.accounts
    section = Section(
        f"Transfers among {count:,} accounts: two indexed reads and two patches, "
        f"{CLIENTS} clients that wait for each answer, synchronous=FULL"
    )
    with started(flow_command(disk / "bank", "--app", "bench.apps.bank")) as server:
        hub = Hub(server.address)
        open_accounts(hub, count)
        writers = hub.open_writers(CLIENTS)
        http, sockets = Loop(server, hub), Loop(server, hub)
        http.over_http(send)
        sockets.over_socket(writers)
        _measure(section, options, disk, {"HTTP": http, "socket": sockets}, count)
        check_sum(hub, count)
        hub.close()
    section.notes += [
        "SQLite alone: the same rows by hand, 64 transfers in a commit.",
        f"All balances together were the same at the end: {count * BALANCE:,}.",
    ]
    return section


def _measure(
    section: Section, options: Options, disk: Path, loops: dict[str, Loop], count: int
) -> None:
    kinds = {"uniform": Accounts(count, skewed=False), "Zipf 1.5": Accounts(count, skewed=True)}
    found = {(way, kind): Found() for way in loops for kind in kinds}
    floors = {kind: list[float]() for kind in kinds}
    for loop in loops.values():
        loop.measure(kinds["uniform"], options.round_seconds / 2, Found())
    for _ in range(options.rounds):
        for kind, accounts in kinds.items():
            floors[kind].append(_floor(options, disk, kind))
            for way, loop in loops.items():
                before = loop.server.metrics()["flow_commits_total"]
                this = found[way, kind]
                made = loop.measure(accounts, options.round_seconds, this)
                commits = loop.server.metrics()["flow_commits_total"] - before
                this.per_commit.append(made / commits)
    for (way, kind), these in found.items():
        uniform = found[way, "uniform"] if kind != "uniform" else None
        _add(section, way, kind, these, uniform, median(floors[kind]))


def _floor(options: Options, disk: Path, kind: str) -> float:
    skew = str(_SKEW if kind != "uniform" else 0.0)
    half = str(options.round_seconds / 2)
    path = str(disk / "floor.db")
    return floor_number("transfers", path, str(options.accounts), skew, str(CLIENTS), half)


def send(client: HttpClient, arguments: dict[str, object]) -> None:
    """Ask Flow for a transfer."""
    body = {"path": "accounts:transfer", "args": arguments, "format": "json"}
    client.send("POST", "/api/mutation", body)


def open_accounts(hub: Hub, count: int) -> None:
    """Open all accounts of Flow's bank."""
    [client] = open_clients(hub, 1)
    for first in range(0, count, _OPENED_AT_ONCE):
        some = min(_OPENED_AT_ONCE, count - first)
        arguments = {"first": first, "count": some, "balance": BALANCE}
        call(hub, client, "mutation", "accounts:open", **arguments)
    hub.discard([client])


def check_sum(hub: Hub, count: int) -> None:
    """Void the measurement if Flow's accounts hold together what they did not before."""
    [client] = open_clients(hub, 1)
    held = 0.0
    for first in range(0, count, 10_000):
        part = call(hub, client, "query", "accounts:total", first=first, stop=first + 10_000)
        assert isinstance(part, (int, float)), part
        held += part
    hub.discard([client])
    if held != count * BALANCE:
        raise LoadError(f"money was lost or made: {held:,} instead of {count * BALANCE:,}")


def _add(
    section: Section, way: str, kind: str, found: Found, uniform: Found | None, floor: float
) -> None:
    rate = median(found.per_second)
    goals = [f"> {GOAL_PER_SECOND:,}: {'yes' if rate > GOAL_PER_SECOND else 'NO'}"]
    share = None
    if uniform is not None:
        share = rate / median(uniform.per_second)
        goals.append(f">= 0.9 of uniform: {'yes' if share >= _SHARE_OF_UNIFORM else 'NO'}")
    section.rows.append(
        {
            "over": way,
            "accounts": kind,
            "transfers/s": rate,
            "of uniform": share,
            "p50 ms": percentile(found.seconds, 0.5) * 1000,
            "p99 ms": percentile(found.seconds, 0.99) * 1000,
            "CPU us each": median(found.cpu_us),
            "transfers/commit": median(found.per_commit),
            "SQLite alone": floor,
            "share": rate / floor,
            "goals": "; ".join(goals),
        }
    )
