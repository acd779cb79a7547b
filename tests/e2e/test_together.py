"""Two Python clients and a browser at work on one board."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from flow import boards, tasks
from flow.schema import Board, Task
from flow_backend import Id
from flow_backend.client import Client, SyncClient, connect
from tests.browser_notice import find_chromium
from tests.server_process import ROOT, ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess("flow", tmp_path / "data") as running:
        yield running


async def watch_until(
    client: Client, board: Id[Board], title: str, column: str
) -> dict[Id[Task], str]:
    """Watch a board until a task stands in a column. Returns: the column of each task then."""
    async with client.subscribe(tasks.list_tasks, board=board) as lists:
        async for listed in lists:
            if any((each.title, each.column) == (title, column) for each in listed):
                return {each.id: each.column for each in listed}
    raise AssertionError


async def test_two_python_clients_and_a_browser_work_on_one_board(server: ServerProcess) -> None:
    """What any of the three does is seen by the other two."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium was found")
    columns = ["To do", "Doing", "Done"]
    report: dict[str, object] = {}
    seen: dict[str, dict[Id[Task], str]] = {}

    async def browse(board: Id[Board], task: Id[Task]) -> None:
        script = Path(__file__).with_name("together.mjs")
        command = ["node", script, chromium, ROOT / "flow_web", server.url, board, task]
        done = await trio.run_process(
            command, capture_stdout=True, stderr=subprocess.STDOUT, check=False
        )
        assert done.returncode == 0, done.stdout.decode()
        report.update(json.loads(done.stdout.splitlines()[-1]))

    async def answer(client: Client, board: Id[Board]) -> None:
        await watch_until(client, board, "Paint the fence", "doing")
        await client.mutation(tasks.add, board=board, title="From Python")
        seen["first"] = await watch_until(client, board, "From Python", "done")

    async def move_on(client: Client, board: Id[Board]) -> None:
        listed = await watch_until(client, board, "From Python", "to-do")
        (task,) = [each for each, column in listed.items() if column == "to-do"]
        await client.mutation(tasks.move, task=task, column="done")
        seen["second"] = await watch_until(client, board, "From Python", "done")

    with trio.fail_after(90):
        async with connect(server.url) as first, connect(server.url) as second:
            board = await first.mutation(boards.create, title="House", columns=columns)
            task = await second.mutation(tasks.add, board=board, title="Paint the fence")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(browse, board, task)
                nursery.start_soon(answer, first, board)
                nursery.start_soon(move_on, second, board)

    assert report.pop("problems") == []
    assert seen["first"] == seen["second"] == {task: "doing", report["shown"]: "done"}
    with SyncClient(server.url) as script:
        fresh = await trio.to_thread.run_sync(lambda: script.query(tasks.list_tasks, board=board))
    assert {each.id: each.column for each in fresh} == seen["first"]
