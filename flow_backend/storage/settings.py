"""What can be set about storage; durability is not among it."""

from typing import Final

from attrs import frozen

MINUTE: Final = 60
DAY: Final = 24 * 60 * MINUTE


@frozen
class StorageSettings:
    """Settings of storage; the defaults are right for all but tests.

    Attributes:
        commit_log_seconds: how long the commit log is kept.
        record_seconds: how long a mutation's outcome is kept for a client that sends it again.
        session_seconds: how long the highest pruned request of a session is kept.
        prune_max: rows of a kind that one call of ``maintain`` deletes at most.
        checkpoint_bytes: size of SQLite's log at which a commit checkpoints, idle or not.
        truncate_bytes: size of SQLite's log at which a commit waits for readers to cut it.
        cache_bytes: memory of one connection for pages.
        busy_ms: how long SQLite waits for a lock.
        check_seconds: how long the check of the file after an unclean stop may take.
        ballast_bytes: room on the disk that is kept for deletes once it is full; 0 keeps none.
    """

    commit_log_seconds: float = 7 * DAY
    record_seconds: float = 14 * DAY
    session_seconds: float = 365 * DAY
    prune_max: int = 2_000
    checkpoint_bytes: int = 64 * 2**20
    truncate_bytes: int = 192 * 2**20
    cache_bytes: int = 32 * 2**20
    busy_ms: int = 5_000
    check_seconds: float = 10.0
    ballast_bytes: int = 0


DEFAULT_SETTINGS: Final = StorageSettings()
