"""The promise of the product: a card dragged in one window moves in the other."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.browser_notice import find_chromium
from tests.server_process import ROOT, ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess("flow", tmp_path / "data") as running:
        yield running


def call(url: str, path: str, **args: object) -> object:
    answer = httpx.post(f"{url}/api/mutation", json={"path": path, "args": args}).json()
    assert answer["status"] == "success", answer
    return answer["value"]


def test_card_dragged_in_one_window_moves_in_the_others(
    server: ServerProcess, tmp_path: Path
) -> None:
    """Two desktops, one of them dark, and a phone: all of them show the move."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium was found")
    board = call(server.url, "boards:create", title="House", columns=["To do", "Doing", "Done"])
    for title in ("Sand the stairs", "Paint the fence", "Order tiles"):
        task = call(server.url, "tasks:add", board=board, title=title, labels=["spring"])

    script = Path(__file__).with_name("windows.mjs")
    modules = ROOT / "flow_web"
    seen = subprocess.run(
        ["node", script, chromium, modules, server.url, board, task, "doing", tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert seen.returncode == 0, seen.stderr
    report = json.loads(seen.stdout.splitlines()[-1])
    assert report["problems"] == []
    for picture in ("first", "second-dark", "phone", "dragging"):
        assert (tmp_path / f"{picture}.png").stat().st_size > 5_000
    tasks = httpx.post(
        f"{server.url}/api/query", json={"path": "tasks:list", "args": {"board": board}}
    ).json()["value"]
    assert [each["column"] for each in tasks if each["_id"] == task] == ["doing"]
