"""Which version a server begins with: what came last, the package on its disk or a deploy."""

import importlib.util
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import structlog
from attrs import define, field

from flow_backend.errors import AppDefinitionError, StartError
from flow_backend.functions.deployments import DEPLOYMENTS, AddDeployment, BeginServing
from flow_backend.functions.loader import load_version
from flow_backend.functions.package import (
    Package,
    read_package_folder,
    unpack,
    unzip_package,
    zip_package,
)
from flow_backend.functions.registry import App, load_app
from flow_backend.records import frozen
from flow_backend.schema.table import TableSpec
from flow_backend.storage.read_only import ReadOnly

log = structlog.stdlib.get_logger("flow.server")

VERSIONS: Final = "versions"
"""The folder of unpacked versions, in the data directory."""

_DAMAGED: Final = 65


@frozen
class FirstVersion:
    """What serves first.

    Attributes:
        web: the folder of the web app; a deployed package has none, so it is the disk's.
        begin: what is to be noted in the database before anybody is served; None if nothing is.
    """

    app: App
    number: int
    web: Path | None
    begin: BeginServing | None


@define
class FirstVersionChooser:
    """Chooses when the database is open, and before it is brought to the schema of the choice.

    The package on disk serves if it is another one than at the last start, or if nothing was
    deployed since; else the deployed version goes on serving.

    Attributes:
        package: the name of the app's package.
        data: the data directory.
        check: raises what is to be said against a version.
        chosen: the choice, once it is made.
    """

    package: str
    data: Path
    check: Callable[[App], None]
    chosen: FirstVersion | None = field(default=None, init=False)

    def __call__(self, reading: ReadOnly | None) -> Sequence[TableSpec]:
        """Choose by what the database says, None if it is new. Returns: the version's tables.

        Raises: AppDefinitionError, StartError.
        """
        rows: list[dict[str, Any]] = []
        if reading is not None and reading.has_table(DEPLOYMENTS):
            rows = [orjson.loads(raw) for _, raw in reading.documents(DEPLOYMENTS)]
        rows.sort(key=lambda row: row["number"])
        active = next((row for row in rows if row["state"] == "active"), None)
        was_open = any(row["state"] == "checking" for row in rows)
        disk = _package_on_disk(self.package)
        started = [row["digest"] for row in rows if row["origin"] == "start"]
        if active is not None and (disk is None or started[-1:] == [disk.digest]):
            self.chosen = self._recorded(reading, active, disk, was_open)
        else:
            self.chosen = self._from_disk(disk, int(rows[-1]["number"]) + 1 if rows else 1)
        self.check(self.chosen.app)
        return tuple(self.chosen.app.schema.tables.values())

    def _from_disk(self, disk: "Package | None", number: int) -> FirstVersion:
        app = load_app(self.package)
        assert disk is not None, self.package  # Else it could not be imported.
        if number > 1:
            log.info("Serving the package on disk, which has changed", version=number)
        new = AddDeployment(disk.name, disk.digest, zip_package(disk), "start", seed=number)
        return FirstVersion(app, number, app.web, BeginServing(number, new))

    def _recorded(
        self,
        reading: ReadOnly | None,
        active: dict[str, Any],
        disk: "Package | None",
        was_open: bool,
    ) -> FirstVersion:
        number = int(active["number"])
        begin = BeginServing(number, None) if was_open else None
        if disk is not None and active["digest"] == disk.digest:
            app = load_app(self.package)
            return FirstVersion(app, number, app.web, begin)
        assert reading is not None, number
        zipped = reading.package(active["digest"])
        if zipped is None:
            raise StartError(
                f"The database says that version {number} serves, and does not have its package; "
                "change a file of the package on disk to serve that one",
                _DAMAGED,
            )
        log.info("Serving what was deployed", version=number, package=active["package"])
        root = self.data / VERSIONS / str(number)
        # What stands there may be of another database that was here before, or half of it.
        shutil.rmtree(root, ignore_errors=True)
        unpack(unzip_package(zipped, active["package"]), root)
        app = load_version(root, active["package"], number)
        folder = _folder_of(self.package)
        web = None if folder is None else folder / "web"
        return FirstVersion(app, number, web if web and web.is_dir() else None, begin)


def _folder_of(package: str) -> Path | None:
    """Find a package's folder without importing it."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _package_on_disk(package: str) -> "Package | None":
    folder = _folder_of(package)
    try:
        return None if folder is None else read_package_folder(folder)
    except (AppDefinitionError, OSError):
        return None  # Importing it says what is wrong.
