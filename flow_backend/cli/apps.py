"""Finds the app of a folder, for commands that are given in it without a name."""

from pathlib import Path

from flow_backend.cli.target import CommandError


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
    found = [each.parent for each in sorted(here.glob("*/schema.py")) if _is_package(each.parent)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(each.name for each in found)
        raise CommandError(f"There are several apps here: {names}. Say which with --app.")
    raise CommandError(
        f"There is no app here ({here}): no package with a schema.py. Make one with `flow new "
        "NAME`, start in the folder that holds yours, or name it with --app."
    )


def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file()
