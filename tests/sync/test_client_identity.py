"""Which client is talking."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_backend.sync.client_identity import ClientIdentity, client_of


@pytest.mark.parametrize(
    ("path_version", "header", "name", "version"),
    [
        ("1.48.0", None, "npm", "1.48.0"),
        ("1.48.0-alpha.1", None, "npm", "1.48.0-alpha.1"),
        (None, "python-0.8.1", "python", "0.8.1"),
        (None, "rust-0.10.4", "rust", "0.10.4"),
        (None, "npm-1.48.0-alpha.1", "npm", "1.48.0-alpha.1"),
        (None, "npm-cli-1.2.3", "npm-cli", "1.2.3"),
        (None, "npm-1.0.0-2.0.0", "npm", "1.0.0-2.0.0"),  # The longest version wins.
        (None, "streaming-import-0.1.0+b-1", "streaming-import", "0.1.0+b-1"),
        (None, "cobol-1.0.0", "unknown", "1.0.0"),
        (None, "python", "unknown", ""),
        (None, "python-one", "unknown", ""),
        (None, "python-01.0.0", "unknown", ""),
        (None, None, "unknown", ""),
        ("latest", None, "unknown", ""),
        ("1.48", "python-0.8.1", "python", "0.8.1"),
    ],
)
def test_client_of(path_version: str | None, header: str | None, name: str, version: str) -> None:
    client = client_of(path_version, header)

    assert (client.name, client.version) == (name, version)


@pytest.mark.parametrize(
    ("client", "takes"),
    [
        (ClientIdentity("npm", "1.28.0"), True),
        (ClientIdentity("npm", "1.28.0+build"), True),
        (ClientIdentity("npm", "1.28.1-alpha.0"), True),
        (ClientIdentity("npm", "10.0.0"), True),
        (ClientIdentity("npm", "1.28.0-alpha.0"), False),
        (ClientIdentity("npm", "1.9.0"), False),
        (ClientIdentity("npm", ""), False),
        (ClientIdentity("npm-cli", "1.48.0"), False),
        (ClientIdentity("python", "1.48.0"), False),
        (ClientIdentity("unknown", "9.9.9"), False),
        (client_of(None, "flow-0.1.0"), True),
    ],
)
def test_chunks_go_only_to_clients_that_join_them(client: ClientIdentity, takes: bool) -> None:
    """To any other client a chunk is an unknown message, and it reconnects for ever."""
    assert client.takes_chunks is takes


@given(st.none() | st.text(), st.none() | st.text("npm-0.1+a", max_size=40))
def test_any_text_is_some_client(path_version: str | None, header: str | None) -> None:
    assert client_of(path_version, header).name
