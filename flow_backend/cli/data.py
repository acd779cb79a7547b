"""The command that shows the documents of a table."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import click
import orjson

from flow_backend.cli.run import call_function
from flow_backend.cli.tables import table_lines, terminal_width
from flow_backend.cli.target import AdminClient, Target, target_options

_PAGE: Final = 1000


@click.command()
@click.argument("table", required=False)
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1),
              help="The most documents that are shown.")  # fmt: skip
@click.option("--order", default="desc", show_default=True, type=click.Choice(["asc", "desc"]),
              help="Oldest first, or newest first.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line.")
@target_options
def data(table: str | None, limit: int, order: str, as_json: bool, target: Target) -> None:
    """Show the documents of a table, or without one list the tables."""
    with target.client() as client:
        if table is None:
            args = {"paginationOpts": {"numItems": _PAGE, "cursor": None}}
            for entry in call_function(client, "_system/cli/tables", args)["page"]:
                click.echo(entry["name"])
            return
        documents, more = _read(client, table, order, limit)
    if as_json:
        for document in documents:
            click.echo(orjson.dumps(document))
    elif documents:
        for line in _lines(documents):
            click.echo(line)
    else:
        click.echo(f"The table {table!r} is empty.")
    if more:
        click.echo(f"There are more than these {limit}: --limit shows more.", err=True)


def _read(
    client: AdminClient, table: str, order: str, limit: int
) -> tuple[list[dict[str, Any]], bool]:
    documents: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        count = min(_PAGE, limit + 1 - len(documents))
        options = {"numItems": count, "cursor": cursor}
        args = {"table": table, "order": order, "paginationOpts": options}
        page = call_function(client, "_system/cli/tableData", args)
        documents += page["page"]
        cursor = page["continueCursor"]
        if page["isDone"] or len(documents) > limit:
            return documents[:limit], len(documents) > limit


def _lines(documents: Sequence[Mapping[str, Any]]) -> list[str]:
    # Rows of an older schema may lack fields: the names are those of all.
    names = list(dict.fromkeys(name for each in documents for name in each))
    names.sort(key=lambda name: (name != "_id", name == "_creationTime"))
    rows = [[each.get(name) for name in names] for each in documents]
    return table_lines(names, rows, terminal_width())
