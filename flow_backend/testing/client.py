"""A client in memory that speaks the sync protocol as the official JavaScript client does."""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import orjson
import trio
from attrs import define, field, frozen

from flow_backend.storage.request_records import TOO_OLD
from flow_backend.sync.messages import START, IdentityVersion, QuerySetVersion, Version
from flow_backend.testing.link import ABNORMAL, LinkClosed, SimLink
from flow_backend.testing.sim import SimRuntime
from flow_backend.values.timestamp import NO_COMMIT, CommitTs, decode_ts, encode_ts
from flow_backend.values.value import JsonValue

_BACKOFF_SECONDS: Final = 0.3


class ProtocolViolation(AssertionError):
    """The server said something that a client must never be told."""


@frozen
class QueryOutcome:
    """What a client holds of a query: its value, or the data of its error."""

    value: JsonValue = None
    failed: bool = False


@define(eq=False)
class OpenQuery:
    """A subscription. ``version`` is the query set's, on this connection, that first had it."""

    path: str
    args: dict[str, JsonValue]
    version: int
    journal: str | None = None


@define(eq=False)
class Request:
    """A mutation or an action that is not settled yet.

    Attributes:
        sends: on how many connections it was sent.
        answer: the server's, once there is one.
        settled: set when the caller would be told: for a mutation that succeeded, when a transition
            at or past its timestamp has come.
    """

    id: int
    kind: str
    path: str
    args: dict[str, JsonValue]
    sends: int = 0
    answer: dict[str, Any] | None = None
    settled: trio.Event = field(factory=trio.Event)

    @property
    def succeeded(self) -> bool:
        """Whether the answer was a success."""
        return self.answer is not None and bool(self.answer["success"])

    @property
    def ts(self) -> CommitTs:
        """The commit timestamp of a mutation that succeeded, else zero."""
        text = None if self.answer is None else self.answer.get("ts")
        return NO_COMMIT if text is None else decode_ts(text)


