"""The log of functions: calls as they end, kept on disk and told to whoever follows."""

import re
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Final

import apsw
import orjson
import structlog
import trio
from attrs import define, field

from flow_backend.functions.context import Caller
from flow_backend.functions.endings import Ending
from flow_backend.runtime import Runtime, Worker
from flow_backend.storage.logs import FILE, LogFile, LogFilter, LogRow

_WAITING_MAX: Final = 10_000
_WAITING_BYTES: Final = 16 << 20
_GATHER_SECONDS: Final = 0.1
_COMPLAIN_SECONDS: Final = 60.0
_REQUEST_ID: Final = re.compile(r"\[Request ID: (\w+)\]")
_LINE: Final = re.compile(r"\[(DEBUG|INFO|WARN|ERROR)\] (.*)", re.DOTALL)
_PATH_MAX: Final = 500
_LEFT_OUT: Final = "_log:left_out"
_NO_USAGE: Final = {
    "databaseReadBytes": 0,
    "databaseWriteBytes": 0,
    "databaseReadDocuments": 0,
    "storageReadBytes": 0,
    "storageWriteBytes": 0,
    "vectorIndexReadBytes": 0,
    "vectorIndexWriteBytes": 0,
    "textIndexReadBytes": 0,
    "memoryUsedMb": 0,
}

logger = structlog.get_logger()


