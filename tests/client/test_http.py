"""The client that keeps no connection."""

import uuid

import pytest
import trio

from flow import boards, tasks
from flow.schema import Task
from flow_backend.client import HttpClient
from flow_backend.errors import (
    AppError,
    AuthRejected,
    ClientError,
    ConnectionLost,
    FunctionFailed,
)
from flow_backend.server.local import find_local
from tests.auth.signing import claims, rsa_key, sign
from tests.client.test_tokens import token
from tests.interop.support import Proxy, open_proxy
from tests.server_process import ServerProcess

pytestmark = pytest.mark.slow


def test_calls_are_typed_and_errors_are_errors(
    flow_server: ServerProcess, server: ServerProcess
) -> None:
    with HttpClient(flow_server.url) as client:
        board = client.mutation(boards.create, title="House", columns=["To do"])
        client.mutation(tasks.add, board=board, title="Paint")
        (task,) = client.query(tasks.list_tasks, board=board)
    assert isinstance(task, Task)
    assert (task.board, task.title) == (board, "Paint")

    with HttpClient(server.url) as client:
        assert client.action("values:act", value=[b"\x00", 1.0]) == [b"\x00", 1.0]
        with pytest.raises(AppError) as refused:
            client.mutation("refusals:change", data=None)
        assert refused.value.data is None
        with pytest.raises(FunctionFailed, match="the seat is taken"):
            client.query("refusals:crash")
    with pytest.raises(ClientError, match="is no address"):
        HttpClient("localhost")


def test_tokens_and_admin_keys(server: ServerProcess) -> None:
    with HttpClient(server.url, token=token("bea")) as client:
        assert client.query("people:me") == "bea"
    with (
        HttpClient(server.url, token=sign(claims(), rsa_key("a stranger's"))) as client,
        pytest.raises(AuthRejected),
    ):
        client.mutation("people:change")
    local = find_local(server.data)
    assert local is not None
    with HttpClient(server.url, admin_key=local.admin_key) as client:
        assert client.query("refusals:hidden") == "not for clients"


async def test_a_mutation_whose_answer_is_lost_takes_effect_once(server: ServerProcess) -> None:
    def cut(proxy: Proxy, chunk: bytes) -> bool:
        return b"HTTP/1.1 200" in chunk and proxy.cuts < 2

    counter = uuid.uuid4().hex
    async with open_proxy(Proxy(server.port, cut_downstream=cut)) as proxy:
        with HttpClient(proxy.url) as client:
            count = await trio.to_thread.run_sync(
                lambda: client.mutation("counters:add", name=counter)
            )
            again = await trio.to_thread.run_sync(
                lambda: client.mutation("counters:add", name=counter)
            )

    assert (proxy.cuts, count, again) == (2, 1.0, 2.0)


def test_without_a_server_it_says_so() -> None:
    with (
        HttpClient("http://127.0.0.1:9") as client,
        pytest.raises(ConnectionLost, match=r"x:y: http://127\.0\.0\.1:9 gave no answer"),
    ):
        client.action("x:y")
