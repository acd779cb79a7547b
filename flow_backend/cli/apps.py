"""Finds the app of a folder, for commands that are given in it without a name."""

from pathlib import Path
from typing import Final

from flow_backend.cli.target import CommandError

_ELSE: Final = "flow"


def find_app(named: str | None) -> Path:
    """Give the folder of the package that is meant: the one named, or the only one here.

    Raises: CommandError that says what to do.
    """
    here = Path.cwd()
    if named is not None:
        folder = Path(named) if Path(named).is_dir() else Path(*named.split("."))
        if not (folder / "__init__.py").is_file():
            raise CommandError(
                f"There is no package {named!r} here ({here}). Start in the folder that holds it, "
                "or make an app with `flow new NAME`."
            )
        return folder.resolve()
    found = _apps_in(here)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(each.name for each in found)
        raise CommandError(f"There are several apps here: {names}. Say which with --app.")
    raise CommandError(
        f"There is no app here ({here}): no package with a schema.py. Make one with `flow new "
        "NAME`, start in the folder that holds yours, or name it with --app."
    )


def default_app() -> str:
    """Give the package that is meant where none is named: the only app here, or Flow itself."""
    found = _apps_in(Path.cwd())
    return found[0].name if len(found) == 1 else _ELSE


def _apps_in(here: Path) -> list[Path]:
    """Give the folders of the packages with a schema.py, by name."""
    packages = [each.parent for each in sorted(here.glob("*/schema.py"))]
    return [each for each in packages if (each / "__init__.py").is_file()]
