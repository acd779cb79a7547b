"""A group of commands whose modules are loaded when they are called: help costs no second."""

from collections.abc import Mapping
from importlib import import_module
from typing import NamedTuple, cast

import click


class Entry(NamedTuple):
    """Where a command is, and what the group's help says of it in a line."""

    module: str
    attribute: str
    help: str


class LazyGroup(click.Group):
    """A click group that knows its commands by name, and loads the one that is called."""

    def __init__(self, help: str, entries: Mapping[str, Entry]) -> None:  # noqa: A002  # Click's word.
        super().__init__(help=help)
        self.entries = dict(entries)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names of all commands, in the order of the entries."""
        return [*self.entries, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return super().get_command(ctx, cmd_name)
        return cast("click.Command", getattr(import_module(entry.module), entry.attribute))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading any of them."""
        rows = [(name, entry.help) for name, entry in self.entries.items()]
        rows += [(name, command.get_short_help_str(60)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
