"""Prints shapes as TypeScript, comments and line breaks included."""

import json
import textwrap
from collections.abc import Iterable, Mapping
from typing import Final, assert_never

from attrs import field, frozen

from flow_backend.deploy.typescript_names import ClassUse, Names
from flow_backend.schema.shapes import (
    ArrayOf,
    ClassOf,
    DocumentOf,
    FieldShape,
    IdOf,
    Literals,
    OptionsShape,
    PageOf,
    Plain,
    PlainName,
    RecordOf,
    Shape,
    TupleOf,
    UnionOf,
)
from flow_backend.values.value import JsonValue

WIDTH: Final = 100

_PLAIN: Final[Mapping[PlainName, str]] = {
    "null": "null",
    "boolean": "boolean",
    "number": "number",
    "integer": "number",
    "int64": "bigint",
    "string": "string",
    "bytes": "ArrayBuffer",
    "any": "any",
    "object": "unknown",
    "instant": "Instant",
    "date": "DateText",
    "time": "TimeText",
}

NO_FIELDS: Final = "Record<string, never>"
"""The type of an object without fields; ``{}`` would take every object."""


@frozen
class Printer:
    """Prints types, and notes which names of other modules they need.

    Attributes:
        tables: the app's own tables.
        used: the names that were printed and must be imported or declared.
    """

    names: Names
    tables: frozenset[str]
    used: set[str] = field(factory=set[str], init=False)

    def type(self, shape: Shape, *, sent: bool) -> str:
        """Print a shape on one line; ``sent`` says that clients send it."""
        match shape:
            case Plain(name):
                return self._plain(name)
            case IdOf(table):
                return self._id(table)
            case Literals() | UnionOf():
                return " | ".join(self._members(shape, sent=sent))
            case ArrayOf(item):
                members = self._members(item, sent=sent)
                return f"({' | '.join(members)})[]" if len(members) > 1 else f"{members[0]}[]"
            case TupleOf(items):
                return f"[{', '.join(self.type(each, sent=sent) for each in items)}]"
            case RecordOf(key, item):
                return f"Record<{self.type(key, sent=sent)}, {self.type(item, sent=sent)}>"
            case PageOf(item):
                return f"{self._name('PaginationResult')}<{self.type(item, sent=False)}>"
            case OptionsShape():
                return self._name("PaginationOptions")
            case ClassOf(key):
                # Only classes with two forms have a name for the one that is sent.
                found = self.names.classes.get(ClassUse(key, sent))
                return self._name(found or self.names.classes[ClassUse(key, False)])
            case DocumentOf(table):
                return self._name(self.names.documents[table])
            case _:
                assert_never(shape)

    def _members(self, shape: Shape, *, sent: bool) -> list[str]:
        """Print the members of a union, or the one shape. Different types may be one here."""
        match shape:
            case Literals(values):
                return list(dict.fromkeys(_literal(each) for each in values))
            case UnionOf(members):
                printed = [text for each in members for text in self._members(each, sent=sent)]
                return list(dict.fromkeys(printed))
            case _:
                return [self.type(shape, sent=sent)]

    def _plain(self, name: PlainName) -> str:
        return self._name(_PLAIN[name]) if name in {"instant", "date", "time"} else _PLAIN[name]

    def _id(self, table: str | None) -> str:
        if table is None:
            return f"{self._name('Id')}<{self._name('TableNames')}>"
        if table in self.tables:
            return f'{self._name("Id")}<"{table}">'
        return f'{self._name("GenericId")}<"{table}">'

    def _name(self, name: str) -> str:
        self.used.add(name)
        return name

    def object(self, fields: Iterable[FieldShape], indent: str, *, sent: bool, room: int) -> str:
        """Print an object type: on one line if that has ``room`` characters and no comments."""
        shown = [each for each in fields if each.sent or not sent]
        if not shown:
            return NO_FIELDS
        heads = [
            f"{property_name(each.name)}{'?' if sent and not each.required else ''}:"
            for each in shown
        ]
        types = [self._members(each.shape, sent=sent) for each in shown]
        lines = [f"{head} {' | '.join(each)}" for head, each in zip(heads, types, strict=True)]
        flat = f"{{ {'; '.join(lines)} }}"
        if len(flat) <= room and not any(each.docs for each in shown):
            return flat
        inner = indent + "  "
        body: list[str] = []
        for field_shape, head, line, members in zip(shown, heads, lines, types, strict=True):
            whole = f"{inner}{line};\n"
            if len(whole) > WIDTH + 1 and len(members) > 1:
                # Then each member of the union has a line of its own.
                whole = inner + head + "".join(f"\n{inner}  | {each}" for each in members) + ";\n"
            body.append(comment(_sentence(field_shape.docs), inner) + whole)
        return f"{{\n{''.join(body)}{indent}}}"


def _sentence(docs: str) -> str:
    """Begin with a capital letter: in a docstring it goes on after the name."""
    return docs[:1].upper() + docs[1:]


def comment(docs: str, indent: str) -> str:
    """Print a comment with its line's end; nothing for no text."""
    if not docs:
        return ""
    docs = docs.replace("*/", "*\\/")
    width = WIDTH - len(indent) - len(" * ")
    if "\n" not in docs and len(docs) <= width - len("/**  */") + len(" * "):
        return f"{indent}/** {docs} */\n"
    lines = _wrapped(docs, width)
    body = "".join(f"{indent} * {line}".rstrip() + "\n" for line in lines)
    return f"{indent}/**\n{body}{indent} */\n"


def _wrapped(docs: str, width: int) -> list[str]:
    """Break lines anew, paragraph by paragraph; what is indented or listed stays as it is."""
    lines: list[str] = []
    for paragraph in docs.split("\n\n"):
        written = paragraph.splitlines()
        if all(line[:1].isalpha() or line[:1] in "`(" for line in written):
            written = textwrap.wrap(
                paragraph, width, break_long_words=False, break_on_hyphens=False
            )
        lines += ["", *written] if lines else written
    return lines


def property_name(name: str) -> str:
    """Print the name of a property."""
    return name if name.isidentifier() else json.dumps(name, ensure_ascii=False)


def _literal(value: JsonValue) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)
