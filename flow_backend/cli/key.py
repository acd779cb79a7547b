"""The commands that make and revoke admin keys."""

import time
from datetime import datetime
from pathlib import Path

import click

from flow_backend.auth.admin_keys import add_key, read_keys, remove_key
from flow_backend.cli.tables import table_lines, terminal_width
from flow_backend.cli.target import data_option
from flow_backend.errors import AdminKeysError


@click.group()
def key() -> None:
    """Make, list and revoke admin keys.

    Who has one may call every function, deploy, export and import. The commands change a file of
    the data folder, so they are given on the server's machine; the server follows at once.
    """


@key.command()
@click.argument("name")
@data_option
def create(name: str, data: str) -> None:
    """Make a key and print it, this once: only its hash is kept."""
    folder = _folder(data)
    try:
        made = add_key(folder, name, time.time() * 1000)
    except AdminKeysError as error:
        raise click.ClickException(str(error)) from None
    click.echo(made)
    click.echo(
        "Keep it: nobody can show it again. Use it with --admin-key or FLOW_ADMIN_KEY.", err=True
    )


@key.command(name="list")
@data_option
def list_keys(data: str) -> None:
    """List the keys by name and their last characters."""
    try:
        keys = read_keys(_folder(data))
    except AdminKeysError as error:
        raise click.ClickException(str(error)) from None
    rows = [
        (
            each.name,
            f"…{each.end}",
            f"{datetime.fromtimestamp(each.created_ms / 1000).astimezone():%Y-%m-%d %H:%M}",
        )
        for each in keys
    ]
    for line in table_lines(("name", "key", "created"), rows, terminal_width()):
        click.echo(line)


@key.command()
@click.argument("name")
@data_option
def revoke(name: str, data: str) -> None:
    """Make a key worthless, at once: what is connected with it is ended."""
    try:
        remove_key(_folder(data), name)
    except AdminKeysError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"The key {name!r} is revoked.")


def _folder(data: str) -> Path:
    folder = Path(data)
    if not folder.is_dir():
        raise click.ClickException(
            f"there is no folder {data!r}: start the server once, or name its folder with --data"
        )
    return folder
