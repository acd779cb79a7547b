"""The tables that every app has beside its own: the server writes them, and apps read them."""

from typing import Any, Final, Literal

from attrs import field

from flow_backend.records import frozen
from flow_backend.schema.document import Document, Instant, document
from flow_backend.schema.index import Index

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


SYSTEM_DOCUMENTS: Final[tuple[type[Document], ...]] = (ScheduledFunction, CronJob)
"""What :func:`flow_backend.schema.model.build_schema` adds to an app's own classes."""
