"""A snapshot in Convex's format comes in and goes out again with equal documents."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from flow_backend.errors import ImportRefused
from flow_backend.storage.staged import ImportMode
from flow_backend.values.encode import encode, from_export
from tests.transfer.support import Database, id_of, lines, read_zip, write_zip

# The numbers that the tables have in the other database.
ROOMS, THINGS = 10_017, 10_003


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path)
    yield database
    database.close()


def snapshot_lines() -> dict[str, str | bytes]:
    """A snapshot as the format's documentation says, byte by byte, with every type of value."""
    room, thing, other = id_of(ROOMS, 1), id_of(THINGS, 2), id_of(THINGS, 3)
    every = (
        f'{{"_id":"{thing}","_creationTime":1700000000000.25,"room":"{room}","text":"a \\"q\\" ü",'
        '"number":-0.0,"whole":3.0,"big":9223372036854775807,"raw":{"$bytes":"AAH/"},'
        '"flag":true,"nothing":null,"at":1700000000000.5,"place":{"x":1e300,"y":-1},'
        '"items":[1.5,"s",{"$bytes":""},null,{"$float":"AAAAAAAA+H8="}],'
        f'"anything":{{"":[],"deep":[{{"n":7,"f":7.0}},{{}}],"id":"{room}","{room}":true}},'
        '"record":{"a b":-9223372036854775808}}'
    )
    plain = every.replace(thing, other).replace(
        '"number":-0.0', '"number":{"$float":"AAAAAAAA8P8="}'
    )
    plain = plain.replace(f'"room":"{room}"', '"room":null').replace("000.25", "001.0")
    return {
        "README.md": "# Welcome",
        "_tables/documents.jsonl": lines(
            {"name": "things", "id": THINGS}, {"name": "rooms", "id": ROOMS}
        ),
        "things/documents.jsonl": lines(every, plain),
        "things/generated_schema.jsonl": '"uniform"\n',
        "rooms/documents.jsonl": lines(
            f'{{"_id":"{room}","_creationTime":1600000000000.0,"name":"Hall","code":"h1"}}'
        ),
        "rooms/generated_schema.jsonl": '"uniform"\n',
        "_storage/documents.jsonl": "",
        "_storage/abc.png": b"\x00",
        "_components/other/rooms/documents.jsonl": lines({"name": 1}),
    }


def test_every_value_of_a_convex_snapshot_comes_in_and_goes_out_equal(
    database: Database, tmp_path: Path
) -> None:
    """Nothing is rounded, merged or renamed; only the tables' numbers are those of here."""
    entries = snapshot_lines()
    given = read_zip(write_zip(tmp_path / "in.zip", entries))

    database.take(tmp_path / "in.zip")
    out = read_zip(database.give())

    # An id says the number of its table: that is what has changed, wherever it stands.
    for table in ("rooms", "things"):
        came = [canonical(each) for each in out[f"{table}/documents.jsonl"]]
        expected = [canonical(here(each, database)) for each in given[f"{table}/documents.jsonl"]]
        assert came == expected
        assert out[f"{table}/generated_schema.jsonl"] == ["uniform"]
    assert [each.split(" (")[0] for each in database.warnings] == [
        "_components is left out",
        "_storage is left out",
    ]


def canonical(document: Any) -> bytes:
    """Give bytes that are equal only for equal values: no NaN, −0 or int64 is lost in them."""
    return encode(from_export(document))


def here(document: Any, database: Database) -> Any:
    """Give a document of the other database with the ids that it has in this one."""
    text = orjson.dumps(document).decode()
    for table, number in {"rooms": ROOMS, "things": THINGS}.items():
        for each in range(9):
            text = text.replace(id_of(number, each), database.id(table, each))
    return orjson.loads(text)


def documents(database: Database, table: str) -> list[Any]:
    return read_zip(database.give())[f"{table}/documents.jsonl"]


