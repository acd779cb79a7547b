"""The processes under test: how they are started, pinned, measured and ended."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from attrs import frozen

from bench.wire import Address, LoadError

_READY: Final = re.compile(r"(?:ready|started) at http://([^:/\s]+):(\d+)")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_CORES: Final = sorted(os.sched_getaffinity(0))
_STOP_SECONDS: Final = 20.0

SERVER_CORES: Final = frozenset(_CORES[:1])
LOAD_CORES: Final = frozenset(_CORES[1:2] or _CORES[:1])


@frozen
class Started:
    """A running process that listens on ``address``."""

    process: "subprocess.Popen[str]"
    address: Address
    ready_seconds: float

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self.process.pid

    def cpu_ns(self) -> int:
        """Give the time that all its threads have spent on a CPU, ended ones too."""
        # How Linux numbers the clock of another process; see clock_getcpuclockid(3).
        return time.clock_gettime_ns((~self.pid << 3) | 2)

    def resident_bytes(self) -> int:
        """Give its resident memory."""
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return int(fields[1]) * _PAGE_BYTES

    def metrics(self) -> dict[str, float]:
        """Read the server's own counters."""
        host, port = self.address
        with urlopen(f"http://{host}:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        pairs = [line.rsplit(" ", 1) for line in lines if line and not line.startswith("#")]
        return {name: float(number) for name, number in pairs}


def flow_command(data: Path, *options: str) -> list[str]:
    """Give the command by which a user starts the server on a folder."""
    command = os.environ.get("BENCH_FLOW", str(Path(sys.executable).with_name("flow"))).split()
    fixed = ["--port", "0", "--data", str(data), "--log-level", "warning"]
    return [*command, "serve", *fixed, *options]


def floor_command(*options: str) -> list[str]:
    """Give the command of a floor."""
    return [sys.executable, "-m", "bench.floors", *options]


def floor_number(*options: str) -> float:
    """Run a floor to its end. Returns: the number that it prints."""
    process = spawn(floor_command(*options))
    output, _ = process.communicate(timeout=120)
    if process.returncode:
        raise LoadError(f"the floor {options[0]} failed with exit code {process.returncode}")
    return float(output)


def allow_files(count: int) -> str | None:
    """Let this process and those that it starts have so many files open, sockets among them.

    Returns: what was changed, in words; None if nothing had to be.
    Raises: LoadError if the system does not allow it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return None
    if hard != resource.RLIM_INFINITY and hard < count:
        raise LoadError(
            f"this takes {count:,} open files, and the system allows {hard:,}: raise the hard "
            "limit (ulimit -Hn), or leave this part out"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    return f"The limit of open files was raised from {soft:,} to {count:,}, for all processes."


def pin_load() -> None:
    """Keep the load on a core of its own, if there are two."""
    os.sched_setaffinity(0, LOAD_CORES)


@contextmanager
def started(command: Sequence[str]) -> Generator[Started]:
    """Run a process on the server's core; it prints its address when it is ready."""
    begun = time.perf_counter()
    process = spawn(command)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if match := _READY.search(line):
                address = (match[1], int(match[2]))
                yield Started(process, address, time.perf_counter() - begun)
                break
        else:
            raise LoadError(f"{' '.join(command)} ended before it was ready")
    finally:
        _stop(process)


def spawn(command: Sequence[str]) -> "subprocess.Popen[str]":
    """Start a process on the server's core."""
    # A child inherits the affinity, and so do all of its threads.
    os.sched_setaffinity(0, SERVER_CORES)
    try:
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    finally:
        pin_load()


def _stop(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise LoadError(f"process {process.pid} did not stop within {_STOP_SECONDS:g} s") from None
    finally:
        if process.stdout is not None:
            process.stdout.close()


def busy_seconds() -> float:
    """Give the time that all cores of the machine have been busy since it started."""
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    numbers = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    ticks = dict(zip(names, map(int, numbers), strict=False))
    return sum(ticks[name] for name in names if name not in {"idle", "iowait"}) / os.sysconf(
        "SC_CLK_TCK"
    )
