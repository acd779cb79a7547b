"""The command that shows what functions did: their calls, how they ended, what they logged."""

import re
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import click
import orjson

from flow_backend.cli.tables import one_line
from flow_backend.cli.target import (
    AdminClient,
    CommandError,
    Target,
    find_target,
    target_options,
)

PATH: Final = "/api/stream_function_logs"
POLL_SECONDS: Final = 90.0
_AGAIN_SECONDS: Final = 0.5
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_KINDS: Final = {"Query": "Q", "Mutation": "M", "Action": "A", "HttpAction": "H"}


def _span(_: click.Context, __: click.Parameter, text: str | None) -> timedelta | None:
    if text is None:
        return None
    found = _SPAN.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no span: write 30s, 10m, 2h or 1d")
    return timedelta(**{_UNITS[found[2]]: float(found[1])})


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--history", default=100, show_default=True, type=click.IntRange(0, 1000),
              help="How many of the newest entries are shown.")  # fmt: skip
@click.option("--function", "path", help="Only those of one function, such as tasks:move.")
@click.option("--failed", is_flag=True, help="Only calls that failed.")
@click.option("--since", callback=_span, help="None that is older: 30s, 10m, 2h, 1d.")
@click.option("--jsonl", is_flag=True, help="Print each entry as a JSON object a line.")
@target_options
def logs(
    follow: bool,
    history: int,
    path: str | None,
    failed: bool,
    since: timedelta | None,
    jsonl: bool,
    target: Target,
) -> None:
    """Show how functions ended and what they logged; of queries only what failed or logged."""
    wanted: dict[str, str | int] = {"failed": "true"} if failed else {}
    if path is not None:
        wanted["function"] = path
    first: dict[str, str | int] = {"limit": max(1, history)}
    if since is not None:
        start = datetime.now().astimezone() - since
        first["since"] = str(start.timestamp() * 1000)
    with target.client(seconds=POLL_SECONDS) as client:
        answer = client.get(PATH, cursor=0, **first, **wanted)
        _show(answer["entries"] if history else [], jsonl)
        if not follow:
            return
        cursor = _follow(client, answer["newCursor"], wanted, jsonl)
    while True:
        # A server that starts again on this machine has another key, and perhaps another port.
        with _found_again().client(seconds=POLL_SECONDS) as client:
            cursor = _follow(client, cursor, wanted, jsonl)


def _follow(
    client: AdminClient, cursor: float, wanted: Mapping[str, str | int], jsonl: bool
) -> float:
    """Show what comes, until the server is gone; give how far that was."""
    while True:
        try:
            answer = client.get(PATH, cursor=str(cursor), **wanted)
        except CommandError as error:
            if error.status is not None:
                raise
            click.echo(f"{error.message} Waiting for it.", err=True)
            return cursor
        _show(answer["entries"], jsonl)
        cursor = answer["newCursor"]


def _found_again() -> Target:
    """Wait for a server where there was one."""
    asked = click.get_current_context().params
    while True:
        time.sleep(_AGAIN_SECONDS)
        try:
            target = find_target(asked["url"], asked["admin_key"], asked["data"])
            with target.client() as client:
                client.get("/api/check_admin_key")
        except CommandError as error:
            if error.status is not None:
                raise
        else:
            return target


def _show(entries: list[dict[str, Any]], jsonl: bool) -> None:
    for entry in entries:
        if jsonl:
            click.echo(orjson.dumps(entry))
        else:
            for line in entry_lines(entry):
                click.echo(line)


def entry_lines(entry: Mapping[str, Any]) -> list[str]:
    """Give an entry as lines for people: what was called, what it logged, how it failed."""
    at = datetime.fromtimestamp(entry["timestamp"]).astimezone()
    head = f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} {headline(entry)}"
    return [head, *(f"    {line}" for line in details(entry))]


def headline(entry: Mapping[str, Any]) -> str:
    """Say what was called, how long it took, and whether it failed."""
    kind, milliseconds = _KINDS.get(entry["udfType"], "?"), entry["executionTime"] * 1000
    took = f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"
    failed = "" if entry["error"] is None else " failed"
    # A client may have asked for a function of any name.
    return f"{kind} {one_line(entry['identifier'])} {took}{failed}"


def details(entry: Mapping[str, Any]) -> list[str]:
    """Give what a call logged, and how it failed, if it did; nothing that a terminal obeys."""
    said = [f"[{line['level']}] {' '.join(line['messages'])}" for line in entry["logLines"]]
    said += [] if entry["error"] is None else [entry["error"]]
    # What a user wrote may be in it, and a terminal obeys some of what it is sent.
    return [one_line(line) for text in said for line in text.splitlines()]
