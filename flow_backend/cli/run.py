"""The command that calls a function of a running server."""

import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import click
import orjson
from attrs import evolve

from flow_backend.cli.tables import table_lines, terminal_width
from flow_backend.cli.target import AdminClient, CommandError, Target, target_options
from flow_backend.cli.watch import watch_query
from flow_backend.values.encode import SAFE_INT_MAX

_SECONDS: Final = 700.0
"""An action may take ten minutes."""


@click.command()
@click.argument("path", required=False)
@click.argument("arguments", nargs=-1)
@click.option("--as", "identity", metavar="JSON", help="Act as the user with these attributes.")
@click.option("--json", "compact", is_flag=True, help="Print the result on one line.")
@click.option("--watch", is_flag=True, help="Print each new result of a query, until Ctrl-C.")
@target_options
def run(
    path: str | None,
    arguments: Sequence[str],
    identity: str | None,
    compact: bool,
    watch: bool,
    target: Target,
) -> None:
    """Call a function: flow run tasks:list board=j57…, or flow run tasks:add '{"title": "Milk"}'.

    Arguments are one JSON object, or name=value for each: a value that is JSON is taken as that,
    any other as text. Internal functions can be called, too. Without a path all functions are
    listed. What the function logs goes to standard error.
    """
    option = 0 if compact else orjson.OPT_INDENT_2

    def show(value: object) -> None:
        click.echo(orjson.dumps(value, option=option))

    user = None if identity is None else read_identity(identity)
    if watch:
        if path is None:
            raise CommandError("--watch needs the query's path: flow run tasks:list --watch")
        given = read_arguments(arguments)
        watch_query(target, path, given, user, lambda value: show(whole_numbers(value)))
        return
    if user is not None:
        target = acting_as(target, user)
    with target.client(_SECONDS) as client:
        if path is None:
            for line in _listed(client):
                click.echo(line)
            return
        value = call_function(client, path, read_arguments(arguments))
    show(value)


def call_function(client: AdminClient, path: str, args: Mapping[str, object]) -> Any:
    """Call a function of any kind; give its result as plain JSON.

    Raises: CommandError with what the server said.
    """
    answer = client.post("/api/function", {"path": path, "args": args, "format": "json"})
    for line in answer.get("logLines", ()):
        click.echo(line, err=True)
    if answer["status"] == "success":
        return whole_numbers(answer["value"])
    text = str(answer["errorMessage"])
    # The id stands in the server's log; the person has the error itself.
    raise CommandError(text.partition("] Server Error\n")[2] or text)


def whole_numbers(value: object) -> Any:
    """Give a result with its whole numbers as people write them: 3, not 3.0."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= SAFE_INT_MAX:
        return int(value)
    if isinstance(value, list):
        return [whole_numbers(each) for each in cast("list[object]", value)]
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return {name: whole_numbers(each) for name, each in fields.items()}
    return value


def acting_as(target: Target, identity: Mapping[str, object]) -> Target:
    """Give the target for calls as a user."""
    encoded = b64encode(orjson.dumps(identity)).decode()
    return evolve(target, admin_key=f"{target.admin_key}:{encoded}")


def read_identity(identity: str) -> dict[str, Any]:
    """Read the attributes of the user to act as.

    Raises: CommandError if they are no JSON object.
    """
    try:
        attributes: Any = orjson.loads(identity)
    except orjson.JSONDecodeError as error:
        raise CommandError(f"--as is no JSON: {error}") from None
    if not isinstance(attributes, dict):
        raise CommandError("""--as is an object, such as '{"issuer": "…", "subject": "anna"}'""")
    return cast("dict[str, Any]", attributes)


def read_arguments(given: Sequence[str]) -> dict[str, Any]:
    """Read a call's arguments from the words of a command line.

    Raises: CommandError that says which word is wrong.
    """
    if len(given) == 1 and given[0].lstrip().startswith("{"):
        try:
            return cast("dict[str, Any]", orjson.loads(given[0]))
        except orjson.JSONDecodeError as error:
            raise CommandError(f"the arguments are no JSON: {error}: {given[0]}") from None
    taken: dict[str, Any] = {}
    for word in given:
        name, equals, text = word.partition("=")
        if not equals or not name.isidentifier():
            raise CommandError(
                f"{word!r} is no argument: write name=value, or one JSON object for all"
            )
        try:
            taken[name] = orjson.loads(text)
        except orjson.JSONDecodeError:
            taken[name] = text
    return taken


def _listed(client: AdminClient) -> list[str]:
    rows: list[tuple[str, str, str]] = []
    for entry in call_function(client, "_system/cli/modules:apiSpec", {}):
        if entry["functionType"] == "HttpAction":
            continue
        names = _argument_names(entry["args"])
        shown = "internal " if entry["visibility"]["kind"] == "internal" else ""
        path = entry["identifier"].replace(".js:", ":")
        rows.append((path, shown + entry["functionType"].lower(), names))
    if not rows:
        return ["The app has no functions."]
    width = terminal_width() if sys.stdout.isatty() else None
    return table_lines(("function", "kind", "arguments"), rows, width)


def _argument_names(validator: Mapping[str, Any]) -> str:
    fields: Mapping[str, Any] = validator.get("value") or {}
    return ", ".join(
        f"{name}?" if field.get("optional") else name for name, field in fields.items()
    )
