"""What ``flow new`` makes runs at once: two people on its page, and a save that both see."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.browser_notice import find_chromium
from tests.cli.dev import developing
from tests.cli.new_app import link_packages, make_new_app
from tests.server_process import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_a_new_app_runs_at_once_and_a_save_is_live_on_its_page(tmp_path: Path) -> None:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium was found")
    folder = make_new_app(tmp_path, "guest-book")
    link_packages(folder / "web")
    with developing(folder) as dev:
        page = dev.wait_said(r"The web client is at (http://\S+?)/?$")[1]
        dev.wait_ready()

        seen = subprocess.run(
            ["node", Path(__file__).with_name("new_app.mjs"), chromium, ROOT / "flow_web", page,
             folder / "guest_book" / "messages.py", tmp_path],
            capture_output=True,
            text=True,
            timeout=120,
        )  # fmt: skip

        assert seen.returncode == 0, seen.stderr
        assert json.loads(seen.stdout.splitlines()[-1])["problems"] == []
        dev.wait_said(r"version \d+ is live: messages:recent changed")
        assert dev.stop() == 0
