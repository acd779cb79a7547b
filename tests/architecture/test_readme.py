"""The tour in the README is an app that runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
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


@pytest.mark.slow
@pytest.mark.node
def test_tour_runs_with_the_official_client(tour: Path) -> None:
    """A newcomer who types it all in sees what the README says."""
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
        url = server.stdout.readline().split()[-1]
        seen = subprocess.run(
            ["node", "watch.mjs", url], cwd=tour, capture_output=True, text=True, timeout=60
        )
    finally:
        server.terminate()
        server.wait(20)
        server.stdout.close()

    assert seen.returncode == 0, seen.stderr
    lines = seen.stdout.splitlines()
    assert "Hello (0)" in lines
    assert lines[-1] == "Hello (1)"
