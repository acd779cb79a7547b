"""The command for writing an app: what is saved runs at once."""

import os
import sys
from pathlib import Path

import click
import trio

from flow_backend.cli.apps import find_app
from flow_backend.cli.dev.checks import Checks
from flow_backend.cli.dev.loop import DevLoop
from flow_backend.cli.dev.pushes import Pushes
from flow_backend.cli.dev.screen import Screen
from flow_backend.cli.dev.server import DevServer, ServerGaveUp
from flow_backend.cli.dev.tail import Tail
from flow_backend.cli.dev.web import DevWeb, find_web
from flow_backend.cli.target import CommandError
from flow_backend.errors import StartError, leaves
from flow_backend.server.config import Settings, settings_from
from flow_backend.server.listener import open_all_listeners

_LOG_LEVEL = "warning"


@click.command()
@click.option("--app", envvar="FLOW_APP", help="The app's package.  [default: the only one here]")
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="The port; 0 takes a free one.  [default: 3210]")
@click.option("--data", help="The folder that holds the database.  [default: flow-data]")
@click.option("--web/--no-web", default=True, help="Whether to run the web client's server, too.")
@click.option(
    "--types",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the TypeScript goes.  [default: generated, in the src of the web client]",
)
@click.option("--no-auth", is_flag=True, help="Serve without accounts: every caller is nobody.")
@click.option("--log-level", help="debug, info, warning or error.  [default: warning]")
def dev(
    app: str | None,
    host: str | None,
    port: int | None,
    data: str | None,
    web: bool,
    types: Path | None,
    no_auth: bool,
    log_level: str | None,
) -> None:
    """Run an app while you write it, until Ctrl-C: each save is live at once.

    A save with a mistake is shown with its file and line, and the version before goes on serving.
    The TypeScript of the web client follows each save.
    """
    folder = find_app(app)
    options: dict[str, object] = {"host": host, "port": port, "data": data, "app": folder.name}
    options |= {"log_level": log_level, "auth": False if no_auth else None}
    if log_level is None and "FLOW_LOG_LEVEL" not in os.environ:
        options["log_level"] = _LOG_LEVEL
    try:
        loop = _loop(folder, settings_from(os.environ, options), web, types)
    except StartError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    try:
        trio.run(loop.run)
    except* ServerGaveUp as group:
        sys.exit(next(e.exit_code for e in leaves(group) if isinstance(e, ServerGaveUp)))


def _loop(folder: Path, settings: Settings, with_web: bool, types: Path | None) -> DevLoop:
    """Put the parts together, on sockets that listen already.

    Raises: StartError; CommandError.
    """
    if folder.parent != Path.cwd():
        raise CommandError(
            f"{folder.name} is not in the folder that you are in: go to {folder.parent}"
        )
    listening = open_all_listeners(settings)
    url = f"http://{settings.host}:{listening[0].getsockname()[1]}"
    screen = Screen()
    found = find_web(folder.parent, folder.name)
    if types is None and found is not None and (found / "src").is_dir():
        types = found / "src" / "generated"
    return DevLoop(
        folder,
        url,
        Checks(folder, types),
        Pushes(Path(settings.data)),
        screen,
        DevServer(_serve_command(settings), listening, screen, on_ready=lambda: None),
        Tail(Path(settings.data), screen),
        None if found is None or not with_web else DevWeb(found, url, screen),
    )


def _serve_command(settings: Settings) -> list[str]:
    """Give what runs the server: the same interpreter and program as now, with another command."""
    program = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv) + 1]
    command = [sys.executable, *program, "serve", "--app", settings.app, "--data", settings.data]
    command += ["--host", settings.host, "--port", str(settings.port)]
    command += ["--log-level", settings.log_level]
    return command if settings.auth else [*command, "--no-auth"]
