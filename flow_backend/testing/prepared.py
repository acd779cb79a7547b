"""Apps and their empty databases, made once for all tests of a process."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import attrs
from attrs import define, field

from flow_backend.functions.context import MutationCtx
from flow_backend.functions.function import Mutation
from flow_backend.functions.registry import App, BoundApp, load_app
from flow_backend.storage.base import Storage
from flow_backend.storage.files import SystemFiles
from flow_backend.storage.sqlite import open_files

_SHARED_MEMORY: Final = Path("/dev/shm")
_BEFORE_ALL_NS: Final = 10**9
"""When the empty databases were made: before the time of any test."""

Inside = Callable[[MutationCtx], None]

_inside: Final[list[Inside]] = []


def run_inside(ctx: MutationCtx) -> None:
    """Run what a test wants to do in a transaction, as if it were a function of the app."""
    _inside.pop()(ctx)


def ask_inside(work: Inside) -> None:
    """Let the next run of :data:`INSIDE` do this."""
    _inside[:] = [work]


INSIDE: Final[Mutation[[], None]] = Mutation(run_inside, "run", internal=True)
INSIDE.path = "_testing:run"


@define
class PreparedApp(App):
    """An app that is compiled only once for databases whose tables have the same numbers."""

    _bound: dict[tuple[tuple[str, int], ...], BoundApp] = field(
        factory=dict[tuple[tuple[str, int], ...], BoundApp], init=False
    )

    def bind(self, table_numbers: Mapping[str, int]) -> BoundApp:
        """Compile the app, or give what was compiled before. Raises: AppDefinitionError."""
        key = tuple(sorted(table_numbers.items()))
        if (bound := self._bound.get(key)) is None:
            bound = self._bound[key] = super().bind(table_numbers)
        return bound


@define(eq=False)
class Prepared:
    """An app, and the files of an empty database of its tables."""

    app: PreparedApp
    _files: dict[str, bytes] | None = None

    def open_storage(self, now_ns: Callable[[], int]) -> Storage:
        """Open a database in memory, which is gone when it is closed."""
        if self._files is None:
            self._files = self._make()
        return self._open(self._files, now_ns)

    def _make(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        storage = self._open({}, lambda: _BEFORE_ALL_NS, found)
        storage.close()
        return found

    def _open(
        self,
        files: Mapping[str, bytes],
        now_ns: Callable[[], int],
        left: dict[str, bytes] | None = None,
    ) -> Storage:
        """Open the database in these files; what is left of them goes into ``left``."""
        parent = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
        folder = tempfile.TemporaryDirectory(prefix="flow-", dir=parent)
        place = Path(folder.name)

        def clean_up() -> None:
            if left is not None:
                left.update({each.name: each.read_bytes() for each in place.iterdir()})
            folder.cleanup()

        for name, content in files.items():
            (place / name).write_bytes(content)
        try:
            return open_files(
                SystemFiles(place),
                list(self.app.schema.tables.values()),
                now_ns=now_ns,
                on_close=clean_up,
            )
        except BaseException:
            folder.cleanup()
            raise


_by_name: Final[dict[str, Prepared]] = {}
_made: Final[dict[int, tuple[App, Prepared]]] = {}


def prepare(app: App | ModuleType | str) -> Prepared:
    """Load an app, given its package or that one's name, or take one that ``make_app`` made.

    Raises: AppDefinitionError that says file, line and what is wrong.
    """
    if isinstance(app, App):
        if id(app) not in _made:  # It is kept, so that no other one can have its id.
            _made[id(app)] = (app, Prepared(_extended(app)))
        return _made[id(app)][1]
    name = app if isinstance(app, str) else app.__name__
    if name not in _by_name:
        _by_name[name] = Prepared(_extended(load_app(name)))
    return _by_name[name]


def _extended(app: App) -> PreparedApp:
    parts: dict[str, Any] = {each.name: getattr(app, each.name) for each in attrs.fields(App)}
    parts["functions"] = {**app.functions, INSIDE.path: INSIDE}
    return PreparedApp(**parts)
