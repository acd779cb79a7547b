"""The command ``flow``: the backend's commands, and ``seed``, which loads examples."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from flow_backend.cli.main import backend_commands

if TYPE_CHECKING:
    from flow._seed import Added


@click.command()
@click.option(
    "--url", default="http://127.0.0.1:3210", show_default=True, help="Where the server is."
)
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    help="The workspace to load.  [default: the one that comes with Flow]",
)
def seed(url: str, file: Path | None) -> None:
    """Fill a running server with examples: boards and tasks, notes, an inbox, reminders.

    What is there already is left alone, so that it can be run twice.
    """
    # Only here: an HTTP client is slow to load, and a server needs none.
    from flow._seed import Added, SeedError, default_file, load

    url = url.rstrip("/")
    try:
        added = load(file or default_file(), url)
    except SeedError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)
    if added == Added():
        print(f"Nothing to add: {url} has it all already.")
    else:
        print(f"Added {_listed(added)} at {url}")


def _listed(added: "Added") -> str:
    """Say what was added, and leave out of what there was nothing."""
    numbers = {
        "board": added.boards,
        "task": added.tasks,
        "note": added.notes,
        "capture": added.captures,
        "reminder": added.reminders,
    }
    *first, last = [_count(number, what) for what, number in numbers.items() if number]
    return f"{', '.join(first)} and {last}" if first else last


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _commands() -> click.Group:
    group = backend_commands()
    group.help = (
        "Flow: boards and tasks, in sync on every screen.\n\n"
        "`flow serve` runs the server and its web app on http://127.0.0.1:3210, with its data in "
        "the folder flow-data; `flow seed` then fills it with examples."
    )
    group.add_command(seed)
    version = click.version_option(
        package_name="flow", prog_name="flow", message="%(prog)s %(version)s"
    )
    return version(group)


main: Final = _commands()
