"""Whole servers whose app changes: deploys and rollbacks under all faults of the other worlds."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from flow_backend.actors.deploying import Deployer
from flow_backend.actors.messages.to_query import Committed
from flow_backend.actors.mutation import MutationActor
from flow_backend.functions.fit import FitCheck, Misfits
from flow_backend.functions.runner import Runner
from flow_backend.storage import build
from tests.effort import SEED, cases
from tests.simulation.deploys import deploy_faults
from tests.simulation.soak import SeedRun, run_seed

WORLDS = cases(150, 5_000)
MANY_WORLDS = 200
FOUND = [226, 568, 50222]
"""The writer failed behind a switch, which was told as refused; it failed behind the first commit;
what was written during a build, and did not fit, was forgotten."""
FIRST = 5_000
SEEDS = 100
ROOT = Path(__file__).parents[2]
MUST_REACH = (
    *(f"version {sort}: active" for sort in ("plain", "indexed", "numbers")),
    *(f"version {sort}: past" for sort in ("plain", "indexed", "numbers")),
    *(f"version {sort}: ready" for sort in ("plain", "indexed")),
    *(f"version {sort}: refused" for sort in ("plain", "numbers", "misfit", "broken")),
    *(f"version {sort}: failed" for sort in ("plain", "indexed")),
    "a rollback: active",
    "a start with a deployed version",
    "a build is resumed",
    "a process ended amid checking",
    "a process ended amid building",
    "killed at a step",
    "power cut at an operation",
)
Plant = Callable[[pytest.MonkeyPatch], None]


def _run(seed: int) -> SeedRun:
    try:
        return run_seed(seed, deploy_faults(seed))
    except Exception as error:
        said = f"to see it again: run_seed({seed}, deploy_faults({seed}))"
        raise AssertionError(said) from error


@pytest.mark.slow
def test_the_version_in_force_is_a_function_of_the_timestamp_whatever_befalls_a_deploy() -> None:
    """What a commit wrote and what a client is shown are of the version in force at its timestamp.

    No call mixes two, none fails or is lost or runs twice because of a switch or an end of the
    process in it, no connection ends; a version that is refused changes nothing, and at the end
    each row says what has become of its deploy.
    """
    reached = Counter[str]()
    for seed in range(SEED, SEED + WORLDS):
        reached.update(_run(seed).reached)

    assert reached["switches"] > WORLDS / 3, reached
    never = [what for what in MUST_REACH if not reached[what]]
    # A few seeds need not reach everything.
    assert not never or WORLDS < MANY_WORLDS, never


@pytest.mark.slow
@pytest.mark.parametrize("seed", FOUND)
def test_seeds_of_deploys_that_once_found_a_bug(seed: int) -> None:
    """A fixed bug leaves its seed."""
    _run(seed)


@pytest.mark.slow
def test_a_world_with_deploys_is_one_run_in_any_process() -> None:
    """What a seed found can be seen again, to the byte, although modules are imported in it."""
    say = (
        "from tests.simulation import deploys, soak; soak.quiet();"
        f"print([soak.run_seed(s, deploys.deploy_faults(s)).trace for s in {FOUND}])"
    )
    environment = {"PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT)}
    said = subprocess.run(
        [sys.executable, "-c", say], env=environment, cwd=ROOT, capture_output=True, check=True
    ).stdout

    assert said.decode().strip() == str([_run(seed).trace for seed in FOUND])


# --- The checkers are checked ---------------------------------------------------------------------


def leave_live_queries_as_they_are(patch: pytest.MonkeyPatch) -> None:
    """A switch marks no live query as stale."""

    def told(*args: Any, is_switch: bool = False) -> Committed:
        del is_switch
        return Committed(*args)

    patch.setattr("flow_backend.actors.mutation.Committed", told)


def write_with_the_version_before(patch: pytest.MonkeyPatch) -> None:
    """A mutation that waited while the version was switched runs on the one before."""
    last: dict[int, Runner] = {}

    def stale(actor: MutationActor) -> Runner:
        newest = actor.versions.newest.runner
        before = last.get(id(actor.versions), newest)
        last[id(actor.versions)] = newest
        return before

    patch.setattr(MutationActor, "runner", property(stale))


def use_an_index_before_it_is_full(patch: pytest.MonkeyPatch) -> None:
    """The fill ends before its first piece."""
    patch.setattr(build, "_some_rows", lambda *_: [])


def take_what_does_not_fit(patch: pytest.MonkeyPatch) -> None:
    """No document is looked at before a version is in force."""
    patch.setattr(FitCheck, "run", lambda *_: Misfits())


def forget_what_was_being_built(patch: pytest.MonkeyPatch) -> None:
    """A start leaves the version whose indexes were being built as it is."""

    async def leave(_: Deployer) -> None:
        return None

    patch.setattr(Deployer, "resume", leave)


@pytest.mark.slow
@pytest.mark.parametrize(
    "plant",
    [
        leave_live_queries_as_they_are,
        write_with_the_version_before,
        use_an_index_before_it_is_full,
        take_what_does_not_fit,
        forget_what_was_being_built,
    ],
)
def test_a_planted_bug_of_deploys_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checker that never fails says nothing."""
    plant(monkeypatch)

    for seed in range(FIRST, FIRST + SEEDS):
        faults = evolve(deploy_faults(seed), people=3, steps=8, deploys=5)
        try:
            run_seed(seed, faults)
        except Exception:
            return

    pytest.fail(f"{plant.__name__} was not found in {SEEDS} seeds")
