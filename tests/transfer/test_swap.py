"""What the database holds is held: unique indexes, references, ids, the order of creation."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from flow_backend.errors import ImportRefused
from flow_backend.schema.table import ColumnKind, FieldSpec, IndexSpec
from flow_backend.storage.base import Done, IndexBounds, Job, TableName, Transaction
from flow_backend.storage.build import INLINE_ROWS
from flow_backend.storage.staged import ImportMode
from tests.transfer.support import APP, START_MS, Database, id_of, lines, read_zip

EMPTY: dict[str, Any] = {
    "text": "t", "number": 1.0, "whole": 1.0, "big": {"$integer": "AAAAAAAAAAA="},
    "raw": {"$bytes": ""}, "flag": True, "nothing": None, "at": 1.0,
    "place": {"x": 1.0, "y": {"$integer": "AAAAAAAAAAA="}}, "items": [], "anything": None,
    "record": {},
}  # fmt: skip


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path)
    yield database
    database.close()


def take(
    database: Database, table: str, *documents: dict[str, Any], mode: ImportMode = "append"
) -> Any:
    path = database.folder / "in.jsonl"
    path.write_text(lines(*documents))
    return database.take(path, mode, "jsonLines", table)


def refused(
    database: Database, table: str, *documents: dict[str, Any], mode: ImportMode = "append"
) -> str:
    before = read_zip(database.give())
    with pytest.raises(ImportRefused) as caught:
        take(database, table, *documents, mode=mode)
    assert read_zip(database.give()) == before
    return caught.value.text


def rooms(database: Database) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_zip(database.give())["rooms/documents.jsonl"]
    return found


def test_a_unique_index_holds_in_the_file_and_against_the_database(database: Database) -> None:
    take(database, "rooms", {"name": "one", "code": "a"}, {"name": "no code"})

    within = refused(database, "rooms", {"name": "x", "code": "b"}, {"name": "y", "code": "b"})
    against = refused(database, "rooms", {"name": "x"}, {"name": "y", "code": "a"})
    take(database, "rooms", {"name": "null is no value"}, {"name": "z", "code": "c"})

    assert 'row 2: rooms.code: the index "by_code" is unique, and row 1 has the same' in within
    assert 'row 2: rooms.code: the index "by_code" is unique, and document' in against
    assert len(rooms(database)) == 4


def test_a_reference_points_to_a_document_of_the_file_or_the_database(database: Database) -> None:
    room, none = database.id("rooms", 1), database.id("rooms", 2)
    take(database, "rooms", {"_id": room, "name": "one"})

    take(database, "things", {**EMPTY, "room": room})
    missing = refused(database, "things", {**EMPTY, "room": room}, {**EMPTY, "room": none})
    gone = refused(database, "rooms", {"name": "another"}, mode="replace")
    emptied = refused(database, "things", {**EMPTY, "room": room}, mode="replaceAll")

    assert f'row 2: things.room: there is no document {none} in table "rooms"' in missing
    assert f"points to {room}, which the import deletes" in gone
    assert f'things.room: there is no document {room} in table "rooms"' in emptied


def test_an_id_that_is_there_is_not_added_again(database: Database) -> None:
    room = database.id("rooms", 1)
    take(database, "rooms", {"_id": room, "name": "one"})

    said = refused(database, "rooms", {"_id": room, "name": "two"})
    other = refused(
        database,
        "rooms",
        {"_id": database.id("things", 1), "name": "x"},
        {"_id": room, "name": "y"},
    )

    assert f"rooms._id: the table has a document {room} already" in said
    assert "row 2: rooms._id" in other


def test_ids_of_another_database_become_ids_of_here_and_stay_equal(database: Database) -> None:
    """The sixteen bytes are kept, and so two imports of one file give the same ids."""
    there = id_of(10_500, 7)

    take(database, "rooms", {"_id": there, "name": "one"})
    again = refused(database, "rooms", {"_id": there, "name": "one"})

    assert [each["_id"] for each in rooms(database)] == [database.id("rooms", 7)]
    assert database.id("rooms", 7) in again


def test_creation_times_are_kept_and_new_ones_come_after_those_of_the_past(
    database: Database,
) -> None:
    future = START_MS + 1e9
    take(
        database,
        "rooms",
        {"name": "old", "_creationTime": 5.0},
        {"name": "first"},
        {"name": "second"},
        {"name": "future", "_creationTime": future},
    )

    def drawn(transaction: Transaction) -> Done:
        return Done(str(transaction.next_creation_time()).encode())

    [outcome] = database.storage.writer.commit([Job(drawn)]).outcomes
    times = {each["name"]: each["_creationTime"] for each in rooms(database)}

    assert times["old"] == 5.0
    assert times["future"] == future
    assert START_MS <= times["first"] < times["second"]
    assert isinstance(outcome.result, Done)
    # The clock of the next documents follows neither a past nor a future of the file.
    assert START_MS <= float(outcome.result.result) < future


def test_the_commit_log_says_all_that_an_import_changes_once(database: Database) -> None:
    """At the import's own timestamp: with before and after, and nothing of what stays as it is."""
    one, two, three = (database.id("rooms", number) for number in (1, 2, 3))
    base = {"_creationTime": 5.0, "code": None}
    take(database, "rooms", {"_id": one, "name": "a", **base}, {"_id": two, "name": "b", **base})

    committed = take(
        database, "rooms", {"_id": one, "name": "a", **base}, {"_id": three, "name": "c", **base},
        mode="replace",
    )  # fmt: skip
    connection = vars(database.storage.writer)["_connection"]
    logged = connection.execute(
        "SELECT id, before ->> 'name', after ->> 'name' FROM _commit_log "
        'WHERE ts = ? AND "table" = ? ORDER BY id',
        (committed.ts, database.app.table_numbers["rooms"]),
    ).fetchall()

    assert logged == sorted([(two, "b", None), (three, None, "c")])


