"""What the server does with a job in one transaction: run it, start it, end it, forget it."""

from collections.abc import Callable, Container, Mapping, Sequence
from itertools import islice
from random import Random
from struct import Struct
from typing import Final, Literal, Protocol, cast

import orjson
from attrs import frozen

from flow_backend.functions.jobs import (
    JOBS,
    KEPT_MS,
    Job,
    change_job,
    end_job,
    find_job,
    read_job,
    started,
    state_of,
    try_again,
)
from flow_backend.functions.retry import Retry
from flow_backend.schema.system import JobRuns
from flow_backend.storage.base import (
    Done,
    IndexBounds,
    Reader,
    Refused,
    Transaction,
    Write,
)
from flow_backend.values.encode import from_wire
from flow_backend.values.order import key_of

BY_STATE: Final = "by_state"
_BY_STATE_NUMBER: Final = 2
"""Its place in a row's keys: behind the two indexes that every table has."""

_BY_COMPLETED: Final = "by_completed"
_DUE: Final = Struct(">xd")
_RUNS: Final[tuple[JobRuns, ...]] = ("mutation", "action")

Run = Callable[[], Done | Refused]


class Step(Protocol):
    """The server's own work, at its place in the order of commits.

    ``run`` runs the function that the message names. What is refused leaves nothing behind.
    """

    def __call__(self, transaction: Transaction, run: Run) -> Done | Refused:
        """Do it.

        Raises: NotCommitted, StorageError.
        """
        ...


Became = Literal["success", "failed", "again", "started", "canceled", "skipped"]
"""What a step made of a job; ``skipped`` is a job that was not what it should be, and untouched."""


def done(became: Became) -> Done:
    """Give a step's result."""
    return Done(orjson.dumps(became))


def became(result: Done) -> Became:
    """Read a step's result."""
    return cast("Became", orjson.loads(result.result))


def _startable(transaction: Transaction, ident: str) -> Job | None:
    """Give a job if it may start now: looked at right before it does, by the wall clock."""
    job = find_job(transaction, ident)
    if job is None or job.kind != "pending" or job.due > transaction.now_ms:
        return None
    return job


@frozen
class RunMutationJob:
    """Run a scheduled mutation: its effects and the job's end are one commit.

    Source: the guarantees, F1 and F4.
    """

    job: str

    def __call__(self, transaction: Transaction, run: Run) -> Done | Refused:
        """Run it."""
        job = _startable(transaction, self.job)
        if job is None:
            return done("skipped")
        part = transaction.savepoint()
        result = run()
        if isinstance(result, Done):
            part.release()
            end_job(transaction, started(job), "success")
            return done("success")
        part.roll_back()
        end_job(transaction, started(job), "failed", result.message)
        return done("failed")


@frozen
class StartAction:
    """Note that an action starts, before its first line runs.

    Attributes:
        asked_before: the same was asked for already, and whether it was written is not known; the
            action has not begun.

    Source: the guarantees, F2.
    """

    job: str
    asked_before: bool = False

    def __call__(self, transaction: Transaction, run: Run) -> Done | Refused:
        """Note it."""
        if self.asked_before:
            found = find_job(transaction, self.job)
            if found is not None and found.kind == "inProgress":
                return done("started")
        job = _startable(transaction, self.job)
        if job is None:
            return done("skipped")
        change_job(transaction, started(job), state=state_of("inProgress"))
        return done("started")


@frozen
class EndAction:
    """Note how an action ended, and let it wait for its next attempt if it has one.

    Attributes:
        retry: the policy of an action that may run again, None if it may not or it would not help.
        seed: of the chance in how long it waits.
    """

    job: str
    result: Done | Refused
    retry: Retry | None
    seed: int

    def __call__(self, transaction: Transaction, run: Run) -> Done | Refused:
        """Note it."""
        job = find_job(transaction, self.job)
        if job is None or job.kind != "inProgress":
            return done("canceled")  # Its end was noted then.
        if isinstance(self.result, Done):
            end_job(transaction, job, "success")
            return done("success")
        error = self.result.message
        seconds = None
        if self.retry is not None:
            seconds = self.retry.delay_seconds(job.attempts, Random(self.seed))
        if seconds is None:
            end_job(transaction, job, "failed", error)
            return done("failed")
        try_again(transaction, job, error, transaction.now_ms + seconds * 1000)
        return done("again")


@frozen
class SetAside:
    """End a job that has made the server itself fail, again and again, so that all others go on."""

    job: str
    error: str

    def __call__(self, transaction: Transaction, run: Run) -> Done | Refused:
        """End it."""
        job = find_job(transaction, self.job)
        if job is None or job.kind != "pending":
            return done("skipped")
        end_job(transaction, job, "failed", self.error)
        return done("failed")


@frozen
class ForgetOld:
    """Delete jobs that ended long ago, so many at once. Returns: whether there may be more."""

    most: int

    def __call__(self, transaction: Transaction, run: Run) -> Done | Refused:
        """Delete them."""
        rows = list(islice(transaction.scan(_old(transaction.now_ms)), self.most))
        for row in rows:
            transaction.delete(JOBS, row)
        return Done(orjson.dumps(len(rows) == self.most))


def _old(now_ms: float) -> IndexBounds:
    return IndexBounds(JOBS, _BY_COMPLETED, lower=(0.0,), upper=(now_ms - KEPT_MS,))


def has_old_jobs(reader: Reader, now_ms: float) -> bool:
    """Say whether some job ended so long ago that it is to be forgotten."""
    return next(iter(reader.scan(_old(now_ms))), None) is not None


# --- What waits -----------------------------------------------------------------------------------


def waiting_jobs(
    reader: Reader, runs: JobRuns, known: Container[str], most: int, bytes_max: int
) -> list[Job]:
    """Give the jobs that are due first, by due time and then by age, but for those ``known``.

    Returns: at most so many, and no more once they have come to so many bytes; at least one, if
        there is any.
    """
    bounds = IndexBounds(JOBS, BY_STATE, prefix=(state_of("pending"), runs))
    jobs: list[Job] = []
    for row in reader.scan(bounds):
        if row[1] in known:
            continue
        jobs.append(read_job(row))
        bytes_max -= len(row[3])
        if len(jobs) >= most or bytes_max <= 0:
            break
    return jobs


def running_jobs(reader: Reader, most: int) -> list[Job]:
    """Give the actions that were started and have not ended."""
    bounds = IndexBounds(JOBS, BY_STATE, prefix=(state_of("inProgress"), "action"))
    return [read_job(row) for row in islice(reader.scan(bounds), most)]


_PENDING_KEYS: Final[Mapping[JobRuns, bytes]] = {
    runs: key_of((from_wire(state_of("pending")), from_wire(runs))) for runs in _RUNS
}


def earliest_due(writes: Sequence[Write]) -> dict[JobRuns, float]:
    """Give when the first of the jobs that were written and wait is due, ms since the epoch.

    It is read from the keys of the index: the documents are not looked at.
    """
    found: dict[JobRuns, float] = {}
    for runs, start in _PENDING_KEYS.items():
        keys = [
            write.after[_BY_STATE_NUMBER]
            for write in writes
            if write.after is not None and write.after[_BY_STATE_NUMBER].startswith(start)
        ]
        if keys:
            # An instant is positive: its key is that of its negative.
            (negative,) = _DUE.unpack_from(min(keys), len(start))
            found[runs] = -negative
    return found
