"""docs/tutorial.md, followed to the letter: its files, its commands, and what clients see."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from queue import Queue
from typing import Any, Final

import httpx
import pytest
from attrs import define, field

from tests.cli.dev import PATIENCE_SECONDS, STYLING, Dev, developing
from tests.cli.new_app import link_packages
from tests.deploy.typescript import missing
from tests.server_process import ROOT

BLOCK: Final = re.compile(r"```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)
NAMED: Final = re.compile(r"(?:#|//) (?P<file>[\w/.]+)\n")
ADDRESS: Final = "http://127.0.0.1:3210"
TAB: Final = ROOT / "tests" / "interop" / "clients" / "tutorial.mjs"


@define(eq=False)
class Process:
    """Something that goes on beside the reader, and the lines that it says."""

    popen: "subprocess.Popen[str]"
    lines: "Queue[str | None]" = field(factory=lambda: Queue[str | None]())
    seen: list[str] = field(factory=list[str])

    def read(self) -> None:
        """In a thread: take all that it says."""
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.lines.put(STYLING.sub("", line).rstrip())
        self.lines.put(None)

    def wait(self, fits: Callable[[str], bool]) -> str:
        """Wait for a line."""
        while True:
            line = self.lines.get(timeout=PATIENCE_SECONDS)
            assert line is not None, self.seen
            self.seen.append(line)
            if fits(line):
                return line

    def wait_shown(self, **expected: Any) -> None:
        """Of a tab: wait until it shows this."""

        def fits(line: str) -> bool:
            shown = json.loads(line)
            return shown is not None and expected.items() <= shown.items()

        self.wait(fits)


@define
class Reader:
    """Who follows the tutorial: a folder, what goes on there, and what was said last."""

    folder: Path
    open: ExitStack
    said: str = ""
    url: str = ""
    dev: Dev | None = None
    tabs: list[Process] = field(factory=list[Process])
    _environment: dict[str, str] = field(factory=dict[str, str])

    def __attrs_post_init__(self) -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "FLOW_PORT": "0"}

    def follow(self, language: str, text: str) -> None:
        """Do what a block of the tutorial says."""
        match language:
            case "sh":
                self.said = ""
                for command in text.splitlines():
                    self._type(command)
            case "text":
                for line in text.splitlines():
                    assert plain(line) in plain(self.said), (line, self.said)
            case "diff":
                self._change(text)
            case _:
                self._write(text)

    def _write(self, text: str) -> None:
        named = NAMED.match(text)
        assert named is not None, f"begin with the name of the file: {text}"
        (self.folder / named["file"]).write_text(text.replace(ADDRESS, self.url or ADDRESS))

    def _change(self, text: str) -> None:
        named = NAMED.match(text)
        assert named is not None
        file = self.folder / named["file"]
        old, new = re.findall(r"^[-+](.*\n)", text, re.MULTILINE)
        before = file.read_text()
        assert before.count(old) == 1
        file.write_text(before.replace(old, new))

    def _type(self, command: str) -> None:
        if command.startswith("cd "):
            self.folder /= command.removeprefix("cd ")
            link_packages(self.folder / "web")
        elif command == "flow dev":
            self._develop()
        elif command.startswith("flow serve"):
            self._serve(command)
        else:
            ran = subprocess.run(
                command,
                shell=True,
                cwd=self.folder,
                env=self._environment,
                capture_output=True,
                text=True,
                check=False,
            )
            self.said += ran.stdout + ran.stderr
            assert ran.returncode == 0, (command, self.said)

    def _develop(self) -> None:
        self.dev = self.open.enter_context(developing(self.folder))
        ready = self.dev.wait_said(r"Flow is ready at (http://\S+);.*")
        page = self.dev.wait_said(r"The web client is at (http://\S+)")
        self.said, self.url = f"{ready[0]}\n{page[0]}", ready[1]
        assert 'id="root"' in httpx.get(page[1]).text
        self._open_tabs()

    def _serve(self, command: str) -> None:
        assert self.dev is not None
        self.tabs.clear()
        assert self.dev.stop() == 0
        self.said = self._start(command.split()).wait(lambda line: "ready" in line)
        self.url = self.said.split()[-1]
        assert 'id="root"' in httpx.get(self.url).text
        self._open_tabs()

    def _open_tabs(self) -> None:
        self.tabs = [self._start(["node", str(TAB), self.url]) for _ in range(2)]

    def _start(self, command: list[str]) -> Process:
        popen = self.open.enter_context(
            subprocess.Popen(
                command,
                cwd=self.folder,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        process = Process(popen)
        thread = threading.Thread(target=process.read)
        thread.start()
        self.open.callback(thread.join)
        self.open.callback(end, popen)
        return process


def end(popen: "subprocess.Popen[str]") -> None:
    popen.terminate()
    with suppress(subprocess.TimeoutExpired):
        popen.wait(PATIENCE_SECONDS)
    popen.kill()


def plain(text: str) -> str:
    """Leave out what differs from run to run: the ports."""
    return re.sub(r":\d+", ":", text)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    why = missing()
    if why is not None:
        pytest.skip(why)
    with ExitStack() as stack:
        yield Reader(tmp_path, stack)


@pytest.mark.slow
@pytest.mark.node
def test_who_follows_the_tutorial_sees_what_it_says(reader: Reader) -> None:
    text = (ROOT / "docs" / "tutorial.md").read_text()
    as_asked, by_votes = ["Pizza", "Soup", "Salad"], ["Soup", "Pizza", "Salad"]
    for block in BLOCK.finditer(text):
        reader.follow(block["language"], block["text"])
        for tab in reader.tabs:
            match block["text"].split()[:2]:
                case ["python", "watch.py"]:
                    tab.wait_shown(question="Lunch?", is_open=True)
                    tab.wait_shown(question="Lunch?", is_open=False)
                case ["flow", "serve"]:
                    tab.wait_shown(choices=as_asked, is_open=False)
                case ["flow", "deploy"]:
                    tab.wait_shown(choices=by_votes)
                    assert 'id="root"' in httpx.get(reader.url).text
                case ["flow", "versions"]:
                    assert "the most votes first" in reader.said
                    tab.wait_shown(choices=as_asked)
                case _:
                    pass
    assert len(reader.tabs) == 2
    assert "with the code of version 1." in reader.said
