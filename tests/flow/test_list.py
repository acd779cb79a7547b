"""The list of a board's tasks: what every screen that shows the board gets on each change."""

import pytest

from flow.schema import Task
from tests.flow.support import Flow


def test_the_list_is_made_of_stored_bytes(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round of a live board sends it: no task may be decoded and encoded again for that."""
    board = flow.board("Zoo", "Beach", "Alps")
    for number in range(12):
        column = ["zoo", "beach", "alps"][number % 3]
        flow.do("tasks:add", board=board, title=f"{number} \N{SNOWMAN}", column=column)
    expected = [f"{n} \N{SNOWMAN}" for first in range(3) for n in range(first, 12, 3)]

    def refuse(raw: bytes) -> None:
        raise AssertionError(f"decoded: {raw!r}")

    with monkeypatch.context() as patched:
        patched.setattr(Task, "__fill__", staticmethod(refuse))
        result = flow.query_bytes("tasks:list", {"board": board})

    rows = [flow.stored("tasks", task["_id"]) for task in flow.tasks(board)]
    assert result == b"[" + b",".join(rows) + b"]"
    assert flow.titles(board) == expected


def test_the_list_reads_each_task_once(flow: Flow) -> None:
    """And the board, so that the order of columns follows it."""
    board = flow.board()
    for number in range(30):
        flow.do("tasks:add", board=board, title=str(number))

    frugal = flow.limited(documents_read=31, ranges_read=4)

    assert len(frugal.tasks(board)) == 30
