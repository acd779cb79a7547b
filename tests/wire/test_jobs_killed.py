"""A real server with jobs, killed again and again: each mutation once, each action at most once."""

import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from tests.effort import SEED, cases
from tests.server_process import APPS, ServerProcess, flow_command, planted_command
from tests.wire.load import call, free_port

KILLS: Final = cases(each=60, night=200)
JOBS: Final = 60
SETTLE_SECONDS: Final = 30.0


def killed(server: ServerProcess, dice: Random, first: int) -> int:
    """Plan jobs, and end the server in the midst of them; give how many were planned in all."""
    way = dice.choice(["any", "die_before_commit", "die_after_commit"])
    server.command = (
        flow_command() if way == "any" else planted_command(f"{way}={dice.randrange(2, 30)}")
    )
    server.start()
    try:
        planned = call(server, "mutation", "plans:plan", first=first, count=JOBS, within_ms=300.0)
    except Exception:
        # It died in the midst of it: what is on disk is looked at by the next start.
        planned = first + JOBS
    if way == "any":
        time.sleep(dice.random() * 0.4)
        server.kill()
    else:
        assert server.popen is not None
        with suppress(subprocess.TimeoutExpired):  # Perhaps there were not as many commits.
            server.popen.wait(2.0)
        server.kill()
    return int(planned)


def settled(server: ServerProcess) -> list[dict[str, Any]]:
    """Wait until no job waits or runs, and give them."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        jobs: list[dict[str, Any]] = call(server, "query", "plans:jobs")
        if not any(job["state"]["kind"] in {"pending", "inProgress"} for job in jobs):
            return jobs
        assert time.monotonic() < deadline, Counter(job["state"]["kind"] for job in jobs)
        time.sleep(0.05)


@pytest.mark.slow
def test_f1_f2_f3_f4_jobs_over_kill_9(tmp_path: Path) -> None:
    """What a kill cuts off is run by the next start, or never, as was promised; nothing twice."""
    dice = Random(SEED)
    server = ServerProcess("jobs_app", tmp_path / "data", APPS, port=free_port())
    planned = 0
    with server.ended():
        for _ in range(KILLS):
            planned = killed(server, dice, planned)
        server.command = flow_command()
        server.start()
        jobs = settled(server)
        effects: list[dict[str, Any]] = call(server, "query", "plans:effects")

    ran = Counter(int(each["number"]) for each in effects)
    assert not [number for number, times in ran.items() if times > 1]
    assert not [each for each in effects if each["ran"] < each["due"]]
    # F3: a plan was committed as a whole or not at all.
    by_plan = Counter(int(job["args"][0]["number"]) // JOBS for job in jobs)
    assert set(by_plan.values()) == {JOBS}
    assert len(by_plan) > KILLS // 3
    for job in jobs:
        number, kind = int(job["args"][0]["number"]), job["state"]["kind"]
        if job["runs"] == "mutation":
            assert (kind, ran[number]) == ("success", 1), job
        elif kind == "failed":
            assert job["state"]["error"].startswith("interrupted: "), job
        else:
            assert (kind, ran[number]) == ("success", 1), job
