"""Both strict type checkers follow the public API: right calls pass and wrong ones do not."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

CALLS = Path(__file__).parent / "typed" / "calls.py"
ROOT = Path(__file__).parents[2]


def wrong_lines(*endings: str) -> list[int]:
    lines = CALLS.read_text().splitlines()
    return [number for number, line in enumerate(lines, 1) if line.endswith(endings)]


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_mypy_finds_what_is_wrong_and_nothing_else() -> None:
    said = run(sys.executable, "-m", "mypy", "--strict", "--no-pretty", str(CALLS))

    found = re.findall(r"calls\.py:(\d+): error", said)
    wrong = wrong_lines("# error", "# mypy knows no attrs class here")
    assert sorted({int(line) for line in found}) == wrong, said


@pytest.mark.slow
def test_pyright_finds_what_is_wrong_and_nothing_else() -> None:
    said = run(sys.executable, "-m", "pyright", "--outputjson", str(CALLS))

    found = [
        each["range"]["start"]["line"] + 1
        for each in json.loads(said)["generalDiagnostics"]
        if each["severity"] == "error"
    ]
    assert sorted(set(found)) == wrong_lines("# error"), said
