"""Keeps the generated types of an app's clients in a folder up to date."""

from collections.abc import Mapping
from pathlib import Path

from flow_backend.deploy.typescript import typescript_files
from flow_backend.functions.describe import describe_app
from flow_backend.functions.registry import App


def types_of(app: App) -> dict[str, str]:
    """Give the text of each generated file by its name; the same app gives the same text.

    Raises: AppDefinitionError if something in the app cannot go on the wire, or if two of its
        classes would have one name.
    """
    app.bind({name: number for number, name in enumerate(app.schema.tables, 10_001)})
    return typescript_files(describe_app(app))


def stale_files(files: Mapping[str, str], folder: Path) -> list[str]:
    """Give the names of the files that are missing in a folder, or have another text there."""
    return [name for name, text in files.items() if _text_of(folder / name) != text]


def write_files(files: Mapping[str, str], folder: Path) -> list[str]:
    """Write the files that are stale, and give their names.

    What is up to date is left alone, so that no watcher of files wakes for nothing. Each file is
    replaced whole: a type checker that reads at the same time never finds half of one.
    """
    stale = stale_files(files, folder)
    if stale:
        folder.mkdir(parents=True, exist_ok=True)
    for name in stale:
        partial = folder / f".{name}.partial"
        partial.write_text(files[name], encoding="utf-8", newline="\n")
        partial.replace(folder / name)
    return stale


def _text_of(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", errors="replace").replace("\r\n", "\n")
    except FileNotFoundError:
        return None
