"""The frontier: how far all tables have come, so that a query's silence can be believed."""

from collections.abc import Mapping

from attrs import define, field

from flow_backend.actors.messages.to_query import Committed, Invalidated
from flow_backend.storage.base import TableName
from flow_backend.values.timestamp import NO_COMMIT, CommitTs


@define
class Frontier:
    """How far the tables have compared, so that silence is never ambiguous.

    A commit that wrote a table is *noticed* here at once, and *compared* when the table says so. A
    subscription is sent with a number, and heard when the table names that number.
    """

    noticed_ts: CommitTs = NO_COMMIT
    _wrote: dict[TableName, CommitTs] = field(factory=dict[TableName, CommitTs])
    _compared: dict[TableName, CommitTs] = field(factory=dict[TableName, CommitTs])
    _told: dict[TableName, int] = field(factory=dict[TableName, int])
    _heard: dict[TableName, int] = field(factory=dict[TableName, int])
    _behind: dict[TableName, None] = field(factory=dict[TableName, None])

    def notice(self, message: Committed) -> None:
        """A batch is on disk."""
        self.noticed_ts = max(self.noticed_ts, message.ts)
        for table, ts in message.tables.items():
            self._wrote[table] = ts
            self._look(table)

    def tell(self, table: TableName) -> int:
        """Draw the number of the next subscription of a table."""
        number = self._told.get(table, 0) + 1
        self._told[table] = number
        self._behind[table] = None
        return number

    def compared(self, message: Invalidated) -> None:
        """A table has compared and heard as far as this message says. It may be ahead of us."""
        table = message.table
        self._compared[table] = max(message.ts, self._compared.get(table, NO_COMMIT))
        self._heard[table] = max(message.heard, self._heard.get(table, 0))
        self._look(table)

    def lost(self, table: TableName, ts: CommitTs) -> None:
        """A table was started again: it has no subscriptions, and compares nothing up to ``ts``."""
        compared = self._compared.get(table, NO_COMMIT)
        self._compared[table] = max(ts, compared, self._wrote.get(table, NO_COMMIT))
        self._heard[table] = self._told.get(table, 0)
        self._look(table)

    def _look(self, table: TableName) -> None:
        wrote, told = self._wrote.get(table, NO_COMMIT), self._told.get(table, 0)
        if self._compared.get(table, NO_COMMIT) < wrote or self._heard.get(table, 0) < told:
            self._behind[table] = None
        else:
            self._behind.pop(table, None)

    def successor(self, ts: CommitTs, compared: Mapping[TableName, CommitTs]) -> "Frontier":
        """Give the frontier of a QueryActor that begins at ``ts``, when no table knows any query.

        Its numbers go on from these, as a table may still hear what this one has told.
        """
        return Frontier(ts, dict(compared), dict(compared), dict(self._told), dict(self._told))

    @property
    def is_settled(self) -> bool:
        """Whether all tables have compared and heard all that they were told."""
        return not self._behind
