"""``flow codegen``: the types of an app's functions, written and checked."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flow.cli import main

ROOT = Path(__file__).parents[2]
APP = """
from flow_backend import QueryCtx, query

@query
def double(ctx: QueryCtx, number: int) -> int:
    return 2 * number
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["codegen", *arguments])


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with an app, in which the command is given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "codegen_app").mkdir()
    (tmp_path / "codegen_app" / "__init__.py").write_text("")
    (tmp_path / "codegen_app" / "numbers_.py").write_text(APP)
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "codegen_app"]:
        del sys.modules[name]


def test_flow_webs_types_are_those_of_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, run ``make types`` and commit what it writes."""
    monkeypatch.chdir(ROOT)
    done = run("--check")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("web", ["codegen_app_web", "web"])
def test_what_is_up_to_date_is_left_alone(app: Path, web: str) -> None:
    out = app / web / "src" / "generated"
    out.parent.mkdir(parents=True)
    assert "Wrote api.ts, dataModel.ts" in run("--app", "codegen_app").output
    before = (out / "api.ts").stat().st_mtime_ns

    again = run("--app", "codegen_app")

    assert "up to date" in again.output
    assert (out / "api.ts").stat().st_mtime_ns == before
    assert sorted(each.name for each in out.iterdir()) == ["api.ts", "dataModel.ts"]


def test_a_stale_file_fails_the_check_with_what_to_do(app: Path) -> None:
    run("--app", "codegen_app", "--out", "types")
    stale = app / "types" / "api.ts"
    stale.write_text(stale.read_text().replace("number: number", "number: string"))
    said = stale.read_text()

    done = run("--app", "codegen_app", "--out", "types", "--check")

    assert done.exit_code == 1
    assert "api.ts in types is not what the Python code says now" in done.output
    assert "Run `flow codegen --app codegen_app --out types`" in done.output
    assert stale.read_text() == said, "a check writes nothing"
    shutil.rmtree(app / "types")
    missing = run("--app", "codegen_app", "--out", "types", "--check")
    assert "api.ts, dataModel.ts in types are not" in missing.output
    assert not (app / "types").exists()


def test_a_mistake_in_the_app_is_told_with_its_place(app: Path) -> None:
    functions = app / "codegen_app" / "numbers_.py"
    functions.write_text(APP.replace("number: int", "number: set[int]"))

    done = run("--app", "codegen_app", "--out", "types")

    assert done.exit_code == 65
    assert "numbers_.py:4: numbers_:double, parameter 'number'" in done.output
    assert not (app / "types").exists()


def test_without_a_web_client_the_folder_must_be_named(app: Path) -> None:
    done = run("--app", "codegen_app")
    assert done.exit_code == 64
    assert "neither codegen_app_web/src nor web/src here" in done.output
    assert "name the folder with --out" in done.output
    assert not (app / "codegen_app_web").exists()


def test_a_folder_that_cannot_be_written_is_said(app: Path) -> None:
    (app / "taken").write_text("")
    done = run("--app", "codegen_app", "--out", "taken/types")
    assert done.exit_code == 64
    assert "The types cannot be written to taken/types" in done.output
