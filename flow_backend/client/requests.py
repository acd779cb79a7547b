"""Mutations and actions that are not settled: what is sent again, and when a caller may go on."""

from typing import Literal

from attrs import define, field, frozen

from flow_backend.client.outcome import Failure, Fields, Outcome, Success, outcome_of_response
from flow_backend.values.timestamp import NO_COMMIT, CommitTs, decode_ts
from flow_backend.values.value import JsonValue

RequestKind = Literal["Mutation", "Action"]


@define(eq=False)
class Request:
    """A mutation or an action, until its caller is told how it ended.

    Attributes:
        sent: whether some connection has carried it, so that it may have run.
        ts: the commit of a mutation that succeeded.
    """

    id: int
    kind: RequestKind
    path: str
    args: dict[str, JsonValue]
    sent: bool = False
    answer: Success | None = None
    ts: CommitTs = NO_COMMIT

    def message(self) -> Fields:
        """Give what asks for it, the same each time."""
        return {
            "type": self.kind,
            "requestId": self.id,
            "udfPath": self.path,
            "args": [self.args],
        }


@frozen
class Settled:
    """A request has its end; None is that of an action whose connection was lost."""

    request: Request
    outcome: Outcome | None


@define
class Requests:
    """The requests of one session, by their ids, which only grow.

    The server keeps what it did by session and request id, so sending a mutation again is safe; an
    action is sent once. (A store of unsent requests on disk would stand in the place of this.)

    Source: the sync protocol, "Ordering and mutation completion" and "What is re-sent".
    """

    pending: dict[int, Request] = field(factory=dict[int, Request])
    _next: int = 0
    _older: set[int] = field(factory=set[int])

    def add(self, kind: RequestKind, path: str, args: dict[str, JsonValue]) -> Request:
        """Take a new request. It is not sent yet."""
        request = Request(self._next, kind, path, args)
        self._next += 1
        self.pending[request.id] = request
        return request

    def forget(self, request: Request) -> None:
        """Drop a request that was never sent: it will not run."""
        assert not request.sent, request
        self.pending.pop(request.id, None)

    def abandon(self) -> None:
        """Give all up: nothing of it is sent again."""
        self.pending.clear()
        self._older.clear()

    def lost(self) -> list[Settled]:
        """Note that the connection has ended. Returns: actions whose end nobody will know."""
        gone = [each for each in self.pending.values() if each.kind == "Action" and each.sent]
        for request in gone:
            del self.pending[request.id]
        return [Settled(request, None) for request in gone]

    def restart(self) -> list[Request]:
        """Give what a new connection sends, in the order in which it was asked for.

        Mutations that were answered are among them until a transition has shown their effect: the
        answer is known, but it makes the server send one.
        """
        self._older = set(self.pending)
        return list(self.pending.values())

    @property
    def synced(self) -> bool:
        """Whether all that is older than the connection is settled."""
        return not self._older

    def answered(self, fields: Fields) -> Settled | None:
        """Take a response. Returns: the request if that settles it.

        A mutation that succeeded is settled by the transition that shows its effect.
        """
        request = self.pending.get(fields["requestId"])
        if request is None or fields["type"] != f"{request.kind}Response":
            return None  # Settled before, and sent again only for its transition.
        outcome = outcome_of_response(fields)
        if request.answer is not None:
            return None
        if isinstance(outcome, Failure) or request.kind == "Action":
            return self._settle(request, outcome)
        request.ts = decode_ts(fields["ts"])
        request.answer = outcome
        return None

    def reached(self, ts: CommitTs) -> list[Settled]:
        """Note a transition to ``ts``. Returns: the mutations whose effect it shows."""
        done = [each for each in self.pending.values() if each.answer is not None and each.ts <= ts]
        return [self._settle(each, each.answer) for each in done]

    def _settle(self, request: Request, outcome: Outcome | None) -> Settled:
        del self.pending[request.id]
        self._older.discard(request.id)
        return Settled(request, outcome)
