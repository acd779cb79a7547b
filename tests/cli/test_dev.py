"""What is saved under ``flow dev`` is live; a mistake is shown, and the old version serves on."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.dev import PATIENCE_SECONDS, Dev, descendants, developing, is_running

pytestmark = pytest.mark.slow

APP = {
    "__init__.py": "",
    "schema.py": """
from flow_backend import Document, document

@document("notes")
class Note(Document):
    text: str
    stars: int | None = None
""",
    "notes.py": """
from flow_backend import MutationCtx, QueryCtx, mutation, query
from jotter.schema import Note

@mutation
def add(ctx: MutationCtx, text: str) -> None:
    ctx.db.insert(Note(text=text))

@query
def texts(ctx: QueryCtx) -> list[str]:
    return [note.text for note in ctx.db.scan(Note)]
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "jotter").mkdir()
    for name, text in APP.items():
        (tmp_path / "jotter" / name).write_text(text)
    return tmp_path


@pytest.fixture
def running(folder: Path) -> Iterator[Dev]:
    with developing(folder, "--types", "types") as dev:
        dev.wait_ready()
        yield dev


def test_a_save_is_live_and_its_types_follow(running: Dev) -> None:
    running.call("mutation", "notes:add", text="milk")
    assert running.call("query", "notes:texts") == ["milk"]

    running.save("jotter/notes.py", "[note.text for", "[note.text.upper() for")
    running.wait_said(r"version \d+ is live: notes:texts changed, \d+\.\d\d s$")
    assert running.call("query", "notes:texts") == ["MILK"]

    old, new = "list[str]:\n    return [note.text.upper()", "list[int]:\n    return [len(note.text)"
    running.save("jotter/notes.py", old, new)
    running.wait_said(r"is live: notes:texts changed")
    assert running.call("query", "notes:texts") == [4]
    running.wait_said(r"types: api\.ts in types$")
    assert "number[]" in (running.folder / "types" / "api.ts").read_text()


def test_what_functions_say_is_shown(running: Dev) -> None:
    running.save(
        "jotter/notes.py",
        "    ctx.db.insert",
        '    ctx.log.info("adding", text)\n    ctx.db.insert',
    )
    running.wait_said("is live")
    running.call("mutation", "notes:add", text="milk\x1b[2J")
    running.wait_said(r"^\d\d:\d\d:\d\d M notes:add \d+(\.\d)? ms$")
    running.wait_said(r"^  \[INFO\] 'adding' 'milk\\x1b\[2J'$")

    running.save(
        "jotter/notes.py", "    return [note", '    raise ValueError("no milk")\n    return [note'
    )
    running.wait_said("is live")
    url = f"{running.url}/api/query"
    answer = httpx.post(url, json={"path": "notes:texts", "args": {}}).json()
    assert answer["status"] == "error"
    running.wait_said(r"^\d\d:\d\d:\d\d Q notes:texts \d+(\.\d)? ms failed$")
    running.wait_said(r"^  Uncaught ValueError: no milk$")
    running.wait_said(r"^ +at texts \(jotter/notes.py:12\)$")

    [server] = descendants(running.popen.pid)
    os.kill(server, signal.SIGKILL)
    running.wait_ready()
    running.call("mutation", "notes:add", text="after")
    running.wait_said(r"^  \[INFO\] 'adding' 'after'$")


MISTAKES = [
    # The file, what stands in it, what is written instead, and what is said of it.
    ("notes.py", "-> None:", "-> None", r"jotter/notes\.py:6: SyntaxError"),
    ("notes.py", "import Note", "import Note, Nowt", r"jotter/notes\.py:3: .*Nowt"),
    ("notes.py", "jotter.schema", "no_such", r"jotter/notes\.py:3: .*no_such"),
    ("notes.py", "text: str)", "text: set[str])", r"jotter/notes\.py:5: .*set\[str\].*list"),
    (
        "schema.py",
        "text: str",
        "text: str\n    size: int",
        r"document \w+, size: .* required",
    ),
    ("schema.py", "Document, ", "Document, Index, ", ""),
    ("schema.py", "    text: str", '    by_size = Index("size")', r"jotter/schema\.py:\d+: .*size"),
]


def test_mistakes_are_shown_and_the_old_version_serves(running: Dev) -> None:
    running.call("mutation", "notes:add", text="milk")

    for file, old, new, reason in MISTAKES:
        running.save(f"jotter/{file}", old, new)
        if not reason:
            continue
        running.wait_said("Not live; the version before goes on serving:")
        running.wait_said(reason)
        assert running.call("query", "notes:texts") == ["milk"]
        running.save(f"jotter/{file}", new, old)

    running.save("jotter/notes.py", "[note.text for", "[note.text.upper() for")
    running.wait_said("is live: notes:texts changed")
    assert running.call("query", "notes:texts") == ["MILK"]


def test_an_app_that_does_not_load_waits_for_a_save(folder: Path) -> None:
    source = folder / "jotter" / "notes.py"
    whole = source.read_text()
    source.write_text(whole.replace("-> None:", "-> None"))
    with developing(folder) as dev:
        dev.wait_said("does not load")
        dev.wait_said(r"jotter/notes\.py:6: SyntaxError")

        source.write_text(whole)

        dev.wait_ready()
        assert dev.call("query", "notes:texts") == []


def test_what_was_changed_meanwhile_serves_at_the_next_start(folder: Path) -> None:
    """The versions of saves outlive the server; the files of now come before all of them."""
    with developing(folder) as dev:
        dev.wait_ready()
        dev.save("jotter/notes.py", "[note.text for", "[note.text.upper() for")
        dev.wait_said("is live: notes:texts")
        dev.call("mutation", "notes:add", text="milk")
        assert dev.stop() == 0
    dev.save("jotter/notes.py", "[note.text.upper() for", "[note.text for")

    with developing(folder) as dev:
        dev.wait_ready()
        until(lambda: dev.call("query", "notes:texts") == ["milk"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_running(folder: Path, number: int) -> None:
    """Also when it could do nothing about it, since it was killed."""
    web = folder / "web"
    (web / "node_modules").mkdir(parents=True)
    (web / "package.json").write_text(
        '{"name": "web", "scripts": {"dev": "echo Local: http://localhost:5999/; sleep 600"}}'
    )
    with developing(folder) as dev:
        dev.wait_said("The web client is at http://localhost:5999/")
        dev.wait_ready()
        started = descendants(dev.popen.pid)
        assert len(started) >= 4  # The server, npm, its shell, what that runs.

        dev.popen.send_signal(number)
        code = dev.popen.wait(PATIENCE_SECONDS)

        assert code == (0 if number == signal.SIGINT else -signal.SIGKILL)
        until(lambda: not [pid for pid in started if is_running(pid)])


def test_a_server_that_dies_is_said_and_comes_back(running: Dev) -> None:
    running.call("mutation", "notes:add", text="milk")
    [server] = descendants(running.popen.pid)

    os.kill(server, signal.SIGKILL)

    running.wait_said("The server was ended by the signal SIGKILL. It is started again")
    running.wait_ready()
    assert running.call("query", "notes:texts") == ["milk"]


def test_a_folder_without_an_app_says_what_to_do(tmp_path: Path) -> None:
    with developing(tmp_path) as dev:
        dev.wait_said("There is no app here .* `flow new")
        assert dev.popen.wait() == 1


def until(condition: Callable[[], bool]) -> None:
    given_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < given_up
        time.sleep(0.02)
