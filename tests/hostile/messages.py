"""Messages of the sync protocol in which something is wrong."""

from typing import Any

from tests.hostile.json_texts import NOT_OBJECTS
from tests.hostile.wire import (
    CANARY,
    Alive,
    AuthError,
    Close,
    Ending,
    Fatal,
    FrameCase,
    bytes_of,
    text,
)

Message = dict[str, Any]

_ADD: Message = {"type": "Add", "queryId": 5, "udfPath": "values:ask", "args": [{"value": 1}]}
_REMOVE: Message = {"type": "Remove", "queryId": 5}
_MODIFY: Message = {
    "type": "ModifyQuerySet",
    "baseVersion": 0,
    "newVersion": 1,
    "modifications": [],
}
_CALL: Message = {"requestId": 1, "udfPath": "values:change", "args": [{"value": 1}]}
_CONNECT: Message = {
    "type": "Connect",
    "sessionId": "7f0c1c52-9a39-4c0c-8a53-0b2a0f5f1c11",
    "connectionCount": 0,
    "lastCloseReason": "InitialConnect",
    "maxObservedTimestamp": "AAAAAAAAAAA=",
}
_ADMIN: Message = {"type": "Authenticate", "baseVersion": 0, "tokenType": "Admin", "value": CANARY}

_NOT_STRINGS: list[object] = [True, 1, 1.5, [], {}, [CANARY]]
_NOT_U32: list[object] = [None, True, "1", CANARY, 1.0, 1.5, -1, 2**32, 2**53, 2**63, [], {}, 1e300]
_NOT_TS: list[object] = [
    *_NOT_STRINGS,
    "",
    "AAAAAAAAAAA",
    "AAAAAAAAAAA==",
    "AAAAAAAAAAB=",  # Bits set that mean nothing.
    "AAAAAAAAAAAA",
    "AAAA AAAAAA=",
    "AAAAAAAAAA\u00e9=",
    "_-AAAAAAAAA=",
    "//////////8=",  # 2^64 - 1.
    "AAAAAAAAAIA=",  # 2^63.
    "=AAAAAAAAAAA",
    "0",
    CANARY,
]
_NOT_UUIDS = [
    "",
    "7f0c1c52",
    "7f0c1c529a394c0c8a530b2a0f5f1c11",
    "7f0c1c52-9a39-4c0c-8a53-0b2a0f5f1c1g",
    "7f0c1c52-9a39-4c0c-8a53-0b2a0f5f1c11\n",
    "{7f0c1c52-9a39-4c0c-8a53-0b2a0f5f1c11}",
    "7f0c1c52-9a39-4c0c-8a53-0b2a0f5f1c1\u0661",
    "x" * 100_000,
    CANARY,
]
_NOT_ARGS: list[object] = [None, True, 1, "", CANARY, {}, [], [None], [1], [[]], [{}, {}], ["{}"]]
_NO_PATHS = [
    "",
    ":",
    "a:",
    ":b",
    "a:b:c",
    "../counters:get",
    "/etc/passwd",
    "counters:get\0",
    "counters:get ",
    "counters:__class__",
    "counters:_known",
    "refusals:hidden",
    "_system/cli/tables:default",
    "schema:Counter",
    "counters.js.js:get",
    "c\u00f6unters:get",
    "counters:get\n",
    "a" * 100_000 + ":b",
    "/".join("a" * 10_000) + ":b",
    "_" * 100_000,
    ":" * 1000,
    "flow_backend.errors:AppError",
    "os:system",
]


def _case(name: str, message: Message | bytes, ending: Ending | None = None) -> FrameCase:
    return FrameCase(name, text(message), ending or Fatal())


def _fields(kind: str, message: Message, wrong: dict[str, tuple[list[object], bool]]):
    """For each field: left out if it is required, and all that it must not be."""
    for field, (values, required) in wrong.items():
        without = {name: value for name, value in message.items() if name != field}
        if required:
            yield f"{kind} without {field}", without
        for value in values:
            shown = repr(value)[:40]
            yield f"{kind} with {field} {shown}", {**message, field: value}


