"""The commands that see and change the environment variables of an app."""

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import click
import orjson

from flow_backend.cli.target import CommandError, Target, target_options

_LIST = "/api/list_environment_variables"
_UPDATE = "/api/update_environment_variables"
_ESCAPES = {"n": "\n"}


@click.group()
def env() -> None:
    """See and set the app's environment variables, which its functions read as ctx.env.

    They are stored in the database, and a change is in force at once.
    """


@env.command("list")
@click.option("--values", is_flag=True, help="Show the values, too, as NAME=value.")
@click.option("--json", "as_json", is_flag=True, help="Print names and values as a JSON object.")
@target_options
def list_(values: bool, as_json: bool, target: Target) -> None:
    """List the variables; their values, which may be secret, only on demand."""
    found = _read(target)
    if as_json:
        click.echo(orjson.dumps(found))
        return
    for name, value in found.items():
        click.echo(f"{name}={_quoted(value)}" if values else name)
    if not found:
        click.echo("No variable is set.", err=True)


@env.command("get")
@click.argument("name")
@target_options
def get(name: str, target: Target) -> None:
    """Print the value of a variable."""
    found = _read(target)
    if name not in found:
        raise CommandError(f"The environment variable {name} is not set.")
    click.echo(found[name])


@env.command("set")
@click.argument("name", required=False)
@click.argument("value", required=False)
@click.option("--file", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Set all variables of a file with lines such as NAME=value.")  # fmt: skip
@target_options
def set_(name: str | None, value: str | None, file: Path | None, target: Target) -> None:
    """Set a variable, or all those of a file.

    Without VALUE it is read from the terminal, unseen, or from standard input: there it stands
    neither in the shell's history nor in the list of processes.
    """
    if (name is None) == (file is None):
        raise CommandError("Give the NAME of one variable, or a --file with several.")
    if file is not None:
        changes = dict(_parse(file.read_text(encoding="utf-8").splitlines(), str(file)))
    else:
        assert name is not None
        changes = {name: _asked(name) if value is None else value}
    _change(target, changes)
    click.echo(f"Set {', '.join(changes) or 'nothing'}.")


@env.command("remove")
@click.argument("names", nargs=-1, required=True)
@target_options
def remove(names: tuple[str, ...], target: Target) -> None:
    """Take variables away."""
    missing = sorted(set(names) - _read(target).keys())
    if missing:
        raise CommandError(f"Not set, and so nothing was removed: {', '.join(missing)}.")
    _change(target, dict.fromkeys(names))
    click.echo(f"Removed {', '.join(names)}.")


def _asked(name: str) -> str:
    if sys.stdin.isatty():
        return str(click.prompt(f"Value of {name}", hide_input=True))
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")


def _read(target: Target) -> dict[str, str]:
    with target.client() as client:
        answer = client.get(_LIST)
    return cast("dict[str, str]", answer["environmentVariables"])


def _change(target: Target, changes: Mapping[str, str | None]) -> None:
    body: dict[str, Any] = {
        "changes": [{"name": name, "value": value} for name, value in changes.items()]
    }
    with target.client() as client:
        client.post(_UPDATE, body)


def _parse(lines: Iterable[str], place: str) -> Iterable[tuple[str, str]]:
    """Read NAME=value lines: empty ones and those with # are passed over, quotes are taken off."""
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals:
            # Not quoted: it may be a part of a secret.
            raise CommandError(f"{place}:{number}: a line is NAME=value, a # comment, or empty.")
        yield name.strip(), _unquoted(value.strip())


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != value[-1] or value[0] not in "\"'":
        return value
    inner = value[1:-1]
    if value[0] == "'":
        return inner
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), inner)


def _quoted(value: str) -> str:
    """Print a value so that ``set --file`` reads it again."""
    if value == value.strip() and not set(value) & set("\n\"'\\#"):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
