"""Loading an app: what is wrong with it is said with file and line."""

import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from flow_backend.errors import AppDefinitionError
from flow_backend.functions.registry import App, load_app

SCHEMA = """
from flow_backend import Document, Id, Index, document

@document("boards")
class Board(Document):
    name: str

@document("tasks")
class Task(Document):
    board: Id[Board]
    by_board = Index("board")
"""

TASKS = """
from flow_backend import Id, QueryCtx, internal_query, query
from {package}.schema import Board, Task

@query(name="list")
def list_tasks(ctx: QueryCtx, board: Id[Board]) -> list[Task]:
    return ctx.db.scan(Task.by_board[board]).collect()

@internal_query
def hidden(ctx: QueryCtx) -> None: ...
"""

Load = Callable[..., App]
_names = count()


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Write a package of the given files, beside a good schema.py, and load it."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    package = f"app_under_test_{next(_names)}"

    def write(**files: str) -> App:
        for name, text in {"__init__": "", "schema": SCHEMA, **files}.items():
            path = tmp_path / package / f"{name.replace('__in__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("{package}", package))
        return load_app(package)

    yield write
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]


def refusal(load: Load, **files: str) -> str:
    with pytest.raises(AppDefinitionError) as caught:
        load(**files).bind({"boards": 10_001, "tasks": 10_002})
    return str(caught.value)


def test_an_app_is_its_modules(load: Load) -> None:
    """Functions go by file and name; folders are part of the path."""
    app = load(tasks=TASKS, parts__in____init__="", parts__in__more=TASKS)

    assert set(app.functions) == {
        "tasks:list",
        "tasks:hidden",
        "parts/more:list",
        "parts/more:hidden",
    }
    assert app.functions["tasks:hidden"].internal
    assert {each for each in app.schema.tables if each[0] != "_"} == {"boards", "tasks"}
    assert app.providers is None
    app.bind({"boards": 10_001, "tasks": 10_002})


def test_providers_stand_in_auth(load: Load) -> None:
    good = 'from flow_backend import OpenIdConnect\nproviders = [OpenIdConnect("a", "b")]\n'
    good = good.replace('("a", "b")', '(domain="https://a.example", application_id="b")')
    app = load(auth=good)
    assert app.providers is not None
    assert len(app.providers) == 1


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("x = 1\ndef broken(:\n", 2, "SyntaxError"),
        ("\n\nimport no_such_package_here\n", 3, "ModuleNotFoundError: No module named"),
        ("from {package}.schema import Nothing\n", 1, "ImportError: cannot import name"),
        ("\n1 / 0\n", 2, "ZeroDivisionError: division by zero"),
    ],
)
def test_a_module_that_cannot_be_imported(load: Load, text: str, line: int, what: str) -> None:
    message = refusal(load, tasks=text)
    assert f"tasks.py:{line}: " in message
    assert what in message


def test_two_functions_of_one_path(load: Load) -> None:
    text = TASKS + "\n@query(name='list')\ndef other(ctx: QueryCtx) -> None: ...\n"
    message = refusal(load, tasks=text)
    assert "tasks.py:12: 'tasks:list' is also the path of another function" in message
    assert "tasks.py:5); rename one" in message


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("    x: complex\n", "Bad.x: values of type complex cannot go on the wire"),
        ("    x: set[str]\n", "Bad.x: values of type set[str] cannot go on the wire"),
        ("    x: Missing\n", "name 'Missing' is not defined"),
        ("    _x: str\n", "names with a leading underscore"),
        ("    x: str\n    i = Index('y')\n", "the index names the field 'y', which Bad does not"),
        ("    x: str\n    i = Index('x')\n    j = Index('x')\n", "has the same fields as i"),
        ("    x: str\n    by_id = Index('x')\n", "every table has this index already"),
        ("    x: int = 'no'\n", "expected a whole number, got 'no'"),
    ],
)
def test_a_bad_schema(load: Load, text: str, what: str) -> None:
    schema = "from __future__ import annotations\n" + SCHEMA
    message = refusal(load, schema=schema + f"\n@document('bads')\nclass Bad(Document):\n{text}")
    assert "schema.py:14: " in message
    assert what in message


def test_indexes_are_checked_where_they_stand(load: Load) -> None:
    message = refusal(load, schema="from flow_backend import Index\n\nIndex()\n")
    assert "schema.py:3: an Index names at least one field" in message


def test_two_classes_of_one_table(load: Load) -> None:
    message = refusal(load, schema=SCHEMA + "\n@document('tasks')\nclass Other(Document): ...\n")
    assert "schema.py:13: Other and Task are both table 'tasks'" in message


def test_a_document_without_a_table(load: Load) -> None:
    message = refusal(load, schema=SCHEMA + "\nclass Other(Document): ...\n")
    assert 'schema.py:13: Other needs @document("table_name")' in message


@pytest.mark.parametrize(
    ("signature", "what"),
    [
        ("(ctx: QueryCtx, *more: str) -> None", "arguments go by name on the wire"),
        ("(ctx: QueryCtx, x: set[str]) -> None", "parameter 'x': values of type set[str] cannot"),
        ("(ctx: QueryCtx) -> complex", "the result: values of type complex cannot"),
        ("(ctx: QueryCtx, x: 'Missing') -> None", "name 'Missing' is not defined"),
        ("() -> None", "the first parameter of a function is ctx"),
    ],
)
def test_a_function_that_cannot_be_called(load: Load, signature: str, what: str) -> None:
    text = f"from flow_backend import QueryCtx, query\n\n@query\ndef bad{signature}: ...\n"
    message = refusal(load, tasks=text)
    assert "tasks.py:3: tasks:bad" in message
    assert what in message


def test_no_such_package() -> None:
    with pytest.raises(AppDefinitionError, match="There is no package 'no_such_app_here' here"):
        load_app("no_such_app_here")


def test_a_module_is_no_app(load: Load, tmp_path: Path) -> None:
    (tmp_path / "single_module_app.py").write_text("")
    with pytest.raises(AppDefinitionError, match="is a module, but an app is a package"):
        load_app("single_module_app")


CRONS = """
from flow_backend import Crons, MutationCtx, mutation

@mutation
def clean(ctx: MutationCtx) -> None: ...

crons = Crons()
crons.daily("night", at="03:00", zone="Europe/Berlin", run=clean)
"""


def test_crons_are_loaded_with_the_app(load: Load) -> None:
    app = load(crons=CRONS)
    assert app.crons["night"].function is app.functions["crons:clean"]


def test_a_wrong_cron_is_named_with_its_line(load: Load) -> None:
    said = refusal(load, crons=CRONS + 'crons.daily("noon", at="noon", run=clean)\n')
    assert "crons.py:9:" in said
    assert "cron 'noon': at is a time such as '09:00'" in said
    assert "crons = Crons()" in refusal(load, crons="crons = 5")
