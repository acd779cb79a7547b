"""What the client says and makes of what it is told, message by message."""

import logging
from typing import Any

import orjson
import pytest

from flow_backend.client.outcome import Success, log_function
from flow_backend.client.requests import Settled
from flow_backend.client.state import Changed, ClientState, Confirmed, Ended, Event, Logged, Refused
from flow_backend.errors import MalformedMessage
from flow_backend.values.timestamp import CommitTs, encode_ts

SESSION = "7f0c1c52-9a39-4c0c-8a53-0b2a0f5f1c11"
Message = dict[str, Any]


def said(state: ClientState) -> list[Message]:
    """What waits to be sent; it is sent now."""
    messages = [orjson.loads(each) for each in state.outgoing]
    state.outgoing.clear()
    return messages


def begun(state: ClientState | None = None) -> ClientState:
    state = state or ClientState(SESSION)
    state.begin("InitialConnect")
    said(state)
    return state


def version(state: ClientState, ts: int | None = None, **others: int) -> Message:
    now = state.version
    return {
        "querySet": others.get("query_set", now.query_set),
        "ts": encode_ts(now.ts if ts is None else CommitTs(ts)),
        "identity": others.get("identity", now.identity),
    }


def transition(state: ClientState, ts: int, *changes: Message, **others: int) -> list[Event]:
    return state.receive(
        orjson.dumps(
            {
                "type": "Transition",
                "startVersion": version(state),
                "endVersion": version(state, ts, **others),
                "modifications": changes,
            }
        )
    )


def updated(query_id: int, value: object, journal: str | None = None) -> Message:
    return {
        "type": "QueryUpdated",
        "queryId": query_id,
        "value": value,
        "logLines": [],
        "journal": journal,
    }


def answer(state: ClientState, request_id: int, ts: int, kind: str = "Mutation") -> list[Event]:
    fields = {"requestId": request_id, "success": True, "result": None, "logLines": []}
    return state.receive(
        orjson.dumps({"type": f"{kind}Response", **fields, "ts": encode_ts(CommitTs(ts))})
    )


def refused(base: int, *, attempted: bool) -> bytes:
    fields = {"error": "no", "baseVersion": base, "authUpdateAttempted": attempted}
    return orjson.dumps({"type": "AuthError", **fields})


def test_a_new_connection_says_everything_again_in_order() -> None:
    """The session stays the same, and so do the numbers of queries and requests."""
    state = ClientState(SESSION)
    state.authenticate({"tokenType": "User", "value": "t"})
    query = state.open("counters:get", {"name": "a"})
    requests = [state.request("Mutation", "m:f", {"n": float(n)}) for n in range(3)]
    assert said(state) == []

    state.begin("InitialConnect")
    first = said(state)
    transition(state, 5, updated(query.id, 1.0, "journal"), query_set=1, identity=1)
    answer(state, requests[0].id, 5)
    state.lost()
    state.begin("closed with code 1006")
    second = said(state)

    kinds = ["Connect", "Authenticate", "ModifyQuerySet", "Mutation", "Mutation", "Mutation"]
    assert [each["type"] for each in first] == kinds
    # The first was answered, but no transition has shown it yet: so it is asked again.
    assert [each["type"] for each in second] == kinds
    assert [each["requestId"] for each in second[3:]] == [0, 1, 2]
    assert [each["sessionId"] for each in (first[0], second[0])] == [SESSION] * 2
    assert [each["connectionCount"] for each in (first[0], second[0])] == [0, 1]
    assert "maxObservedTimestamp" not in first[0]
    assert second[0]["maxObservedTimestamp"] == encode_ts(CommitTs(5))
    assert second[0]["lastCloseReason"] == "closed with code 1006"
    assert (second[1]["baseVersion"], second[2]["baseVersion"]) == (0, 0)
    (added,) = second[2]["modifications"]
    assert (added["queryId"], added["journal"]) == (query.id, "journal")


def test_a_mutation_is_settled_by_the_transition_that_shows_it() -> None:
    state = begun()
    request = state.request("Mutation", "m:f", {})

    assert answer(state, request.id, 50) == []
    assert transition(state, 49, query_set=1) == []
    assert transition(state, 50) == [Settled(request, Success(None))]
    assert state.requests.pending == {}
    # What is told twice counts once.
    assert answer(state, request.id, 50) == []


def test_a_mutation_whose_effect_was_shown_before_its_second_answer_is_settled() -> None:
    state = begun()
    request = state.request("Mutation", "m:f", {})
    answer(state, request.id, 50)
    state.lost()
    begun(state)

    assert transition(state, 60, query_set=1) == [Settled(request, Success(None))]
    assert answer(state, request.id, 50) == []


def test_an_action_is_sent_once() -> None:
    """Nobody knows how far it came, so it is neither sent again nor awaited."""
    state = begun()
    action = state.request("Action", "a:f", {})
    mutation = state.request("Mutation", "m:f", {})

    assert state.lost() == [Settled(action, None)]
    waiting = state.request("Action", "a:g", {})
    state.begin(None)

    asked = [each["requestId"] for each in said(state) if "requestId" in each]
    assert asked == [mutation.id, waiting.id]


