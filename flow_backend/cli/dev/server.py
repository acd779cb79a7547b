"""The server under ``flow dev``: a child process that is started again when it fails."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import trio
from attrs import define, field

from flow_backend.cli import exit_codes
from flow_backend.cli.dev.screen import Screen
from flow_backend.cli.supervise import Again, History, how_it_ended
from flow_backend.server.parent import READY, VARIABLE, variable_for

_STOP_SECONDS: Final = 15.0


class ServerGaveUp(Exception):  # It ends the command.
    """The server cannot run whatever the app's code is; it has said why itself."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


@define(eq=False)
class DevServer:
    """Keeps the server running.

    Owns: the child process and the listening sockets, so that clients who come between two of the
        server's lives wait, and are not turned away. The server holds one end of a link to this
        process, so that it stops even if this process is killed.

    Attributes:
        command: what runs the server.
        on_ready: called each time that clients may come.
    """

    command: Sequence[str]
    listening: Sequence[socket.socket]
    screen: Screen
    on_ready: Callable[[], None]
    is_ready: bool = False
    _history: History = field(factory=History)
    _wanted: trio.Event = field(factory=trio.Event)

    def start(self) -> None:
        """Let it run, if it does not."""
        self._wanted.set()

    async def run(self) -> None:
        """Run it for ever, from the first :meth:`start` on.

        Raises: ServerGaveUp.
        """
        while True:
            await self._wanted.wait()
            started_at = trio.current_time()
            exit_code, served = await self._live()
            seconds = trio.current_time() - started_at
            how = f"The server {how_it_ended(exit_code)}"
            decision = self._history.ended(exit_code, served=served, up_seconds=seconds)
            if isinstance(decision, Again):
                self.screen.bad(f"{how}. It is started again in {decision.seconds:g} s.")
                await trio.sleep(decision.seconds)
                continue
            if exit_code in exit_codes.FINAL and exit_code != exit_codes.DATA:
                raise ServerGaveUp(exit_code)
            self._wanted = trio.Event()
            self.screen.bad(f"{how}. The next save starts it again.")

    async def _live(self) -> tuple[int, bool]:
        """Run the server once. Returns: its exit code, and whether clients could come."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        heard = False
        try:
            async with trio.open_nursery() as nursery:
                with theirs:
                    process = await nursery.start(self._run_process, theirs)
                await trio.lowlevel.wait_readable(ours)
                if ours.recv(1) == READY:
                    heard = self.is_ready = True
                    self.on_ready()
        finally:
            self.is_ready = False
            ours.close()
        assert process.returncode is not None
        return process.returncode, heard

    async def _run_process(
        self,
        link: socket.socket,
        task_status: trio.TaskStatus[trio.Process] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        handed = [link.fileno(), *(each.fileno() for each in self.listening)]
        run = partial(
            trio.run_process,
            self.command,
            env=_environment() | {VARIABLE: variable_for(link, self.listening)},
            pass_fds=handed,
            # Ctrl-C reaches it through this process only, and so once.
            process_group=0,
            stdout=subprocess.DEVNULL,  # Where it listens is told here.
            check=False,
            deliver_cancel=_stop,
        )
        await run(task_status=task_status)


def _environment() -> dict[str, str]:
    """Let the package in this folder come before an installed one of its name.

    Who writes an app wants to read what its errors say.
    """
    paths = [str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"FLOW_LOG_WORDS": "1", **os.environ, "PYTHONPATH": os.pathsep.join(paths)}


async def _stop(process: trio.Process) -> None:
    process.terminate()
    with trio.move_on_after(_STOP_SECONDS):
        await process.wait()
    process.kill()


async def stop_group(process: trio.Process) -> None:
    """End a program and all that it started: npm runs a shell, which runs Node."""
    signal_group(process, signal.SIGTERM)
    with trio.move_on_after(_STOP_SECONDS):
        await process.wait()
    signal_group(process, signal.SIGKILL)


def signal_group(process: trio.Process, number: int) -> None:
    """Send a signal to a program and all that it started, if any of them still runs."""
    with suppress(ProcessLookupError):  # It has ended.
        os.killpg(process.pid, number)