def test_rows_that_the_writer_remembers_are_those_of_the_import(database: Database) -> None:
    """What it keeps of documents is forgotten, or a mutation would work on the old one."""
    room = database.id("rooms", 1)
    take(database, "rooms", {"_id": room, "name": "old"})

    def name(transaction: Transaction) -> Done:
        row = transaction.get(TableName("rooms"), room)
        assert row is not None
        return Done(json.loads(row[3])["name"].encode())

    def rename(transaction: Transaction) -> Done:
        row = transaction.get(TableName("rooms"), room)
        assert row is not None
        fields = {**json.loads(row[3]), "name": "renamed"}
        transaction.replace(TableName("rooms"), row, fields)
        return Done(b"null")

    writer = database.storage.writer
    writer.commit([Job(rename)])
    take(database, "rooms", {"_id": room, "name": "new"}, mode="replace")

    [outcome] = writer.commit([Job(name)]).outcomes
    assert isinstance(outcome.result, Done)
    assert outcome.result.result == b"new"


def test_indexes_find_what_was_imported(database: Database) -> None:
    take(database, "rooms", {"name": "b"}, {"name": "a"}, {"name": "c"})
    take(database, "rooms", {"name": "bb"}, {"name": "aa"}, mode="replace")
    take(database, "rooms", {"name": "ab"})
    snapshot = database.storage.open_snapshot()
    snapshot.begin()

    found = [
        json.loads(row[3])["name"]
        for row in snapshot.scan(IndexBounds(TableName("rooms"), "by_name"))
    ]

    snapshot.close()
    assert found == ["aa", "ab", "bb"]


@pytest.mark.slow
def test_an_index_that_is_being_built_has_what_was_imported_meanwhile(database: Database) -> None:
    """Also of documents that are the same as before: their rows are others."""
    many = [
        {"_id": database.id("rooms", each), "name": f"{each:05}", "_creationTime": 5.0}
        for each in range(INLINE_ROWS)
    ]
    take(database, "rooms", *many)
    rooms = evolve(
        database.app.schema.tables["rooms"],
        indexes=(*database.app.schema.tables["rooms"].indexes, IndexSpec("by_size", ("size",))),
        fields={
            **database.app.schema.tables["rooms"].fields,
            "size": FieldSpec("size", ColumnKind.TEXT, has_default=True, default="small"),
        },
    )
    specs = [rooms, *(each for name, each in APP.schema.tables.items() if name != "rooms")]
    writer = database.storage.writer
    assert writer.begin_build(specs) is not None
    while not writer.build_some(10_000).complete:
        pass

    take(database, "rooms", *many, mode="replace")
    while not writer.build_some(10_000).complete:
        pass

    connection = vars(writer)["_connection"]
    filled = connection.execute("SELECT size, count(*) FROM rooms GROUP BY size").fetchall()
    assert filled == [("small", INLINE_ROWS)]
