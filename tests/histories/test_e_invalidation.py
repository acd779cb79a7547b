"""E: random documents, indexes, ranges and commits, against running it again and a slow model."""

from collections.abc import Iterator

import pytest

from tests.effort import SEED, cases
from tests.histories.chain import (
    Chosen,
    Engine,
    FalseAlarm,
    Missed,
    WrongAnswer,
    check_interrupted,
    run_world,
    shrink,
)
from tests.histories.spans import check_spans

STEPS, QUERIES = 25, 12
EACH = 250
"""A world compares about this many times: each query with each commit."""


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    engine.open()
    yield engine
    engine.close()


@pytest.mark.slow
def test_e_no_commit_is_missed_and_none_alarms_without_cause(engine: Engine) -> None:
    """E1, E2, E4, E5: met, if and only if the run has consumed a row as it was or has become.

    FLOW_SEED=… runs this from another seed; a failure names the least part of its world that still
    fails, which tests.histories.chain.run_world(engine, seed, chosen=…) runs again.
    """
    wanted = cases(20_000, 1_000_000)
    compared = met = seed = 0
    while compared < wanted:
        try:
            world = run_world(engine, SEED + seed, STEPS, QUERIES)
        except (Missed, FalseAlarm, WrongAnswer) as error:
            whole = Chosen(SEED + seed, tuple(range(STEPS)), tuple(range(QUERIES)))
            least = shrink(engine, whole, type(error))
            raise type(error)(
                f"{error}\nto see it again: FLOW_SEED={SEED + seed}, {least}"
            ) from None
        compared, met, seed = compared + world.cases, met + world.met, seed + 1

    assert compared > seed * EACH / 2
    # Neither all nor none: a world in which nothing is met shows nothing.
    assert compared / 20 < met < compared / 2


@pytest.mark.slow
def test_e_sql_gives_the_rows_whose_keys_lie_in_the_range(engine: Engine) -> None:
    """E1: also for places where no row stands, and for parts of a place."""
    for seed in range(SEED, SEED + cases(100, 5000)):
        check_spans(engine, seed)


def test_e1_a_query_that_ran_out_of_time_depends_on_all_that_it_was_about_to_read(
    engine: Engine,
) -> None:
    """How far a read came that was interrupted is not known."""
    for seed in range(SEED, SEED + cases(100)):
        check_interrupted(engine, seed)
