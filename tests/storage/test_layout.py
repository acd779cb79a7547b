"""The schema changes between two starts, and the file follows."""

from pathlib import Path

import pytest
from attrs import evolve

from flow_backend.errors import StartError
from flow_backend.schema.table import ColumnKind, FieldSpec, IndexSpec, SearchSpec, TableSpec
from flow_backend.storage.base import (
    IndexBounds,
    SearchBounds,
    Storage,
    TableName,
    Term,
    Transaction,
)
from flow_backend.storage.words import digest_of
from flow_backend.values.encode import to_wire
from flow_backend.values.value import JsonValue
from tests.storage.support import Clock, FileEngine, ids, job, read

ITEMS = TableName("items")
NAME = FieldSpec("name", ColumnKind.TEXT)
SIZE = FieldSpec("size", ColumnKind.INTEGER)
PLAIN = TableSpec("items", {"name": NAME, "size": SIZE}, fingerprint="1")
BY_NAME = IndexSpec("by_name", ("name",))


@pytest.fixture
def engine(tmp_path: Path) -> FileEngine:
    return FileEngine(tmp_path)


def fill(storage: Storage, **sizes: JsonValue) -> None:
    def work(transaction: Transaction) -> None:
        for id, size in sizes.items():
            document = {"_id": id, "_creationTime": transaction.next_creation_time(), "size": size}
            transaction.insert(ITEMS, id, {**document, "name": f"name of {id}"})

    storage.writer.commit([job(work)])


def filled(engine: FileEngine, spec: TableSpec = PLAIN) -> None:
    storage = engine([spec])
    fill(storage, a=3.0, b=1.0, c=2.0)
    storage.close()


def order(engine: FileEngine, spec: TableSpec, index: str) -> list[str]:
    storage = engine([spec])
    rows = read(storage, IndexBounds(ITEMS, index))
    storage.close()
    return ids(rows)


def test_a_new_index_is_filled(engine: FileEngine) -> None:
    filled(engine)

    spec = evolve(PLAIN, indexes=(IndexSpec("by_size", ("size",)), BY_NAME))

    assert order(engine, spec, "by_size") == ["b", "c", "a"]
    assert order(engine, spec, "by_name") == ["a", "b", "c"]


TEXT = SearchSpec("text", ("name",), ("size",))


def found(engine: FileEngine, spec: TableSpec, word: str, **within: float) -> list[str]:
    """Search, in a database that is opened for it and closed again."""
    storage = engine([spec])
    narrowed = tuple((0, digest_of(0, value)) for value in within.values())
    snapshot = storage.open_snapshot()
    snapshot.begin()
    rows = snapshot.search(SearchBounds(ITEMS, "text", (Term(word),), narrowed), 10)
    snapshot.close()
    storage.close()
    return sorted(ids(rows))


def test_a_new_search_index_is_filled(engine: FileEngine) -> None:
    """Also what was written while it was gone is in it, and what it is narrowed by may change."""
    filled(engine)
    spec = evolve(PLAIN, searches=(TEXT,))

    assert found(engine, spec, "name") == ["a", "b", "c"]
    assert found(engine, spec, "b") == ["b"]
    storage = engine([PLAIN])
    fill(storage, d=2.0)
    storage.close()
    assert found(engine, spec, "name", size=2.0) == ["c", "d"]
    assert found(engine, evolve(PLAIN, searches=(SearchSpec("text", ("name",)),)), "of") == [
        "a",
        "b",
        "c",
        "d",
    ]
    as_index = evolve(PLAIN, indexes=(IndexSpec("text", ("name",)),))
    assert order(engine, as_index, "text") == ["a", "b", "c", "d"]
    assert found(engine, spec, "d", size=2.0) == ["d"]


def test_an_index_may_go_and_come_back(engine: FileEngine) -> None:
    """What was written while it was gone must be in it."""
    spec = evolve(PLAIN, indexes=(IndexSpec("by_size", ("size",)),))
    filled(engine, spec)
    storage = engine([PLAIN])
    fill(storage, d=1.5)
    storage.close()

    assert order(engine, spec, "by_size") == ["b", "d", "c", "a"]


