"""``flow logs`` against a real server: what functions did, kept and followed."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from flow_backend.cli.logs import entry_lines
from flow_backend.cli.main import backend_commands
from flow_backend.server.local import find_local
from tests.cli.support import ROOT, Served, serving, write_app

pytestmark = pytest.mark.slow
PATIENCE_SECONDS = 20.0
SOURCE = """
from flow_backend import *

@document("notes")
class Note(Document):
    text: str

@mutation
def add(ctx: MutationCtx, text: str) -> None:
    ctx.log.info("adding", text)
    ctx.db.insert(Note(text=text))

@mutation
def later(ctx: MutationCtx) -> None:
    ctx.scheduler.run_after(0, add, text="later")

@query
def texts(ctx: QueryCtx) -> list[str]:
    return [note.text for note in ctx.db.scan(Note)]

@query
def fails(ctx: QueryCtx) -> None:
    ctx.log.warn("about to")
    raise ValueError("it does not want to")

@action
async def act(ctx: ActionCtx) -> None:
    await ctx.run(add, text="by an action")

@http_action(path="/hook")
async def hook(ctx: ActionCtx, request: HttpRequest) -> HttpResponse:
    ctx.log.error("hooked")
    return HttpResponse(b"")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_app(tmp_path_factory.mktemp("logs"), SOURCE)


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    with serving(folder, "--data", str(folder / "data")) as served:
        served.wait_ready()
        served.folder = folder / "data"
        yield served


def logs(served: Served, *arguments: str) -> str:
    command = ["logs", "--data", str(served.folder), *arguments]
    result = CliRunner().invoke(backend_commands(), command)
    assert result.exit_code == 0, result.output
    return result.stdout


