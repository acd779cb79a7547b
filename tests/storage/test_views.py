"""The views for plain SQL say what the documents say, to any program that reads SQLite."""

import json
import math
import sqlite3
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import attrs
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from flow_backend import Date, Document, Id, Index, Instant, Int64, Time, document
from flow_backend.errors import StartError
from flow_backend.schema.model import build_schema
from flow_backend.storage.base import TableName, Transaction
from flow_backend.storage.views import view_name
from flow_backend.values.encode import SAFE_INT_MAX, to_wire
from flow_backend.values.value import JsonValue
from tests.effort import cases
from tests.storage.support import FileEngine, job


@attrs.frozen
class Place:
    name: str


@document("people")
class Person(Document):
    name: str


@document("things")
class Thing(Document):
    text: str
    old: bool
    whole: int
    number: float
    big: Int64
    data: bytes
    at: Instant
    day: Date
    when: Time
    owner: Id[Person]
    kind: Literal["one", "two"]
    either: str | float
    labels: list[str]
    place: Place | None = None
    later: str = 'it\'s "new"'
    later_whole: int = 7
    later_big: Int64 = Int64(-(2**63))
    later_odd: float = math.inf


INDEXED = ("text", "old", "whole", "big", "number", "at", "owner", "either", "later", "later_big")


@document("things")
class Indexed(Thing):
    by_all = Index(*INDEXED)


SPEC = build_schema([Thing, Person]).tables["things"]
THINGS = TableName("things")

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
documents = st.fixed_dictionaries(
    {
        "text": texts,
        "old": st.booleans(),
        "whole": st.integers(-SAFE_INT_MAX, SAFE_INT_MAX),
        "number": st.floats(allow_nan=False),
        "big": st.integers(-(2**63), 2**63 - 1).map(Int64),
        "data": st.binary(max_size=9),
        "at": st.floats(-8.64e15, 8.64e15),
        "day": st.dates().map(str),
        "when": st.times().map(lambda time: time.isoformat()),
        "owner": texts,
        "kind": st.sampled_from(["one", "two"]),
        "either": texts | st.floats(allow_nan=False, allow_infinity=False),
        "labels": st.lists(texts, max_size=3),
    }
)


BEFORE = evolve(
    SPEC,
    fields={name: each for name, each in SPEC.fields.items() if not name.startswith("later")},
    fingerprint="before",
)


def insert(directory: Path, values: Sequence[Mapping[str, object]]) -> None:
    """Store documents when the schema did not have the ``later`` fields yet."""
    storage = FileEngine(directory)([BEFORE])

    def work(transaction: Transaction) -> None:
        for number, value in enumerate(values):
            wire = cast("dict[str, JsonValue]", to_wire(dict(value)))
            created = transaction.next_creation_time()
            transaction.insert(
                THINGS, str(number), {**wire, "_id": str(number), "_creationTime": created}
            )

    storage.writer.commit([job(work)])
    storage.close()


def look(directory: Path) -> list[dict[str, Any]]:
    """Read the view as another program does."""
    connection = sqlite3.connect(f"file:{directory / 'flow.sqlite3'}?mode=ro", uri=True)
    try:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM things_view")]
    finally:
        connection.close()


def expected(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **value,
        "big": int(value["big"]),
        "data": b64encode(value["data"]).decode(),
        "place": None,
        "later": 'it\'s "new"',
        "later_whole": 7,
        "later_big": -(2**63),
        "later_odd": math.inf,
    }


@pytest.mark.parametrize("cls", [Thing, Indexed])
def test_a_view_has_each_field_as_a_typed_column(
    tmp_path_factory: pytest.TempPathFactory, cls: type[Document]
) -> None:
    spec = build_schema([cls, Person]).tables["things"]

    @given(st.lists(documents, min_size=1, max_size=20))
    @settings(max_examples=cases(8, 400), deadline=None)
    def check(values: list[dict[str, Any]]) -> None:
        directory = tmp_path_factory.mktemp("views")
        insert(directory, values)
        FileEngine(directory)([spec]).close()

        rows = look(directory)

        for row in rows:
            assert type(row.pop("_creationTime")) is float
            row["labels"] = json.loads(row["labels"])
            for name in ("whole", "old", "big", "later_whole", "later_big"):
                assert type(row[name]) is int
            assert type(row["number"]) is float
        assert {row.pop("_id"): row for row in rows} == {
            str(number): expected(value) for number, value in enumerate(values)
        }

    check()


def test_a_view_follows_the_schema(tmp_path: Path) -> None:
    """Also where a column that the view names goes and comes back as another kind."""
    value = {"text": "a", "old": True, "whole": 1, "number": 0.5, "big": Int64(2), "data": b"x"}
    rest = {"at": 1.0, "day": "2026-01-01", "when": "08:00", "owner": "p", "kind": "one"}
    insert(tmp_path, [{**value, **rest, "either": "e", "labels": []}])
    indexed = build_schema([Indexed, Person]).tables["things"]
    FileEngine(tmp_path)([indexed]).close()
    fields = {**SPEC.fields, "whole": evolve(SPEC.fields["number"], name="whole")}
    del fields["old"]
    by_whole = evolve(indexed.indexes[0], fields=("whole",))

    changed = evolve(SPEC, fields=fields, indexes=(by_whole,), fingerprint="2")
    FileEngine(tmp_path)([changed]).close()

    [row] = look(tmp_path)
    assert "old" not in row
    assert row["whole"] == 1.0
    assert type(row["whole"]) is float


def test_a_table_that_has_the_name_of_a_view_is_refused(tmp_path: Path) -> None:
    taken = evolve(SPEC, name=view_name("things"))

    with pytest.raises(StartError, match=r'"things_view" has the name .* rename one of them'):
        FileEngine(tmp_path)([SPEC, taken])
