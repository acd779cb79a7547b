"""A server whose app shows one thing with each of its functions."""

from pathlib import Path

from tests.auth.signing import data_url, jwk, key_set, rsa_key
from tests.server_process import APPS, ServerProcess


def interop_server(data: Path) -> ServerProcess:
    keys = data_url(key_set(jwk(rsa_key(), "rsa", alg="RS256")))
    return ServerProcess("interop_app", data, APPS, {"INTEROP_KEYS": keys})
