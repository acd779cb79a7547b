"""The pages between two people: what one puts down the other sorts, and days turn by themselves."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser_notice import find_chromium
from tests.server_process import ROOT, ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PICTURES = ("inbox-empty", "inbox", "today-due", "today-overdue", "today-phone", "quick-add")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess("flow", tmp_path / "data") as running:
        yield running


def test_two_windows_share_the_inbox_and_the_day(server: ServerProcess, tmp_path: Path) -> None:
    """Also: a due instant passes in both windows with no commit, and no page fails axe's rules."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium was found")
    script = Path(__file__).with_name("pages.mjs")

    seen = subprocess.run(
        ["node", script, chromium, ROOT / "flow_web", server.url, tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert seen.returncode == 0, seen.stderr
    report = json.loads(seen.stdout.splitlines()[-1])
    assert report == {"problems": [], "notes": ["idea: herb shelf"], "writes": 0, "left": ""}
    for picture in PICTURES:
        assert (tmp_path / f"{picture}.png").stat().st_size > 5_000
