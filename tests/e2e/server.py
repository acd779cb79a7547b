"""Starts a server as a user would, and ends it by its process id."""

import subprocess
import sys
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]


class ServerProcess:
    """``flow serve`` on a free port. Leaving the block stops it."""

    def __init__(self, data: Path, app: str = "flow", cwd: Path = ROOT) -> None:
        self.data = data
        self.app = app
        self.cwd = cwd
        self.url = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start, and wait for the line that says where it listens."""
        flow = Path(sys.executable).parent / "flow"
        command = [flow, "serve", "--port", "0", "--data", self.data, "--app", self.app]
        self.process = subprocess.Popen(command, cwd=self.cwd, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("Flow is ready at "), line
        self.url = line.split()[-1]

    def stop(self) -> int:
        """Stop gracefully, and give the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self._ended()

    def kill(self) -> None:
        """Stop without any warning, as a power cut of the process alone."""
        assert self.process is not None
        self.process.kill()
        self._ended()

    def _ended(self) -> int:
        assert self.process is not None
        code = self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None
        return code

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.stop()
