"""What a new version does to the data that is there, told before anything is changed."""

from collections.abc import Iterator
from typing import Any

import pytest

from flow_backend.functions.function import action, mutation
from flow_backend.functions.jobs import NewJob, add_job
from flow_backend.functions.plan import LARGE_DOCUMENTS, make_plan
from flow_backend.functions.registry import App, make_app
from flow_backend.functions.seed import Seed
from flow_backend.schema.document import Document, document
from flow_backend.schema.index import Index
from flow_backend.storage.base import Storage, TableName, Transaction
from flow_backend.storage.sqlite import open_memory_storage
from tests.storage.support import START_NS, Clock, job


@document("notes")
class Note(Document):
    text: str
    stars: float = 0.0

    by_text = Index("text")
    by_stars = Index("stars")


@document("notes")
class NoteWithout(Document):
    text: str
    stars: float = 0.0

    by_both = Index("text", "stars")


@document("lists")
class Shelf(Document):
    name: str


@mutation
def ring(ctx: Any) -> None: ...


@action
async def sound(ctx: Any) -> None: ...


OLD = make_app("app", [Note, Shelf], {"notes:ring": ring})


def add(transaction: Transaction, table: str, count: int, **fields: Any) -> None:
    for number in range(count):
        row = {"_id": f"{table}{number}", **fields}
        row["_creationTime"] = transaction.next_creation_time()
        transaction.insert(TableName(table), row["_id"], row)


@pytest.fixture
def storage() -> Iterator[Storage]:
    clock = Clock()
    storage = open_memory_storage(tuple(OLD.schema.tables.values()), now_ns=clock)
    yield storage
    storage.close()


def plan(storage: Storage, new: App) -> Any:
    snapshot = storage.open_snapshot()
    snapshot.begin()
    try:
        return make_plan(OLD, new, snapshot)
    finally:
        snapshot.close()


def test_a_table_with_documents_goes_only_if_somebody_agrees(storage: Storage) -> None:
    new = make_app("app", [Note], {"notes:ring": ring})
    assert plan(storage, new).agreements == ()

    storage.writer.commit([job(lambda tx: add(tx, "lists", 3, name="x"))])

    found = plan(storage, new)
    assert found.gone == {"lists": 3}
    [text] = found.agreements
    assert text.startswith("The table lists leaves the schema with 3 documents.")
    assert found.as_json()["gone"] == [{"name": "lists", "documents": 3.0}]
    assert plan(storage, OLD).as_json() == {}


def test_an_index_to_fill_and_one_that_goes_are_counted(storage: Storage) -> None:
    new = make_app("app", [NoteWithout, Shelf], {"notes:ring": ring})
    storage.writer.commit([job(lambda tx: add(tx, "notes", 2, text="x", stars=0.0))])

    found = plan(storage, new)

    assert found.fills == {"notes.by_both": 2}
    assert found.changes.indexes.removed == ("notes.by_stars", "notes.by_text")
    assert (found.gone, found.agreements) == ({}, ())


@pytest.mark.slow
def test_a_large_index_goes_only_if_somebody_agrees(storage: Storage) -> None:
    new = make_app("app", [NoteWithout, Shelf], {"notes:ring": ring})
    storage.writer.commit([job(lambda tx: add(tx, "notes", LARGE_DOCUMENTS, text="x", stars=0.0))])

    found = plan(storage, new)

    assert found.gone == {"notes.by_stars": LARGE_DOCUMENTS, "notes.by_text": LARGE_DOCUMENTS}
    assert found.agreements[0].startswith("The index notes.by_stars goes, over 10,000 documents")


def test_jobs_whose_function_goes_are_counted(storage: Storage) -> None:
    due = START_NS / 1e6 + 60_000

    def schedule(transaction: Transaction) -> None:
        seed = Seed(1)
        for path, runs in [("notes:ring", "mutation"), ("gone:f", "action"), ("gone:f", "action")]:
            new_job: Any = NewJob(path, {}, due, runs)  # type: ignore[arg-type]
            add_job(transaction, seed, new_job)

    storage.writer.commit([job(schedule)])

    found = plan(storage, OLD)
    assert found.jobs == {"gone:f": 2}
    assert found.agreements[0].startswith("2 scheduled jobs name gone:f, which this version")
    other_kind = make_app("app", [Note, Shelf], {"notes:ring": sound})
    assert plan(storage, other_kind).jobs == {"gone:f": 2, "notes:ring": 1}
