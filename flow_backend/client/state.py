"""What a client of the sync protocol knows and says: messages in, events out, no I/O."""

from collections import deque
from typing import TypeAlias

import orjson
from attrs import define, field, frozen

from flow_backend.client.outcome import Fields, log_lines
from flow_backend.client.queries import OpenQuery, Queries
from flow_backend.client.requests import Request, RequestKind, Requests, Settled
from flow_backend.errors import FlowError, MalformedMessage
from flow_backend.sync.messages import START, IdentityVersion, QuerySetVersion, Version
from flow_backend.values.timestamp import NO_COMMIT, CommitTs, decode_ts, encode_ts
from flow_backend.values.value import JsonValue


@frozen
class Changed:
    """Queries have results as of one moment; those whose result is new are named."""

    queries: tuple[OpenQuery, ...]


@frozen
class Logged:
    """A function logged something; ``path`` is its own."""

    path: str
    lines: tuple[str, ...]


@frozen
class Confirmed:
    """The server took the newest token (or the newest wish to be nobody)."""


@frozen
class Refused:
    """The server took no token of ours: the newest one, or one that has expired. It hangs up."""

    message: str


@frozen
class Ended:
    """The server ended this client for good."""

    message: str


Event: TypeAlias = Changed | Settled | Logged | Confirmed | Refused | Ended


