"""Turns the bounds of a scan into SQL that walks one index and sorts nothing.

A range between two places of an index is cut into pieces, each of which SQLite finds with one
search: equal on the leading columns, then a range of the next. Run one after the other, they give
the rows in order; no piece skips rows that it has to read.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple, cast

from flow_backend.errors import InvalidRange, InvalidValue
from flow_backend.schema.table import ColumnKind, SqlValue, key_part
from flow_backend.storage.base import IndexBounds, Position
from flow_backend.storage.keys import Cut, IndexKeys, KeyColumn
from flow_backend.values.encode import from_wire
from flow_backend.values.value import JsonValue

Statement = tuple[str, tuple[SqlValue, ...]]
"""A statement's text and what is bound to it."""

_LEAST: Final[dict[ColumnKind | None, SqlValue]] = {
    ColumnKind.TEXT: "",
    ColumnKind.INTEGER: float("-inf"),
    ColumnKind.REAL: float("-inf"),
    ColumnKind.KEY: b"",
}
"""The least value that is not NULL. SQLite finds `>=` it in an index, but not `IS NOT NULL`."""


_PLAIN: Final[dict[ColumnKind | None, type[str | float]]] = {
    ColumnKind.TEXT: str,
    ColumnKind.INTEGER: float,
    ColumnKind.REAL: float,
}
"""The type whose wire form is what is bound."""


class _Bound(NamedTuple):
    """One end of a range of one column: the comparison and what to compare with."""

    operator: str
    value: SqlValue


class _Piece(NamedTuple):
    """Equal on the first columns, then at most a range of the next; ``is_null`` is that range."""

    equal: tuple[SqlValue, ...]
    lower: _Bound | None = None
    upper: _Bound | None = None
    is_null: bool = False


class _Plan:
    """The statements of all scans of one shape: each text, and how many values it takes."""

    __slots__ = ("_columns", "texts")

    def __init__(
        self,
        texts: tuple[tuple[str, int], ...],
        columns: tuple[tuple[KeyColumn, type[str | float] | None], ...],
    ) -> None:
        self.texts = texts
        self._columns = columns

    def bind(self, values: Position) -> tuple[SqlValue, ...]:
        """Turn the values of the bounds into what is bound.

        Raises: InvalidRange, InvalidValue.
        """
        return tuple(
            [
                cast("SqlValue", value) if type(value) is plain else _bound_value(column, value)
                for (column, plain), value in zip(self._columns, values, strict=True)
            ]
        )


