"""``flow run`` and ``flow data`` against a real server, and the endpoints that they stand on."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from flow_backend.cli.main import backend_commands
from flow_backend.cli.run import read_arguments
from flow_backend.cli.target import CommandError
from flow_backend.server.local import find_local
from tests.cli.support import Served, serving, write_app
from tests.server_process import hear_ctrl_c

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SOURCE = """
from typing import Any
from flow_backend import *

@document("notes")
class Note(Document):
    text: str
    stars: int = 0

@mutation
def add(ctx: MutationCtx, text: str, stars: int = 0) -> Id[Note]:
    ctx.log.info("adding", text)
    return ctx.db.insert(Note(text=text, stars=stars))

@query
def texts(ctx: QueryCtx) -> list[str]:
    return [note.text for note in ctx.db.scan(Note)]

@internal_query
def secret(ctx: QueryCtx) -> str:
    return f"for {ctx.auth.identity.subject if ctx.auth.identity else 'nobody'}"

@internal_query
def longest(ctx: QueryCtx) -> dict[str, Any]:
    who = ctx.auth.identity.subject if ctx.auth.identity else None
    return {"who": who, "length": max(len(note.text) for note in ctx.db.scan(Note))}

@action
async def double(ctx: ActionCtx, number: float) -> float:
    return number * 2

@query
def fails(ctx: QueryCtx) -> None:
    raise AppError({"why": "full"})
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = write_app(tmp_path_factory.mktemp("run"), SOURCE)
    with serving(folder, "--data", str(folder / "data")) as served:
        served.wait_ready()
        served.folder = folder / "data"
        for number in range(3):
            served.call("mutation", "notes:add", text=f"note {number}", stars=number)
        yield served


def flow(served: Served, command: str, *arguments: str) -> Result:
    group = backend_commands()
    return CliRunner().invoke(group, [command, "--data", str(served.folder), *arguments])


def result(served: Served, *arguments: str) -> Any:
    run = flow(served, "run", *arguments)
    assert run.exit_code == 0, run.output
    return json.loads(run.stdout)


def test_each_kind_of_function_is_called_in_each_form(served: Served) -> None:
    assert result(served, "notes:texts")[:2] == ["note 0", "note 1"]
    assert result(served, "notes:double", "number=21") == 42
    assert result(served, "notes:double", '{"number": 0.25}', "--json") == 0.5
    added = flow(served, "run", "notes:add", "text=Call Ann", "stars=5")
    assert added.stderr == "[INFO] 'adding' 'Call Ann'\n"
    assert len(json.loads(added.stdout)) == 32


def test_internal_functions_run_also_as_somebody(served: Served) -> None:
    assert result(served, "notes:secret") == "for nobody"
    anna = '{"issuer": "https://i", "subject": "anna"}'
    assert result(served, "notes:secret", "--as", anna) == "for anna"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["notes:nope"], "Could not find function for 'notes:nope'"),
        (["notes:add"], "the field 'text', which is required"),
        (["notes:add", "text=a", "stars=many"], "Expected: a whole number"),
        (["notes:fails"], "ConvexError"),
        (["notes:texts", "--as", "[]"], "--as is an object"),
        (["notes:texts", "{"], "the arguments are no JSON"),
        (["notes:add", "a title"], "write name=value"),
        (["no path"], "names a function as its module and its name"),
    ],
)
def test_what_goes_wrong_is_said_in_a_line_or_two(
    served: Served, arguments: list[str], said: str
) -> None:
    run = flow(served, "run", *arguments)

    assert run.exit_code == 1
    assert said in run.stderr
    assert run.stdout == ""
    assert "Request ID" not in run.stderr


def test_without_a_path_the_functions_are_listed(served: Served) -> None:
    lines = flow(served, "run").stdout.splitlines()[2:]

    assert [line.split()[0] for line in lines] == [
        f"notes:{name}" for name in ("add", "double", "fails", "longest", "secret", "texts")
    ]
    assert lines[0].split()[1:] == ["mutation", "stars?,", "text"]
    assert lines[3].split()[1:] == ["internal", "query"]


