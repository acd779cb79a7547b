"""A changed type of an argument is found where the function is called, in both languages."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.typescript import PACKAGES, ROOT, compile_types, missing

pytestmark = pytest.mark.slow

CLIENT = """\
from flow import tasks
from flow.schema import Board
from flow_backend import Id
from flow_backend.client import connect


async def main(board: Id[Board]) -> None:
    async with connect("http://127.0.0.1:3210") as client:
        await client.mutation(tasks.add, board=board, title="Buy milk")  # the call
        print(await client.query(tasks.list_tasks, board=board))
"""
CALL = "await client.mutation(tasks.add,"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Flow, its web client and a Python client, in which ``tasks:add`` takes another title."""
    ignored = shutil.ignore_patterns("__pycache__", "node_modules", "web")
    for name in ("flow", "flow_web"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    (tmp_path / "flow_web" / "node_modules").symlink_to(PACKAGES.resolve())
    (tmp_path / "client.py").write_text(CLIENT)
    functions = tmp_path / "flow" / "tasks.py"
    text = functions.read_text()
    changed = text.replace("    title: str,\n    column:", "    title: int,\n    column:")
    assert changed != text
    functions.write_text(changed)
    return tmp_path


@pytest.mark.node
def test_the_web_client_no_longer_compiles_at_the_call(copy: Path) -> None:
    why = missing()
    if why is not None:
        pytest.skip(why)
    written = subprocess.run(
        [sys.executable, "-m", "flow._start", "codegen"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": f"{copy}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert written.stdout == "Wrote api.ts in flow_web/src/generated\n"

    said = compile_types(copy / "flow_web")

    name = "src/features/board/use-task-actions.ts"
    lines = (copy / "flow_web" / name).read_text().splitlines()
    (call,) = [n for n, line in enumerate(lines, 1) if "api.tasks.add" in line]
    assert (name, call) in said, said
    for file, _ in said:
        text = (copy / "flow_web" / file).read_text()
        assert "api.tasks.add" in text or "showAdd" in text, f"{file} does not call it"


def test_a_python_client_no_longer_type_checks_at_the_call(copy: Path) -> None:
    config = {
        "include": ["client.py"],
        "extraPaths": [str(ROOT)],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
    }
    (copy / "pyrightconfig.json").write_text(json.dumps(config))

    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson"],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )

    found: list[dict[str, Any]] = json.loads(done.stdout)["generalDiagnostics"]
    call = {n for n, line in enumerate(CLIENT.splitlines()) if CALL in line}
    assert {each["range"]["start"]["line"] for each in found} == call, done.stdout
    assert 'cannot be assigned to parameter "title" of type "int"' in done.stdout.replace("\\", "")