def _each_field() -> list[FrameCase]:
    texts = (_NOT_STRINGS, False)
    needed = ([None, *_NOT_STRINGS], True)
    numbers = (_NOT_U32, True)
    cases: list[FrameCase] = []
    call = {"requestId": numbers, "udfPath": needed, "componentPath": texts}
    for kind in ("Mutation", "Action"):
        cases += [_case(*one) for one in _fields(kind, {"type": kind, **_CALL}, call)]
    modify = {
        "baseVersion": numbers,
        "newVersion": numbers,
        "modifications": ([None, True, 1, "", {}, [None], [1], [[]], [""], [CANARY]], True),
    }
    cases += [_case(*one) for one in _fields("ModifyQuerySet", _MODIFY, modify)]
    add = {"queryId": numbers, "udfPath": needed, "journal": texts, "componentPath": texts}
    kinds: list[object] = [None, 1, "", "add", "Change"]
    for kind, one, wrong in (
        ("Add", _ADD, {**add, "type": (kinds, True)}),
        ("Remove", _REMOVE, {"queryId": numbers}),
    ):
        cases += [
            _case(name, {**_MODIFY, "modifications": [edit]})
            for name, edit in _fields(kind, one, wrong)
        ]
    user = {"type": "Authenticate", "baseVersion": 0, "tokenType": "User", "value": CANARY}
    tokens: list[object] = [None, 1, "", "user", "Root", [], {}]
    cases += [
        _case(*one)
        for one in _fields(
            "Authenticate",
            user,
            {"baseVersion": numbers, "tokenType": (tokens, True), "value": needed},
        )
    ]
    cases += [
        _case(*one)
        for one in _fields("Admin", _ADMIN, {"impersonating": ([1, "", [], True, CANARY], False)})
    ]
    cases += [_case("acting_as a string", {**_ADMIN, "acting_as": CANARY})]
    event = {"type": "Event", "eventType": "x", "event": 1}
    cases += [_case(*one) for one in _fields("Event", event, {"eventType": needed})]
    return cases


def _kinds() -> list[FrameCase]:
    kinds: list[object] = [None, 1, True, [], {}, "", "connect", "CONNECT", "Ping", "Transition"]
    kinds += ["FatalError", "MutationResponse", "__class__", "x" * 100_000]
    cases = [_case(f"type {kind!r:.40}", {"type": kind}) for kind in kinds]
    cases.append(_case("no type", {"requestId": 1}))
    cases.append(_case("a name twice, the last one counts", b'{"type":"Event","type":"Evil"}'))
    cases.append(
        _case("fields that nobody knows", {**_MODIFY, "x": CANARY, "__proto__": {}}, Alive())
    )
    return cases


def _calls() -> list[FrameCase]:
    """A call that cannot be made fails by itself; the session goes on."""
    cases: list[FrameCase] = []
    for args in _NOT_ARGS:
        for kind, path in (("Mutation", "values:change"), ("Action", "values:act")):
            call = {**_CALL, "type": kind, "udfPath": path, "args": args}
            cases.append(_case(f"{kind} with args {args!r:.40}", call, Alive('"success":false')))
        add = {**_MODIFY, "modifications": [{**_ADD, "args": args}]}
        cases.append(_case(f"Add with args {args!r:.40}", add, Alive("QueryFailed")))
    for path in _NO_PATHS:
        call = {**_CALL, "type": "Mutation", "udfPath": path}
        cases.append(_case(f"Mutation of {path!r:.40}", call, Alive('"success":false')))
        add = {**_MODIFY, "modifications": [{**_ADD, "udfPath": path}]}
        cases.append(_case(f"Add of {path!r:.40}", add, Alive("QueryFailed")))
    call = {**_CALL, "type": "Action", "udfPath": "values:ask"}
    cases.append(_case("a query called as an action", call, Alive('"success":false')))
    part = {**_CALL, "type": "Mutation", "componentPath": "x"}
    cases.append(_case("a function of a component", part, Alive('"success":false')))
    journals: list[str] = ["", "{}", "null", "x" * 100_000, '{"cursor":1}', "\0", CANARY]
    for journal in journals:
        add = {**_MODIFY, "modifications": [{**_ADD, "journal": journal}]}
        cases.append(_case(f"Add with a foreign journal {journal!r:.20}", add, Alive("1.0")))
    return cases


