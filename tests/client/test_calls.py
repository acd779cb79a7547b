"""Calls and subscriptions of the Python client, against real servers."""

import math
import uuid

import pytest
import trio

from flow import boards, tasks
from flow.schema import Task
from flow_backend.client import connect
from flow_backend.errors import (
    AppError,
    ClientClosed,
    ClientError,
    FunctionFailed,
    InvalidArguments,
    InvalidCall,
)
from flow_backend.values.value import Int64
from tests.server_process import ServerProcess

pytestmark = pytest.mark.slow


def name() -> str:
    return uuid.uuid4().hex


async def test_functions_give_what_their_types_say(flow_server: ServerProcess) -> None:
    """Documents are of the app's class, ids are ids; nothing loads the app for that."""
    async with connect(flow_server.url) as client:
        board = await client.mutation(boards.create, title="House", columns=["To do", "Done"])
        task = await client.mutation(tasks.add, board=board, title="Paint the fence")

        found = await client.query(tasks.get, task=task)
        (listed,) = await client.query(tasks.list_tasks, board=board)

    assert isinstance(found, Task)
    assert found == listed
    assert (found.id, found.title, found.board) == (task, "Paint the fence", board)
    assert found.labels == ()
    assert found.created > 1.7e12


async def test_paths_give_plain_values(server: ServerProcess) -> None:
    """Without the app's code every value arrives as what it is."""
    async with connect(server.url) as client:
        special = await client.query("values:special")
        sent = {"deep": [Int64(7), b"\x00\xff", None, True, 1.5, "ü"]}
        back = await client.mutation("values:change", value=sent)
        acted = await client.action("values:act", value=sent)

    assert back == acted == sent
    assert [special[each] for each in ("least", "one", "bytes")] == [
        Int64(-(2**63)),
        1.0,
        b"\x00\x01\xff",
    ]
    assert isinstance(special["least"], Int64)
    assert math.isnan(special["nan"])


async def test_a_subscription_gives_each_new_result(server: ServerProcess) -> None:
    counter = name()
    async with connect(server.url) as client:
        async with client.subscribe("counters:get", name=counter) as counts:
            seen = [await anext(counts)]
            for _ in range(3):
                await client.mutation("counters:add", name=counter)
                # The mutation has returned: its effect is here already.
                with trio.fail_after(0):
                    seen.append(await anext(counts))
        assert [each async for each in counts] == []

    assert seen == [0.0, 1.0, 2.0, 3.0]


async def test_a_slow_reader_gets_the_newest_result(server: ServerProcess) -> None:
    """What it did not look at in time is skipped, not queued."""
    counter = name()
    async with (
        connect(server.url) as client,
        client.subscribe("counters:get", name=counter) as counts,
    ):
        assert await anext(counts) == 0.0
        for _ in range(5):
            await client.mutation("counters:add", name=counter)

        assert await anext(counts) == 5.0


async def test_equal_subscriptions_are_one_to_the_server(server: ServerProcess) -> None:
    """Also if the order of their arguments differs; each ends by itself."""
    counter = name()
    async with connect(server.url) as client:
        first = client.subscribe("counters:get", name=counter)
        second = client.subscribe("counters:get", name=counter)
        async with first:
            async with second:
                assert [await anext(first), await anext(second)] == [0.0, 0.0]
                assert len(client._state.queries.by_id) == 1
            await client.mutation("counters:add", name=counter)
            assert await anext(first) == 1.0
        assert client._state.queries.by_id == {}


async def test_a_subscription_that_somebody_waits_in_outlives_its_equal(
    server: ServerProcess, nursery: trio.Nursery
) -> None:
    counter = name()
    seen: list[float] = []

    async def watch(task_status: trio.TaskStatus[None]) -> None:
        async with client.subscribe("counters:get", name=counter) as counts:
            seen.append(await anext(counts))
            task_status.started()
            seen.append(await anext(counts))

    with trio.fail_after(10):
        async with connect(server.url) as client, trio.open_nursery() as watching:
            await watching.start(watch)
            async with client.subscribe("counters:get", name=counter) as counts:
                await anext(counts)
            await client.mutation("counters:add", name=counter)

    assert seen == [0.0, 1.0]


