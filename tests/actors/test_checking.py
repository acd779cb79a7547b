"""Stored documents are held against another version's classes, in a thread and in a process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from flow_backend import Document, document
from flow_backend.actors import checking
from flow_backend.actors.checking import DocumentCheck
from flow_backend.errors import CheckFailed
from flow_backend.functions.fit import Misfits, fields_to_check
from flow_backend.functions.loader import load_version, unload_version
from flow_backend.functions.registry import BoundApp, make_app
from flow_backend.runtime import SystemRuntime
from flow_backend.schema.ids import encode_id
from flow_backend.storage.base import Done, Job, Storage, TableName, Transaction
from flow_backend.storage.sqlite import open_storage
from flow_backend.values.encode import to_wire

NOTES = TableName("notes")
HEAD = "from flow_backend import *\nimport attrs\n"
NEXT = """
@document("people")
class Person(Document):
    name: str

@document("notes")
class Note(Document):
    text: str
    stars: int
    owner: Id[Person] | None = None
    labels: list[str] = attrs.field(factory=list)
"""


@document("people")
class Person(Document):
    name: str


@document("notes")
class Note(Document):
    text: str
    stars: float | str
    owner: str | None = None


BEFORE = make_app("small", [Person, Note], {})


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    storage = open_storage(
        tmp_path / "data", tuple(BEFORE.schema.tables.values()), now_ns=SystemRuntime().now_ns
    )
    yield storage
    storage.close()


@pytest.fixture(params=["thread", "process"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(checking, "_PROCESS_FROM", 0 if request.param == "process" else 10**9)
    return request.param


def put(storage: Storage, ident: str, **fields: Any) -> None:
    def run(transaction: Transaction) -> Done:
        row = transaction.get(NOTES, ident)
        whole = {"text": "a", "stars": 1.0, "owner": None, **fields}
        document: Any = {"_id": ident, "_creationTime": 0.0, **to_wire(whole)}  # type: ignore[dict-item]
        if row is None:
            document["_creationTime"] = transaction.next_creation_time()
            transaction.insert(NOTES, ident, document)
        else:
            transaction.replace(NOTES, row, {**document, "_creationTime": row[2]})
        return Done(b"null")

    storage.writer.commit([Job(run)])


def version(tmp_path: Path, source: str = NEXT) -> tuple[Path, BoundApp]:
    """Load the next version of the app."""
    root = tmp_path / "version"
    (root / "small").mkdir(parents=True)
    (root / "small" / "__init__.py").write_text("")
    (root / "small" / "schema.py").write_text(HEAD + source)
    app = load_version(root, "small", 7)
    return root, app.bind({"people": 10_001, "notes": 10_002})


async def check(storage: Storage, tmp_path: Path, source: str = NEXT) -> tuple[Misfits, list[int]]:
    root, app = version(tmp_path, source)
    try:
        tables = {str(name): spec for name, spec in storage.tables.items()}
        told: list[int] = []
        checked = await DocumentCheck(
            storage=storage,
            runtime=SystemRuntime(),
            app=app,
            fields=fields_to_check(tables, app.schema.tables),
            root=str(root),
            version=7,
            on_progress=lambda done, total: told.append(done) or told.append(total),
        ).run()
    finally:
        unload_version("small", 7)
    return checked.misfits, told


@pytest.mark.usefixtures("way")
async def test_each_misfit_is_named_with_its_place_and_reason(
    storage: Storage, tmp_path: Path
) -> None:
    person = encode_id(storage.table_numbers[TableName("people")], b"0" * 16)
    other = encode_id(storage.table_numbers[NOTES], b"0" * 16)
    put(storage, "n1", owner=person)
    put(storage, "n2", stars=0.5)
    put(storage, "n3", stars="many")
    put(storage, "n4", owner=other)

    found, _ = await check(storage, tmp_path)

    assert (found.checked, found.count) == (4, 3)
    assert [(each.id, each.path) for each in found.first] == [
        ("n2", "stars"),
        ("n3", "stars"),
        ("n4", "owner"),
    ]
    assert found.first[1].reason == "expected a whole number within ±2^53, has 'many'"
    assert found.first[1].text.startswith('table "notes", document n3, stars: expected')
    assert "Id[Person]" in found.first[2].reason or "people" in found.first[2].reason


@pytest.mark.usefixtures("way")
async def test_a_new_field_needs_a_default(storage: Storage, tmp_path: Path) -> None:
    for number in range(50):
        put(storage, f"n{number}")
    source = NEXT + "    title: str\n    ready: bool = False\n"

    found, _ = await check(storage, tmp_path, source.replace("stars: int", "stars: float | str"))

    assert (found.checked, found.count, len(found.first)) == (50, 50, 20)
    assert {(each.path, each.reason) for each in found.first} == {
        ("title", "the field is required, and this document has none: give it a default")
    }


async def test_progress_is_told_of_many(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "_PROCESS_FROM", 10)
    for number in range(30):
        put(storage, f"n{number}")

    found, told = await check(storage, tmp_path)

    assert (found.checked, found.count) == (30, 0)
    assert told[:2] == [30, 30]


def test_what_is_as_it_was_is_not_looked_at(tmp_path: Path) -> None:
    _, app = version(tmp_path, NEXT.replace("stars: int", "stars: float | str"))
    unload_version("small", 7)

    assert fields_to_check(BEFORE.schema.tables, app.schema.tables) == {
        "notes": ("owner", "labels")
    }
    assert fields_to_check(app.schema.tables, app.schema.tables) == {}
    assert fields_to_check({}, BEFORE.schema.tables).keys() >= {"people", "notes"}


@pytest.mark.usefixtures("way")
async def test_writes_meanwhile_are_checked_too(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of them by the writer, in the commit that switches."""
    put(storage, "n1", stars="bad, but mended")
    put(storage, "n2")
    run_all = DocumentCheck._newer

    def meanwhile(check: DocumentCheck, checked: checking.Checked) -> checking.Checked:
        put(storage, "n3", stars="bad")
        return run_all(check, checked)

    monkeypatch.setattr(DocumentCheck, "_newer", meanwhile)
    root, app = version(tmp_path)
    specs = tuple(app.schema.tables.values())
    check = DocumentCheck(
        storage=storage,
        runtime=SystemRuntime(),
        app=app,
        fields={"notes": ("stars",)},
        root=str(root),
        version=7,
    )
    checked = await check.run()
    unload_version("small", 7)
    assert [each.id for each in checked.misfits.first] == ["n1", "n3"]

    put(storage, "n1", stars=2.0)
    put(storage, "n4", stars="bad")
    rests: list[Misfits] = []

    def record(transaction: Transaction) -> None:
        rests.append(check.rest(transaction, checked.position))
        created = transaction.next_creation_time()
        transaction.insert(
            NOTES,
            "log",
            {"_id": "log", "_creationTime": created, "text": "x", "stars": 0.0, "owner": None},
        )

    storage.writer.switch(specs, record)
    assert [each.id for each in rests[0].first] == ["n4"]
    assert rests[0].checked == 2


async def test_a_process_that_fails_is_told(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(storage, "n1")
    monkeypatch.setattr(checking, "_PROCESS_FROM", 0)
    monkeypatch.setattr(checking.sys, "executable", "/bin/false")
    with trio.fail_after(30), pytest.raises(CheckFailed, match=r"failed \(1\)"):
        await check(storage, tmp_path)
