"""System calls of a server, watched or made to fail by strace."""

import shutil
import subprocess
from functools import cache


@cache
def can_trace() -> bool:
    """Tell whether this machine has strace and lets it work."""
    strace = shutil.which("strace")
    if strace is None:
        return False
    return subprocess.run([strace, "-f", "-qq", "true"], capture_output=True).returncode == 0


def fsync_trace(fault: str) -> list[str]:
    """Give what to put before a command so that its fsyncs suffer ``fault``."""
    # Without seccomp each system call would stop twice; then loading Python takes seconds.
    trace = ["strace", "--seccomp-bpf", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync"]
    return [*trace, "-e", f"inject=fdatasync:{fault}"]
