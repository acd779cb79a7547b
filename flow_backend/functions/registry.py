"""An app: a Python package with a schema and functions, loaded and checked as a whole."""

import importlib
import inspect
import pkgutil
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final, cast

from attrs import define, field

from flow_backend.auth.providers import AuthProvider
from flow_backend.errors import (
    AppDefinitionError,
    FlowError,
    InvalidId,
    SchemaError,
    UnknownFunction,
)
from flow_backend.functions.crons import Cron, Crons
from flow_backend.functions.env import Environment, variables_of
from flow_backend.functions.function import Function, Kind
from flow_backend.functions.http import HttpAction, Router
from flow_backend.functions.limits import Interrupted
from flow_backend.functions.scheduler import SYSTEM_FUNCTIONS
from flow_backend.functions.system_queries import SYSTEM_QUERIES
from flow_backend.functions.validate import Contract, compile_contract
from flow_backend.schema.convert import TypeConverter
from flow_backend.schema.document import Document
from flow_backend.schema.families import number_of_id
from flow_backend.schema.mismatch import Unstructure
from flow_backend.schema.model import Schema, build_schema, place_of
from flow_backend.schema.plain_names import plain_names
from flow_backend.storage.base import TableName

_KEPT_PLACES: Final = 16_384
_BUILT_IN: Final[Mapping[str, Function[..., Any]]] = {**SYSTEM_FUNCTIONS, **SYSTEM_QUERIES}
_NOT_FUNCTIONS: Final = frozenset({"schema", "auth", "cli", "web"})


@define
class App:
    """An app, ready to be served.

    Attributes:
        name: the package's name.
        schema: its tables.
        functions: by path, such as ``tasks:move``.
        providers: who issues its users' tokens; None if it has no ``auth.py``.
        web: the folder of its web client, if it has one.
        router: its HTTP routes.
        crons: what it does again and again, by name.
        env: the environment variables that it declares, if it has an ``env.py``.
    """

    name: str
    schema: Schema
    functions: Mapping[str, Function[..., Any]]
    providers: Sequence[AuthProvider] | None = None
    web: Path | None = None
    router: Router = field(factory=Router)
    crons: Mapping[str, Cron] = field(factory=dict[str, Cron])
    env: type[Environment] | None = None

    def bind(self, table_numbers: Mapping[str, int]) -> "BoundApp":
        """Compile the app for a database, whose ids carry these table numbers.

        Raises: AppDefinitionError if a function cannot be called from outside.
        """
        types = TypeConverter(dict(table_numbers))
        contracts: dict[str, Contract] = {}
        for path, function in {**self.functions, **_BUILT_IN}.items():
            try:
                contracts[path] = compile_contract(function, types)
            except SchemaError as error:
                raise AppDefinitionError(f"{place_of_function(function)}: {error}") from error
        return BoundApp(self, types, contracts, table_numbers)


@define
class BoundApp:
    """An app compiled for one database.

    Attributes:
        contracts: of each function, by path.
        table_numbers: what the ids of each table carry.
        writers: for each table what turns each field into its wire form.
        index_fields: the fields of each declared index, by table and name.
        schema: the app's tables.
    """

    app: App
    types: TypeConverter
    contracts: Mapping[str, Contract]
    table_numbers: Mapping[str, int]
    table_names: Mapping[int, str] = field(init=False)
    writers: Mapping[str, Mapping[str, Unstructure]] = field(init=False)
    index_fields: Mapping[tuple[str, str], tuple[str, ...]] = field(init=False)
    schema: Schema = field(init=False)
    _places: dict[str, tuple[TableName, type[Document]]] = field(
        factory=dict[str, tuple[TableName, type[Document]]], init=False
    )

    def __attrs_post_init__(self) -> None:
        self.schema = self.app.schema
        self.table_names = {number: name for name, number in self.table_numbers.items()}
        self.writers = {
            table: {name: self.types.unstructurer(kind) for name, kind in kinds.items()}
            for table, kinds in self.schema.types.items()
        }
        self.index_fields = {
            (table, index.name): index.fields
            for table, spec in self.schema.tables.items()
            for index in spec.indexes
        }

    def number_tables(self, table_numbers: Mapping[str, int]) -> None:
        """Take over the numbers of tables, now that the database has those that are new."""
        self.types.numbers.update(table_numbers)
        self.table_numbers = dict(table_numbers)
        self.table_names = {number: name for name, number in table_numbers.items()}
        self._places.clear()

    def place_of_id(self, ident: str) -> tuple[TableName, type[Document]]:
        """Give the table and the class of an id. The same ids come again and again.

        Raises: InvalidId if this is no id, or one of no table of this app.
        """
        place = self._places.get(ident)
        if place is not None:
            return place
        name = self.table_names.get(number_of_id(ident))
        cls = None if name is None else self.schema.documents.get(name)
        if name is None or cls is None:
            raise InvalidId(f"the id {ident!r} belongs to no table of this app")
        if len(self._places) >= _KEPT_PLACES:
            self._places.clear()
        place = self._places[ident] = TableName(name), cls
        return place

    def kind_of(self, path: str) -> Kind | None:
        """Say what kind of function this is, None if there is none."""
        found = self.app.functions.get(path) or _BUILT_IN.get(path)
        return None if found is None else found.kind

    def function(self, path: str, *, internal: bool) -> Function[..., Any]:
        """Find a function.

        Raises: UnknownFunction; to outsiders in the same words for a missing one and for an
            internal one.
        """
        found = self.app.functions.get(path) or _BUILT_IN.get(path)
        if found is None and internal:
            raise UnknownFunction(f"Could not find function for '{path}' in the app that serves.")
        if found is None or (found.internal and not internal):
            raise UnknownFunction(f"Could not find public function for '{path}'.")
        return found