def _sequences() -> list[FrameCase]:
    """Messages that are right, one by one."""

    def case(name: str, messages: list[Message], ending: Ending) -> FrameCase:
        return FrameCase(name, b"".join(map(text, messages)), ending)

    def modify(base: int, new: int, *edits: Message) -> Message:
        return {**_MODIFY, "baseVersion": base, "newVersion": new, "modifications": list(edits)}

    other = {**_ADD, "queryId": 6}
    slow = {"type": "Mutation", **_CALL}
    mismatch = Fatal("BaseVersionMismatch")
    none = {"type": "Authenticate", "baseVersion": 0, "tokenType": "None"}
    return [
        case("Connect twice", [_CONNECT], Close(1011)),
        case("the same version again", [modify(0, 1), modify(0, 1)], mismatch),
        case("a version from the future", [modify(7, 8)], mismatch),
        case("a version of before", [modify(0, 5), modify(4, 6)], mismatch),
        case("the largest base", [modify(2**32 - 1, 2**32 - 1)], mismatch),
        case("a version that stands still", [modify(0, 0)], Close(1011)),
        case("a version that goes back", [modify(0, 5), modify(5, 4)], Close(1011)),
        case("the largest version", [modify(0, 2**32 - 1)], Alive("4294967295")),
        case("a query id twice", [modify(0, 1, _ADD), modify(1, 2, _ADD)], Close(1011)),
        case("a query id twice in one edit", [modify(0, 1, _ADD, _ADD)], Close(1011)),
        case("an unknown query removed", [modify(0, 1, _REMOVE)], Close(1011)),
        case(
            "a query removed twice",
            [modify(0, 1, _ADD), modify(1, 2, _REMOVE, _REMOVE)],
            Close(1011),
        ),
        case("added, removed and added", [modify(0, 1, _ADD, _REMOVE, _ADD)], Alive("1.0")),
        case("a good edit beside a bad one", [modify(0, 1, other, _ADD, _ADD)], Close(1011)),
        case(
            "1,001 queries",
            [modify(0, 1, *[{**_ADD, "queryId": n} for n in range(1001)])],
            Alive("QueryFailed"),
        ),
        case("an identity of the future", [{**none, "baseVersion": 1}], Close(1011)),
        case("an identity of before", [none, none], Close(1011)),
        case("1,000 identities", [{**none, "baseVersion": n} for n in range(1000)], Alive("1000")),
        case("a request id that waits for its answer", [slow, slow], Close(1011)),
        case("a bad admin key", [_ADMIN], AuthError()),
        case(
            "an admin key for somebody",
            [{**_ADMIN, "impersonating": {"issuer": CANARY}}],
            AuthError(),
        ),
        case(
            "a token of one character", [{**none, "tokenType": "User", "value": "x"}], AuthError()
        ),
        case("an empty token", [{**none, "tokenType": "User", "value": ""}], AuthError()),
        case(
            "a token of a megabyte",
            [{**none, "tokenType": "User", "value": "x.y." * 250_000}],
            AuthError(),
        ),
        case(
            "a token of a million dots",
            [{**none, "tokenType": "User", "value": "." * 1_000_000}],
            AuthError(),
        ),
        case(
            "a token with a canary",
            [{**none, "tokenType": "User", "value": f"a.{CANARY}.b"}],
            AuthError(),
        ),
        case("a call after a broken one", [{"type": "Nonsense"}, slow], Fatal()),
    ]


