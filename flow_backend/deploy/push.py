"""Sends a package to a running server, and follows what becomes of it."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from flow_backend.errors import AppDefinitionError
from flow_backend.functions.package import ZIP_BYTES_MAX, read_package_folder, zip_package

_FIRST_WAIT_SECONDS: Final = 0.02
_LONGEST_WAIT_SECONDS: Final = 1.0
_ENDED: Final = frozenset({"active", "past", "refused", "failed"})

Deployment = Mapping[str, Any]


class Server(Protocol):
    """A server that is asked as an admin, with paths below its address."""

    def get(self, path: str, **parameters: str | int) -> Any:
        """Ask for something."""
        ...

    def post(self, path: str, body: object = None, **parameters: str | int) -> Any:
        """Send JSON, or bytes as they are."""
        ...


def read_package(app: str) -> tuple[str, bytes]:
    """Read an app's package from the disk: a folder, or a name that stands in the current one.

    Returns: its name, and its zip.
    Raises: AppDefinitionError that says what is wrong.
    """
    folder = Path(app) if Path(app).is_dir() else Path(*app.split("."))
    if not folder.is_dir():
        raise AppDefinitionError(
            f"There is no package {app!r} here ({Path.cwd()}). Start in the folder that holds it, "
            "or name its folder with --app."
        )
    package = read_package_folder(folder.resolve())
    zipped = zip_package(package)
    if len(zipped) > ZIP_BYTES_MAX:
        raise AppDefinitionError(
            f"The package {package.name!r} is a zip of {len(zipped)} bytes, and at most "
            f"{ZIP_BYTES_MAX} can be deployed. Move data out of it."
        )
    return package.name, zipped


def follow(
    server: Server, number: int, dry_run: bool, told: Callable[[Deployment], None]
) -> Deployment:
    """Ask for a deployment until it has come to its end; ``told`` hears of each answer before."""
    ended = _ENDED | {"ready"} if dry_run else _ENDED
    wait = _FIRST_WAIT_SECONDS
    while True:
        deployment: Deployment = server.get(f"/api/flow/deployments/{number}")
        if deployment["state"] in ended:
            return deployment
        told(deployment)
        time.sleep(wait)
        wait = min(wait * 1.5, _LONGEST_WAIT_SECONDS)
