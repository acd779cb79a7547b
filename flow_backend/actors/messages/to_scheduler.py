"""What the SchedulerActor is told."""

from collections.abc import Mapping

from flow_backend.records import frozen


@frozen
class NextInstant:
    """The earliest instant that any live query waits for, ms since the epoch.

    It is infinite if only a clock that is set back could change an answer, and None if nobody waits
    for anything.
    """

    instant: float | None

    merge_key = "next instant"

    def merged(self, newer: "NextInstant") -> "NextInstant":
        """Give the newer one."""
        return newer


@frozen
class CronsAnswered:
    """The writer has answered about crons; what, stands beside the inbox."""

    merge_key = "crons answered"

    def merged(self, newer: "CronsAnswered") -> "CronsAnswered":
        """One is enough."""
        return newer


@frozen
class CronsChanged:
    """A version with crons of its own is in force; their rows are written.

    Attributes:
        upcoming: the next instant of each, by name, ms since the epoch.
    """

    upcoming: Mapping[str, float]

    merge_key = "crons changed"

    def merged(self, newer: "CronsChanged") -> "CronsChanged":
        """Give the newer one."""
        return newer


SchedulerMessage = NextInstant | CronsAnswered | CronsChanged
