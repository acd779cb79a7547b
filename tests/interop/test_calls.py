"""Calls from the official JavaScript client: results, errors, paths and values."""

from typing import Any

import pytest

from tests.interop.support import run_node
from tests.server_process import ServerProcess

pytestmark = [pytest.mark.node, pytest.mark.slow]

NO_ARGS: dict[str, object] = {}

# One value of each kind, in the wire's encoding; the vectors are those of the specification.
EVERY_KIND: dict[str, object] = {
    "least": {"$integer": "AAAAAAAAAIA="},
    "most": {"$integer": "/////////38="},
    "minus_one": {"$integer": "//////////8="},
    "nan": {"$float": "AAAAAAAA+H8="},
    "minus_zero": {"$float": "AAAAAAAAAIA="},
    "infinite": {"$float": "AAAAAAAA8P8="},
    "whole": 3.0,
    "huge": 1e300,
    "bytes": {"$bytes": "AAH/"},
    "nothing": None,
    "yes": True,
    "text": "ü\U0001f600\x00\u2028",
    "nested": {"": [[], {}, [None, [True, {"deep": [{"$integer": "BwAAAAAAAAA="}]}]]]},
}


async def outcomes(server: ServerProcess, *calls: tuple[str, str, object]) -> list[Any]:
    """Make calls over the socket and over HTTP; the socket must have stayed up.

    Returns: for each of ``calls`` what it came to over the socket, then over HTTP.
    """
    wanted = [{"kind": kind, "path": path, "args": args} for kind, path, args in calls]
    *told, last = await run_node("calls.mjs", "calls", url=server.url, calls=wanted)
    assert last == {"after": {"value": "still there"}, "connections": 1}
    return [each[way] for each in told for way in ("socket", "http")]


async def test_what_an_app_refuses_with_arrives_whole(interop: ServerProcess):
    refusals: list[object] = [
        "No seat is left.",
        None,
        {"code": "full", "seats": [1, {"row": "A"}]},
    ]
    calls = [
        (kind, f"refusals:{name}", {"data": data})
        for kind, name in [("query", "ask"), ("mutation", "change"), ("action", "act")]
        for data in refusals
    ]

    found = await outcomes(interop, *calls)

    assert {each["error"]["kind"] for each in found} == {"ConvexError"}
    assert [each["error"]["data"] for each in found[::2]] == refusals * 3
    assert [each["error"]["data"] for each in found[1::2]] == refusals * 3


async def test_a_function_that_clients_do_not_have(interop: ServerProcess):
    """One that is hidden from clients is, to them, as one that does not exist."""
    paths = ["no:such", "counters:no_such", "refusals:hidden"] * 3
    kinds = ["query"] * 3 + ["mutation"] * 3 + ["action"] * 3

    found = await outcomes(interop, *((k, p, NO_ARGS) for k, p in zip(kinds, paths, strict=True)))

    for place, outcome in enumerate(found):
        expected = f"Could not find public function for '{paths[place // 2]}'."
        assert expected in outcome["error"]["message"]
        assert outcome["error"]["kind"] == "Error"


async def test_a_function_of_another_kind(interop: ServerProcess):
    cases = [
        ("query", "counters:add", "counters.js:add as Query, but it is defined as Mutation."),
        ("mutation", "counters:get", "counters.js:get as Mutation, but it is defined as Query."),
        ("action", "counters:get", "counters.js:get as Action, but it is defined as Query."),
        ("query", "values:act", "values.js:act as Query, but it is defined as Action."),
    ]

    found = await outcomes(interop, *((kind, path, {"name": "x"}) for kind, path, _ in cases))

    for place, outcome in enumerate(found):
        assert f"Trying to execute {cases[place // 2][2]}" in outcome["error"]["message"]


async def test_arguments_that_do_not_fit(interop: ServerProcess):
    wrong: list[object] = [{}, {"name": 3}, {"name": "x", "more": 1}, {"name": None}]
    calls = [("query", "counters:get", args) for args in wrong]
    calls += [("mutation", "counters:add", args) for args in wrong]

    for outcome in await outcomes(interop, *calls):
        assert "ArgumentValidationError: " in outcome["error"]["message"]


async def test_a_failure_says_what_happened(interop: ServerProcess):
    for outcome in await outcomes(interop, ("query", "refusals:crash", NO_ARGS)):
        lines = outcome["error"]["message"].splitlines()
        assert "[Request ID: " in lines[0]
        assert "Server Error" in lines[0]
        assert "the seat is taken" in "".join(lines[1:])


@pytest.mark.parametrize(
    ("path", "args", "words"),
    [
        ("no:such", {}, "Could not find public function for 'no:such'."),
        ("counters:add", {"name": "x"}, "but it is defined as Mutation."),
        ("counters:get", {"name": 3}, "ArgumentValidationError: "),
        ("refusals:crash", {}, "the seat is taken"),
    ],
)
async def test_a_live_query_that_fails_leaves_the_others_alive(
    interop: ServerProcess, path: str, args: object, words: str
):
    (told,) = await run_node("calls.mjs", "failingLiveQuery", url=interop.url, path=path, args=args)

    assert len(told["failed"]) == 1
    assert words in told["failed"][0]
    assert told["seen"][1] == told["seen"][0] + 1
    assert told["connections"] == 1


