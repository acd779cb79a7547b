"""The command that runs the server."""

import os
import sys
import traceback
from contextlib import suppress
from typing import NoReturn

import click
import trio

from flow_backend.actors.supervisor import ActorFailed
from flow_backend.cli import exit_codes
from flow_backend.cli.apps import default_app
from flow_backend.cli.supervise import OPTION, supervise
from flow_backend.errors import AppDefinitionError, StartError, StorageError, leaves
from flow_backend.server.app import Server
from flow_backend.server.config import Settings, settings_from
from flow_backend.server.logs import configure_logs
from flow_backend.server.parent import parent_of
from flow_backend.server.run import run_server


class _BadOption(click.UsageError):
    """Ends with the code of a bad setting, so that nobody starts it again.

    Click's own code, 2, is one that service managers take for a fault that may pass.
    """

    exit_code = exit_codes.USAGE


class _Command(click.Command):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise _BadOption(error.format_message(), error.ctx) from error


@click.command(cls=_Command)
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="The port; 0 takes a free one.  [default: 3210]")
@click.option("--data", help="The folder that holds the database.  [default: flow-data]")
@click.option("--app", help="The package to serve.  [default: the only one here, or flow]")
@click.option("--web", help="The folder of the web app.  [default: the app's own]")
@click.option("--no-auth", is_flag=True, help="Serve without accounts: every caller is nobody.")
@click.option("--log-level", help="debug, info, warning or error.  [default: info]")
@click.option(OPTION, "supervised", is_flag=True, help="Start it again when it ends by a fault.")
def serve(
    host: str | None,
    port: int | None,
    data: str | None,
    app: str | None,
    web: str | None,
    no_auth: bool,
    log_level: str | None,
    supervised: bool,
) -> None:
    """Serve an app until Ctrl-C.

    Each option can also be set in the environment: FLOW_HOST, FLOW_PORT, FLOW_DATA and so on.
    """
    if app is None and "FLOW_APP" not in os.environ:
        app = default_app()
    options: dict[str, object] = {"host": host, "port": port, "data": data, "app": app, "web": web}
    options |= {"log_level": log_level, "auth": False if no_auth else None}
    problem = _run(options, supervised=supervised)
    if problem is not None:
        text, exit_code = problem
        _say(f"Error: {text}")
        sys.exit(exit_code)


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        # Nobody can be told. What is left in the buffer would fail once more at the end of Python,
        # and put another exit code in the place of the one that says what happened.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _run(options: dict[str, object], *, supervised: bool) -> tuple[str, int] | None:
    """Run to the end; give what went wrong, in words for whoever started it, and the exit code."""
    try:
        settings = settings_from(os.environ, options)
        configure_logs(settings)
        if supervised:
            sys.exit(supervise(settings))
        _serve(settings)
    except BaseExceptionGroup as group:
        problem = _first_problem(group)
        if problem is None:
            raise
        return problem
    except (StartError, AppDefinitionError, StorageError, ActorFailed) as error:
        return _problem(error)
    return None


def _serve(settings: Settings) -> None:
    # Apps are mostly developed in the folder where the command is given.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    parent = parent_of(os.environ)

    def announce(server: Server) -> None:
        if parent is not None:
            parent.tell_ready()
        _announce(server)

    trio.run(run_server, settings, announce, parent, _leave)


def _leave(error: BaseException | None) -> NoReturn:
    """End the process although some of its tasks cannot be ended; all data is safe by now."""
    problem = None if error is None else _first_problem(error)
    if problem is not None:
        _say(f"Error: {problem[0]}")
    elif error is not None:
        traceback.print_exception(error)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    if problem is not None:
        os._exit(problem[1])
    os._exit(0 if error is None else 1)


def _announce(server: Server) -> None:
    print(f"Flow is ready at {server.url}", flush=True)
    print(f"Clients connect to {server.sync_url}", flush=True)


def _first_problem(error: BaseException) -> tuple[str, int] | None:
    return next((found for each in leaves(error) if (found := _problem(each))), None)


def _problem(error: BaseException) -> tuple[str, int] | None:
    match error:
        case StartError():
            return str(error), error.exit_code
        case AppDefinitionError():
            return str(error), exit_codes.DATA
        case StorageError():
            exit_code = getattr(error, "exit_code", exit_codes.DISK)
            text = f"{error} The server ends, so that nothing is said that the disk does not hold."
            if exit_code not in exit_codes.FINAL:
                text += " Start it again: it then reads what the disk really has."
            return text, exit_code
        case ActorFailed():
            return str(error), exit_codes.INTERNAL
        case _:
            return None