@define
class ClientState:
    """One client across its connections.

    What it wants to send lies in ``outgoing``, in order; without a connection that stays empty, and
    :meth:`begin` gives everything anew.

    Attributes:
        session_id: the same over all connections: by it the server knows what it did already.
        version: what the results in force are of, on this connection.
        observed_ts: the newest timestamp that the server has told.
        live: whether there is a connection.

    Source: the sync protocol, "Versions and the transition chain" and "Reconnection".
    """

    session_id: str
    queries: Queries = field(factory=Queries)
    requests: Requests = field(factory=Requests)
    outgoing: deque[bytes] = field(factory=deque[bytes])
    version: Version = START
    observed_ts: CommitTs = NO_COMMIT
    connections: int = 0
    live: bool = False
    _token: Fields | None = None
    _query_set: int = 0
    _identity: int = 0
    _confirmed: bool = True
    _chunks: list[str] = field(factory=list[str])
    _transition_id: str | None = None

    # --- What its user does ----------------------------------------------------------------------

    def open(self, path: str, args: dict[str, JsonValue]) -> OpenQuery:
        """Watch a query."""
        query, edit = self.queries.open(path, args)
        if edit is not None and self.live:
            self._edit([edit])
        return query

    def close(self, query: OpenQuery) -> None:
        """Stop to watch a query."""
        edit = self.queries.close(query)
        if edit is not None and self.live:
            self._edit([edit])

    def request(self, kind: RequestKind, path: str, args: dict[str, JsonValue]) -> Request:
        """Ask for a mutation or an action."""
        request = self.requests.add(kind, path, args)
        if self.live:
            self._ask(request)
        return request

    def authenticate(self, token: Fields | None) -> None:
        """Be the one whom a token names from now on; None is nobody."""
        changed, self._token = token != self._token, token
        if self.live and changed:
            self._authenticate()

    # --- Its connections -------------------------------------------------------------------------

    def begin(self, last_close_reason: str | None) -> None:
        """Start to talk on a new connection."""
        assert not self.live
        self.live, self.version = True, START
        self._query_set = self._identity = 0
        self._confirmed = True
        hello: Fields = {
            "type": "Connect",
            "sessionId": self.session_id,
            "connectionCount": self.connections,
            "lastCloseReason": last_close_reason,
            "clientTs": 0,
        }
        if self.observed_ts:
            hello["maxObservedTimestamp"] = encode_ts(self.observed_ts)
        self.connections += 1
        self._send(hello)
        if self._token is not None:
            self._authenticate()
        # Also without a query: the answer says that the connection works.
        self._edit(self.queries.restart())
        for request in self.requests.restart():
            self._ask(request)

    def lost(self) -> list[Settled]:
        """Note that the connection has ended. Returns: the actions that were under way."""
        self.live = False
        self.outgoing.clear()
        self._drop_chunks()
        self.queries.lost()
        return self.requests.lost()

    @property
    def synced(self) -> bool:
        """Whether the server has answered all that is older than this connection."""
        return self.live and (
            self.version.query_set > 0
            and self.queries.synced
            and self.requests.synced
            and self._confirmed
        )

    def receive(self, text: str | bytes) -> list[Event]:
        """Take one message.

        Returns: what has happened, in order.
        Raises: MalformedMessage if the server breaks the protocol; this connection is of no use.
        """
        try:
            return self._receive(orjson.loads(text))
        except (KeyError, TypeError, ValueError, AttributeError, FlowError) as error:
            raise MalformedMessage(f"The server sent what is no message: {error!r}") from error

    # --- What the server says --------------------------------------------------------------------

    def _receive(self, fields: Fields) -> list[Event]:
        match fields["type"]:
            case "Transition":
                return self._transition(fields)
            case "TransitionChunk":
                return self._chunk(fields)
            case "MutationResponse" | "ActionResponse":
                return self._response(fields)
            case "AuthError":
                return self._auth_error(fields)
            case "FatalError":
                return [Ended(str(fields.get("error")))]
            case "Ping":
                return []
            case other:
                raise MalformedMessage(f"The type {str(other)[:40]!r} is unknown.")

    def _chunk(self, fields: Fields) -> list[Event]:
        total = fields["totalParts"]
        if self._chunks and fields["transitionId"] != self._transition_id:
            raise MalformedMessage("A part of another transition came.")
        if fields["partNumber"] != len(self._chunks):
            raise MalformedMessage("A part of a transition came out of its turn.")
        self._transition_id = fields["transitionId"]
        self._chunks.append(fields["chunk"])
        if len(self._chunks) < total:
            return []
        whole = "".join(self._chunks)
        self._drop_chunks()
        return self._receive(orjson.loads(whole))

    def _drop_chunks(self) -> None:
        self._chunks, self._transition_id = [], None

    def _transition(self, fields: Fields) -> list[Event]:
        start, end = _version(fields["startVersion"]), _version(fields["endVersion"])
        if start != self.version or end.ts < start.ts:
            raise MalformedMessage(f"A transition from {start} to {end} came at {self.version}.")
        events: list[Event] = []
        changed: list[OpenQuery] = []
        for each in fields["modifications"]:
            query = self.queries.apply(each)
            if query is not None:
                changed.append(query)
                events += _logged(query.path, each)
        self.version = end
        self.observed_ts = max(self.observed_ts, end.ts)
        if end.identity > start.identity and end.identity >= self._identity:
            self._confirmed = True
            events.append(Confirmed())
        if changed:
            events.append(Changed(tuple(changed)))
        return [*events, *self.requests.reached(end.ts)]

    def _response(self, fields: Fields) -> list[Event]:
        request = self.requests.pending.get(fields["requestId"])
        first = request is not None and request.answer is None
        settled = self.requests.answered(fields)
        events: list[Event] = []
        if request is not None and first:
            self.observed_ts = max(self.observed_ts, request.ts)
            events += _logged(request.path, fields)
        return events if settled is None else [*events, settled]

    def _auth_error(self, fields: Fields) -> list[Event]:
        base = fields.get("baseVersion") or 0
        if fields.get("authUpdateAttempted") is False and not self._confirmed:
            return []  # The old token has expired, and the new one is under way already.
        if base + 1 < self._identity:
            return []  # It is about a token that is not the newest.
        return [Refused(str(fields.get("error")))]

    # --- What it says ----------------------------------------------------------------------------

    def _edit(self, modifications: list[Fields]) -> None:
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
        base, self._identity = self._identity, self._identity + 1
        self._confirmed = False
        token = {"tokenType": "None"} if self._token is None else self._token
        self._send({"type": "Authenticate", "baseVersion": base, **token})

    def _ask(self, request: Request) -> None:
        request.sent = True
        self._send(request.message())

    def _send(self, message: Fields) -> None:
        self.outgoing.append(orjson.dumps(message))


def _logged(path: str, fields: Fields) -> list[Event]:
    lines = log_lines(fields)
    return [Logged(path, tuple(lines))] if lines else []


def _version(fields: Fields) -> Version:
    return Version(
        QuerySetVersion(fields["querySet"]),
        decode_ts(fields["ts"]),
        IdentityVersion(fields["identity"]),
    )