def entries(served: Served, count: int, *arguments: str) -> list[dict[str, Any]]:
    """Give the entries as soon as there are so many: they are written a moment after the call."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = [json.loads(line) for line in logs(served, "--jsonl", *arguments).splitlines()]
        if len(found) >= count or time.monotonic() > until:
            return found
        time.sleep(0.05)


def test_what_functions_did_is_kept_and_found_again(served: Served) -> None:
    """Mutations, actions and routes each time; queries only if they failed or logged something."""
    served.call("mutation", "notes:add", text="milk")
    served.call("query", "notes:texts")
    served.call("action", "notes:act")
    served.call("mutation", "notes:later")
    httpx.post(f"{served.url}/api/query", json={"path": "notes:fails", "args": {}})
    httpx.get(f"{served.url}/http/hook")

    found = entries(served, 7)

    kinds = [(each["udfType"], each["identifier"], each["caller"]) for each in found]
    assert sorted(kinds) == sorted(
        [
            ("Mutation", "notes:add", "Client"),
            ("Mutation", "notes:add", "Action"),
            ("Action", "notes:act", "Client"),
            ("Mutation", "notes:later", "Client"),
            ("Mutation", "notes:add", "Scheduler"),
            ("Query", "notes:fails", "Client"),
            ("HttpAction", "GET /hook", "Client"),
        ]
    )
    assert found[0]["logLines"][0]["messages"] == ["'adding' 'milk'"]
    assert {each["identityType"] for each in found if each["caller"] != "Scheduler"} == {"unknown"}
    assert all(each["executionTime"] >= 0 for each in found)
    assert abs(found[0]["timestamp"] - time.time()) < 1000
    [failed] = entries(served, 1, "--failed")
    assert failed["identifier"] == "notes:fails"
    assert "Server Error\nValueError\n    at fails (" in failed["error"]
    assert "it does not want to" not in str(found)  # An error's own words may quote arguments.
    assert failed["requestId"] in failed["error"]
    assert len(entries(served, 3, "--function", "notes:add")) == 3
    assert len(entries(served, 2, "--history", "2")) == 2
    assert entries(served, 0, "--history", "0") == []
    assert len(entries(served, 7, "--since", "1h")) == 7
    assert entries(served, 0, "--since", "0s") == []
    shown = logs(served, "--failed")
    assert " Q notes:fails " in shown
    assert "    [WARN] 'about to'\n" in shown
    assert "\n    ValueError\n" in shown


def test_what_a_user_wrote_cannot_steer_the_terminal() -> None:
    line = {"level": "INFO", "messages": ["\x1b]0;title\x07 and \x1b[31mred"]}
    entry = {"timestamp": 0.0, "udfType": "Mutation", "identifier": "a:b", "executionTime": 0.5,
             "logLines": [line], "error": "no\x1b[2J\nsecond"}  # fmt: skip

    shown = entry_lines(entry)

    assert shown[1:] == [
        "    [INFO] \\x1b]0;title\\x07 and \\x1b[31mred",
        "    no\\x1b[2J",
        "    second",
    ]


def test_convexs_way_to_follow_is_answered_when_something_comes(served: Served) -> None:
    """The history at once; then a poll that waits, and ends with the next call."""
    local = find_local(served.folder)
    assert local is not None
    url = f"{served.url}/api/stream_function_logs"
    headers = {"Authorization": f"Convex {local.admin_key}"}
    first = httpx.get(url, params={"cursor": 0}, headers=headers).json()
    assert first["newCursor"] > 0
    served.call("mutation", "notes:add", text="more")

    after = httpx.get(url, params={"cursor": first["newCursor"]}, headers=headers, timeout=30)

    [entry] = after.json()["entries"]
    assert entry["logLines"][0]["messages"] == ["'adding' 'more'"]
    assert after.json()["newCursor"] > first["newCursor"]
    assert httpx.get(url, params={"cursor": "x"}, headers=headers).status_code == 400
    assert httpx.get(url, params={"cursor": 0}).status_code == 401


def test_who_follows_sees_calls_as_they_end_and_holds_up_no_stop(folder: Path) -> None:
    """What was logged last before the stop is there at the next start."""
    data = folder / "other"
    program = "from flow_backend.cli.main import backend_commands as b; b()()"
    command = [sys.executable, "-c", program, "logs", "--data", str(data), "--follow", "--jsonl"]
    with serving(folder, "--data", str(data)) as served:
        served.wait_ready()
        served.folder = data
        served.call("mutation", "notes:add", text="first")
        assert len(entries(served, 1)) == 1
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as following:
            assert following.stdout is not None
            assert "first" in following.stdout.readline()
            served.call("mutation", "notes:add", text="second")
            assert "second" in following.stdout.readline()
            served.call("mutation", "notes:add", text="last")
            code, _ = served.stop()
            assert code == 0
            with serving(folder, "--data", str(data)) as again:
                again.wait_ready()
                again.folder = data
                texts = [each["logLines"][0]["messages"][0] for each in entries(again, 3)]
                assert texts == ["'adding' 'first'", "'adding' 'second'", "'adding' 'last'"]
                again.call("mutation", "notes:add", text="again")
                while "again" not in (line := following.stdout.readline()):
                    assert "last" in line, line
            following.kill()
            assert following.stderr is not None
            # Its next question may still find the old connection, or nobody.
            assert "Waiting for it." in following.stderr.readline()


def test_the_words_of_errors_are_kept_from_clients_or_told_to_the_log(folder: Path) -> None:
    data, environment = folder / "quiet", {"FLOW_REDACT": "1", "FLOW_LOG_WORDS": "1"}
    with serving(folder, "--data", str(data), environment=environment) as quiet:
        quiet.wait_ready()
        quiet.folder = data
        body = {"path": "notes:fails", "args": {}}

        told = httpx.post(f"{quiet.url}/api/query", json=body).json()
        [entry] = entries(quiet, 1)

    assert "logLines" not in told
    assert told["errorMessage"] == f"[Request ID: {entry['requestId']}] Server Error"
    assert "Uncaught ValueError: it does not want to\n    at fails (" in entry["error"]


def test_a_server_that_keeps_no_log_says_so(folder: Path) -> None:
    data = folder / "silent"
    with serving(folder, "--data", str(data), environment={"FLOW_LOG_BYTES_MAX": "0"}) as silent:
        silent.wait_ready()
        silent.call("mutation", "notes:add", text="milk")

        result = CliRunner().invoke(backend_commands(), ["logs", "--data", str(data)])

    assert result.exit_code == 1
    assert (
        result.stderr
        == "Error: This server keeps no log of functions: its FLOW_LOG_BYTES_MAX is 0.\n"
    )
    assert not (data / "logs.sqlite3").exists()
