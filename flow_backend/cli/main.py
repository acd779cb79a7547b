"""The commands that every app gets; an app's own command line adds to them."""

import click

from flow_backend.cli.codegen import codegen
from flow_backend.cli.serve import serve
from flow_backend.cli.sql import sql


def backend_commands() -> click.Group:
    """Give a group of all commands of the backend."""
    group = click.Group(help="Run and tend a Flow backend.")
    group.add_command(serve)
    group.add_command(codegen)
    group.add_command(sql)
    return group
