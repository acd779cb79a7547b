"""A real server, killed again and again: what it acknowledged is there, once, in order."""

import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Final

import apsw
import pytest
import trio

from tests.effort import FULL, SEED, cases
from tests.server_process import APPS, ServerProcess, flow_command, planted_command
from tests.wire.load import Load, free_port, loaded, started, until
from tests.wire.tracing import can_trace, fsync_trace, traced_pid

KILLS: Final = cases(each=70, night=100)
WATCHERS: Final = 50 if FULL else 20
MOST_ACKNOWLEDGED: Final = 120
"""A server is killed when it has answered up to so many requests."""


class Killer:
    """Ends a server at an instant that a seed chose, and says which."""

    def __init__(self, server: ServerProcess, load: Load, dice: Random) -> None:
        self.server = server
        self.load = load
        self.dice = dice
        self.ways: list[Callable[[], Awaitable[None]]] = [
            self.at_random,
            self.before_commit,
            self.after_commit,
            self.when_stopped,
            self.while_starting,
        ]
        if can_trace():
            self.ways += [self.around_fsync, self.failed_fsync]

    async def kill(self, number: int) -> None:
        """Start the server and kill it; ways take turns."""
        way = self.ways[number % len(self.ways)]
        self.server.command = flow_command()
        await way()

    async def at_random(self) -> None:
        """Into the middle of the work, wherever that is."""
        await started(self.server)
        await self._some_answers()
        self.server.kill()

    async def when_stopped(self) -> None:
        """Clients send on into a process that reads nothing, and then hear its end."""
        await started(self.server)
        await self._some_answers()
        assert self.server.popen is not None
        self.server.popen.send_signal(signal.SIGSTOP)
        await trio.sleep(self.dice.random() * 0.05)
        self.server.kill()

    async def before_commit(self) -> None:
        """The batch has run, its answers exist, and COMMIT has not begun."""
        await self.planted(f"die_before_commit={self.dice.randrange(1, 40)}")

    async def after_commit(self) -> None:
        """The batch is on disk, and nobody has been answered."""
        await self.planted(f"die_after_commit={self.dice.randrange(1, 40)}")

    async def around_fsync(self) -> None:
        """The log is written, and the disk is still busy; or it is done and has not said so."""
        when = self.dice.choice(["delay_enter", "delay_exit"])
        self.server.command = [*fsync_trace(f"{when}=50000:when=12+"), *flow_command()]
        await started(self.server)
        await self._some_answers(most=20)
        self._kill_traced()

    async def failed_fsync(self) -> None:
        """B6: nobody is answered after it, and the process ends with a code of its own."""
        fault = f"error=EIO:when={self.dice.randrange(12, 40)}"
        self.server.command = [*fsync_trace(fault), *flow_command()]
        assert await self._dies_by_itself() == 74, self.server.log()

    async def while_starting(self) -> None:
        """Somewhere between the lock file and the first client."""
        self.server.spawn_nowait()
        await trio.sleep(self.dice.random() * 0.9)
        self.server.kill()

    async def planted(self, *plants: str) -> None:
        """As the plants say."""
        self.server.command = planted_command(*plants)
        assert await self._dies_by_itself() == -signal.SIGKILL, self.server.log()

    async def _dies_by_itself(self) -> int:
        process = self.server.spawn_nowait()
        await until(lambda: process.poll() is not None)
        self.server.kill()
        return process.returncode

    async def _some_answers(self, most: int = MOST_ACKNOWLEDGED) -> None:
        enough = self.load.acknowledged + self.dice.randrange(1, most)
        await until(lambda: self.load.acknowledged >= enough)

    def _kill_traced(self) -> None:
        assert self.server.popen is not None
        os.kill(traced_pid(self.server.popen.pid), signal.SIGKILL)
        self.server.popen.wait()
        self.server.kill()


async def survive(
    data: Path, kills: int, *, seed: int = SEED, plants: tuple[str, ...] = ()
) -> tuple[Load, int]:
    """Kill a server under load so often, then compare; give the load and the number of moves.

    With ``plants`` each of the servers has them, but for the last; those plants kill it.
    """
    server = ServerProcess("ledger_app", data, APPS, port=free_port())
    with trio.fail_after(120 + 60 * kills), server.ended():
        async with loaded(server.port, writers=5, watchers=WATCHERS, callers=2) as load:
            killer = Killer(server, load, Random(seed))
            for number in range(kills):
                await (killer.planted(*plants) if plants else killer.kill(number))
            server.command = flow_command()
            await started(server)
            await load.finish()
            moves = await trio.to_thread.run_sync(load.compare, server)
        code = await trio.to_thread.run_sync(server.stop)
    assert code == 0, server.log()
    return load, moves


def integrity(data: Path) -> list[tuple[object, ...]]:
    """Ask SQLite whether a database is whole."""
    connection = apsw.Connection(str(data / "flow.sqlite3"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return connection.execute("PRAGMA integrity_check").fetchall()
    finally:
        connection.close()


@pytest.mark.slow
async def test_b1_c1_kill_9_under_load_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Nothing acknowledged is lost, nothing done twice, no order changed, no sum ever torn."""
    data = tmp_path / "data"
    print(f"to replay: FLOW_SEED={SEED} make test ARGS=tests/wire/test_kill.py")

    load, moves = await survive(data, KILLS)

    assert moves > KILLS
    assert load.resent > 0
    assert all(client.connections > 1 for client in load.clients)
    assert integrity(data) == [("ok",)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "plants",
    [("answer_early", "die_before_commit=4"), ("run_again", "die_after_commit=4")],
    ids=["an answer before its commit", "a resend run twice"],
)
async def test_k_a_planted_bug_is_found_in_two_kills(
    tmp_path: Path, plants: tuple[str, ...]
) -> None:
    """The suite above would see the two faults that it is there for."""
    with pytest.raises(BaseExceptionGroup) as caught:
        await survive(tmp_path / "data", 2, plants=plants)

    assert caught.group_contains(AssertionError), caught.value
