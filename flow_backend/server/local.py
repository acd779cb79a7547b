"""The file by which commands on the same machine find the server, and may do what an admin may.

Who can read the data folder can read all data anyway, so the key in it gives nothing away. It is
made anew at each start, and stands nowhere else.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast

import orjson
import structlog
from attrs import field, frozen

from flow_backend.auth.admin_keys import write_private

FILE: Final = "local.json"

log = structlog.stdlib.get_logger("flow.server")


@frozen
class LocalServer:
    """A server that runs on this machine, or did when it was last heard of."""

    url: str
    pid: int
    admin_key: str = field(repr=False)


@contextmanager
def announced_locally(folder: Path, url: str, admin_key: str) -> Generator[None]:
    """Let commands find the server while the block runs.

    A folder in which that cannot be written is said in the log: the commands need --url then.
    """
    file = folder / FILE
    content = {"url": url, "pid": os.getpid(), "admin_key": admin_key}
    try:
        write_private(file, orjson.dumps(content, option=orjson.OPT_INDENT_2))
    except OSError as error:
        log.warning("Commands will need --url", file=str(file), reason=error.strerror)
    try:
        yield
    finally:
        with suppress(OSError):
            if (found := find_local(folder)) is not None and found.pid == os.getpid():
                file.unlink()


def find_local(folder: Path) -> LocalServer | None:
    """Read what the server of a data folder has left; None if there is nothing of use."""
    try:
        content: Any = orjson.loads((folder / FILE).read_bytes())
        fields = cast("dict[str, Any]", content)
        return LocalServer(str(fields["url"]), int(fields["pid"]), str(fields["admin_key"]))
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
