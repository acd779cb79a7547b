"""The benchmarks run: each part, as short as can be, against real servers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.typescript import missing


def _run(part: str, results: Path) -> dict[str, Any]:
    """Run one part in a process of its own, since the load pins itself to a core."""
    command = [sys.executable, "-m", "bench", "--smoke", "--only", part, "--results", str(results)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [figures] = results.glob("*.json")
    section: dict[str, Any] = json.loads(figures.read_text())["sections"][part]
    return section


@pytest.mark.slow
def test_transfers_run_both_ways_and_lose_no_money(tmp_path: Path) -> None:
    """The part itself compares all balances with what they were."""
    section = _run("transfers", tmp_path)

    assert [(row["over"], row["accounts"]) for row in section["rows"]] == [
        ("HTTP", "uniform"),
        ("HTTP", "Zipf 1.5"),
        ("socket", "uniform"),
        ("socket", "Zipf 1.5"),
    ]
    assert all(row["transfers/s"] > 0 for row in section["rows"]), section
    assert any("500,000" in note for note in section["notes"]), section


@pytest.mark.slow
def test_first_results_are_whole_and_run_anew(tmp_path: Path) -> None:
    """A result that another client had already would cost next to nothing."""
    [row] = _run("first-result", tmp_path)["rows"]

    assert row["runs each"] == 1
    assert row["KB"] > 20


@pytest.mark.slow
def test_idle_sessions_all_hear_of_a_change(tmp_path: Path) -> None:
    rows = {row["what"]: row["Flow"] for row in _run("idle", tmp_path)["rows"]}

    assert rows["WebSockets taken / s"] > 0
    assert rows["one change until all have it, ms"] > 0


@pytest.mark.slow
def test_jobs_run_once_each_and_none_early(tmp_path: Path) -> None:
    """The part itself counts the runs, and looks for one that began before its time."""
    rows = {row["what"]: row["Flow"] for row in _run("jobs", tmp_path)["rows"]}

    assert rows["due at one instant: run / s"] > 0
    assert rows["late, one at a time: p50 ms"] >= 0


@pytest.mark.slow
@pytest.mark.node
def test_generated_types_cost_no_more_than_those_by_hand(tmp_path: Path) -> None:
    """Counts of the compiler, not its seconds: flat types make few others."""
    why = missing()
    if why is not None:
        pytest.skip(why)

    generated, by_hand = _run("types", tmp_path)["rows"]

    assert generated["types made"] < 1.2 * by_hand["types made"]
    assert generated["instantiations"] < 1.2 * by_hand["instantiations"]


@pytest.mark.slow
def test_mutations_go_on_beside_actions_that_hang(tmp_path: Path) -> None:
    rows = {row["what"]: row["Flow"] for row in _run("clock", tmp_path)["rows"]}

    assert rows["a mutation beside 50 actions that hang: p50 ms"] > 0


@pytest.mark.slow
@pytest.mark.node
def test_saves_reach_an_official_client_and_the_types(tmp_path: Path) -> None:
    why = missing()
    if why is not None:
        pytest.skip(why)

    [row] = _run("dev", tmp_path)["rows"]

    assert row["saves"] == 2
    assert row["in a client: median"] > 0
    assert row["types: median"] > 0
