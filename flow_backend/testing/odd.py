"""A client that does what no good one does; the server must neither fail nor lie because of it."""

from typing import Any, Final

import orjson
from attrs import define, field

from flow_backend.testing.client import Request, SimClient, is_too_old
from flow_backend.testing.link import ABNORMAL, LinkClosed, SimLink
from flow_backend.values.timestamp import CommitTs, encode_ts

_SECOND_NS: Final = 10**9
_AHEAD_SECONDS: Final = 300


@define(eq=False, kw_only=True)
class OddClient(SimClient):
    """Now and then sends twice, out of turn, under the wrong name, or from two sockets at once.

    What it shows must be as right as what any other client shows.

    Attributes:
        past: a request that was answered with success, and is asked for again.
        sees_ahead: whether it may say that it has seen what the server has not.
    """

    past: Request | None = None
    sees_ahead: bool = True
    _second: set[int] = field(factory=set[int])

    def misbehave(self) -> None:
        """Do something odd, chosen by chance; without a connection it does nothing."""
        if self.link is None:
            return
        deeds = [
            self._query_twice,
            self._ask_again,
            self._ask_otherwise,
            self._ask_twice,
            self._base_of_before,
        ]
        if self.sees_ahead:
            deeds.append(self._know_the_future)
        deed = self.runtime.random.choice(deeds)
        self.runtime.reach(f"odd: {deed.__name__[1:].replace('_', ' ')}")
        deed()

    def _query_twice(self) -> None:
        """Open a second query under the id of another."""
        if self.queries:
            self._edit([self._add(max(self.queries))])

    def _ask_again(self) -> None:
        """Send a mutation again that was answered on this connection."""
        if self.past is not None:
            self._again(self.past.path, self.past.args)

    def _ask_otherwise(self) -> None:
        """Send another mutation under the id of one that was answered."""
        if self.past is not None:
            self._again("s:count", {"token": "never", "name": "a"})

    def _again(self, path: str, args: Any) -> None:
        past = self.past
        assert past is not None, "nothing was answered yet"
        self._second.add(past.id)
        self._send({"type": "Mutation", "requestId": past.id, "udfPath": path, "args": [args]})

    def _ask_twice(self) -> None:
        """Send a mutation again that is not answered yet."""
        for request in self.requests.values():
            if request.answer is None and request.kind == "Mutation":
                self._second.add(request.id)
                request.sends += 1
                self._send(_mutation(request))
                return

    def _know_the_future(self) -> None:
        """Connect anew, having seen a timestamp that the server can still reach."""
        ahead = self.runtime.random.randrange(_AHEAD_SECONDS // 2) * _SECOND_NS
        self.observed_ts = CommitTs(max(self.observed_ts, self.runtime.now_ns() + ahead))
        self.cut()

    def _base_of_before(self) -> None:
        """Change the query set from a version that is long past."""
        self._query_set += 1
        self._edit([])

    def twin_messages(self) -> list[bytes]:
        """Give what a second socket of this session says: all that is unanswered, once more."""
        hello: dict[str, Any] = {
            "type": "Connect",
            "sessionId": self.session_id,
            "connectionCount": self.connections,
            "lastCloseReason": "odd",
        }
        mutations = [each for each in self.requests.values() if each.kind == "Mutation"]
        for each in mutations:
            each.sends += 1  # What this socket is told first may be old news on the other one.
        requests = [_mutation(each) for each in mutations]
        return [orjson.dumps(each) for each in (hello, *requests)]

    async def be_two(self, link: SimLink, answers: dict[tuple[str, int], object]) -> None:
        """Ask on a second socket of this session, and note the timestamps of the answers."""
        for said in self.twin_messages():
            link.send(said)
        try:
            while True:
                message: dict[str, Any] = orjson.loads(await link.receive_message())
                if message["type"] == "MutationResponse" and message["success"]:
                    ident = (self.session_id, int(message["requestId"]))
                    known = answers.setdefault(ident, message["ts"])
                    self._hold(known == message["ts"], f"two answers: {known} and {message}")
        except LinkClosed:
            return

    @staticmethod
    async def closing_code(link: SimLink) -> int:
        """Read to the end. Returns: the code with which the connection was closed."""
        try:
            while True:
                await link.receive_message()
        except LinkClosed as closed:
            return closed.code

    def doomed(self, link: SimLink) -> None:
        """Say on a socket of its own that the end of all time was seen."""
        hello: dict[str, Any] = {
            "type": "Connect",
            "sessionId": self.session_id,
            "connectionCount": self.connections,
            "lastCloseReason": "odd",
            "maxObservedTimestamp": encode_ts(CommitTs(2**63 - 1)),
        }
        link.send(orjson.dumps(hello))

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "FatalError":
            raise LinkClosed(ABNORMAL)  # It has earned it.
        super()._take(message)

    def _answer(self, message: dict[str, Any]) -> None:
        ident = message["requestId"]
        if ident in self._second and ident in self._answered:
            past = self.past
            if past is not None and past.id == ident and past.answer is not None:
                same = message.get("ts") == past.answer.get("ts") or is_too_old(message)
                self._hold(same, f"another answer to what was sent again: {message}")
            return
        request = self.requests.get(ident)
        super()._answer(message)
        if request is not None and request.succeeded and request.kind == "Mutation":
            self.past = request

    def _begin(self, link: SimLink) -> None:
        self._second.clear()
        if self.past is not None:
            self.past = None
        super()._begin(link)


def _mutation(request: Request) -> dict[str, Any]:
    return {
        "type": "Mutation",
        "requestId": request.id,
        "udfPath": request.path,
        "args": [request.args],
    }
