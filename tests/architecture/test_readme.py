"""The tour in the README is an app that runs."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
BLOCK = re.compile(r"```\w+\n(?:#|//) (?P<file>[\w/.]+)\n(?P<code>.*?)```", re.DOTALL)


def code_blocks() -> dict[str, str]:
    """Give the README's blocks that begin with a file's name."""
    text = (ROOT / "README.md").read_text()
    return {match["file"]: match["code"] for match in BLOCK.finditer(text)}


@pytest.fixture
def tour(tmp_path: Path) -> Path:
    for name, code in code_blocks().items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code)
    (tmp_path / "guestbook" / "__init__.py").write_text("")
    return tmp_path


@pytest.fixture
def url(tour: Path) -> Iterator[str]:
    """Serve the tour's app beside its clients, and give the address."""
    modules = ROOT / "flow_web" / "node_modules"
    if not modules.is_dir():
        pytest.skip("flow_web/node_modules is missing: run make web")
    (tour / "node_modules").symlink_to(modules)
    server = subprocess.Popen(
        [Path(sys.executable).parent / "flow", "serve", "--app", "guestbook", "--port", "0"],
        cwd=tour,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        yield server.stdout.readline().split()[-1]
    finally:
        server.terminate()
        server.wait(20)
        server.stdout.close()


def run_client(tour: Path, name: str, url: str) -> list[str]:
    """Run a client of the tour to its end, and give the lines that it printed."""
    program = "node" if name.endswith(".mjs") else sys.executable
    seen = subprocess.run(
        [program, name, url], cwd=tour, capture_output=True, text=True, timeout=60
    )
    assert seen.returncode == 0, seen.stderr
    return seen.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.node
def test_tour_runs_with_the_official_client(tour: Path, url: str) -> None:
    """A newcomer who types it all in sees what the README says."""
    lines = run_client(tour, "watch.mjs", url)
    assert "Hello (0)" in lines
    assert lines[-1] == "Hello (1)"

    lines = run_client(tour, "pins.mjs", url)
    assert "pinned: [ 'Lunch' ]" in lines
    gone = lines.index("0 in the yard")
    before = [line for line in lines[:gone] if line.startswith("pinned:")]
    assert before[-1] == "pinned: []", "nothing wrote, so the instant itself did it"

    assert run_client(tour, "listen.py", url) == ["['Some words from Python']"]
    change_and_take_back(tour, url)


def change_and_take_back(tour: Path, url: str) -> None:
    """Give the tour's commands; what they put in force is seen, and then it is gone."""
    deploy, versions, rollback = next(
        block for block in SHELL.findall((ROOT / "README.md").read_text()) if "deploy" in block
    ).splitlines()
    file = tour / "guestbook" / "messages.py"
    file.write_text(file.read_text().replace(".take(50)", ".take(0)"))
    counts: list[int] = []
    for command in (deploy, versions, rollback):
        program, *arguments = shlex.split(command)
        path = Path(sys.executable).with_name(program)
        ran = subprocess.run([path, *arguments], cwd=tour, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        assert command != versions or "what changed" in ran.stdout
        body = {"path": "messages:list", "args": {"room": "hall"}}
        counts.append(len(httpx.post(f"{url}/api/query", json=body).json()["value"]))
    assert counts == [0, 0, 1]
