"""Bounds and caches of the server at their extremes, set by the world and not by a switch in it.

Source: the simulation, "A world", rule 3.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from attrs import define, evolve, field

from flow_backend.actors import outbox, query, table
from flow_backend.actors.backend import Backend
from flow_backend.actors.settings import BackendSettings
from flow_backend.storage import recent_rows
from flow_backend.storage.settings import StorageSettings


@define
class Tuned:
    """What a world starts its server with.

    Attributes:
        constants: of modules, as (module, name, value): they are put back at the world's end.
        mend: what is done to each backend when it has started.
        wakes: whether somebody wakes actors for no reason.
    """

    settings: BackendSettings
    storage: StorageSettings
    constants: list[tuple[Any, str, Any]] = field(factory=list[tuple[Any, str, Any]])
    mend: list[Callable[[Backend], None]] = field(factory=list[Callable[[Backend], None]])
    wakes: bool = False


def _one_message(tuned: Tuned) -> None:
    tuned.constants += [(table, "_MESSAGES_AT_ONCE", 1), (query, "_MESSAGES_AT_ONCE", 1)]


def _short_slices(tuned: Tuned) -> None:
    tuned.constants += [
        (outbox, "_SLICE_SECONDS", -1.0),
        (outbox, "_SESSIONS_A_LOOK", 1),
        (query, "_SLICE_SECONDS", -1.0),
    ]


def _short_table_log(tuned: Tuned) -> None:
    def shorten(backend: Backend) -> None:
        for each in backend.tables.values():
            each.recent.rows_max = 1

    tuned.mend.append(shorten)


def _checkpoint_now(tuned: Tuned) -> None:
    tuned.storage = evolve(tuned.storage, checkpoint_bytes=0)


def _cut_log(tuned: Tuned) -> None:
    tuned.storage = evolve(tuned.storage, truncate_bytes=0)


def _no_commit_log(tuned: Tuned) -> None:
    tuned.storage = evolve(tuned.storage, commit_log_seconds=0.0, prune_max=1)


def _empty_caches(tuned: Tuned) -> None:
    tuned.storage = evolve(tuned.storage, cache_bytes=16 * 1024)
    tuned.constants += [(recent_rows, "_ROW_BYTES", 10**12), (outbox, "_KEPT_FRAMES", 0)]


def _small_chunks(tuned: Tuned) -> None:
    session = evolve(tuned.settings.session, chunk_bytes=60)
    tuned.settings = evolve(tuned.settings, session=session)


def _one_reader(tuned: Tuned) -> None:
    tuned.settings = evolve(tuned.settings, readers=1)


def _maintain_always(tuned: Tuned) -> None:
    def always(backend: Backend) -> None:
        backend.mutation.maintain_seconds = 0.0

    tuned.mend.append(always)


def _wakes(tuned: Tuned) -> None:
    tuned.wakes = True


TUNINGS: Mapping[str, Callable[[Tuned], None]] = {
    "one message at a time": _one_message,
    "short slices": _short_slices,
    "short table log": _short_table_log,
    "checkpoint at each commit": _checkpoint_now,
    "log cut when idle": _cut_log,
    "no commit log": _no_commit_log,
    "empty caches": _empty_caches,
    "small chunks": _small_chunks,
    "one reader": _one_reader,
    "maintenance after each batch": _maintain_always,
    "wake-ups for nothing": _wakes,
}


@contextmanager
def constants(tuned: Tuned) -> Iterator[None]:
    """Set the modules' constants, and put them back."""
    with ExitStack() as stack:
        for module, name, value in tuned.constants:
            stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, value)
        yield
