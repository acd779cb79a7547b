"""Writing what clients are sent."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_backend.sync import codec
from flow_backend.sync.messages import (
    START,
    IdentityVersion,
    QueryId,
    QuerySetVersion,
    RequestId,
    Version,
)
from flow_backend.values.timestamp import CommitTs

END = Version(QuerySetVersion(1), CommitTs(1_000_000), IdentityVersion(2))
REQUEST = RequestId(4)


def test_transition() -> None:
    rooms = codec.query_updated_body(b'[{"n":3.0}]', ["[LOG] 'ran'"], None)
    seats = codec.query_failed_body("no such room", (), "j", None)

    parts = codec.transition_parts(
        START, END, [(QueryId(0), rooms, True), (QueryId(1), seats, False)], [QueryId(2)]
    )

    assert json.loads(b"".join(parts)) == {
        "type": "Transition",
        "startVersion": {"querySet": 0, "ts": "AAAAAAAAAAA=", "identity": 0},
        "endVersion": {"querySet": 1, "ts": "QEIPAAAAAAA=", "identity": 2},
        "modifications": [
            {"type": "QueryRemoved", "queryId": 2},
            {
                "type": "QueryUpdated",
                "queryId": 0,
                "value": [{"n": 3.0}],
                "logLines": ["[LOG] 'ran'"],
                "journal": None,
            },
            {
                "type": "QueryFailed",
                "queryId": 1,
                "errorMessage": "no such room",
                "logLines": [],
                "journal": "j",
            },
        ],
    }


def test_a_transition_shares_its_bodies() -> None:
    """A thousand clients hold one result in memory once."""
    body = codec.query_updated_body(b"1.0", [], None)

    parts = codec.transition_parts(START, END, [(QueryId(0), body, True)], [])

    assert any(part is body for part in parts)


@given(st.integers(0, 3), st.lists(st.booleans(), max_size=4))
def test_every_transition_is_json(removals: int, kinds: list[bool]) -> None:
    """A misplaced comma freezes a JavaScript client for good."""
    bodies = {
        True: codec.query_updated_body(b"null", [], None),
        False: codec.query_failed_body("no", [], None, b"null"),
    }
    changes = [(QueryId(9 + place), bodies[kind], kind) for place, kind in enumerate(kinds)]

    parts = codec.transition_parts(START, END, changes, [QueryId(n) for n in range(removals)])

    modifications = json.loads(b"".join(parts))["modifications"]
    assert [one["type"] for one in modifications] == ["QueryRemoved"] * removals + [
        "QueryUpdated" if kind else "QueryFailed" for kind in kinds
    ]
    assert [one["queryId"] for one in modifications] == [
        *range(removals),
        *range(9, 9 + len(kinds)),
    ]


@pytest.mark.parametrize(("data", "fields"), [(None, {}), (b"null", {"errorData": None})])
def test_error_data_of_none_is_still_an_app_error(
    data: bytes | None, fields: dict[str, None]
) -> None:
    """The field's presence makes a ConvexError of it, whatever its value."""
    failure = {"success": False, "requestId": 4, "result": "no", "logLines": ["[INFO] a"], **fields}

    mutation = codec.mutation_failed(REQUEST, "no", ["[INFO] a"], data)
    action = codec.action_failed(REQUEST, "no", ["[INFO] a"], data)

    assert json.loads(mutation) == {"type": "MutationResponse", **failure}
    assert json.loads(action) == {"type": "ActionResponse", **failure}


def test_answers() -> None:
    mutation = codec.mutation_response(REQUEST, b'{"a":1.0}', CommitTs(1), ())
    action = codec.action_response(REQUEST, b"null", ["[WARN] b"])

    assert json.loads(mutation) == {
        "type": "MutationResponse",
        "requestId": 4,
        "success": True,
        "result": {"a": 1.0},
        "ts": "AQAAAAAAAAA=",
        "logLines": [],
    }
    assert json.loads(action) == {
        "type": "ActionResponse",
        "requestId": 4,
        "success": True,
        "result": None,
        "logLines": ["[WARN] b"],
    }


def test_the_rest() -> None:
    assert json.loads(codec.PING) == {"type": "Ping"}
    assert json.loads(codec.fatal_error('a "quote"')) == {
        "type": "FatalError",
        "error": 'a "quote"',
    }
    assert json.loads(codec.auth_error("expired", IdentityVersion(3), attempted=False)) == {
        "type": "AuthError",
        "error": "expired",
        "baseVersion": 3,
        "authUpdateAttempted": False,
    }


def test_half_a_surrogate_pair_reaches_nobody() -> None:
    """No text of an app can make a frame that is no UTF-8, or keep an answer from going out."""
    answer = codec.mutation_failed(REQUEST, "a\ud800b", ["[LOG] \udfff"], None)

    assert json.loads(answer)["result"] == "a?b"
    assert json.loads(answer)["logLines"] == ["[LOG] ?"]


@given(st.text(max_size=40).map(lambda text: text.encode()), st.integers(4, 50))
def test_chunks_join_to_the_text(text: bytes, limit: int) -> None:
    """Cut anywhere else than between characters, and the client would read something else."""
    messages = codec.transition_chunks(text, "t1", limit)

    if len(text) <= limit:
        assert messages == [text]
        return
    chunks = [json.loads(message) for message in messages]
    assert "".join(chunk["chunk"] for chunk in chunks).encode() == text
    assert all(0 < len(chunk["chunk"].encode()) <= limit for chunk in chunks)
    assert [chunk["partNumber"] for chunk in chunks] == list(range(len(chunks)))
    assert {(one["type"], one["totalParts"], one["transitionId"]) for one in chunks} == {
        ("TransitionChunk", len(chunks), "t1")
    }
