"""``flow env`` against a real server, and the endpoints of Convex's command line."""

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from flow_backend.cli.main import backend_commands
from flow_backend.server.local import find_local
from tests.cli.support import APP, Served, serving, write_app

pytestmark = pytest.mark.slow
SOURCE = (
    APP.replace("QueryCtx, document", "Environment, QueryCtx, document")
    + """
@query
def env(ctx: QueryCtx) -> dict[str, str]:
    return dict(ctx.env)
"""
)
ENV = """
from flow_backend import Environment

class Env(Environment):
    RETRIES: int = 3
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with open_served(tmp_path_factory.mktemp("env")) as served:
        yield served


@contextmanager
def open_served(folder: Path) -> Generator[Served]:
    write_app(folder, SOURCE)
    (folder / "small_app" / "env.py").write_text(ENV)
    with serving(folder, "--data", str(folder / "data")) as served:
        served.wait_ready()
        served.folder = folder / "data"
        yield served


def flow(served: Served, *arguments: str, given: str | None = None) -> Result:
    command = [*arguments[:2], "--data", str(served.folder), *arguments[2:]]
    return CliRunner().invoke(backend_commands(), command, input=given)


def said(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_server_logs_which_variable_was_set_and_never_its_value(tmp_path: Path) -> None:
    with open_served(tmp_path) as served:
        said(flow(served, "env", "set", "SECRET", given="hunter2\n"))
        _, logged = served.stop()

    assert "names=['SECRET']" in logged or '"SECRET"' in logged, logged
    assert "hunter2" not in logged


def test_variables_are_set_shown_and_removed(served: Served, tmp_path: Path) -> None:
    """A value from standard input, or of a file, stands in no history of a shell."""
    file = tmp_path / "vars"
    file.write_text("# Comment\n\nexport A=1\nB='x # y'\nC=\"two\\nlines \\\\n\"\n")

    assert said(flow(served, "env", "set", "SECRET", given="hunter2\n")) == "Set SECRET.\n"
    assert said(flow(served, "env", "set", "RETRIES", "5")) == "Set RETRIES.\n"
    assert said(flow(served, "env", "set", "--file", str(file))) == "Set A, B, C.\n"

    values = {"A": "1", "B": "x # y", "C": "two\nlines \\n", "RETRIES": "5", "SECRET": "hunter2"}
    assert said(flow(served, "env", "list")) == "A\nB\nC\nRETRIES\nSECRET\n"
    assert json.loads(said(flow(served, "env", "list", "--json"))) == values
    assert said(flow(served, "env", "get", "SECRET")) == "hunter2\n"
    assert served.call("query", "notes:env") == values
    shown = tmp_path / "shown"
    shown.write_text(said(flow(served, "env", "list", "--values")))
    said(flow(served, "env", "remove", "A", "B", "C"))
    assert set(served.call("query", "notes:env")) == {"RETRIES", "SECRET"}
    said(flow(served, "env", "set", "--file", str(shown)))
    assert served.call("query", "notes:env") == values


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("set", "RETRIES", "lots"), "RETRIES is a whole number"),
        (("set", "A-B", "x"), "is no name"),
        (("set",), "NAME of one variable"),
        (("get", "NOPE"), "NOPE is not set"),
        (("remove", "NOPE"), "NOPE"),
    ],
)
def test_what_cannot_be_is_said(served: Served, arguments: tuple[str, ...], words: str) -> None:
    result = flow(served, "env", *arguments)

    assert result.exit_code != 0
    assert words in result.stderr


def test_convexs_own_endpoints_take_and_give_them(served: Served) -> None:
    local = find_local(served.folder)
    assert local is not None
    headers = {"Authorization": f"Convex {local.admin_key}"}
    update = f"{served.url}/api/update_environment_variables"
    listing = f"{served.url}/api/list_environment_variables"

    body = {"changes": [{"name": "D", "value": "x"}, {"name": "RETRIES", "value": None}]}
    assert httpx.post(update, json=body, headers=headers).status_code == 200
    found = httpx.get(listing, headers=headers).json()["environmentVariables"]
    assert found["D"] == "x"
    assert "RETRIES" not in found
    for bad in ({}, {"changes": {}}, {"changes": [{"name": 1, "value": "x"}]}):
        assert httpx.post(update, json=bad, headers=headers).status_code == 400
    assert httpx.post(update, json=body).status_code == 401
    assert httpx.get(listing).status_code == 401
