"""Servers that the Python client talks to."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.auth.signing import data_url, jwk, key_set, rsa_key
from tests.server_process import APPS, ServerProcess


def interop_server(data: Path) -> ServerProcess:
    keys = data_url(key_set(jwk(rsa_key(), "rsa", alg="RS256")))
    return ServerProcess("interop_app", data, APPS, {"INTEROP_KEYS": keys})


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
