"""What TableActors are told."""

from flow_backend.actors.messages.calls import LiveQueryId
from flow_backend.functions.read_set import Read
from flow_backend.records import frozen
from flow_backend.storage.base import (
    Write,
)
from flow_backend.values.timestamp import CommitTs


@frozen
class TableWrites:
    """One batch of commits, as a table that it wrote sees it."""

    ts: CommitTs
    writes: tuple[Write, ...]


@frozen
class TableReplaced:
    """An import has written in this table: whoever read any of it is met."""

    ts: CommitTs


@frozen
class Subscribe:
    """A live query read these ranges of this table in a run at ``since_ts``.

    It takes the place of what the query read before. ``number`` counts what the QueryActor has told
    this table, so that the table can say how far it has listened.
    """

    query: LiveQueryId
    reads: tuple[Read, ...]
    since_ts: CommitTs
    number: int

    @property
    def merge_key(self) -> LiveQueryId:
        """Of what a query read, only the newest counts."""
        return self.query

    def merged(self, newer: "Subscribe | Unsubscribe") -> "Subscribe | Unsubscribe":
        """Give the newer one."""
        return newer


@frozen
class Unsubscribe:
    """A live query no longer reads this table."""

    query: LiveQueryId
    number: int

    @property
    def merge_key(self) -> LiveQueryId:
        """Of what a query read, only the newest counts."""
        return self.query

    def merged(self, newer: "Subscribe | Unsubscribe") -> "Subscribe | Unsubscribe":
        """Give the newer one."""
        return newer


@frozen
class NewLayout:
    """From ``ts`` on rows have the keys of another version's indexes.

    What was read before cannot be compared with them: whoever read it is run again anyway.
    """

    ts: CommitTs


TableMessage = TableWrites | TableReplaced | Subscribe | Unsubscribe | NewLayout
