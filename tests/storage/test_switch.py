"""The schema changes while the database is open: at one commit, whole or not at all."""

import pytest
from attrs import evolve

from flow_backend.errors import DocumentError, InvalidRange, SwitchRefused
from flow_backend.schema.table import ColumnKind, FieldSpec, IndexSpec, TableSpec
from flow_backend.storage.base import IndexBounds, Storage, TableName, Transaction
from tests.storage.support import (
    BOARDS_SPEC,
    SCHEMA,
    TASKS,
    TASKS_SPEC,
    Engine,
    add,
    all_ids,
    ids,
    job,
    read,
)

BOARDS = TableName("boards")
NOTES = TableSpec("notes", {"text": FieldSpec("text", ColumnKind.TEXT)}, fingerprint="1")
BY_TITLE = IndexSpec("by_title", ("title",))
CHANGED = evolve(TASKS_SPEC, indexes=(BY_TITLE,), fingerprint="2")
TITLED = IndexBounds(TASKS, "by_title", prefix=("b",))
DUE = IndexBounds(TASKS, "by_due")


@pytest.fixture
def filled(storage: Storage) -> Storage:
    storage.writer.commit([job(lambda tx: [add(tx, each, title=each) for each in "abc"])])
    return storage


def log(transaction: Transaction) -> None:
    """Write a row, as a switch does."""
    created = transaction.next_creation_time()
    document = {"_id": "log", "_creationTime": created, "name": "switched"}
    transaction.insert(BOARDS, "log", document)


def test_a_switch_is_one_commit_with_what_it_records(filled: Storage) -> None:
    before = filled.writer.last_ts

    done = filled.writer.switch((CHANGED, BOARDS_SPEC, NOTES), log)

    assert done.ts == filled.writer.last_ts > before
    assert list(done.writes) == [BOARDS]
    assert set(filled.tables) == {"tasks", "boards", "notes"}
    assert dict(done.numbers) == dict(filled.table_numbers)
    assert all_ids(filled, BOARDS) == ["log"]
    assert all_ids(filled, TableName("notes")) == []


def test_a_snapshot_of_before_goes_on_with_the_schema_of_before(filled: Storage) -> None:
    old = filled.open_snapshot()
    old.begin()

    filled.writer.switch((CHANGED, BOARDS_SPEC), log)

    assert [row[4] for row in old.scan(DUE)] == [True] * 3, "of its schema all are"
    with pytest.raises(InvalidRange):
        list(old.scan(TITLED))
    old.end()
    old.begin()
    assert [(row[1], row[4]) for row in old.scan(TITLED)] == [("b", False)], "written before it"
    with pytest.raises(InvalidRange):
        list(old.scan(DUE))
    old.close()


def test_the_writer_uses_the_new_schema_at_once(filled: Storage) -> None:
    filled.writer.commit([job(lambda tx: tx.get(TASKS, "a"))])
    filled.writer.switch((CHANGED, BOARDS_SPEC), log)

    def work(transaction: Transaction) -> None:
        row = transaction.get(TASKS, "a")
        assert row is not None
        assert not row[4], "what was kept of it is of the old schema"
        add(transaction, "d", title="b")
        assert ids(list(transaction.scan(TITLED))) == ["b", "d"]

    filled.writer.commit([job(work)])
    assert ids(read(filled, TITLED)) == ["b", "d"]


def test_a_switch_that_is_refused_changes_nothing(filled: Storage) -> None:
    filled.writer.commit([job(lambda tx: add(tx, "d", title="a"))])
    before = filled.writer.last_ts
    unique = evolve(CHANGED, indexes=(evolve(BY_TITLE, unique=True),))

    with pytest.raises(SwitchRefused, match="documents a and d have the same title"):
        filled.writer.switch((unique, BOARDS_SPEC, NOTES), log)

    assert filled.writer.last_ts == before
    assert set(filled.tables) == {"tasks", "boards"}
    assert ids(read(filled, DUE)) == ["a", "b", "c", "d"]
    filled.writer.commit([job(lambda tx: add(tx, "e"))])
    assert all_ids(filled) == ["a", "b", "c", "d", "e"]


def test_an_error_while_it_records_takes_it_all_back(filled: Storage) -> None:
    def record(transaction: Transaction) -> None:
        log(transaction)
        raise DocumentError("no")

    with pytest.raises(DocumentError):
        filled.writer.switch((CHANGED, BOARDS_SPEC), record)

    assert all_ids(filled, BOARDS) == []
    assert ids(read(filled, DUE)) == ["a", "b", "c"]


def test_many_switches_and_back_again(engine: Engine) -> None:
    """Also after the database was closed: the file is as after the last one."""
    storage = engine()
    storage.writer.commit([job(lambda tx: [add(tx, each, title=each) for each in "abc"])])
    for number in range(100):
        spec = (TASKS_SPEC, CHANGED)[number % 2]

        def record(transaction: Transaction, name: str = str(number)) -> None:
            created = transaction.next_creation_time()
            document = {"_id": name, "_creationTime": created, "name": name}
            transaction.insert(BOARDS, name, document)

        storage.writer.switch((spec, BOARDS_SPEC), record)
        bounds = TITLED if number % 2 else IndexBounds(TASKS, "by_board", prefix=("home",))
        assert ids(read(storage, bounds)) == (["b"] if number % 2 else ["a", "b", "c"])
    assert len(all_ids(storage, BOARDS)) == 100
    storage.close()


def test_a_table_that_went_comes_back_with_its_documents(filled: Storage) -> None:
    numbers = dict(filled.table_numbers)
    filled.writer.switch((BOARDS_SPEC,), log)
    with pytest.raises(DocumentError, match='no table "tasks"'):
        all_ids(filled)

    def again(transaction: Transaction) -> None:
        row = transaction.get(BOARDS, "log")
        assert row is not None
        transaction.delete(BOARDS, row)

    filled.writer.switch(SCHEMA, again)

    assert all_ids(filled) == ["a", "b", "c"]
    assert dict(filled.table_numbers) == numbers
