"""The client for programs without a loop: plain calls, threads, Ctrl-C."""

import signal
import subprocess
import sys
import threading
import uuid

import pytest

from flow import boards, tasks
from flow_backend.client import SyncClient
from flow_backend.errors import AppError, ClientClosed, ClientError, InvalidArguments
from tests.auth.signing import claims, rsa_key, sign
from tests.client.test_tokens import token
from tests.server_process import ROOT, ServerProcess, hear_ctrl_c

pytestmark = pytest.mark.slow


def name() -> str:
    return uuid.uuid4().hex


def test_a_script_calls_and_watches(flow_server: ServerProcess) -> None:
    with SyncClient(flow_server.url) as client:
        board = client.mutation(boards.create, title="House", columns=["To do"])
        titles: list[list[str]] = []
        for listed in client.watch(tasks.list_tasks, board=board):
            titles.append([each.title for each in listed])
            if len(listed) == 2:
                break
            client.mutation(tasks.add, board=board, title=f"task {len(listed)}")
        assert client.query(boards.get, board=board) is not None
        assert client.state.connected

    assert titles == [[], ["task 0"], ["task 0", "task 1"]]


def test_errors_come_out_as_they_are(server: ServerProcess) -> None:
    with SyncClient(server.url) as client:
        with pytest.raises(AppError) as refused:
            client.action("refusals:act", data=[1.0])
        assert refused.value.data == [1.0]
        with pytest.raises(AppError):
            list(client.watch("refusals:ask", data="no"))
        with pytest.raises(InvalidArguments):
            client.watch("counters:get", "x")  # type: ignore[call-overload]


def test_threads_share_a_client(server: ServerProcess) -> None:
    counter = name()
    with SyncClient(server.url) as client:

        def count() -> None:
            for _ in range(10):
                client.mutation("counters:add", name=counter)

        threads = [threading.Thread(target=count) for _ in range(5)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert client.query("counters:get", name=counter) == 50.0


def test_a_bounded_call_says_why_it_ended() -> None:
    with SyncClient("http://127.0.0.1:9", seconds=0.2) as client:
        with pytest.raises(TimeoutError, match=r"within 0\.2 s; there is no connection.*:9"):
            client.query("counters:get", name="x")
        with pytest.raises(TimeoutError):
            client.wait_connected()


def test_closing_ends_the_calls_of_other_threads() -> None:
    client = SyncClient("http://127.0.0.1:9")
    raised: list[BaseException] = []

    def call() -> None:
        try:
            client.mutation("counters:add", name="x")
        except ClientClosed as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    while not client.state.unanswered:
        thread.join(0.01)
    client.close()
    thread.join()

    assert len(raised) == 1
    with pytest.raises(ClientClosed):
        client.query("counters:get", name="x")
    client.close()


def test_an_address_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ClientError, match="is no address of a server"):
        SyncClient("localhost")


def test_tokens_come_from_a_plain_function(server: ServerProcess) -> None:
    bad = sign(claims(), rsa_key("a stranger's"))
    asked: list[bool] = []

    def fetch(force: bool) -> str:
        asked.append(force)
        return token("bea") if force else bad

    with SyncClient(server.url, token=fetch) as client:
        assert client.query("people:me") == "bea"
        client.set_token(token("ann"))
        assert client.mutation("people:change") == "ann"
        client.set_token(None)
        assert client.action("people:act") is None
    assert asked == [False, True]


SCRIPT = """
import sys
from flow_backend.client import SyncClient
with SyncClient(sys.argv[1]) as client:
    for count in client.watch("counters:get", name="none"):
        print(count, flush=True)
"""


def test_ctrl_c_ends_a_script_that_waits(server: ServerProcess) -> None:
    script = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, server.url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,
    )
    with script:
        try:
            assert script.stdout is not None
            assert script.stdout.readline() == "0.0\n"
            script.send_signal(signal.SIGINT)
            _, said = script.communicate(timeout=30)
        finally:
            script.kill()

    assert said.rstrip().endswith("KeyboardInterrupt"), said
    assert script.returncode == -signal.SIGINT
