"""What ``flow new`` makes is whole: its tests pass, its tools have no complaint, and it runs."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from flow_backend.cli.apps import default_app, find_app
from flow_backend.cli.new import new
from flow_backend.cli.target import CommandError
from tests.cli.new_app import flow, link_packages, make_new_app, ran, tool
from tests.deploy.typescript import compile_types, missing
from tests.server_process import ROOT


@pytest.mark.slow
def test_a_new_app_is_whole(tmp_path: Path) -> None:
    """Its own tests pass, and the tools that its pyproject.toml sets up find nothing."""
    made = flow(tmp_path, "new", "guest-book")
    folder = tmp_path / "guest-book"

    assert made.returncode == 0, made.stderr
    assert "cd guest-book && flow dev" in made.stdout
    assert [each.name for each in tmp_path.iterdir()] == ["guest-book"]
    assert (folder / "guest_book" / "schema.py").is_file()
    texts = [each.read_text() for each in folder.rglob("*") if each.is_file()]
    assert not [text for text in texts if "{{" in text.replace("={{", "")]
    for command in (
        [tool("pytest"), "-q", "-p", "no:cacheprovider"],
        [tool("ruff"), "check"],
        [tool("ruff"), "format", "--check"],
        # It reads all of flow_backend, too; what it learns of that is kept for the next run.
        [tool("mypy"), "--cache-dir", ROOT / ".mypy_cache" / "new-app"],
    ):
        checked = ran(folder, *command)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    checked = flow(folder, "codegen", "--check")
    assert checked.returncode == 0, checked.stderr


@pytest.mark.slow
@pytest.mark.node
def test_the_page_of_a_new_app_fits_its_functions(tmp_path: Path) -> None:
    why = missing()
    if why is not None:
        pytest.skip(why)
    folder = make_new_app(tmp_path, "wall")
    link_packages(folder / "web")
    assert compile_types(folder / "web") == {}

    messages = folder / "wall" / "messages.py"
    messages.write_text(
        messages.read_text().replace(
            "author: str, text: str", "author: str, said: str, text: str = ''"
        )
    )
    assert flow(folder, "codegen").returncode == 0

    assert {name for name, _ in compile_types(folder / "web")} == {"src/app.tsx"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Guest", "cannot be a Python package"),
        ("3d", "cannot be a Python package"),
        ("../out", "cannot be a Python package"),
        ("class", "cannot be a Python package"),
        ("json", "a Python module 'json' already"),
        ("flow-backend", "a Python module 'flow_backend' already"),
        ("taken", "exists already; nothing was changed"),
    ],
)
def test_a_name_that_cannot_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, why: str
) -> None:
    (tmp_path / "taken").mkdir()
    monkeypatch.chdir(tmp_path)

    made = CliRunner().invoke(new, [name])

    assert made.exit_code == 1
    assert why in made.output
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


def test_the_only_app_of_a_folder_is_the_one_that_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or `flow serve` in a new app's folder would serve Flow, on the new app's data."""
    monkeypatch.chdir(tmp_path)
    assert default_app() == "flow"
    for name in ("guests", "hosts"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "schema.py").write_text("")
    (tmp_path / "guests" / "__init__.py").write_text("")
    assert default_app() == "guests"

    (tmp_path / "hosts" / "__init__.py").write_text("")

    assert default_app() == "flow"
    with pytest.raises(CommandError, match="several apps here: guests, hosts"):
        find_app(None)
