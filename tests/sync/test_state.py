"""What a message means now, and what may be sent: against a naive model, and by example."""

from collections.abc import Callable
from copy import deepcopy

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from flow_backend.errors import (
    BaseVersionMismatch,
    FlowError,
    LocalProtocolError,
    RemoteProtocolError,
)
from flow_backend.sync.messages import (
    START,
    Action,
    Add,
    Authenticate,
    BadArguments,
    ChangeQueries,
    ClientMessage,
    Connect,
    Event,
    IdentityVersion,
    ModifyQuerySet,
    Mutation,
    NoToken,
    QueryId,
    QuerySetVersion,
    Remove,
    RequestId,
    RunAction,
    RunMutation,
    SessionId,
    StartSession,
    UserToken,
    VerifyToken,
    Version,
)
from flow_backend.sync.state import SyncState, transitions_diagram
from flow_backend.values.timestamp import CommitTs

CONNECT = Connect(SessionId("7f0c1c52-9a39-4c0c-8a53-0b2a0f5f1c11"), 0, "InitialConnect", None)

_SMALL = st.integers(0, 4)
_ADDS = st.builds(
    Add, _SMALL.map(QueryId), st.sampled_from(["m:f", "m:g"]), st.just(BadArguments("none"))
)
_EDITS = st.lists(_ADDS | st.builds(Remove, _SMALL.map(QueryId)), max_size=4).map(tuple)


def _edit(base: int, new: int, *modifications: Add | Remove) -> ModifyQuerySet:
    return ModifyQuerySet(QuerySetVersion(base), QuerySetVersion(new), modifications)


def _add(query_id: int, journal: str | None = None) -> Add:
    return Add(QueryId(query_id), "m:f", {}, journal)


def _live_state() -> SyncState:
    state = SyncState()
    state.receive(CONNECT)
    return state


def _advance(state: SyncState, ts: int, query_set: int, identity: int) -> tuple[Version, Version]:
    end = Version(QuerySetVersion(query_set), CommitTs(ts), IdentityVersion(identity))
    return state.advance(end), end