def test_a_result_that_a_new_connection_tells_again_is_no_new_one() -> None:
    state = begun()
    query = state.open("q:f", {})
    transition(state, 5, updated(query.id, {"a": True}), query_set=2)
    state.lost()
    begun(state)
    assert not query.fresh

    transition(state, 6, updated(query.id, {"a": True}), query_set=1)
    assert (query.fresh, query.changes) == (True, 1)
    state.lost()
    begun(state)
    # To Python 1.0 is True; to a reader it is another result.
    events = transition(state, 7, updated(query.id, {"a": 1.0}), query_set=1)

    assert events == [Changed((query,))]
    assert query.changes == 2


def test_synced_says_that_all_that_is_older_is_answered() -> None:
    """Only then is the wait before the next try short again."""
    state = ClientState(SESSION)
    state.authenticate({"tokenType": "User", "value": "t"})
    query = state.open("q:f", {})
    request = state.request("Mutation", "m:f", {})
    state.begin(None)

    synced = [state.synced]
    transition(state, 5, updated(query.id, 1.0), query_set=1)
    synced.append(state.synced)
    transition(state, 6, identity=1)
    synced.append(state.synced)
    answer(state, request.id, 6)
    transition(state, 7)
    synced.append(state.synced)

    assert synced == [False, False, False, True]


def test_parts_are_put_together() -> None:
    state = begun()
    query = state.open("q:f", {})
    whole = orjson.dumps(
        {
            "type": "Transition",
            "startVersion": version(state),
            "endVersion": version(state, 9, query_set=2),
            "modifications": [updated(query.id, "ü" * 10)],
        }
    ).decode()
    third = len(whole) // 3
    pieces = [whole[:third], whole[third : 2 * third], whole[2 * third :]]

    def part(number: int, transition_id: str = "t") -> bytes:
        fields = {"chunk": pieces[number], "partNumber": number, "totalParts": 3}
        return orjson.dumps({"type": "TransitionChunk", **fields, "transitionId": transition_id})

    assert state.receive(part(0)) == state.receive(part(1)) == []
    assert state.receive('{"type":"Ping"}') == []
    assert state.receive(part(2)) == [Changed((query,))]
    for second in (part(2), part(1, "other")):
        state.receive(part(0))
        with pytest.raises(MalformedMessage):
            state.receive(second)
        state.lost()
        begun(state)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"type":"Ponder"}',
        b'{"type":"Transition"}',
        b'{"type":"MutationResponse","requestId":0,"success":true,"logLines":[]}',
        b'{"type":"MutationResponse","requestId":0,"success":false,"result":7,"logLines":[]}',
        b'{"type":"MutationResponse","requestId":[],"success":false}',
        b"\xff\xff",
    ],
)
def test_what_is_no_message_ends_the_connection(text: bytes) -> None:
    state = begun()
    state.request("Mutation", "m:f", {})

    with pytest.raises(MalformedMessage):
        state.receive(text)


def test_a_transition_that_does_not_follow_the_last_ends_the_connection() -> None:
    state = begun()
    transition(state, 5, query_set=1)
    later = orjson.dumps(
        {
            "type": "Transition",
            "startVersion": version(state, 6),
            "endVersion": version(state, 7),
            "modifications": [],
        }
    )

    with pytest.raises(MalformedMessage, match="at Version"):
        state.receive(later)


def test_errors_of_tokens_that_are_not_the_newest_are_passed_over() -> None:
    state = ClientState(SESSION)
    state.authenticate({"tokenType": "User", "value": "first"})
    state.begin(None)
    assert transition(state, 5, query_set=1, identity=1) == [Confirmed()]

    # It expires; no other is under way.
    assert state.receive(refused(1, attempted=False)) == [Refused("no")]
    state.authenticate({"tokenType": "User", "value": "second"})
    # It expires while another one is under way.
    assert state.receive(refused(1, attempted=False)) == []
    state.authenticate({"tokenType": "User", "value": "third"})
    assert state.receive(refused(1, attempted=True)) == []
    assert state.receive(refused(2, attempted=True)) == [Refused("no")]


def test_what_functions_log_is_logged_here(caplog: pytest.LogCaptureFixture) -> None:
    """At the level that it was logged at there; a query's lines come with its result."""
    caplog.set_level(logging.DEBUG, "flow_backend.client.functions")
    state = begun()
    query = state.open("q:f", {})
    lines = ["[LOG] 'a'", "[WARN] 'b'", "[ERROR] 'c'", "[DEBUG] 'd'", "e"]

    logged, _ = transition(state, 5, {**updated(query.id, 1.0), "logLines": lines}, query_set=2)

    assert logged == Logged("q:f", tuple(lines))
    log_function("q:f", lines)
    assert [each.levelname for each in caplog.records] == [
        "INFO",
        "WARNING",
        "ERROR",
        "DEBUG",
        "INFO",
    ]
    assert caplog.messages[1] == "q:f: [WARN] 'b'"


def test_a_fatal_error_is_the_end() -> None:
    assert begun().receive('{"type":"FatalError","error":"no"}') == [Ended("no")]
