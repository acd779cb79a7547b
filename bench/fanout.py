"""Kanban fan-out: how long until all who watch a board have a move, and what that costs."""

import socket
import time
from pathlib import Path
from typing import Final, Protocol

from attrs import define, field

from bench.boards import Deck, fill_board
from bench.processes import Started, floor_command, flow_command, started
from bench.report import Options, Section, median, percentile
from bench.wire import Hub, LoadError, Peer, open_sockets, text_frame

BOARDS: Final = ((100, 0), (200, 0), (200, 155))
"""Tasks, and bytes of each one's body: about 20, 40 and 70 KB as a result."""

AUDIENCES: Final = (1, 10, 100, 1000)
_MOVES_MAX: Final = 400
_MOVES_MIN: Final = 5


@define
class Audience:
    """Counts who of all that watch has the move under way."""

    move: int = 0
    have: int = 0
    after_ts: int = 0


class Watcher(Peer):
    """One of the audience."""

    def __init__(self, connection: socket.socket, audience: Audience) -> None:
        super().__init__(connection)
        self.audience = audience
        self.move = 0

    def shown(self) -> None:
        """Say so, once for each move."""
        audience = self.audience
        if self.ts > audience.after_ts and self.move != audience.move:
            self.move = audience.move
            audience.have += 1


class Mover(Protocol):
    """A server that can be told to move a task before an audience."""

    server: Started
    hub: Hub
    audience: Audience
    watchers: list[Watcher]

    def ask(self) -> None:
        """Start a move."""
        ...

    def is_answered(self) -> bool:
        """Say whether whoever asked knows that it is done."""
        ...

    def check(self) -> int:
        """Make sure that all have the move. Returns: its timestamp."""
        ...


class Flow:
    """The server itself, a board of it, and one client that writes."""

    def __init__(self, server: Started) -> None:
        self.server = server
        self.hub = Hub(server.address)
        self.audience = Audience()
        self.watchers: list[Watcher] = []
        [self.writer] = self.hub.open_writers(1)
        self.deck: Deck | None = None

    def fill(self, tasks: int, body_bytes: int) -> None:
        """Make the board that is watched from now on."""
        self.deck = fill_board(self.hub, self.writer, tasks, body_bytes)

    def admit(self, count: int) -> None:
        """Let an audience in."""
        assert self.deck is not None
        queries = [("tasks:list", dict[str, object](board=self.deck.board))]
        self.watchers = self.hub.open_watchers(
            [queries] * count, lambda connection: Watcher(connection, self.audience)
        )
        self.audience.after_ts = max(watcher.ts for watcher in self.watchers)

    def ask(self) -> None:
        """Start a move."""
        assert self.deck is not None
        self.answers = self.writer.answers
        self.writer.mutate("tasks:move", self.deck.next_move())

    def is_answered(self) -> bool:
        """Say whether the response is there."""
        return self.writer.answers > self.answers

    def check(self) -> int:
        """Compare what all were shown with when it was committed."""
        if any(watcher.ts < self.writer.answer_ts for watcher in self.watchers):
            raise LoadError("a client was told of a state from before the move, and not of it")
        return max(watcher.ts for watcher in self.watchers)

    def dismiss(self) -> None:
        """Let the audience out."""
        self.hub.discard(self.watchers)


class Raw:
    """The floor: a server that only sends."""

    def __init__(self, server: Started) -> None:
        self.server = server
        self.hub = Hub(server.address)
        self.audience = Audience()
        self.watchers: list[Watcher] = []
        [self.control] = open_sockets(server.address, 1)
        self.sign = text_frame("send")

    def admit(self, count: int, frame_bytes: int) -> None:
        """Let an audience in; it gets frames of the size that Flow's have."""
        self.control.send(text_frame(frame_bytes))
        connections = open_sockets(self.server.address, count)
        self.watchers = [Watcher(connection, self.audience) for connection in connections]
        for watcher in self.watchers:
            watcher.socket.send(text_frame("watch"))
            self.hub.add(watcher)
        time.sleep(0.05)  # It says nothing back; the sign must not come before the last of these.

    def ask(self) -> None:
        """Give the sign to send."""
        self.control.send(self.sign)

    def is_answered(self) -> bool:
        """Nothing is answered here."""
        return True

    def check(self) -> int:
        """Give the timestamp of the last frame."""
        return self.watchers[0].ts

    def dismiss(self) -> None:
        """Let the audience out."""
        self.hub.discard(self.watchers)