async def test_values_of_every_kind_go_there_and_back(interop: ServerProcess):
    *echoes, special = await run_node("calls.mjs", "roundTrip", url=interop.url, value=EVERY_KIND)

    assert echoes == [{"value": EVERY_KIND}] * 6
    assert special["value"] == {
        "least": {"$integer": "AAAAAAAAAIA="},
        "most": {"$integer": "/////////38="},
        "one": 1,
        "nan": {"$float": "AAAAAAAA+H8="},
        "minus_zero": {"$float": "AAAAAAAAAIA="},
        "infinite": {"$float": "AAAAAAAA8P8="},
        "huge": 1e300,
        "bytes": {"$bytes": "AAH/"},
        "nested": {
            "": [[], {}, [None, [True, {"deep": [{"$integer": "BwAAAAAAAAA="}, "ü\U0001f600"]}]]]
        },
    }


async def test_all_spellings_of_a_path(interop: ServerProcess):
    cases = [
        ("query", "entry", "entry:default"),
        ("query", "entry:default", "entry:default"),
        ("query", "entry.js:default", "entry:default"),
        ("query", "entry:named", "entry:named"),
        ("query", "entry.js:named", "entry:named"),
        ("mutation", "entry:change", "entry:change"),
        ("mutation", "entry.js:change", "entry:change"),
        ("action", "entry:act", "entry:act"),
        ("action", "entry.js:act", "entry:act"),
    ]

    found = await outcomes(interop, *((kind, path, NO_ARGS) for kind, path, _ in cases))

    assert found == [{"value": answer} for _, _, answer in cases for _way in range(2)]


async def test_a_mutation_of_a_client_that_watches_nothing_resolves(interop: ServerProcess):
    """The client waits for a transition, so one must come although there is nothing to tell."""
    assert await run_node("calls.mjs", "nothingWatched", url=interop.url) == [{"value": 1}]


async def test_an_empty_query_set_is_confirmed(interop: ServerProcess):
    (told,) = await run_node("calls.mjs", "emptyQuerySet", url=interop.url)

    opened, connect, queries, transition = told["messages"]
    assert opened == {"way": "open"}
    assert connect["type"] == "Connect"
    assert (queries["baseVersion"], queries["newVersion"]) == (0, 1)
    assert transition["endVersion"]["querySet"] == 1
    assert transition["modifications"] == []


async def test_mutations_run_in_the_order_of_the_calls(interop: ServerProcess):
    (told,) = await run_node("calls.mjs", "inOrder", url=interop.url, count=100)

    assert told["values"] == list(range(1, 101))


async def test_a_mutation_resolves_once_its_effect_is_shown(interop: ServerProcess):
    (told,) = await run_node("calls.mjs", "ownWrites", url=interop.url, count=50)

    assert told["pairs"] == [[number, number] for number in range(1, 51)]


async def test_twelve_megabytes_arrive(interop: ServerProcess):
    """In pieces, which the client puts together: its timer of inactivity sees each of them."""
    (told,) = await run_node("calls.mjs", "large", url=interop.url, megabytes=12)

    # JavaScript counts a sign of four bytes as two.
    assert told["lengths"] == [1_000_000] * 11 + [999_998]
    assert (told["first"], told["last"]) == ("aaa", "z\U0001f600")
    assert told["kinds"].count("TransitionChunk") >= 3
    assert told["connections"] == 1


async def test_many_live_queries_of_one_client(interop: ServerProcess):
    """A change of one of them is told alone."""
    (told,) = await run_node("calls.mjs", "manyQueries", url=interop.url, count=1000)

    assert told == {
        "callsAtFirst": 1000,
        "callsAfter": 1,
        "changed": 1,
        "sum": 5,
        "connections": 1,
    }


async def test_consistent_queries_see_one_moment(interop: ServerProcess):
    (told,) = await run_node("calls.mjs", "consistent", url=interop.url)

    assert told == {"before": 0, "changed": 1, "pinned": 0, "now": 1}


async def test_an_action_calls_the_apps_functions(interop: ServerProcess):
    calls = [("action", "acting:add_twice", {"name": "acting"})]
    assert await outcomes(interop, *calls) == [{"value": 2}, {"value": 4}]

    refused = [("action", "acting:add_and_catch", {"name": "acting"})]
    data = {"code": "refused", "name": "acting"}
    assert await outcomes(interop, *refused) == [{"value": data}] * 2

    assert await outcomes(interop, ("query", "counters:get", {"name": "acting"})) == [
        {"value": 4},
        {"value": 4},
    ]
