"""A board against a plain-Python model of it: lists of cards, one for each column."""

from contextlib import ExitStack
from typing import Any

import pytest
from attrs import define
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.effort import cases
from tests.flow.support import Flow, open_flow

COLUMNS = ("to-do", "doing", "done")


@define
class Card:
    """What the model knows of a task."""

    title: str
    done: bool = False


class BoardMachine(RuleBasedStateMachine):
    """Adds, moves, edits, completes, reopens and removes in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = ExitStack()
        self.flow: Flow = self.opened.enter_context(open_flow())
        self.board = ""
        self.model: dict[str, list[str]] = {column: [] for column in COLUMNS}
        self.cards: dict[str, Card] = {}
        self.gone: list[str] = []

    def teardown(self) -> None:
        self.opened.close()

    @initialize()
    def make_board(self) -> None:
        self.board = self.flow.board()

    @rule(column=st.sampled_from(COLUMNS), title=st.text("abc ", min_size=1).map("x".__add__))
    def add(self, column: str, title: str) -> None:
        call = self.flow.mutate("tasks:add", board=self.board, column=column, title=title)

        assert call.written == 1
        self.model[column].append(call.value)
        self.cards[call.value] = Card(" ".join(title.split()))

    @precondition(lambda self: self.cards)
    @rule(data=st.data(), column=st.sampled_from(COLUMNS))
    def move(self, data: st.DataObject, column: str) -> None:
        task = self._pick(data)
        # Any card may be named: one of another column, one that is gone, the moved one itself.
        anyone = st.sampled_from([None, *self.cards, *self.gone[-2:]])
        here = st.sampled_from([None, *self.model[column]])
        named = {name: data.draw(here | anyone, name) for name in ("before", "after")}
        given = {name: other for name, other in named.items() if other is not None}
        expected = self._moved(task, column, given)

        call = self.flow.mutate("tasks:move", task=task, column=column, **given)

        # One document for a move, none for a move to where it is.
        assert call.written == (0 if expected == self.model else 1)
        assert call.value is None
        self.model = expected

    def _moved(self, task: str, column: str, named: dict[str, str]) -> dict[str, list[str]]:
        if task in self.model[column] and task in named.values():
            return self.model
        moved = {key: [each for each in ids if each != task] for key, ids in self.model.items()}
        target = moved[column]
        if named.get("before") in target:
            target.insert(target.index(named["before"]), task)
        elif named.get("after") in target:
            target.insert(target.index(named["after"]) + 1, task)
        else:
            target.append(task)
        return moved

    @precondition(lambda self: self.cards)
    @rule(data=st.data(), title=st.text("abc", min_size=1))
    def edit(self, data: st.DataObject, title: str) -> None:
        task = self._pick(data)
        card = self.cards[task]

        call = self.flow.mutate("tasks:edit", task=task, title=title)

        assert call.written == (title != card.title)
        card.title = title

    @precondition(lambda self: self.cards)
    @rule(data=st.data(), done=st.booleans())
    def complete_or_reopen(self, data: st.DataObject, done: bool) -> None:
        task = self._pick(data)
        card = self.cards[task]

        call = self.flow.mutate("tasks:complete" if done else "tasks:reopen", task=task)

        assert call.written == (done != card.done)
        card.done = done

    @precondition(lambda self: self.cards)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        task = self._pick(data)

        assert self.flow.mutate("tasks:remove", task=task).written == 1
        assert self.flow.mutate("tasks:remove", task=task).written == 0
        for ids in self.model.values():
            if task in ids:
                ids.remove(task)
        del self.cards[task]
        self.gone.append(task)

    def _pick(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(list(self.cards)), "task")

    @invariant()
    def lists_the_models_order(self) -> None:
        tasks: list[dict[str, Any]] = self.flow.tasks(self.board) if self.board else []

        assert [task["_id"] for task in tasks] == [
            task for column in COLUMNS for task in self.model[column]
        ]
        assert {
            task["_id"]: Card(task["title"], task["completed_at"] is not None) for task in tasks
        } == self.cards
        places = {(task["column"], task["rank"]) for task in tasks}
        assert len(places) == len(tasks), "two tasks of a column share a rank"


TestBoard = BoardMachine.TestCase
TestBoard.settings = settings(max_examples=cases(150, 3_000), stateful_step_count=30, deadline=None)
TestBoard.pytestmark = [pytest.mark.slow]  # type: ignore[attr-defined]  # Hypothesis made the class.
