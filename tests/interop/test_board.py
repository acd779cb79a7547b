"""Two clients on one board, and optimistic updates under React that never flicker."""

import pytest

from tests.interop.support import Report, run_node
from tests.server_process import ServerProcess

pytestmark = [pytest.mark.node, pytest.mark.slow]

TITLES = [f"task {number}" for number in range(6)]
ORDER = ["to-do", "doing", "done"]


async def test_a_move_by_one_client_changes_the_list_of_the_other(board: ServerProcess):
    """What Flow is for; each mutation brings one change of the list, in the order of the board."""
    (told,) = await run_node("board.mjs", "twoClients", url=board.url)

    assert told["states"] == [
        [["one", "to-do"], ["two", "to-do"], ["three", "to-do"]],
        [["two", "to-do"], ["three", "to-do"], ["one", "doing"]],
        [["three", "to-do"], ["two", "to-do"], ["one", "doing"]],
    ]


def columns_over_time(states: list[list[list[str]]], title: str) -> list[str]:
    """The columns in which a task was shown, without repetitions, in order."""
    found: list[str] = []
    for state in states:
        for _id, shown, column in state:
            if shown == title and found[-1:] != [column]:
                found.append(column)
    return found


async def test_an_optimistic_update_is_never_seen_to_be_undone_or_doubled(board: ServerProcess):
    """Another client commits all the time, so transitions come between mutation and answer."""
    added = ["added 0", "added 1", "added 2"]

    (told,) = await run_node("react.mjs", "optimistic", url=board.url, titles=TITLES, added=added)
    states: list[list[list[str]]] = told["states"]

    for state in states:
        titles = [title for _id, title, _column in state]
        assert len(set(titles)) == len(titles), state
    for title in TITLES:
        shown = columns_over_time(states, title)
        # Two moves may fall into one commit of React's, but no step is ever taken back.
        assert shown in (ORDER, [ORDER[0], ORDER[2]]), title
    assert any(columns_over_time(states, title) == ORDER for title in TITLES)
    for title in added:
        present = [any(title == shown for _id, shown, _column in state) for state in states]
        assert present == sorted(present), title
        assert present[-1]
    guesses = [ident for ident, _title, _column in states[-1] if ident.startswith("guess")]
    assert guesses == []
    assert any(ident.startswith("guess") for state in states for ident, _title, _column in state)
    # What comes in one piece is drawn at once, so that the screen alone would not show this.
    seen = 0
    for kind, ts in told["order"]:
        assert kind == "Transition" or int(ts) > seen, "a transition overtook its answer"
        seen = int(ts) if kind == "Transition" else seen


async def test_a_refused_move_goes_back_and_leaves_the_others_alone(board: ServerProcess):
    (told,) = await run_node("react.mjs", "refused", url=board.url, titles=TITLES)
    states: list[list[list[str]]] = told["states"]

    good, refused, other = told["outcomes"]
    assert good == other == {"value": None}
    assert refused["error"]["kind"] == "ConvexError"
    assert "nowhere" in refused["error"]["data"]
    assert columns_over_time(states, TITLES[0]) == ["to-do", "doing"]
    assert columns_over_time(states, TITLES[1]) == ["to-do", "nowhere", "to-do"]
    assert columns_over_time(states, TITLES[2]) == ["to-do", "done"]
    assert all(len(state) == len(TITLES) for state in states if state)


async def test_pages_have_no_holes_and_no_doubles_while_rows_come_and_go(interop: ServerProcess):
    """Every commit of React's shows the pages as a beginning of the whole list, to the row."""
    (told,) = await run_node("react.mjs", "pages", url=interop.url, list="pages")
    states: list[Report] = told["states"]

    loaded = [state for state in states if state["all"] is not None and state["paged"]]
    assert len(loaded) > 20
    for state in loaded:
        assert state["paged"] == state["all"][: len(state["paged"])], state
    assert not told["splitTooEarly"]
    last = states[-1]
    assert last["status"] == "Exhausted"
    assert last["paged"] == last["all"]
    assert len(last["all"]) == 30 + 6 - 2 + 8 + 3 - 2 + 1
