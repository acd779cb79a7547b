"""Jobs as rows of ``_scheduled_functions``: made, ended and canceled in somebody's transaction."""

from collections.abc import Mapping
from typing import Any, Final, cast

import orjson
from attrs import frozen

from flow_backend.errors import InvalidId, InvalidScheduledFunction
from flow_backend.functions.seed import Seed
from flow_backend.schema.families import number_of_id
from flow_backend.schema.ids import encode_id
from flow_backend.schema.system import JobKind, JobRuns, ScheduledFunction
from flow_backend.storage.base import Reader, StoredRow, TableName, Transaction
from flow_backend.values.value import JsonValue

JOBS: Final = TableName(ScheduledFunction.__table__)
KEPT_MS: Final = 7 * 86_400_000.0
"""How long a job is kept after its end."""

_MS_A_DAY: Final = 86_400_000
_ERROR_CHARS: Final = 4096
_ERRORS_KEPT: Final = 20

_Fields = dict[str, JsonValue]


def state_of(kind: JobKind, error: str | None = None) -> JsonValue:
    """Give a job's state as it is stored; a long error keeps its beginning."""
    return {"kind": kind, "error": None if error is None else error[:_ERROR_CHARS]}


@frozen
class Job:
    """A job as it is stored now, and its row."""

    row: StoredRow
    fields: _Fields

    @property
    def id(self) -> str:
        """Its id."""
        return self.row[1]

    @property
    def kind(self) -> JobKind:
        """Where it stands."""
        return cast("JobKind", cast("Mapping[str, JsonValue]", self.fields["state"])["kind"])

    @property
    def path(self) -> str:
        """The function that it runs."""
        return cast("str", self.fields["name"])

    @property
    def runs(self) -> JobRuns:
        """What kind of function it runs."""
        return cast("JobRuns", self.fields["runs"])

    @property
    def args(self) -> JsonValue:
        """The function's arguments."""
        return cast("list[JsonValue]", self.fields["args"])[0]

    @property
    def due(self) -> float:
        """When it may start, ms since the epoch."""
        return cast("float", self.fields["due"])

    @property
    def attempts(self) -> int:
        """How often it was started."""
        return int(cast("float", self.fields["attempts"]))


def read_job(row: StoredRow) -> Job:
    """Read a row of the table of jobs."""
    fields = cast("dict[str, Any]", orjson.loads(row[3]))
    # What an older version has written lacks what came later.
    return Job(row, {"attempts": 0.0, "errors": [], "cron": None, **fields})


def find_job(reader: Reader, ident: str) -> Job | None:
    """Give a job, None if there is none (any more)."""
    row = reader.get(JOBS, ident)
    return None if row is None else read_job(row)


@frozen
class NewJob:
    """What a job is to be: a function, its arguments in wire form, and when."""

    path: str
    args: JsonValue
    due: float
    runs: JobRuns
    cron: str | None = None


def add_job(
    transaction: Transaction, seed: Seed, job: NewJob, *, scheduled_by: str | None = None
) -> str:
    """Store a job, and give its id. One whose time has passed is due now.

    ``scheduled_by`` is the job that schedules it: if that was canceled, this one is from the start.
    """
    now = transaction.now_ms
    ident = encode_id(transaction.table_number(JOBS), seed.internal_id(int(now // _MS_A_DAY)))
    due = max(job.due, now)
    maker = None if scheduled_by is None else find_job(transaction, scheduled_by)
    canceled = maker is not None and maker.kind == "canceled"
    fields: _Fields = {
        "_id": ident,
        "_creationTime": transaction.next_creation_time(),
        "name": job.path,
        "runs": job.runs,
        "args": [job.args],
        "scheduledTime": due,
        "state": state_of("canceled" if canceled else "pending"),
        "completedTime": now if canceled else None,
        "due": due,
        "attempts": 0.0,
        "errors": [],
        "cron": job.cron,
    }
    transaction.insert(JOBS, ident, fields)
    return ident


def change_job(transaction: Transaction, job: Job, **changed: JsonValue) -> None:
    """Write some of a job's fields anew."""
    transaction.replace(JOBS, job.row, {**job.fields, **changed})


def end_job(transaction: Transaction, job: Job, kind: JobKind, error: str | None = None) -> None:
    """Bring a job to its end; the error of its last attempt is kept with those before."""
    changed: _Fields = {"state": state_of(kind, error), "completedTime": transaction.now_ms}
    if error is not None:
        changed["errors"] = _errors(job, error)
    change_job(transaction, job, **changed)


def try_again(transaction: Transaction, job: Job, error: str, due: float) -> None:
    """Let a job wait for its next attempt; the error of this one is kept."""
    change_job(transaction, job, state=state_of("pending"), due=due, errors=_errors(job, error))


def started(job: Job) -> Job:
    """Give the job with one attempt more."""
    return Job(job.row, {**job.fields, "attempts": job.attempts + 1.0})


def _errors(job: Job, error: str) -> list[JsonValue]:
    before = cast("list[JsonValue]", job.fields["errors"])
    return [*before, error[:_ERROR_CHARS]][-_ERRORS_KEPT:]


def cancel_job(transaction: Transaction, ident: str, *, asked_by: str | None = None) -> None:
    """Cancel a job: one that waits never runs, one that runs goes on; one that ended stays so.

    ``asked_by`` is the job that asks, if it is one.

    Raises: InvalidScheduledFunction if there is no such job, or a mutation cancels itself.
    Source: the guarantees, F6.
    """
    try:
        is_job = number_of_id(ident) == transaction.table_number(JOBS)
    except InvalidId:
        is_job = False
    job = find_job(transaction, ident) if is_job else None
    if job is None:
        what = "there is no scheduled function" if is_job else "this is no scheduled function's id:"
        raise InvalidScheduledFunction(
            f"{what} {ident[:40]!r}. Pass what run_after or run_at gave; what ended more than "
            "seven days ago is forgotten."
        )
    if job.kind == "pending" and ident == asked_by:
        raise InvalidScheduledFunction(
            f"{job.path} cancels itself ({ident}) while it runs, which a mutation cannot: raise an "
            "AppError, and nothing of it is kept."
        )
    if job.kind in {"pending", "inProgress"}:
        end_job(transaction, job, "canceled")
