"""The command that writes the TypeScript types of an app."""

import sys
from pathlib import Path
from typing import NoReturn

import click

from flow_backend.cli import exit_codes
from flow_backend.cli.apps import default_app
from flow_backend.errors import AppDefinitionError


@click.command()
@click.option(
    "--app",
    default=default_app,
    envvar="FLOW_APP",
    show_default="the only one here, or flow",
    help="The Python package to read.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write to.  [default: generated, in <app>_web/src or web/src]",
)
@click.option("--check", is_flag=True, help="Write nothing; fail if a file is not up to date.")
def codegen(app: str, out: Path | None, check: bool) -> None:
    """Write the types of an app's functions and tables for the official TypeScript clients.

    They come from the Python annotations alone: api.ts has `api` and `internal`, dataModel.ts has
    Doc, Id and a type for each class.
    """
    # Only here: `flow --help` and the server need none of it.
    from flow_backend.deploy.codegen import stale_files, types_of, write_files
    from flow_backend.functions.registry import load_app

    folder = out or _folder_of(app)
    try:
        files = types_of(load_app(app))
        changed = stale_files(files, folder) if check else write_files(files, folder)
    except AppDefinitionError as error:
        _fail(str(error), exit_codes.DATA)
    except OSError as error:
        _fail(f"The types cannot be written to {folder}: {error}", exit_codes.USAGE)
    names = ", ".join(changed)
    if check and changed:
        option = "" if out is None else f" --out {out}"
        told = "" if app == default_app() else f" --app {app}"
        verb = "is" if len(changed) == 1 else "are"
        _fail(
            f"{names} in {folder} {verb} not what the Python code says now. "
            f"Run `flow codegen{told}{option}` and commit what it writes.",
            1,
        )
    print(f"Wrote {names} in {folder}" if changed else f"The types in {folder} are up to date.")


def _folder_of(app: str) -> Path:
    """Find the web client that stands beside an app."""
    choices = [Path(f"{app}_web") / "src", Path("web") / "src"]
    found = next((source for source in choices if source.is_dir()), None)
    if found is None:
        _fail(
            f"There is neither {choices[0]} nor {choices[1]} here ({Path.cwd()}), so nothing says "
            "where the types belong: name the folder with --out.",
            exit_codes.USAGE,
        )
    return found / "generated"


def _fail(text: str, code: int) -> NoReturn:
    print(f"Error: {text}", file=sys.stderr)
    sys.exit(code)
