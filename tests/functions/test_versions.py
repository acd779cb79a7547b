"""Versions of an app beside each other: nothing is shared, and what is over goes."""

import gc
import linecache
import logging
import sys
import traceback
import weakref
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from flow_backend.errors import AppDefinitionError
from flow_backend.functions.loader import load_version, loaded_versions, unload_version
from flow_backend.functions.registry import App, BoundApp
from flow_backend.schema.document import Document

NUMBERS = {
    "boards": 10_001,
    "tasks": 10_002,
    "_scheduled_functions": 513,
    "_crons": 514,
    "_deployments": 515,
}

FILES = {
    "__init__": "",
    "constants": "VERSION = {number}\n",
    "schema": """
from __future__ import annotations
import attrs
from flow_backend import Document, Id, Index, Page, document

@attrs.frozen
class Place:
    room: str
    after: Place | None = None

@document("boards")
class Board(Document):
    name: str

@document("tasks")
class Task(Document):
    board: Id[Board]
    place: Place | None = None
    parent: Id[Task] | None = None
    by_board = Index("board")
""",
    "tasks": """
import logging
import app.constants
import app.schema as other_name
from flow_backend import Id, Page, PaginationOptions, QueryCtx, mutation, query
from app import constants as whole
from app.constants import VERSION as absolute
from .constants import VERSION as relative
from app.schema import Board, Place, Task
from .parts.deep import deep

logging.getLogger(__name__)

@query
def versions(ctx: QueryCtx) -> list[int]:
    from app.constants import VERSION as lazy
    from . import constants as near
    import app.lazy
    import app.parts.deep as there
    assert other_name.Task is Task
    return [
        absolute, relative, lazy, app.constants.VERSION, whole.VERSION, near.VERSION,
        app.lazy.VERSION, deep(), there.deep(),
    ]

@query
def of_board(ctx: QueryCtx, board: Id[Board], page: PaginationOptions) -> Page[Task]:
    return ctx.db.scan(Task.by_board[board]).paginate(page)

@query
def placed(ctx: QueryCtx, place: Place | None, ids: dict[Id[Task], list[Place]]) -> Task | None:
    raise ValueError(f"{Task} is not here")
""",
    "lazy": "from app.constants import VERSION\n",
    "parts/__init__": "",
    "parts/deep": "from ..constants import VERSION\ndef deep() -> int:\n    return VERSION\n",
}

Load = Callable[..., App]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Write a version of an app, with some files of its own, and load it."""
    numbers = count(1)
    used: list[int] = []

    def write(**files: str) -> App:
        number = next(numbers)
        used.append(number)
        root = tmp_path / str(number)
        for name, text in {
            **FILES,
            **{k.replace("__in__", "/"): v for k, v in files.items()},
        }.items():
            path = root / "app" / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("{number}", str(number)))
        return load_version(root, "app", number)

    yield write
    for number in used:
        unload_version("app", number)


def versions_of(app: App) -> set[int]:
    return set(app.functions["tasks:versions"].call(None))


def test_each_version_imports_its_own_modules_however_it_names_them(load: Load) -> None:
    """Absolute, relative, lazy, with and without ``as``: two versions take turns, unmixed."""
    first, second = load(), load()

    for _ in range(2):
        assert versions_of(first) == {1}
        assert versions_of(second) == {2}
    assert "app" not in sys.modules
    assert "app.constants" not in sys.modules
    assert first.schema.documents["tasks"] is not second.schema.documents["tasks"]


def test_a_version_is_the_app_as_it_was_written(load: Load) -> None:
    app = load()

    assert app.name == "app"
    assert set(app.functions) == {"tasks:versions", "tasks:of_board", "tasks:placed"}
    assert app.functions["tasks:versions"].path == "tasks:versions"
    app.bind(NUMBERS)


def test_the_same_schema_has_the_same_fingerprints(load: Load) -> None:
    """Else each deploy would check every document, and each document would be encoded anew."""
    first, second = load(), load()

    assert first.schema.tables == second.schema.tables


def test_a_class_inside_a_document_is_part_of_the_fingerprint(load: Load) -> None:
    """A stored value of it may not fit any more, although the document's class is the same."""
    first = load()
    second = load(schema=FILES["schema"].replace("    room: str", "    room: str\n    seat: int"))

    assert first.schema.tables["tasks"] != second.schema.tables["tasks"]
    assert first.schema.tables["boards"] == second.schema.tables["boards"]


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("tasks", "x = 1\ndef broken(:\n", "app/tasks.py:2: SyntaxError"),
        (
            "tasks",
            "\n\nimport app.nothing\n",
            "app/tasks.py:3: ModuleNotFoundError: No module named 'app.nothing'",
        ),
        (
            "tasks",
            "from app.schema import Nothing\n",
            "app/tasks.py:1: ImportError: cannot import name 'Nothing' from 'app.schema'",
        ),
        ("parts/deep", "\n1 / 0\n", "app/parts/deep.py:2: ZeroDivisionError"),
        ("schema", FILES["schema"] + "    bad: set[str]\n", "app/schema.py:15: Task.bad"),
        ("crons", "crons = 5\n", "app/crons.py: crons.py declares"),
    ],
)
def test_an_error_names_the_authors_own_file(
    load: Load, tmp_path: Path, file: str, text: str, told: str
) -> None:
    """Not where the server unpacked it, and no number that the author never wrote."""
    with pytest.raises(AppDefinitionError) as caught:
        load(**{file: text})

    message = str(caught.value)
    assert told in message
    assert "@" not in message
    assert str(tmp_path) not in message
    assert loaded_versions() == ()
    assert not [each for each in sys.modules if each.startswith("app@")]


def test_an_error_at_run_time_names_the_authors_own_file(load: Load) -> None:
    app = load()
    with pytest.raises(ValueError, match="is not here") as caught:
        app.functions["tasks:placed"].call(None, None, {})

    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert frame.filename == "app/tasks.py"


@pytest.mark.slow
def test_a_version_that_is_unloaded_leaves_nothing(load: Load) -> None:
    """Thirty versions later there are as many classes and modules as after the first."""

    def use(app: App) -> list[weakref.ref[type[Document]]]:
        bound = app.bind(NUMBERS)
        converted = bound.types.structure({"room": "a"}, _place_class(app))
        assert repr(converted).startswith("Place")
        assert versions_of(app)
        return [weakref.ref(cls) for cls in _own_documents(bound)]

    baseline = -1
    for number in range(1, 8):
        classes = use(load())
        unload_version("app", number)
        gc.collect()
        assert [each() for each in classes] == [None] * 2
        kept = len(sys.modules) + len(linecache.cache) + len(sys.path_importer_cache)
        kept += len(logging.root.manager.loggerDict)
        assert baseline in {-1, kept}
        baseline = kept


def test_a_lazy_import_of_a_version_works_while_another_is_unloaded(load: Load) -> None:
    first, _ = load(), load()
    unload_version("app", 2)

    assert versions_of(first) == {1}


def _place_class(app: App) -> type:
    found = app.functions["tasks:placed"].call.__globals__["Place"]
    assert isinstance(found, type)
    return found


def _own_documents(bound: BoundApp) -> list[type[Document]]:
    return [cls for name, cls in bound.schema.documents.items() if not name.startswith("_")]
