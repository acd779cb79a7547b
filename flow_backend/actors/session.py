"""A client's session: it performs what the protocol's state decides."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, assert_never

import structlog
import trio
from attrs import define, field

from flow_backend.actors.blame import shown
from flow_backend.actors.gate import Gate
from flow_backend.actors.mailbox import Mailbox
from flow_backend.actors.messages.calls import Call, SessionKey
from flow_backend.actors.messages.to_action import ActionDone
from flow_backend.actors.messages.to_action import RunAction as TellAction
from flow_backend.actors.messages.to_mutation import (
    MarkPast,
    MutationDone,
    MutationMessage,
    NotDone,
)
from flow_backend.actors.messages.to_mutation import RunMutation as TellMutation
from flow_backend.actors.messages.to_query import (
    CatchUp,
    ChangeIdentity,
    CloseSession,
    OpenSession,
    QueryMessage,
    Resubscribe,
    Round,
)
from flow_backend.actors.messages.to_query import ChangeQueries as TellQueries
from flow_backend.actors.outbox import Outbox, TextFrame
from flow_backend.actors.outstanding import LIGHT_BYTES, SessionLimits, Weights
from flow_backend.actors.transport import Disconnected, Frame, Transport
from flow_backend.errors import (
    AuthRejected,
    AuthUnavailable,
    BaseVersionMismatch,
    MalformedMessage,
    MessageTooLarge,
    Overloaded,
    RemoteProtocolError,
)
from flow_backend.functions.context import NOBODY, Caller
from flow_backend.storage.base import Done, RequestKey
from flow_backend.sync import codec
from flow_backend.sync.client_identity import ClientIdentity
from flow_backend.sync.messages import (
    Arguments,
    ChangeQueries,
    Intent,
    ModifyQuerySet,
    RequestId,
    RunAction,
    RunMutation,
    SessionId,
    StartSession,
    Token,
    VerifyToken,
)
from flow_backend.sync.state import Phase, SyncState
from flow_backend.values.timestamp import NO_COMMIT, CommitTs
from flow_backend.values.value import JsonValue

logger = structlog.get_logger()

# Looking a member up in its enum costs more than the comparison with it.
_NEW: Final = Phase.NEW
GOING_AWAY = 1001
TOO_LARGE = 1009
INTERNAL = 1011
TRY_LATER = 1013
_QUERIES_KEPT = 10


@define(frozen=True)
class Authenticated:
    """Who a token says the client is, and until when (seconds since the epoch, None for ever).

    ``admin_key`` is the key that it showed, if it is an admin: that may be revoked at any time.
    """

    caller: Caller
    expires_at: float | None = None
    admin_key: str | None = field(default=None, repr=False)


SessionMessage = MutationDone | ActionDone | NotDone | Round | Resubscribe


@define(kw_only=True, eq=False)
class SessionActor:
    """Speaks the sync protocol with one client, for the life of one connection.

    In:   messages from the socket; MutationDone, ActionDone, NotDone, Round and Resubscribe.
    Out:  RunMutation and MarkPast to the MutationActor, RunAction to the ActionActor, queries and
          identity to the QueryActor; frames to the socket.
    Owns: the socket, the protocol's state, and what waits to be written. ``newest_of`` is shared by
        all sessions: the newest connection of each client.
    """

    key: SessionKey
    transport: Transport
    client: ClientIdentity
    mutations: Mailbox[MutationMessage]
    queries: Mailbox[QueryMessage]
    actions: Mailbox[TellAction]
    authenticate: Callable[[Token], Awaitable[Authenticated]]
    outbox: Outbox
    text_frame: TextFrame
    newest_ts: Callable[[], CommitTs]
    now_ns: Callable[[], int]
    limits: SessionLimits = field(factory=SessionLimits)
    gate: Gate = field(factory=Gate)
    newest_of: dict[SessionId, SessionKey] = field(factory=dict[SessionId, SessionKey])
    on_crash: Callable[[], None] = lambda: None
    state: SyncState = field(factory=SyncState)
    caller: Caller = NOBODY
    session_id: SessionId | None = None
    admin_key: str | None = field(default=None, repr=False)
    _expires_at: float | None = None
    _answers: deque[MutationDone | ActionDone] = field(factory=deque[MutationDone | ActionDone])
    _round: Round | None = None
    _is_ready: bool = False
    _takes_chunks: bool = field(init=False)
    _mutations_out: int = 0
    _actions_out: int = 0
    _weights: Weights = field(init=False)
    _room: trio.Event = field(factory=trio.Event)
    _ended: bool = False
    _is_closing: bool = False
    _awaits_drain: bool = False
    _observed_ts: CommitTs = NO_COMMIT

    def __attrs_post_init__(self) -> None:
        self._takes_chunks = self.client.takes_chunks
        self._weights = Weights(self.limits.query_bytes)

    # --- From the client -------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the client until its connection ends."""
        self.queries.put(OpenSession(self.key, self))
        # While it waits for room it reads nothing, and would not see the client go.
        self.transport.when_closed(self._stop_waiting)
        try:
            await self._serve()
        except Disconnected:
            pass
        except (MalformedMessage, BaseVersionMismatch) as error:
            self.transport.push(self.text_frame([codec.fatal_error(f"{error.code}: {error}")]))
            self.transport.close(1000, error.code)
        except RemoteProtocolError as error:
            logger.info("a client broke the protocol", client=str(self.client), error=str(error))
            if isinstance(error, MessageTooLarge):
                self.transport.close(TOO_LARGE, error.code)
            self.transport.close(INTERNAL, "InternalServerError")
        except (Overloaded, trio.TooSlowError):
            self.transport.close(TRY_LATER, Overloaded.code)
        except AuthUnavailable:
            self.transport.close(INTERNAL, "InternalServerError")
        finally:
            self._end()

    def _end(self) -> None:
        self._ended = True
        self.state.close()
        if self.session_id is not None and self.newest_of.get(self.session_id) == self.key:
            del self.newest_of[self.session_id]
        self.queries.put(CloseSession(self.key))

    async def _serve(self) -> None:
        while True:
            await self._wait_room()
            frame = await self.transport.receive()
            message = codec.parse_client_message(frame)
            intents = self.state.receive(message)
            if len(frame) > LIGHT_BYTES:
                self._weights.add(message, len(frame))
            elif isinstance(message, ModifyQuerySet):
                self._weights.removed(message)
            for intent in intents:
                await self._perform(intent)

    async def _perform(self, intent: Intent) -> None:
        match intent:
            case StartSession(session_id, observed_ts):
                await self._start(session_id, observed_ts)
            case ChangeQueries(add, remove, query_set):
                if add:
                    self.gate.check()
                    self._check_queries()
                self.queries.put(TellQueries(self.key, add, remove, query_set))
            case RunMutation(request_id, path, args, component):
                self.gate.check()
                await self._mutate(request_id, _in_component(path, component), args)
            case RunAction(request_id, path, args, component):
                self.gate.check()
                self._actions_out += 1
                call = Call(_in_component(path, component), _wire(args), self._caller_now())
                with trio.fail_after(self.limits.mailbox_seconds):
                    await self.actions.send(TellAction(call, self, request_id))
            case VerifyToken(token, version):
                await self._verify(token)
                self.state.identity_accepted(version)
                self.queries.put(ChangeIdentity(self.key, self.caller, version))
            case _:
                assert_never(intent)

    def _check_queries(self) -> None:
        # What is too many fails query by query; but each that failed is kept as well.
        most = _QUERIES_KEPT * self.limits.queries
        if len(self.state.subscriptions) > most:
            raise RemoteProtocolError(
                f"This client opens queries without end: at most {self.limits.queries} can be "
                f"live, and it has come to {len(self.state.subscriptions)}."
            )

    async def _start(self, session_id: SessionId, observed_ts: CommitTs | None) -> None:
        self.session_id = session_id
        self.newest_of[session_id] = self.key
        if observed_ts is None or observed_ts <= self.newest_ts():
            return
        # The client has seen more than this database has: it was restored from a backup.
        if observed_ts > self.now_ns() + self.limits.ahead_ns:
            raise RemoteProtocolError(
                f"The client has seen timestamp {observed_ts}, which lies in the future."
            )
        # Until the marker is there, nothing is shown: the client's time would go back.
        self._observed_ts = observed_ts
        with trio.fail_after(self.limits.mailbox_seconds):
            await self.mutations.send(MarkPast(observed_ts, self.key, self))

    async def _mutate(self, request_id: RequestId, path: str, args: Arguments) -> None:
        self._mutations_out += 1
        assert self.session_id is not None, "a mutation before Connect is refused by the state"
        if self.newest_of.get(self.session_id) != self.key:
            # The client has given this socket up for a newer one, and sends there what it still
            # wants. It may have been told there that this very change was refused, which leaves no
            # record: what comes late here must not be made after all.
            self.transport.close(TRY_LATER, Overloaded.code)
            raise Disconnected
        message = TellMutation(
            Call(path, _wire(args), self._caller_now()),
            self,
            request_id,
            RequestKey(self.session_id, request_id),
            self.key,
        )
        if len(self.mutations) < self.mutations.capacity:
            self.mutations.put(message)
            return
        with trio.fail_after(self.limits.mailbox_seconds):
            await self.mutations.wait_room()
        if self._is_closing:
            raise Disconnected  # One before it was perhaps not done; it must not overtake that.
        self.mutations.put(message)

    async def _verify(self, token: Token) -> None:
        try:
            found = await self.authenticate(token)
        except AuthRejected as error:
            self._refuse_identity(str(error), attempted=True)
            raise Disconnected from error
        self.caller, self._expires_at = found.caller, found.expires_at
        self.admin_key = found.admin_key

    def _caller_now(self) -> Caller:
        """Give who the client is, unless its token has meanwhile run out."""
        if self._expires_at is not None and self.now_ns() > self._expires_at * 1e9:
            self._refuse_identity("Convex token identity expired", attempted=False)
            raise Disconnected
        return self.caller

    def _refuse_identity(self, error: str, *, attempted: bool) -> None:
        base = self.state.auth_base_version
        self.transport.push(self.text_frame([codec.auth_error(error, base, attempted=attempted)]))
        self.transport.close(1000, "")

    async def _wait_room(self) -> None:
        """Read no further while the client has too much outstanding."""
        while not (self._is_closing or self._has_room()):
            self._room = trio.Event()
            self._look_for_room()
            await self._room.wait()

    def _look_for_room(self) -> None:
        """Let the reading side go on, now or when the socket has taken what holds it up."""
        if self._has_room():
            self._room.set()
        elif self.transport.unsent_bytes > self.limits.unsent_bytes:
            self._await_drain()

    def _has_room(self) -> bool:
        return (
            self._mutations_out < self.limits.mutations
            and self._actions_out < self.limits.actions
            and self._weights.unanswered_bytes < self.limits.request_bytes
            and self.state.query_set - self.state.sent.query_set < self.limits.edits
            and self.transport.unsent_bytes <= self.limits.unsent_bytes
        )

    # --- To the client ---------------------------------------------------------------------------

    def put(self, message: SessionMessage) -> None:
        """Take what leads back to the client. Never waits; an unread round merges with the next."""
        if self._ended:
            return
        match message:
            case Round():
                if self.state.phase is _NEW:
                    return  # All were to be told something; it has not even said Connect.
                self._round = message if self._round is None else self._round.merged(message)
            case MutationDone():
                self._mutations_out -= 1
                self._weights.answered(message.request_id)
                self._answers.append(message)
                self._be_ready(awaits_round=True)
                return
            case ActionDone():
                self._actions_out -= 1
                self._weights.answered(message.request_id)
                self._answers.append(message)
                # Official clients of other languages wait for a transition after any answer.
                self.queries.put(CatchUp(self.key))
            case NotDone():
                # The client sends it again on its next connection, under the same id.
                self.transport.close(TRY_LATER, Overloaded.code)
                return
            case Resubscribe():
                self._resubscribe()
                return
            case _:
                assert_never(message)
        self._be_ready()

    def _be_ready(self, *, awaits_round: bool = False) -> None:
        if not self._is_ready:
            self._is_ready = True
            self.outbox.ready(self, awaits_round=awaits_round)

    def _resubscribe(self) -> None:
        """Tell a new QueryActor all that the client has open."""
        state = self.state
        self.queries.put(
            OpenSession(
                self.key,
                self,
                self.caller,
                state.accepted_identity,
                state.query_set,
                tuple(state.subscriptions.values()),
                # Before its Connect a client has said nothing, and may be told nothing.
                wants_round=state.phase is Phase.LIVE,
            )
        )

    def flush(self) -> None:
        """Write answers, then the round, as far as the socket takes them."""
        self._is_ready = False
        if self._ended:
            return
        # What goes together is written together: it is one system call.
        frame: Frame = ()
        while self._answers:
            # Before the round, so that no transition overtakes the answer that it goes with.
            frame += self.text_frame([self._answer(self._answers.popleft())])
        done = self._round
        if done is not None and done.version.ts >= self._observed_ts:
            if self.transport.unsent_bytes:
                # The next transition covers all that comes until the client has read this one.
                self._await_drain()
            else:
                self._round = None
                frame += self._transition(done)
        if frame:
            self.transport.push(frame)
        if not self._room.is_set():
            self._look_for_room()

    def _await_drain(self) -> None:
        if not self._awaits_drain:
            self._awaits_drain = True
            self.transport.when_drained(self._drained)

    def _drained(self) -> None:
        self._awaits_drain = False
        self._be_ready()

    def _answer(self, message: MutationDone | ActionDone) -> bytes:
        request_id = message.request_id
        assert request_id is not None, message
        self.state.answered(request_id)
        if isinstance(message, MutationDone):
            outcome = message.outcome
            result = outcome.result
            if isinstance(result, Done):
                ts = outcome.ts if outcome.ts is not None else NO_COMMIT
                return codec.mutation_response(request_id, result.result, ts, result.log_lines)
            return codec.mutation_failed(request_id, result.message, result.log_lines, result.data)
        result = message.result
        if isinstance(result, Done):
            return codec.action_response(request_id, result.result, result.log_lines)
        return codec.action_failed(request_id, result.message, result.log_lines, result.data)

    def _transition(self, done: Round) -> Frame:
        state = self.state
        start = state.advance(done.version)
        self._weights.covered(done.version.query_set)
        for query_id, result in done.changes.items():
            if result.journal is not None:
                state.keep_journal(query_id, result.journal)
        frame = self.outbox.frames.transition(start, done)
        if self._takes_chunks and _size(frame) > self.limits.chunk_bytes:
            return self.outbox.frames.chunks(start, done, self.limits.chunk_bytes)
        return frame

    def crash(self, error: Exception) -> None:
        """End with an internal error: the client reconnects and begins anew."""
        # Its text may quote what the client has sent.
        logger.error("a session failed", error=shown(error))
        self.on_crash()
        self.transport.close(INTERNAL, "InternalServerError")
        self._end()

    def _stop_waiting(self) -> None:
        """Let the reading side find out that the connection was closed."""
        self._is_closing = True
        self._room.set()

    def expire(self) -> None:
        """End, if the client's token has run out: what it may see is seen no longer."""
        if self._ended or self._expires_at is None:
            return
        if self.now_ns() > self._expires_at * 1e9:
            self._refuse_identity("Convex token identity expired", attempted=False)
            self._ended = True

    def revoke(self) -> None:
        """End, since the client's admin key is one no more."""
        if not self._ended:
            said = "This admin key was revoked. `flow key create` makes another."
            self._refuse_identity(said, attempted=False)
            self._ended = True

    def go_away(self) -> None:
        """Close, since the server stops."""
        self.transport.close(GOING_AWAY, "")


def _size(frame: Frame) -> int:
    # A short one is of one part, and a fan-out asks for each client.
    return len(frame[0]) if len(frame) == 1 else sum(map(len, frame))


def _in_component(path: str, component: str | None) -> str:
    # There are no components here: a path inside one is the path of no function.
    return f"{component}/{path}" if component else path


def _wire(args: Arguments) -> JsonValue:
    # What is no object is refused by the function, as wrong arguments are.
    return args if isinstance(args, dict) else None
