"""Both strict type checkers follow the public API: right calls pass and wrong ones do not."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

TYPED = Path(__file__).parent / "typed"
FILES = [TYPED / "calls.py", TYPED / "client_calls.py"]
ROOT = Path(__file__).parents[2]

Place = tuple[str, int]


def wrong_lines(*endings: str) -> list[Place]:
    return [
        (file.name, number)
        for file in FILES
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if line.endswith(endings)
    ]


def run(*command: str) -> str:
    files = [str(file) for file in FILES]
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_mypy_finds_what_is_wrong_and_nothing_else() -> None:
    said = run(sys.executable, "-m", "mypy", "--strict", "--no-pretty")

    found = {(name, int(line)) for name, line in re.findall(r"(\w+\.py):(\d+): error", said)}
    wrong = wrong_lines("# error", "# mypy knows no attrs class here")
    assert sorted(found) == wrong, said


@pytest.mark.slow
def test_pyright_finds_what_is_wrong_and_nothing_else() -> None:
    said = run(sys.executable, "-m", "pyright", "--outputjson")

    found = {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1)
        for each in json.loads(said)["generalDiagnostics"]
        if each["severity"] == "error"
    }
    assert sorted(found) == wrong_lines("# error"), said
