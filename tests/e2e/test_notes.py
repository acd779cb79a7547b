"""One note in two windows: both write at once, and end with one text that has the words of both."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser_notice import find_chromium
from tests.server_process import ROOT, ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PICTURES = ("note-read", "note-write", "note-write-dark", "notes-phone")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess("flow", tmp_path / "data") as running:
        yield running


def test_two_windows_write_in_one_note(server: ServerProcess, tmp_path: Path) -> None:
    """Nobody's words are lost, wherever both write; and no page fails axe's rules."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium was found")
    script = Path(__file__).with_name("notes.mjs")

    seen = subprocess.run(
        ["node", script, chromium, ROOT / "flow_web", server.url, tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert seen.returncode == 0, seen.stderr
    report = json.loads(seen.stdout.splitlines()[-1])
    assert report["problems"] == []
    assert (
        report["apart"]
        == [
            "Take Ana's map along. Pack the tent.\n\nBuy sun cream.\n\nAsk for the weather.\n"
            "\nBen brings the stove.\n"
        ]
        * 2
    )
    first, second = report["together"]
    assert first == second
    for words in ("matches", "bread and cheese", "Ana's map", "Ben brings the stove."):
        assert words in first
    for picture in PICTURES:
        assert (tmp_path / f"{picture}.png").stat().st_size > 5_000
