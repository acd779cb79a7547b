"""The command: python -m bench [--quick | --smoke] [--peers | --only NAME] [--results FOLDER]."""

import argparse
import gc
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import (
    basics,
    clock,
    fanout,
    first_result,
    idle,
    intersections,
    jobs,
    moves,
    saves,
    transfers,
    types,
)
from bench.peers import compare
from bench.processes import busy_seconds, pin_load
from bench.report import Options, Section, median
from bench.wire import LoadError

BENCHMARKS: Final[Mapping[str, Callable[[Options, Path], Section]]] = {
    "basics": basics.run,
    "fanout": fanout.run,
    "moves": moves.run,
    "intersections": intersections.run,
    "transfers": transfers.run,
    "first-result": first_result.run,
    "idle": idle.run,
    "jobs": jobs.run,
    "clock": clock.run,
    "types": types.run,
    "dev": saves.run,
}
PEERS: Final[Mapping[str, Callable[[Options, Path], Section]]] = {
    "peers-fanout": compare.run_fanout,
    "peers-moves": compare.run_moves,
    "peers-transfers": compare.run_transfers,
}
_ALL: Final = {**BENCHMARKS, **PEERS}
_LENGTHS: Final = {
    "quick": "fewer and shorter rounds, among less",
    "smoke": "only show that it runs: its figures say nothing",
}
RESULTS: Final = Path(__file__).parent / "results"


def main() -> None:
    """Run the benchmarks, print their tables, write the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.set_defaults(length="whole")
    for length, help_text in _LENGTHS.items():
        flag = f"--{length}"
        parser.add_argument(flag, action="store_const", const=length, dest="length", help=help_text)
    parser.add_argument("--peers", action="store_true", help="other servers under the same load")
    parser.add_argument("--only", choices=_ALL, action="append", help="just this one")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the figures go")
    chosen = parser.parse_args()
    options = Options.of(chosen.length)
    results: Path = chosen.results
    results.mkdir(parents=True, exist_ok=True)
    pin_load()
    # A collection in the load would be taken for the server's latency.
    gc.disable()
    begun_at = datetime.now(UTC)
    print(f"{_machine()}; {options.rounds} rounds each\n", flush=True)
    sections: dict[str, object] = {}
    for name in chosen.only or (PEERS if chosen.peers else BENCHMARKS):
        section = _run(_ALL[name], options, results)
        print("\n".join(section.lines()), flush=True)
        sections[name] = {"title": section.title, "rows": section.rows, "notes": section.notes}
    path = results / f"{begun_at:%Y-%m-%dT%H-%M-%SZ}.json"
    figures = {"at": begun_at.isoformat(), "machine": _machine(), "sections": sections}
    path.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"Figures: {path}")


def _run(benchmark: Callable[[Options, Path], Section], options: Options, results: Path) -> Section:
    begun, busy = time.perf_counter(), busy_seconds()
    # Beside the results, since a temporary folder may lie in memory, where no fsync costs anything.
    with tempfile.TemporaryDirectory(dir=results, prefix="data-") as disk:
        section = benchmark(options, Path(disk))
    taken = time.perf_counter() - begun
    paces = [_pace_ms() for _ in range(5)]
    own = sum(os.times()[:4])
    load = busy_seconds() - busy - (own - _spent[0])
    _spent[0] = own
    others, pace = max(0.0, load) / taken, median(paces)
    section.notes.append(f"Took {taken:.0f} s; others used {others:.2f} cores; pace {pace:.1f} ms.")
    return section


def _pace_ms() -> float:
    """Give the CPU time of a fixed piece of Python: how fast this machine is just now."""
    begun, numbers = time.thread_time(), dict[int, str]()
    for number in range(20_000):
        numbers[number % 1000] = str(number)
    return (time.thread_time() - begun) * 1000


_spent: Final = [0.0]


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


if __name__ == "__main__":
    try:
        main()
    except LoadError as error:
        sys.exit(f"The measurement is void: {error}.")
