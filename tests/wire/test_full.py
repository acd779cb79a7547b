"""A disk that is really full, and files that may grow no further: nothing acknowledged is lost."""

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.server_process import APPS, ServerProcess, flow_command
from tests.wire.load import call
from tests.wire.test_kill import integrity

pytestmark = pytest.mark.slow

DISK_MEBIBYTES: Final = 96
"""Room for what a server keeps back for deletes, and some for the data."""

ROOM_BYTES: Final = 1 << 20
MOST: Final = 2000
DISK_FAILED: Final = 74


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A file system of its own, if this user may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    size = f"size={DISK_MEBIBYTES}m"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def add(server: ServerProcess, text: str) -> httpx.Response | None:
    """Add a note; None if the server went away over it."""
    body = {"path": "notes:add", "args": {"text": text}}
    with suppress(httpx.TransportError):
        return httpx.post(f"{server.url}/api/mutation", json=body, timeout=30)
    return None


def succeeded(answer: httpx.Response | None) -> bool:
    return answer is not None and answer.json().get("status") == "success"


def add_until_refused(server: ServerProcess) -> tuple[list[str], httpx.Response | None]:
    """Add notes until there is no room; give those that were acknowledged, and what ended it."""
    kept: list[str] = []
    for number in range(MOST):
        text = f"{number} ".ljust(20_000, "x")
        answer = add(server, text)
        if not succeeded(answer):
            return kept, answer
        kept.append(text)
    raise AssertionError(f"{MOST} notes of 20 kB found room")


def assert_all_there(server: ServerProcess, kept: list[str]) -> None:
    """What was acknowledged is there; of the one that was not answered nobody knows."""
    texts = call(server, "query", "notes:texts")
    assert texts[: len(kept)] == kept
    assert len(texts) <= len(kept) + 1


def test_b8_a_full_disk_refuses_changes_and_loses_none(small_disk: Path) -> None:
    """It refuses, and queries go on; or it ends. With room again, changes are made again."""
    filler = small_disk / "filler"
    server = ServerProcess("ledger_app", small_disk / "data", APPS)
    with server.ended():
        server.start()
        assert succeeded(add(server, "first"))
        room = shutil.disk_usage(small_disk).free
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, room - ROOM_BYTES)

        kept, answer = add_until_refused(server)

        # Also where the room runs out inside of COMMIT: then nothing of it was written to the log.
        assert answer is not None, "the server ended on a full disk"
        assert "the storage is full" in answer.text
        assert "try again" in answer.text
        assert_all_there(server, ["first", *kept])
        filler.unlink()
        while not succeeded(add(server, "last")):
            assert server.popen is not None
            assert server.popen.poll() is None, server.log()
        assert call(server, "query", "notes:texts")[-1] == "last"
        assert server.stop() == 0
    assert integrity(small_disk / "data") == [("ok",)]


@pytest.mark.parametrize("log", ["kept", "full"])
def test_b6_a_file_that_cannot_grow_ends_the_process_and_loses_nothing(
    tmp_path: Path, log: str
) -> None:
    """The system refuses a write in the middle of a commit: nobody is answered after it.

    The exit code says so, also where what the server logs finds no room.
    """
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit is missing")
    limit = ["prlimit", f"--fsize={ROOM_BYTES}"]
    server = ServerProcess("ledger_app", tmp_path / "data", APPS, command=[*limit, *flow_command()])
    if log == "full":
        server.log_path.symlink_to("/dev/full")
    with server.ended():
        server.start()

        kept, answer = add_until_refused(server)

        assert not succeeded(answer)
        assert server.popen is not None
        assert server.popen.wait(30) == DISK_FAILED
        server.kill()
        server.command = flow_command()
        server.start()
        assert len(kept) > 1
        assert_all_there(server, kept)
        assert succeeded(add(server, "last"))
        assert server.stop() == 0
    assert integrity(tmp_path / "data") == [("ok",)]
