"""One server for all hostile cases: a process of its own, whose log and memory are looked at."""

from collections.abc import Generator

import pytest

from tests.auth.signing import data_url, jwk, key_set, rsa_key
from tests.hostile.wire import Target
from tests.server_process import APPS, ServerProcess


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Generator[Target]:
    """A server of the app whose functions show one thing each; it logs all that it can."""
    keys = data_url(key_set(jwk(rsa_key(), "rsa", alg="RS256")))
    environment = {
        "INTEROP_KEYS": keys,
        "FLOW_LOG_LEVEL": "debug",
        "FLOW_LOG_FORMAT": "json",
        # A machine that is busy is no fault; a loop that stands still as long as this is one.
        "FLOW_WATCHDOG_SECONDS": "10",
    }
    data = tmp_path_factory.mktemp("hostile") / "data"
    process = ServerProcess("interop_app", data, APPS, environment)
    process.start()
    yield Target(process)
    assert process.stop() == 0, process.log()
