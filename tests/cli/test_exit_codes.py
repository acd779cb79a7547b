"""How a server ends says what to do about it: each exit code, by a real process that ends so."""

import ast
import importlib
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import apsw
import httpx
import pytest
from click.testing import CliRunner

from flow_backend.cli.exit_codes import ENDINGS, FINAL
from flow_backend.cli.main import backend_commands
from flow_backend.cli.supervise import STOP_EXIT_CODES
from flow_backend.errors import FlowError
from tests.cli.support import write_app
from tests.server_process import APPS, DEADLINE_SECONDS, ROOT, ServerProcess, planted_command

ROW = re.compile(r"^\| \d+ \|.*$", re.MULTILINE)
NO_PRIVILEGE = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
"""Root without the right to write where permissions say no; it owns its files as before."""


def ended(server: ServerProcess) -> tuple[int, str]:
    """Wait for a server's end; give its exit code and what it said."""
    assert server.popen is not None
    exit_code = server.popen.wait(DEADLINE_SECONDS)
    said = server.log()
    assert "Traceback" not in said, said
    return exit_code, said


def refused(server: ServerProcess) -> tuple[int, str]:
    """Start a server that ends before it serves."""
    with server.ended():
        assert server.spawn() == ""
        return ended(server)


def notes(data: Path) -> ServerProcess:
    return ServerProcess("ledger_app", data, APPS)


def add(server: ServerProcess, text: str = "milk") -> httpx.Response | None:
    """Add a note; None if the server goes away over it."""
    body = {"path": "notes:add", "args": {"text": text}}
    with suppress(httpx.TransportError):
        return httpx.post(f"{server.url}/api/mutation", json=body, timeout=DEADLINE_SECONDS)
    return None


def filled(data: Path) -> ServerProcess:
    """Give a server that has run and stopped, and left notes behind."""
    server = notes(data)
    with server.ended():
        server.start()
        assert add(server) is not None
        assert server.stop() == 0
    return server


@pytest.mark.parametrize("words", [["--port", "many"], ["--nonsense"], ["spare"]])
def test_h_64_an_option_that_cannot_be_used(words: list[str]) -> None:
    """Click's own 2 would have a service manager try it again for ever."""
    found = CliRunner().invoke(backend_commands(), ["serve", *words])

    assert found.exit_code == 64
    assert words[-1] in found.output


@pytest.mark.slow
def test_h_64_a_setting_that_cannot_be_used(tmp_path: Path) -> None:
    server = notes(tmp_path / "data")
    server.environment = {"FLOW_READERS": "few"}

    exit_code, said = refused(server)

    assert exit_code == 64
    assert "FLOW_READERS is 'few'" in said
    assert not server.data.exists()


@pytest.mark.slow
def test_h_65_an_app_with_a_mistake(tmp_path: Path) -> None:
    folder = write_app(tmp_path, "from small_app.nothing import x\n")

    exit_code, said = refused(ServerProcess("small_app", tmp_path / "data", folder))

    assert exit_code == 65
    assert "notes.py" in said


@pytest.mark.slow
def test_b8_65_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    server = filled(tmp_path / "data")
    database = server.data / "flow.sqlite3"
    damaged = b"\x55" * 4096 + database.read_bytes()[4096:]
    database.write_bytes(damaged)

    exit_code, said = refused(server)

    assert exit_code == 65
    assert str(database) in said
    assert "put a backup in their place" in said
    assert database.read_bytes() == damaged


@pytest.mark.slow
def test_b8_65_damage_that_is_met_while_it_serves_ends_it(tmp_path: Path) -> None:
    """No restart mends it, so nobody is told to start it again."""
    server = filled(tmp_path / "data")
    database = server.data / "flow.sqlite3"
    [page_bytes, page] = table_page(database)
    with database.open("r+b") as file:
        file.seek((page - 1) * page_bytes)
        file.write(b"\x55" * page_bytes)
    damaged = database.read_bytes()

    with server.ended():
        server.start()
        add(server)
        exit_code, said = ended(server)

    assert exit_code == 65
    assert "the database is damaged" in said
    assert "Start it again" not in said
    assert database.read_bytes() == damaged


def table_page(database: Path) -> list[int]:
    """Give the size of a page, and the number of the first one that holds notes."""
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        [[page]] = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name LIKE '%notes'"
        ).fetchall()
        return [connection.pragma("page_size"), page]
    finally:
        connection.close()


