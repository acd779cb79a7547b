"""``flow seed`` on a server of its own, and on what is no server or no workspace."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from flow._seed import BoardInFile, default_file, read_workspace
from flow.boards import COLUMNS_MAX, TITLE_MAX
from flow.cli import main
from flow.tasks import BODY_MAX, LABEL_MAX, LABELS_MAX

SMALL: dict[str, Any] = {
    "boards": [
        {
            "title": "Trip",
            "columns": [
                {"title": "Pack", "tasks": [{"title": "Socks"}, {"title": "Socks"}]},
                {"title": "Packed", "tasks": [{"title": "Maps", "completed": True}]},
            ],
        }
    ]
}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("data")
    program = "from flow.cli import main; main()"
    command = [sys.executable, "-c", program, "serve", "--port", "0", "--data", str(data)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("Flow is ready at ").strip()
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


def query(url: str, path: str, **args: object) -> Any:
    body = {"path": path, "args": args, "format": "json"}
    return httpx.post(f"{url}/api/query", json=body, trust_env=False).json()["value"]


def shown(url: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Give what a server has, in the order of its screens."""
    found: list[tuple[str, list[tuple[str, str]]]] = []
    for board in query(url, "boards:list"):
        titles = {column["key"]: column["title"] for column in board["columns"]}
        tasks = query(url, "tasks:list", board=board["_id"])
        found.append((board["title"], [(titles[t["column"]], t["title"]) for t in tasks]))
    return found


def in_file(board: BoardInFile) -> tuple[str, list[tuple[str, str]]]:
    return board.title, [(column.title, t.title) for column in board.columns for t in column.tasks]


@pytest.mark.slow
def test_seed_loads_the_workspace_once(url: str, tmp_path: Path) -> None:
    """In the file's order, and the second time nothing, also after someone has removed a task."""
    workspace = read_workspace(default_file())
    boards = workspace.boards

    first = run("seed", "--url", url)
    again = run("seed", "--url", url + "/")

    assert first.output == (
        f"Added 3 boards, 210 tasks, 4 notes, 5 captures and 4 reminders at {url}\n"
    )
    assert again.output == f"Nothing to add: {url} has it all already.\n"
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert shown(url) == [in_file(board) for board in boards]
    assert [note["title"] for note in query(url, "notes:list")] == [
        n.title for n in workspace.notes
    ]
    assert [note["pinned"] for note in query(url, "notes:list")] == [True, False, False, False]
    assert [each["text"] for each in query(url, "captures:list")] == workspace.captures
    due = [task for board in boards for column in board.columns for task in column.tasks]
    dated = [task.title for task in due if task.in_days is not None]
    pages = [
        *query(url, "tasks:overdue"),
        *query(url, "tasks:today")["tasks"],
        *(task for day in query(url, "tasks:upcoming", days=30) for task in day["tasks"]),
    ]
    assert sorted(task["title"] for task in pages) == sorted(dated)
    in_order = sorted(workspace.reminders, key=lambda each: each.in_days)
    assert [r["title"] for r in query(url, "reminders:list")] == [r.title for r in in_order]
    last = query(url, "boards:list")[-1]["_id"]
    tasks = query(url, "tasks:list", board=last)
    assert [task["completed_at"] is not None for task in tasks] == [
        task.completed for column in boards[-1].columns for task in column.tasks
    ]
    [capture, *_] = query(url, "captures:list")
    for path, args in (
        ("tasks:remove", {"task": tasks[3]["_id"]}),
        ("captures:remove", {"capture": capture["_id"]}),
    ):
        body = {"path": path, "args": args}
        httpx.post(f"{url}/api/mutation", json=body, trust_env=False)
    assert run("seed", "--url", url).output.startswith("Nothing to add")
    assert len(query(url, "tasks:list", board=last)) == len(tasks) - 1


