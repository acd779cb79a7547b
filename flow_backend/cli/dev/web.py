"""The web client's own server under ``flow dev``: ``npm run dev``, with what it needs installed."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

import trio
from attrs import define

from flow_backend.cli.dev.screen import Screen
from flow_backend.cli.dev.server import signal_group, stop_group
from flow_backend.cli.supervise import how_it_ended

_ADDRESS: Final = re.compile(r"\bLocal:\s+(http://\S+)")
_GREETING: Final = re.compile(r"\s*(VITE v[\d.]+\s+ready in|➜\s+(Network|press h))")
_STYLING: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# Beside the program waits one that only reads this process's end of a pipe. When that closes, also
# because this process was killed, it ends its group: npm, the shell that npm starts, and Node.
_GUARDED: Final = 'exec 3<&0; (cat <&3; kill -TERM 0) >/dev/null 2>&1 & exec "$@" 3<&-'
_LINE_BYTES_MAX: Final = 1 << 16


def find_web(folder: Path, package: str) -> Path | None:
    """Find the web client that stands beside a package."""
    choices = [folder / f"{package}_web", folder / "web"]
    return next((each for each in choices if (each / "package.json").is_file()), None)


@define
class DevWeb:
    """Runs the web client's development server, whose pages talk to the server at ``url``."""

    folder: Path
    url: str
    screen: Screen

    async def run(self) -> None:
        """Run it to its end, which it only comes to by itself when something is wrong."""
        if shutil.which("npm") is None:
            self.screen.bad(
                f"npm is missing, so {self.folder.name}/ is not served: install Node 20 or newer, "
                "or say --no-web"
            )
            return
        if not (self.folder / "node_modules").exists():
            self.screen.plain(f"Installing what {self.folder.name}/ needs (npm install) …")
            command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"]
            if (exit_code := await self._run(command)) != 0:
                self.screen.bad(f"npm install {how_it_ended(exit_code)}; the web is not served")
                return
        exit_code = await self._run(["npm", "run", "--silent", "dev"])
        self.screen.bad(
            f"The web client's server {how_it_ended(exit_code)}. Start flow dev again when that is "
            "mended"
        )

    async def _run(self, command: list[str]) -> int:
        run = partial(
            trio.run_process,
            ["sh", "-c", _GUARDED, "sh", *command],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
            check=False,
            deliver_cancel=stop_group,
        )
        async with trio.open_nursery() as nursery:
            process: trio.Process = await nursery.start(run)
            assert process.stdout is not None
            await self._show(process.stdout)
        signal_group(process, signal.SIGTERM)  # The guard waits for nothing any more.
        assert process.returncode is not None
        return process.returncode

    def _environment(self) -> Mapping[str, str]:
        return {**os.environ, "VITE_FLOW_URL": self.url, "VITE_CONVEX_URL": self.url}

    async def _show(self, stream: trio.abc.ReceiveStream) -> None:
        """Pass on what it says; the address alone is told as the command's own word."""
        rest = b""
        async for piece in stream:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                self._show_line(line.decode(errors="replace").rstrip())
            rest = rest[-_LINE_BYTES_MAX:]
        self._show_line(rest.decode(errors="replace").rstrip())

    def _show_line(self, line: str) -> None:
        plain = _STYLING.sub("", line)
        if (found := _ADDRESS.search(plain)) is not None:
            self.screen.good(f"The web client is at {found[1]}")
        elif plain.strip() and not _GREETING.match(plain):
            self.screen.passed_on("web", line)
