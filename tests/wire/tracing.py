"""System calls of a server: watched by strace, or made to fail by it; and what their order says."""

import re
import shutil
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

# Without seccomp each system call would stop twice; then loading Python takes seconds.
_STRACE: Final = ("strace", "--seccomp-bpf", "-f", "-qq")
_CALLS: Final = "pwrite64,pwritev,fdatasync,fsync,write,writev,sendto,sendmsg"
_CALL: Final = re.compile(r"(\d+) +(\w+)\(\d+<([^>]*)>(.*)")
_RESUMED: Final = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)")
_STRING: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_RESULT: Final = re.compile(r" = (-?\d+)")
_FRAME_HEAD_BYTES: Final = 24


@cache
def can_trace() -> bool:
    """Tell whether this machine has strace and lets it work."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run([*_STRACE, "true"], capture_output=True).returncode == 0


def fsync_trace(fault: str) -> list[str]:
    """Give what to put before a command so that its fsyncs suffer ``fault``."""
    trace = [*_STRACE, "-o", "/dev/null", "-e", "trace=fdatasync"]
    return [*trace, "-e", f"inject=fdatasync:{fault}"]


def full_trace(output: Path) -> list[str]:
    """Give what to put before a command so that all it writes and syncs is noted, whole."""
    return [*_STRACE, "-o", str(output), "-y", "-xx", "-s", "1000000", "-e", f"trace={_CALLS}"]


def traced_pid(tracer: int) -> int:
    """Give the process that a tracer started."""
    [traced] = Path(f"/proc/{tracer}/task/{tracer}/children").read_text().split()
    return int(traced)


@frozen
class Call:
    """The beginning or the end of a system call; ``result`` is None at its beginning."""

    thread: int
    name: str
    path: str
    data: bytes
    result: int | None


def calls(lines: Iterable[str]) -> list[Call]:
    """Read a trace. A call that nothing came between is its beginning and its end at once."""
    found: list[Call] = []
    begun: dict[int, Call] = {}
    for line in lines:
        if match := _CALL.match(line):
            thread, name, path, rest = match.groups()
            data = b"".join(_bytes(text) for text in _STRING.findall(rest))
            call = Call(int(thread), name, _bytes(path).decode(errors="replace"), data, None)
            found.append(call)
            begun[call.thread] = call
            ended, rest = call.thread, rest.rpartition('"')[2]
        elif match := _RESUMED.match(line):
            ended, rest = int(match[1]), match[3].rpartition('"')[2]
        else:
            continue
        if (result := _RESULT.search(rest)) and ended in begun:
            call = begun.pop(ended)
            found.append(Call(call.thread, call.name, call.path, call.data, int(result[1])))
    return found


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", "")) if text.startswith("\\x") else text.encode()


@define
class Order:
    """What became of each marked write: when its commit was in the log, on disk, and told.

    Attributes:
        told: how often each mark left the process.
        batch_most: the most marks that one commit held.
        problems: each mark that was told before it was on disk.
    """

    told: dict[bytes, int] = field(factory=dict[bytes, int])
    batch_most: int = 0
    problems: list[str] = field(factory=list[str])


def check_order(trace: Iterable[Call], marks: Iterable[bytes], database: str) -> Order:
    """Hold a trace to the order write, fsync, answer.

    A mark is on disk when a sync of the log returned 0 that began after the last frame of its
    commit was written. No byte of it may leave the process before, by whatever call.
    """
    order = Order(dict.fromkeys(marks, 0))
    # Marks in the log whose commit is not whole; whole and not synced; under a sync; on disk.
    open_, whole, syncing, durable = set[bytes](), set[bytes](), set[bytes](), set[bytes]()
    commits_next = False
    for call in trace:
        if call.path == f"{database}-wal":
            if call.name.startswith("pwrite") and call.result is None:
                if len(call.data) == _FRAME_HEAD_BYTES:
                    # The last frame of a commit says how large the database is then.
                    commits_next = call.data[4:8] != bytes(4)
                    continue
                open_ |= {mark for mark in order.told if mark in call.data}
                if commits_next:
                    order.batch_most = max(order.batch_most, len(open_ - durable - whole))
                    whole, open_, commits_next = whole | open_, set(), False
            elif call.name in {"fdatasync", "fsync"}:
                if call.result is None:
                    syncing = set(whole)
                elif call.result == 0:
                    durable |= syncing
        elif call.result is None and not call.path.startswith(database):
            for mark in order.told:
                if mark in call.data:
                    order.told[mark] += 1
                    if mark not in durable:
                        order.problems.append(f"{mark!r} left by {call.name} to {call.path}")
    return order
