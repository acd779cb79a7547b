"""Run many worlds: ``python -m tests.simulation.soak --seeds N``, or one again: ``--seed S``."""

import argparse
import sys
import traceback
from collections import Counter
from collections.abc import Iterable
from random import Random

import structlog

from flow_backend.testing.sim import SimRuntime, simulate
from tests.simulation.world import WorldRun


def run_seed(seed: int) -> tuple[dict[str, int], str]:
    """Run a seed's world. Returns: what it reached, and the digest of all that happened."""

    async def main(runtime: SimRuntime) -> tuple[dict[str, int], str]:
        return await WorldRun(runtime)(), runtime.trace

    return simulate(seed, main)


def replay_command(seed: int) -> str:
    return f"python -m tests.simulation.soak --seed {seed}"


def soak(seeds: Iterable[int]) -> tuple[list[int], Counter[str]]:
    """Run seeds. Returns: those that failed, and what all of them reached."""
    failed: list[int] = []
    reached = Counter[str]()
    for seed in seeds:
        try:
            reached.update(run_seed(seed)[0])
        except Exception:
            traceback.print_exc()
            print(f"\nseed {seed} failed; to see it again: {replay_command(seed)}\n", flush=True)
            failed.append(seed)
    return failed, reached


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, help="where to begin; anywhere, if not given")
    parser.add_argument("--seed", type=int, help="run this one alone, with the server's log")
    chosen = parser.parse_args()
    if chosen.seed is not None:
        plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        structlog.configure(processors=[structlog.processors.add_log_level, plain])
        seeds = range(chosen.seed, chosen.seed + 1)
    else:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
        first = Random().randrange(10**9) if chosen.first is None else chosen.first
        seeds = range(first, first + chosen.seeds)
    failed, reached = soak(seeds)
    for what, count in sorted(reached.items()):
        print(f"{count:8}  {what}")
    print(f"{len(seeds)} seeds from {seeds.start}, failed: {failed or 'none'}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
