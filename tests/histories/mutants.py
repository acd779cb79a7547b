"""Makes mutants of functions: each comparison turned, each end moved, each pair swapped."""

import ast
import copy
import difflib
import importlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

from attrs import frozen

_ORDERS: Final = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_TURNED: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    **{each: tuple(other for other in _ORDERS if other is not each) for each in _ORDERS},
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_SQL: Final = ("<", "<=", ">", ">=")
_SWAPPED: Final = {"before": "after", "after": "before", "left": "right", "right": "left"}
"""Attributes that are easily mistaken for one another."""


@frozen
class Mutant:
    """One changed function. ``diff`` shows the change, ``line`` where it is."""

    module: str
    function: str
    line: int
    diff: str
    changed: ast.FunctionDef

    @property
    def name(self) -> str:
        return f"{self.module.removeprefix('flow_backend.')}:{self.function}:{self.line}"


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    """Give each thing that a node could be mistaken for."""
    match node:
        case ast.Compare(ops=ops):
            for place, op in enumerate(ops):
                for other in _TURNED[type(op)]:
                    changed = copy.deepcopy(node)
                    changed.ops[place] = other()
                    yield changed
        case ast.Constant(value=str(value)) if value in _SQL:
            for other_text in _SQL:
                if other_text != value:
                    yield ast.Constant(other_text)
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.BoolOp(op=ast.And(), values=values):
            yield ast.BoolOp(ast.Or(), values)
        case ast.BoolOp(op=ast.Or(), values=values):
            yield ast.BoolOp(ast.And(), values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.BinOp(op=ast.Add(), left=left, right=ast.Constant(value=bytes())):
            yield left
        case ast.BinOp(op=ast.Add(), left=left, right=ast.Name(id="_AFTER")):
            yield left
        case ast.Name(id="max", ctx=context):
            yield ast.Name("min", context)
        case ast.Name(id="min", ctx=context):
            yield ast.Name("max", context)
        case ast.Attribute(value=value, attr=attr, ctx=ast.Load()) if attr in _SWAPPED:
            yield ast.Attribute(value, _SWAPPED[attr], ast.Load())
        case _:
            pass


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for each in node.body:
                if isinstance(each, ast.FunctionDef):
                    yield f"{node.name}.{each.name}", each


class _Replace(ast.NodeTransformer):
    """Puts one node in the place of another, known by its number in the walk."""

    def __init__(self, number: int, change: int) -> None:
        self.number, self.change, self.seen = number, change, -1
        self.done = False

    def visit(self, node: ast.AST) -> ast.AST:
        self.seen += 1
        if self.seen == self.number:
            changed = list(_changes(node))[self.change]
            self.done = True
            return ast.copy_location(changed, node)
        return self.generic_visit(node)


def mutants_of(module: str, functions: Sequence[str]) -> list[Mutant]:
    """Give every mutant of these functions of a module, in the order of their lines."""
    loaded = importlib.import_module(module)
    assert loaded.__file__ is not None
    tree = ast.parse(Path(loaded.__file__).read_text())
    bodies = dict(_functions(tree))
    missing = [name for name in functions if name not in bodies]
    assert not missing, f"{module} has no {missing}: the list of what is mutated is out of date"
    made = list[Mutant]()
    for name in functions:
        function = bodies[name]
        spared, before = _spared(function), ast.unparse(function).split("\n")
        for number, node in enumerate(_preorder(function)):
            changes = 0 if number in spared else len(list(_changes(node)))
            for change in range(changes):
                replace = _Replace(number, change)
                changed = replace.visit(copy.deepcopy(function))
                assert replace.done, (module, name, number)
                after = ast.unparse(ast.fix_missing_locations(changed)).split("\n")
                line = getattr(node, "lineno", function.lineno)
                assert isinstance(changed, ast.FunctionDef)
                made.append(Mutant(module, name, line, _diff(before, after), changed))
    return made


def _diff(before: list[str], after: list[str]) -> str:
    lines = difflib.unified_diff(before, after, lineterm="", n=0)
    return "\n".join(each for each in lines if each[:3] not in ("---", "+++", "@@ "))


def _preorder(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _preorder(child)


def _spared(function: ast.FunctionDef) -> set[int]:
    """Number what is no part of what a function does: its signature, and its assertions."""
    apart: list[ast.AST] = [function.args, *function.decorator_list]
    apart += [function.returns] if function.returns else []
    apart += [each for each in ast.walk(function) if isinstance(each, ast.Assert)]
    inside = {id(each) for node in apart for each in _preorder(node)}
    return {place for place, each in enumerate(_preorder(function)) if id(each) in inside}


def _with(tree: ast.Module, mutant: Mutant) -> ast.Module:
    """Put a mutant's function into its module."""
    for node in tree.body:
        inside = node.body if isinstance(node, ast.ClassDef) else tree.body
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        for place, each in enumerate(inside):
            if isinstance(each, ast.FunctionDef) and prefix + each.name == mutant.function:
                inside[place] = mutant.changed
                return tree
    raise AssertionError(mutant.name)


def _code_of(code: CodeType, function: str) -> CodeType | None:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            if each.co_qualname == function:
                return each
            found = _code_of(each, function)
            if found is not None:
                return found
    return None


def function_of(module: ModuleType, name: str) -> FunctionType:
    """Give the function object of a name such as ``Class.method``."""
    found: Any = module
    for part in name.split("."):
        found = found.__dict__[part]
    if isinstance(found, property):
        found = found.fget
    assert isinstance(found, FunctionType), name
    return found


@contextmanager
def planted(mutant: Mutant) -> Generator[None]:
    """Let a function be its mutant: whoever has it in hand, calls that."""
    module = importlib.import_module(mutant.module)
    assert module.__file__ is not None
    tree = _with(ast.parse(Path(module.__file__).read_text()), mutant)
    code = _code_of(compile(tree, module.__file__, "exec"), mutant.function)
    assert code is not None, mutant.name
    function = function_of(module, mutant.function)
    before = function.__code__
    function.__code__ = code
    try:
        yield
    finally:
        function.__code__ = before
