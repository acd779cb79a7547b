"""A watchdog in C: it ends the process when the event loop stands still."""

import faulthandler
import gc
import resource
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import trio

_REARM_SECONDS: Final = 1.0
_SWITCH_SECONDS: Final = 0.0005
_YOUNG_OBJECTS: Final = 10_000


@contextmanager
def armed(seconds: float) -> Generator[None]:
    """Let the process end, with a traceback of all threads, unless ``keep_alive`` runs.

    Code in C that never lets go of the interpreter can be stopped in no other way. What was
    committed stays, and a supervisor starts the server again.
    """
    if seconds <= 0:
        yield
        return
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


async def keep_alive(seconds: float) -> None:
    """Put the end off again and again, for as long as the loop turns."""
    if seconds <= 0:
        return
    while True:
        faulthandler.dump_traceback_later(seconds, exit=True)
        await trio.sleep(min(_REARM_SECONDS, seconds / 3))


def raise_file_limit() -> None:
    """Allow as many open files, and so connections, as the system lets this process have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def tune_interpreter() -> None:
    """Make the interpreter fit for a server: call this once, when all is imported and set up."""
    # A thread that computes gives the loop its turn after half a millisecond, not after five.
    sys.setswitchinterval(_SWITCH_SECONDS)
    # What exists now lives as long as the process: no collection has to walk through it.
    gc.collect()
    gc.freeze()
    # Sessions and messages are freed by their counts; collections at every 700 objects are waste.
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)
