"""A scan gives the rows whose keys lie in the range of its bounds, in the order of their keys."""

from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import cast

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow_backend.errors import FlowError, InvalidRange
from flow_backend.schema.table import ColumnKind, FieldSpec, IndexSpec, TableSpec
from flow_backend.storage.base import (
    Done,
    IndexBounds,
    Job,
    Position,
    Refused,
    Storage,
    StoredRow,
    TableName,
    Transaction,
)
from flow_backend.storage.keys import bounds_range, position_key, position_of, row_keys
from flow_backend.storage.sqlite import open_memory_storage
from flow_backend.storage.tables import StoredTable
from flow_backend.values.encode import to_wire
from flow_backend.values.value import Int64, JsonValue
from tests.storage.support import Clock, write_connection

ROWS = TableName("rows")
SPEC = TableSpec(
    "rows",
    {
        "text": FieldSpec("text", ColumnKind.TEXT),
        "number": FieldSpec("number", ColumnKind.INTEGER),
        "real": FieldSpec("real", ColumnKind.REAL),
        "any": FieldSpec("any", ColumnKind.KEY),
    },
    (
        IndexSpec("by_all", ("text", "number", "any")),
        IndexSpec("by_any", ("any",)),
        IndexSpec("by_number", ("number",)),
        IndexSpec("by_real", ("real", "text")),
    ),
)
INDEXES = [index.name for index in SPEC.all_indexes]

texts = st.sampled_from(["", "a", "a\0", "a\0b", "b", "\uffff", "\U00010000"])
wholes = st.sampled_from([-1.0, 0.0, -0.0, 1.0, 7.0, 2.0**53])
reals = st.sampled_from([-1.5, 0.0, -0.0, 0.25, 7.0])
odd_floats = st.sampled_from([float("inf"), float("-inf"), 0.5, -0.0])
unions = st.one_of(
    st.none(),
    st.booleans(),
    texts,
    wholes,
    odd_floats,
    st.sampled_from([Int64(-300), Int64(0), Int64(5)]),
    st.lists(texts, max_size=2),
    st.just(b"a\0"),
)
times = st.sampled_from([1.0, 2.0, 2.5])
VALUES = {
    "text": st.none() | texts,
    "number": st.none() | wholes,
    "real": st.none() | reals,
    "any": unions,
    "_creationTime": times,
    "_id": st.sampled_from([f"id{number}" for number in range(12)]),
    "_rowid": st.integers(0, 12),
}
# A bound may be what no row can have, such as a fraction in a column of whole numbers.
BOUNDS = {**VALUES, "number": VALUES["number"] | odd_floats, "real": VALUES["real"] | odd_floats}


@pytest.fixture(scope="module")
def storage() -> Iterator[Storage]:
    storage = open_memory_storage([SPEC], now_ns=Clock())
    yield storage
    storage.close()


def parts_of(index: str) -> list[str]:
    if index == "by_id":
        return ["_id"]
    [spec] = [spec for spec in SPEC.all_indexes if spec.name == index]
    return [*spec.fields, "_creationTime", "_rowid"]


def wire(value: object) -> JsonValue:
    return to_wire(value)


@st.composite
def some_documents(draw: st.DrawFn) -> list[dict[str, JsonValue]]:
    names = ["text", "number", "real", "any", "_creationTime"]
    return [
        {"_id": f"id{number}", **{name: wire(draw(VALUES[name])) for name in names}}
        for number in range(draw(st.integers(0, 10)))
    ]


@st.composite
def some_bounds(draw: st.DrawFn, documents: list[dict[str, JsonValue]]) -> tuple[IndexBounds, bool]:
    """Bounds of any index; most of their values are those of documents, or all would be empty."""
    index = draw(st.sampled_from(INDEXES))
    names = parts_of(index)
    near = draw(st.sampled_from(documents)) if documents else {}

    def value(name: str) -> JsonValue:
        if name in near and draw(st.integers(0, 9)) < 7:
            return near[name]
        drawn = draw(BOUNDS[name])
        return drawn if name == "_rowid" else wire(drawn)

    def values(names: list[str]) -> Position:
        return tuple([value(name) for name in names])

    prefix = values(names[: draw(st.sampled_from([0, 0, 0, 1, 1, 2, 3])) % len(names)])
    following = names[len(prefix) : len(prefix) + 1]
    lower = values(following) if draw(st.integers(0, 2)) == 0 else ()
    upper = values(following) if draw(st.integers(0, 2)) == 0 else ()

    def place() -> Position | None:
        match draw(st.sampled_from(["none", "none", "inside", "anywhere"])):
            case "inside":
                return prefix + values(names[len(prefix) :])
            case "anywhere":
                return values(names)
            case _:
                return None

    bounds = IndexBounds(ROWS, index, prefix, lower, upper, place(), place())
    return bounds, draw(st.booleans())


Scenario = tuple[list[dict[str, JsonValue]], IndexBounds, bool]


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    documents = draw(some_documents())
    return documents, *draw(some_bounds(documents))


def in_vain(storage: Storage, work: Callable[[Transaction], None]) -> None:
    """Do something in a transaction and undo it: cheaper than a new database for each example."""

    def run(transaction: Transaction) -> Done | Refused:
        work(transaction)
        return Refused("undo")

    storage.writer.commit([Job(run)])


def keys_by_row(rows: list[StoredRow], index: str) -> dict[bytes, str]:
    place = INDEXES.index(index)
    return {row_keys(SPEC, SPEC.read(row[3]), row[0])[place]: row[1] for row in rows}


