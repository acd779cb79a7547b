"""Reads the source of a package before any of it runs: does it parse, and is all there it names?"""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from operator import itemgetter
from typing import Final, Literal, cast

from attrs import define, field

from flow_backend.records import frozen

FlawKind = Literal["syntax", "import", "name"]

_NOT_SERVED: Final = frozenset({"cli", "web"})
_FORGIVING: Final = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
_TYPING_ONLY: Final = "TYPE_CHECKING"
# What every module has without assigning it.
_OWN: Final = frozenset({"__name__", "__file__", "__doc__", "__path__", "__package__", "__dict__"})


@frozen
class Flaw:
    """What is wrong with the source, and where: the text begins with ``file:line``."""

    kind: FlawKind
    text: str


def source_flaws(package: str, files: Mapping[str, bytes]) -> Sequence[Flaw]:
    """Find what would fail when the package is imported here, or later when it runs.

    Found are files that do not parse, imports of modules that this server does not have, and names
    that the package's own modules do not have: functions that were removed and are still called.
    An import under ``try`` with an ``except ImportError``, or under ``if TYPE_CHECKING``, may miss.

    ``files`` are the package's, by their path from the folder that holds the package.
    """
    flaws: list[Flaw] = []
    modules: dict[str, _Module] = {}
    for path, content in sorted(files.items()):
        name = _module_name(path)
        if name is None:
            continue
        try:
            modules[name] = _Module(path, name, _facts_of(path, content))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            flaws.append(_unparsed(path, error))
            # It has every name, so that no other file is blamed.
            modules[name] = _Module(path, name, None)
    _forget_other_files({module.facts for module in modules.values()})
    for module in modules.values():
        if module.facts is not None and not _NOT_SERVED & {*module.name.split(".")[1:]}:
            flaws += _Reading(package, module, module.facts, modules).flaws()
    return flaws


def _unparsed(path: str, error: Exception) -> Flaw:
    if isinstance(error, SyntaxError):
        return Flaw("syntax", f"{path}:{error.lineno or 1}: {type(error).__name__}: {error.msg}")
    return Flaw("syntax", f"{path}:1: {type(error).__name__}: {error}")


def _module_name(path: str) -> str | None:
    if not path.endswith(".py"):
        return None
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


_Imports = tuple[tuple[ast.Import | ast.ImportFrom, bool], ...]


@define(frozen=True, eq=False)
class _Facts:
    """What one file says, whatever stands in the others.

    Attributes:
        names: what the module may have after its import; None if that cannot be told.
        imports: with each whether it may miss.
        other_names: the names that are variables, parameters or functions somewhere in it.
        uses: the attributes that it reads of imported names: name, attribute, line.
    """

    names: frozenset[str] | None
    imports: _Imports
    other_names: frozenset[str]
    uses: tuple[tuple[str, str, int], ...]


# Of the package that was read last: under flow dev the next one differs in a file, and to walk all
# trees of a package of ten thousand lines takes half a second.
_known_facts: Final[dict[tuple[str, bytes], _Facts]] = {}


def _facts_of(path: str, content: bytes) -> _Facts:
    """Read one file. Raises: what :func:`ast.parse` raises."""
    key = path, hashlib.blake2b(content, digest_size=16).digest()
    facts = _known_facts.get(key)
    if facts is None:
        tree = ast.parse(content, path)
        imports = tuple(_imports(tree, forgiven=False))
        nodes = list(ast.walk(tree))
        imported = {
            each.asname or each.name.partition(".")[0] for node, _ in imports for each in node.names
        }
        facts = _Facts(
            _bound_names(tree, nodes),
            imports,
            frozenset(_other_names(nodes)),
            tuple(_uses(nodes, imported)),
        )
        _known_facts[key] = facts
    return facts


def _forget_other_files(kept: AbstractSet[_Facts | None]) -> None:
    for key in [key for key, facts in _known_facts.items() if facts not in kept]:
        del _known_facts[key]


def _imports(
    node: ast.AST, *, forgiven: bool
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Import() | ast.ImportFrom():
                yield child, forgiven
            case ast.Try(body=body) if _forgives(child):
                for each in body:
                    yield from _imports(ast.Module([each], []), forgiven=True)
                rest = [*child.handlers, *child.orelse, *child.finalbody]
                yield from _imports(ast.Module(cast("list[ast.stmt]", rest), []), forgiven=forgiven)
            case ast.If(test=test, orelse=orelse) if _is_typing_only(test):
                yield from _imports(ast.Module(orelse, []), forgiven=forgiven)
            case ast.expr():
                pass  # No statement stands in an expression.
            case _:
                yield from _imports(child, forgiven=forgiven)


def _other_names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)):
                yield name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case _:
                pass


def _uses(nodes: Iterable[ast.AST], imported: AbstractSet[str]) -> Iterator[tuple[str, str, int]]:
    for node in nodes:
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Load)
            and isinstance(node.value, ast.Name)
            and node.value.id in imported
        ):
            yield node.value.id, node.attr, node.lineno


@define(eq=False)
class _Module:
    """A file of the package; ``facts`` is None if it does not parse."""

    path: str
    name: str
    facts: _Facts | None

    @property
    def names(self) -> frozenset[str] | None:
        """What it may have after its import; None if that cannot be told."""
        return None if self.facts is None else self.facts.names

    @property
    def package(self) -> str:
        """What a relative import with one dot starts from."""
        return self.name if self.path.endswith("/__init__.py") else self.name.rpartition(".")[0]


