"""The start, step by step: who may open the database, and what it is made to say first."""

import ast
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from flow_backend.errors import StartError
from flow_backend.storage.base import IndexBounds, Storage
from flow_backend.storage.connection import open_connection
from flow_backend.storage.files import SystemFiles
from flow_backend.storage.open import connect
from flow_backend.storage.settings import DEFAULT_SETTINGS
from flow_backend.storage.sqlite import open_storage
from tests.storage.support import (
    SCHEMA,
    TASKS,
    Clock,
    FileEngine,
    add,
    all_ids,
    ids,
    job,
    read,
    write_connection,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "data"


@pytest.fixture
def engine(data: Path) -> FileEngine:
    return FileEngine(data)


def filled(engine: FileEngine) -> None:
    storage = engine()
    storage.writer.commit([job(lambda t: [add(t, id) for id in "abc"])])
    storage.close()


def test_b7_the_directory_and_its_files_are_private(data: Path, engine: FileEngine) -> None:
    storage = engine()
    storage.writer.commit([job(lambda t: add(t, "a"))])

    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE(data.parent.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data.iterdir()}
    assert set(modes) == {"flow.lock", "flow.sqlite3", "flow.sqlite3-wal", "flow.sqlite3-shm"}
    assert set(modes.values()) == {0o600}
    storage.close()


def test_b3_a_second_opener_is_told_who_is_there(data: Path, engine: FileEngine) -> None:
    storage = engine()

    with pytest.raises(StartError, match=f"process {os.getpid()}.*{data}") as caught:
        engine()

    assert caught.value.exit_code == 73
    storage.writer.commit([job(lambda t: add(t, "a"))])  # The first is not disturbed.
    storage.close()
    again = engine()
    assert all_ids(again) == ["a"]
    again.close()


@pytest.mark.slow
def test_b3_a_second_process_is_told_who_is_there(data: Path, engine: FileEngine) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from flow_backend.errors import StartError\n"
        "from flow_backend.storage.sqlite import open_storage\n"
        "try: open_storage(Path(sys.argv[1]), [], now_ns=time.time_ns)\n"
        "except StartError as error: print(error); sys.exit(error.exit_code)\n"
    )
    storage = engine()

    second = subprocess.run(
        [sys.executable, "-c", script, str(data)], cwd=ROOT, capture_output=True, text=True
    )

    assert second.returncode == 73, second.stderr
    assert f"process {os.getpid()}" in second.stdout
    storage.close()


def test_b5_every_pragma_is_read_back(engine: FileEngine, data: Path) -> None:
    storage = engine()

    reader = connect(SystemFiles(data), DEFAULT_SETTINGS, read_only=True)
    writer = write_connection(storage)

    for connection in (reader, writer):
        found = {
            name: connection.pragma(name)
            for name in ("journal_mode", "synchronous", "mmap_size", "wal_autocheckpoint")
        }
        assert found == {
            "journal_mode": "wal",
            "synchronous": 2,
            "mmap_size": 0,
            "wal_autocheckpoint": 0,
        }
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("DELETE FROM tasks")
    reader.close()
    storage.close()


