"""A reminder in two windows: it rings in both, and an answer in one silences both."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser_notice import find_chromium
from tests.server_process import ROOT, ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PICTURES = ("reminders-empty", "ringing", "ringing-dark", "ringing-phone", "reminders")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess("flow", tmp_path / "data") as running:
        yield running


def test_a_reminder_rings_in_both_windows_until_one_answers(
    server: ServerProcess, tmp_path: Path
) -> None:
    """It also survives a reload, is reached by keyboard, and no page fails axe's rules.

    To cancel one and to undo that leaves it with the time it had, in both windows.
    """
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium was found")
    script = Path(__file__).with_name("ringing.mjs")

    seen = subprocess.run(
        ["node", script, chromium, ROOT / "flow_web", server.url, tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert seen.returncode == 0, seen.stderr
    report = json.loads(seen.stdout.splitlines()[-1])
    shown = report.pop("shown")
    for title, repeats in [("Water plants", "Repeats"), ("Dentist", "Of a task")]:
        before, here, there = shown[title]
        assert before == here == there
        assert title in before
        assert repeats in before
    assert report == {
        "problems": [],
        "titles": ["🔔 Today · Flow", "🔔 Reminders · Flow"],
        "focused": "Done: Take the bread out",
        "after": "Today · Flow",
    }
    for picture in PICTURES:
        assert (tmp_path / f"{picture}.png").stat().st_size > 5_000
