"""``flow deploy``, ``flow versions`` and ``flow rollback`` against a real server."""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import define
from click.testing import CliRunner, Result

from flow_backend.cli.main import backend_commands
from flow_backend.server.local import find_local
from tests.cli.support import ROOT, Served, serving, write_app

pytestmark = pytest.mark.slow

NOTES = """
from flow_backend import *

@document("notes")
class Note(Document):
    text: str

@mutation
def add(ctx: MutationCtx, text: str) -> None:
    ctx.db.insert(Note(text=text))

@query
def texts(ctx: QueryCtx) -> list[str]:
    return [note.text for note in ctx.db.scan(Note)]
"""
SHELVES = """
from flow_backend import *

@document("shelves")
class Shelf(Document):
    name: str

@mutation
def put(ctx: MutationCtx, name: str) -> None:
    ctx.db.insert(Shelf(name=name))

@query
def names(ctx: QueryCtx) -> list[str]:
    return [shelf.name for shelf in ctx.db.scan(Shelf)]

@mutation
def ring(ctx: MutationCtx) -> None: ...

@mutation
def later(ctx: MutationCtx) -> Id[ScheduledFunction]:
    return ctx.scheduler.run_after(3600, ring)

@mutation
def cancel(ctx: MutationCtx, job: Id[ScheduledFunction]) -> None:
    ctx.scheduler.cancel(job)
"""
LOUD = NOTES.replace("note.text for", "note.text.upper() for")


@define
class Place:
    """A running server, and a folder in which somebody works on its app."""

    served: Served
    package: Path

    def write(self, **modules: str | None) -> None:
        """Write modules of the package; None removes one."""
        for name, text in modules.items():
            file = self.package / f"{name}.py"
            if text is None:
                file.unlink(missing_ok=True)
            else:
                file.write_text(text)

    def flow(self, *arguments: str, **options: Any) -> Result:
        command, *rest = arguments
        data = ["--data", str(self.served.folder)]
        return CliRunner().invoke(backend_commands(), [command, *data, *rest], **options)

    def deploy(self, *arguments: str, **options: Any) -> Result:
        return self.flow("deploy", "--app", str(self.package), *arguments, **options)

    def deployed(self, *arguments: str) -> str:
        done = self.deploy(*arguments)
        assert done.exit_code == 0, done.output
        return done.stdout

    def versions(self, *arguments: str) -> list[dict[str, Any]]:
        listed = self.flow("versions", "--json", *arguments)
        assert listed.exit_code == 0, listed.output
        return [json.loads(line) for line in listed.stdout.splitlines()]

    def number(self) -> int:
        """Give the number of the version in force."""
        number: int = self.versions()[0]["number"]
        return number

    def post(self, body: bytes, key: str | None = None, **asked: str) -> tuple[int, str]:
        local = find_local(self.served.folder)
        assert local is not None
        headers = {"Authorization": f"Convex {key or local.admin_key}"}
        url = f"{self.served.url}/api/flow/deploy"
        answer = httpx.post(url, content=body, params=asked, headers=headers, timeout=60)
        return answer.status_code, answer.json().get("message", "")

    def announce(self, length: int) -> int:
        """Begin a request with a body of so many bytes; give the status of the answer."""
        local = find_local(self.served.folder)
        assert local is not None
        connection = HTTPConnection("127.0.0.1", self.served.port, timeout=60)
        connection.putrequest("POST", "/api/flow/deploy")
        connection.putheader("Authorization", f"Convex {local.admin_key}")
        connection.putheader("Content-Length", str(length))
        connection.endheaders()
        status = connection.getresponse().status
        connection.close()
        return status


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = write_app(tmp_path_factory.mktemp("deploy"), NOTES)
    (folder / "small_app" / "shelves.py").write_text(SHELVES)
    work = write_app(tmp_path_factory.mktemp("work"), NOTES)
    with serving(folder, "--data", str(folder / "data")) as served:
        served.wait_ready()
        served.folder = folder / "data"
        served.call("mutation", "notes:add", text="milk")
        served.call("mutation", "shelves:put", name="top")
        place = Place(served, work / "small_app")
        place.write(shelves=SHELVES)
        place.deployed("-m", "the first")
        yield place


