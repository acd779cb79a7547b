"""``flow dev`` as a process, in a folder of the test's own."""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import httpx
from attrs import define, field

from tests.server_process import ROOT, flow_command

PATIENCE_SECONDS = 30
STYLING = re.compile(r"\x1b\[[0-9;]*m")


@define
class Dev:
    """A running ``flow dev``.

    Attributes:
        said: the lines that no test has asked for.
    """

    popen: "subprocess.Popen[str]"
    folder: Path
    said: list[str] = field(factory=list[str])
    _lines: "Queue[str | None]" = field(factory=lambda: Queue[str | None]())
    url: str = ""

    def read(self) -> None:
        """In a thread: take all that it says."""
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self._lines.put(STYLING.sub("", line).rstrip())
        self._lines.put(None)

    def wait_said(self, pattern: str) -> re.Match[str]:
        """Wait for a line, in whatever order they come; each is given once."""
        place = 0
        while True:
            if place == len(self.said):
                self.said.append(self._next(pattern))
            if (found := re.search(pattern, self.said[place])) is not None:
                del self.said[place]
                return found
            place += 1

    def _next(self, pattern: str) -> str:
        try:
            line = self._lines.get(timeout=PATIENCE_SECONDS)
        except Empty:
            line = None
        if line is None:
            raise AssertionError((pattern, self.said))
        return line

    def wait_ready(self) -> None:
        """Wait until clients may come, and what is on the disk serves."""
        self.url = self.wait_said(r"Flow is ready at (http://\S+);")[1]

    def save(self, path: str, old: str, new: str) -> None:
        """Change a file as an editor does: by another one in its place."""
        file = self.folder / path
        text = file.read_text()
        assert old in text
        beside = file.with_suffix(".saving~")
        beside.write_text(text.replace(old, new))
        beside.replace(file)

    def call(self, kind: str, path: str, **args: Any) -> Any:
        body = {"path": path, "args": args}
        answer = httpx.post(f"{self.url}/api/{kind}", json=body, timeout=PATIENCE_SECONDS).json()
        assert answer["status"] == "success", answer
        return answer["value"]

    def stop(self) -> int:
        """Stop it as Ctrl-C does; give its exit code."""
        self.popen.send_signal(signal.SIGINT)
        return self.popen.wait(PATIENCE_SECONDS)


def descendants(pid: int) -> list[int]:
    """Give the process ids of all that a process started, and what those did."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *descendants(child)]
    return found


def is_running(pid: int) -> bool:
    """Say whether there is such a process, and it is no zombie."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@contextmanager
def developing(
    folder: Path, *arguments: str, command: Sequence[str] = (), **environment: str
) -> Generator[Dev]:
    """Run ``flow dev`` in a folder."""
    with subprocess.Popen(
        [*(command or flow_command()), "dev", "--port", "0", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as popen:
        running = Dev(popen, folder)
        reader = threading.Thread(target=running.read)
        reader.start()
        try:
            yield running
        finally:
            if popen.poll() is None:
                popen.terminate()
                with suppress(subprocess.TimeoutExpired):
                    popen.wait(PATIENCE_SECONDS)
            popen.kill()
            reader.join()
