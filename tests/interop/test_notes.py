"""Two clients type in one note at once."""

import pytest

from tests.interop.support import run_node
from tests.server_process import ServerProcess

pytestmark = [pytest.mark.node, pytest.mark.slow]


@pytest.mark.parametrize("place", ["own line", "same line"])
async def test_two_who_type_in_one_note_see_the_same_and_all_of_it(
    board: ServerProcess, place: str
):
    """Neither takes over the other's text while it types: the server alone puts both together."""
    (told,) = await run_node("notes.mjs", "twoEditors", url=board.url, place=place)

    first, second = told["texts"]
    assert first == second
    words = first.split()
    for name in "ab":
        for number in range(told["edits"]):
            assert f"{name}{number}" in words
