"""The checkers are checked: each known bug, put in on purpose, is found within 100 seeds."""

from collections.abc import Callable
from typing import Any

import pytest
import trio

from flow_backend.actors.frontier import Frontier
from flow_backend.actors.messages.to_query import Invalidated
from flow_backend.actors.mutation import MutationActor
from flow_backend.actors.table import RecentWrites
from flow_backend.schema.table import RowKeys
from flow_backend.storage import open as open_module
from flow_backend.storage.base import Committed, Write
from flow_backend.storage.request_records import RequestRecords
from tests.simulation.soak import run_seed

SEEDS = 100
FIRST = 5_000
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


def switch_fsync_off(patch: pytest.MonkeyPatch) -> None:
    """The log is never synced: a power cut takes what was acknowledged."""
    connect = open_module.connect

    def relaxed(*args: Any, **kwargs: Any) -> Any:
        connection = connect(*args, **kwargs)
        connection.pragma("synchronous", 0)
        return connection

    patch.setattr(open_module, "connect", relaxed)


def answer_before_durable(patch: pytest.MonkeyPatch) -> None:
    """The answer leaves when the mutation has run, and the COMMIT comes a little later."""
    answer = MutationActor._answer

    async def hasty(actor: MutationActor, requests: list[Any], *args: Any) -> Any:
        executed = actor._execute(*args)
        answer(actor, requests, Committed(actor.writer.last_ts, executed.outcomes))
        await trio.sleep(0.02)
        return await actor.worker.run(lambda: actor.writer.finish(executed))

    patch.setattr(MutationActor, "_run", hasty)
    patch.setattr(MutationActor, "_answer", constantly(None))


@pytest.mark.slow
@pytest.mark.parametrize(
    "plant",
    [
        drop_an_invalidation,
        skip_the_registration_check,
        run_a_resend_twice,
        forget_the_old_key,
        show_before_the_answer,
        switch_fsync_off,
        answer_before_durable,
    ],
)
def test_a_planted_bug_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checker that never fails says nothing."""
    plant(monkeypatch)

    for seed in range(FIRST, FIRST + SEEDS):
        try:
            run_seed(seed)
        except Exception:
            return

    pytest.fail(f"{plant.__name__} was not found in {SEEDS} seeds")
