"""What a runner tells of the calls that run: so that what takes the process down has a name."""

from typing import Protocol


class InFlight(Protocol):
    """Knows which calls run, and which took the process down before."""

    def begin(self, path: str, args: bytes) -> None:
        """Note that this thread runs a function with these encoded arguments.

        Raises: TookServerDown if the same call has ended the process twice of late.
        """
        ...

    def end(self) -> None:
        """Note that this thread runs nothing any more; safe without a ``begin``."""
        ...


class Unnoted:
    """Implements :class:`InFlight` where no process can be taken down: it notes nothing."""

    def begin(self, path: str, args: bytes) -> None:
        """Begin."""

    def end(self) -> None:
        """End."""
