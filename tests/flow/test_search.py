"""Tasks and notes are found by their words, and a search stays true while others write."""

from collections.abc import Mapping
from typing import Any, cast

from trio.testing import MockClock

from flow_backend.actors.messages.calls import Call
from flow_backend.functions.context import NOBODY
from flow_backend.testing.client import SimClient
from tests.actors.stage import Stage, stage
from tests.flow.support import APP, Flow, value_of


def marked(found: Mapping[str, Any]) -> list[str]:
    """Give the pieces of a snippet that are what was searched for."""
    return [part["text"] for part in found["snippet"]["parts"] if part["hit"]]


def test_a_task_is_found_by_title_label_and_text(flow: Flow) -> None:
    """On one board or all; what it says now counts, and not what it said."""
    home = flow.do("boards:create", title="Home")
    work = flow.do("boards:create", title="Work")
    milk = flow.do("tasks:add", board=home, title="Buy oat milk")
    soap = flow.do("tasks:add", board=work, title="Soap", body="and milk.")

    def found(text: str, **more: Any) -> list[str]:
        return [each["task"]["_id"] for each in flow.query("tasks:search", text=text, **more)]

    assert found("mil") == [milk, soap]
    assert found("mil", board=work) == [soap]
    assert found("milk oat") == [milk]
    assert marked(flow.query("tasks:search", text="mil", board=work)[0]) == ["milk"]
    flow.do("tasks:edit", task=milk, title="Buy bread", labels=["Errand"])
    assert found("mil") == [soap]
    assert found("errand bread") == [milk]
    flow.do("tasks:remove", task=soap)
    assert found("soap") == []


def test_a_note_is_found_by_the_text_that_it_has_now(flow: Flow) -> None:
    """After edits, a merge, and not when it is gone."""
    note = flow.do(
        "notes:create", title="Trip", body="Pack the tent.\n\nBring a map.", tags=["Alps"]
    )

    def found(text: str) -> list[str]:
        return [each["note"]["title"] for each in flow.query("notes:search", text=text)]

    assert found("tent alps") == ["Trip"]
    flow.do("notes:edit", note=note, base=1, body="Pack the kettle.\n\nBring a map.")
    assert found("tent") == []
    flow.do("notes:edit", note=note, base=1, body="Pack the tent.\n\nBring a compass.")
    assert found("kettle compass") == ["Trip"]
    flow.do("notes:remove", note=note)
    assert found("kettle") == []
    assert flow.rows("note_texts") == []


async def test_e_a_search_is_live_and_run_for_its_hits_alone(autojump_clock: MockClock) -> None:
    """Two clients see a card come and go; a card that they do not find costs no run."""
    async with stage(app=APP) as on:
        board = await do(on, "boards:create", title="Home")
        clients = [on.client() for _ in range(2)]
        for client in clients:
            client.subscribe("tasks:search", text="oat mil", board=board)
            await client.wait_results()
        ran = on.runs

        await do(on, "tasks:add", board=board, title="Milk")
        await on.rest()
        assert on.runs == ran

        card = await do(on, "tasks:add", board=board, title="Milk of oats, oat")
        await on.rest()
        assert [titles(client) for client in clients] == [["Milk of oats, oat"]] * 2
        assert on.runs == ran + 1
        await do(on, "tasks:remove", task=card)
        await on.rest()
        assert [titles(client) for client in clients] == [[]] * 2


async def do(on: Stage, path: str, /, **args: Any) -> Any:
    return value_of((await on.backend.mutate(Call(path, args, NOBODY))).result)


def titles(client: SimClient) -> list[str]:
    found = cast("list[Mapping[str, Any]]", client.results[0].value)
    return [each["task"]["title"] for each in found]
