"""Boards for the load: fills them, and thinks up the next move."""

import random
from typing import Final

from attrs import define

from bench.wire import Hub, Writer

COLUMNS: Final = ("to-do", "doing", "done")


@define
class Deck:
    """The tasks of a board, by column, as the load last told the server to put them."""

    board: str
    columns: dict[str, list[str]]
    random: random.Random

    def next_move(self) -> dict[str, object]:
        """Give the arguments of a move: any task, to a place before any other in another column.

        It never stays in its column, where a move may change nothing, and so be shown to nobody.
        """
        sizes = [len(self.columns[name]) for name in COLUMNS]
        [source] = self.random.choices(COLUMNS, sizes)
        tasks = self.columns[source]
        task = tasks.pop(self.random.randrange(len(tasks)))
        column = self.random.choice([name for name in COLUMNS if name != source])
        others = self.columns[column]
        others.append(task)
        if len(others) == 1:
            return {"task": task, "column": column}
        return {"task": task, "column": column, "before": self.random.choice(others[:-1])}


def fill_board(hub: Hub, writer: Writer, tasks: int, body_bytes: int) -> Deck:
    """Make a board with tasks in all of its columns."""
    board = str(hub_call(hub, writer, "boards:create", {"title": f"{tasks} tasks"}))
    columns = {name: list[str]() for name in COLUMNS}
    for number in range(tasks):
        column = COLUMNS[number % len(COLUMNS)]
        task = {**_task(board, number, body_bytes), "column": column}
        columns[column].append(str(hub_call(hub, writer, "tasks:add", task)))
    return Deck(board, columns, random.Random(7))


def hub_call(hub: Hub, writer: Writer, path: str, arguments: dict[str, object]) -> object:
    """Run a mutation and wait for its result."""
    answers = writer.answers + 1
    writer.mutate(path, arguments)
    hub.wait(lambda: writer.answers == answers, path)
    return writer.result


def add_tasks(hub: Hub, writers: list[Writer], board: str, count: int) -> list[str]:
    """Add many tasks by several writers, each asking for its next when the last is done."""
    made: list[str] = []
    asked = 0

    def ask(writer: Writer) -> None:
        nonlocal asked
        if asked < count:
            writer.mutate("tasks:add", _task(board, asked, 0))
            asked += 1

    def take(writer: Writer) -> None:
        made.append(str(writer.result))
        ask(writer)

    for writer in writers:
        writer.on_answer = take
        ask(writer)
    hub.wait(lambda: len(made) == count, f"{count} tasks", 120.0)
    for writer in writers:
        writer.on_answer = None
    return made


def body_text(number: int, body_bytes: int) -> str:
    """Write a task's text. Texts differ, as people's do: equal ones would flatter who compares."""
    return f"{number * 7919:x} ".ljust(body_bytes, "abcdefghij"[number % 10])[:body_bytes]


def _task(board: str, number: int, body_bytes: int) -> dict[str, object]:
    body = body_text(number, body_bytes)
    return {"board": board, "title": f"Task {number:05}", "body": body}
