"""What one client may have outstanding, and what of it weighs how much."""

from collections import deque
from typing import Final

from attrs import define, field

from flow_backend.errors import RemoteProtocolError
from flow_backend.sync.messages import (
    Action,
    Add,
    ClientMessage,
    ModifyQuerySet,
    Mutation,
    QueryId,
    QuerySetVersion,
    Remove,
    RequestId,
)

LIGHT_BYTES: Final = 4096
"""Messages below this are not weighed: their number is bounded, and that is enough."""


@define
class SessionLimits:
    """What one client may have outstanding; past it, its socket is read no further.

    Attributes:
        mutations: unanswered ones, as are ``actions``.
        queries: live ones; one more fails. A client that goes on all the same is closed.
        edits: changes of its queries that no transition covers yet.
        request_bytes: what all of these weigh together; one message more is always taken.
        query_bytes: what the arguments of its queries weigh together; past it, it is closed.
        unsent_bytes: what the socket has not taken.
    """

    mutations: int = 1000
    actions: int = 100
    queries: int = 1000
    edits: int = 1000
    request_bytes: int = 4 * 2**20
    query_bytes: int = 32 * 2**20
    unsent_bytes: int = 4 * 2**20
    mailbox_seconds: float = 20.0
    ahead_ns: int = 300 * 10**9
    chunk_bytes: int = 5_000_000


@define
class Weights:
    """What the messages of one session weigh that are kept.

    Owns: the sizes of requests until they are answered, of edits of the query set until a
    transition covers them, and of the arguments of queries until they are closed.
    """

    queries_bytes_max: int
    unanswered_bytes: int = 0
    queries_bytes: int = 0
    _requests: dict[RequestId, int] = field(factory=dict[RequestId, int])
    _edits: deque[tuple[QuerySetVersion, int]] = field(factory=deque[tuple[QuerySetVersion, int]])
    _queries: dict[QueryId, int] = field(factory=dict[QueryId, int])

    def add(self, message: ClientMessage, size: int) -> None:
        """Note a heavy message of ``size`` bytes.

        Raises: RemoteProtocolError if its queries would weigh too much.
        """
        match message:
            case Mutation(request_id) | Action(request_id):
                self._requests[request_id] = size
                self.unanswered_bytes += size
            case ModifyQuerySet():
                self._edits.append((message.new_version, size))
                self.unanswered_bytes += size
                self._weigh_queries(message, size)
            case _:
                pass  # It is done with as soon as it is read.

    def _weigh_queries(self, message: ModifyQuerySet, size: int) -> None:
        added = [each for each in message.modifications if isinstance(each, Add)]
        self.queries_bytes += size if added else 0
        for place, each in enumerate(added):
            # Whose arguments are the heavy ones is not looked at.
            self._queries[each.query_id] = size // len(added) + (
                size % len(added) if place == 0 else 0
            )
        self.removed(message)
        if self.queries_bytes > self.queries_bytes_max:
            raise RemoteProtocolError(
                f"The queries of one client may weigh {self.queries_bytes_max} bytes together, "
                f"but they have come to {self.queries_bytes} (FLOW_SESSION_QUERY_BYTES_MAX)."
            )

    def removed(self, message: ModifyQuerySet) -> None:
        """Note that queries are closed."""
        if self._queries:
            for each in message.modifications:
                if isinstance(each, Remove):
                    self.queries_bytes -= self._queries.pop(each.query_id, 0)

    def answered(self, request_id: RequestId | None) -> None:
        """Note that a request is answered."""
        if self._requests and request_id is not None:
            self.unanswered_bytes -= self._requests.pop(request_id, 0)

    def covered(self, query_set: QuerySetVersion) -> None:
        """Note that a transition covers all edits up to this version."""
        while self._edits and self._edits[0][0] <= query_set:
            self.unanswered_bytes -= self._edits.popleft()[1]
