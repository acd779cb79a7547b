"""Loads the app beside the server, as a version of its own: for its mistakes, and for its types."""

from pathlib import Path

from attrs import define, field

from flow_backend.deploy.codegen import types_of, write_files
from flow_backend.functions.loader import load_version, unload_version


@define
class Checks:
    """Loads the package as it is on the disk.

    Attributes:
        folder: of the package.
        types: the folder that its TypeScript is written to, None if nowhere.
    """

    folder: Path
    types: Path | None = None
    _loads: int = field(default=0, init=False)

    def run(self) -> list[str]:
        """Load it and bring the types up to date. Slow; give the names of the files that changed.

        Raises: AppDefinitionError that says file, line and what is wrong, and no file has changed;
            OSError if the types cannot be written.
        """
        self._loads += 1
        package, number = self.folder.name, self._loads
        try:
            files = types_of(load_version(self.folder.parent, package, number))
            return [] if self.types is None else write_files(files, self.types)
        finally:
            unload_version(package, number)
