"""One connection's side of the sync protocol: what a message means now, and what may be sent."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from types import MappingProxyType
from typing import Final, assert_never

from attrs import define, evolve, field

from flow_backend.errors import BaseVersionMismatch, LocalProtocolError, RemoteProtocolError
from flow_backend.sync.messages import (
    START,
    Action,
    Add,
    Authenticate,
    ChangeQueries,
    ClientMessage,
    Connect,
    Event,
    IdentityVersion,
    Intent,
    ModifyQuerySet,
    Mutation,
    QueryId,
    QuerySetVersion,
    Remove,
    RequestId,
    RunAction,
    RunMutation,
    StartSession,
    VerifyToken,
    Version,
)
from flow_backend.values.timestamp import LAST_TS


class Phase(Enum):
    """How far a connection is."""

    NEW = "open, and the client has not said who it is"
    LIVE = "the client is known"
    CLOSED = "nothing is taken or sent any more"


# Looking a member up in its enum costs more than the comparison with it.
_LIVE: Final = Phase.LIVE

# A missing pair is a protocol error. The diagram in ARCHITECTURE.md is drawn from this table.
# Nothing limits the time in NEW: a client that fetches a token first stays silent until it has it.
TRANSITIONS: Final[Mapping[tuple[Phase, type[ClientMessage]], Phase]] = {
    (Phase.NEW, Connect): Phase.LIVE,
    (Phase.NEW, Event): Phase.NEW,
    (Phase.LIVE, ModifyQuerySet): Phase.LIVE,
    (Phase.LIVE, Mutation): Phase.LIVE,
    (Phase.LIVE, Action): Phase.LIVE,
    (Phase.LIVE, Authenticate): Phase.LIVE,
    (Phase.LIVE, Event): Phase.LIVE,
}


def transitions_diagram() -> str:
    """Draw :data:`TRANSITIONS` in Mermaid's notation for state diagrams."""
    arrows: dict[tuple[Phase, Phase], list[str]] = {}
    for (before, message), after in TRANSITIONS.items():
        arrows.setdefault((before, after), []).append(message.__name__)
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.NEW.name}"]
    for (before, after), names in arrows.items():
        lines.append(f"    {before.name} --> {after.name}: {', '.join(names)}")
    lines += [
        f"    {phase.name} --> {Phase.CLOSED.name}: close" for phase in (Phase.NEW, Phase.LIVE)
    ]
    lines.append(f"    {Phase.CLOSED.name} --> [*]")
    return "\n".join(lines) + "\n"


