"""The tables that every app has beside its own: the server writes them, and apps read them."""

from typing import Any, Final, Literal

from attrs import field

from flow_backend.records import frozen
from flow_backend.schema.document import Document, Instant, document
from flow_backend.schema.index import Index
from flow_backend.values.value import Int64

JobKind = Literal["pending", "inProgress", "success", "failed", "canceled"]
JobRuns = Literal["mutation", "action"]


@frozen
class JobState:
    """Where a job stands. ``error`` says why it failed, in the words of the server's log."""

    kind: JobKind
    error: str | None = None


@document("_scheduled_functions")
class ScheduledFunction(Document):
    """A function that is to run at its time, that runs, or that has run within the last week.

    The names are those that Convex's clients know; ``ctx.scheduler`` makes jobs and cancels them.

    Attributes:
        name: the function's path, such as ``reminders:ring``.
        runs: what kind of function that was when it was scheduled.
        args: its arguments, as an array of one object.
        scheduledTime: the instant that was asked for; the past is the moment of scheduling.
        state: pending, inProgress (actions only), success, failed or canceled.
        completedTime: when it came to its end.
        due: when it may start: ``scheduledTime``, or later if it is tried again.
        attempts: how often it was started.
        errors: of the attempts that failed, oldest first.
        cron: the name of the cron that it is a run of.
    """

    name: str
    runs: JobRuns
    args: list[dict[str, Any]]
    scheduledTime: Instant  # noqa: N815  # What Convex's clients call it, here and below.
    state: JobState
    completedTime: Instant | None = None  # noqa: N815
    due: Instant
    attempts: int = 0
    errors: list[str] = field(factory=list[str])
    cron: str | None = None

    by_state = Index("state", "runs", "due")
    by_completed = Index("completedTime")

    @property
    def scheduled_at(self) -> Instant:
        """The instant that was asked for."""
        return self.scheduledTime

    @property
    def completed_at(self) -> Instant | None:
        """When it came to its end, None before that."""
        return self.completedTime


@document("_crons")
class CronJob(Document):
    """A cron of the app's ``crons.py``, and when it comes round next.

    Attributes:
        name: what it is called there; its runs have it as their ``cron``.
        function: the path of what it runs.
        args: that function's arguments.
        schedule: when it runs, in words of the server's own.
        next: the instant of its next run.
        ran: the instant of its last one, whether it was run or left out.
        job: the id of the run that was started last.
    """

    name: str
    function: str
    args: dict[str, Any]
    schedule: str
    next: Instant
    ran: Instant | None = None
    job: str | None = None

    by_name = Index("name")


DeploymentState = Literal["checking", "building", "ready", "active", "past", "refused", "failed"]
DeploymentOrigin = Literal["start", "deploy", "dev", "rollback"]


@document("_deployments")
class Deployment(Document):
    """A version of the app: one that serves, one that did, or one that was to.

    Attributes:
        number: counts from 1, and is the name of the version; one that was refused has one, too.
        author: who deployed it, as the command that did so was told.
        message: what for.
        state: checking, building, ready, active (at most one), past, refused or failed.
        origin: the package on the server's disk, a deploy, a save under ``flow dev``, or a
            rollback.
        package: the Python package's name.
        digest: of the package's files.
        activated: when it began to serve.
        restores: the version that a rollback brought back.
        summary: what it adds, removes and changes: functions, tables, indexes.
        progress: of its check and its builds.
        problems: why it was refused, each with its ``kind`` and ``text``.
    """

    number: int
    author: str = ""
    message: str = ""
    state: DeploymentState
    origin: DeploymentOrigin
    package: str
    digest: str
    activated: Instant | None = None
    restores: int | None = None
    summary: dict[str, Any] = field(factory=dict[str, Any])
    progress: dict[str, Any] = field(factory=dict[str, Any])
    problems: list[dict[str, Any]] = field(factory=list[dict[str, Any]])

    by_number = Index("number")
    by_state = Index("state")


@document("_environment_variables")
class EnvironmentVariable(Document):
    """A variable of the app's environment, as ``ctx.env`` has it."""

    name: str
    value: str


ExportState = Literal["requested", "in_progress", "completed", "failed"]


@document("_exports")
class Export(Document):
    """A snapshot of the data as a file in the server's folder, or one that is being written.

    The names are those that Convex's command line reads.

    Attributes:
        state: requested, in_progress, completed or failed.
        format: zip, or jsonl and csv for one table.
        table: that table.
        start_ts: the commit that it shows; also what its download is asked by.
        complete_ts: when it was written, in the same clock.
        zip_object_key: the name of the file.
        documents: how many were written so far.
        bytes: of the file.
        error: why it failed.
    """

    state: ExportState
    format: Literal["zip", "jsonl", "csv"] = "zip"
    table: str | None = None
    start_ts: Int64 | None = None
    complete_ts: Int64 | None = None
    zip_object_key: str | None = None
    documents: int = 0
    bytes: int = 0
    error: str | None = None

    by_start = Index("start_ts")


@document("_imports")
class Import(Document):
    """A file that is being imported, or was. The names are those of Convex's command line.

    Attributes:
        state: its field ``state`` is uploaded, waiting_for_confirmation, in_progress, completed or
            failed; the others are as the HTTP API says.
        format: csv, jsonLines, jsonArray or zip.
        mode: requireEmpty, append, replace or replaceAll.
        table: the one to import into; a zip names its own.
        summary: for each table the documents that come and those that go.
        warnings: what of the file is left out.
        problems: what does not fit, the first of it.
        problem_count: how much does not fit.
    """

    state: dict[str, Any]
    format: Literal["csv", "jsonLines", "jsonArray", "zip"]
    mode: Literal["requireEmpty", "append", "replace", "replaceAll"]
    table: str | None = None
    summary: list[dict[str, Any]] = field(factory=list[dict[str, Any]])
    warnings: list[str] = field(factory=list[str])
    problems: list[str] = field(factory=list[str])
    problem_count: int = 0


SYSTEM_DOCUMENTS: Final[tuple[type[Document], ...]] = (
    ScheduledFunction,
    CronJob,
    Deployment,
    EnvironmentVariable,
    Export,
    Import,
)
"""What :func:`flow_backend.schema.model.build_schema` adds to an app's own classes."""