async def test_errors_have_the_words_and_the_data_of_the_server(server: ServerProcess) -> None:
    data = {"code": "taken", "seats": [Int64(4), 2.0]}
    async with connect(server.url) as client:
        for call in (client.query, client.mutation, client.action):
            path = {"query": "ask", "mutation": "change", "action": "act"}[call.__name__]
            with pytest.raises(AppError) as refused:
                await call(f"refusals:{path}", data=data)
            assert refused.value.data == data
        with pytest.raises(AppError) as refused:
            await client.query("refusals:ask", data=None)
        assert refused.value.data is None
        with pytest.raises(FunctionFailed, match="the seat is taken"):
            await client.query("refusals:crash")
        with pytest.raises(FunctionFailed, match="Could not find public function"):
            await client.mutation("refusals:none")


async def test_a_failing_subscription_raises_and_goes_on(server: ServerProcess) -> None:
    """The loop ends with the query's error; the next loop has what comes after it."""
    listed = name()
    async with (
        connect(server.url) as client,
        client.subscribe("items:page", list=listed, paginationOpts={"numItems": "x"}) as pages,
    ):
        with pytest.raises(FunctionFailed, match="numItems"):
            await anext(pages)
        with trio.move_on_after(0.05) as waited:
            await anext(pages)
        assert waited.cancelled_caught


async def test_wrong_calls_are_refused_before_anything_is_sent(flow_server: ServerProcess) -> None:
    async with connect(flow_server.url) as client:
        with pytest.raises(InvalidArguments, match=r"tasks:add.*\n.*board"):
            await client.mutation(tasks.add, board="no id", title="x")  # type: ignore[arg-type]
        with pytest.raises(InvalidArguments, match="no argument 'colour'"):
            await client.mutation(tasks.add, colour="red")  # type: ignore[call-arg]
        with pytest.raises(InvalidCall, match=r"tasks:list is a query.*client\.query"):
            await client.mutation(tasks.list_tasks, board="x")  # type: ignore[call-overload]
        with pytest.raises(InvalidArguments, match="by name"):
            await client.query("tasks:list", "x")  # type: ignore[call-overload]
        assert client.state.unanswered == 0


async def test_the_state_tells_of_connections(server: ServerProcess) -> None:
    async with connect(server.url) as client:
        assert not client.state.connected
        async for state in client.states():
            if state.connected:
                break
        assert (client.state.connections, client.state.failure) == (1, None)


async def test_a_closed_client_says_so(server: ServerProcess) -> None:
    async with connect(server.url) as client:
        subscription = client.subscribe("counters:get", name="x")
        await subscription.__aenter__()
        await anext(subscription)
    assert [isinstance(each.failure, ClientClosed) async for each in client.states()] == [True]
    with pytest.raises(ClientClosed):
        await client.query("counters:get", name="x")
    with pytest.raises(ClientClosed):
        await anext(subscription)


async def test_an_error_in_the_block_comes_out_as_itself(server: ServerProcess) -> None:
    """No group of errors is made of it."""
    with pytest.raises(AppError):
        async with connect(server.url) as client:
            await client.query("refusals:ask", data="no")


async def test_an_address_that_is_none_is_refused_at_once() -> None:
    for url in ("127.0.0.1:3210", "ws://x", "http://", "http://x:port"):
        with pytest.raises(ClientError, match="is no address of a server"):
            async with connect(url):
                raise AssertionError


async def test_a_call_waits_for_a_server(server: ServerProcess) -> None:
    """Cancelled before it was sent, it never runs."""
    async with connect("http://127.0.0.1:9") as client:
        with trio.move_on_after(0.2) as waited:
            await client.mutation("counters:add", name="never")
        assert waited.cancelled_caught
        assert client.state.unanswered == 0
        assert client.state.retries > 0
        assert "127.0.0.1:9" in (client.state.last_close_reason or "")


async def test_large_results_come_in_parts(server: ServerProcess) -> None:
    async with connect(server.url) as client:
        texts = await client.query("values:large", megabytes=12.0)

    assert len(texts) == 12
    assert texts[-1].endswith("z\U0001f600")
