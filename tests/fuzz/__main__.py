"""Fuzzes the decoders, guided by coverage: ``python -m tests.fuzz [--minutes N] [--target T]``.

It needs atheris (``pip install -e '.[fuzz]'``). Each target runs in a process of its own. What
fails is written to a file, and ``--replay FILE --target T`` runs it again without atheris.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = ("frames", "messages", "values", "keys", "openings", "calls")
_INPUT_BYTES_MAX = 4096
# Each a prefix: the packages under test alone, so that their branches alone are counted.
_INSTRUMENTED = [
    "flow_backend.server.direct",
    "flow_backend.server.frames",
    "flow_backend.server.handshake",
    "flow_backend.storage.keys",
    "flow_backend.sync",
    "flow_backend.values",
]


def main() -> None:
    """Run as the command line says."""
    options = _options()
    if options.replay is not None:
        from tests.fuzz.targets import run_one

        run_one(options.target, options.replay.read_bytes())
        print("It passes.")
    elif options.here:
        _fuzz(options.target, options.minutes, options.crashes)
    else:
        names = [options.target] if options.target else NAMES
        failed = [name for name in names if not _in_process(name, options)]
        sys.exit(f"Failed: {', '.join(failed)}" if failed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="for each target")
    parser.add_argument("--target", choices=NAMES)
    parser.add_argument("--replay", type=Path, help="a crash file of --target")
    parser.add_argument("--crashes", type=Path, default=Path("fuzz-crashes"))
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.replay is not None and options.target is None:
        parser.error("--replay needs --target")
    return options


def _in_process(name: str, options: argparse.Namespace) -> bool:
    print(f"--- {name}, {options.minutes:g} minutes", flush=True)
    command = [sys.executable, "-m", "tests.fuzz", "--here", "--target", name]
    command += ["--minutes", str(options.minutes), "--crashes", str(options.crashes)]
    done = subprocess.run(command, check=False)
    if done.returncode:
        print(f"Replay: python -m tests.fuzz --target {name} --replay {options.crashes}/{name}-…")
    return done.returncode == 0


def _fuzz(name: str, minutes: float, crashes: Path) -> None:
    try:
        import atheris
    except ImportError:
        sys.exit("Fuzzing needs atheris: pip install -e '.[fuzz]'")
    with atheris.instrument_imports(include=_INSTRUMENTED):
        from tests.fuzz.targets import SEEDS, run_one
    crashes.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS[name]):
            Path(corpus, f"seed-{number}").write_bytes(seed)
        arguments = [
            sys.argv[0],
            corpus,
            f"-max_total_time={round(minutes * 60)}",
            f"-max_len={_INPUT_BYTES_MAX}",
            f"-artifact_prefix={crashes}/{name}-",
            "-timeout=10",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
        ]
        atheris.Setup(arguments, lambda data: run_one(name, data))
        atheris.Fuzz()


main()
