"""Replays wire conversations: what clients said, what a session decides, what it answered.

``fixtures/protocol/javascript_*`` and ``python_*`` were recorded from the official clients, with
session ids, tokens and times replaced; the others are written by hand, and say so.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import attrs
import pytest

from flow_backend.errors import RemoteProtocolError
from flow_backend.sync import codec
from flow_backend.sync.messages import (
    IdentityVersion,
    QueryId,
    QuerySetVersion,
    RequestId,
    Version,
)
from flow_backend.sync.state import SyncState
from flow_backend.values.timestamp import decode_ts

FOLDER = Path(__file__).parents[2] / "fixtures" / "protocol"
CONNECTIONS = [
    pytest.param(connection, id=f"{path.stem}-{place}")
    for path in sorted(FOLDER.glob("*.json"))
    for place, connection in enumerate(json.loads(path.read_text("utf-8"))["connections"])
]


def _as_json(value: object) -> object:
    """Give an intent as it stands in a transcript."""
    if isinstance(value, tuple):
        return [_as_json(one) for one in cast("tuple[object, ...]", value)]
    kind: type[Any] = type(value)
    if not attrs.has(kind):
        return value
    fields = {name: _as_json(getattr(value, name)) for name in attrs.fields_dict(kind)}
    return {"is": kind.__name__, **fields}


def _lines(message: Mapping[str, Any]) -> list[str]:
    return list(message["logLines"])


def _data(message: Mapping[str, Any]) -> bytes | None:
    return json.dumps(message["errorData"]).encode() if "errorData" in message else None


def _transition(state: SyncState, message: Mapping[str, Any]) -> bytes:
    end = message["endVersion"]
    if end["identity"] > state.accepted_identity:
        state.identity_accepted(IdentityVersion(end["identity"]))
    version = Version(
        QuerySetVersion(end["querySet"]), decode_ts(end["ts"]), IdentityVersion(end["identity"])
    )
    versions = state.advance(version), version
    changes: list[tuple[QueryId, bytes, bool]] = []
    removed: list[QueryId] = []
    for one in message["modifications"]:
        query_id = QueryId(one["queryId"])
        if one["type"] == "QueryRemoved":
            removed.append(query_id)
        elif one["type"] == "QueryUpdated":
            value = json.dumps(one["value"]).encode()
            body = codec.query_updated_body(value, _lines(one), one["journal"])
            changes.append((query_id, body, True))
        else:
            text, journal = one["errorMessage"], one["journal"]
            body = codec.query_failed_body(text, _lines(one), journal, _data(one))
            changes.append((query_id, body, False))
    return b"".join(codec.transition_parts(*versions, changes, removed))


def _answer(state: SyncState, message: Mapping[str, Any]) -> bytes:
    request_id = RequestId(message["requestId"])
    state.answered(request_id)
    mutates = message["type"] == "MutationResponse"
    if not message["success"]:
        failed = codec.mutation_failed if mutates else codec.action_failed
        return failed(request_id, message["result"], _lines(message), _data(message))
    result = json.dumps(message["result"]).encode()
    if mutates:
        ts = decode_ts(message["ts"])
        return codec.mutation_response(request_id, result, ts, _lines(message))
    return codec.action_response(request_id, result, _lines(message))


def _written(state: SyncState, message: Mapping[str, Any]) -> bytes:
    """Write a server's message by the encoder for it, with what ``state`` allows."""
    match message["type"]:
        case "Transition":
            return _transition(state, message)
        case "MutationResponse" | "ActionResponse":
            return _answer(state, message)
        case "AuthError":
            return codec.auth_error(
                message["error"],
                state.auth_base_version,
                attempted=message["authUpdateAttempted"],
            )
        case "FatalError":
            return codec.fatal_error(message["error"])
        case "Ping":
            return codec.PING
        case unknown:
            raise AssertionError(f"A transcript has a server message {unknown!r}.")


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_a_recorded_conversation_can_be_had_again(connection: dict[str, Any]) -> None:
    """Each frame of a client means what it meant; each frame of the server is written again."""
    state = SyncState()
    error = ""

    for step in connection["steps"]:
        message = step["message"]
        if step["from"] == "server":
            assert json.loads(_written(state, message)) == message
            assert error in ("", message.get("error"))
        elif "breaks" in step:
            before = deepcopy(state)
            with pytest.raises(RemoteProtocolError) as raised:
                state.receive(codec.parse_client_message(json.dumps(message)))
            error = str(raised.value)
            assert raised.value.code == step["breaks"]
            assert state == before
        else:
            intents = state.receive(codec.parse_client_message(json.dumps(message)))
            assert _as_json(intents) == step["decides"]


def test_there_are_conversations_of_both_official_clients() -> None:
    """Without the fixtures the replay above would have nothing to say."""
    names = {path.stem for path in FOLDER.glob("*.json")}

    assert names >= {"javascript_calls", "javascript_reconnect", "python_calls", "broken_clients"}
