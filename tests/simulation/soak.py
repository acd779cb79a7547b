"""Run many worlds: ``python -m tests.simulation.soak``; one again: ``--seed S``.

Every seed is a whole server with its clients under faults of its own choice. A seed that fails is
printed with the commit and the command that shows it again; ``--shrink S`` looks for the simplest
faults under which it still fails.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import structlog
import trio
from attrs import frozen

from flow_backend.testing.sim import SimRuntime, simulate
from tests.simulation.faults import Faults, choose_faults, smaller
from tests.simulation.sometimes import MUST_REACH
from tests.simulation.world import WorldRun

SIDE_SECONDS = 600.0
"""For how long shrinking goes on at most."""


@frozen
class SeedRun:
    """How one seed went. ``error`` is a traceback; ``trace`` a digest of all that happened."""

    seed: int
    reached: dict[str, int]
    trace: str = ""
    virtual_seconds: float = 0.0
    error: str | None = None


def run_seed(seed: int, faults: Faults | None = None) -> SeedRun:
    """Run a seed's world; with other faults than it would choose, if some are given.

    Raises: whatever the world finds wrong.
    """

    async def main(runtime: SimRuntime) -> SeedRun:
        world = WorldRun(runtime, faults=faults)
        reached = await world()
        return SeedRun(seed, reached, runtime.trace + world.image, trio.current_time())

    return simulate(seed, main)


def try_seed(seed: int, faults: Faults | None = None) -> SeedRun:
    """Run a seed; what is wrong with it is in ``error``."""
    try:
        return run_seed(seed, faults)
    except Exception:
        return SeedRun(seed, {}, error=traceback.format_exc())


def replay_command(seed: int) -> str:
    return f"python -m tests.simulation.soak --seed {seed}"


def quiet() -> None:
    """Actors that are made to fail say so in the server's log, which nobody reads here."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


def run_all(seeds: Iterable[int], jobs: int) -> Iterator[SeedRun]:
    """Run seeds in so many processes."""
    with multiprocessing.get_context("fork").Pool(jobs, initializer=quiet) as pool:
        yield from pool.imap_unordered(try_seed, seeds, chunksize=4)


def shrink(seed: int) -> Faults:
    """Give the simplest faults found under which a seed still fails."""
    faults = choose_faults(Random(seed))
    assert try_seed(seed).error is not None, f"seed {seed} does not fail"
    until = time.monotonic() + SIDE_SECONDS
    is_simpler = True
    while is_simpler and time.monotonic() < until:
        is_simpler = False
        for simpler in smaller(faults):
            if any(try_seed(each, simpler).error for each in (seed, seed + 1)):
                faults, is_simpler = simpler, True
                print(f"still fails with {faults}", flush=True)
                break
    return faults


def _commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


def soak(
    seeds: Iterable[int], jobs: int, summary: Path | None, minutes: float | None = None
) -> bool:
    """Run seeds, for so long at most, and print what came of them. Returns: whether all is well."""
    until = None if minutes is None else time.monotonic() + minutes * 60
    reached, failed, runs, seconds = Counter[str](), list[int](), 0, 0.0
    for run in run_all(seeds, jobs):
        runs += 1
        seconds += run.virtual_seconds
        reached.update(run.reached)
        if run.error is not None:
            failed.append(run.seed)
            print(run.error)
            print(f"seed {run.seed} failed at commit {_commit()}: {replay_command(run.seed)}\n")
        if until is not None and time.monotonic() > until:
            break  # What is under way in other processes is given up.
        if runs % 1000 == 0:
            print(f"{runs} seeds, failed: {failed or 'none'}", flush=True)
    never = [what for what in MUST_REACH if not reached[what]]
    for what, number in sorted(reached.items()):
        print(f"{number:9}  {what}")
    print(f"never reached: {', '.join(never) or 'nothing'}")
    print(f"{runs} seeds, {seconds:.0f} virtual seconds, failed: {failed or 'none'}")
    if summary is not None:
        found = {
            "commit": _commit(),
            "seeds": runs,
            "virtual_seconds": round(seconds),
            "failed": failed,
            "reached": dict(sorted(reached.items())),
            "never_reached": never,
        }
        summary.write_text(json.dumps(found, indent=1) + "\n")
    # A few seeds need not reach everything.
    return not failed and (runs < 1000 or not never)


def _show(seed: int) -> bool:
    """Run one seed with the server's log."""
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, plain])
    print(choose_faults(Random(seed)), flush=True)
    run = try_seed(seed)
    for what, number in sorted(run.reached.items()):
        print(f"{number:9}  {what}")
    print(run.error or f"seed {seed} is fine, its trace is {run.trace}")
    return run.error is None


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, help="how many (10,000, or no bound with --minutes)")
    parser.add_argument("--minutes", type=float, help="for how long")
    parser.add_argument("--first", type=int, help="where to begin; anywhere, if not given")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--summary", type=Path, help="a JSON file to write")
    parser.add_argument("--seed", type=int, help="run this one alone, with the server's log")
    parser.add_argument("--shrink", type=int, help="find the simplest faults that fail this seed")
    chosen = parser.parse_args()
    if chosen.seed is not None:
        sys.exit(0 if _show(chosen.seed) else 1)
    quiet()
    if chosen.shrink is not None:
        print(f"the simplest: {shrink(chosen.shrink)}")
        return
    first = Random().randrange(10**9) if chosen.first is None else chosen.first
    count = 10_000 if chosen.seeds is None and chosen.minutes is None else chosen.seeds
    seeds = itertools.count(first) if count is None else range(first, first + count)
    went_well = soak(seeds, chosen.jobs, chosen.summary, chosen.minutes)
    sys.exit(0 if went_well else 1)


if __name__ == "__main__":
    main()
