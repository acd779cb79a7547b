"""Mutation throughput: moves per second, closed loop, with and without an audience."""

import time
from pathlib import Path
from typing import Final

from attrs import define, field

from bench.boards import Deck, fill_board
from bench.processes import Started, floor_number, flow_command, started
from bench.report import Options, Section, median
from bench.wire import Hub, Peer, Writer

BODY_BYTES: Final = 155
TASKS: Final = 200
WRITERS: Final = (1, 32)
AUDIENCES: Final = (0, 100)

PEERS: Final = {
    (32, 0): {"PocketBase (no fsync)": 1707, "Node": 2723, "Triplit (no fsync)": 4201},
    (32, 100): {"PocketBase (no fsync)": 254, "Python that coalesces": 2383},
}
"""Moves per second that others reached on the machine of 22 November 2026, by writers, audience."""


@define
class Found:
    """What the rounds of one number of writers gave."""

    per_second: list[float] = field(factory=list[float])
    floor_per_second: list[float] = field(factory=list[float])
    cpu_us: list[float] = field(factory=list[float])
    per_commit: list[float] = field(factory=list[float])
    shown_per_second: list[float] = field(factory=list[float])


@define
class Load:
    """Writers that each ask for the next move when the last is answered."""

    server: Started
    hub: Hub
    deck: Deck
    writers: list[Writer]
    watchers: list[Peer]

    def measure(self, writers: int, seconds: float, found: Found) -> None:
        """Move for a while with so many writers."""
        active = self.writers[:writers]
        self.hub.settle()
        before, cpu_ns = self.server.metrics(), self.server.cpu_ns()
        shown = sum(watcher.transitions for watcher in self.watchers)
        answered = sum(writer.answers for writer in active)
        for writer in active:
            writer.on_answer = self._move
        begun = time.perf_counter()
        for writer in active:
            self._move(writer)
        while time.perf_counter() < begun + seconds:
            self.hub.poll()
        taken = time.perf_counter() - begun
        moves = sum(writer.answers for writer in active) - answered
        spent_ns = self.server.cpu_ns() - cpu_ns
        shown = sum(watcher.transitions for watcher in self.watchers) - shown
        self._stop(active)
        commits = self.server.metrics()["flow_commits_total"] - before["flow_commits_total"]
        found.per_second.append(moves / taken)
        found.cpu_us.append(spent_ns / 1000 / moves)
        found.per_commit.append((moves + writers) / commits)
        if self.watchers:
            found.shown_per_second.append(shown / len(self.watchers) / taken)

    def _move(self, writer: Writer) -> None:
        writer.mutate("tasks:move", self.deck.next_move())

    def _stop(self, active: list[Writer]) -> None:
        """Take the last answers, and make sure that the audience ends at the newest state."""
        for writer in active:
            writer.on_answer = None
        self.hub.wait(
            lambda: all(writer.answers == writer.requests for writer in active), "the last answers"
        )
        newest = max(writer.answer_ts for writer in active)
        self.hub.wait(
            lambda: all(watcher.ts >= newest for watcher in self.watchers), "the newest state"
        )


def run(options: Options, disk: Path) -> Section:
    """Measure each audience with each number of writers, in turns with SQLite alone."""
    section = Section(
        "Mutation throughput: moves per second, closed loop, 200 tasks, synchronous=FULL"
    )
    half = str(options.round_seconds / 2)
    with started(flow_command(disk / "moves")) as server:
        for audience in AUDIENCES:
            hub = Hub(server.address)
            writers = hub.open_writers(max(WRITERS))
            deck = fill_board(hub, writers[0], TASKS, BODY_BYTES)
            queries = [("tasks:list", dict[str, object](board=deck.board))]
            watchers = hub.open_watchers([queries] * audience, Peer)
            load = Load(server, hub, deck, writers, watchers)
            found = {count: Found() for count in WRITERS}
            load.measure(max(WRITERS), options.round_seconds / 2, Found())
            for _ in range(options.rounds):
                for count in WRITERS:
                    found[count].floor_per_second.append(
                        floor_number("sqlite", str(disk), str(count), half, str(BODY_BYTES))
                    )
                    load.measure(count, options.round_seconds, found[count])
            hub.close()
            for count in WRITERS:
                _add(section, count, audience, found[count])
    section.notes += [
        "SQLite alone: the same rows by hand, as many moves in a commit as there are writers.",
        "boards/s each: how often a subscriber got the whole board; moves between are folded.",
    ]
    return section


def _add(section: Section, writers: int, audience: int, found: Found) -> None:
    rate, floor = median(found.per_second), median(found.floor_per_second)
    peers = PEERS.get((writers, audience), {})
    goals = [
        f"> {best:,}: {'yes' if rate > best else 'NO'}" for best in sorted(peers.values())[-1:]
    ]
    if writers > 1:
        goals.append(f">= 1/3: {'yes' if rate >= floor / 3 else 'NO'}")
    section.rows.append(
        {
            "writers": f"{writers}",
            "subscribers": f"{audience}",
            "moves/s": rate,
            "SQLite alone": floor,
            "share": rate / floor,
            "CPU us each": median(found.cpu_us),
            "moves/commit": median(found.per_commit),
            "boards/s each": median(found.shown_per_second) if audience else None,
            "goals": "; ".join(goals) or None,
            "peers": ", ".join(f"{name} {number:,}" for name, number in peers.items()) or None,
        }
    )
