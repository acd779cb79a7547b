"""The policy by which an action is tried again."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_backend import Retry, action
from flow_backend.errors import AppDefinitionError
from flow_backend.functions.context import ActionCtx

FULL = Random()


def test_waits_double_and_are_bounded() -> None:
    """Each wait is between half of its bound and the bound."""
    policy = Retry(attempts=6, first_seconds=1, factor=2, most_seconds=5)
    random = Random(1)

    for failed, most in [(1, 1), (2, 2), (3, 4), (4, 5), (5, 5)]:
        delay = policy.delay_seconds(failed, random)
        assert delay is not None
        assert most / 2 <= delay <= most
    assert policy.delay_seconds(6, random) is None


@given(st.integers(1, 10_000), st.integers())
def test_a_wait_is_a_number_whatever_the_count(failed: int, seed: int) -> None:
    """Powers of a hundred must not overflow."""
    policy = Retry(attempts=100, factor=100.0, most_seconds=60.0)

    delay = policy.delay_seconds(failed, Random(seed))

    assert delay is None if failed >= 100 else delay is not None and 0.5 <= delay <= 60


def test_jitter_parts_what_failed_together() -> None:
    """Without it all come back at once, and fail once more."""
    policy = Retry()

    assert len({policy.delay_seconds(1, Random(seed)) for seed in range(20)}) == 20


@pytest.mark.parametrize(
    ("name", "value"),
    [("attempts", 1), ("attempts", 101), ("first_seconds", 0), ("factor", 0.5)],
)
def test_numbers_that_make_no_policy_are_refused(name: str, value: float) -> None:
    """When the app is loaded, not when the first action fails."""
    with pytest.raises(AppDefinitionError, match=name):
        Retry(**{name: value})  # type: ignore[arg-type]  # One at a time.


def test_the_longest_wait_is_not_shorter_than_the_first() -> None:
    """Else the first wait would have to be longer than the longest."""
    with pytest.raises(AppDefinitionError, match="most_seconds"):
        Retry(first_seconds=10, most_seconds=5)


def test_an_action_carries_its_policy() -> None:
    """With a name or without; one without a policy runs once."""
    policy = Retry(attempts=3)

    @action(retry=policy)
    async def send(ctx: ActionCtx) -> None:
        """Do nothing."""

    @action
    async def once(ctx: ActionCtx) -> None:
        """Do nothing."""

    assert (send.retry, send.name) == (policy, "send")
    assert once.retry is None