class SyncStateAgainstModel(RuleBasedStateMachine):
    """Every move is tried, legal or not; the model says which it is, and what is true then.

    The model keeps the state of a session that does what the intents say, beside the rules applied
    one edit at a time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.state = SyncState()
        self.phase = "NEW"
        self.query_set = 0
        self.identity = 0
        self.accepted = 0
        self.sent = (0, 0, 0)
        self.live: dict[int, Add] = {}
        self.session: dict[int, Add] = {}
        self.running: set[int] = set()

    def _try(self, legal: bool, error: type[FlowError], move: Callable[[], object]) -> bool:
        """Make a move; an illegal one must raise and leave everything as it was."""
        if legal:
            return True
        before = deepcopy(self.state)
        with pytest.raises(error):
            move()
        assert self.state == before
        return False

    def _receive(self, message: ClientMessage, legal: bool) -> bool:
        return self._try(legal, RemoteProtocolError, lambda: self.state.receive(message))

    @rule()
    def connect(self) -> None:
        if self._receive(CONNECT, self.phase == "NEW"):
            assert self.state.receive(CONNECT) == (StartSession(CONNECT.session_id, None),)
            self.phase = "LIVE"

    @rule()
    def event(self) -> None:
        if self._receive(Event("any"), self.phase != "CLOSED"):
            assert self.state.receive(Event("any")) == ()

    @rule(base_off=st.sampled_from([0, 0, 0, -1, 1]), step=_SMALL, edits=_EDITS)
    def modify(self, base_off: int, step: int, edits: tuple[Add | Remove, ...]) -> None:
        base = self.query_set + base_off
        after = dict(self.live)
        legal = self.phase == "LIVE" and base_off == 0 and step > 0
        for one in edits:
            legal = legal and (one.query_id in after) == isinstance(one, Remove)
            if isinstance(one, Add):
                after[one.query_id] = one
            else:
                after.pop(one.query_id, None)
        message = _edit(base, base + step, *edits)
        if self._receive(message, legal):
            (intent,) = self.state.receive(message)
            assert isinstance(intent, ChangeQueries)
            assert intent.query_set == base + step
            for query_id in intent.remove:
                del self.session[query_id]  # A KeyError: the session never had it.
            for add in intent.add:
                assert add.query_id not in self.session
                self.session[add.query_id] = add
            self.live = after
            self.query_set += step

    @rule(request=_SMALL.map(RequestId), mutates=st.booleans())
    def request(self, request: RequestId, mutates: bool) -> None:
        message = Mutation(request, "m:f", {}) if mutates else Action(request, "m:f", {})
        if self._receive(message, self.phase == "LIVE" and request not in self.running):
            intent = RunMutation(request, "m:f", {}) if mutates else RunAction(request, "m:f", {})
            assert self.state.receive(message) == (intent,)
            self.running.add(request)

    @rule(request=_SMALL.map(RequestId))
    def answer(self, request: RequestId) -> None:
        legal = request in self.running
        if self._try(legal, LocalProtocolError, lambda: self.state.answered(request)):
            self.state.answered(request)
            self.running.remove(request)

    @rule(off=st.sampled_from([0, 0, -1, 1]), token=st.sampled_from([NoToken(), UserToken("a.b")]))
    def authenticate(self, off: int, token: NoToken | UserToken) -> None:
        message = Authenticate(IdentityVersion(self.identity + off), token)
        if self._receive(message, self.phase == "LIVE" and off == 0):
            self.identity += 1
            intent = VerifyToken(token, IdentityVersion(self.identity))
            assert self.state.receive(message) == (intent,)

    @rule(version=_SMALL.map(IdentityVersion))
    def accept(self, version: IdentityVersion) -> None:
        legal = self.accepted < version <= self.identity
        if self._try(legal, LocalProtocolError, lambda: self.state.identity_accepted(version)):
            self.state.identity_accepted(version)
            self.accepted = version

    @rule(ts=st.integers(-1, 2), query_set=st.integers(-2, 1), identity=st.integers(-2, 1))
    def advance(self, ts: int, query_set: int, identity: int) -> None:
        to = (self.query_set + query_set, self.sent[1] + ts, self.accepted + identity)
        legal = (
            self.phase == "LIVE"
            and ts >= 0
            and self.sent[0] <= to[0] <= self.query_set
            and self.sent[2] <= to[2] <= self.accepted
        )
        if self._try(legal, LocalProtocolError, lambda: _advance(self.state, to[1], to[0], to[2])):
            start, end = _advance(self.state, to[1], to[0], to[2])
            assert (start.query_set, start.ts, start.identity) == self.sent
            assert (end.query_set, end.ts, end.identity) == to
            self.sent = to

    @rule(query_id=_SMALL.map(QueryId), journal=st.sampled_from([None, "a", "b"]))
    def keep_journal(self, query_id: QueryId, journal: str | None) -> None:
        self.state.keep_journal(query_id, journal)
        if old := self.live.get(query_id):
            new = Add(query_id, old.path, old.args, journal)
            self.live[query_id] = self.session[query_id] = new

    @rule()
    def illegal(self) -> None:
        """Whatever the phase, one message that it does not allow."""
        self._receive(_edit(0, 1) if self.phase == "NEW" else CONNECT, legal=False)

    @rule(really=st.integers(0, 9))
    def close(self, really: int) -> None:
        if really == 0:
            self.state.close()
            self.phase = "CLOSED"

    @invariant()
    def the_state_is_the_model(self) -> None:
        state = self.state
        assert state.phase.name == self.phase
        assert state.subscriptions == self.live == self.session
        assert state.unanswered == self.running
        assert (state.query_set, state.identity) == (self.query_set, self.identity)
        assert state.accepted_identity == self.accepted
        assert (state.sent.query_set, state.sent.ts, state.sent.identity) == self.sent
        assert state.auth_base_version == self.sent[2]


TestSyncStateAgainstModel = SyncStateAgainstModel.TestCase
TestSyncStateAgainstModel.settings = settings(max_examples=40, stateful_step_count=30)
TestSyncStateAgainstModel = pytest.mark.slow(TestSyncStateAgainstModel)


def test_nothing_runs_before_the_client_said_who_it_is() -> None:
    """Without a session id a mutation that is sent twice would run twice."""
    state = SyncState()

    with pytest.raises(RemoteProtocolError, match=r"Mutation .* NEW"):
        state.receive(Mutation(RequestId(0), "m:f", {}))

    assert state == SyncState()


def test_a_mutation_may_come_before_any_query() -> None:
    """Python's client sends no query set as long as it watches nothing."""
    state = _live_state()

    assert state.receive(Mutation(RequestId(0), "m:f", {})) == (
        RunMutation(RequestId(0), "m:f", {}),
    )


