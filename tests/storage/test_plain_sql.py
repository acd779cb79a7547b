"""Plain SQL reads what is there, changes nothing, and ends in time."""

import hashlib
from pathlib import Path

import pytest

from flow_backend.errors import SqlRefused
from flow_backend.storage.base import Storage, Transaction
from flow_backend.storage.plain_sql import SqlAnswer, run_sql
from tests.storage.support import SCHEMA, TASKS, FileEngine, job

TASK = {"board": "b", "column": "todo", "rank": "a", "due_at": None, "key": None}


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = FileEngine(tmp_path)(SCHEMA)
    write(storage, 1, 2, 3)
    return storage


@pytest.fixture
def database(tmp_path: Path, storage: Storage) -> str:
    return str(tmp_path / "flow.sqlite3")


def write(storage: Storage, *numbers: int) -> None:
    def work(transaction: Transaction) -> None:
        for number in numbers:
            system = {"_id": f"t{number}", "_creationTime": transaction.next_creation_time()}
            transaction.insert(TASKS, f"t{number}", {**TASK, **system, "title": f"task {number}"})

    storage.writer.commit([job(work)])


def run(database: str, text: str, seconds: float = 10.0, rows_max: int = 100) -> SqlAnswer:
    return run_sql(database, text, seconds=seconds, rows_max=rows_max)


def test_it_sees_the_newest_commit_while_the_server_runs(database: str, storage: Storage) -> None:
    write(storage, 4)

    answer = run(database, "SELECT _id, title, due_at FROM tasks ORDER BY _id DESC LIMIT 2")

    assert answer.columns == ("_id", "title", "due_at")
    assert answer.rows == (("t4", "task 4", None), ("t3", "task 3", None))
    assert not answer.more
    assert run(database, "SELECT title FROM tasks_view WHERE _id = 't1'").rows == (("task 1",),)
    storage.close()


def test_it_reads_when_no_server_runs(database: str, storage: Storage) -> None:
    storage.close()

    assert run(database, "SELECT count(*) FROM tasks").rows == ((3,),)


def test_a_statement_without_rows_has_columns(database: str) -> None:
    assert run(database, "SELECT title FROM tasks WHERE 0") == SqlAnswer(("title",), ())


def test_rows_past_the_limit_are_left_out_and_it_says_so(database: str) -> None:
    answer = run(database, "SELECT _id FROM tasks", rows_max=2)

    assert (len(answer.rows), answer.more) == (2, True)
    assert not run(database, "SELECT _id FROM tasks", rows_max=3).more


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM tasks",
        "INSERT INTO main.tasks (_id) VALUES ('x')",
        "UPDATE main.tasks SET title = 'x'",
        "CREATE TABLE x (y)",
        "CREATE TEMP TABLE x (y)",
        "DROP TABLE main.tasks",
        "ATTACH '/tmp/other' AS other",
        "PRAGMA query_only = 0",
        "PRAGMA journal_mode = delete",
        "SELECT load_extension('x')",
        "BEGIN IMMEDIATE",
        "VACUUM INTO 'x'",
        "WITH x AS (SELECT 1) DELETE FROM tasks",
    ],
)
def test_it_only_reads(tmp_path: Path, database: str, text: str) -> None:
    before = contents(tmp_path)

    with pytest.raises(SqlRefused):
        run(database, text)

    assert contents(tmp_path) == before


def contents(directory: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.iterdir()
        if not path.name.endswith("-shm")
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELEC 1", 'near "SELEC": syntax error'),
        ("SELECT * FROM task", "no such table: task; the tables are boards, tasks"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("", "there is no statement"),
        ("DROP TABLE tasks", "plain SQL only reads: use SELECT"),
    ],
)
def test_what_is_wrong_is_said(database: str, text: str, said: str) -> None:
    with pytest.raises(SqlRefused, match=said):
        run(database, text)


def test_an_endless_statement_is_stopped(database: str) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"

    with pytest.raises(SqlRefused, match=r"stopped after 0\.05 s: .* --seconds"):
        run(database, endless, seconds=0.05)


def test_a_missing_database_is_said(tmp_path: Path) -> None:
    with pytest.raises(SqlRefused, match="the database cannot be opened"):
        run(str(tmp_path / "none.sqlite3"), "SELECT 1")
