"""A description of an app in Convex's validator JSON, which third-party code generators read.

Source: the semantics, "JSON form".
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, assert_never

from attrs import frozen

from flow_backend.functions.describe import AppSpec, FunctionSpec
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

ValidatorJson = dict[str, JsonValue]

_ANY: Final[ValidatorJson] = {"type": "any"}
# The old names of float64 and int64 are those of this format.
_PLAIN: Final[Mapping[PlainName, str]] = {
    "null": "null",
    "boolean": "boolean",
    "number": "number",
    "integer": "number",
    "int64": "bigint",
    "string": "string",
    "bytes": "bytes",
    "any": "any",
    "object": "any",
    "instant": "number",
    "date": "string",
    "time": "string",
}
_STRING_OR_NULL: Final = UnionOf((Plain("string"), Plain("null")))
_NUMBER_OR_NULL: Final = UnionOf((Plain("number"), Plain("null")))
_OPTIONS: Final = (
    FieldShape("numItems", Plain("number"), True),
    FieldShape("cursor", _STRING_OR_NULL, True),
    FieldShape("endCursor", _STRING_OR_NULL, False),
    FieldShape("id", _NUMBER_OR_NULL, False),
    FieldShape("maximumRowsRead", _NUMBER_OR_NULL, False),
    FieldShape("maximumBytesRead", _NUMBER_OR_NULL, False),
)
_STATUS: Final = UnionOf((Literals(("SplitRecommended", "SplitRequired")), Plain("null")))


def api_spec(spec: AppSpec, routes: Sequence[tuple[str, str]] = ()) -> list[JsonValue]:
    """Give an entry for each function by path, then for each HTTP route (method, path).

    A path that ends in ``*`` is a prefix.

    Source: the HTTP API, "function-spec".
    """
    entries: list[JsonValue] = [_entry(each, spec) for each in spec.functions.values()]
    for method, path in routes:
        entries.append({"functionType": "HttpAction", "method": method, "path": path})
    return entries


def _entry(function: FunctionSpec, spec: AppSpec) -> ValidatorJson:
    writer = _Writer(spec)
    return {
        "identifier": f"{function.module}.js:{function.name}",
        "functionType": function.kind.capitalize(),
        "visibility": {"kind": "internal" if function.internal else "public"},
        "args": writer.object(function.arguments, (), sent=True),
        "returns": writer.shape(function.returns, (), sent=False),
    }


@frozen
class _Writer:
    spec: AppSpec

    def shape(self, shape: Shape, within: tuple[str, ...], *, sent: bool) -> ValidatorJson:
        """Write a shape; ``within`` are the classes it stands in, and ``sent`` says by a client."""
        match shape:
            case Plain(name):
                return {"type": _PLAIN[name]}
            case IdOf(table):
                return {"type": "id", "tableName": table} if table else {"type": "string"}
            case Literals(values):
                return _union([{"type": "literal", "value": each} for each in values])
            case ArrayOf(item):
                return {"type": "array", "value": self.shape(item, within, sent=sent)}
            case TupleOf(items):
                return {"type": "array", "value": self._any_of(items, within, sent=sent)}
            case RecordOf(key, item):
                value: ValidatorJson = {
                    "fieldType": self.shape(item, within, sent=sent),
                    "optional": False,
                }
                keys = self.shape(key, within, sent=sent)
                return {"type": "record", "keys": keys, "values": value}
            case UnionOf(members):
                return self._any_of(members, within, sent=sent)
            case PageOf(item):
                return self._page(item, within)
            case OptionsShape():
                return self.object(_OPTIONS, within, sent=True)
            case ClassOf(key):
                # The format has no names, so that what holds itself cannot be written out.
                if key in within:
                    return _ANY
                fields = self.spec.classes[key].fields
                return self.object(fields, (*within, key), sent=sent)
            case DocumentOf(table):
                return self._document(table, within)
            case _:
                assert_never(shape)

    def object(
        self, fields: Iterable[FieldShape], within: tuple[str, ...], *, sent: bool
    ) -> ValidatorJson:
        """Write an object. What a client may leave out is always there in a result."""
        return {
            "type": "object",
            "value": {
                each.name: {
                    "fieldType": self.shape(each.shape, within, sent=sent),
                    "optional": sent and not each.required,
                }
                for each in fields
                if each.sent or not sent
            },
        }

    def _any_of(
        self, shapes: Iterable[Shape], within: tuple[str, ...], *, sent: bool
    ) -> ValidatorJson:
        return _union([self.shape(each, within, sent=sent) for each in shapes])

    def _page(self, item: Shape, within: tuple[str, ...]) -> ValidatorJson:
        fields = (
            FieldShape("page", ArrayOf(item), True),
            FieldShape("isDone", Plain("boolean"), True),
            FieldShape("continueCursor", Plain("string"), True),
            FieldShape("splitCursor", _STRING_OR_NULL, True),
            FieldShape("pageStatus", _STATUS, True),
        )
        return self.object(fields, within, sent=False)

    def _document(self, table: str, within: tuple[str, ...]) -> ValidatorJson:
        mark = f"document:{table}"
        if mark in within:
            return _ANY
        described = self.spec.tables.get(table) or self.spec.system_tables[table]
        own = (
            FieldShape("_id", IdOf(table), True),
            FieldShape("_creationTime", Plain("instant"), True),
        )
        return self.object((*own, *described.fields), (*within, mark), sent=False)


def _union(members: Sequence[ValidatorJson]) -> ValidatorJson:
    distinct: list[ValidatorJson] = []
    for each in members:
        if each not in distinct:
            distinct.append(each)
    return distinct[0] if len(distinct) == 1 else {"type": "union", "value": [*distinct]}
