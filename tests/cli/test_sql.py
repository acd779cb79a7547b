"""``flow sql`` over a running Flow: what docs/sql.md shows, the forms of the output, and errors."""

import csv
import io
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flow.cli import main
from flow_backend.cli.tables import table_lines
from flow_backend.client import HttpClient
from tests.server_process import ServerProcess

GUIDE = Path(__file__).parents[2] / "docs" / "sql.md"
STATEMENTS = re.findall(r"```sql\n(.*?)```", GUIDE.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the folder of a running Flow with two boards; a task is done."""
    folder = tmp_path_factory.mktemp("sql") / "data"
    with ServerProcess("flow", folder) as server, HttpClient(server.url) as http:
        for title in ("Home", 'Work, "all" of it'):
            board = http.mutation("boards:create", title=title, columns=["To do", "Done"])
            for number in range(3):
                named = f"{title} {number}"
                labeled = {"board": board, "column": "to-do", "title": named, "labels": ["x"]}
                task = http.mutation("tasks:add", **labeled)
        http.mutation("tasks:complete", task=task)
        yield folder


def sql(data: Path, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["sql", "--data", str(data), *arguments], input=stdin)


def rows(data: Path, statement: str) -> list[dict[str, object]]:
    result = sql(data, "--json", statement)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_statements_of_the_guide(data: Path) -> None:
    boards, days, labels = (rows(data, statement) for statement in STATEMENTS)

    assert boards == [{"title": "Home", "open": 3}, {"title": 'Work, "all" of it', "open": 2}]
    assert [day["done"] for day in days] == [1]
    assert labels == [{"label": "x", "tasks": 6}]


def test_the_shell_of_sqlite_reads_the_views(data: Path) -> None:
    statement = "SELECT title, priority FROM tasks_view LIMIT 5"
    assert f'flow-data/flow.sqlite3 "{statement}"' in GUIDE.read_text()
    command = ["sqlite3", "-readonly", str(data / "flow.sqlite3"), statement]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("there is no sqlite3 shell here")
    assert len(shown.stdout.splitlines()) == 5


def test_without_a_statement_it_lists_the_tables(data: Path) -> None:
    lines = sql(data).stdout.splitlines()

    assert lines[2].split()[:4] == ["boards", "_id,", "_creationTime,", "title,"]
    assert lines[-1].startswith("_scheduled_functions"), "the server's own come last"


def test_csv_comes_back_as_it_was(data: Path) -> None:
    result = sql(data, "--csv", "SELECT title, NULL AS empty FROM boards ORDER BY title")

    assert list(csv.reader(io.StringIO(result.stdout))) == [
        ["title", "empty"],
        ["Home", ""],
        ['Work, "all" of it', ""],
    ]


def test_a_statement_can_come_from_the_input(data: Path) -> None:
    assert "6" in sql(data, "-", stdin="SELECT count(*) FROM tasks").stdout


def test_more_rows_than_the_limit_are_said_beside_the_output(data: Path) -> None:
    result = sql(data, "--json", "--limit", "2", "SELECT _id FROM tasks")

    assert len(result.stdout.splitlines()) == 2
    assert result.stderr == "There are more rows than these 2: --limit shows more.\n"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM tasks", "plain SQL only reads"),
        ("SELECT * FROM task", "no such table: task; the tables are"),
    ],
)
def test_a_refusal_is_said(data: Path, statement: str, said: str) -> None:
    result = sql(data, statement)

    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stdout == ""


def test_a_folder_without_a_database_is_said(tmp_path: Path) -> None:
    result = sql(tmp_path / "none", "SELECT 1")

    assert result.exit_code == 1
    assert "name the server's folder with --data" in result.stderr


def test_a_table_fits_the_terminal() -> None:
    lines = table_lines(
        ["id", "title", "size"],
        [
            ["a1", "short", 1.0],
            ["b2", "a title\nof 日本 two lines, and more", 12.5],
            ["c", None, None],
        ],
        width=30,
    )

    assert lines == [
        "id  title                 size",
        "──  ────────────────────  ────",
        "a1  short                    1",
        "b2  a title\\nof 日本 tw…  12.5",
        "c   null                  null",
    ]