@define(eq=False)
class FunctionLog:
    """Takes endings from all threads, and writes them a tenth of a second later, all together.

    Nobody ever waits for it: past a bound on what is not written yet, endings are left out, and an
    entry says how many.

    Owns: the log's file, which only its worker touches.

    Attributes:
        left_out: how many endings were, since the start.
    """

    file: LogFile
    runtime: Runtime
    left_out: int = 0
    _waiting: deque[Ending] = field(factory=deque[Ending])
    _bytes: int = 0
    _told_left_out: int = 0
    _newest: int = 0
    _is_awake: bool = False
    _is_broken: bool = False
    _is_ending: bool = False
    _complain_at: float = -inf
    _token: trio.lowlevel.TrioToken = field(factory=trio.lowlevel.current_trio_token)
    _wake: trio.Event = field(factory=trio.Event)
    _written: trio.Event = field(factory=trio.Event)
    _worker: Worker = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._worker = self.runtime.worker("function log")

    def note(self, ending: Ending) -> None:
        """Take an ending, in any thread."""
        if self._is_broken or len(self._waiting) >= _WAITING_MAX or self._bytes > _WAITING_BYTES:
            self.left_out += 1
            return
        if ending.lines:
            # Two threads may lose each other's count: it is a bound, and set to zero soon.
            self._bytes += sum(map(len, ending.lines))
        self._waiting.append(ending)
        if not self._is_awake:
            self._is_awake = True
            self._token.run_sync_soon(self._wake_up)

    def _wake_up(self) -> None:
        self._wake.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write for ever; what waits is written also when this is cancelled."""
        try:
            self._newest = await self._worker.run(self.file.open)
        except (apsw.Error, OSError) as error:
            self._is_broken = True
            logger.error("there is no log of functions", reason=str(error))  # noqa: TRY400
        task_status.started()
        try:
            while True:
                await self._wake.wait()
                await trio.sleep(_GATHER_SECONDS)
                await self._write()
        finally:
            with trio.CancelScope(shield=True):
                await self._write()
                await self._worker.run(self.file.close)
            self._worker.close()

    async def _write(self) -> None:
        # From here on the next ending wakes this again.
        self._wake, self._is_awake = trio.Event(), False
        endings = [self._waiting.popleft() for _ in range(len(self._waiting))]
        self._bytes = 0
        left_out = self.left_out - self._told_left_out
        if self._is_broken or not (endings or left_out):
            return
        self._told_left_out += left_out
        try:
            self._newest = await self._worker.run(lambda: self._append(endings, left_out))
        except (apsw.Error, OSError) as error:
            self.left_out += len(endings)
            if (now := self.runtime.monotonic()) >= self._complain_at:
                self._complain_at = now + _COMPLAIN_SECONDS
                logger.warning("the log of functions is not written", reason=str(error))
            return
        self._tell()

    def _tell(self) -> None:
        self._written.set()
        self._written = trio.Event()

    def _append(self, endings: Sequence[Ending], left_out: int) -> int:
        """In the worker: write the entries; give the newest place."""
        rows: list[LogRow] = []
        micros = self._newest
        for ending in endings:
            # A clock that is set back does not put what is new before what was told.
            micros = max(micros + 1, int(ending.at_ms * 1000))
            rows.append(_row(micros, ending))
        if left_out:
            micros = max(micros + 1, int(self.runtime.now_ns() // 1000))
            said = f"[WARN] {left_out} calls are not in this log: there were too many at once."
            ending = Ending("Action", _LEFT_OUT, micros / 1000, 0.0, _SERVER, (said,))
            rows.append(_row(micros, ending))
        self.file.append(rows)
        return micros

    def let_go(self) -> None:
        """Answer all who wait for entries, now and from now on: the server stops."""
        self._is_ending = True
        self._tell()

    @property
    def is_ending(self) -> bool:
        """Whether the server stops, so that nobody is to wait."""
        return self._is_ending

    async def history(self, since: int, most: int, wanted: LogFilter) -> tuple[list[LogRow], int]:
        """Give the newest entries, oldest first, and the place after which to go on."""
        if self._is_broken:
            return [], self._newest
        newest = self._newest
        rows = await self._worker.run(lambda: self.file.newest(since, most, wanted))
        return rows, max(newest, *(row.micros for row in rows)) if rows else newest

    async def after(
        self, micros: int, most: int, wanted: LogFilter, seconds: float
    ) -> tuple[list[LogRow], int]:
        """Give the entries after a place, and the place after which to go on.

        It waits so many seconds for the first one.
        """
        with trio.move_on_after(seconds):
            while True:
                written, newest = self._written, self._newest
                if newest > micros and not self._is_broken:
                    rows = await self._worker.run(partial(self.file.after, micros, most, wanted))
                    if rows:
                        return rows, rows[-1].micros
                    micros = newest
                if self._is_ending:
                    break
                await written.wait()
        return [], micros


@asynccontextmanager
async def open_function_log(
    folder: Path, bytes_max: int, runtime: Runtime
) -> AsyncGenerator[FunctionLog | None]:
    """Keep the log in a folder while the block runs; None if it may have no bytes."""
    if not bytes_max:
        yield None
        return
    function_log = FunctionLog(LogFile(folder / FILE, bytes_max), runtime)
    async with trio.open_nursery() as nursery:
        await nursery.start(function_log.run)
        yield function_log
        nursery.cancel_scope.cancel()


_SERVER: Final = Caller(admin=True)


def _row(micros: int, ending: Ending) -> LogRow:
    """Write an ending down, as briefly as can be: few of all entries are ever read."""
    failure, caller = ending.failure, ending.caller
    who = "Scheduler" if caller.job is not None else "Action" if caller.action else "Client"
    if caller.job is not None:
        identity = "system"
    elif caller.admin and not caller.action:
        identity = "instance_admin"
    else:
        identity = "unknown" if caller.identity is None else "user"
    noted = (ending.kind, ending.at_ms, ending.seconds, who, identity, ending.again)
    texts = (ending.lines, failure)
    try:
        entry = orjson.dumps((noted, texts))
    except orjson.JSONEncodeError:  # A lone surrogate has no place in JSON.
        lines = [line.encode(errors="replace").decode() for line in ending.lines]
        shown = None if failure is None else failure.encode(errors="replace").decode()
        entry = orjson.dumps((noted, (lines, shown)))
    # The path is what a client asked for, whether there is such a function or not.
    path = ending.path[:_PATH_MAX].encode(errors="replace").decode()
    return LogRow(micros, path, failure is not None, entry.decode())


def entry_of(row: LogRow) -> dict[str, Any]:
    """Give an entry as Convex's tools read it.

    Source: the HTTP API, "env and logs".
    """
    (kind, at_ms, seconds, who, identity, again), (lines, failure) = orjson.loads(row.entry)
    named = _REQUEST_ID.search(failure or "")
    return {
        "kind": "Completion",
        "udfType": kind,
        "identifier": row.path,
        "componentPath": None,
        "logLines": [_structured(line, at_ms) for line in lines],
        "timestamp": at_ms / 1000,
        "executionTimestamp": at_ms / 1000 - seconds,
        "executionTime": seconds,
        "userExecutionTime": seconds,
        "success": None,
        "error": failure,
        "cachedResult": False,
        "willRetry": again,
        "requestId": f"{row.micros:x}" if named is None else named[1],
        "executionId": f"{row.micros:x}",
        "parentExecutionId": None,
        "caller": who,
        "identityType": identity,
        "environment": "python",
        "usageStats": _NO_USAGE,
        "returnBytes": None,
        "occInfo": None,
    }


def _structured(line: str, at_ms: float) -> dict[str, Any]:
    found = _LINE.fullmatch(line)
    level, text = ("LOG", line) if found is None else (found[1], found[2])
    return {
        "messages": [text],
        "level": level,
        "timestamp": int(at_ms),
        "isTruncated": text.endswith(" (truncated due to length)"),
        "systemMetadata": None,
        "componentPath": None,
        "udfPath": None,
    }