class IndexScan:
    """The SQL texts of the scans of one index; each is built when it is first needed."""

    def __init__(self, keys: IndexKeys, table_sql: str, index_sql: str, row_sql: str) -> None:
        self._keys = keys
        self._select = f"SELECT {row_sql} FROM {table_sql} INDEXED BY {index_sql}"  # noqa: S608  # Quoted names of the schema.
        self._names = tuple(quote(column.name) for column in keys.columns)
        self._texts = dict[tuple[int, str, str, bool, bool], str]()
        self._plans = dict[tuple[int, int, int, bool], _Plan]()

    def statements(self, bounds: IndexBounds, descending: bool) -> list[Statement]:
        """Give the statements whose rows, one after the other, are those of the scan.

        Raises: InvalidRange if the bounds do not fit the index.
        """
        if bounds.after is None and bounds.until is None:
            prefix, lower, upper = bounds.prefix, bounds.lower, bounds.upper
            shape = len(prefix), len(lower), len(upper), descending
            plan = self._plans.get(shape) or self._compile(*shape)
            if plan is not None:
                bound = plan.bind(prefix + lower + upper)
                if None not in bound[len(prefix) :]:
                    return [(text, bound[:count]) for text, count in plan.texts]
        start, stop = self._keys.span(bounds, descending)
        if start.key >= stop.key:
            return []
        pieces = list(self._pieces(start, stop))
        if descending:
            pieces.reverse()
        return [self._statement(piece, descending) for piece in pieces]

    def _compile(self, equal: int, lower: int, upper: int, descending: bool) -> _Plan | None:
        """Plan all scans of one shape; None if it is not one that a plan can serve.

        A range that begins or ends with null is none either: SQL compares nothing with NULL.
        """
        columns = self._keys.columns
        ranged = bool(lower or upper)
        known = equal + ranged <= len(columns) and lower <= 1 and upper <= 1
        if not known or any(column.kind is None for column in columns[: equal + ranged]):
            return None
        operators = ">=" if lower else "", "<" if upper else ""
        texts = [(self._text(equal, *operators, False, descending), equal + lower + upper)]
        if upper and not lower and columns[equal].nullable:
            texts.append((self._text(equal, "", "", True, descending), equal))
            if not descending:
                texts.reverse()
        bound = columns[:equal] + columns[equal : equal + 1] * (lower + upper)
        plan = _Plan(tuple(texts), tuple([(column, _PLAIN.get(column.kind)) for column in bound]))
        self._plans[equal, lower, upper, descending] = plan
        return plan

    def _pieces(self, start: Cut, stop: Cut) -> Iterator[_Piece]:
        """Cut what lies between two places into pieces, in ascending order."""
        columns = self._keys.columns
        low, high = self._bind(start), self._bind(stop)
        common = 0
        for mine, other in zip(start.part_keys, stop.part_keys, strict=False):
            if mine != other:
                break
            common += 1
        # From the start up: the rows that share most with it come first.
        for place in range(len(low) - 1, common, -1):
            bound = _Bound(">" if start.after or place < len(low) - 1 else ">=", low[place])
            yield from _ranges(columns[place], low[:place], bound, None)
        lower = upper = None
        if len(low) > common:
            strict = start.after or len(low) > common + 1
            lower = _Bound(">" if strict else ">=", low[common])
        if len(high) > common:
            inclusive = stop.after and len(high) == common + 1
            upper = _Bound("<=" if inclusive else "<", high[common])
        if lower is None and upper is None:
            yield _Piece(low[:common])
        else:
            yield from _ranges(columns[common], low[:common], lower, upper)
        # And down to the stop: each piece shares one value more with it.
        for place in range(common + 1, len(high)):
            inclusive = stop.after and place == len(high) - 1
            bound = _Bound("<=" if inclusive else "<", high[place])
            yield from _ranges(columns[place], high[:place], None, bound)

    def _bind(self, cut: Cut) -> tuple[SqlValue, ...]:
        return tuple(
            [
                _bound_value(column, part)
                for column, part in zip(self._keys.columns, cut.parts, strict=False)
            ]
        )

    def _statement(self, piece: _Piece, descending: bool) -> Statement:
        equal, lower, upper, is_null = piece
        shape = (
            len(equal),
            lower.operator if lower else "",
            upper.operator if upper else "",
            is_null,
            descending,
        )
        text = self._texts.get(shape)
        if text is None:
            text = self._texts[shape] = self._text(*shape)
        if lower:
            equal += (lower.value,)
        if upper:
            equal += (upper.value,)
        return text, equal

    def _text(self, equal: int, lower: str, upper: str, is_null: bool, descending: bool) -> str:
        names = self._names
        # IS and not =, so that NULL equals NULL.
        conditions = [f"{name} IS ?" for name in names[:equal]]
        if lower:
            conditions.append(f"{names[equal]} {lower} ?")
        if upper:
            conditions.append(f"{names[equal]} {upper} ?")
        if is_null:
            conditions.append(f"{names[equal]} IS NULL")
        text = self._select
        if conditions:
            text += " WHERE " + " AND ".join(conditions)
        if ordered := names[equal:]:
            direction = " DESC" if descending else ""
            text += " ORDER BY " + ", ".join(name + direction for name in ordered)
        return text


def quote(name: str) -> str:
    """Write a name so that SQL takes it for one, whatever it is."""
    return '"' + name.replace('"', '""') + '"'


def _ranges(
    column: KeyColumn, equal: tuple[SqlValue, ...], lower: _Bound | None, upper: _Bound | None
) -> Iterator[_Piece]:
    """Give the pieces of a range of one column, where NULL is the least value.

    In SQL's own comparisons NULL is neither less nor more than anything.
    """
    if upper is not None and upper.value is None and column.nullable:
        # Nothing lies below null: the range has no lower end.
        if upper.operator == "<=":
            yield _Piece(equal, is_null=True)
        return
    if lower is not None and lower.value is None and column.nullable:
        # At or above null is everything; above null is everything else.
        lower = None if lower.operator == ">=" else _Bound(">=", _LEAST[column.kind])
    if lower is None and upper is None:
        yield _Piece(equal)
        return
    if lower is None and column.nullable:
        yield _Piece(equal, is_null=True)
    yield _Piece(equal, lower, upper)


def _bound_value(column: KeyColumn, wire: JsonValue) -> SqlValue:
    """Turn one part of a place into what is compared with its column.

    Unlike what a column keeps, a bound of a column of whole numbers may have a fraction.

    Raises: InvalidRange if the column cannot hold anything of that type.
    """
    kind = column.kind
    if kind is None:
        return int(wire) if isinstance(wire, (int, float)) else None
    if kind is ColumnKind.KEY:
        return key_part(wire)
    if wire is None:
        return None
    if isinstance(wire, str):
        if kind is ColumnKind.TEXT:
            return wire
    elif kind is not ColumnKind.TEXT:
        value = from_wire(wire)
        if isinstance(value, float):
            if value != value:
                raise InvalidValue("NaN has no place in an index; give another bound")
            return value
        if isinstance(value, int):
            return int(value)
    raise InvalidRange(f'the index part "{column.name}" holds {kind.value}, which {wire!r} is not')
