"""The file of admin keys: what damages it locks nobody out, and no change to it gets lost."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from flow_backend.auth import admin_keys
from flow_backend.auth.admin_keys import (
    FILE,
    AdminKeys,
    StoredKey,
    add_key,
    read_keys,
    remove_key,
    write_keys,
)
from flow_backend.errors import AdminKeysError

GOOD = {"name": "a", "sha256": "0" * 64, "created_ms": 0.0, "end": "abcd"}
DAMAGED = [
    b"{",
    b"\xff",
    b"[]",
    b"null",
    orjson.dumps({"keys": 5}),
    orjson.dumps({"keys": [5]}),
    orjson.dumps({"keys": [{**GOOD, "sha256": 5}]}),
    orjson.dumps({"keys": [{**GOOD, "sha256": "\u00e4" * 64}]}),
    orjson.dumps({"keys": [{**GOOD, "created_ms": "now"}]}),
    orjson.dumps({"keys": [{**GOOD, "name": None}]}),
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_says_what_to_do_and_the_local_key_is_good(
    tmp_path: Path, content: bytes
) -> None:
    """Whoever is to mend it needs the server's commands."""
    (tmp_path / FILE).write_bytes(content)
    keys = AdminKeys(tmp_path, "local|secret")

    assert keys.is_valid("local|secret")
    for _ in range(2):
        with pytest.raises(AdminKeysError, match=r"damaged: remove it.*flow key create"):
            keys.is_valid("a|b")
    with pytest.raises(AdminKeysError, match="damaged"):
        add_key(tmp_path, "more", 0.0)

    (tmp_path / FILE).unlink()
    made = add_key(tmp_path, "more", 0.0)
    assert keys.is_valid(made)
    assert keys.is_valid("local|secret")


def test_a_file_that_cannot_be_read_is_said_and_the_local_key_is_good(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    keys = AdminKeys(tmp_path, "local|secret")

    assert keys.is_valid("local|secret")
    with pytest.raises(AdminKeysError, match=r"cannot be read: .*directory"):
        keys.is_valid("a|b")


def test_keys_that_are_made_and_revoked_at_once_are_all_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two people at two terminals, one of them between the other's look and his change."""
    add_key(tmp_path, "old", 0.0)
    others = [
        threading.Thread(target=add_key, args=(tmp_path, "second", 0.0)),
        threading.Thread(target=remove_key, args=(tmp_path, "old")),
    ]

    def write(folder: Path, keys: Sequence[StoredKey]) -> None:
        monkeypatch.setattr(admin_keys, "write_keys", write_keys)
        for other in others:
            other.start()
            other.join(0.05)
        write_keys(folder, keys)

    monkeypatch.setattr(admin_keys, "write_keys", write)
    add_key(tmp_path, "first", 0.0)
    for other in others:
        other.join()

    assert {key.name for key in read_keys(tmp_path)} == {"first", "second"}
    assert os.listdir(tmp_path) == [FILE]
