"""The search of the web app: by keys and by touch, light and dark, live while it is open."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser_notice import find_chromium
from tests.server_process import ROOT, ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess("flow", tmp_path / "data") as running:
        yield running


def test_what_is_searched_for_is_found_opened_and_live(
    server: ServerProcess, tmp_path: Path
) -> None:
    """A task that is opened has the focus on its board. And no page fails axe's rules."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium was found")
    script = Path(__file__).with_name("search.mjs")

    seen = subprocess.run(
        ["node", script, chromium, ROOT / "flow_web", server.url, tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert seen.returncode == 0, seen.stderr
    report = json.loads(seen.stdout.splitlines()[-1])
    assert report["problems"] == []
    task, other, note = report["found"]
    assert "Order compost for the raised bed" in task
    assert "Plant garlic" in other
    assert "a spade of compost" in other
    assert "Soil" in note
    assert report["live"] == 4
