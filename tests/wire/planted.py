"""Serves with bugs and deaths planted in: ``python -m tests.wire.planted PLANT,PLANT serve …``.

For the tests of the tests, and for kills at instants that a signal from outside cannot hit. A plant
is a name, or a name and a number with ``=`` between.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import apsw
import trio

from flow_backend.actors.messages.to_mutation import RunMutation
from flow_backend.actors.mutation import MutationActor
from flow_backend.cli.main import backend_commands
from flow_backend.errors import NotCommitted
from flow_backend.storage.base import Committed
from flow_backend.storage.request_records import RequestRecords
from flow_backend.storage.writer import StoredWriter

# An answer that left too early has reached its client by then.
_LINGER_SECONDS = 0.05


def _die() -> None:
    time.sleep(_LINGER_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def die_before_commit(number: str) -> None:
    """Die when so many batches are about to be committed."""
    _around_commit(int(number), before=_die)


def die_after_commit(number: str) -> None:
    """Die when so many batches are on disk, and the last one is not answered."""
    end = StoredWriter._end
    left = [int(number)]

    def counted(self: StoredWriter) -> None:
        end(self)
        left[0] -= 1
        if left[0] == 0:
            # Without a moment for the loop: nobody may have heard of this commit.
            os.kill(os.getpid(), signal.SIGKILL)

    StoredWriter._end = counted  # type: ignore[method-assign]


def _around_commit(number: int, before: Callable[[], None]) -> None:
    end = StoredWriter._end
    left = [number]

    def counted(self: StoredWriter) -> None:
        left[0] -= 1
        if left[0] == 0:
            before()
        end(self)

    StoredWriter._end = counted  # type: ignore[method-assign]


def no_fsync(_: str) -> None:
    """Trust the kernel: commits return before they are on disk."""
    begin = StoredWriter._begin

    def unsynced(self: StoredWriter) -> None:
        self._connection.pragma("synchronous", 0)
        begin(self)

    StoredWriter._begin = unsynced  # type: ignore[method-assign]


def answer_early(_: str) -> None:
    """Answer mutations before they are committed."""

    async def commit(self: MutationActor, requests: list[RunMutation]) -> None:
        took: list[tuple[str, float]] = []
        executed = self.writer.execute([self._job(request, took) for request in requests])
        self._answer(requests, Committed(self.published_ts, executed.outcomes))
        batch = await self.worker.run(lambda: self.writer.finish(executed))
        await self._publish(batch, requests)

    MutationActor._commit = commit  # type: ignore[method-assign]


def run_again(_: str) -> None:
    """Run what is sent again as if it were new."""
    add = RequestRecords.add

    def forgetful(self: RequestRecords, records: Any) -> None:
        rows = list(records)
        self.connection.executemany(
            "DELETE FROM _request_records WHERE session = ? AND request = ?",
            [row[:2] for row in rows],
        )
        add(self, rows)

    RequestRecords.add = forgetful  # type: ignore[method-assign]
    RequestRecords.find = lambda _self, _key: None  # type: ignore[method-assign, assignment, misc]


def refuse_commits(_: str) -> None:
    """Say of every batch that nothing of it was saved, so that what fails so can be looked at."""

    def refuse(_self: StoredWriter, _jobs: Any) -> Any:
        raise NotCommitted("Nothing was saved: a planted failure.")

    StoredWriter.execute = refuse  # type: ignore[method-assign]


def fail_commit(number: str) -> None:
    """Let the disk fail in the COMMIT of that number."""
    end = StoredWriter._end
    left = [int(number)]

    def failing(self: StoredWriter) -> None:
        left[0] -= 1
        if left[0] == 0:
            self._cursor = _FailedDisk()  # type: ignore[assignment]
        end(self)

    StoredWriter._end = failing  # type: ignore[method-assign]


class _FailedDisk:
    """A cursor of a database whose disk gives nothing but errors."""

    def execute(self, _statement: str, *_: object) -> None:
        raise apsw.IOError("disk I/O error, planted")


def fail_writer(_: str) -> None:
    """Let the actor that owns the writer fail at all that it does."""

    async def run(_self: MutationActor) -> None:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("a planted failure")

    MutationActor.run = run  # type: ignore[method-assign]


def no_memory(_: str) -> None:
    """Let SQLite have no memory for what is to be saved, once the server has begun."""
    real = StoredWriter._save

    def save(self: StoredWriter, batch: Any) -> None:
        if "_deployments" in batch.effects:
            return real(self, batch)
        raise apsw.NoMemError("out of memory, planted")

    StoredWriter._save = save  # type: ignore[method-assign]


PLANTS: dict[str, Callable[[str], None]] = {
    each.__name__: each
    for each in (
        die_before_commit,
        die_after_commit,
        no_fsync,
        answer_early,
        run_again,
        refuse_commits,
        fail_commit,
        fail_writer,
        no_memory,
    )
}


if __name__ == "__main__":
    for plant in sys.argv.pop(1).split(","):
        name, _, value = plant.partition("=")
        PLANTS[name](value)
    backend_commands()()