@pytest.fixture
def place(running: Place) -> Place:
    """The server with the app of the start in force, whatever a test did before."""
    for file in running.package.glob("*.py"):
        file.unlink()
    running.write(__init__="", notes=NOTES, shelves=SHELVES)
    first = next(
        each for each in running.versions("--limit", "1000") if each["message"] == "the first"
    )
    if running.versions()[0]["digest"] != first["digest"]:
        running.deployed("--yes")
    return running


def test_a_deploy_is_served_at_once_and_told(place: Place) -> None:
    before = place.number()
    place.write(notes=LOUD)

    said = place.deployed("--message", "louder", "--author", "anna")

    assert place.served.call("query", "notes:texts") == ["MILK"]
    assert said.startswith("Deploying small_app on development (http://127.0.0.1:")
    assert "  functions  ~ notes:texts  (code)\n" in said
    [newest, *_] = place.versions()
    assert said.endswith(f"Version {newest['number']} is in force.\n")
    assert newest["number"] > before
    told = newest["message"], newest["author"], newest["state"], newest["origin"]
    assert told == ("louder", "anna", "active", "deploy")
    listed = place.flow("versions").stdout.splitlines()
    assert listed[0].split() == ["version", "state", "when", "author", "message", "changes"]
    assert "louder" in listed[2]
    assert listed[2].endswith("functions ~1")
    shown = place.flow("versions", str(newest["number"])).stdout
    assert shown.startswith(f"Version {newest['number']}, active, ")
    assert "~ notes:texts  (code)" in shown


def test_a_dry_run_tells_the_plan_and_changes_nothing(place: Place) -> None:
    before = place.versions()
    place.write(notes=LOUD.replace("class Note(Document):", 'class Note(Document):\n    "It."'))
    place.write(
        extra="from flow_backend import *\n@query\ndef one(ctx: QueryCtx) -> int:\n  return 1"
    )

    said = place.deployed("--dry-run")

    assert "  functions  + extra:one\n             ~ notes:texts  (code)\n" in said
    assert said.endswith("It could serve. Nothing was changed (--dry-run).\n")
    assert place.served.call("query", "notes:texts") == ["milk"]
    assert place.versions() == before


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("def f(:\n", "small_app/extra.py:1: SyntaxError: invalid syntax"),
        (
            "import os\nimport absent_one\nfrom absent_two import x\n",
            "small_app/extra.py:3: imports 'absent_two', and this server does not have",
        ),
        (
            "from small_app import notes\ndef f():\n    return notes.gone\n",
            "small_app/extra.py:3: small_app/notes.py has no 'gone'",
        ),
        ("\n\n1 / 0\n", "small_app/extra.py:3: ZeroDivisionError: division by zero"),
        (
            "from flow_backend import *\n@query\ndef f(ctx: QueryCtx, x: complex) -> int: ...\n",
            "small_app/extra.py:2: ",
        ),
    ],
)
def test_code_that_cannot_serve_is_refused_with_its_place(
    place: Place, module: str, said: str
) -> None:
    before = place.versions()
    place.write(extra=module, notes=LOUD)

    done = place.deploy()

    assert done.exit_code == 1
    assert said in done.stderr, done.output
    assert done.stderr.endswith("Error: It was refused, and nothing has changed.\n")
    assert place.served.call("query", "notes:texts") == ["milk"]
    assert place.versions() == before
    refused = place.versions("--all")[0]
    assert (refused["state"], refused["problems"][0]["text"][:10]) == ("refused", "small_app/")


def test_a_table_with_documents_goes_only_with_a_yes_and_comes_back(place: Place) -> None:
    before = place.number()
    place.write(shelves=None)

    asked = place.deploy()
    assert asked.exit_code == 1
    assert "The table shelves leaves the schema with one document." in asked.stderr
    assert asked.stderr.endswith("Error: Nothing was changed. Agree with --yes.\n")
    assert place.served.call("query", "shelves:names") == ["top"]

    assert "- shelves\n" in place.deployed("--yes")
    gone = {"path": "shelves:names", "args": {}}
    failed = httpx.post(f"{place.served.url}/api/query", json=gone).json()
    assert "Could not find public function" in failed["errorMessage"]

    back = place.flow("rollback")
    assert back.exit_code == 0, back.output
    assert back.stdout.endswith(f", with the code of version {before}.\n") or before == 1
    assert place.served.call("query", "shelves:names") == ["top"]


