"""Official clients hold a query that asks the clock: it changes although nobody writes."""

import re

import httpx
import pytest

from tests.interop.support import run_node, run_python
from tests.server_process import ServerProcess

pytestmark = [pytest.mark.node, pytest.mark.slow]

SECONDS = 4.0
"""Long enough for the first answers, also on a busy machine."""


def _runs(server: ServerProcess) -> int:
    told = httpx.get(f"{server.url}/metrics").text
    found = re.search(r"^\w*query_runs_total (\d+)", told, re.MULTILINE)
    assert found is not None, told
    return int(found[1])


async def test_f9_two_official_clients_see_an_instant_pass_with_one_run(
    mortal: ServerProcess,
) -> None:
    """The transition leaves the timestamp as it is: nothing was committed."""
    before = _runs(mortal)

    told = await run_node("clock.mjs", "passed", url=mortal.url, wait_seconds=SECONDS)

    assert _runs(mortal) == before + 2, "one run for the first result, one at the instant"
    assert len(told) == 2
    for each in told:
        assert each["seen"] == [False, True]
        assert each["late_ms"] >= 0, "never early"
        assert (each["same_ts"], each["opened"], each["connectionRetries"]) == (True, 1, 0)
        print(f"late by {each['late_ms']} ms")


async def test_f9_the_python_client_takes_a_change_at_an_unchanged_timestamp(
    mortal: ServerProcess,
) -> None:
    told = await run_python("passed", url=mortal.url, wait_seconds=SECONDS)

    assert told == [False, True, "still there"]