def _before_connect() -> list[FrameCase]:
    """Nothing comes before Connect, and Connect is as the protocol says."""
    needed: dict[str, tuple[list[object], bool]] = {
        "sessionId": ([None, *_NOT_STRINGS, *_NOT_UUIDS], True),
        "connectionCount": (_NOT_U32, True),
        "lastCloseReason": (_NOT_STRINGS, False),
        "maxObservedTimestamp": (_NOT_TS, False),
    }
    cases = [_case(*one) for one in _fields("Connect", _CONNECT, needed)]
    future = {**_CONNECT, "maxObservedTimestamp": "/////////38="}  # 2^63 - 1.
    cases.append(_case("a timestamp that would end all commits", future, Close(1011)))
    for first in (
        _MODIFY,
        {"type": "Mutation", **_CALL},
        {"type": "Action", **_CALL},
        {"type": "Authenticate", "baseVersion": 0, "tokenType": "None"},
        {"type": "Event", "eventType": "x", "event": 1},
    ):
        # What a client reports of itself is passed over at any time.
        ending = Alive() if first["type"] == "Event" else Close(1011)
        cases.append(_case(f"{first['type']} before Connect", first, ending))
    cases.append(
        _case(
            "a Connect of upper case",
            {**_CONNECT, "sessionId": _CONNECT["sessionId"].upper()},
            Alive(),
        )
    )
    cases.append(
        _case(
            "a Connect with a reason of a megabyte",
            {**_CONNECT, "lastCloseReason": "\u00e9" * 500_000},
            Alive(),
        )
    )
    return cases


def _bombs() -> list[FrameCase]:
    """Messages within 32 MiB that would take a hundred times as much when they are read."""
    million = 1_000_000
    return [
        FrameCase(name, lambda build=build: text(build()), Close(1009))
        for name, build in (
            (
                "4 million empty arrays",
                lambda: (
                    b'{"type":"Event","eventType":"x","event":[' + b"[]," * (4 * million) + b"0]}"
                ),
            ),
            (
                "4 million empty objects",
                lambda: (
                    b'{"type":"Event","eventType":"x","event":[' + b"{}," * (4 * million) + b"0]}"
                ),
            ),
            (
                "10 million numbers",
                lambda: (
                    b'{"type":"Event","eventType":"x","event":[' + b"1," * (10 * million) + b"0]}"
                ),
            ),
            (
                "5 million strings",
                lambda: (
                    b'{"type":"Event","eventType":"x","event":[' + b'"a",' * (5 * million) + b"0]}"
                ),
            ),
            (
                "a million names",
                lambda: (
                    b'{"type":"Event","eventType":"x","event":{'
                    + b",".join([b'"%d":0' % n for n in range(million + 1)])
                    + b"}}"
                ),
            ),
        )
    ]


def _not_bombs() -> list[FrameCase]:
    """What only looks like one: a text that is full of commas and brackets."""
    return [
        FrameCase(
            name,
            lambda inside=inside: text(
                b'{"type":"Mutation","requestId":1,"udfPath":"values:change","args":[{"value":"'
                + inside * 1_300_000
                + b'"}]}'
            ),
            Alive('"success":true'),
        )
        for name, inside in (("a text of commas", b"[,"), ("a text of quotes", b'\\",'))
    ]


def _json_texts() -> list[FrameCase]:
    cases: list[FrameCase] = []
    for one in NOT_OBJECTS:
        raw = bytes_of(one.data)
        try:
            raw.decode()
        except UnicodeDecodeError:
            cases.append(_case(f"JSON: {one.name}", raw, Close(1007)))
        else:
            cases.append(_case(f"JSON: {one.name}", raw))
    return cases


BEFORE_CONNECT = _before_connect()
BOMBS = _bombs()
CASES = [*_json_texts(), *_each_field(), *_kinds(), *_calls(), *_sequences(), *_not_bombs()]