def test_a_snapshot_of_flow_itself_comes_back_byte_by_byte(
    database: Database, tmp_path: Path
) -> None:
    """Out, all away and in again: ids, creation times and every byte are as before."""
    database.take(write_zip(tmp_path / "in.zip", snapshot_lines()))
    before = database.give()

    database.take(before, "replaceAll")
    again = database.give()

    with zipfile.ZipFile(before) as one, zipfile.ZipFile(again) as other:
        assert one.namelist() == other.namelist()
        assert all(one.read(name) == other.read(name) for name in one.namelist())


def test_what_was_imported_is_found_by_its_words(database: Database, tmp_path: Path) -> None:
    """What it took the place of is not; and what is there already stays."""

    def take(name: str, mode: ImportMode) -> None:
        path = tmp_path / f"{name}.jsonl"
        path.write_text(lines({"name": name}))
        database.take(path, mode, "jsonLines", "rooms")

    take("great hall", "requireEmpty")
    take("small hall", "append")
    assert len(database.search_rooms("hall")) == 2

    take("cellar", "replace")

    assert not database.search_rooms("hall")
    assert len(database.search_rooms("cellar")) == 1


def test_without_the_mark_numbers_are_what_the_class_says(
    database: Database, tmp_path: Path
) -> None:
    """A hand-made file has 3 for 3.0 and for an int64; where anything may stand it is a float."""
    entries = snapshot_lines()
    del entries["things/generated_schema.jsonl"]
    entries["things/documents.jsonl"] = lines(
        '{"text":"t","number":1,"whole":2,"big":9007199254740993,"raw":{"$bytes":""},"flag":false,'
        '"nothing":null,"at":5,"place":{"x":1,"y":2},"items":[1],"anything":[7],"record":{}}'
    )

    database.take(write_zip(tmp_path / "in.zip", entries))
    [thing] = documents(database, "things")

    assert thing["number"] == 1.0
    assert type(thing["big"]) is int
    assert thing["big"] == 9007199254740993
    assert type(thing["anything"][0]) is float
    assert type(thing["place"]["y"]) is int


def test_all_that_does_not_fit_is_told_with_its_place_and_nothing_is_changed(
    database: Database, tmp_path: Path
) -> None:
    """The first twenty and a count: file, row, table, field and reason."""
    room = id_of(ROOMS, 1)
    good = {"_id": room, "name": "Hall"}
    bad = [
        '{"name"',
        "[1]",
        {"name": 5.0},
        {"_id": id_of(THINGS, 1), "name": "x"},
        {"_id": room, "name": "twice"},
        {"name": "x", "colour": "red", "_hidden": 1.0},
        {"code": "c"},
        {"name": "x", "_creationTime": -1.0},
        *[{"name": each} for each in range(20)],
    ]
    entries = {
        "_tables/documents.jsonl": lines({"name": "rooms", "id": ROOMS}),
        "rooms/documents.jsonl": lines(good, *bad),
    }

    with pytest.raises(ImportRefused) as caught:
        database.take(write_zip(tmp_path / "in.zip", entries))

    problems = caught.value.problems
    assert len(problems) == 20
    assert caught.value.count == 29
    assert problems[0].startswith("rooms/documents.jsonl, row 2: rooms: Row 2 wasn't valid JSON")
    assert problems[1] == "rooms/documents.jsonl, row 3: rooms: Row 3 wasn't an object"
    assert problems[2] == "rooms/documents.jsonl, row 4: rooms.name: expected a string, got 5.0"
    assert "row 5: rooms._id" in problems[3]
    assert f"table number {THINGS}" in problems[3]
    assert "row 6: rooms._id" in problems[4]
    assert "row 7: rooms.colour: there is no such field" in problems[5]
    assert "row 7: rooms._hidden" in problems[6]
    assert "row 8: rooms.name: the field is required" in problems[7]
    assert "row 9: rooms._creationTime" in problems[8]
    assert documents(database, "rooms") == []
