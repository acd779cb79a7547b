"""The commands that put a version of an app in force: ``flow deploy`` and ``flow rollback``."""

import getpass
import sys
from collections.abc import Mapping
from typing import Any, Final

import click

from flow_backend.cli.apps import default_app
from flow_backend.cli.target import AdminClient, CommandError, F, Target, target_options
from flow_backend.deploy.plan_text import plan_lines, problem_lines, progress_text

_SECONDS: Final = 300.0
_CONFIRM: Final = "confirm"


def _change_options(command: F) -> F:
    """Add what all commands take that change what is served."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Check and print the plan; change nothing."),
        click.option("--yes", is_flag=True, help="Agree to what the plan says must be agreed to."),
        click.option("--confirm", metavar="NAME",
                     help="The name of the environment, if it is a protected one."),
        click.option("--message", "-m", default="", help="What it is for, for `flow versions`."),
        click.option("--author", default=None, help="Who deploys.  [default: your user's name]"),
    ):  # fmt: skip
        command = option(command)
    return target_options(command)


@click.command()
@click.option("--app", default=default_app, envvar="FLOW_APP",
              show_default="the only one here, or flow",
              help="The Python package to deploy: its name, or its folder.")  # fmt: skip
@_change_options
def deploy(
    app: str,
    dry_run: bool,
    yes: bool,
    confirm: str | None,
    message: str,
    author: str | None,
    target: Target,
) -> None:
    """Put this folder's version of an app in force on a running server.

    The server checks it before anything changes: its code, and every stored document. Clients stay
    connected; calls that run end on the version that they began with. What is uploaded runs with
    all rights of the server.
    """
    # Only here: `flow --help` needs none of it.
    from flow_backend.deploy.push import read_package
    from flow_backend.errors import AppDefinitionError

    try:
        name, zipped = read_package(app)
    except (AppDefinitionError, OSError) as error:
        raise CommandError(str(error)) from None
    asked = _asked(dry_run, yes, message, author) | {"package": name}
    _change(target, "deploy", "Deploying", name, zipped, asked, confirm)


@click.command()
@click.argument("number", type=int, required=False)
@_change_options
def rollback(
    number: int | None,
    dry_run: bool,
    yes: bool,
    confirm: str | None,
    message: str,
    author: str | None,
    target: Target,
) -> None:
    """Bring an earlier version back: its code, schema and crons, on the data of today.

    Without a number it is the version that served before the one of now; given twice, the one
    before that. It is refused if the documents of today do not fit that version.
    """
    asked = _asked(dry_run, yes, message, author)
    if number is not None:
        asked["to"] = number
    _change(target, "rollback", "Rolling back", "the app", None, asked, confirm)


def _asked(dry_run: bool, yes: bool, message: str, author: str | None) -> dict[str, str | int]:
    return {
        "dry_run": int(dry_run),
        "yes": int(yes),
        "message": message,
        "author": _user() if author is None else author,
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""  # A container's user may have no name.


def _change(
    target: Target,
    endpoint: str,
    doing: str,
    what: str,
    body: bytes | None,
    asked: dict[str, str | int],
    confirm: str | None,
) -> None:
    """Ask for a change, show what becomes of it, and ask the person where that is needed."""
    with target.client(_SECONDS) as client:
        environment = client.get("/api/flow/environment")
        click.echo(f"{doing} {what} on {environment['name']} ({target.url})")
        if environment["protected"] and not asked["dry_run"]:
            asked["confirm"] = _typed_name(environment["name"]) if confirm is None else confirm
        deployment = _follow(client, endpoint, body, asked)
        if _needs_a_yes(deployment) and not asked["yes"]:
            _show(deployment)
            if not sys.stdin.isatty() or not click.confirm("Go on?", err=True):
                raise CommandError("Nothing was changed. Agree with --yes.")
            deployment = _follow(client, endpoint, body, asked | {"yes": 1})
        else:
            _show(deployment)
    _conclude(deployment)


def _typed_name(name: str) -> str:
    if not sys.stdin.isatty():
        raise CommandError(
            f"The environment {name!r} is protected: say that you mean it with --confirm {name}"
        )
    typed: str = click.prompt(f"It is protected. Type its name ({name}) to go on", err=True)
    return typed.strip()


def _follow(
    client: AdminClient, endpoint: str, body: bytes | None, asked: Mapping[str, str | int]
) -> Mapping[str, Any]:
    from flow_backend.deploy.push import follow

    begun = client.post(f"/api/flow/{endpoint}", body, **asked)
    shown = sys.stderr.isatty()

    def tell(deployment: Mapping[str, Any]) -> None:
        if shown:
            click.echo(f"\r\x1b[K{progress_text(deployment)}", nl=False, err=True)

    try:
        return follow(client, begun["number"], bool(asked["dry_run"]), tell)
    finally:
        if shown:
            click.echo("\r\x1b[K", nl=False, err=True)


def _needs_a_yes(deployment: Mapping[str, Any]) -> bool:
    """Say whether nothing stands in its way but somebody's word."""
    problems = deployment["problems"]
    return bool(problems) and all(each["kind"] == _CONFIRM for each in problems)


def _show(deployment: Mapping[str, Any]) -> None:
    lines = plan_lines(deployment["summary"])
    unchanged = deployment["state"] not in {"refused", "failed"} or deployment["summary"]
    if lines or unchanged:
        click.echo("\n".join(lines or ["  Nothing changes but code that is called inside."]))
    if problems := deployment["problems"]:
        agreeable = _needs_a_yes(deployment)
        click.echo("This must be agreed to:" if agreeable else "It cannot serve:", err=True)
        click.echo("\n".join(problem_lines(problems)), err=True)


def _conclude(deployment: Mapping[str, Any]) -> None:
    number, state = deployment["number"], deployment["state"]
    if state == "ready":
        click.echo("It could serve. Nothing was changed (--dry-run).")
    elif state in {"active", "past"}:
        restored = deployment.get("restores")
        of = f", with the code of version {restored}" if restored else ""
        click.echo(f"Version {number} is in force{of}.")
    elif state == "refused":
        raise CommandError("It was refused, and nothing has changed.")
    else:
        raise CommandError(f"Version {number} failed, and nothing has changed.")