def test_b5_nothing_imports_the_other_sqlite() -> None:
    """Two copies of SQLite in one process drop each other's locks."""
    for path in [*ROOT.glob("flow_backend/**/*.py"), *ROOT.glob("flow/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            assert not any(name.split(".")[0] == "sqlite3" for name in names), path


def test_a_clean_stop_leaves_no_log(data: Path, engine: FileEngine) -> None:
    filled(engine)

    assert {path.name for path in data.iterdir()} == {"flow.lock", "flow.sqlite3"}
    storage = engine()
    assert all_ids(storage) == ["a", "b", "c"]
    storage.close()


def crashed_copy(storage: Storage, data: Path, target: Path) -> None:
    """Copy the files as a killed process would leave them."""
    storage.writer.commit([job(lambda t: add(t, "last"))])
    shutil.copytree(data, target)


def test_b3_a_crash_loses_nothing(data: Path, engine: FileEngine, tmp_path: Path) -> None:
    """What is only in the log is in the file before anything is read."""
    filled(engine)
    storage = engine()
    crashed_copy(storage, data, tmp_path / "copy")
    storage.close()
    log = tmp_path / "copy" / "flow.sqlite3-wal"
    before = log.stat()
    assert before.st_size > 0

    found = FileEngine(tmp_path / "copy")()

    assert log.stat().st_size < before.st_size
    assert not (tmp_path / "copy" / "flow.sqlite3-wal.copy").exists()
    assert all_ids(found) == ["a", "b", "c", "last"]
    found.close()


def test_b3_the_log_of_a_crash_is_written_anew(
    data: Path, engine: FileEngine, tmp_path: Path
) -> None:
    """Its pages may never have reached the disk, although the kernel takes them for clean."""
    storage = engine()
    crashed_copy(storage, data, tmp_path / "copy")
    storage.close()
    files = SystemFiles(tmp_path / "copy")
    log = tmp_path / "copy" / "flow.sqlite3-wal"
    inode, content = log.stat().st_ino, log.read_bytes()
    left = tmp_path / "copy" / "flow.sqlite3-wal.copy"
    left.write_bytes(b"of a start that was killed" * 100_000)

    assert files.renew_log()

    assert log.stat().st_ino != inode
    assert log.read_bytes() == content
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert not left.exists()
    assert not (tmp_path / "copy" / "flow.sqlite3-shm").exists()


def test_b3_a_torn_log_gives_the_commits_before_the_tear(
    data: Path, engine: FileEngine, tmp_path: Path
) -> None:
    storage = engine()
    storage.writer.commit([job(lambda t: add(t, "first"))])
    whole = (data / "flow.sqlite3-wal").stat().st_size
    crashed_copy(storage, data, tmp_path / "copy")
    storage.close()
    log = tmp_path / "copy" / "flow.sqlite3-wal"
    os.truncate(log, whole + 100)

    found = FileEngine(tmp_path / "copy")()

    assert all_ids(found) == ["first"]
    found.close()


def test_i3_a_newer_format_is_refused(data: Path, engine: FileEngine) -> None:
    filled(engine)
    connection = open_connection(str(data / "flow.sqlite3"), None)
    connection.execute("UPDATE _meta SET value = 2 WHERE name = 'format'")
    connection.close()

    with pytest.raises(
        StartError, match=r"newer Flow \(format 2, this one knows up to 1\)"
    ) as caught:
        engine()

    assert caught.value.exit_code == 73


def test_b8_a_file_that_is_no_database_is_left_alone(data: Path, engine: FileEngine) -> None:
    filled(engine)
    (data / "flow.sqlite3").write_bytes(b"no database" * 1_000)

    with pytest.raises(StartError, match="damaged") as caught:
        engine()

    assert caught.value.exit_code == 65
    assert (data / "flow.sqlite3").read_bytes() == b"no database" * 1_000


def test_b8_a_damaged_page_is_found_after_a_crash(
    data: Path, engine: FileEngine, tmp_path: Path
) -> None:
    filled(engine)
    storage = engine()
    for number in range(20):
        storage.writer.commit([job(lambda t, n=number: [add(t, f"{n}-{m}") for m in range(50)])])
    storage.writer.maintain()
    crashed_copy(storage, data, tmp_path / "copy")
    storage.close()
    file = tmp_path / "copy" / "flow.sqlite3"
    with file.open("r+b") as pages:
        pages.seek(30 * 4096)
        pages.write(b"\x55" * 4096 * 20)

    with pytest.raises(StartError, match=r"damaged.*backup") as caught:
        FileEngine(tmp_path / "copy")()

    assert caught.value.exit_code == 65


def test_b8_another_programs_database_is_not_taken_over(data: Path, engine: FileEngine) -> None:
    data.mkdir(parents=True)
    (data / "flow.sqlite3").touch()
    connection = open_connection(str(data / "flow.sqlite3"), None)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()

    with pytest.raises(StartError, match="none of Flow's") as caught:
        engine()

    assert caught.value.exit_code == 65


def test_b8_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StartError, match=f"{tmp_path}/file/data") as caught:
        FileEngine(tmp_path / "file" / "data")()

    assert caught.value.exit_code == 73


def test_b8_a_read_only_directory_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # Root may write anywhere.
    try:
        with pytest.raises(StartError, match="cannot write in the data directory") as caught:
            FileEngine(tmp_path)()
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o700)

    assert caught.value.exit_code == 73


def test_a_failed_start_gives_the_lock_back(data: Path, engine: FileEngine) -> None:
    filled(engine)
    content = (data / "flow.sqlite3").read_bytes()
    (data / "flow.sqlite3").write_bytes(b"x" * 5_000)
    with pytest.raises(StartError):
        engine()
    (data / "flow.sqlite3").write_bytes(content)

    storage = engine()

    assert ids(read(storage, IndexBounds(TASKS))) == ["a", "b", "c"]
    storage.close()


def test_a5_the_clock_of_the_machine_is_not_asked_for_the_last_timestamp(data: Path) -> None:
    clock = Clock()
    storage = open_storage(data, SCHEMA, now_ns=clock)
    last = storage.writer.commit([job(lambda t: add(t, "a"))]).ts
    storage.close()
    clock.ns -= 365 * 24 * 3600 * 10**9

    storage = open_storage(data, SCHEMA, now_ns=clock)

    assert storage.writer.last_ts == last
    assert storage.writer.commit([job(lambda t: add(t, "b"))]).ts == last + 1
    assert all_ids(storage) == ["a", "b"]
    storage.close()
