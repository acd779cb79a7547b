"""The command that makes an app of one's own, which runs at once."""

import importlib.util
import keyword
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import click

from flow_backend.cli.target import CommandError

_TEMPLATE: Final = "new_app"
_SUFFIX: Final = ".txt"
_DOT: Final = "dot_"
_NAME: Final = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_PLACEHOLDER: Final = re.compile(r"\{\{(\w+)\}\}")


@click.command()
@click.argument("name")
def new(name: str) -> None:
    """Make a folder NAME with a small app: tables, functions, a page, a test."""
    package = _package_of(name)
    folder = Path.cwd() / name
    if folder.exists():
        raise CommandError(f"{folder} exists already; nothing was changed. Choose another name.")
    try:
        make_app_folder(folder, name, package)
    except OSError as error:
        raise CommandError(f"{folder} cannot be made: {error}") from None
    print(f"Made {name}/: read its README.md, or just run")
    print()
    print(f"  cd {name} && flow dev")


def _package_of(name: str) -> str:
    """Give the Python package of an app with this name.

    Raises: CommandError if there can be none.
    """
    package = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(package):
        raise CommandError(
            f"{name!r} cannot be a Python package. Take small letters, digits and dashes, such as "
            "guest-book."
        )
    if package in sys.stdlib_module_names or importlib.util.find_spec(package) is not None:
        raise CommandError(
            f"There is a Python module {package!r} already, which the app would hide. Choose "
            "another name."
        )
    return package


def make_app_folder(folder: Path, name: str, package: str) -> None:
    """Write the app's folder; it is there as a whole, or not at all.

    Raises: OSError.
    """
    # Only here: `flow --help` needs none of it.
    from flow_backend.cli.dev.checks import Checks

    title = " ".join(re.split("[_-]", name)).capitalize()
    words = {"name": name, "package": package, "title": title}
    unfinished = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        for path, text in _template(files("flow_backend.cli").joinpath(_TEMPLATE)):
            top, *rest = path
            target = unfinished.joinpath(package if top == "app" else top, *rest)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_PLACEHOLDER.sub(lambda found: words[found[1]], text))
        # The page is whole from the start, for an editor that is opened before the server.
        Checks(unfinished / package, unfinished / "web" / "src" / "generated").run()
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _template(folder: Traversable, *above: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Give the files of the template, by the parts of their paths in the app.

    Their names end in .txt, and dot_ stands for a dot, so that no tool takes them for code of ours.
    """
    for each in sorted(folder.iterdir(), key=lambda each: each.name):
        if each.is_dir():
            yield from _template(each, *above, each.name)
        elif each.name.endswith(_SUFFIX):
            name = each.name.removesuffix(_SUFFIX)
            if name.startswith(_DOT):
                name = "." + name.removeprefix(_DOT)
            yield (*above, name), each.read_text()
