"""Writes docs/reference.md from the docstrings: ``python -m tests.architecture.reference``."""

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import click

import flow_backend
import flow_backend.client
import flow_backend.testing
from flow.cli import main
from flow_backend.functions.clock import Clock
from flow_backend.functions.context import ActionClock, Auth, Log
from flow_backend.functions.database import Database, WritableDatabase
from flow_backend.functions.scan import Scan
from flow_backend.functions.scheduler import ActionScheduler, MutationScheduler
from flow_backend.functions.search import Hit, Search
from flow_backend.schema.docstrings import read_docstring

FILE = Path(__file__).parents[2] / "docs" / "reference.md"
HEAD = """# API reference

Made from the docstrings: `make reference` writes it anew, and a test says when it is stale.
[Writing an app](app.md) leads to the guides, which explain how the parts go together.
"""
_MODULE = re.compile(r"\b(?:[a-z_]+\.)+(?=[A-Z_a-z])")
_WIDTH = 100


def written() -> str:
    """Give the whole page."""
    parts = [
        HEAD,
        *_section("flow_backend", "What the code of an app imports.", _public(flow_backend)),
        *_section(
            "What a function is handed",
            "`ctx` is a QueryCtx, MutationCtx or ActionCtx (above); these are its parts.",
            [
                ("ctx.db in a query", Database),
                ("ctx.db in a mutation", WritableDatabase),
                ("A scan", Scan),
                ("A search", Search),
                ("A hit of a search", Hit),
                ("ctx.auth", Auth),
                ("ctx.clock", Clock),
                ("ctx.clock in an action", ActionClock),
                ("ctx.log", Log),
                ("ctx.scheduler in a mutation", MutationScheduler),
                ("ctx.scheduler in an action", ActionScheduler),
            ],
        ),
        *_section("flow_backend.client", "The Python client.", _public(flow_backend.client)),
        *_section("flow_backend.testing", "For the tests of apps.", _public(flow_backend.testing)),
        "\n## Commands\n",
        *_commands(main, "flow"),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _public(module: Any) -> list[tuple[str, Any]]:
    return [(name, getattr(module, name)) for name in sorted(module.__all__, key=str.lower)]


def _section(title: str, text: str, members: list[tuple[str, Any]]) -> Iterator[str]:
    yield f"\n## {title}\n\n{text}\n"
    for name, member in members:
        yield from _member(name, member)


def _member(name: str, member: Any) -> Iterator[str]:
    yield f"### {name}\n"
    if inspect.isclass(member):
        yield from _class(name, member)
    elif callable(member) and not hasattr(member, "__supertype__"):
        yield _code(f"{member.__name__}{_signature(member)}")
        yield from _docs(member.__doc__)
    else:
        yield from _docs(member.__doc__)


def _class(name: str, cls: type) -> Iterator[str]:
    if name == cls.__name__ and _is_made_by_callers(cls):
        yield _code(f"{name}{_signature(cls)}")
    yield from _docs(cls.__doc__)
    for each, value in _members(cls):
        docs = read_docstring(_docstring(value))
        head = each if isinstance(value, property) else f"{each}{_signature(value, bound=True)}"
        kind = "async " if inspect.iscoroutinefunction(value) else ""
        lines = "\n".join(f"  {line}".rstrip() for line in docs.text.splitlines())
        yield f"- **`{kind}{head}`**  \n{lines}\n"
        yield from _items(docs.items, "  ")


def _is_made_by_callers(cls: type) -> bool:
    """Say whether its constructor is for callers: nothing private is asked for."""
    if cls.__name__.endswith("Ctx") or issubclass(cls, flow_backend.Document):
        return False
    if attrs.has(cls):
        return not any(each.name.startswith("_") and each.init for each in attrs.fields(cls))
    return "__init__" in vars(cls) or issubclass(cls, BaseException)


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """Give the public methods and properties with a docstring, in the order of the source."""
    seen: set[str] = set()
    for base in cls.__mro__:
        if not base.__module__.startswith("flow_backend"):
            continue
        for name, value in vars(base).items():
            plain = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
            if name.startswith("_") or name in seen or not _docstring(plain):
                continue
            if inspect.isfunction(plain) or isinstance(plain, property):
                seen.add(name)
                yield name, plain


def _docstring(value: Any) -> str | None:
    if isinstance(value, property) or inspect.isfunction(value):
        return value.__doc__
    return None


def _docs(docstring: str | None) -> Iterator[str]:
    docs = read_docstring(docstring)
    if docs.text:
        yield f"{docs.text}\n".replace("::\n", ":\n")
    yield from _items(docs.items)


def _items(items: Any, indent: str = "") -> Iterator[str]:
    if items:
        yield "\n".join(f"{indent}- `{name}`: {text}" for name, text in items.items()) + "\n"


def _code(text: str) -> str:
    return f"```python\n{text}\n```\n"


def _signature(value: Any, *, bound: bool = False) -> str:
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return "(…)"
    parameters = [
        each.replace(annotation=_plain(each.annotation))
        for each in list(signature.parameters.values())[1 if bound else 0 :]
    ]
    returns = _plain(signature.return_annotation)
    if inspect.isclass(value):
        returns = inspect.Signature.empty
    text = str(signature.replace(parameters=parameters, return_annotation=returns))
    return re.sub(r"<factory>|NOTHING|<object object at 0x[0-9a-f]+>", "…", text)


class _Text:
    """An annotation that is printed as it is."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _plain(annotation: Any) -> Any:
    """Give an annotation as text, without the modules that its names come from."""
    if annotation is inspect.Parameter.empty:
        return annotation
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = re.sub(r"ForwardRef\('([^']*)'[^)]*\)", r"\1", text)
    text = re.sub(r"""["']([A-Z]\w*)["']""", r"\1", text)
    return _Text(_MODULE.sub("", text).replace("~", "").replace("NoneType", "None"))


def _commands(command: click.Command, path: str) -> Iterator[str]:
    """Give the help of each command, without that of groups in between."""
    context = click.Context(
        command, info_name=path, max_content_width=_WIDTH, terminal_width=_WIDTH
    )
    if isinstance(command, click.Group):
        for name in sorted(command.list_commands(context)):
            found = command.get_command(context, name)
            assert found is not None, name
            yield from _commands(found, f"{path} {name}")
        return
    help_text = command.get_help(context).rstrip()
    yield f"### {path}\n\n```text\n{help_text}\n```\n"


if __name__ == "__main__":
    importlib.invalidate_caches()
    FILE.write_text(written())
