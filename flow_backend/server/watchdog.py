"""A watchdog in C: it ends the process when the event loop stands still, and says what it ran."""

import faulthandler
import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import structlog
import trio
from attrs import define

from flow_backend.server.in_flight_page import InFlightPage, open_private

REPORT: Final = "flow.crash"
_REARM_SECONDS: Final = 1.0
_REPORT_SHARE: Final = 0.9
_REPORT_BYTES_MAX: Final = 16_384

log = structlog.stdlib.get_logger("flow.server")


@define
class Watchdog:
    """Ends the process, with a traceback of all threads, unless it is put off again and again.

    Code in C that never lets go of the interpreter can be stopped in no other way. What was
    committed stays, and a supervisor starts the server again. The traceback goes to stderr, and a
    little earlier to a report in the data directory: so the next start knows that the process was
    ended by what it ran, and not by whoever pulled a plug. A fault of C code (a signal such as
    SIGSEGV) is reported there, too.
    """

    seconds: float
    _report: IO[bytes]

    def put_off(self) -> None:
        """Let the end be ``seconds`` away from now."""
        if self.seconds <= 0:
            return
        faulthandler.dump_traceback_later(self.seconds, exit=True)
        signal.setitimer(signal.ITIMER_REAL, self.seconds * _REPORT_SHARE)

    async def keep_alive(self) -> None:
        """Put the end off for as long as the loop turns."""
        if self.seconds <= 0:
            return
        while True:
            self.put_off()
            self._forgive()
            await trio.sleep(min(_REARM_SECONDS, self.seconds / 3))

    def _forgive(self) -> None:
        """Take a report back: the loop stood still for long, and then went on."""
        if os.fstat(self._report.fileno()).st_size:
            log.warning("The loop stood still, and goes on", seconds=self.seconds * _REPORT_SHARE)
            os.ftruncate(self._report.fileno(), 0)


@contextmanager
def armed(seconds: float, directory: Path) -> Generator[Watchdog]:
    """Watch the process while the block runs; 0 seconds watch for faults of C code only."""
    with open(directory / REPORT, "ab", buffering=0, opener=open_private) as report:
        os.ftruncate(report.fileno(), 0)
        faulthandler.enable(report)
        faulthandler.register(signal.SIGALRM, report, all_threads=True, chain=False)
        watchdog = Watchdog(seconds, report)
        watchdog.put_off()
        try:
            yield watchdog
        finally:
            faulthandler.cancel_dump_traceback_later()
            signal.setitimer(signal.ITIMER_REAL, 0)
            faulthandler.unregister(signal.SIGALRM)
            faulthandler.disable()


@contextmanager
def noting_calls(directory: Path, now_ns: Callable[[], int]) -> Generator[InFlightPage]:
    """Note what runs, after a look at how the last process ended and at what it was running."""
    page = InFlightPage(directory, now_ns)
    try:
        report = _last_report(directory)
        if report:
            refused = page.blame()
            log.error("The last process was ended by what it ran", report=report)
            if refused:
                log.error("These functions did it twice, and are refused", functions=refused)
        page.clear()
        yield page
    finally:
        page.close()


def _last_report(directory: Path) -> str:
    try:
        with open(directory / REPORT, "rb") as file:
            return file.read(_REPORT_BYTES_MAX).decode(errors="replace")
    except FileNotFoundError:
        return ""