def test_a_wrong_base_version_is_told_as_clients_know_it() -> None:
    state = _live_state()
    state.receive(_edit(0, 4))

    with pytest.raises(
        BaseVersionMismatch,
        match=r"^Base version 3 passed up doesn't match the current version 4$",
    ):
        state.receive(_edit(3, 5))


@pytest.mark.parametrize(
    "message",
    [
        _edit(1, 1),
        _edit(1, 0),
        _edit(1, 2, _add(0)),
        _edit(1, 2, _add(1), _add(1)),
        _edit(1, 2, Remove(QueryId(1))),
        _edit(1, 2, Remove(QueryId(0)), Remove(QueryId(0))),
        Authenticate(IdentityVersion(1), NoToken()),
        Mutation(RequestId(0), "m:f", {}),
        CONNECT,
    ],
)
def test_an_illegal_message_is_no_base_version_mismatch(message: ClientMessage) -> None:
    """That one ends a JavaScript client for good; these close a socket, and it comes back."""
    state = _live_state()
    state.receive(_edit(0, 1, _add(0)))
    state.receive(Action(RequestId(0), "m:f", {}))
    before = deepcopy(state)

    with pytest.raises(RemoteProtocolError) as raised:
        state.receive(message)

    assert type(raised.value) is RemoteProtocolError
    assert state == before


def test_a_query_that_came_and_went_in_one_message_is_not_told() -> None:
    state = _live_state()

    (intent,) = state.receive(_edit(0, 1, _add(0), Remove(QueryId(0))))

    assert intent == ChangeQueries((), (), QuerySetVersion(1))


def test_a_query_id_that_is_taken_up_again_is_dropped_first() -> None:
    """Its second query may be another one."""
    state = _live_state()
    state.receive(_edit(0, 1, _add(0)))
    again = Add(QueryId(0), "m:other", {})

    (intent,) = state.receive(_edit(1, 2, Remove(QueryId(0)), again))

    assert intent == ChangeQueries((again,), (QueryId(0),), QuerySetVersion(2))
    assert state.subscriptions == {QueryId(0): again}


def test_the_newest_journal_is_told_to_whoever_subscribes_again() -> None:
    """Else a page would end elsewhere after a crash, with a gap before the next page."""
    state = _live_state()
    state.receive(_edit(0, 1, _add(0, "old")))

    state.keep_journal(QueryId(0), "new")
    state.keep_journal(QueryId(9), "of a query that is gone")

    assert state.subscriptions == {QueryId(0): _add(0, "new")}


def test_identity_may_skip_a_number_but_is_never_ahead_of_its_check() -> None:
    """A client takes the transition for the word that its token is good."""
    state = _live_state()
    state.receive(Authenticate(IdentityVersion(0), UserToken("a")))
    state.receive(Authenticate(IdentityVersion(1), UserToken("b")))
    state.identity_accepted(IdentityVersion(1))

    with pytest.raises(LocalProtocolError, match="identity=2"):
        _advance(state, 5, 0, 2)
    state.identity_accepted(IdentityVersion(2))

    assert _advance(state, 5, 0, 2) == (
        START,
        Version(QuerySetVersion(0), CommitTs(5), IdentityVersion(2)),
    )
    assert state.auth_base_version == 2


def test_a_transition_may_stay_where_it_is() -> None:
    """A mutation that changed nothing resolves by it."""
    state = _live_state()
    _advance(state, 5, 0, 0)

    start, end = _advance(state, 5, 0, 0)

    assert start == end


def test_an_answer_may_come_in_after_the_end() -> None:
    state = _live_state()
    state.receive(Mutation(RequestId(0), "m:f", {}))

    state.close()
    state.answered(RequestId(0))

    assert not state.unanswered
    with pytest.raises(LocalProtocolError, match="CLOSED"):
        _advance(state, 1, 0, 0)


def test_the_diagram_shows_every_transition() -> None:
    diagram = transitions_diagram()

    assert diagram == (
        "stateDiagram-v2\n"
        "    [*] --> NEW\n"
        "    NEW --> LIVE: Connect\n"
        "    NEW --> NEW: Event\n"
        "    LIVE --> LIVE: ModifyQuerySet, Mutation, Action, Authenticate, Event\n"
        "    NEW --> CLOSED: close\n"
        "    LIVE --> CLOSED: close\n"
        "    CLOSED --> [*]\n"
    )
