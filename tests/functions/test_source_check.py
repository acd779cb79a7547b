"""What can be told of a package from its text alone: each flaw with its file and line."""

from pathlib import Path

import pytest

from flow_backend.functions.source_check import source_flaws

ROOT = Path(__file__).parents[2]
SCHEMA = "class Task: ...\n"


def flaws(**modules: str) -> list[str]:
    files = {"app/__init__.py": b"", "app/schema.py": SCHEMA.encode()}
    files |= {f"app/{name.replace('__', '/')}.py": text.encode() for name, text in modules.items()}
    return [f"{each.kind} {each.text}" for each in source_flaws("app", files)]


def test_a_file_that_does_not_parse_is_named_with_its_line() -> None:
    assert flaws(tasks="x = 1\ndef f(:\n", other="from app import tasks\ntasks.anything\n") == [
        "syntax app/tasks.py:2: SyntaxError: invalid syntax"
    ]
    assert flaws(tasks="x = '\x00'")[0].startswith("syntax app/tasks.py:1: ")


def test_modules_that_the_server_lacks_are_all_listed() -> None:
    source = "import json, absent_one.part as p\n\ndef later():\n    from absent_two import x\n"
    said = "and this server does not have"

    assert flaws(tasks=source) == [
        f"import app/tasks.py:1: imports 'absent_one.part', {said} 'absent_one'",
        f"import app/tasks.py:4: imports 'absent_two', {said} 'absent_two'",
    ]


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    import absent\nexcept ImportError:\n    absent = None\n",
        "try:\n    import absent\nexcept (KeyError, ModuleNotFoundError):\n    pass\n",
        "try:\n    import absent\nexcept:\n    pass\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import absent\n",
        "import typing\nif typing.TYPE_CHECKING:\n    from app.gone import x\n",
        "try:\n    from app.schema import Gone\nexcept ImportError:\n    Gone = None\n",
    ],
)
def test_an_import_that_may_miss_is_no_flaw(source: str) -> None:
    assert flaws(tasks=source) == []


def test_what_a_fallback_imports_is_looked_at() -> None:
    source = "try:\n    import absent\nexcept ImportError:\n    import absent_too\n"

    assert [each.split()[1] for each in flaws(tasks=source)] == ["app/tasks.py:4:"]


def test_the_commands_of_an_app_are_not_the_servers_matter() -> None:
    assert flaws(cli="import absent\n") == []


def test_a_function_that_was_removed_and_is_still_named_is_found() -> None:
    """Inside a function, too: there it would fail only when it is called."""
    source = (
        "from app import tasks\nfrom app.tasks import also_gone\nimport app.tasks as t\n"
        "def f(ctx):\n    ctx.run(tasks.gone)\n    ctx.run(t.kept)\n    return t.lost\n"
    )

    assert flaws(tasks="def kept(): ...\n", other=source) == [
        "name app/other.py:2: app/tasks.py has no 'also_gone'",
        "name app/other.py:5: app/tasks.py has no 'gone'",
        "name app/other.py:7: app/tasks.py has no 'lost'",
    ]


def test_a_star_of_a_loaded_module_hides_nothing() -> None:
    other = "from app import tasks\ntasks.query\ntasks.gone\n"

    assert flaws(tasks="from flow_backend import *\n", other=other) == [
        "name app/other.py:3: app/tasks.py has no 'gone'"
    ]


def test_a_module_that_was_removed_is_found() -> None:
    said = "the package has no module"

    assert flaws(other="import app.gone\nfrom .lost import x\nfrom ... import y\n") == [
        f"import app/other.py:1: {said} 'app.gone'",
        f"import app/other.py:2: {said} 'app.lost'",
        "import app/other.py:3: a relative import leads out of the package",
    ]


@pytest.mark.parametrize(
    "tasks",
    [
        "from .schema import *\n",
        "from os import *\nfrom this import *\n",
        "def __getattr__(name): ...\n",
        "globals()['gone'] = 1\n",
        "if True:\n    gone = 1\n",
        "for gone in (): pass\n",
        "with open('x') as gone: pass\n",
        "(a, *gone) = 1, 2\n",
        "import json as gone\n",
        "def f():\n    global gone\n    gone = 1\n",
        "match 1:\n    case gone: pass\n",
        "if (gone := 1): pass\n",
    ],
)
def test_names_that_may_be_there_are_not_blamed(tasks: str) -> None:
    assert flaws(tasks=tasks, other="from app import tasks\ntasks.gone\n") == []


@pytest.mark.parametrize(
    "other",
    [
        "from app import tasks\ndef f(tasks): return tasks.gone\n",
        "from app import tasks\ndef f():\n    tasks = []\n    return tasks.gone\n",
        "from app import tasks\n[tasks.gone for tasks in ()]\n",
        "from app import tasks\ntasks.gone = 1\n",
        "from app import deep\ndeep.inner.x\n",
        "import app.deep.inner\napp.deep.inner.x\n",
    ],
)
def test_a_name_that_may_mean_something_else_is_left_alone(other: str) -> None:
    assert flaws(tasks="", deep____init__="", deep__inner="x = 1\n", other=other) == []


def test_flow_itself_has_no_flaw() -> None:
    files = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for path in (ROOT / "flow").rglob("*.py")
    }

    assert len(files) > 10
    assert source_flaws("flow", files) == []