@pytest.mark.slow
def test_h_70_an_actor_that_fails_for_ever(tmp_path: Path) -> None:
    server = notes(tmp_path / "data")
    server.command = planted_command("fail_writer")

    with server.ended():
        server.spawn()
        exit_code, said = ended(server)

    assert exit_code == 70
    assert "mutations failed 4 times within 60 s" in said


@pytest.mark.slow
def test_h_71_memory_that_is_missing_again_and_again(tmp_path: Path) -> None:
    """Once is an answer; the same once more within the minute ends the process."""
    server = notes(tmp_path / "data")
    server.command = planted_command("no_memory")

    with server.ended():
        server.start()
        first = add(server)
        assert first is not None
        assert "there was not enough memory" in first.text
        assert add(server) is None
        exit_code, said = ended(server)

    assert exit_code == 71
    assert "FLOW_READERS" in said


@pytest.mark.slow
def test_b3_73_a_second_server_on_the_folder(tmp_path: Path) -> None:
    with notes(tmp_path / "data") as first:
        second = notes(first.data)
        second.port = 0
        exit_code, said = refused(second)

        assert add(first) is not None

    assert exit_code == 73
    assert str(first.data) in said


@pytest.mark.slow
def test_b8_73_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")

    exit_code, said = refused(notes(tmp_path / "data"))

    assert exit_code == 73
    assert str(tmp_path / "data") in said


@pytest.mark.slow
@pytest.mark.parametrize("unwritable", ["data", "."], ids=["the folder", "the one around it"])
def test_b8_73_a_folder_that_cannot_be_written(unwritable: str, tmp_path: Path) -> None:
    around = tmp_path / "around"
    (around / unwritable).mkdir(parents=True)
    server = notes(around / "data")
    server.log_path.touch()
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere, and setpriv is missing")
        server.command = [*NO_PRIVILEGE, *server.command]
    (around / unwritable).chmod(0o500)

    try:
        exit_code, said = refused(server)
    finally:
        (around / unwritable).chmod(0o700)

    assert exit_code == 73
    assert str(server.data) in said
    assert "Permission denied" in said


@pytest.mark.slow
def test_b6_74_a_disk_that_fails(tmp_path: Path) -> None:
    server = notes(tmp_path / "data")
    server.command = planted_command("fail_commit=3")

    with server.ended():
        server.start()
        assert add(server) is not None
        assert add(server) is None
        exit_code, said = ended(server)

    assert exit_code == 74
    assert "Start it again: it then reads what the disk really has." in said


def test_h_the_docs_have_the_exit_codes_of_the_code() -> None:
    """On a difference: put these rows into docs/running.md."""
    rows = [f"| {code} | {each.means} | {each.do} |" for code, each in ENDINGS.items()]
    text = (ROOT / "docs" / "running.md").read_text()

    assert ROW.findall(text) == rows, "\n" + "\n".join(rows)


def modules() -> Iterator[ModuleType]:
    for path in sorted((ROOT / "flow_backend").rglob("*.py")):
        if path.name != "__init__.py":
            yield importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


def codes_of(module: ModuleType) -> Iterator[int]:
    """Give the codes with which a module ends the process."""
    assert module.__file__ is not None
    for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
        match node:
            case ast.Call(func=ast.Name("StartError"), args=[_, code]):
                yield eval(ast.unparse(code), vars(module))
            case ast.Assign(targets=[ast.Name(name)]) if name.endswith("_EXIT_CODE"):
                yield getattr(module, name)


def test_h_each_exit_code_of_the_code_stands_in_the_table() -> None:
    """Nobody ends the process with a code that nobody can look up."""
    found = {code for module in modules() for code in codes_of(module)}
    kinds = [FlowError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    found |= {code for kind in kinds if isinstance(code := vars(kind).get("exit_code"), int)}

    assert found == set(ENDINGS) - {0, 1}  # Those two are Python's own.


def test_h_a_stop_and_what_is_final_are_told_apart() -> None:
    assert {code for code in STOP_EXIT_CODES if code >= 0} <= set(ENDINGS) - set(FINAL)
    assert {-code for code in STOP_EXIT_CODES if code < 0} == {signal.SIGTERM, signal.SIGINT}
