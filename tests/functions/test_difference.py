"""The difference of two versions of an app, as a plan and the list of versions show it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flow_backend.functions.difference import Changes, difference
from flow_backend.functions.loader import load_version, unload_version
from flow_backend.functions.registry import App, load_app

BEFORE = '''
from attrs import frozen
from flow_backend import *

@frozen
class Part:
    size: int

@document("notes")
class Note(Document):
    text: str
    stars: int = 0
    parts: list[Part]
    by_text = Index("text")
    by_stars = Index("stars")
    words = SearchIndex("text")

@document("lists")
class List(Document):
    name: str
    first: Id[Note] | None = None
    by_first = Index("first")
    first_note = Reference("first", on_delete="null")

@query
def texts(ctx: QueryCtx) -> list[str]:
    """Give all texts."""
    return [note.text for note in ctx.db.scan(Note)]

@query
def parts(ctx: QueryCtx) -> list[Part]:
    return []

@mutation
def add(ctx: MutationCtx, text: str, note: str | None = None) -> None:
    if text in {"a", "b"}:
        return

@mutation
def clear(ctx: MutationCtx) -> None: ...

@http_action(path="/hook", method="POST")
async def hook(ctx: ActionCtx, request: HttpRequest) -> HttpResponse:
    return HttpResponse(200)
'''
CRONS = """
from flow_backend import *
from app.notes import add, clear

crons = Crons()
crons.interval("tidy", seconds=60, run=clear)
crons.daily("note", at="09:00", zone="UTC", run=add, text="x")
"""


def versions(tmp_path: Path, *changes: tuple[str, str]) -> tuple[App, App]:
    """Load the app as it is, and with some texts replaced."""
    apps: list[App] = []
    after, crons = BEFORE, CRONS
    for old, new in changes:
        assert old in after + crons, old
        after, crons = after.replace(old, new), crons.replace(old, new)
    for number, (notes, schedule) in enumerate([(BEFORE, CRONS), (after, crons)], 1):
        folder = tmp_path / str(number) / "app"
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder / "notes.py").write_text(notes)
        (folder / "crons.py").write_text(schedule)
        unload_version("app", number)
        apps.append(load_version(folder.parent, "app", number))
    return apps[0], apps[1]


@pytest.fixture(autouse=True)
def unloaded() -> Iterator[None]:
    """Leave no version behind: other tests load some of the same numbers."""
    yield
    for number in (1, 2):
        unload_version("app", number)


def between(tmp_path: Path, *changes: tuple[str, str]) -> dict[str, Any]:
    return dict(difference(*versions(tmp_path, *changes)).as_json())


def test_the_same_code_is_no_difference(tmp_path: Path) -> None:
    """Each version has classes of its own, and it may stand elsewhere in its file."""
    assert between(tmp_path) == {}
    moved = tmp_path / "moved"
    assert between(moved, ("from attrs", "# One line more.\nfrom attrs")) == {}


def test_all_of_a_first_version_is_new(tmp_path: Path) -> None:
    app, _ = versions(tmp_path)
    found = difference(None, app)

    assert found.functions.added == ("notes:add", "notes:clear", "notes:parts", "notes:texts")
    assert found.tables.added == ("lists", "notes")
    assert found.indexes.added == (
        "lists.by_first",
        "notes.by_stars",
        "notes.by_text",
        "notes.words",
    )
    assert found.crons.added == ("note", "tidy")
    assert found.routes.added == ("POST /hook",)


def test_functions_that_come_go_and_change_are_told_apart(tmp_path: Path) -> None:
    found = between(
        tmp_path,
        ("def clear", "def empty"),
        ("import add, clear", "import add, empty as clear"),
        ("return []", "return [Part(1)]"),
        ("text: str, note: str | None = None", "text: str, note: str"),
        ("list[str]:", "list[str] | None:"),
    )

    assert found["functions"] == {
        "added": ["notes:empty"],
        "removed": ["notes:clear"],
        "changed": {
            "notes:add": ["arguments"],
            "notes:parts": ["code"],
            "notes:texts": ["result"],
        },
    }
    assert found["crons"] == {"added": [], "removed": [], "changed": {"tidy": ["function"]}}
    assert found.keys() == {"functions", "crons"}


def test_a_class_that_changes_is_seen_wherever_it_stands(tmp_path: Path) -> None:
    found = between(tmp_path, ("size: int", "size: int | None"))

    assert found["functions"]["changed"] == {"notes:parts": ["result"]}
    assert found["tables"]["changed"] == {"notes": ["parts"]}


def test_kind_and_visibility_are_parts_of_a_function(tmp_path: Path) -> None:
    found = between(
        tmp_path,
        ("@query\ndef parts(ctx: QueryCtx)", "@mutation\ndef parts(ctx: MutationCtx)"),
        ("@mutation\ndef clear", "@internal_mutation\ndef clear"),
    )

    assert found["functions"]["changed"] == {
        "notes:clear": ["visibility"],
        "notes:parts": ["kind"],
    }


def test_tables_and_indexes_are_compared_by_their_fields(tmp_path: Path) -> None:
    found = between(
        tmp_path,
        (
            '@document("lists")\nclass List(Document):\n    name: str\n'
            '    first: Id[Note] | None = None\n    by_first = Index("first")\n'
            '    first_note = Reference("first", on_delete="null")\n',
            "",
        ),
        ("    stars: int = 0\n", "    marks: int = 0\n    text2: str = ''\n"),
        ('by_stars = Index("stars")', 'by_marks = Index("marks")'),
        ('by_text = Index("text")', 'by_text = Index("text", unique=True)'),
    )

    assert found["tables"] == {
        "added": [],
        "removed": ["lists"],
        "changed": {"notes": ["+marks", "+text2", "-stars"]},
    }
    assert found["indexes"] == {
        "added": ["notes.by_marks"],
        "removed": ["lists.by_first", "notes.by_stars"],
        "changed": {"notes.by_text": ["unique"]},
    }


def test_searches_and_references_are_compared_too(tmp_path: Path) -> None:
    found = between(
        tmp_path,
        ('on_delete="null"', 'on_delete="restrict"'),
        ('SearchIndex("text")', 'SearchIndex("text", within=("stars",))'),
    )

    assert found["tables"]["changed"] == {"lists": ["on delete of first"]}
    assert found["indexes"]["changed"] == {"notes.words": ["within"]}


def test_crons_and_routes_are_compared_too(tmp_path: Path) -> None:
    found = between(
        tmp_path,
        ("09:00", "09:30"),
        ('text="x"', 'text="y"'),
        ('crons.interval("tidy", seconds=60, run=clear)\n', ""),
        ('"/hook", method="POST"', '"/hook", method="PUT"'),
    )

    assert found["crons"] == {
        "added": [],
        "removed": ["tidy"],
        "changed": {"note": ["schedule", "arguments"]},
    }
    assert found["routes"] == {"added": ["PUT /hook"], "removed": ["POST /hook"], "changed": {}}


def test_nothing_changed_is_false() -> None:
    assert not Changes()
    assert Changes(("a",))


@pytest.mark.slow
def test_flow_is_equal_to_itself() -> None:
    app = load_app("flow")

    assert difference(app, app).as_json() == {}
