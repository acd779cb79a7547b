"""A client for the type checkers: the lines that end with ``# error`` are wrong, and no others."""

from typing import assert_type

from flow import boards, tasks
from flow.schema import Board, Task
from flow_backend import Id
from flow_backend.client import SyncClient, connect


async def main(board: Id[Board], task: Id[Task]) -> None:
    async with connect("http://127.0.0.1:3210") as client:
        assert_type(await client.query(tasks.list_tasks, board=board), list[Task])
        assert_type(await client.query(tasks.get, task=task), Task | None)
        assert_type(await client.mutation(tasks.add, board=board, title="x"), Id[Task])
        await client.query(tasks.list_tasks, board=task)  # error
        await client.query(tasks.list_tasks)  # error
        await client.query(tasks.list_tasks, board=board, colour="red")  # error
        await client.mutation(tasks.list_tasks, board=board)  # error
        await client.query(tasks.add, board=board, title="x")  # error
        await client.action(tasks.add, board=board, title="x")  # error
        await client.query("tasks:list", board="any")
        async with client.subscribe(tasks.list_tasks, board=board) as results:
            async for result in results:
                assert_type(result, list[Task])
                result[0].title = "y"  # error
        client.subscribe(tasks.add, board=board, title="x")  # error


def script(board: Id[Board]) -> None:
    with SyncClient("http://127.0.0.1:3210", seconds=30) as client:
        assert_type(client.query(tasks.list_tasks, board=board), list[Task])
        client.mutation(boards.create, title=7)  # error
        for each in client.watch(tasks.list_tasks, board=board):
            assert_type(each, list[Task])
        client.watch(tasks.list_tasks, board=7)  # error
