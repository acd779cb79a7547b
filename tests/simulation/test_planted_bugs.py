"""The checkers are checked: each known bug, put in on purpose, is found within 100 seeds."""

from collections.abc import Callable

import pytest

from flow_backend.actors.frontier import Frontier
from flow_backend.actors.messages import Invalidated
from flow_backend.actors.table import RecentWrites
from flow_backend.schema.table import RowKeys
from flow_backend.storage.base import Write
from flow_backend.storage.request_records import RequestRecords
from tests.simulation.soak import run_seed

SEEDS = 100
Plant = Callable[[pytest.MonkeyPatch], None]


def constantly(value: object) -> Callable[..., object]:
    def answer(*_: object) -> object:
        return value

    return answer


def drop_an_invalidation(patch: pytest.MonkeyPatch) -> None:
    """Each fifth message of the tables names no query."""
    count = 0

    def silent(table: str, ts: int, queries: object, heard: int) -> object:
        nonlocal count
        count += bool(queries)
        return Invalidated(table, ts, {} if count % 5 == 0 else queries, heard)  # type: ignore[arg-type]

    patch.setattr("flow_backend.actors.table.Invalidated", silent)


def skip_the_registration_check(patch: pytest.MonkeyPatch) -> None:
    """A commit between a query's run and its subscription goes unseen."""
    patch.setattr(RecentWrites, "touch", constantly(False))


def run_a_resend_twice(patch: pytest.MonkeyPatch) -> None:
    """A mutation that is sent again runs again."""
    patch.setattr(RequestRecords, "find", constantly(None))
    patch.setattr(RequestRecords, "add", constantly(None))


def forget_the_old_key(patch: pytest.MonkeyPatch) -> None:
    """A row that leaves a range is seen only where it arrives."""

    def new_keys(write: Write) -> list[RowKeys]:
        return [] if write.after is None else [write.after]

    patch.setattr("flow_backend.actors.table.keys_of", new_keys)


def show_before_the_answer(patch: pytest.MonkeyPatch) -> None:
    """A round does not wait until the commit that it shows was told."""
    patch.setattr(Frontier, "is_settled", property(constantly(True)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "plant",
    [
        drop_an_invalidation,
        skip_the_registration_check,
        run_a_resend_twice,
        forget_the_old_key,
        show_before_the_answer,
    ],
)
def test_a_planted_bug_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checker that never fails says nothing."""
    plant(monkeypatch)

    for seed in range(SEEDS):
        try:
            run_seed(seed)
        except Exception:
            return

    pytest.fail(f"{plant.__name__} was not found in {SEEDS} seeds")
