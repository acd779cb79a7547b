"""The queries that a client has open, and what it knows of each."""

import orjson
from attrs import define, field

from flow_backend.client.outcome import Fields, Outcome, outcome_of_query
from flow_backend.errors import MalformedMessage
from flow_backend.values.value import JsonValue


@define(eq=False)
class OpenQuery:
    """A query that somebody watches.

    Attributes:
        key: equal for equal queries, which share this one.
        outcome: the newest, also one of an earlier connection; None before the first.
        fresh: whether ``outcome`` is of this connection, and so true at the client's version.
        changes: how often ``outcome`` has changed.
    """

    id: int
    path: str
    args: dict[str, JsonValue]
    key: bytes
    watchers: int = 0
    journal: str | None = None
    outcome: Outcome | None = None
    fresh: bool = False
    changes: int = 0

    def add(self) -> Fields:
        """Give the edit of the query set that opens it."""
        return {
            "type": "Add",
            "queryId": self.id,
            "udfPath": self.path,
            "args": [self.args],
            "journal": self.journal,
        }


@define
class Queries:
    """All open queries of a client; two equal ones are one.

    Source: the sync protocol, "ModifyQuerySet" and "Queries, journals, pagination".
    """

    by_id: dict[int, OpenQuery] = field(factory=dict[int, OpenQuery])
    _by_key: dict[bytes, OpenQuery] = field(factory=dict[bytes, OpenQuery])
    _next: int = 0
    _outstanding: set[int] = field(factory=set[int])

    def open(self, path: str, args: dict[str, JsonValue]) -> tuple[OpenQuery, Fields | None]:
        """Watch a query. Returns: it, and the edit to send if nobody watched it before."""
        key = orjson.dumps([path, args], option=orjson.OPT_SORT_KEYS)
        query = self._by_key.get(key)
        if query is not None:
            query.watchers += 1
            return query, None
        query = OpenQuery(self._next, path, args, key, watchers=1)
        self._next += 1
        self.by_id[query.id] = self._by_key[key] = query
        return query, query.add()

    def close(self, query: OpenQuery) -> Fields | None:
        """Stop to watch. Returns: the edit to send if nobody else watches it."""
        query.watchers -= 1
        if query.watchers:
            return None
        del self.by_id[query.id], self._by_key[query.key]
        self._outstanding.discard(query.id)
        return {"type": "Remove", "queryId": query.id}

    def lost(self) -> None:
        """Note that the connection has ended: what is known may be outdated."""
        for query in self.by_id.values():
            query.fresh = False

    def restart(self) -> list[Fields]:
        """Give the edits that open all queries on a new connection."""
        self._outstanding = set(self.by_id)
        return [query.add() for query in self.by_id.values()]

    @property
    def synced(self) -> bool:
        """Whether all that were open when the connection began have a result of it."""
        return not self._outstanding

    def apply(self, fields: Fields) -> OpenQuery | None:
        """Take one modification of a transition. Returns: the query if it has a new result.

        A result that a new connection tells again, and that is the same, is no new one.
        """
        query_id = fields["queryId"]
        self._outstanding.discard(query_id)
        if fields["type"] == "QueryRemoved":
            return None
        if fields["type"] not in {"QueryUpdated", "QueryFailed"}:
            raise MalformedMessage(f"There is no modification {fields['type']!r}.")
        query = self.by_id.get(query_id)
        if query is None:
            return None  # It was closed meanwhile.
        outcome = outcome_of_query(fields)
        # The texts are compared: to Python true is 1.0, but these are two values.
        old = query.outcome
        again = old is not None and not query.fresh and old.text() == outcome.text()
        query.journal = fields.get("journal")
        query.outcome, query.fresh = outcome, True
        query.changes += not again
        return query
