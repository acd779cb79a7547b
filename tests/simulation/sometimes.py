"""What a set of runs must have reached: a run that never got there has not tested it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from flow_backend.actors.live import LiveQueries
from flow_backend.actors.messages.to_query import Round
from flow_backend.actors.mutation import MutationActor
from flow_backend.actors.session import SessionActor
from flow_backend.actors.table import RecentWrites
from flow_backend.functions import pagination
from flow_backend.storage.files import SystemFiles
from flow_backend.storage.writer import StoredWriter
from flow_backend.testing.disk_files import SimFiles
from flow_backend.testing.sim import SimRuntime
from tests.simulation.faults import ACTORS
from tests.simulation.tuning import TUNINGS

MUST_REACH = (
    "a batch of several",
    "a coalesced round",
    "a log recovered at start",
    "resend answered from the record",
    "table log trimmed under a reader",
    "a live query split by identity",
    "history cut: a marker was committed",
    "transition in chunks",
    "answer lost",
    "clock jumped",
    "cut",
    "partition",
    "swizzle",
    "stopped",
    "killed",
    "killed at a step",
    "power cut",
    "power cut at an operation",
    "power cut with writes that may be torn",
    "the server ended by itself",
    "a second page",
    "a page's end held by its journal",
    "two sockets of one session",
    "refused: seen the end of time",
    "a table crashed",
    "the queries crashed",
    "the writer crashed before a commit",
    "the writer crashed after a commit",
    *(f"{actor} failed at a step" for actor in ACTORS),
    *(f"tuned: {name}" for name in TUNINGS),
    "odd: query twice",
    "odd: ask again",
    "odd: ask otherwise",
    "odd: ask twice",
    "odd: know the future",
    "odd: base of before",
)

Look = Callable[..., str | None]
"""Is given what a function returned and its arguments; names what has come about, if anything."""


def _batch(_: object, __: object, requests: list[Any], batch: Any) -> str | None:
    if any(each.replayed for each in batch.outcomes):
        return "resend answered from the record"
    return "a batch of several" if len(requests) > 1 else None


def _trimmed(_: object, recent: RecentWrites, __: object, since_ts: int) -> str | None:
    return "table log trimmed under a reader" if since_ts < recent.forgotten_ts else None


def _said(what: str) -> Look:
    return lambda result, *_: what if result else None


def _called(what: str) -> Look:
    return lambda *_: what


_TAPS: tuple[tuple[Any, str, Look], ...] = (
    (MutationActor, "_answer", _batch),
    (Round, "merged", _called("a coalesced round")),
    (RecentWrites, "touch", _trimmed),
    (LiveQueries, "split", _said("a live query split by identity")),
    (StoredWriter, "mark_past", _called("history cut: a marker was committed")),
    (pagination, "_end", _said("a page's end held by its journal")),
    (SessionActor, "crash", _called("a session crashed")),
    (SystemFiles, "renew_log", _said("a log recovered at start")),
    (SimFiles, "renew_log", _said("a log recovered at start")),
)


def _tapped(function: Callable[..., Any], look: Look, runtime: SimRuntime) -> Callable[..., Any]:
    def tapped(*args: Any) -> Any:
        result = function(*args)
        what = look(result, *args)
        if what is not None:
            runtime.reach(what)
        return result

    return tapped


@contextmanager
def counted(runtime: SimRuntime) -> Iterator[None]:
    """Count what comes about inside of the server, from outside of it."""
    with ExitStack() as stack:
        for owner, name, look in _TAPS:
            function = getattr(owner, name)
            stack.callback(setattr, owner, name, function)
            setattr(owner, name, _tapped(function, look, runtime))
        yield