def _bound_names(tree: ast.Module, nodes: Iterable[ast.AST]) -> frozenset[str] | None:
    """Give what a module may have after its import; None if that cannot be told."""
    names = set(_OWN)
    for node in _own_nodes(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if name == "__getattr__":
                    return None
                names.add(name)
            case ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Import(names=aliases):
                names |= {each.asname or each.name.partition(".")[0] for each in aliases}
            case ast.ImportFrom(names=[ast.alias(name="*")]):
                starred = _exported(node)
                if starred is None:
                    return None
                names |= starred
            case ast.ImportFrom(names=aliases):
                names |= {each.asname or each.name for each in aliases}
            case ast.ExceptHandler(name=str(name)):
                names.add(name)
            case (
                ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
                | ast.MatchMapping(rest=str(name))
            ):
                names.add(name)
            case ast.Call(func=ast.Name(id="globals" | "setattr" | "exec" | "vars")):
                return None
            case _:
                pass
    # A function may make a name of the module, too.
    names |= {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
    return frozenset(names)


def _exported(node: ast.ImportFrom) -> set[str] | None:
    """Give what an import of ``*`` brings; None if nobody knows without importing something."""
    module = None if node.level or node.module is None else sys.modules.get(node.module)
    if module is None:
        return None
    public = [name for name in vars(module) if not name.startswith("_")]
    return {*getattr(module, "__all__", public)}


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Walk what belongs to the module itself, not to its functions and classes."""
    for child in ast.iter_child_nodes(node):
        yield child
        scopes = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
        if not isinstance(child, scopes):
            yield from _own_nodes(child)


@define(eq=False)
class _Reading:
    """Reads one module for what it names of others.

    Attributes:
        known: the modules of the package that stand under a name somewhere in this module; None is
            said of a name that is also something else, which is left alone.
    """

    package: str
    module: _Module
    facts: _Facts
    modules: Mapping[str, _Module]
    known: dict[str, _Module | None] = field(factory=dict[str, "_Module | None"])
    found: list[tuple[int, Flaw]] = field(factory=list[tuple[int, Flaw]])

    def flaws(self) -> Sequence[Flaw]:
        for node, forgiven in self.facts.imports:
            if isinstance(node, ast.ImportFrom):
                self._import_from(node, forgiven=forgiven)
            else:
                for alias in node.names:
                    self._import(alias, node.lineno, forgiven=forgiven)
        # A name that is also something else is left alone.
        for name in self.facts.other_names & self.known.keys():
            self.known[name] = None
        for name, attribute, line in self.facts.uses:
            if (of := self.known.get(name)) is not None:
                self._check_name(of, attribute, line)
        return [flaw for _, flaw in sorted(self.found, key=itemgetter(0))]

    # --- Imports ---------------------------------------------------------------------------------

    def _import(self, alias: ast.alias, line: int, *, forgiven: bool) -> None:
        there = self._check_module(alias.name, line, forgiven=forgiven)
        if there is not None and alias.asname is not None:
            self._know(alias.asname, there)

    def _import_from(self, node: ast.ImportFrom, *, forgiven: bool) -> None:
        source = self._source(node)
        if source is None:
            return
        there = self._check_module(source, node.lineno, forgiven=forgiven)
        if there is None:
            return
        for alias in node.names:
            inner = self.modules.get(f"{source}.{alias.name}")
            if inner is not None and not (there.names and alias.name in there.names):
                self._know(alias.asname or alias.name, inner)
            elif inner is None and alias.name != "*" and not forgiven:
                self._check_name(there, alias.name, node.lineno)

    def _source(self, node: ast.ImportFrom) -> str | None:
        """Give the whole name of the module that something is imported from."""
        if not node.level:
            return node.module
        base = self.module.package.split(".")
        if node.level > len(base):
            self._note("import", node.lineno, "a relative import leads out of the package")
            return None
        outer = ".".join(base[: len(base) - node.level + 1])
        return f"{outer}.{node.module}" if node.module else outer

    def _check_module(self, name: str, line: int, *, forgiven: bool) -> _Module | None:
        """Give the module if it is the package's own; note it if there is no such module."""
        top = name.partition(".")[0]
        if top == self.package:
            there = self.modules.get(name)
            if there is None and not forgiven and not self._is_folder(name):
                self._note("import", line, f"the package has no module {name!r}")
            return there
        if not forgiven and not _is_installed(top):
            text = f"imports {name!r}, and this server does not have {top!r}"
            self._note("import", line, text)
        return None

    def _is_folder(self, name: str) -> bool:
        return any(each.startswith(f"{name}.") for each in self.modules)

    # --- Names -----------------------------------------------------------------------------------

    def _know(self, name: str, module: _Module) -> None:
        known = self.known.setdefault(name, module)
        if known is not module:
            self.known[name] = None

    def _check_name(self, module: _Module, name: str, line: int) -> None:
        if module.names is None or name in module.names:
            return
        if f"{module.name}.{name}" in self.modules or self._is_folder(f"{module.name}.{name}"):
            return
        self._note("name", line, f"{module.path} has no {name!r}")

    def _note(self, kind: FlawKind, line: int, text: str) -> None:
        self.found.append((line, Flaw(kind, f"{self.module.path}:{line}: {text}")))


def _forgives(node: ast.Try) -> bool:
    for handler in node.handlers:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        for kind in kinds:
            if kind is None or (isinstance(kind, ast.Name) and kind.id in _FORGIVING):
                return True
    return False


def _is_typing_only(test: ast.expr) -> bool:
    match test:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name == _TYPING_ONLY
        case _:
            return False


def _is_installed(top: str) -> bool:
    """Say whether there is such a module, without importing anything."""
    if top in sys.modules or top in sys.builtin_module_names:
        return True
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False
