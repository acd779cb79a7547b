"""How many cases a test runs: a tenth in `make test`, all of them in `make soak`."""

import os
from typing import Final

FULL: Final = os.environ.get("FLOW_EFFORT") == "full"
"""Whether the full numbers of cases are run, which takes hours."""

SEED: Final = int(os.environ.get("FLOW_SEED", "0"))
"""Where seeded tests begin to count. `make soak` takes the day, so that each finds other cases."""


def cases(each: int, night: int | None = None) -> int:
    """Give the number of cases to run.

    Args:
        each: what a guarantee asks of every run of a continuous build, of which `make test` does a
            tenth.
        night: what it asks of a long run; as many as ``each`` if it names no other number.
    """
    if FULL:
        return each if night is None else night
    return max(1, each // 10)
