"""Makes the keys once, so that no test is slow for being the first to need one."""

import pytest

from tests.auth.signing import ec_key, ed_key, rsa_key


@pytest.fixture(scope="session", autouse=True)
def keys() -> None:
    rsa_key()
    rsa_key("other")
    rsa_key("short", 1024)
    ec_key()
    ed_key()
