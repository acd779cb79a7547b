"""Servers that the Python client talks to."""

from collections.abc import Generator

import pytest

from tests.client.support import interop_server
from tests.server_process import ServerProcess


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[ServerProcess]:
    """The app whose functions show one thing each."""
    with interop_server(tmp_path_factory.mktemp("client") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def flow_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[ServerProcess]:
    """Flow itself."""
    with ServerProcess("flow", tmp_path_factory.mktemp("client") / "data") as running:
        yield running