def test_scheduled_jobs_keep_their_function_unless_somebody_agrees(place: Place) -> None:
    job = place.served.call("mutation", "shelves:later")
    place.write(shelves=SHELVES.replace("def ring", "def sound").replace("3600, ring", "1, sound"))

    asked = place.deploy()

    assert asked.exit_code == 1
    assert "One scheduled job names shelves:ring, which this version does not have" in asked.stderr
    place.served.call("mutation", "shelves:cancel", job=job)
    assert "- shelves:ring" in place.deployed()


def test_rollbacks_go_further_back_each_time(place: Place) -> None:
    first = place.number()
    for text in ("one", "two"):
        place.write(notes=NOTES.replace("note.text for", f"'{text}' for"))
        place.deployed("-m", text)
    second = place.number() - 1

    one = place.flow("rollback", "-m", "oops")
    assert one.stdout.endswith(f"with the code of version {second}.\n"), one.output
    assert place.served.call("query", "notes:texts") == ["one"]
    two = place.flow("rollback")
    assert two.stdout.endswith(f"with the code of version {first}.\n"), two.output
    assert place.served.call("query", "notes:texts") == ["milk"]
    forward = place.flow("rollback", str(second + 1))
    assert forward.exit_code == 0, forward.output
    assert place.served.call("query", "notes:texts") == ["two"]

    newest = place.versions()[0]
    assert (newest["origin"], newest["restores"]) == ("rollback", second + 1)
    assert "oops (back to version" in place.flow("versions").stdout


def test_a_rollback_that_does_not_fit_the_documents_is_refused(place: Place) -> None:
    """What was written since is not what that version takes for a note."""
    wider = NOTES.replace("text: str\n\n@mu", "text: str | int\n\n@mu").replace(
        "text: str) ->", "text: str | int) ->"
    )
    drop = """
@mutation
def drop_numbers(ctx: MutationCtx) -> None:
    for note in ctx.db.scan(Note).collect():
        if isinstance(note.text, int):
            ctx.db.delete(note.id)
"""
    place.write(notes=wider + drop)
    place.deployed("--yes")
    place.served.call("mutation", "notes:add", text=5)
    serves = place.number()

    for arguments in ([], ["--yes"], ["--dry-run"]):
        refused = place.flow("rollback", *arguments)
        assert refused.exit_code == 1, refused.output
        assert "text: expected a string, has 5.0" in refused.stderr
    assert place.number() == serves

    place.served.call("mutation", "notes:drop_numbers")
    back = place.flow("rollback")
    assert back.exit_code == 0, back.output
    assert place.served.call("query", "notes:texts") == ["milk"]


def test_a_rollback_to_no_version_is_refused(place: Place) -> None:
    before = place.number()

    done = place.flow("rollback", "4000")

    assert (done.exit_code, place.number()) == (1, before)
    assert "There is no version 4000" in done.stderr
    assert place.flow("versions", "4000").stderr == "Error: There is no version 4000.\n"


