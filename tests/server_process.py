"""Server processes: started by the command that a user types, and ended in every way there is."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from attrs import define, field

ROOT: Final = Path(__file__).parents[1]
APPS: Final = ROOT / "fixtures" / "apps"
DEADLINE_SECONDS: Final = 30

_READY: Final = re.compile(r"Flow is ready at http://127\.0\.0\.1:(\d+)\n")


def flow_command() -> list[str]:
    """Give what a user types."""
    return [str(Path(sys.executable).with_name("flow"))]


def planted_command(*plants: str) -> list[str]:
    """Give the same with bugs planted in it."""
    return [sys.executable, "-m", "tests.wire.planted", ",".join(plants)]


@define
class ServerProcess:
    """A server on 127.0.0.1; leaving its block stops it.

    Attributes:
        data: its folder; its log goes to a file beside it.
        port: 0 takes a free one.
        command: what stands before ``serve``; a tracer may stand before that.
    """

    app: str
    data: Path
    folder: Path = ROOT
    environment: dict[str, str] = field(factory=dict[str, str])
    port: int = 0
    command: Sequence[str] = field(factory=flow_command)
    popen: "subprocess.Popen[str] | None" = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        line = self.spawn()
        found = _READY.fullmatch(line)
        if found is None:
            self.kill()
            raise AssertionError((line, self.log()))
        self.port = int(found[1])

    def spawn(self) -> str:
        """Start it and give the first line that it says; none if it ends."""
        popen = self.spawn_nowait()
        assert popen.stdout is not None
        return popen.stdout.readline()

    def spawn_nowait(self) -> "subprocess.Popen[str]":
        """Start it and wait for nothing."""
        command = [*self.command, "serve", "--port", str(self.port)]
        command += ["--app", self.app, "--data", str(self.data)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **self.environment}
        with self.log_path.open("a") as log:
            self.popen = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self.popen

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log_path(self) -> Path:
        return self.data.with_suffix(".log")

    def log(self) -> str:
        return self.log_path.read_text()

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.popen is not None
        self.popen.kill()
        self._close()

    def stop(self) -> int:
        """End it as Ctrl-C would, and give the exit code."""
        assert self.popen is not None
        self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(DEADLINE_SECONDS)
        finally:
            self.popen.kill()
            self._close()

    @contextmanager
    def ended(self) -> Generator[Self]:
        """Leave nothing running, whatever happens in the block."""
        try:
            yield self
        finally:
            if self.popen is not None:
                self.kill()

    def _close(self) -> None:
        assert self.popen is not None
        assert self.popen.stdout is not None
        self.popen.wait()
        self.popen.stdout.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def hear_ctrl_c() -> None:
    """In a new process: hear Ctrl-C, also where the tests run in a shell's background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