def test_an_index_may_change_its_fields(engine: FileEngine) -> None:
    filled(engine, evolve(PLAIN, indexes=(IndexSpec("by_it", ("size",)), BY_NAME)))

    changed = evolve(PLAIN, indexes=(IndexSpec("by_it", ("name",)), BY_NAME))

    assert order(engine, changed, "by_it") == ["a", "b", "c"]


def test_a_field_may_become_a_union(engine: FileEngine) -> None:
    """Its column then holds keys: of 1 and "1", and of −0 and 0."""
    index = (IndexSpec("by_size", ("size",)),)
    filled(engine, evolve(PLAIN, indexes=index))
    union = {"name": NAME, "size": FieldSpec("size", ColumnKind.KEY)}
    spec = evolve(PLAIN, fields=union, indexes=index, fingerprint="2")
    storage = engine([spec])
    fill(storage, text="0", minus=to_wire(-0.0), plus=0.0, nothing=None)
    storage.close()

    assert order(engine, spec, "by_size") == ["nothing", "minus", "plus", "b", "c", "a", "text"]


def test_a_field_with_a_default_may_come_later(engine: FileEngine) -> None:
    filled(engine)
    added = FieldSpec("rank", ColumnKind.INTEGER, has_default=True, default=7.0)
    spec = evolve(
        PLAIN,
        fields={"name": NAME, "size": SIZE, "rank": added},
        indexes=(IndexSpec("by_rank", ("rank",)),),
        fingerprint="2",
    )

    storage = engine([spec])
    rows = read(storage, IndexBounds(ITEMS, "by_rank", (7.0,)))

    assert ids(rows) == ["a", "b", "c"]
    assert [row[4] for row in rows] == [False, False, False]  # Their bytes lack the field.
    assert spec.read(rows[0][3])["rank"] == 7.0
    storage.close()


def test_a_default_may_change(engine: FileEngine) -> None:
    def spec(default: float) -> TableSpec:
        rank = FieldSpec("rank", ColumnKind.INTEGER, has_default=True, default=default)
        fields = {"name": NAME, "size": SIZE, "rank": rank}
        return evolve(
            PLAIN,
            fields=fields,
            indexes=(IndexSpec("by_rank", ("rank",)),),
            fingerprint=str(default),
        )

    filled(engine)
    engine([spec(1.0)]).close()
    storage = engine([spec(2.0)])

    assert ids(read(storage, IndexBounds(ITEMS, "by_rank", (2.0,)))) == ["a", "b", "c"]
    storage.close()


def test_a_row_that_is_written_again_is_of_todays_schema(engine: FileEngine) -> None:
    filled(engine)
    storage = engine([evolve(PLAIN, fingerprint="2")])

    def touch(transaction: Transaction) -> None:
        row = transaction.get(ITEMS, "a")
        assert row is not None
        transaction.replace(ITEMS, row, PLAIN.read(row[3]))

    storage.writer.commit([job(touch)])

    assert [row[4] for row in read(storage, IndexBounds(ITEMS))] == [True, False, False]
    storage.close()
    again = engine([evolve(PLAIN, fingerprint="2")])
    assert [row[4] for row in read(again, IndexBounds(ITEMS))] == [True, False, False]
    again.close()


def test_a_change_of_the_schema_has_a_timestamp(engine: FileEngine) -> None:
    """A client holds results at the old one; what it reads now may differ without any commit."""
    filled(engine)
    storage = engine([PLAIN])
    before = storage.writer.last_ts
    storage.close()

    storage = engine([evolve(PLAIN, fingerprint="2")])

    assert storage.writer.last_ts > before
    storage.close()


def test_a_table_keeps_its_number_and_rows_while_it_is_away(engine: FileEngine) -> None:
    """Ids carry the number: another table must not get it meanwhile."""
    other = TableSpec("other", {})
    filled(engine)
    storage = engine([other])
    assert storage.table_numbers == {"other": 10002}
    storage.close()

    storage = engine([other, PLAIN, TableSpec("_scheduled", {})])

    assert storage.table_numbers == {"items": 10001, "other": 10002, "_scheduled": 513}
    assert ids(read(storage, IndexBounds(ITEMS))) == ["a", "b", "c"]
    storage.close()


