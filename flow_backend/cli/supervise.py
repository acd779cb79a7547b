"""A small parent of the server: it starts it, passes signals on, and starts it again."""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final

from attrs import define, field, frozen

from flow_backend.cli.exit_codes import FINAL
from flow_backend.server.config import Settings
from flow_backend.server.listener import open_all_listeners
from flow_backend.server.parent import READY, VARIABLE, variable_for

OPTION: Final = "--supervise"
STOP_EXIT_CODES: Final = frozenset({0, 130, -signal.SIGTERM, -signal.SIGINT})
"""How it ends when it was told to."""


@frozen
class Patience:
    """How quickly and how often a server is started again.

    Attributes:
        first_seconds: the wait before the first restart; each further one waits twice as long.
        most_seconds: the longest wait.
        steady_seconds: a server that was up for so long counts as sound: the waits begin anew.
        failed_starts_max: after so many starts in a row that never served, it is given up.
    """

    first_seconds: float = 0.1
    most_seconds: float = 30.0
    steady_seconds: float = 60.0
    failed_starts_max: int = 5


@define
class History:
    """Decides what follows a life of the server. It has no clock and no process, to be testable."""

    patience: Patience = field(factory=Patience)
    short_lives: int = 0
    failed_starts: int = 0

    def ended(self, exit_code: int, *, served: bool, up_seconds: float) -> "Again | Enough":
        """Say what to do after a life; a negative ``exit_code`` is that of a signal."""
        if exit_code in STOP_EXIT_CODES:
            return Enough("")
        if (why := FINAL.get(exit_code)) is not None:
            return Enough(f"It is not started again: {why}, which a restart does not mend.")
        patience = self.patience
        self.failed_starts = 0 if served else self.failed_starts + 1
        if self.failed_starts >= patience.failed_starts_max:
            return Enough(f"It is given up after {self.failed_starts} starts that all failed.")
        self.short_lives = 0 if up_seconds >= patience.steady_seconds else self.short_lives + 1
        doublings = max(0, self.short_lives - 1)
        return Again(min(patience.most_seconds, patience.first_seconds * 2 ** min(doublings, 30)))


@frozen
class Again:
    """Start the server again after a wait."""

    seconds: float


@frozen
class Enough:
    """Start it no more; ``reason`` is empty if it was told to stop."""

    reason: str


@define(eq=False)
class Supervisor:
    """Keeps one server running until a signal, or until starting it makes no sense any more.

    Owns: the listening sockets, so that clients who come between two lives wait for the next, and
    are not turned away; and the child process.
    """

    command: Sequence[str]
    listening: list[socket.socket]
    history: History = field(factory=History)
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True)
    _child: "subprocess.Popen[bytes] | None" = None
    _signal: int | None = None
    _wake: tuple[int, int] = field(factory=os.pipe)

    def run(self) -> int:
        """Run to the end; give the exit code for this process."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._pass_on)
        while True:
            started_at = time.monotonic()
            exit_code, served = self._live()
            up_seconds = time.monotonic() - started_at
            if self._signal is not None:
                return _as_exit_code(exit_code)
            decision = self.history.ended(exit_code, served=served, up_seconds=up_seconds)
            how = f"The server {how_it_ended(exit_code)} after {up_seconds:.1f} s."
            if isinstance(decision, Enough):
                if decision.reason:
                    self.say(f"{how} {decision.reason}")
                return _as_exit_code(exit_code)
            self.say(f"{how} It is started again in {decision.seconds:g} s.")
            select.select([self._wake[0]], [], [], decision.seconds)
            if self._signal is not None:
                return 0

    def _live(self) -> tuple[int, bool]:
        """Run the server once. Returns: its exit code, and whether clients could come."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                environment = {**os.environ, VARIABLE: variable_for(theirs, self.listening)}
                handed = [theirs.fileno(), *(each.fileno() for each in self.listening)]
                # A group of its own: Ctrl-C reaches it through this process only, and so once.
                self._child = subprocess.Popen(
                    self.command, env=environment, pass_fds=handed, process_group=0
                )
            if self._signal is not None:  # It came while the child was being made.
                self._child.send_signal(self._signal)
            exit_code = self._child.wait()
            ours.setblocking(False)
            try:
                served = ours.recv(1) == READY
            except BlockingIOError:
                served = False
        return exit_code, served

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._signal = number
        for each in self.listening:
            each.close()  # Nobody is to wait for a server that does not come back.
        os.write(self._wake[1], b"!")
        if self._child is not None:
            self._child.send_signal(number)


def supervise(settings: Settings) -> int:
    """Keep a server with these settings running; give the exit code for this process.

    Raises: StartError if the address cannot be had.
    """
    listening = open_all_listeners(settings)
    # The same interpreter with the same words, but for the one that brought us here.
    command = [sys.executable, *(word for word in sys.orig_argv[1:] if word != OPTION)]
    return Supervisor(command, listening).run()


def how_it_ended(exit_code: int) -> str:
    """Say it in words that go on after "the server"; a negative code is that of a signal."""
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        return f"was ended by the signal {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was ended by signal {-exit_code}"


def _as_exit_code(exit_code: int) -> int:
    return exit_code if exit_code >= 0 else 128 - exit_code
