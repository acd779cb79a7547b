"""``flow export`` and ``flow import`` against a real server, and Convex's own command line."""

import json
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from click.testing import CliRunner, Result

from flow_backend.cli.main import backend_commands
from flow_backend.server.local import find_local
from tests.cli.support import Client, Served, serving, write_app

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
TOOL = ROOT / "flow_web" / "node_modules" / "convex" / "bin" / "main.js"
SOURCE = """
from flow_backend import *

@document("notes")
class Note(Document):
    text: str
    stars: int = 0
    tag: str | None = None
    by_tag = Index("tag", unique=True)

@mutation
def add(ctx: MutationCtx, text: str, stars: int = 0, tag: str | None = None) -> Id[Note]:
    return ctx.db.insert(Note(text=text, stars=stars, tag=tag))

@query
def texts(ctx: QueryCtx) -> list[str]:
    return [note.text for note in ctx.db.scan(Note)]

@query
def all(ctx: QueryCtx) -> list[Note]:
    return ctx.db.scan(Note).collect()
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = write_app(tmp_path_factory.mktemp("transfer"), SOURCE)
    with serving(folder, "--data", str(folder / "data")) as served:
        served.wait_ready()
        served.folder = folder / "data"
        yield served


def flow(served: Served, command: str, *arguments: str | Path, answer: str = "") -> Result:
    words = [command, "--data", str(served.folder), *map(str, arguments)]
    return CliRunner().invoke(backend_commands(), words, input=answer)


def done(served: Served, command: str, *arguments: str | Path) -> str:
    result = flow(served, command, *arguments)
    assert result.exit_code == 0, result.output
    return result.output


def fill(served: Served, tmp_path: Path, *texts: str) -> None:
    """Make these the only notes."""
    file = tmp_path / "fill.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    done(served, "import", file, "--table", "notes", "--replace", "-y")


def test_what_is_exported_comes_back_and_live_queries_see_it(
    served: Served, tmp_path: Path
) -> None:
    """To those who watch an import is one commit: all of it, or nothing yet."""
    fill(served, tmp_path, "one", "two")
    before = served.call("query", "notes:all")
    assert "Wrote 2 documents" in done(served, "export", "--path", tmp_path / "all.zip")
    served.call("mutation", "notes:add", text="three")
    seen: list[list[str]] = []

    async def watch() -> None:
        client = Client(served.port, queries=[("notes:texts", {})])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.run)
            with trio.fail_after(20):
                while not seen or seen[-1] != ["one", "two"]:
                    await client.wait_heard()
                    if client.results and (not seen or client.results[0]["value"] != seen[-1]):
                        seen.append(client.results[0]["value"])
                    if len(seen) == 1 and not started:
                        started.append(True)
                        nursery.start_soon(trio.to_thread.run_sync, back)
            nursery.cancel_scope.cancel()

    started: list[bool] = []

    def back() -> None:
        done(served, "import", tmp_path / "all.zip", "--replace-all", "-y")

    trio.run(watch)

    assert seen == [["one", "two", "three"], ["one", "two"]]
    assert served.call("query", "notes:all") == before


def test_an_import_that_deletes_is_shown_and_asked_about(served: Served, tmp_path: Path) -> None:
    fill(served, tmp_path, "kept")
    file = tmp_path / "new.jsonl"
    file.write_text('{"text": "new"}\n')

    refused = flow(served, "import", file, "--table", "notes", "--replace", answer="n\n")

    assert refused.exit_code == 1
    assert "notes | 1      | 1 of 1" in refused.output
    assert served.call("query", "notes:texts") == ["kept"]
    full = flow(served, "import", file, "--table", "notes", "-y")
    assert "Table notes already exists." in full.output
    # What deletes nothing goes through without a question.
    assert "Added 1 documents." in done(served, "import", file, "--table", "notes", "--append")
    assert served.call("query", "notes:texts") == ["kept", "new"]


def test_a_file_with_one_bad_row_changes_nothing(served: Served, tmp_path: Path) -> None:
    fill(served, tmp_path, "kept")
    file = tmp_path / "bad.jsonl"
    file.write_text('{"text": "good"}\n{"text": 5}\n{"text": "a", "tag": "t"}\n')

    result = flow(served, "import", file, "--table", "notes", "--replace", "-y")

    assert result.exit_code == 1
    assert "the file, row 2: notes.text: expected a string, got 5.0" in result.output
    assert served.call("query", "notes:texts") == ["kept"]


def test_csv_goes_out_and_comes_in(served: Served, tmp_path: Path) -> None:
    fill(served, tmp_path)
    served.call("mutation", "notes:add", text='a "b", c\nd', stars=3)
    served.call("mutation", "notes:add", text="7", tag="true")
    before = served.call("query", "notes:all")
    done(served, "export", "--table", "notes", "--format", "csv", "--path", tmp_path / "n.csv")

    done(served, "import", tmp_path / "n.csv", "--table", "notes", "--replace", "-y")

    assert served.call("query", "notes:all") == before
    assert (tmp_path / "n.csv").read_text().startswith("_id,_creationTime,text,stars,tag\n")


def test_only_admins_export_and_import(served: Served) -> None:
    """A key that is wrong, or none, opens none of the routes."""
    posts = ["export/request/zip", "import/start_upload", "import/upload_part"]
    posts += ["import/finish_upload", "perform_import", "cancel_import"]
    for headers in ({}, {"Authorization": "Convex name|wrong"}):
        answers = [httpx.post(f"{served.url}/api/{path}", headers=headers) for path in posts]
        answers.append(httpx.get(f"{served.url}/api/export/zip/1", headers=headers))

        assert [answer.status_code for answer in answers] == [401] * len(answers)
        assert {answer.json()["code"] for answer in answers} == {"BadAdminKey"}


def test_an_import_cut_by_a_kill_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """The server dies at whatever point of it; the next one says what became of it."""
    folder = write_app(tmp_path, SOURCE)
    file = tmp_path / "many.jsonl"
    file.write_text("".join(f'{{"text": "{number}"}}\n' for number in range(3000)))
    there = 0
    for delay in (0.0, 0.02, None):
        with serving(folder, "--data", str(folder / "data")) as served:
            served.wait_ready()
            served.folder = folder / "data"
            now = len(served.call("query", "notes:texts"))
            states = [each["state"]["state"] for each in imports(served)]
            # Each that is noted as done has brought all its documents, and no other brought any.
            assert now == 3000 * states.count("completed")
            assert now - there in {0, 3000}
            assert set(states) <= {"completed", "failed"}
            there = now
            if delay is not None:
                perform_and_kill(served, file, delay)


def perform_and_kill(served: Served, file: Path, delay: float) -> None:
    local = find_local(served.folder)
    assert local is not None
    with httpx.Client(
        base_url=served.url, headers={"Authorization": f"Convex {local.admin_key}"}, timeout=30
    ) as admin:
        token = admin.post("/api/import/start_upload").json()["uploadToken"]
        where = {"uploadToken": token, "partNumber": 1}
        part = admin.post("/api/import/upload_part", params=where, content=file.read_bytes()).json()
        wanted = {"format": "jsonLines", "mode": "append", "tableName": "notes"}
        body = {"import": wanted, "uploadToken": token, "partTokens": [part]}
        ident = admin.post("/api/import/finish_upload", json=body).json()["importId"]
        question = {"path": "_system/cli/queryImport:default", "args": {"importId": ident}}
        state = ""
        while state != "waiting_for_confirmation":
            state = admin.post("/api/query", json=question).json()["value"]["state"]["state"]
        assert admin.post("/api/perform_import", json={"importId": ident}).status_code == 200
        trio.run(trio.sleep, delay)
        served.popen.kill()
        served.popen.wait()


def imports(served: Served) -> list[Any]:
    local = find_local(served.folder)
    assert local is not None
    headers = {"Authorization": f"Convex {local.admin_key}"}
    question = {"path": "_system/cli/queryImport:list", "args": {}}
    answer = httpx.post(f"{served.url}/api/query", json=question, headers=headers).json()
    return list(answer["value"])


@pytest.mark.skipif(not TOOL.exists(), reason="flow_web/node_modules is missing (npm ci)")
def test_convex_own_command_line_exports_and_imports(served: Served, tmp_path: Path) -> None:
    """The official tool, unmodified: a zip out, and the same zip in again."""
    fill(served, tmp_path, "one", "two")
    before = served.call("query", "notes:all")
    local = find_local(served.folder)
    assert local is not None
    (tmp_path / "package.json").write_text('{"dependencies": {"convex": "1"}}')
    (tmp_path / "node_modules").symlink_to((ROOT / "flow_web" / "node_modules").resolve())
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "CONVEX_SELF_HOSTED_URL": served.url,
        "CONVEX_SELF_HOSTED_ADMIN_KEY": local.admin_key,
        "CI": "1",
    }

    def convex(*arguments: str) -> str:
        run = subprocess.run(
            ["node", str(TOOL), *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        return run.stderr

    convex("export", "--path", "out.zip")
    served.call("mutation", "notes:add", text="three")
    said = convex("import", "--replace-all", "-y", "out.zip")

    assert "Added 2 documents" in said
    assert served.call("query", "notes:all") == before
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.namelist()[:2] == ["README.md", "_tables/documents.jsonl"]