def test_a_unique_index_that_does_not_fit_names_two_documents(engine: FileEngine) -> None:
    filled(engine)
    storage = engine([PLAIN])
    fill(storage, d=3.0, e=None, f=None)
    storage.close()
    unique = evolve(PLAIN, indexes=(BY_NAME, IndexSpec("by_size", ("size",), unique=True)))

    with pytest.raises(StartError, match=r'"by_size" of table "items" .* documents a and d'):
        engine([unique])

    # Nothing was changed: the version of before starts as if nothing had been.
    storage = engine([PLAIN])
    [row] = [row for row in read(storage, IndexBounds(ITEMS)) if row[1] == "d"]
    storage.writer.commit([job(lambda t: t.delete(ITEMS, row))])
    storage.close()
    assert order(engine, unique, "by_size") == ["e", "f", "b", "c", "a"]


def test_a_document_that_fits_no_index_is_named(engine: FileEngine) -> None:
    storage = engine([PLAIN])
    fill(storage, a=to_wire(float("nan")))
    storage.close()
    fields = {"name": NAME, "size": FieldSpec("size", ColumnKind.KEY)}
    spec = evolve(PLAIN, fields=fields, indexes=(IndexSpec("by_size", ("size",)),))

    with pytest.raises(StartError, match=r'document a of table "items" .* NaN'):
        engine([spec])


@pytest.mark.parametrize(
    "specs",
    [
        [TableSpec("Items", {}), TableSpec("items", {})],
        [TableSpec("t", {"a": NAME, "A": NAME}, (IndexSpec("i", ("a",)), IndexSpec("j", ("A",))))],
        [TableSpec("t", {"a": NAME}, (IndexSpec("i", ("a",)), IndexSpec("I", ("a",))))],
    ],
)
def test_names_that_sql_cannot_tell_apart_are_refused(
    engine: FileEngine, specs: list[TableSpec]
) -> None:
    specs = [
        evolve(spec, fields={name: evolve(f, name=name) for name, f in spec.fields.items()})
        for spec in specs
    ]

    with pytest.raises(StartError, match="differ only in case"):
        engine(specs)


def test_names_may_be_words_of_sql(engine: FileEngine) -> None:
    spec = TableSpec(
        "select",
        {name: FieldSpec(name, ColumnKind.TEXT) for name in ("from", "table", "order")},
        (IndexSpec("where", ("from", "table", "order")),),
    )
    storage = engine([spec])
    table = TableName("select")
    document = {"_id": "a", "_creationTime": 1.0, "from": "x", "table": "y", "order": "z"}
    storage.writer.commit([job(lambda t: t.insert(table, "a", document))])

    assert ids(read(storage, IndexBounds(table, "where", ("x", "y", "z")))) == ["a"]
    storage.close()


@pytest.mark.parametrize(
    "spec",
    [
        TableSpec("sqlite_things", {}),
        TableSpec(
            "t", {"rowid": FieldSpec("rowid", ColumnKind.TEXT)}, (IndexSpec("i", ("rowid",)),)
        ),
    ],
)
def test_names_that_sqlite_keeps_are_refused(engine: FileEngine, spec: TableSpec) -> None:
    with pytest.raises(StartError, match="rename the"):
        engine([spec])


def test_many_rows_are_filled_in_pieces(engine: FileEngine) -> None:
    storage = engine([PLAIN])
    fill(storage, **{f"i{number:05}": float(-number) for number in range(2_001)})
    storage.close()

    found = order(engine, evolve(PLAIN, indexes=(IndexSpec("by_size", ("size",)),)), "by_size")

    assert found == [f"i{number:05}" for number in reversed(range(2_001))]


def test_a_start_without_change_draws_no_timestamp(engine: FileEngine) -> None:
    filled(engine)
    clock = Clock()
    storage = engine([PLAIN], now_ns=clock)
    before = storage.writer.last_ts
    storage.close()
    clock.ns += 10**9

    storage = engine([PLAIN], now_ns=clock)

    assert storage.writer.last_ts == before
    storage.close()
