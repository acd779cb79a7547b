"""Documents: frozen, decoded when first looked at, equal by id and fields."""

import attrs
import pytest
from attrs.exceptions import FrozenInstanceError

from flow_backend.errors import InvalidRange, SchemaError
from flow_backend.schema.document import (
    Document,
    Id,
    bytes_of_rows,
    document,
    stored,
    stored_row,
    stored_rows,
)
from flow_backend.schema.index import Index, KeyRange
from flow_backend.schema.model import build_schema


@document("notes")
class Note(Document):
    title: str
    stars: int = 0
    tags: tuple[str, ...] = ()

    by_title = Index("title", "stars")


build_schema([Note])
RAW = b'{"_creationTime":5.0,"_id":"n1","stars":2.0,"tags":["a"],"title":"t"}'
ROW = (1, "n1", 5.0, RAW, True)


def test_a_stored_document_reads_as_its_class() -> None:
    note = stored_row(Note, ROW)
    assert (note.id, note.created, note.title, note.stars, note.tags) == ("n1", 5.0, "t", 2, ("a",))
    assert isinstance(note.id, Id)
    assert note == stored(Note, "n1", 5.0, RAW, True)
    assert hash(note) == hash(stored(Note, "n1", 5.0, RAW, True))
    assert [each.id for each in stored_rows(Note, [ROW, (2, "n2", 6.0, RAW, True)])] == ["n1", "n2"]


def test_a_new_document_has_no_id() -> None:
    note = Note(title="t")
    with pytest.raises(AttributeError, match="has no id yet: insert it, and read it again"):
        _ = note.id
    with pytest.raises(AttributeError, match="has no created yet"):
        _ = note.created
    assert note != stored_row(Note, ROW)


def test_a_document_is_frozen_and_evolves() -> None:
    note = stored_row(Note, ROW)
    with pytest.raises(FrozenInstanceError):
        note.title = "x"  # type: ignore[misc]  # pyright: ignore
    changed = attrs.evolve(note, title="x")  # type: ignore[misc]  # mypy knows attrs' own decorators.
    assert (changed.title, changed.stars, changed.tags) == ("x", 2, ("a",))
    with pytest.raises(AttributeError, match="has no field 'missing'"):
        _ = note.missing  # type: ignore[attr-defined]  # pyright: ignore


def test_only_unchanged_documents_of_the_class_are_spliced() -> None:
    good = stored_row(Note, ROW)
    old = stored_row(Note, (1, "n1", 5.0, RAW, False))
    assert bytes_of_rows([good, good], Note) == [RAW, RAW]
    changed = attrs.evolve(good, title="x")  # type: ignore[misc]  # The same.
    for other in (old, Note(title="t"), "text", changed):
        assert bytes_of_rows([good, other], Note) is None
    assert bytes_of_rows([], Note) is None


def test_indexes_give_ranges() -> None:
    assert Note.by_title["a"] == KeyRange(Note, "by_title", ("a",))
    assert Note.by_title["a", 2] == KeyRange(Note, "by_title", ("a", 2))
    assert Note.by_title["a", 1:3] == KeyRange(Note, "by_title", ("a",), (1,), (3,))
    assert Note.by_title[:"b"] == KeyRange(Note, "by_title", (), (), ("b",))
    with pytest.raises(InvalidRange, match="3 values were given, but the index has 2 fields"):
        _ = Note.by_title["a", 1, 2]
    with pytest.raises(InvalidRange, match="only the last part may be a range"):
        _ = Note.by_title["a":"b", 1]
    with pytest.raises(InvalidRange, match="a range has no step"):
        _ = Note.by_title["a", 1:3:2]


def test_a_table_is_a_document() -> None:
    with pytest.raises(SchemaError, match="Plain must inherit from Document"):

        @document("plains")  # pyright: ignore
        class Plain:  # type: ignore[type-var]
            name: str


@document("drafts")
class Draft(Note):
    ready: bool = False


def test_a_document_has_the_fields_of_the_class_that_it_inherits_from() -> None:
    spec = build_schema([Draft]).tables["drafts"]

    draft = stored(Draft, "a", 1.0, b'{"ready":true,"title":"of Note"}', True)

    assert (draft.ready, draft.title) == (True, "of Note")
    assert [index.name for index in spec.indexes] == ["by_title"]
    assert Draft.by_title["t"].document is Draft
