"""Indexes of a large table are built beside what is used, and in use only when they are whole."""

import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from flow_backend.errors import InvalidRange, SwitchRefused
from flow_backend.schema.table import ColumnKind, FieldSpec, IndexSpec, SearchSpec
from flow_backend.storage import build
from flow_backend.storage.base import IndexBounds, Progress, Storage, TableName, Transaction
from tests.effort import cases
from tests.storage.support import (
    BOARDS_SPEC,
    TASKS,
    TASKS_SPEC,
    FileEngine,
    add,
    change,
    ids,
    job,
    read,
    remove,
    write_connection,
)

BOARDS = TableName("boards")
SIZE = FieldSpec("size", ColumnKind.INTEGER, has_default=True, default=7.0)
NEXT = evolve(
    TASKS_SPEC,
    fields={**TASKS_SPEC.fields, "size": SIZE},
    indexes=(
        *TASKS_SPEC.indexes,
        IndexSpec("by_title", ("title",)),
        IndexSpec("by_size", ("size", "title")),
    ),
    searches=(SearchSpec("text", ("title",), ()),),
    fingerprint="2",
)
SPECS = (NEXT, BOARDS_SPEC)


@pytest.fixture(autouse=True)
def small_tables_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "INLINE_ROWS", 3)


def log(transaction: Transaction) -> None:
    created = transaction.next_creation_time()
    name = f"log {created}"
    transaction.insert(BOARDS, name, {"_id": name, "_creationTime": created, "name": "x"})


def fill(storage: Storage, *names: str) -> None:
    storage.writer.commit([job(lambda tx: [add(tx, each, title=f"of {each}") for each in names])])


def finish(storage: Storage, rows: int = 2) -> list[Progress]:
    told = [storage.writer.build_some(rows)]
    while not told[-1].complete:
        assert len(told) < 1000
        told.append(storage.writer.build_some(rows))
    return told


def titles(storage: Storage) -> list[str]:
    return ids(read(storage, IndexBounds(TASKS, "by_title")))


def test_it_is_in_use_after_the_switch_and_not_before(tmp_path: Path) -> None:
    storage = FileEngine(tmp_path)((TASKS_SPEC, BOARDS_SPEC))
    fill(storage, *"cabfed")

    assert storage.writer.begin_build(SPECS) == Progress(0, 6)
    told = finish(storage)

    assert [each.done for each in told][:4] == [2, 4, 6, 6]
    with pytest.raises(InvalidRange):
        titles(storage)
    storage.writer.switch(SPECS, log)
    assert titles(storage) == list("abcdef")
    assert ids(read(storage, IndexBounds(TASKS, "by_size", prefix=(7.0,)))) == list("abcdef")
    storage.close()


def test_the_switch_itself_fills_nothing_that_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = FileEngine(tmp_path)((TASKS_SPEC, BOARDS_SPEC))
    fill(storage, *"abcd")
    storage.writer.begin_build(SPECS)
    finish(storage)
    filled: list[int] = []
    whole = build.TableBuild.fill

    def noting(self: build.TableBuild, connection: Any, rows: Any) -> None:
        filled.append(len(rows))
        whole(self, connection, rows)

    monkeypatch.setattr(build.TableBuild, "fill", noting)
    fill(storage, "e")

    storage.writer.switch(SPECS, log)

    assert sum(filled) == 1, "what was written since, and no more"
    assert titles(storage) == list("abcde")
    storage.close()


def test_little_is_not_built_beside(tmp_path: Path) -> None:
    storage = FileEngine(tmp_path)((TASKS_SPEC, BOARDS_SPEC))
    fill(storage, "a", "b")

    assert storage.writer.begin_build(SPECS) is None
    storage.writer.switch(SPECS, log)
    assert titles(storage) == ["a", "b"]
    fill(storage, *"cdef")
    assert storage.writer.begin_build(SPECS) is None, "there is nothing to build"
    storage.close()


@pytest.mark.parametrize("done", range(9))
def test_it_goes_on_after_a_restart(tmp_path: Path, done: int) -> None:
    """What was written meanwhile, also before it is taken up again, is in it."""
    engine = FileEngine(tmp_path)
    storage = engine((TASKS_SPEC, BOARDS_SPEC))
    fill(storage, *"abcdefgh")
    storage.writer.begin_build(SPECS)
    for _ in range(done):
        storage.writer.build_some(2)
    storage.close()
    storage = engine((TASKS_SPEC, BOARDS_SPEC))
    storage.writer.commit([job(lambda tx: [change(tx, "a", title="zz"), remove(tx, "b")])])
    fill(storage, "i")

    progress = storage.writer.begin_build(SPECS)

    assert progress is not None
    assert progress.done == min(2 * done, 8) + (done > 4)
    finish(storage)
    storage.writer.switch(SPECS, log)
    assert titles(storage) == ["c", "d", "e", "f", "g", "h", "i", "a"]
    storage.close()


