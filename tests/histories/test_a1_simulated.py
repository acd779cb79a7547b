"""A1, C1, C3: histories of list appends under cuts, restarts and lost answers, one seed each."""

from collections import Counter

import pytest

from tests.effort import FULL, SEED, cases
from tests.histories.world import run_seed

TRANSACTIONS = 300 if FULL else 60


def run_seeds(first: int, count: int, transactions: int, **kinds: float) -> Counter[str]:
    """Run seeds, and fail with the first anomaly. Returns: what they reached."""
    reached = Counter[str]()
    for seed in range(first, first + count):
        doubles = bool(kinds.get("doubles"))
        try:
            found, history, came = run_seed(
                seed, transactions, kinds.get("lost_share", 0.0), doubles=doubles
            )
        except Exception as error:
            raise AssertionError(f"run_seed({seed}, {transactions}, {kinds}) fails") from error
        texts = "\n".join(str(each) for each in found[:5])
        assert not found, f"run_seed({seed}, {transactions}, {kinds}) shows\n{texts}"
        reached.update(came)
        reached["transactions"] += len(history)
    return reached


@pytest.mark.slow
def test_a1_histories_have_one_order_that_all_saw() -> None:
    """No cycle of any kind, and each read at T is the appends up to T: cuts and restarts or not."""
    reached = run_seeds(SEED, cases(200, 5000), TRANSACTIONS)

    assert reached["transactions"] > 300
    assert reached["restarted"]
    assert reached["cut"]


@pytest.mark.slow
def test_c1_lost_answers_lead_to_no_second_run() -> None:
    """Each answer is lost with p = 0.3, and its connection with it; values never stand twice."""
    reached = run_seeds(SEED + 1000, cases(20, 300), 120, lost_share=0.3)

    assert reached["answer lost"] > 10


@pytest.mark.slow
def test_c1_two_sockets_of_one_session_run_each_mutation_once() -> None:
    """The same requests come over two connections at once, in any order."""
    reached = run_seeds(SEED + 2000, cases(20, 300), 120, lost_share=0.05, doubles=1)

    assert reached["two sockets of one session"]
