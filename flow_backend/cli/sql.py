"""The command that reads the data with plain SQL."""

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import click
import orjson

from flow_backend.cli.tables import table_lines, terminal_width
from flow_backend.errors import SqlRefused
from flow_backend.storage.files import DATABASE
from flow_backend.storage.plain_sql import SqlAnswer, SqlCell, run_sql

_TABLES: Final = (
    "SELECT v.name AS 'table', group_concat(c.name, ', ') AS columns "
    "FROM temp.sqlite_schema v, pragma_table_info(v.name, 'temp') c "
    "WHERE v.type = 'view' GROUP BY v.name ORDER BY substr(v.name, 1, 1) = '_', v.name"
)


@click.command()
@click.argument("statement", required=False)
@click.option("--data", default="flow-data", envvar="FLOW_DATA", show_default=True,
              help="The folder that holds the database.")  # fmt: skip
@click.option("--json", "form", flag_value="json", help="Print a JSON object a row.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV, with a header.")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1),
              help="The most rows that are printed.")  # fmt: skip
@click.option("--seconds", default=10.0, show_default=True, type=click.FloatRange(0.01, 3600),
              help="How long the statement may take.")  # fmt: skip
def sql(statement: str | None, data: str, form: str | None, limit: int, seconds: float) -> None:
    """Read the data with plain SQL: flow sql "SELECT title FROM tasks".

    Each table of the schema has all its fields as columns. A statement of - is read from the
    standard input; without one the tables and their columns are listed. It only reads, from the
    newest commit, also while the server runs.
    """
    if statement == "-":
        statement = sys.stdin.read()
    database = Path(data) / DATABASE
    if not database.is_file():
        raise click.ClickException(
            f"there is no database in {data!r}: name the server's folder with --data"
        )
    try:
        answer = run_sql(str(database), statement or _TABLES, seconds=seconds, rows_max=limit)
    except SqlRefused as error:
        raise click.ClickException(str(error)) from None
    _print(answer, form)
    if answer.more:
        click.echo(f"There are more rows than these {limit}: --limit shows more.", err=True)


def _print(answer: SqlAnswer, form: str | None) -> None:
    if form == "json":
        for row in answer.rows:
            pairs = zip(answer.columns, map(_for_json, row), strict=True)
            click.echo(orjson.dumps(dict(pairs)))
    elif form == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows(_for_csv(answer.rows))
        click.echo(text.getvalue(), nl=False)
    else:
        for line in table_lines(answer.columns, answer.rows, terminal_width()):
            click.echo(line)


def _for_json(cell: SqlCell) -> object:
    return cell.hex() if isinstance(cell, bytes) else cell


def _for_csv(rows: Iterable[Sequence[SqlCell]]) -> Iterable[list[object]]:
    for row in rows:
        yield ["" if cell is None else _for_json(cell) for cell in row]
