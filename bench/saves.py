"""Save to live: from a save under flow dev until an official client has the result."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from typing import Final

from bench.processes import LOAD_CORES, SERVER_CORES, pin_load
from bench.report import Options, Section, median
from bench.wire import LoadError
from flow_backend.cli.new import make_app_folder

_ROOT: Final = Path(__file__).parent.parent
_MODULES: Final = _ROOT / "flow_web"
_SAVES: Final = 20
_PATIENCE_SECONDS: Final = 30.0
_READY: Final = re.compile(r"Flow is ready at (\S+);")
_STYLING: Final = re.compile(r"\x1b\[[0-9;]*m")

_SOURCE: Final = '''"""Saved again and again."""

from typing import Literal

from flow_backend import QueryCtx, query


@query
def word(ctx: QueryCtx) -> Literal["{word}"]:
    return "{word}"
'''


def run(options: Options, disk: Path) -> Section:
    """Save a query that gives another result, of another type, and wait for both."""
    section = Section("Save to live: flow dev, a changed query, seconds from the save")
    apps = {"flow new": _small(disk)}
    if not options.smoke:
        apps["Flow"] = _flow(disk)
    for name, folder in apps.items():
        results, types = _saves(folder, 2 if options.smoke else _SAVES)
        section.rows.append(
            {
                "app": name,
                "saves": len(results),
                "in a client: median": median(results),
                "worst": max(results),
                "types: median": median(types),
                "worst of types": max(types),
                "goal": f"median below 1: {'yes' if median(results) < 1 else 'NO'}",
            }
        )
    section.notes.append("The client is npm convex; the types are the file that was written.")
    return section


def _small(disk: Path) -> Path:
    folder = disk / "small"
    make_app_folder(folder, "small-app", "small_app")
    return folder / "small_app"


def _flow(disk: Path) -> Path:
    package = disk / "large" / "flow"
    shutil.copytree(_ROOT / "flow", package, ignore=shutil.ignore_patterns("web", "__pycache__"))
    return package


def _saves(package: Path, count: int) -> tuple[list[float], list[float]]:
    """Returns: for each save the seconds until the client had its result, and the types."""
    file, types = package / "saved.py", package.parent / "types"
    _save(file, "begin")
    results, typed = list[float](), list[float]()
    with (
        _running(_dev_command(package), package.parent) as dev,
        _running(
            ["node", str(Path(__file__).with_name("watching.mjs")), str(_MODULES),
             dev.wait(_READY)[1], "saved:word"], package.parent
        ) as client,
    ):  # fmt: skip
        client.wait(re.compile('"begin"'))
        for number in range(count):
            word = f"word {number}"
            time.sleep(0.3 + 0.01 * number)  # Not always at the same place between two looks.
            saved = time.time()
            _save(file, word)
            client.wait(re.compile(f'"{word}"'))
            results.append(client.heard_at - saved)
            typed.append(_typed_at(types / "api.ts", word) - saved)
    return results, typed


def _save(file: Path, word: str) -> None:
    beside = file.with_name(".saving")
    beside.write_text(_SOURCE.format(word=word))
    beside.replace(file)


def _typed_at(file: Path, word: str) -> float:
    """Wait until a file has a word; give when it was written."""
    until = time.time() + _PATIENCE_SECONDS
    while word not in file.read_text():
        if time.time() > until:
            raise LoadError(f"{file.name} has no {word!r}")
        time.sleep(0.01)
    return file.stat().st_mtime


def _dev_command(package: Path) -> list[str]:
    flow = str(Path(sys.executable).with_name("flow"))
    return [flow, "dev", "--port", "0", "--app", package.name, "--no-web", "--types", "types"]


class _Program:
    """A program whose lines are heard with the time at which they came."""

    def __init__(self, popen: "subprocess.Popen[str]") -> None:
        self.popen = popen
        self.heard_at = 0.0
        self._lines: Queue[tuple[str, float]] = Queue()
        self.said: list[str] = []

    def read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self._lines.put((_STYLING.sub("", line), time.time()))

    def wait(self, pattern: "re.Pattern[str]") -> "re.Match[str]":
        while True:
            try:
                line, self.heard_at = self._lines.get(timeout=_PATIENCE_SECONDS)
            except Empty:
                raise LoadError(f"{pattern.pattern} was not said, but {self.said}") from None
            self.said.append(line)
            if (found := pattern.search(line)) is not None:
                return found


@contextmanager
def _running(command: list[str], folder: Path) -> Generator[_Program]:
    # A developer's machine gives both cores to what they run.
    os.sched_setaffinity(0, LOAD_CORES | SERVER_CORES)
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    try:
        popen = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
        )
    finally:
        pin_load()
    program = _Program(popen)
    reader = threading.Thread(target=program.read, daemon=True)
    reader.start()
    try:
        yield program
    finally:
        popen.terminate()
        with suppress(subprocess.TimeoutExpired):
            popen.wait(_PATIENCE_SECONDS)
        popen.kill()
        popen.wait()
        reader.join()
        assert popen.stdout is not None
        popen.stdout.close()