@define
class Rounds:
    """What the rounds of one server gave: each move's seconds, each round's cost."""

    mover: Mover
    seconds: list[float] = field(factory=list[float])
    cpu_us: list[float] = field(factory=list[float])

    def measure(self, seconds: float) -> None:
        """Move for a while, each time once all have the last move."""
        mover = self.mover
        mover.hub.settle()
        cpu_ns, moves = mover.server.cpu_ns(), 0
        until = time.perf_counter() + seconds
        while moves < _MOVES_MIN or (time.perf_counter() < until and moves < _MOVES_MAX):
            self.seconds.append(self._move())
            moves += 1
        # The last words of the server, such as the writer's own transition, belong to it.
        mover.hub.settle()
        self.cpu_us.append((mover.server.cpu_ns() - cpu_ns) / 1000 / moves / len(mover.watchers))

    def _move(self) -> float:
        mover, audience, count = self.mover, self.mover.audience, len(self.mover.watchers)
        audience.move += 1
        audience.have = 0
        begun = time.perf_counter()
        mover.ask()
        mover.hub.wait(lambda: audience.have == count and mover.is_answered(), "a move at all")
        taken = time.perf_counter() - begun
        audience.after_ts = mover.check()
        return taken


def run(options: Options, disk: Path) -> Section:
    """Measure each board before each audience, Flow and the floor in turns."""
    section = Section(
        "Kanban fan-out: one move until all subscribers have the whole board; fsync on"
    )
    with started(flow_command(disk / "fanout")) as flow, started(floor_command("raw")) as raw:
        stage, floor = Flow(flow), Raw(raw)
        for tasks, body_bytes in BOARDS[::2] if options.quick else BOARDS:
            stage.fill(tasks, body_bytes)
            for count in AUDIENCES:
                _measure(section, stage, floor, count, options)
        stage.hub.close()
        floor.hub.close()
    section.notes.append("CPU: the server's, all threads, for each subscriber and move.")
    return section


def _measure(section: Section, stage: Flow, floor: Raw, count: int, options: Options) -> None:
    stage.admit(count)
    frame_bytes = stage.watchers[0].transition_bytes
    floor.admit(count, frame_bytes)
    Rounds(stage).measure(0.0)
    Rounds(floor).measure(0.0)
    ours, raw = Rounds(stage), Rounds(floor)
    for _ in range(options.rounds):
        raw.measure(options.round_seconds / 2)
        ours.measure(options.round_seconds)
    stage.dismiss()
    floor.dismiss()
    cpu, raw_cpu = median(ours.cpu_us), median(raw.cpu_us)
    p50, raw_p50 = percentile(ours.seconds, 0.5) * 1000, percentile(raw.seconds, 0.5) * 1000
    section.rows.append(
        {
            "subscribers": f"{count:,}",
            "KB": frame_bytes / 1000,
            "p50 ms": p50,
            "p99 ms": percentile(ours.seconds, 0.99) * 1000,
            "floor p50": raw_p50,
            "floor p99": percentile(raw.seconds, 0.99) * 1000,
            "p50 / floor": p50 / raw_p50,
            "CPU us each": cpu,
            "floor CPU": raw_cpu,
            "CPU / floor": cpu / raw_cpu,
            "goal": _goal(count, frame_bytes, p50, cpu),
        }
    )


def _goal(count: int, frame_bytes: int, p50: float, cpu: float) -> str | None:
    if count < 1000:
        return None
    latency = f"p50 <= 25 ms: {'yes' if p50 <= 25 else 'NO'}"
    if frame_bytes > 25_000:
        return latency
    return f"{latency}; CPU <= 25 us: {'yes' if cpu <= 25 else 'NO'}"
