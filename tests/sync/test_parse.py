"""Reading what clients send."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow_backend.errors import MalformedMessage
from flow_backend.sync.codec import canonical_path, parse_client_message
from flow_backend.sync.messages import (
    Action,
    Add,
    AdminToken,
    Authenticate,
    BadArguments,
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
    SessionId,
    UserToken,
)
from flow_backend.values.timestamp import CommitTs
from flow_backend.values.value import JsonValue

SESSION = "7f0c1c52-9a39-4c0c-8a53-0b2a0f5f1c11"
CONNECT: dict[str, object] = {"type": "Connect", "sessionId": SESSION, "connectionCount": 0}
EDIT: dict[str, object] = {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1}
MUTATION: dict[str, object] = {
    "type": "Mutation",
    "requestId": 4,
    "udfPath": "cart:add",
    "args": [{"qty": 2}],
}


def _parse(message: object) -> object:
    return parse_client_message(orjson.dumps(message))


def test_connect_of_a_new_client() -> None:
    """A field that is left out, one that is null and one that says something all differ."""
    assert _parse(CONNECT) == Connect(SessionId(SESSION), 0, "unknown", None)
    assert _parse({**CONNECT, "lastCloseReason": None}) == Connect(
        SessionId(SESSION), 0, None, None
    )


def test_connect_of_a_client_that_comes_back() -> None:
    message = {
        **CONNECT,
        "sessionId": SESSION.upper(),
        "connectionCount": 3,
        "lastCloseReason": "InactiveServer",
        "maxObservedTimestamp": "AQAAAAAAAAA=",
        "clientTs": 0.5,
    }

    assert _parse(message) == Connect(SessionId(SESSION), 3, "InactiveServer", CommitTs(1))


def test_modify_query_set() -> None:
    add = {"type": "Add", "queryId": 7, "udfPath": "rooms.js:list", "args": [{"n": 1}]}

    message = _parse(
        {
            "type": "ModifyQuerySet",
            "baseVersion": 1,
            "newVersion": 2,
            "modifications": [
                {"type": "Remove", "queryId": 0},
                add,
                {**add, "queryId": 8, "journal": "j", "componentPath": "part"},
                {**add, "queryId": 9, "journal": None, "componentPath": ""},
            ],
        }
    )

    assert message == ModifyQuerySet(
        QuerySetVersion(1),
        QuerySetVersion(2),
        (
            Remove(QueryId(0)),
            Add(QueryId(7), "rooms:list", {"n": 1}),
            Add(QueryId(8), "rooms:list", {"n": 1}, "j", "part"),
            Add(QueryId(9), "rooms:list", {"n": 1}),
        ),
    )


def test_an_edit_that_changes_nothing() -> None:
    """JavaScript opens every connection with one."""
    assert _parse({**EDIT, "modifications": []}) == ModifyQuerySet(
        QuerySetVersion(0), QuerySetVersion(1), ()
    )


def test_mutation_and_action() -> None:
    assert _parse(MUTATION) == Mutation(RequestId(4), "cart:add", {"qty": 2})
    assert _parse({**MUTATION, "type": "Action"}) == Action(RequestId(4), "cart:add", {"qty": 2})


@pytest.mark.parametrize(
    ("fields", "token"),
    [
        ({"tokenType": "None"}, NoToken()),
        ({"tokenType": "User", "value": "a.b.c"}, UserToken("a.b.c")),
        ({"tokenType": "Admin", "value": "key"}, AdminToken("key")),
        (
            {"tokenType": "Admin", "value": "key", "impersonating": {"issuer": "i"}},
            AdminToken("key", {"issuer": "i"}),
        ),
        (
            {"tokenType": "Admin", "value": "key", "acting_as": {"issuer": "i"}},
            AdminToken("key", {"issuer": "i"}),
        ),
    ],
)
def test_authenticate(fields: dict[str, object], token: object) -> None:
    message = _parse({"type": "Authenticate", "baseVersion": 2, **fields})

    assert message == Authenticate(IdentityVersion(2), token)  # type: ignore[arg-type]


def test_a_token_does_not_show_in_logs() -> None:
    shown = repr((UserToken("secret"), AdminToken("secret")))

    assert "secret" not in shown


def test_events_are_taken_whatever_they_tell() -> None:
    message = _parse({"type": "Event", "eventType": "ClientConnect", "event": [{"mark": 1.5}]})

    assert message == Event("ClientConnect")


def test_fields_that_nobody_knows_are_passed_over() -> None:
    assert _parse({**MUTATION, "new": {"in": "the next version"}}) == _parse(MUTATION)


def test_text_is_read_like_bytes() -> None:
    assert parse_client_message(orjson.dumps(MUTATION).decode()) == _parse(MUTATION)


@pytest.mark.parametrize("args", [[], [{}, {}], [1], [None], {}, "text", None])
def test_wrong_arguments_fail_the_call_and_not_the_connection(args: JsonValue) -> None:
    """The connection carries all that the person does; one wrong call must not end it."""
    message = _parse({**MUTATION, "args": args})

    assert isinstance(message, Mutation)
    assert isinstance(message.args, BadArguments)
    assert message.args.reason


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"type": "Mutate"}, "'Mutate'"),
        ({"type": 1}, "'type'"),
        ({"type": None}, "'type'"),
        ({"requestId": -1}, "'requestId'"),
        ({"requestId": 2**32}, "'requestId'"),
        ({"requestId": 2**64 - 1}, "'requestId'"),
        ({"requestId": 1.0}, "'requestId'"),
        ({"requestId": True}, "'requestId'"),
        ({"requestId": "1"}, "'requestId'"),
        ({"requestId": None}, "'requestId'"),
        ({"udfPath": None}, "'udfPath'"),
        ({"udfPath": ["a"]}, "'udfPath'"),
        ({"componentPath": 1}, "'componentPath'"),
        ({**CONNECT, "sessionId": "me"}, "'sessionId'"),
        ({**CONNECT, "sessionId": SESSION + "\n"}, "'sessionId'"),
        ({**CONNECT, "connectionCount": "one"}, "'connectionCount'"),
        ({**CONNECT, "lastCloseReason": 1}, "'lastCloseReason'"),
        ({**CONNECT, "maxObservedTimestamp": "AQ=="}, "'maxObservedTimestamp'"),
        ({**CONNECT, "maxObservedTimestamp": 1}, "'maxObservedTimestamp'"),
        ({"type": "Event"}, "'eventType'"),
        ({"type": "Authenticate", "tokenType": "User", "baseVersion": 0}, "'value'"),
        ({"type": "Authenticate", "tokenType": "Robot", "baseVersion": 0}, "'tokenType'"),
        ({"type": "Authenticate", "tokenType": "None"}, "'baseVersion'"),
        (
            {
                "type": "Authenticate",
                "tokenType": "Admin",
                "value": "key",
                "baseVersion": 0,
                "impersonating": "me",
            },
            "'impersonating'",
        ),
        (EDIT, "'modifications'"),
        ({**EDIT, "modifications": [1]}, "'modifications'"),
        ({**EDIT, "baseVersion": None, "modifications": []}, "'baseVersion'"),
        ({**EDIT, "modifications": [{"type": "Replace"}]}, "'Replace'"),
        (
            {
                **EDIT,
                "modifications": [{"type": "Add", "queryId": 0, "udfPath": "f", "journal": 1}],
            },
            "'journal'",
        ),
    ],
)
def test_a_malformed_message_names_its_field(changes: dict[str, object], named: str) -> None:
    """Whoever writes a client finds the mistake by the message alone."""
    with pytest.raises(MalformedMessage, match=named) as raised:
        _parse({**MUTATION, **changes})

    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"null",
        b'"Connect"',
        b'{"type":"Mutation","requestId":NaN}',
        b'{"type":"Mutation","requestId":' + b"9" * 5000 + b"}",
        b'{"type":"Event","eventType":"\\ud800"}',
        "\ud800",
        b"[" * 900_000,
        b'{"type":"Mutation","requestId":0,"udfPath":"m:f","args":'
        + b"[" * 5000
        + b"]" * 5000
        + b"}",
    ],
)
def test_no_json_object_is_malformed(data: bytes | str) -> None:
    with pytest.raises(MalformedMessage):
        parse_client_message(data)


_NAMES = st.sampled_from(
    [
        "type",
        "sessionId",
        "connectionCount",
        "baseVersion",
        "newVersion",
        "modifications",
        "queryId",
        "udfPath",
        "args",
        "journal",
        "requestId",
        "tokenType",
        "value",
        "impersonating",
        "eventType",
        "maxObservedTimestamp",
    ]
)
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=9),
    st.sampled_from(
        [
            "Connect",
            "ModifyQuerySet",
            "Mutation",
            "Action",
            "Authenticate",
            "Event",
            "Add",
            "Remove",
            "User",
            "Admin",
        ]
    ),
)
_MESSAGES = st.dictionaries(
    _NAMES,
    st.recursive(
        _LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=6),
        max_leaves=12,
    ),
    max_size=9,
)


@pytest.mark.slow
@settings(max_examples=50)
@given(st.binary(max_size=64) | _MESSAGES.map(orjson.dumps))
def test_no_frame_raises_anything_else(data: bytes) -> None:
    """What a stranger sends can end his connection and nothing more."""
    try:
        message = parse_client_message(data)
    except MalformedMessage:
        return
    assert isinstance(message, Connect | ModifyQuerySet | Mutation | Action | Authenticate | Event)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("m:f", "m:f"),
        ("m.js:f", "m:f"),
        ("m", "m:default"),
        ("m.js", "m:default"),
        ("m:default", "m:default"),
        ("m.js:default", "m:default"),
        ("dir/m.js:f", "dir/m:f"),
        ("dir/sub/m", "dir/sub/m:default"),
        ("_m/9:_f1", "_m/9:_f1"),
        ("a" * 64 + ":f", "a" * 64 + ":f"),
    ],
)
def test_all_spellings_of_a_path_are_one(text: str, path: str) -> None:
    """Python's client sends another spelling after a reconnect than before it."""
    assert canonical_path(text) == path


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        ":f",
        "m:",
        "m:1f",
        "m:_",
        "m:f g",
        "m:f\n",
        "/m:f",
        "m/:f",
        "a//b:f",
        "a:b:c",
        "../m:f",
        ".js:f",
        "_:f",
        "ä:f",
        "m:ä",
        "a" * 65 + ":f",
        "m:" + "f" * 65,
        "_" * 300_000 + ":f",
        "m" + ".js" * 100_000,
    ],
)
def test_what_is_no_path_stays_as_it_is(text: str) -> None:
    """Looking it up gives the error of every unknown function, and the connection lives on."""
    assert canonical_path(text) == text
