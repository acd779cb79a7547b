from collections.abc import Iterator
from pathlib import Path

import pytest

from flow_backend.storage.base import Storage
from tests.storage.support import Clock, Engine, FileEngine, MemoryEngine


@pytest.fixture(params=["file", "memory"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    return FileEngine(tmp_path / "data") if request.param == "file" else MemoryEngine()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def storage(engine: Engine, clock: Clock) -> Iterator[Storage]:
    storage = engine(now_ns=clock)
    yield storage
    storage.close()
