"""Whole servers whose app changes: deploys and rollbacks under all faults of the other worlds."""

from collections import Counter

import pytest

from tests.effort import SEED, cases
from tests.simulation.deploys import deploy_faults
from tests.simulation.soak import SeedRun, run_seed

WORLDS = cases(600, 10_000)


def _run(seed: int) -> SeedRun:
    try:
        return run_seed(seed, deploy_faults(seed))
    except Exception as error:
        said = f"to see it again: run_seed({seed}, deploy_faults({seed}))"
        raise AssertionError(said) from error


@pytest.mark.slow
def test_no_call_mixes_versions_and_nothing_is_lost_over_a_switch() -> None:
    reached = Counter[str]()
    for seed in range(SEED, SEED + WORLDS):
        reached.update(_run(seed).reached)
    print(reached)