def place_of_function(function: Function[..., Any]) -> str:
    """Say where a function stands: ``file:line``."""
    code = inspect.unwrap(function.call).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def load_app(package: str) -> App:
    """Import an app's package and collect what it declares.

    Raises: AppDefinitionError that says file, line and what is wrong.
    """
    return collect_app(package, package, _import_all(package))


def collect_app(package: str, name: str, modules: Mapping[str, ModuleType]) -> App:
    """Collect what the modules of a package declare; ``name`` is the package's in ``sys.modules``.

    Raises: AppDefinitionError that says file, line and what is wrong.
    """
    try:
        documents = _documents(modules)
        schema = build_schema(documents)
    except SchemaError as error:
        raise AppDefinitionError(f"The schema of {package!r} is wrong. {error}") from error
    functions = _functions(name, modules)
    root = Path(next(iter(modules[name].__path__)))
    web = root / "web"
    return App(
        package,
        schema,
        functions,
        _providers(modules, name),
        web if web.is_dir() else None,
        _router(name, modules),
        _crons(modules, name),
        _environment(modules, name),
    )


def make_app(
    name: str,
    documents: Sequence[type[Document]],
    functions: Mapping[str, Function[..., Any]],
    providers: Sequence[AuthProvider] | None = None,
    routes: Mapping[str, HttpAction] | None = None,
    crons: Crons | None = None,
    env: type[Environment] | None = None,
) -> App:
    """Make an app of parts that stand in no package; functions and routes are by path."""
    for path, function in functions.items():
        function.path = path
    router = Router()
    for path, route in (routes or {}).items():
        route.path = path
        router.add(route)
    schema, declared = build_schema(documents), crons.declared if crons is not None else {}
    return App(name, schema, dict(functions), providers, router=router, crons=declared, env=env)


