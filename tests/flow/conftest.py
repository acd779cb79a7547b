from collections.abc import AsyncIterator, Iterator

import pytest

from tests.flow.support import Flow, RunningFlow, open_flow, open_running_flow


@pytest.fixture
def flow() -> Iterator[Flow]:
    with open_flow() as opened:
        yield opened


@pytest.fixture
async def running() -> AsyncIterator[RunningFlow]:
    async with open_running_flow() as opened:
        yield opened
