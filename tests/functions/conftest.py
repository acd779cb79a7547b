from collections.abc import Iterator
from typing import Any

import pytest

from tests.functions.backend import Backend, Open, open_backend


@pytest.fixture
def start() -> Iterator[Open]:
    """Open backends that are closed when the test ends."""
    opened: list[Backend] = []

    def open_one(*args: Any, **kwargs: Any) -> Backend:
        opened.append(open_backend(*args, **kwargs))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()