def test_data_shows_tables_and_documents(served: Served) -> None:
    assert flow(served, "data").stdout == "notes\n"
    shown = flow(served, "data", "notes", "--order", "asc", "--limit", "2")
    assert [line.split()[1:3] for line in shown.stdout.splitlines()] == [
        ["stars", "text"],
        [shown.stdout.splitlines()[1].split()[1]] * 1 + [shown.stdout.splitlines()[1].split()[2]],
        ["0", "note"],
        ["1", "note"],
    ]
    assert "more than these 2" in shown.stderr
    lines = flow(served, "data", "notes", "--json", "--order", "asc").stdout.splitlines()
    assert json.loads(lines[2])["text"] == "note 2"
    assert "There is no table 'nope'" in flow(served, "data", "nope").stderr


def test_the_endpoints_refuse_who_is_no_admin(served: Served) -> None:
    body = {"path": "notes:texts", "args": {}}
    refused = httpx.post(f"{served.url}/api/function", json=body)
    assert (refused.status_code, refused.json()["code"]) == (401, "BadAdminKey")
    system = {
        "path": "_system/cli/tables",
        "args": {"paginationOpts": {"numItems": 9.0, "cursor": None}},
    }
    hidden = httpx.post(f"{served.url}/api/query", json=system).json()
    assert "Could not find public function" in hidden["errorMessage"]


def test_a_path_in_the_address_runs_what_is_public(served: Served) -> None:
    answer = httpx.post(f"{served.url}/api/run/notes/double", json={"args": {"number": 4}})
    assert answer.json() == {"status": "success", "value": 8.0}
    answer = httpx.post(f"{served.url}/api/run/notes/secret", json={"args": {}})
    assert "Could not find public function" in answer.json()["errorMessage"]
    answer = httpx.post(f"{served.url}/api/run/notes", json={})
    assert "Could not find function for 'notes:default'" in answer.json()["errorMessage"]


def test_an_echo_gives_back_what_it_got(served: Served) -> None:
    content = bytes(range(256)) * 20_000
    assert httpx.post(f"{served.url}/echo", content=content).content == content


def test_the_official_command_line_reads_and_calls(served: Served, tmp_path: Path) -> None:
    """Its verbs are not promised yet; those that need only this much work all the same."""
    local = find_local(served.folder)
    assert local is not None
    tool = ROOT / "flow_web" / "node_modules" / "convex" / "bin" / "main.js"
    if not tool.exists():
        pytest.skip("npm's packages are not installed")
    (tmp_path / "package.json").write_text('{"dependencies": {"convex": "*"}}')
    environment = {
        "CONVEX_SELF_HOSTED_URL": served.url,
        "CONVEX_SELF_HOSTED_ADMIN_KEY": local.admin_key,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
    }
    command = ["node", str(tool), "run", "notes:double", '{"number": 4}']
    said = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert said.stdout.strip() == "8", said.stderr


def test_words_become_arguments() -> None:
    assert read_arguments(["a=1", "b=x=y", 'c=["d"]', "e=", "f=null", "g=007"]) == {
        "a": 1, "b": "x=y", "c": ["d"], "e": "", "f": None, "g": "007",
    }  # fmt: skip
    assert read_arguments([]) == {}
    with pytest.raises(CommandError, match="'1a=2' is no argument"):
        read_arguments(["1a=2"])


def test_a_watched_query_is_printed_each_time_that_it_changes(served: Served) -> None:
    """As people do it: a process, whose lines come as they are, until Ctrl-C."""
    program = "from flow_backend.cli.main import backend_commands as b; b()()"
    words = ["run", "notes:longest", "--watch", "--json", "--data", str(served.folder)]
    with subprocess.Popen(
        [sys.executable, "-c", program, *words, "--as", '{"issuer": "https://i", "subject": "bo"}'],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,
    ) as popen:
        try:
            assert popen.stdout is not None
            before = json.loads(popen.stdout.readline())
            assert before["who"] == "bo"
            served.call("mutation", "notes:add", text="x" * (before["length"] + 1))
            after = {"who": "bo", "length": before["length"] + 1}
            assert json.loads(popen.stdout.readline()) == after
            popen.send_signal(signal.SIGINT)
            _, errors = popen.communicate(timeout=60)
        finally:
            popen.kill()
    assert (popen.returncode, errors) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["notes:nope"], "Could not find"),
        (["notes:add", "text=a"], "defined as Mutation"),
        (["notes:fails"], "full"),
        ([], "--watch needs the query's path"),
    ],
)
def test_what_cannot_be_watched_is_said(served: Served, arguments: list[str], said: str) -> None:
    done = flow(served, "run", "--watch", *arguments)

    assert (done.exit_code, done.stdout) == (1, "")
    assert said in done.stderr
