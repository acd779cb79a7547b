"""The long run: ``python -m tests.soak``. Every guarantee's full number of cases, on all cores.

``--share 0.1`` runs a tenth of everything. Each part is a process of its own; what fails prints its
seed and the command that shows it again. A summary goes to the terminal and to a JSON file.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from queue import Empty, SimpleQueue

from attrs import asdict, field, frozen

ROOT = Path(__file__).parents[1]
WORLDS = 100_000
FUZZ_MINUTES = 10
# What needs the machine to itself, since it waits for real processes, comes last and alone.
ALONE = ("tests/wire",)
PARTS = (
    "tests/storage/crash/test_power.py",
    "tests/storage/crash",
    "tests/histories/test_e_invalidation.py",
    "tests/histories/test_a1_simulated.py",
    "tests/histories",
    "tests/simulation/test_kill_at_each_step.py",
    "tests/simulation",
    "tests/hostile",
    "tests/fuzz",
    "tests/server/test_direct.py",
)


@frozen
class Part:
    """One part of the run, and how it went."""

    name: str
    ok: bool
    seconds: float
    cases: dict[str, int] = field(factory=dict[str, int])
    said: str = ""


def part_commands(share: float) -> dict[str, list[str]]:
    """Give the command of each part that may run beside others, by its name."""
    python = sys.executable
    # A folder leaves out the files that are parts of their own.
    commands = {
        name: [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", name]
        + [f"--ignore={other}" for other in PARTS if other != name and other.startswith(f"{name}/")]
        for name in PARTS
    }
    worlds = [python, "-m", "tests.simulation.soak", "--jobs", "1"]
    half = max(1, int(WORLDS * share / 2))
    for number in (0, 1):
        first = 10_000_000 + _day() * 100_000 + number * half
        commands[f"worlds {number + 1}"] = [*worlds, "--first", str(first), "--seeds", str(half)]
    return commands


def _day() -> int:
    return (datetime.datetime.now(datetime.UTC).date() - datetime.date(2026, 1, 1)).days


def run_part(name: str, command: list[str], share: float) -> Part:
    """Run a part to its end."""
    with tempfile.TemporaryDirectory(prefix="flow-soak-") as folder:
        account = Path(folder) / "account"
        environment = os.environ | {
            "FLOW_EFFORT": str(share),
            "FLOW_SEED": str(_day() * 1_000_000),
            "FLOW_EFFORT_ACCOUNT": str(account),
        }
        started = time.monotonic()
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        counts = Counter[str]()
        if account.exists():
            for line in account.read_text(encoding="utf-8").splitlines():
                asked = json.loads(line)
                where = Path(asked["file"]).relative_to(ROOT)
                counts[f"{where}:{asked['test']}"] += asked["cases"]
    said = done.stdout if done.returncode == 0 else done.stdout + done.stderr
    return Part(name, done.returncode == 0, time.monotonic() - started, dict(counts), said[-4000:])


def run_lanes(commands: dict[str, list[str]], share: float, lanes: int) -> Iterable[Part]:
    """Run parts side by side, so many at a time; give each as it ends."""
    waiting: SimpleQueue[tuple[str, list[str]]] = SimpleQueue()
    ended: SimpleQueue[Part] = SimpleQueue()
    for each in commands.items():
        waiting.put(each)

    def work() -> None:
        while True:
            try:
                name, command = waiting.get_nowait()
            except Empty:
                return
            ended.put(run_part(name, command, share))

    for _ in range(lanes):
        threading.Thread(target=work, daemon=True).start()
    for _ in commands:
        yield ended.get()


def show(part: Part) -> None:
    """Print how a part went; all that it said, if it failed."""
    print(f"{'ok' if part.ok else 'FAILED':7} {part.seconds:7.0f} s  {part.name}")
    for what, number in part.cases.items():
        print(f"{number:20,}  {what}")
    if not part.ok or part.name.startswith("worlds"):
        print(part.said)
    sys.stdout.flush()


def main() -> int:
    """Run all parts. Returns: the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="how much of it all to run")
    parser.add_argument("--lanes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", help="parts whose name contains this")
    parser.add_argument("--summary", type=Path, default=ROOT / "bench" / "results" / "soak.json")
    options = parser.parse_args()
    commands = part_commands(options.share)
    wire = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    alone = {name: [*wire, name] for name in ALONE}
    if options.only:
        commands = {name: each for name, each in commands.items() if options.only in name}
        alone = {name: each for name, each in alone.items() if options.only in name}
    parts: list[Part] = []
    for group, lanes in ((commands, options.lanes), (alone, 1)):
        for part in run_lanes(group, options.share, lanes):
            show(part)
            parts.append(part)
    options.summary.parent.mkdir(parents=True, exist_ok=True)
    options.summary.write_text(json.dumps([asdict(part) for part in parts], indent=1) + "\n")
    failed = [part.name for part in parts if not part.ok]
    print(f"{len(parts)} parts; failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
