"""The official Python client, which is the Rust client in a binding."""

import pytest

from tests.interop.support import Proxy, Report, open_proxy, run_python
from tests.interop.test_auth import token
from tests.interop.test_calls import EVERY_KIND, NO_ARGS
from tests.server_process import ServerProcess

pytestmark = pytest.mark.slow

CALLS = [("query", "ask"), ("mutation", "change"), ("action", "act")]


async def outcomes(server: ServerProcess, *calls: tuple[str, str, object]) -> list[Report]:
    """Make calls over the socket and over HTTP; the socket must have stayed up.

    Returns: for each of ``calls`` what it came to over the socket, then over HTTP.
    """
    async with open_proxy(Proxy(server.port)) as proxy:
        *told, last = await run_python("calls", url=proxy.url, calls=calls)

    assert last == {"value": "still there"}
    assert proxy.sockets == 1
    return told


async def test_calls_of_each_kind(interop: ServerProcess):
    """A mutation comes first: the client then has no query set yet."""
    found = await outcomes(
        interop,
        ("mutation", "counters:add", {"name": "python"}),
        ("query", "counters:get", {"name": "python"}),
        ("action", "acting:add_twice", {"name": "python"}),
    )

    assert [each["value"] for each in found] == [1.0, 2.0, 2.0, 2.0, 4.0, 6.0]


async def test_a_live_query_gives_each_change(interop: ServerProcess):
    name = "python live"
    told = await run_python("live", url=interop.url, direct=interop.url, name=name, changes=3)

    assert told == [0.0, 1.0, 2.0, 3.0]


async def test_a_live_query_goes_on_over_a_new_socket(interop: ServerProcess):
    """The client then spells the path in another way, and has another session."""

    def cut(proxy: Proxy, chunk: bytes) -> bool:
        return b'"value":1.0' in chunk and proxy.cuts == 0

    async with open_proxy(Proxy(interop.port, cut_downstream=cut)) as proxy:
        told = await run_python(
            "live", url=proxy.url, direct=interop.url, name="python cut", changes=2
        )

    assert told == [0.0, 1.0, 2.0]
    assert (proxy.cuts, proxy.connections) == (1, 2)


async def test_a_board_moves_in_the_python_client(board: ServerProcess):
    assert await run_python("board", url=board.url) == [["to-do"], ["doing"]]


async def test_values_of_every_kind_go_there_and_back(interop: ServerProcess):
    calls = [(kind, f"values:{name}", {"value": EVERY_KIND}) for kind, name in CALLS]

    assert await outcomes(interop, *calls) == [{"value": EVERY_KIND}] * 6


async def test_values_that_functions_make(interop: ServerProcess):
    (told,) = await run_python("special", url=interop.url)

    assert told == {
        "least": f"ConvexInt64({-(2**63)})",
        "most": f"ConvexInt64({2**63 - 1})",
        "one": "1.0",
        "nan": "nan",
        "minus_zero": "-0.0",
        "infinite": "-inf",
        "huge": "1e+300",
        "bytes": repr(b"\x00\x01\xff"),
        "nested": "{'': [[], {}, [None, [True, {'deep': [ConvexInt64(7), 'ü\U0001f600']}]]]}",
    }


async def test_what_an_app_refuses_with_arrives_whole(interop: ServerProcess):
    """A failed mutation with data settles only at the next transition, so one must come."""
    refusals: list[object] = ["No seat is left.", {"code": "full", "seats": [1.0, {"row": "A"}]}]
    calls = [
        (kind, f"refusals:{name}", {"data": data}) for kind, name in CALLS for data in refusals
    ]

    found = await outcomes(interop, *calls)

    assert {each["kind"] for each in found} == {"ConvexError"}
    assert [each["data"] for each in found[::2]] == refusals * 3
    assert [each["data"] for each in found[1::2]] == refusals * 3


async def test_a_failure_is_told_and_the_socket_stays_up(interop: ServerProcess):
    cases: list[tuple[str, str, object, str]] = [
        ("query", "no:such", {}, "Could not find public function for 'no:such'."),
        ("mutation", "no:such", {}, "Could not find public function for 'no:such'."),
        ("action", "no:such", {}, "Could not find public function for 'no:such'."),
        ("query", "counters:add", {"name": "x"}, "but it is defined as Mutation."),
        ("mutation", "counters:get", {"name": "x"}, "but it is defined as Query."),
        ("action", "counters:get", {"name": "x"}, "but it is defined as Query."),
        ("query", "counters:get", {"name": 3.0}, "ArgumentValidationError: "),
        ("mutation", "counters:add", {"name": 3.0}, "ArgumentValidationError: "),
        ("query", "refusals:crash", {}, "the seat is taken"),
    ]

    found = await outcomes(interop, *((kind, path, args) for kind, path, args, _ in cases))

    for place, each in enumerate(found):
        assert cases[place // 2][3] in each["message"]


async def test_all_spellings_of_a_path(interop: ServerProcess):
    paths = ["entry", "entry:default", "entry.js:default", "entry:named", "entry.js:named"]

    found = await outcomes(interop, *(("query", path, NO_ARGS) for path in paths))

    assert found == [{"value": "entry:default"}] * 6 + [{"value": "entry:named"}] * 4


async def test_twelve_megabytes_arrive_whole(interop: ServerProcess):
    """In one message: this client takes a piece of one for a breach of the protocol."""
    async with open_proxy(Proxy(interop.port)) as proxy:
        told = await run_python("large", url=proxy.url, megabytes=12.0)

    assert told == [[1_000_000] * 12]
    assert proxy.connections == 1


async def test_who_signs_in_is_seen(interop: ServerProcess):
    told = await run_python("people", url=interop.url, token=token("ann"))

    assert told == [None, "ann", "ann", "ann", None]