def _import_all(package: str) -> dict[str, ModuleType]:
    """Import a package and its modules; the names are dotted, whole."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    return import_package(package)


def import_package(package: str) -> dict[str, ModuleType]:
    """Import a package and its modules; the names are dotted, whole.

    Raises: AppDefinitionError that says file, line and what is wrong.
    """
    root = _import(package, package)
    if not hasattr(root, "__path__"):
        raise AppDefinitionError(
            f"{package!r} is a module, but an app is a package: a folder with an __init__.py, "
            "a schema.py and its functions"
        )
    modules = {package: root}
    _import_below(root, package, modules)
    return modules


def _import_below(root: ModuleType, package: str, modules: dict[str, ModuleType]) -> None:
    for info in pkgutil.iter_modules(root.__path__, root.__name__ + "."):
        last = info.name.rpartition(".")[2]
        if last.startswith("_") or last in {"cli", "web"}:
            continue
        modules[info.name] = _import(info.name, package)
        if info.ispkg:
            _import_below(modules[info.name], package, modules)


def _import(name: str, package: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == package:
            raise AppDefinitionError(
                f"There is no package {package!r} here ({Path.cwd()}). Start in the folder that "
                "holds it, or name another with --app."
            ) from error
        raise AppDefinitionError(_where(error, name)) from error
    except BaseException as error:
        # A module ends no server, whatever it raises. A deadline goes on to whoever set it, and so
        # does Ctrl-C, which comes to the main thread alone.
        is_main = threading.current_thread() is threading.main_thread()
        if isinstance(error, Interrupted) or (is_main and isinstance(error, KeyboardInterrupt)):
            raise
        raise AppDefinitionError(_where(error, name)) from error


def _where(error: BaseException, module: str) -> str:
    """Say in which file and line of the app an error arose, and which."""
    what = str(error) if isinstance(error, FlowError) else f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    what, module = plain_names(what), plain_names(module)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and "flow_backend" not in frame.filename
    ]
    if not frames:
        return f"{module}: {what}"
    return f"{frames[-1].filename}:{frames[-1].lineno}: {what}"


def _documents(modules: Mapping[str, ModuleType]) -> list[type[Document]]:
    found: dict[type[Document], None] = {}
    for module in modules.values():
        for value in vars(module).values():
            if (
                isinstance(value, type)
                and issubclass(value, Document)
                and value is not Document
                and value.__module__ == module.__name__
            ):
                if "__table__" not in vars(value):
                    raise SchemaError(
                        f'{place_of(value)}: {value.__name__} needs @document("table_name")'
                    )
                found[value] = None
    return list(found)


def _functions(package: str, modules: Mapping[str, ModuleType]) -> dict[str, Function[..., Any]]:
    functions: dict[str, Function[..., Any]] = {}
    for module_name, module in modules.items():
        inner = module_name[len(package) + 1 :].replace(".", "/")
        if not inner or inner in _NOT_FUNCTIONS:
            continue
        for value in vars(module).values():
            if not isinstance(value, Function):
                continue
            function = cast("Function[..., Any]", value)
            if function.call.__module__ != module_name:
                continue  # It is another module's, and imported here.
            path = f"{inner}:{function.name}"
            if functions.get(path, function) is not function:
                raise AppDefinitionError(
                    f"{place_of_function(function)}: {path!r} is also the path of another "
                    f"function ({place_of_function(functions[path])}); rename one"
                )
            function.path = path
            functions[path] = function
    return functions


def _router(package: str, modules: Mapping[str, ModuleType]) -> Router:
    found: dict[HttpAction, None] = {}
    for module_name, module in modules.items():
        for value in vars(module).values():
            if isinstance(value, HttpAction) and value.call.__module__ == module_name:
                inner = module_name[len(package) + 1 :].replace(".", "/")
                value.path = f"{inner}:{value.name}"
                found[value] = None
    router = Router()
    for each in found:
        router.add(each)
    return router


def _providers(modules: Mapping[str, ModuleType], package: str) -> Sequence[AuthProvider] | None:
    module = modules.get(f"{package}.auth")
    if module is None:
        return None
    providers = getattr(module, "providers", None)
    if not isinstance(providers, Sequence) or isinstance(providers, str):
        raise AppDefinitionError(
            f"{_file_of(module)}: auth.py declares a list named providers, such as "
            "providers = [OpenIdConnect(domain=..., application_id=...)]"
        )
    return list(providers)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _crons(modules: Mapping[str, ModuleType], package: str) -> Mapping[str, Cron]:
    module = modules.get(f"{package}.crons")
    if module is None:
        return {}
    crons = getattr(module, "crons", None)
    if not isinstance(crons, Crons):
        raise AppDefinitionError(
            f"{_file_of(module)}: crons.py declares crons = Crons(), and a call such as "
            'crons.daily("name", at="09:00", run=function) for each'
        )
    return crons.declared


def _environment(modules: Mapping[str, ModuleType], package: str) -> type[Environment] | None:
    module = modules.get(f"{package}.env")
    if module is None:
        return None
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Environment)
        and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise AppDefinitionError(
            f"{_file_of(module)}: env.py declares one class, such as class Env(Environment), with "
            f"an annotation for each variable; it has {len(found)}"
        )
    variables_of(found[0])
    return found[0]


def _file_of(module: ModuleType) -> str:
    return getattr(module.__loader__, "shown_path", None) or str(module.__file__)
