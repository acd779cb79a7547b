"""The commands that docs/guides/deploying.md and docs/data.md show, given to a server that runs."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from flow_backend.cli.main import backend_commands
from tests.server_process import ROOT, ServerProcess

BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
APP = """
from flow_backend import QueryCtx, query

@query
def version(ctx: QueryCtx) -> int:
    return 1
"""

pytestmark = pytest.mark.slow


def commands(page: str) -> list[str]:
    """Give the commands of a page, in its order, without what is said about them."""
    blocks = BLOCK.findall((ROOT / "docs" / page).read_text())
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def give(command: str) -> str:
    """Give a command; give what it said."""
    program, *arguments = shlex.split(command)
    assert program == "flow"
    ran = CliRunner().invoke(backend_commands(), arguments)
    assert ran.exit_code == 0, (command, ran.output)
    return ran.stdout


def test_the_commands_of_the_guide_of_deploys_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "bills.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    shown = commands("guides/deploying.md")
    keys = [command for command in shown if command.startswith("flow key")]
    others = [command for command in shown if command not in keys]
    assert [len(keys), len(others)] == [3, 7]
    with ServerProcess("shop", tmp_path / "flow-data", tmp_path) as server:
        monkeypatch.setenv("FLOW_ADMIN_KEY", re.findall(r"laptop\|\S+", give(keys[0]))[0])
        (tmp_path / "shop" / "bills.py").write_text(APP.replace("return 1", "return 2"))
        seen: list[str] = []
        for command in others:
            # They name versions of a server that has had many, and this one's app.
            command = re.sub(r"^flow deploy", "flow deploy --app shop", command)
            command = re.sub(r" \d+$", " 2", command)
            give(command.replace("https://flow.example", server.url))
            seen.append(give("flow run bills:version").strip())
        assert seen == ["2", "2", "2", "2", "1", "2", "2"]
        assert "laptop" in give(keys[1])
        give(keys[2])
        assert "laptop" not in give(keys[1])


def test_the_commands_of_the_guide_of_data_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = commands("data.md")
    assert len(shown) == 5
    with ServerProcess("flow", tmp_path / "flow-data", ROOT):
        give("flow run boards:create title=Home columns='[\"To do\"]'")
        for command in shown:
            agreed = " -y" if "--replace" in command else ""
            give(command + agreed)
        assert "Home" in give("flow data boards")
    assert len(list(tmp_path.glob("snapshot_*.zip"))) == 1
