"""Each actor fails at each of its steps, the process dies at each, the power at each operation."""

from collections.abc import Iterable, Sequence
from random import Random

import pytest
from attrs import evolve

from flow_backend.testing.sim import SimRuntime, simulate
from tests.effort import FULL, SEED, cases
from tests.simulation.faults import ACTORS, Faults
from tests.simulation.machine import DiskFault, DiskMachine
from tests.simulation.world import WorldRun

CALM = Faults(people=3, steps=8, identities=True, actions=True)
WORLD = 12 + SEED


def run(faults: Faults, world: int = WORLD) -> SimRuntime:
    """Run the same world with other faults."""

    async def main(runtime: SimRuntime) -> SimRuntime:
        await WorldRun(runtime, faults=faults)()
        return runtime

    try:
        return simulate(world, main)
    except Exception as error:
        raise AssertionError(f"world {world} with {faults}") from error


def some(steps: Sequence[int], count: int) -> Iterable[int]:
    """Give all of them in a full run, else so many."""
    if FULL or len(steps) <= count:
        return steps
    return sorted(Random(WORLD).sample(steps, count))


def killed_in(world: int, actor: str) -> int:
    """Let an actor fail at each of its steps in a world; give how often it did."""
    count = run(CALM, world).steps.counts.get(actor, 0)
    return sum(
        len(run(evolve(CALM, killed_actors=((actor, step),)), world).steps.killed)
        for step in some(range(1, count + 1), cases(60))
    )


@pytest.mark.slow
@pytest.mark.parametrize("actor", ACTORS)
def test_h_an_actor_that_fails_at_any_step_is_mended(actor: str) -> None:
    """H: D, E, C1 and A1 hold, nobody waits for ever, and no other actor fails because of it."""
    # Not in every world does somebody call an action, and one that only ends is left alone.
    killed = next((n for world in range(WORLD, WORLD + 20) if (n := killed_in(world, actor))), 0)
    assert killed, f"{actor} was never killed"


@pytest.mark.slow
def test_b1_the_process_may_die_at_any_step() -> None:
    """B1, C1: what was acknowledged is there, and what was not is sent again, once."""
    total = run(CALM).steps.total

    for step in some(range(1, total), cases(300)):
        run(evolve(CALM, machine_steps=(step,)))


@pytest.mark.slow
def test_b1_the_power_may_go_at_any_operation_of_the_disk() -> None:
    """B1, B2: nothing that anybody was shown or told is gone, whatever was torn."""
    on_disk = evolve(CALM, disk=True, power_cuts=1.0)
    operations = _operations(on_disk)
    assert operations > 100, operations

    for at in some(range(1, operations), cases(300)):
        run(evolve(on_disk, disk_faults=(DiskFault(at),)))


def _operations(faults: Faults) -> int:
    """Count the operations of a calm run."""
    counted: list[int] = []
    stop = DiskMachine.mend

    def mend(machine: DiskMachine) -> None:
        counted.append(machine.disk.operations)
        stop(machine)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DiskMachine, "mend", mend)
        run(faults)
    return counted[-1]
