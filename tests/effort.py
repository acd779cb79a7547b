"""How many cases a test runs: a tenth in `make test`, all of them in `make soak`."""

import json
import os
import sys
from pathlib import Path
from typing import Final


def _share(text: str) -> float | None:
    return None if not text else 1.0 if text == "full" else float(text)


SHARE: Final = _share(os.environ.get("FLOW_EFFORT", ""))
"""The share of a long run's cases to run; None in `make test`, which has its own numbers."""

FULL: Final = SHARE is not None
"""Whether this is a long run, which takes hours."""

SEED: Final = int(os.environ.get("FLOW_SEED", "0"))
"""Where seeded tests begin to count. `make soak` takes the day, so that each finds other cases."""

_ACCOUNT: Final = os.environ.get("FLOW_EFFORT_ACCOUNT")
"""A file to which each asks for cases is added, for the soak's report."""


def cases(each: int, night: int | None = None) -> int:
    """Give the number of cases to run.

    Args:
        each: what a guarantee asks of every run of a continuous build, of which `make test` does a
            tenth.
        night: what it asks of a long run; as many as ``each`` if it names no other number.
    """
    wanted = each / 10 if SHARE is None else (each if night is None else night) * SHARE
    number = max(1, int(wanted))
    if _ACCOUNT:
        asked = sys._getframe(1)
        line = {"file": asked.f_code.co_filename, "test": asked.f_code.co_name, "cases": number}
        with Path(_ACCOUNT).open("a", encoding="utf-8") as account:
            account.write(json.dumps(line) + "\n")
    return number