@define(eq=False, kw_only=True)
class SimClient:
    """Folds transitions, resends what is unanswered, and checks what every server must keep to.

    It checks by itself that versions chain and never go back, that the first transition of a query
    set's version has all its results, that an answer comes once and before the transition that
    shows its effect. ``on_state`` is called after each transition, to check what it says.

    Attributes:
        connect: opens a connection; None if there is no server at the moment.
        results: what the client shows, by query id; the whole of it is true at ``version.ts``.
        seen_ts: the newest timestamp of any transition.
        observed_ts: the newest of any transition or answer, which it names when it connects.
        slow_seconds: how long it leaves each message unread, at most.
        lost_answers: with which probability its connection ends right before an answer.
        tells_queries: whether it opens its query set on a new connection although it has no query.

    Raises (in ``run``): ProtocolViolation.
    Source: the sync protocol, "Versions and the transition chain" and "Reconnection".
    """

    name: str
    session_id: str
    runtime: SimRuntime
    connect: Callable[["SimClient"], SimLink | None]
    on_state: Callable[["SimClient"], None] = lambda _: None
    token: str | None = None
    link: SimLink | None = None
    version: Version = START
    seen_ts: CommitTs = NO_COMMIT
    queries: dict[int, OpenQuery] = field(factory=dict[int, OpenQuery])
    results: dict[int, QueryOutcome] = field(factory=dict[int, QueryOutcome])
    requests: dict[int, Request] = field(factory=dict[int, Request])
    transitions: int = 0
    connections: int = 0
    slow_seconds: float = 0.0
    lost_answers: float = 0.0
    tells_queries: bool = True
    close_codes: list[int] = field(factory=list[int])
    observed_ts: CommitTs = NO_COMMIT
    _last_query: int = -1
    _last_request: int = -1
    _query_set: int = 0
    _tokens: dict[int, str | None] = field(factory=dict[int, str | None])
    _fresh: set[int] = field(factory=set[int])
    _answered: set[int] = field(factory=set[int])
    _sent: set[int] = field(factory=set[int])
    _moved: trio.Event = field(factory=trio.Event)
    _chunks: list[str] = field(factory=list[str])

    # --- What its user does ----------------------------------------------------------------------

    def subscribe(self, path: str, **args: JsonValue) -> int:
        """Open a query. Returns: its id, under which ``results`` has what is known."""
        self._last_query += 1
        query_id = self._last_query
        self.queries[query_id] = OpenQuery(path, args, self._query_set + 1)
        self._edit([self._add(query_id)])
        return query_id

    def unsubscribe(self, query_id: int) -> None:
        """Close a query."""
        del self.queries[query_id]
        self.results.pop(query_id, None)
        self._fresh.discard(query_id)
        self._edit([{"type": "Remove", "queryId": query_id}])

    def mutate(self, path: str, **args: JsonValue) -> Request:
        """Ask for a mutation; it is sent until it is answered."""
        return self._request("Mutation", path, args)

    def act(self, path: str, **args: JsonValue) -> Request:
        """Ask for an action; if the connection is lost it is given up, as nobody knows its end."""
        return self._request("Action", path, args)

    def become(self, token: str | None) -> None:
        """Sign in as someone else, or as nobody."""
        self.token = token
        if self.link is not None:
            self._authenticate()

    def cut(self, linger_seconds: float = 0.0) -> None:
        """Lose the connection, if there is one; the server sees it that much later."""
        if self.link is not None:
            self.link.linger_seconds = linger_seconds
            self.link.cut()

    @property
    def shown_token(self) -> str | None:
        """Whose results the client holds."""
        return self._tokens[self.version.identity]

    async def wait_for(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds, looked at after each message. Callers set deadlines."""
        while not holds():
            self._moved = trio.Event()
            await self._moved.wait()

    async def wait_results(self) -> None:
        """Wait until every open query has a result of this connection."""
        await self.wait_for(lambda: self.link is not None and self._fresh >= self.queries.keys())

    # --- Its connection --------------------------------------------------------------------------

    async def run(self) -> None:
        """Connect for ever; to be cancelled."""
        while True:
            link = self.connect(self)
            if link is not None:
                self._begin(link)
                await self._read(link)
            await trio.sleep(self.runtime.random.random() * _BACKOFF_SECONDS)

    def _begin(self, link: SimLink) -> None:
        self.link, self.version = link, START
        self._fresh, self._answered, self._sent = set(), set(), set()
        self._tokens, self._chunks = {0: None}, []
        hello: dict[str, Any] = {
            "type": "Connect",
            "sessionId": self.session_id,
            "connectionCount": self.connections,
            "lastCloseReason": "InitialConnect",
        }
        self.connections += 1
        if self.observed_ts:
            hello["maxObservedTimestamp"] = encode_ts(self.observed_ts)
        self._send(hello)
        if self.token is not None:
            self._authenticate()
        for each in self.queries.values():
            each.version = 1
        self._query_set = 0
        if self.queries or self.tells_queries:
            self._edit([self._add(query_id) for query_id in self.queries])
        for request in list(self.requests.values()):
            if request.kind == "Action" and request.sends:
                self._settle(request)
            else:
                self._send_request(request)
        # One that asks for nothing may never hear anything: it is connected all the same.
        self._wake()

    async def _read(self, link: SimLink) -> None:
        try:
            while True:
                message = await link.receive_message()
                if self.slow_seconds:
                    await trio.sleep(self.runtime.random.random() * self.slow_seconds)
                self.runtime.note(self.name, message)
                taken: dict[str, Any] = orjson.loads(message)
                self._lose(taken)
                self._take(taken)
        except LinkClosed as closed:
            self.close_codes.append(closed.code)
            self.runtime.note(self.name, closed.code)
        finally:
            self.link = None
            link.cut()
            self._wake()

    def _lose(self, message: dict[str, Any]) -> None:
        """End the connection before an answer is seen, if chance wants it so."""
        is_answer = message["type"] in {"MutationResponse", "ActionResponse"}
        if is_answer and self.lost_answers and self.runtime.random.random() < self.lost_answers:
            self.runtime.reach("answer lost")
            raise LinkClosed(ABNORMAL)

    def _wake(self) -> None:
        self._moved.set()

    def _send(self, message: Mapping[str, Any]) -> None:
        if self.link is not None:
            self.link.send(orjson.dumps(message))

    def _add(self, query_id: int) -> dict[str, Any]:
        each = self.queries[query_id]
        return {
            "type": "Add",
            "queryId": query_id,
            "udfPath": each.path,
            "args": [each.args],
            "journal": each.journal,
        }

    def _edit(self, modifications: list[dict[str, Any]]) -> None:
        if self.link is None:
            return
        base, self._query_set = self._query_set, self._query_set + 1
        self._send(
            {
                "type": "ModifyQuerySet",
                "baseVersion": base,
                "newVersion": base + 1,
                "modifications": modifications,
            }
        )

    def _authenticate(self) -> None:
        base = max(self._tokens)
        self._tokens[base + 1] = self.token
        token = {"tokenType": "None"}
        if self.token is not None:
            token = {"tokenType": "User", "value": self.token}
        self._send({"type": "Authenticate", "baseVersion": base, **token})

    def _request(self, kind: str, path: str, args: dict[str, JsonValue]) -> Request:
        self._last_request += 1
        request = Request(self._last_request, kind, path, args)
        self.requests[request.id] = request
        if self.link is not None:
            self._send_request(request)
        return request

    def _send_request(self, request: Request) -> None:
        request.sends += 1
        self._sent.add(request.id)
        self._send(
            {
                "type": request.kind,
                "requestId": request.id,
                "udfPath": request.path,
                "args": [request.args],
            }
        )

    # --- What the server says --------------------------------------------------------------------

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        self._hold(not self._chunks or kind in {"TransitionChunk", "Ping"}, f"{kind} among chunks")
        match kind:
            case "Transition":
                self._transition(message)
            case "MutationResponse" | "ActionResponse":
                self._answer(message)
            case "TransitionChunk":
                self._chunk(message)
            case "Ping":
                pass
            case _:
                self._violated(f"an unexpected message: {message}")
        self._wake()

    def _chunk(self, message: dict[str, Any]) -> None:
        self._hold(message["partNumber"] == len(self._chunks), f"a part out of turn: {message}")
        self._chunks.append(message["chunk"])
        if len(self._chunks) == message["totalParts"]:
            whole, self._chunks = "".join(self._chunks), []
            self.runtime.reach("transition in chunks")
            self._transition(orjson.loads(whole))

    def _answer(self, message: dict[str, Any]) -> None:
        ident = message["requestId"]
        self._hold(ident in self._sent, f"an answer to {ident}, which was not asked here")
        self._hold(ident not in self._answered, f"a second answer to {ident}")
        self._hold(isinstance(message["logLines"], list), f"no log lines: {message}")
        self._answered.add(ident)
        request = self.requests.get(ident)
        if request is None:
            return
        self._hold(message["type"] == f"{request.kind}Response", f"a wrong answer: {message}")
        first = request.answer is None
        if not first and request.succeeded:
            if is_too_old(message):
                return  # What was answered stays so, as long ago as it now seems to be.
            same = message["success"] and message["ts"] == cast("Any", request.answer)["ts"]
            self._hold(same, f"another answer than before: {message}, {request.answer}")
        request.answer = message
        if request.kind == "Action" or not message["success"]:
            self._settle(request)
            return
        self.observed_ts = max(self.observed_ts, request.ts)
        if request.sends == 1:
            self._hold(
                request.ts > self.version.ts,
                f"mutation {ident} of {request.ts} after what shows it, at {self.version.ts}",
            )

    def _settle(self, request: Request) -> None:
        self.requests.pop(request.id, None)
        request.settled.set()

    def _transition(self, message: dict[str, Any]) -> None:
        start, end = _version(message["startVersion"]), _version(message["endVersion"])
        self._hold(start == self.version, f"a transition from {start} at {self.version}")
        self._hold(
            end.ts >= self.seen_ts
            and start.query_set <= end.query_set <= self._query_set
            and start.identity <= end.identity <= max(self._tokens),
            f"a transition from {start} to {end}, having seen {self.seen_ts}",
        )
        self.version, self.seen_ts = end, end.ts
        self.observed_ts = max(self.observed_ts, end.ts)
        for each in message["modifications"]:
            self._modify(each)
        for query_id, query in self.queries.items():
            self._hold(
                query.version > end.query_set or query_id in self._fresh,
                f"no result for query {query_id}, which is part of {end}",
            )
        self.transitions += 1
        for request in list(self.requests.values()):
            if request.succeeded and request.id in self._answered and request.ts <= end.ts:
                self._settle(request)
        self.on_state(self)

    def _modify(self, change: dict[str, Any]) -> None:
        query_id = change["queryId"]
        query = self.queries.get(query_id)
        if change["type"] == "QueryRemoved":
            self._hold(query is None, f"query {query_id} was removed, but is open")
            return
        self._hold(isinstance(change["logLines"], list), f"no log lines: {change}")
        if query is None:
            return  # It was closed meanwhile.
        query.journal = change["journal"]
        self._fresh.add(query_id)
        if change["type"] == "QueryUpdated":
            outcome = QueryOutcome(change["value"])
        else:
            self._hold(change["type"] == "QueryFailed", f"an unknown change: {change}")
            outcome = QueryOutcome(change.get("errorData", change["errorMessage"]), failed=True)
        self.results[query_id] = outcome

    def _hold(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self._violated(otherwise)

    def _violated(self, what: str) -> None:
        raise ProtocolViolation(f"{self.name} at {trio.current_time():.3f} s was sent {what}")


def _version(message: dict[str, Any]) -> Version:
    return Version(
        QuerySetVersion(message["querySet"]),
        decode_ts(message["ts"]),
        IdentityVersion(message["identity"]),
    )


def is_too_old(message: Mapping[str, Any]) -> bool:
    """Say whether an answer refuses a request since nobody knows any more whether it ran."""
    return not message["success"] and message.get("result") == TOO_OLD
