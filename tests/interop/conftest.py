"""Servers for the tests against the official clients: one for each app, for the whole run."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.auth.signing import data_url, jwk, key_set, rsa_key
from tests.interop.support import missing
from tests.server_process import APPS, ServerProcess


@pytest.fixture(scope="session", autouse=True)
def needed() -> None:
    """Skip all of this where Node or its packages are missing: nothing else may."""
    why = missing()
    if why is not None:
        pytest.skip(why)


def _interop_server(data: Path) -> ServerProcess:
    keys = data_url(key_set(jwk(rsa_key(), "rsa", alg="RS256")))
    return ServerProcess("interop_app", data, APPS, {"INTEROP_KEYS": keys})


@pytest.fixture(scope="session")
def interop(tmp_path_factory: pytest.TempPathFactory) -> Generator[ServerProcess]:
    """The app whose functions show one thing each."""
    server = _interop_server(tmp_path_factory.mktemp("interop") / "data")
    server.start()
    yield server
    assert server.stop() == 0, server.log()


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> Generator[ServerProcess]:
    """Flow itself."""
    server = ServerProcess("flow", tmp_path_factory.mktemp("board") / "data")
    server.start()
    yield server
    assert server.stop() == 0, server.log()


@pytest.fixture
def mortal(tmp_path: Path) -> Generator[ServerProcess]:
    """A server of the interop app that a test may kill and start again."""
    server = _interop_server(tmp_path / "data")
    server.start()
    yield server
    server.stop()
