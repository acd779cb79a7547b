"""What one call has used up of what it may."""

from attrs import define

from flow_backend.errors import (
    LimitExceeded,
    ScheduledFunctionsArgumentsTooLarge,
    TooManyFunctionsScheduled,
)
from flow_backend.functions.limits import Limits


@define
class Budget:
    """What one call has used up so far."""

    limits: Limits
    documents_read: int = 0
    bytes_read: int = 0
    ranges_read: int = 0
    documents_written: int = 0
    bytes_written: int = 0
    jobs: int = 0
    jobs_bytes: int = 0

    def read(self, documents: int, size: int) -> None:
        """Count rows that were looked at.

        Raises: LimitExceeded.
        """
        self.documents_read += documents
        self.bytes_read += size
        if self.documents_read > self.limits.documents_read:
            raise LimitExceeded(
                "Too many documents read in a single function execution "
                f"(limit: {self.limits.documents_read}). Read less: use an index, "
                f"take(n), or paginate(). It had come to {self.documents_read} documents."
            )
        if self.bytes_read > self.limits.bytes_read:
            raise LimitExceeded(
                "Too many bytes read in a single function execution "
                f"(limit: {self.limits.bytes_read} bytes). Read less: use an index, "
                f"take(n), or paginate(). It had come to {self.bytes_read} bytes."
            )

    def has_room_for(self, documents: int, size: int) -> bool:
        """Say whether :meth:`read` of so much would be within the limits."""
        return (
            self.documents_read + documents <= self.limits.documents_read
            and self.bytes_read + size <= self.limits.bytes_read
        )

    def open_range(self) -> None:
        """Count a get or a scan.

        Raises: LimitExceeded.
        """
        self.ranges_read += 1
        if self.ranges_read > self.limits.ranges_read:
            raise LimitExceeded(
                "Too many reads in a single function execution "
                f"(limit: {self.limits.ranges_read} gets and scans). Read a range with one scan. "
                f"It had come to {self.ranges_read}."
            )

    def write(self, size: int) -> None:
        """Count a write.

        Raises: LimitExceeded.
        """
        self.documents_written += 1
        self.bytes_written += size
        if self.documents_written > self.limits.documents_written:
            raise LimitExceeded(
                "Too many writes in a single function execution "
                f"(limit: {self.limits.documents_written} documents). Write in several calls. "
                f"It had come to {self.documents_written}."
            )
        if self.bytes_written > self.limits.bytes_written:
            raise LimitExceeded(
                "Too many bytes written in a single function execution "
                f"(limit: {self.limits.bytes_written} bytes). Write in several calls. "
                f"It had come to {self.bytes_written} bytes."
            )

    def schedule(self, size: int) -> None:
        """Count a job with arguments of ``size`` bytes.

        Raises: TooManyFunctionsScheduled, ScheduledFunctionsArgumentsTooLarge.
        """
        self.jobs += 1
        self.jobs_bytes += size
        if self.jobs > self.limits.jobs:
            raise TooManyFunctionsScheduled(
                f"Too many functions scheduled by one mutation (limit: {self.limits.jobs}). "
                "Schedule one that schedules the rest."
            )
        if self.jobs_bytes > self.limits.jobs_bytes:
            raise ScheduledFunctionsArgumentsTooLarge(
                "Too large total size of the arguments of functions scheduled by one mutation "
                f"(limit: {self.limits.jobs_bytes} bytes). Store what is large in a document, and "
                f"pass its id. It had come to {self.jobs_bytes} bytes."
            )
