"""Admin keys: who has one may call every function, deploy, export and import.

Their hashes stand in a file of the data folder, beside the database and not in it: keys belong to
a machine, so that no export or backup carries them. The server reads the file again when it has
changed, and a command that has no server to ask changes it all the same.
"""

import fcntl
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

import orjson
from attrs import asdict, define, field, frozen

from flow_backend.errors import AdminKeysError

FILE: Final = "admin-keys.json"
_SECRET_BYTES: Final = 32
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_END_CHARACTERS: Final = 4
_KEY_CHARACTERS_MAX: Final = 256


@frozen
class StoredKey:
    """What is kept of a key.

    Attributes:
        name: what its owner calls it; the key begins with it.
        sha256: of the whole key, in hexadecimal. The secret has 256 random bits, so that a slow
            hash would add nothing.
        created_ms: when it was made, in ms since the epoch.
        end: its last characters, by which people tell keys apart.
    """

    name: str
    sha256: str
    created_ms: float
    end: str


def new_key(name: str, now_ms: float) -> tuple[str, StoredKey]:
    """Make a key: ``name|secret``, which is shown once, and what is kept of it.

    Source: the HTTP API, "Authentication header": a key holds no colon.
    Raises: AdminKeysError for a name that cannot stand in a key.
    """
    if _NAME.fullmatch(name) is None:
        raise AdminKeysError(
            f"{name!r} is no name for a key: take 1 to 64 letters, digits, dots, hyphens and "
            "underscores, a letter or digit first"
        )
    key = f"{name}|{secrets.token_urlsafe(_SECRET_BYTES)}"
    return key, StoredKey(name, _hash(key), now_ms, key[-_END_CHARACTERS:])


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


def read_keys(folder: Path) -> list[StoredKey]:
    """Read the keys of a data folder; none if there is no file.

    Raises: AdminKeysError if the file cannot be read, or is none of ours.
    """
    file = folder / FILE
    try:
        rows: Any = orjson.loads(file.read_bytes())
        return [_parsed(row) for row in cast("list[Any]", rows["keys"])]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(file, error) from error
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise AdminKeysError(
            f"the file {file} is damaged: remove it, and make new keys (flow key create)"
        ) from error


def _parsed(row: Any) -> StoredKey:
    """Check what a file says of a key. Raises: TypeError, ValueError."""
    key = StoredKey(**row)
    texts: list[object] = [key.name, key.sha256, key.end]
    if not (all(isinstance(each, str) for each in texts) and _HASH.fullmatch(key.sha256)):
        raise ValueError
    return StoredKey(key.name, key.sha256, float(key.created_ms), key.end)


def _unreadable(file: Path, error: OSError) -> AdminKeysError:
    return AdminKeysError(
        f"the keys in {file} cannot be read: {error.strerror}; the server and the commands must "
        "run as the user that the data folder belongs to"
    )


def write_keys(folder: Path, keys: Sequence[StoredKey]) -> None:
    """Put these keys in the place of all that a data folder has; only its owner may read them.

    Raises: AdminKeysError if it cannot be written; nothing has changed then.
    """
    content = orjson.dumps({"keys": [asdict(key) for key in keys]}, option=orjson.OPT_INDENT_2)
    try:
        write_private(folder / FILE, content)
        _sync(folder)  # A key that was revoked must not come back with the power.
    except OSError as error:
        raise AdminKeysError(
            f"the keys in {folder / FILE} cannot be written: {error.strerror}"
        ) from error


def write_private(file: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all.

    Raises: OSError.
    """
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    draft.replace(file)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _changing(folder: Path) -> Generator[None]:
    """Let nobody else change the keys of a data folder while the block runs.

    Raises: AdminKeysError if the folder is none, or cannot be locked.
    """
    try:
        # The folder itself is locked, so that no file is left; the server's lock is another.
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(folder / FILE, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    except OSError as error:
        raise _unreadable(folder / FILE, error) from error
    finally:
        os.close(handle)


def add_key(folder: Path, name: str, now_ms: float) -> str:
    """Make a key and keep its hash; give the key, which nobody can show again.

    Raises: AdminKeysError; also if there is one of this name.
    """
    with _changing(folder):
        keys = read_keys(folder)
        if any(key.name == name for key in keys):
            raise AdminKeysError(
                f"there is a key named {name!r} already: take another name, or revoke that one "
                "first"
            )
        key, kept = new_key(name, now_ms)
        write_keys(folder, [*keys, kept])
    return key


def remove_key(folder: Path, name: str) -> None:
    """Make a key worthless.

    Raises: AdminKeysError; also if there is none of this name.
    """
    with _changing(folder):
        keys = read_keys(folder)
        rest = [key for key in keys if key.name != name]
        if len(rest) == len(keys):
            names = ", ".join(key.name for key in keys) or "none"
            raise AdminKeysError(f"there is no key named {name!r}; the keys are: {names}")
        write_keys(folder, rest)


@define
class AdminKeys:
    """Looks at keys that callers show, in a data folder that commands may change meanwhile.

    ``local`` is one more key, which this process has made for commands on its own machine.
    """

    folder: Path
    local: str | None = None
    _hashes: tuple[str, ...] = ()
    _seen: tuple[int, int] | None = None
    _local_hash: str | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._local_hash = None if self.local is None else _hash(self.local)

    def is_valid(self, key: str) -> bool:
        """Say whether this is a key. It may read a file: call it in a thread.

        Raises: AdminKeysError if the file cannot be read.
        """
        if len(key) > _KEY_CHARACTERS_MAX:
            return False
        given = _hash(key)
        # First of all: whoever is to mend the file has this one.
        if self._local_hash is not None and hmac.compare_digest(given, self._local_hash):
            return True
        self._read()
        found = False
        for one in self._hashes:  # All of them, each in the same time: no near one is told.
            found |= hmac.compare_digest(given, one)
        return found

    def _read(self) -> None:
        file = self.folder / FILE
        try:
            status = file.stat()
        except FileNotFoundError:
            self._hashes, self._seen = (), None
            return
        except OSError as error:
            raise _unreadable(file, error) from error
        seen = (status.st_mtime_ns, status.st_ino)
        if seen != self._seen:
            self._hashes = tuple(key.sha256 for key in read_keys(self.folder))
            self._seen = seen
