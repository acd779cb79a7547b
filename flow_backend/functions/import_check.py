"""Turns the rows of an imported file into documents of the app, or says what does not fit."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from random import Random
from typing import Any, Final, cast

import orjson
from attrs import define, field

from flow_backend.errors import InvalidId, InvalidValue
from flow_backend.functions.import_files import ImportFile, Row
from flow_backend.functions.registry import BoundApp
from flow_backend.schema.convert import TypeConverter
from flow_backend.schema.ids import decode_id, encode_id, new_internal_id
from flow_backend.schema.mismatch import Structure, mismatch_of, shown
from flow_backend.storage.staged import Problem
from flow_backend.values.encode import from_export, from_wire
from flow_backend.values.sizes import DOCUMENT_BYTES_MAX, check_document
from flow_backend.values.value import Int64, JsonValue, Value

_CREATED_MAX: Final = 2.0**53
_ID_LENGTHS: Final = frozenset({31, 32, 34, 36, 37})
_MS_A_DAY: Final = 86_400_000
_NOTHING: Final = object()


class _NoFit(Exception):
    """A part of a document does not fit."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason


@define
class Checker:
    """Checks the rows of one file, in their order.

    An id keeps its sixteen bytes. The number of its table becomes the one that the table has here:
    the file says what it was there, or the ids of the table's own documents do. So two ids that
    were equal stay equal, wherever they stand.

    ``next_created`` gives a creation time, in ms since the epoch, for a document that has none.
    """

    app: BoundApp
    file: ImportFile
    random: Random
    now_ms: float
    next_created: Callable[[], float]
    _there: dict[str, int] = field(init=False)
    _here: dict[int, int] = field(factory=dict[int, int], init=False)
    _lenient: TypeConverter = field(init=False)
    _made: dict[tuple[str, str], tuple[Structure, Structure]] = field(
        factory=dict[tuple[str, str], tuple[Structure, Structure]], init=False
    )

    def __attrs_post_init__(self) -> None:
        self._lenient = TypeConverter(dict(self.app.table_numbers), any_number=True)
        self._there = {}
        for table, number in self.file.numbers.items():
            self._learn(table, number)

    def document(self, row: Row) -> dict[str, JsonValue] | list[Problem]:
        """Give the row's document in wire form, with its system fields, or all that is wrong."""
        given = dict(row.value)
        problems: list[Problem] = []

        def part(read: Any, *args: Any) -> Any:
            try:
                return read(*args)
            except _NoFit as error:
                problems.append(Problem(row.file, row.row, row.table, error.path, error.reason))
                return None

        # First of all: it says what number the table's ids carry.
        ident = part(self._id, row.table, given.pop("_id", None))
        created = part(self._created, given.pop("_creationTime", None))
        fields: dict[str, JsonValue] = {"_id": ident, "_creationTime": created}
        specs = self.app.schema.tables[row.table].fields
        for name, spec in specs.items():
            value = given.pop(name, _NOTHING)
            if value is _NOTHING and spec.has_default:
                fields[name] = spec.default
            else:
                fields[name] = part(self._field, row, name, value)
        problems += [
            Problem(row.file, row.row, row.table, f".{name}", _unknown(name, specs))
            for name in given
        ]
        if not problems:
            part(_fits_limits, fields)
        return problems or fields

    def _id(self, table: str, given: Value) -> str:
        ours = self.app.table_numbers[table]
        if given is None or given == "":
            day = int(self.now_ms // _MS_A_DAY)
            return encode_id(ours, new_internal_id(self.random, day))
        if not isinstance(given, str):
            raise _NoFit("._id", f"expected an id, got {shown(given)}")
        try:
            number, internal = decode_id(given)
        except InvalidId as error:
            raise _NoFit("._id", str(error)) from None
        there = self._there.get(table)
        if there is None:
            there = self._learn(table, number)
        if number != there:
            raise _NoFit(
                "._id",
                f"{given} is an id of table number {number}, but table {table!r} has number "
                f"{there} in this file",
            )
        return given if number == ours else encode_id(ours, internal)

    def _learn(self, table: str, number: int) -> int:
        """Note which number the ids of a table carry in the file."""
        self._there[table] = number
        ours = self.app.table_numbers.get(table)
        if ours is not None:
            self._here[number] = ours
        return number

    def _created(self, given: Value) -> float:
        if given is None or given == "":
            return self.next_created()
        try:
            created = float(given) if isinstance(given, (str, int, float)) else 0.0
        except ValueError:
            created = 0.0
        if not 0.0 < created < _CREATED_MAX or isinstance(given, bool):
            raise _NoFit(
                "._creationTime", f"expected milliseconds since the epoch, got {shown(given)}"
            )
        return created

    def _field(self, row: Row, name: str, value: object) -> JsonValue:
        if value is _NOTHING:
            raise _NoFit(f".{name}", "the field is required, and is not there")
        strict, lenient = self._structurers(row.table, name)
        annotation = self.app.schema.types[row.table][name]
        first: Exception | None = None
        for form, is_exact in _forms(row, cast("Value", value)):
            structure = strict if is_exact else lenient
            try:
                structured = structure(self._translated(form), annotation)
                return cast("JsonValue", self.app.writers[row.table][name](structured))
            except Exception as error:
                # A validator of the app's own class may raise anything.
                first = first or error
        assert first is not None
        found = mismatch_of(first, value, f".{name}")
        raise _NoFit(found.path, f"expected {found.expected}, got {shown(found.came)}")

    def _structurers(self, table: str, name: str) -> tuple[Structure, Structure]:
        made = self._made.get((table, name))
        if made is None:
            annotation = self.app.schema.types[table][name]
            made = self.app.types.structurer(annotation), self._lenient.structurer(annotation)
            self._made[table, name] = made
        return made

    def _translated(self, value: Value) -> Value:
        """Give the value with the ids of the file's tables as they are here."""
        if isinstance(value, str):
            return self._translated_text(value)
        if isinstance(value, list):
            return [self._translated(item) for item in value]
        if isinstance(value, dict):
            return {
                self._translated_text(name): self._translated(item) for name, item in value.items()
            }
        return value

    def _translated_text(self, text: str) -> str:
        if len(text) not in _ID_LENGTHS:
            return text
        try:
            number, internal = decode_id(text)
        except InvalidId:
            return text
        ours = self._here.get(number)
        return text if ours is None or ours == number else encode_id(ours, internal)


def _forms(row: Row, value: Value) -> Iterator[tuple[Value, bool]]:
    """Give what a value may have meant, the likeliest first: the class says which it is.

    Returns: with each whether its numbers are exactly of the types that they have.
    """
    if row.is_text:
        for form in _text_forms(cast("str", value)):
            yield form, True
        return
    yield (value if row.is_exact else _as_floats(value)), True
    yield value, False


def _text_forms(text: str) -> Iterator[Value]:
    """Give what a cell may have meant. Source: the HTTP API, "import"."""
    number = _number(text)
    if number is not None:
        yield number
    if not text:
        yield None
    yield text
    if number is not None:
        with suppress(ValueError, InvalidValue):
            yield Int64(int(text))
    if text.lower() in {"true", "false"}:
        yield text.lower() == "true"
    if text[:1] in {"[", "{"}:
        with suppress(orjson.JSONDecodeError, InvalidValue):
            yield from_export(orjson.loads(text))


def _number(text: str) -> float | None:
    # Python takes more for a number than a table means by one: spaces, 1_000.
    try:
        return None if "_" in text or text != text.strip() else float(text)
    except ValueError:
        return None


def _as_floats(value: Value) -> Value:
    if isinstance(value, list):
        return [_as_floats(item) for item in value]
    if isinstance(value, dict):
        return {name: _as_floats(item) for name, item in value.items()}
    return float(value) if isinstance(value, Int64) else value


def _unknown(name: str, specs: Mapping[str, Any]) -> str:
    if name.startswith("_"):
        return "names that begin with an underscore are the server's own"
    return f"there is no such field; the class has {', '.join(specs) or 'none'}"


def _fits_limits(fields: dict[str, JsonValue]) -> JsonValue:
    # No value measures more than three times its JSON, and a scalar is not nested.
    if len(orjson.dumps(fields)) * 3 < DOCUMENT_BYTES_MAX and not any(
        isinstance(value, (list, dict)) for value in fields.values()
    ):
        return None
    try:
        check_document(cast("dict[str, object]", from_wire(fields)))
    except InvalidValue as error:
        raise _NoFit("", str(error)) from None
    return None
