"""What a move costs, and how ranks stay short."""

from collections.abc import Sequence

import pytest

from flow.places import SPREAD_EACH_WAY
from flow.rank import LONG_RANK, ranks_between
from tests.flow.support import Flow


def fill(flow: Flow, board: str, count: int, ranks: Sequence[str] | None = None) -> list[str]:
    """Put tasks in the first column with one commit, as an import would."""
    column = flow.query("boards:get", board=board)["columns"][0]["key"]
    first = flow.do("tasks:add", board=board, title="0", column=column)
    given = ranks or ranks_between(None, None, count)
    flow.put_like("tasks", first, [{"rank": r, "title": str(n)} for n, r in enumerate(given)])
    return [task["_id"] for task in flow.paged(board)]


@pytest.fixture
def long_column(flow: Flow) -> tuple[str, list[str]]:
    board = flow.board()
    return board, fill(flow, board, 10_000)


@pytest.mark.slow
def test_a_move_in_a_long_column_reads_a_handful(
    flow: Flow, long_column: tuple[str, list[str]]
) -> None:
    """Its cost must not grow with the column: the task, the board, the neighbour, the next one."""
    board, tasks = long_column
    frugal = flow.limited(documents_read=7, ranges_read=7)
    moves = [
        {"column": "to-do", "before": tasks[20]},
        {"column": "to-do", "after": tasks[9_990]},
        {"column": "to-do", "before": tasks[0]},
        {"column": "to-do", "after": tasks[-1]},
        {"column": "to-do"},
        {"column": "doing"},
        {"column": "to-do", "before": tasks[20], "after": tasks[19]},
    ]

    written = [frugal.mutate("tasks:move", task=tasks[5_000], **each).written for each in moves]
    added = frugal.do("tasks:add", board=board, title="new", column="to-do")

    assert written == [1, 1, 1, 1, 0, 1, 1]
    order = [task["_id"] for task in flow.paged(board)]
    assert order.index(tasks[5_000]) == 20
    assert order[-1] == added


@pytest.mark.slow
def test_a_very_long_column_is_spread_around_the_place_alone(
    flow: Flow, long_column: tuple[str, list[str]]
) -> None:
    """To write all of it would pass the limits of a call, and then no move there would work."""
    board, tasks = long_column
    rank = flow.query("tasks:get", task=tasks[5_000])["rank"]
    narrow = rank + "V" * (LONG_RANK - 1 - len(rank))
    flow.set_field("tasks", tasks[5_000], "rank", narrow)
    flow.set_field("tasks", tasks[5_001], "rank", narrow + "1")

    call = flow.mutate("tasks:move", task=tasks[0], column="to-do", before=tasks[5_001])

    assert SPREAD_EACH_WAY < call.written <= 2 * SPREAD_EACH_WAY + 1
    after = flow.paged(board)
    assert [task["_id"] for task in after] == [*tasks[1:5_001], tasks[0], *tasks[5_001:]]
    assert max(len(task["rank"]) for task in after) < 10


@pytest.mark.slow
def test_a_thousand_inserts_at_one_spot_keep_ranks_short(flow: Flow) -> None:
    """Without spreading, keys between two neighbours reach some 170 characters."""
    board = flow.board()
    flow.do("tasks:add", board=board, title="first")
    last = flow.do("tasks:add", board=board, title="last")
    spreads, longest = 0, 0

    for number in range(1_000):
        task = flow.do("tasks:add", board=board, title=str(number), column="done")
        call = flow.mutate("tasks:move", task=task, column="to-do", before=last)
        spreads += call.written > 1
        longest = max(longest, len(flow.query("tasks:get", task=task)["rank"]))

    assert flow.titles(board) == ["first", *map(str, range(1_000)), "last"]
    assert max(len(task["rank"]) for task in flow.tasks(board)) <= LONG_RANK
    assert longest <= LONG_RANK
    assert 1 <= spreads <= 10


def test_a_spread_keeps_the_order_and_happens_in_the_same_mutation(flow: Flow) -> None:
    """A column is never seen with a rank that is too long, nor half spread."""
    board = flow.board()
    narrow = "a0" + "V" * (LONG_RANK - 3)
    ranks = ["a0", narrow, narrow + "1"]
    tasks = fill(flow, board, 3, ranks)
    moved = flow.do("tasks:add", board=board, title="moved", column="done")

    call = flow.mutate("tasks:move", task=moved, column="to-do", after=tasks[1])

    after = flow.tasks(board)
    assert [task["_id"] for task in after] == [tasks[0], tasks[1], moved, tasks[2]]
    assert [task["rank"] for task in after] == ranks_between(None, None, 4)
    assert call.written == 3  # The first one keeps its rank.


def test_a_move_to_where_it_is_writes_nothing(flow: Flow) -> None:
    """Also where the gap is so wide that another rank would be drawn from it."""
    board = flow.board()
    one, two, three, four, five = (flow.do("tasks:add", board=board, title=t) for t in "12345")
    flow.do("tasks:remove", task=two)
    flow.do("tasks:remove", task=four)
    places = [
        (three, {"before": five}),
        (three, {"after": one}),
        (three, {"before": five, "after": one}),
        (three, {"before": three}),
        (five, {}),
        (five, {"before": two}),
        (one, {"before": three}),
    ]

    written = [
        flow.mutate("tasks:move", task=task, column="to-do", **place).written
        for task, place in places
    ]

    assert written == [0] * 7


def test_a_neighbour_that_left(flow: Flow) -> None:
    """While I drag, others move cards: then the other neighbour counts, and after it the end."""
    board = flow.board()
    one, two, three, four = (flow.do("tasks:add", board=board, title=t) for t in "1234")
    flow.do("tasks:move", task=three, column="doing")

    flow.do("tasks:move", task=four, column="to-do", before=three, after=one)
    assert flow.titles(board, "to-do") == ["1", "4", "2"]

    flow.do("tasks:move", task=one, column="to-do", before=three)
    assert flow.titles(board, "to-do") == ["4", "2", "1"]

    flow.do("tasks:remove", task=two)
    flow.do("tasks:move", task=four, column="to-do", after=two)
    assert flow.titles(board, "to-do") == ["1", "4"]


def test_a_neighbour_on_another_board_counts_as_none(flow: Flow) -> None:
    """Ranks of another board say nothing here."""
    board, other = flow.board(), flow.board()
    one, _two = (flow.do("tasks:add", board=board, title=t) for t in "12")
    stranger = flow.do("tasks:add", board=other, title="stranger")

    flow.do("tasks:move", task=one, column="to-do", before=stranger)

    assert flow.titles(board) == ["2", "1"]