@pytest.mark.slow
@settings(max_examples=200)
@given(scenario=scenarios())
def test_scan_gives_the_rows_whose_keys_are_in_the_range(
    storage: Storage, scenario: Scenario
) -> None:
    """Read sets are made of these ranges: a row too few in one is a lost invalidation."""
    documents, bounds, descending = scenario

    def check(transaction: Transaction) -> None:
        for document in documents:
            transaction.insert(ROWS, str(document["_id"]), document)
        keys = keys_by_row(list(transaction.scan(IndexBounds(ROWS))), bounds.index)
        start, stop = bounds_range(SPEC, bounds, descending)

        found = [row[1] for row in transaction.scan(bounds, descending=descending)]

        assert len(keys) == len(documents)
        expected = [
            id
            for key, id in sorted(keys.items(), key=itemgetter(0), reverse=descending)
            if start <= key and (stop is None or key < stop)
        ]
        assert found == expected

    in_vain(storage, check)


@pytest.mark.slow
@settings(max_examples=200)
@given(scenario=scenarios(), data=st.data())
def test_pages_behind_and_up_to_a_row_are_the_whole(
    storage: Storage, scenario: Scenario, data: st.DataObject
) -> None:
    """A page ends with a row and the next one starts behind it, whatever the rows share."""
    documents, bounds, descending = scenario
    whole = IndexBounds(ROWS, bounds.index, bounds.prefix, bounds.lower, bounds.upper)

    def check(transaction: Transaction) -> None:
        for document in documents:
            transaction.insert(ROWS, str(document["_id"]), document)
        rows = list(transaction.scan(whole, descending=descending))
        if not rows:
            return
        cut = data.draw(st.integers(0, len(rows) - 1))
        place = position_of(SPEC, bounds.index, rows[cut])

        def part(**ends: Position) -> list[StoredRow]:
            page = IndexBounds(
                ROWS, bounds.index, bounds.prefix, bounds.lower, bounds.upper, **ends
            )
            return list(transaction.scan(page, descending=descending))

        assert part(until=place) == rows[: cut + 1]
        assert part(after=place) == rows[cut + 1 :]
        [key] = keys_by_row([rows[cut]], bounds.index)
        assert position_key(place) == key

    in_vain(storage, check)


@pytest.mark.slow
@given(scenario=scenarios())
def test_each_statement_is_one_search_of_the_index_and_sorts_nothing(
    storage: Storage, scenario: Scenario
) -> None:
    """A scan must cost what it gives: no sorting of all before the first row."""
    _, bounds, descending = scenario
    connection = write_connection(storage)

    for text, bound in StoredTable(SPEC, 1, 1).scan(bounds, descending):
        plan = [
            str(row[3])
            for row in connection.execute("EXPLAIN QUERY PLAN " + text, bound).fetchall()
        ]
        limited = bool(bound) or "IS NULL" in text
        verb = "SEARCH" if limited else "SCAN"
        assert len(plan) == 1, plan
        assert plan[0].startswith(f"{verb} rows USING INDEX rows:{bounds.index}"), (plan, text)
        # Every condition is one of the search, none is a filter over what it finds.
        assert plan[0].count("?") == text.count("?") + text.count("IS NULL"), (plan, text)


def test_a_scan_reads_no_further_than_it_is_consumed(storage: Storage) -> None:
    """The interrupt would hit a scan that goes on by itself; and a huge board costs one row."""

    def check(transaction: Transaction) -> None:
        for number in range(50):
            fields: dict[str, JsonValue] = {"text": "a", "number": 0.0, "real": 0.0, "any": None}
            document = {"_id": f"id{number}", "_creationTime": float(number), **fields}
            transaction.insert(ROWS, f"id{number}", document)
        scan = transaction.scan(IndexBounds(ROWS))

        first = next(scan)
        for row in list(transaction.scan(IndexBounds(ROWS)))[1:]:
            transaction.delete(ROWS, row)

        assert first[1] == "id0"
        assert list(scan) == []  # What was deleted meanwhile had not been read yet.

    in_vain(storage, check)


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (IndexBounds(ROWS, "by_none"), 'no index "by_none"'),
        (IndexBounds(ROWS, "by_id", ("a", "b")), "has 1 parts"),
        (IndexBounds(ROWS, "by_number", ("a",)), '"number" holds INTEGER'),
        (IndexBounds(ROWS, "by_all", (1.0,)), '"text" holds TEXT'),
        (IndexBounds(ROWS, "by_number", after=(None, 1.0, "x")), "row's number"),
        (IndexBounds(ROWS, "by_any", lower=(wire(float("nan")),)), "NaN"),
    ],
)
def test_bounds_that_do_not_fit_are_refused_in_words(
    storage: Storage, bounds: IndexBounds, words: str
) -> None:
    def check(transaction: Transaction) -> None:
        with pytest.raises(FlowError, match=words):
            list(transaction.scan(bounds))

    in_vain(storage, check)


def test_an_unknown_index_is_an_invalid_range(storage: Storage) -> None:
    with pytest.raises(InvalidRange):
        bounds_range(SPEC, IndexBounds(ROWS, "by_none"))


def test_a_scan_is_compiled_once_whatever_it_is_bound_to(storage: Storage) -> None:
    """Compiling takes four times as long as a small scan itself."""
    connection = cast("apsw.Connection", write_connection(storage))
    compiled = list[int]()

    def allow(action: int, *_: object) -> int:
        if action == apsw.SQLITE_SELECT:
            compiled.append(action)
        return apsw.SQLITE_OK

    def check(transaction: Transaction) -> None:
        connection.authorizer = allow
        for value in ("a", "b", "c"):
            bounds = IndexBounds(ROWS, "by_all", (value,), (1.0,))
            list(transaction.scan(bounds, descending=True))
        connection.authorizer = None

    in_vain(storage, check)
    assert len(compiled) == 1
