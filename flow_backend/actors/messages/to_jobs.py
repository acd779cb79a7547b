"""What the JobActor is told."""

from collections.abc import Mapping

from flow_backend.records import frozen
from flow_backend.schema.system import JobRuns


@frozen
class JobsWritten:
    """Jobs that wait are on disk: when the first of each kind is due, ms since the epoch."""

    earliest: Mapping[JobRuns, float]

    merge_key = "jobs written"

    def merged(self, newer: "JobsWritten") -> "JobsWritten":
        """Say what both say."""
        earliest = dict(self.earliest)
        for runs, due in newer.earliest.items():
            earliest[runs] = min(due, earliest.get(runs, due))
        return JobsWritten(earliest)


@frozen
class JobsEnded:
    """Some of the runs that the JobActor asked for have ended; their results lie with it."""

    merge_key = "jobs ended"

    def merged(self, newer: "JobsEnded") -> "JobsEnded":
        """One is enough."""
        return newer


JobMessage = JobsWritten | JobsEnded
