"""Whole servers with their clients, under faults, one seed each."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.effort import SEED, cases
from tests.simulation.soak import SeedRun, replay_command, run_seed
from tests.simulation.sometimes import MUST_REACH

SEEDS = cases(1_200, 20_000)
FOUND = [int(line) for line in (Path(__file__).parent / "seeds.txt").read_text().split()]
ROOT = Path(__file__).parents[2]


def _run(seed: int) -> SeedRun:
    try:
        return run_seed(seed)
    except Exception as error:
        raise AssertionError(f"to see it again: {replay_command(seed)}") from error


@pytest.mark.slow
def test_a_b_c_d_clients_always_show_one_true_state_and_all_that_was_acknowledged() -> None:
    """A, B1, B2, C, D, E, G: at each version a client holds the state at its timestamp.

    None goes back; what was acknowledged is there once, after any end of the process or the power,
    in the order in which it was sent; when the faults stop, everything settles. Together the worlds
    reach all that they must: a run that never got there has not tested it.
    """
    reached = Counter[str]()
    for seed in range(SEED, SEED + SEEDS):
        reached.update(_run(seed).reached)

    assert reached["transitions"] > 5 * SEEDS, reached
    assert not [what for what in MUST_REACH if not reached[what]]


@pytest.mark.slow
@pytest.mark.parametrize("seed", FOUND)
def test_seeds_that_once_found_a_bug(seed: int) -> None:
    """A fixed bug leaves its seed."""
    _run(seed)


@pytest.mark.slow
def test_one_seed_is_one_run_in_any_process() -> None:
    """What a seed found can be seen again, to the byte: messages, times, and the disk's image."""
    seeds = [3, 4, 5, 6]
    traces = {run_seed(seed).trace for seed in seeds}
    say = (
        "from tests.simulation import soak; soak.quiet();"
        f"print([soak.run_seed(seed).trace for seed in {seeds}])"
    )
    environments = [{"PYTHONHASHSEED": str(number), "PYTHONPATH": str(ROOT)} for number in (1, 2)]
    said = [
        subprocess.run(
            [sys.executable, "-c", say], env=each, cwd=ROOT, capture_output=True, check=True
        ).stdout
        for each in environments
    ]

    assert len(traces) == len(seeds)
    assert said[0] == said[1]
    assert all(trace.encode() in said[0] for trace in traces)