def zipped(**files: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def test_what_is_no_package_is_refused(place: Place) -> None:
    before = place.versions("--all")
    init = {"small_app/__init__.py": b""}

    assert place.post(b"no zip")[0] == 400
    status, said = place.post(zipped(**init, **{"small_app/../../x.py": b""}))
    assert (status, "outside of its package" in said) == (400, True)
    status, said = place.post(zipped(**init, **{"other/x.py": b""}))
    assert (status, "must hold one package and nothing else" in said) == (400, True)
    # So many megabytes of zeros are a small zip.
    status, said = place.post(zipped(**init, **{"small_app/x.py": bytes(65 << 20)}))
    assert (status, "larger than" in said) == (400, True)
    assert place.announce((50 << 20) + 1) == 413
    assert place.post(zipped(**init), key="nobody|key")[0] == 401
    assert place.versions("--all") == before


@pytest.mark.parametrize(
    "endpoint",
    ["GET environment", "POST deploy", "POST rollback", "GET deployments", "GET deployments/1"],
)
def test_each_endpoint_is_for_admins_alone(place: Place, endpoint: str) -> None:
    method, name = endpoint.split()

    for headers in ({}, {"Authorization": "Convex nobody|key"}):
        url = f"{place.served.url}/api/flow/{name}"
        answer = httpx.request(method, url, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "BadAdminKey")


def test_a_rollback_can_be_tried(place: Place) -> None:
    place.write(notes=LOUD)
    place.deployed()

    tried = place.flow("rollback", "--dry-run")

    assert "~ notes:texts  (code)" in tried.stdout
    assert tried.stdout.endswith("Nothing was changed (--dry-run).\n")
    assert place.served.call("query", "notes:texts") == ["MILK"]


def test_somebody_at_a_terminal_is_asked(place: Place) -> None:
    place.write(shelves=None)

    for answer, code in (("n", 1), ("y", 0)):
        said, ended = at_a_terminal(place, f"{answer}\n")
        assert "The table shelves leaves the schema" in said
        assert "Go on? [y/N]" in said
        assert (ended, said.count("Go on?")) == (code, 1)
        # The next version lists what serves: the functions of the table, or none.
        listed = place.flow("run").stdout
        assert ("shelves:names" in listed) == (code == 1)


def at_a_terminal(place: Place, typed: str) -> tuple[str, int]:
    """Give the command at a terminal of its own; give all that it shows, and its exit code."""
    program = "from flow_backend.cli.main import backend_commands as b; b()()"
    arguments = ["deploy", "--app", str(place.package), "--data", str(place.served.folder)]
    outer, inner = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=inner,
        stdout=inner,
        stderr=inner,
    ) as popen:
        os.close(inner)
        os.write(outer, typed.encode())
        said = b""
        # On Linux a terminal whose other end has gone is an error, and no end of a file.
        with suppress(OSError):
            while piece := os.read(outer, 65536):
                said += piece
        os.close(outer)
        return said.decode(), popen.wait()


def test_a_package_that_is_not_there_is_said(place: Place) -> None:
    done = place.flow("deploy", "--app", "absent_app")
    assert (done.exit_code, "There is no package 'absent_app' here" in done.stderr) == (1, True)
    done = place.flow("deploy", "--app", str(place.served.folder))
    assert (done.exit_code, "is no package: an app is a folder" in done.stderr) == (1, True)


def test_a_protected_environment_is_changed_only_by_its_name(tmp_path: Path) -> None:
    folder = write_app(tmp_path, NOTES)
    named = {"FLOW_ENVIRONMENT": "production", "FLOW_PROTECTED": "1"}
    with serving(folder, "--data", str(folder / "data"), environment=named) as served:
        served.wait_ready()
        served.folder = folder / "data"
        place = Place(served, folder / "small_app")
        place.write(notes=LOUD)

        unnamed = place.deploy()
        assert unnamed.exit_code == 1
        assert "'production' is protected: say that you mean it with --confirm" in unnamed.stderr
        wrong = place.deploy("--confirm", "staging")
        assert (wrong.exit_code, "its name must be given" in wrong.stderr) == (1, True)
        assert "on production (" in place.deployed("--dry-run")
        before = place.versions()

        place.deployed("--confirm", "production")
        assert len(place.versions()) == len(before) + 1
        place.deployed("--confirm", "production")
        assert place.flow("rollback").exit_code == 1
        assert place.flow("rollback", "--confirm", "production").exit_code == 0
        # The command as people give it.
        program = "from flow_backend.cli.main import backend_commands as b; b()()"
        command = [sys.executable, "-c", program, "deploy", "--app", "small_app"]
        said = subprocess.run(
            [*command, "--url", served.url, "--data", "data", "--confirm", "production"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        number = place.number()
        assert said.stdout.splitlines()[-1] == f"Version {number} is in force."