def test_a_build_for_another_schema_is_dropped(tmp_path: Path) -> None:
    storage = FileEngine(tmp_path)((TASKS_SPEC, BOARDS_SPEC))
    fill(storage, *"dcba")
    storage.writer.begin_build(SPECS)
    finish(storage)
    other = evolve(
        NEXT, indexes=(*TASKS_SPEC.indexes, IndexSpec("by_title", ("title", "rank"))), searches=()
    )

    storage.writer.begin_build((other, BOARDS_SPEC))
    finish(storage)
    storage.writer.switch((other, BOARDS_SPEC), log)

    assert titles(storage) == list("abcd")
    names = {row[0] for row in write_connection(storage).execute("SELECT name FROM sqlite_schema")}
    assert "tasks:by_title" in names
    assert "tasks:by_size" not in names
    assert not [name for name in names if "search" in str(name)]
    storage.close()


def test_an_abandoned_build_does_not_stand_in_the_way_of_a_start(tmp_path: Path) -> None:
    engine = FileEngine(tmp_path)
    storage = engine((TASKS_SPEC, BOARDS_SPEC))
    fill(storage, *"dcba")
    storage.writer.begin_build(SPECS)
    storage.writer.build_some(2)
    storage.close()

    storage = engine(SPECS)

    assert titles(storage) == list("abcd")
    storage.close()


def test_what_changes_under_its_name_is_refused_on_a_large_table(tmp_path: Path) -> None:
    storage = FileEngine(tmp_path)((TASKS_SPEC, BOARDS_SPEC))
    fill(storage, *"abcd")
    changed = evolve(TASKS_SPEC, indexes=(IndexSpec("by_due", ("due_at", "rank")),))

    with pytest.raises(SwitchRefused, match=r'"by_due" changes, .* Give the new one another name'):
        storage.writer.begin_build((changed, BOARDS_SPEC))
    storage.close()


def test_a_document_that_an_index_cannot_have_ends_the_build(tmp_path: Path) -> None:
    """The old version goes on, also with such documents."""
    storage = FileEngine(tmp_path)((TASKS_SPEC, BOARDS_SPEC))
    fill(storage, *"abcd")
    bad = {"$float": "AAAAAAAA+H8="}
    storage.writer.commit([job(lambda tx: add(tx, "e", size=bad))])
    floats = evolve(NEXT, fields={**NEXT.fields, "size": evolve(SIZE, kind=ColumnKind.KEY)})
    storage.writer.begin_build((floats, BOARDS_SPEC))

    with pytest.raises(SwitchRefused, match='document e of table "tasks" does not fit'):
        finish(storage)
    fill(storage, "f")
    storage.close()


def test_a_unique_index_is_checked_at_the_switch(tmp_path: Path) -> None:
    storage = FileEngine(tmp_path)((TASKS_SPEC, BOARDS_SPEC))
    fill(storage, *"abcd")
    unique = evolve(
        NEXT,
        indexes=(*TASKS_SPEC.indexes, IndexSpec("by_title", ("title",), unique=True)),
        searches=(),
    )
    storage.writer.begin_build((unique, BOARDS_SPEC))
    finish(storage)
    storage.writer.commit([job(lambda tx: add(tx, "e", title="of a"))])

    with pytest.raises(SwitchRefused, match="documents a and e have the same title"):
        storage.writer.switch((unique, BOARDS_SPEC), log)

    storage.writer.commit([job(lambda tx: remove(tx, "e"))])
    storage.writer.switch((unique, BOARDS_SPEC), log)
    assert titles(storage) == list("abcd")
    storage.close()


def test_whatever_is_written_meanwhile_is_in_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Against a dict: writes, steps of the build and restarts in any order."""

    @given(st.lists(st.integers(0, 9), min_size=5, max_size=60), st.integers(0, 2**32))
    @settings(max_examples=cases(25, 1500), deadline=None)
    def check(steps: list[int], seed: int) -> None:
        chance = random.Random(seed)
        engine = FileEngine(tmp_path_factory.mktemp("build"))
        storage = engine((TASKS_SPEC, BOARDS_SPEC))
        model = {f"t{number}": f"{number}" for number in range(8)}
        storage.writer.commit([job(lambda tx: [add(tx, k, title=v) for k, v in model.items()])])
        storage.writer.begin_build(SPECS)
        for number, step in enumerate(steps):
            name = chance.choice(sorted(model)) if model else "none"
            if step < 2:
                name = f"n{number}"
                model[name] = f"{chance.random()}"
                storage.writer.commit([job(partial(add, id=name, title=model[name]))])
            elif step < 4 and model:
                model[name] = f"{chance.random()}"
                storage.writer.commit([job(partial(change, id=name, title=model[name]))])
            elif step < 5 and model:
                del model[name]
                storage.writer.commit([job(partial(remove, id=name))])
            elif step < 6:
                storage.close()
                storage = engine((TASKS_SPEC, BOARDS_SPEC))
                storage.writer.begin_build(SPECS)
            else:
                storage.writer.build_some(chance.choice([1, 2, 3]))
        finish(storage)
        storage.writer.switch(SPECS, log)
        wanted = sorted(model, key=lambda name: model[name])
        assert titles(storage) == wanted
        assert ids(read(storage, IndexBounds(TASKS, "by_size"))) == wanted
        fts = '"tasks:text:search"'
        found = write_connection(storage).execute(
            f"SELECT count(*) FROM {fts} JOIN tasks ON tasks._rowid = {fts}.rowid"
        )
        assert found.fetchall() == [(len(model),)]
        storage.close()

    check()