@define(kw_only=True)
class SyncState:
    """What a session knows of its client, for the life of one connection.

    Whatever raises leaves all of it as it was.

    Owns: the versions received and sent, the subscriptions, and which requests wait for an answer.
    """

    _phase: Phase = field(default=Phase.NEW, init=False)
    _query_set: QuerySetVersion = field(default=START.query_set, init=False)
    _identity: IdentityVersion = field(default=START.identity, init=False)
    _accepted_identity: IdentityVersion = field(default=START.identity, init=False)
    _sent: Version = field(default=START, init=False)
    _subscriptions: dict[QueryId, Add] = field(factory=dict[QueryId, Add], init=False)
    _unanswered: set[RequestId] = field(factory=set[RequestId], init=False)

    @property
    def phase(self) -> Phase:
        """How far the connection is."""
        return self._phase

    @property
    def query_set(self) -> QuerySetVersion:
        """The last version of the query set that was received."""
        return self._query_set

    @property
    def identity(self) -> IdentityVersion:
        """The last identity version that was received, whether its token is good or not."""
        return self._identity

    @property
    def accepted_identity(self) -> IdentityVersion:
        """The last identity version whose token was found good."""
        return self._accepted_identity

    @property
    def sent(self) -> Version:
        """Where the last transition has brought the client."""
        return self._sent

    @property
    def auth_base_version(self) -> IdentityVersion:
        """The identity version to name in an AuthError: the last that a transition confirmed."""
        return self._sent.identity

    @property
    def subscriptions(self) -> Mapping[QueryId, Add]:
        """The queries that the client watches, each with its newest journal: a live view."""
        return MappingProxyType(self._subscriptions)

    @property
    def unanswered(self) -> AbstractSet[RequestId]:
        """The mutations and actions that wait for their answer: a live view."""
        return self._unanswered

    def receive(self, message: ClientMessage) -> tuple[Intent, ...]:
        """Take one message from the client.

        Returns: what the session is to do, in order.
        Raises: RemoteProtocolError if ``message`` is illegal now; the state is then unchanged.
        Source: the sync protocol, "Versions and the transition chain".
        """
        next_phase = TRANSITIONS.get((self._phase, type(message)))
        if next_phase is None:
            raise RemoteProtocolError(
                f"{type(message).__name__} is no message for a connection that is"
                f" {self._phase.name} ({self._phase.value})."
            )
        intents = self._intents(message)
        self._phase = next_phase
        return intents

    def _intents(self, message: ClientMessage) -> tuple[Intent, ...]:
        match message:
            case Connect():
                return (StartSession(message.session_id, message.max_observed_ts),)
            case ModifyQuerySet():
                return (self._change_queries(message),)
            case Mutation(request_id, path, args, component_path):
                self._expect_answer(request_id)
                return (RunMutation(request_id, path, args, component_path),)
            case Action(request_id, path, args, component_path):
                self._expect_answer(request_id)
                return (RunAction(request_id, path, args, component_path),)
            case Authenticate():
                return (self._change_identity(message),)
            case Event():
                return ()
            case _:
                assert_never(message)

    def _change_queries(self, message: ModifyQuerySet) -> ChangeQueries:
        base, new = message.base_version, message.new_version
        if base != self._query_set:
            raise BaseVersionMismatch(
                f"Base version {base} passed up doesn't match the current version {self._query_set}"
            )
        if new <= base:
            raise RemoteProtocolError(
                f"A query set's version grows: expected one above {base}, but {new} came."
            )
        add, remove = self._edits(message)
        for query_id in remove:
            del self._subscriptions[query_id]
        self._subscriptions.update(add)
        self._query_set = new
        return ChangeQueries(tuple(add.values()), tuple(remove), new)

    def _edits(self, message: ModifyQuerySet) -> tuple[dict[QueryId, Add], list[QueryId]]:
        """Give the net effect of the edits; a query that was added and removed again is in none."""
        add: dict[QueryId, Add] = {}
        # A dict, as a set that keeps its order.
        remove: dict[QueryId, None] = {}
        for modification in message.modifications:
            query_id = modification.query_id
            before_is_live = query_id in self._subscriptions and query_id not in remove
            is_live = query_id in add or before_is_live
            match modification:
                case Add():
                    if is_live:
                        raise RemoteProtocolError(f"The query set holds query {query_id} already.")
                    add[query_id] = modification
                case Remove():
                    if not is_live:
                        raise RemoteProtocolError(f"The query set holds no query {query_id}.")
                    if query_id in add:
                        del add[query_id]
                    else:
                        remove[query_id] = None
                case _:
                    assert_never(modification)
        return add, list(remove)

    def _change_identity(self, message: Authenticate) -> VerifyToken:
        if message.base_version != self._identity:
            raise RemoteProtocolError(
                f"Base identity version {message.base_version} passed up doesn't match the current"
                f" identity version {self._identity}"
            )
        self._identity = IdentityVersion(message.base_version + 1)
        return VerifyToken(message.token, self._identity)

    def _expect_answer(self, request_id: RequestId) -> None:
        if request_id in self._unanswered:
            raise RemoteProtocolError(f"Request {request_id} is running already.")
        self._unanswered.add(request_id)

    def answered(self, request_id: RequestId) -> None:
        """Note that a mutation or an action is answered.

        Raises: LocalProtocolError if it does not wait for an answer. Clients but JavaScript's end a
            connection on which an answer comes twice.
        """
        if request_id not in self._unanswered:
            raise LocalProtocolError(f"Request {request_id} waits for no answer.")
        self._unanswered.remove(request_id)

    def identity_accepted(self, version: IdentityVersion) -> None:
        """Note that the token for this identity version is good.

        Raises: LocalProtocolError unless the version is newer than the last, and was asked for.
        """
        if not self._accepted_identity < version <= self._identity:
            raise LocalProtocolError(
                f"Identity version {version} is not between the accepted {self._accepted_identity}"
                f" and the received {self._identity}."
            )
        self._accepted_identity = version

    def keep_journal(self, query_id: QueryId, journal: str | None) -> None:
        """Keep the journal of a query's newest result, for whoever must subscribe to it again.

        A query that the client has dropped meanwhile is passed over.
        """
        add = self._subscriptions.get(query_id)
        if add is not None and add.journal != journal:
            self._subscriptions[query_id] = evolve(add, journal=journal)

    def advance(self, end: Version) -> Version:
        """Move on to the next transition; it may stay where it is, and identity may skip numbers.

        Returns: the version that it starts at.
        Raises: LocalProtocolError if one would go back, or further than what was received and
            accepted; the client would freeze on it. Nothing has moved then.
        Source: the sync protocol, "Versions and the transition chain".
        """
        start = self._sent
        if self._phase is not _LIVE:
            raise LocalProtocolError(f"A transition on a connection that is {self._phase.name}.")
        if not (
            start.ts <= end.ts <= LAST_TS
            and start.query_set <= end.query_set <= self._query_set
            and start.identity <= end.identity <= self._accepted_identity
        ):
            raise LocalProtocolError(
                f"A transition from {start} to {end}; at most query set {self._query_set} and "
                f"identity {self._accepted_identity} are possible."
            )
        self._sent = end
        return start

    def close(self) -> None:
        """Take and send nothing more; closing twice is harmless. Answers may still come in."""
        self._phase = Phase.CLOSED
