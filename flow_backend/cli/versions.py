"""The command that lists the versions of an app that a server has had."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import click
import orjson

from flow_backend.cli.tables import table_lines, terminal_width
from flow_backend.cli.target import Target, target_options
from flow_backend.deploy.plan_text import brief, plan_lines, problem_lines

_COLUMNS: Final = ("version", "state", "when", "author", "message", "changes")


@click.command()
@click.argument("number", type=int, required=False)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000),
              help="The most versions that are listed.")  # fmt: skip
@click.option("--all", "every", is_flag=True, help="Also those that never served.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line.")
@target_options
def versions(number: int | None, limit: int, every: bool, as_json: bool, target: Target) -> None:
    """List the versions of the app, newest first, or show all that one of them changed."""
    with target.client() as client:
        if number is not None:
            found = [client.get(f"/api/flow/deployments/{number}")]
        else:
            answer = client.get("/api/flow/deployments", limit=limit, all=int(every))
            found = answer["deployments"]
    if as_json:
        for each in found:
            click.echo(orjson.dumps(each))
    elif number is not None:
        _show(found[0])
    else:
        rows = [_row(each) for each in found]
        for line in table_lines(_COLUMNS, rows, terminal_width()):
            click.echo(line)


def _row(deployment: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        deployment["number"],
        deployment["state"],
        _when(deployment),
        deployment["author"],
        _message(deployment),
        brief(deployment["summary"]),
    )


def _message(deployment: Mapping[str, Any]) -> str:
    """Give what it was for; of one that nobody deployed, where it came from."""
    origin = {
        "start": "found on the disk at the start",
        "dev": "saved under flow dev",
        "rollback": f"back to version {deployment['restores']}",
    }.get(deployment["origin"], "")
    message: str = deployment["message"]
    return f"{message} ({origin})" if message and origin else message or origin


def _when(deployment: Mapping[str, Any]) -> str:
    at = deployment["activated"] or deployment["created"]
    return f"{datetime.fromtimestamp(at / 1000).astimezone():%Y-%m-%d %H:%M:%S}"


def _show(deployment: Mapping[str, Any]) -> None:
    author = f" by {deployment['author']}" if deployment["author"] else ""
    click.echo(
        f"Version {deployment['number']}, {deployment['state']}, {_when(deployment)}{author}"
    )
    if message := _message(deployment):
        click.echo(f"  {message}")
    for line in plan_lines(deployment["summary"]) + problem_lines(deployment["problems"]):
        click.echo(line)