@pytest.mark.slow
def test_seed_goes_on_where_it_was_cut_off(url: str, tmp_path: Path) -> None:
    """What is missing is added, a task that is twice in the file included."""
    file = tmp_path / "small.json"
    file.write_text(json.dumps(SMALL))
    part: Any = json.loads(file.read_text())
    part["boards"][0]["columns"][0]["tasks"].pop()
    cut = tmp_path / "cut.json"
    cut.write_text(json.dumps(part))

    outputs = [run("seed", "--url", url, "--file", str(f)).output for f in (cut, file, file)]

    assert outputs == [
        f"Added 1 board and 2 tasks at {url}\n",
        f"Added 1 task at {url}\n",
        f"Nothing to add: {url} has it all already.\n",
    ]
    assert shown(url)[-1] == in_file(read_workspace(file).boards[0])


@pytest.mark.slow
def test_the_servers_refusal_is_told(url: str, tmp_path: Path) -> None:
    """In the words of the function that refused."""
    file = tmp_path / "bad.json"
    file.write_text('{"boards": [{"title": "No columns", "columns": []}]}')

    result = run("seed", "--url", url, "--file", str(file))

    assert result.exit_code == 1
    assert result.output == (
        f"Error: boards:create at {url} refused: A board has 1 to 50 columns, not 0.\n"
    )


def test_no_server_is_said_with_what_to_do() -> None:
    """The commonest mistake: the server was not started."""
    result = run("seed", "--url", "http://127.0.0.1:1")

    assert result.exit_code == 1
    assert result.output.startswith("Error: No server answers at http://127.0.0.1:1 (")
    assert "`flow serve`" in result.output


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "bad.json cannot be read: No such file or directory."),
        ("{\n  oops", "bad.json:2: this is not JSON:"),
        ("[]", "expected an object, not [] @ $"),
        ('{"boards": 1}', "expected a list, not 1 @ $.boards"),
        ('{"boards": [{"columns": []}]}', "required field missing @ $.boards[0].title"),
        (
            '{"boards": [{"title": "B", "columns": [{"title": "C", "task": []}]}]}',
            "extra fields found (task) @ $.boards[0].columns[0]",
        ),
        (
            '{"boards": [], "reminders": [{"title": "R", "in_days": "2"}]}',
            'expected a whole number, not "2" @ $.reminders[0].in_days',
        ),
        (
            '{"boards": [{"title": 3, "columns": []}]}',
            "expected a text, not 3 @ $.boards[0].title",
        ),
    ],
)
def test_a_wrong_file_is_said_with_the_place(
    tmp_path: Path, content: str | None, said: str
) -> None:
    """Nothing is sent then: there is no server in this test."""
    file = tmp_path / "bad.json"
    if content is not None:
        file.write_text(content)

    result = run("seed", "--url", "http://127.0.0.1:1", "--file", str(file))

    assert result.exit_code == 1
    assert said in result.output


def test_the_workspace_is_within_the_bounds_of_the_product() -> None:
    """It shows what Flow is for: three boards and over 200 tasks, many with text and labels."""
    boards = read_workspace(default_file()).boards
    tasks = [task for board in boards for column in board.columns for task in column.tasks]

    assert len(boards) == 3
    assert all(4 <= len(board.columns) <= 6 <= COLUMNS_MAX for board in boards)
    assert len(tasks) > 200
    assert sum(task.body != "" for task in tasks) >= 40
    assert all(task.labels and len(task.labels) <= LABELS_MAX for task in tasks)
    assert all(len(label) <= LABEL_MAX for task in tasks for label in task.labels)
    for task in tasks:
        assert task.title == " ".join(task.title.split()), task
        assert len(task.title) <= TITLE_MAX
        assert len(task.body) <= BODY_MAX


def test_the_rest_of_the_workspace_fills_every_page() -> None:
    """A new user sees what each page is for; and nothing rings at once."""
    workspace = read_workspace(default_file())
    assert [note.title for note in workspace.notes if note.pinned] == [workspace.notes[0].title]
    assert all(note.title and note.body and note.tags for note in workspace.notes)
    assert len(workspace.captures) >= 4
    # The server would fetch the titles of links, and nobody has asked it to.
    assert not any("://" in line for line in workspace.captures)
    assert all(each.in_days >= 1 for each in workspace.reminders)
    assert any(each.rule for each in workspace.reminders)
    assert any(each.time is None for each in workspace.reminders)


def test_help_and_version() -> None:
    """What someone types first."""
    assert run("--version").output == "flow 0.1.0\n"
    shown_help = run("--help").output
    assert "flow serve" in shown_help
    assert "seed " in shown_help
