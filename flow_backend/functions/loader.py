"""Versions of an app beside each other: each is imported under module names of its own.

The package ``flow`` of version 12 stands in ``sys.modules`` as ``flow@12``, so that two versions
share nothing, and a version that is over can go. Its code is what its author wrote: ``from
flow.schema import Task`` means the version's own, wherever it stands, since each of its modules has
an ``__import__`` of the version.
"""

import builtins
import hashlib
import linecache
import logging
import os
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

from attrs import define, field

from flow_backend.errors import AppDefinitionError
from flow_backend.functions.registry import App, collect_app, import_package
from flow_backend.schema.plain_names import version_name


@define(eq=False)
class _Loaded:
    """A version in memory.

    Attributes:
        name: of its package in ``sys.modules``.
        root: the folder that holds the package.
        builtins: what its modules have for Python's own.
        codes: of its modules, by the path that is shown and a digest of the text.
    """

    name: str
    package: str
    root: Path
    builtins: Mapping[str, object]
    codes: dict[tuple[str, bytes], CodeType] = field(factory=dict[tuple[str, bytes], CodeType])


_loaded: Final[dict[str, _Loaded]] = {}
# Of the version that was loaded last: most files of the next one are the same, and code is shared.
_codes: Final[dict[tuple[str, bytes], CodeType]] = {}


def load_version(root: Path, package: str, number: int) -> App:
    """Import the package that stands in the folder ``root``, as version ``number`` of the app.

    Slow, and to be called from any thread; not for one version twice.

    Raises: AppDefinitionError that says file, line and what is wrong; nothing stays of it then.
    """
    name = version_name(package, number)
    assert name not in _loaded, name
    if not (root / package / "__init__.py").is_file():
        raise AppDefinitionError(
            f"There is no package {package!r}: an app is a folder with an __init__.py, a schema.py "
            "and its functions"
        )
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    loaded = _loaded[name] = _Loaded(name, package, root, _builtins(package, name))
    try:
        app = collect_app(package, name, import_package(name))
    except AppDefinitionError as error:
        unload_version(package, number)
        # Python's own words may name the file where the server has it.
        raise AppDefinitionError(str(error).replace(f"{root}{os.sep}", "")) from error
    except BaseException:
        unload_version(package, number)
        raise
    _codes.clear()
    _codes.update(loaded.codes)
    return app


def unload_version(package: str, number: int) -> None:
    """Forget a version; nothing of it may run or import any more. Once more does nothing.

    Its classes and functions are garbage then, once the caller has let go of its App: they stand in
    cycles, which go with the next full collection.
    """
    name = version_name(package, number)
    loaded = _loaded.pop(name, None)
    if loaded is None:
        return
    for module in [each for each in sys.modules if _is_in(each, name)]:
        del sys.modules[module]
    for logger in [each for each in logging.root.manager.loggerDict if _is_in(each, name)]:
        del logging.root.manager.loggerDict[logger]
    folder = str(loaded.root / loaded.package)
    for path in [each for each in sys.path_importer_cache if each.startswith(folder)]:
        del sys.path_importer_cache[path]
    # The methods that attrs writes have their text here, under the names of their classes.
    for file in [each for each in linecache.cache if f"{name}." in each or folder in each]:
        del linecache.cache[file]
    # Id[Task] and the like are kept there, and with them the class.
    for clear in getattr(typing, "_cleanups", ()):
        clear()


def loaded_versions() -> Sequence[str]:
    """Give the names of the versions that are in memory, such as ``flow@12``."""
    return tuple(_loaded)


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _builtins(package: str, name: str) -> dict[str, object]:
    """Make Python's own names for a version: an import of the package means the version's."""
    outer: Callable[..., Any] = builtins.__import__

    def import_(
        wanted: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002  # As Python names it.
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if level == 0 and _is_in(wanted, package):
            wanted = name + wanted[len(package) :]
        return outer(wanted, globals, locals, fromlist, level)

    return {**vars(builtins), "__import__": import_}


class _Finder(MetaPathFinder):
    """Finds the modules of versions, and of nothing else."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        top, _, _ = fullname.partition(".")
        loaded = _loaded.get(top)
        if loaded is None:
            return None
        if fullname == top:
            return self._spec(loaded, fullname, loaded.root / loaded.package / "__init__.py")
        last = fullname.rpartition(".")[2]
        for folder in path or ():
            for file in (Path(folder, last, "__init__.py"), Path(folder, f"{last}.py")):
                if file.is_file():
                    return self._spec(loaded, fullname, file)
        return PathFinder.find_spec(fullname, path, target)

    def _spec(self, loaded: _Loaded, fullname: str, file: Path) -> ModuleSpec | None:
        # No look into cached folders: a file that was written just now is there.
        folder = [str(file.parent)] if file.name == "__init__.py" else None
        return spec_from_file_location(
            fullname,
            file,
            loader=_Loader(loaded, fullname, file),
            submodule_search_locations=folder,
        )


_FINDER: Final = _Finder()


class _Loader(SourceFileLoader):
    """Loads one module of a version.

    Attributes:
        shown_path: the file as its author knows it, from the folder that holds the package.
    """

    def __init__(self, version: _Loaded, fullname: str, file: Path) -> None:
        super().__init__(fullname, str(file))
        self._version = version
        self.shown_path = file.relative_to(version.root).as_posix()

    def get_code(self, fullname: str) -> CodeType:
        text = self.get_data(self.path)
        key = self.shown_path, hashlib.blake2b(text, digest_size=16).digest()
        code = _codes.get(key)
        if code is None:
            code = self.source_to_code(text, self.shown_path)
        self._version.codes[key] = code
        return code

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self._version.builtins
        exec(self.get_code(module.__name__), module.__dict__)  # It is the app.
