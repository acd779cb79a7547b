"""Which tables the schema has, at each timestamp that somebody may still read.

A switch of the schema is a commit; a snapshot from before it goes on with the tables of before.
"""

from collections.abc import Mapping
from typing import Final

from attrs import define, field

from flow_backend.storage.base import TableName
from flow_backend.storage.tables import StoredTable

_KEPT: Final = 64
"""So many schemas are known at most: no snapshot stays open over so many switches."""

Tables = Mapping[TableName, StoredTable]


@define
class SchemaHistory:
    """The tables in force, and those before them. The writer adds; any thread looks.

    Looking needs no lock: the list is never changed, another takes its place.
    """

    _entries: list[tuple[int, Tables]] = field(factory=list[tuple[int, Tables]])

    @classmethod
    def of(cls, tables: Tables) -> "SchemaHistory":
        """Begin with the tables of the start."""
        return cls([(0, tables)])

    @property
    def newest(self) -> Tables:
        """The tables in force."""
        return self._entries[-1][1]

    def at(self, ts: int) -> Tables:
        """Give the tables that a snapshot at a timestamp has."""
        for from_ts, tables in reversed(self._entries):
            if from_ts <= ts:
                return tables
        raise AssertionError((ts, [from_ts for from_ts, _ in self._entries]))

    def add(self, ts: int, tables: Tables) -> None:
        """Put tables in force from a timestamp on, before its commit can be seen by anyone."""
        self._entries = [*self._entries[-_KEPT + 1 :], (ts, tables)]

    def take_back(self) -> None:
        """Forget the newest: its commit did not happen."""
        self._entries = self._entries[:-1]
