"""Views for plain SQL: one beside each table, with every field as a typed column.

A table itself keeps documents as JSON, and only the indexed fields as columns. Its view can be read
by any program that opens SQLite files, while the server runs.
"""

from collections.abc import Iterable
from typing import Final, cast

import orjson

from flow_backend.errors import StartError
from flow_backend.schema.table import ColumnKind, FieldSpec, SqlShape, TableSpec
from flow_backend.storage.connection import Connection
from flow_backend.storage.scan import quote

SUFFIX: Final = "_view"
_SYSTEM: Final = ("_id", "_creationTime")
# The column is what the view would compute, and SQLite can use its index.
_NATIVE: Final = frozenset({ColumnKind.TEXT, ColumnKind.INTEGER, ColumnKind.REAL})
_BASE64: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
# The floats that JSON lacks, as the wire has them. SQL has no NaN: it becomes NULL.
_ODD_FLOATS: Final = {"AAAAAAAA8H8=": "9e999", "AAAAAAAA8P8=": "-9e999", "AAAAAAAAAIA=": "-0.0"}


def view_name(table: str) -> str:
    """Give the name of a table's view."""
    return f"{table}{SUFFIX}"


def select_fields(spec: TableSpec, *, schema: str = "main") -> str:
    """Give the SELECT of a table's view: the id, the creation time, then the fields."""
    indexed = {column.name for column in spec.columns}
    columns = [*_SYSTEM]
    for each in spec.fields.values():
        native = each.name in indexed and each.kind in _NATIVE
        value = quote(each.name) if native else _value(each)
        columns.append(f"{value} AS {quote(each.name)}")
    listed = ",\n  ".join(columns)
    return f"SELECT\n  {listed}\nFROM {quote(schema)}.{quote(spec.name)}"


def drop_view(connection: Connection, table: str) -> None:
    """Take a table's view away: SQLite drops no column that a view names."""
    connection.execute(f"DROP VIEW IF EXISTS {quote(view_name(table))}")


def refresh_views(connection: Connection, specs: Iterable[TableSpec]) -> None:
    """Make the views that are missing or say something else, in the caller's transaction.

    Raises: StartError if a table has the name of another table's view.
    """
    rows = connection.execute("SELECT name, type, sql FROM sqlite_schema").fetchall()
    known = {cast("str", name).lower(): (kind, sql) for name, kind, sql in rows}
    for spec in specs:
        name = view_name(spec.name)
        kind, sql = known.get(name.lower(), (None, None))
        if kind == "table":
            raise StartError(
                f'the table "{name}" has the name that the view of table "{spec.name}" has: '
                "rename one of them"
            )
        wanted = f"CREATE VIEW {quote(name)} AS {select_fields(spec)}"
        if sql != wanted:
            drop_view(connection, spec.name)
            connection.execute(wanted)


def _value(each: FieldSpec) -> str:
    """Give the SQL that takes a field out of the document."""
    # A BLOB would be taken for SQLite's own binary JSON.
    document, path = "CAST(_document AS TEXT)", f"'$.{each.name}'"
    got = f"json_extract({document}, {path})"
    value = _shaped(each.shape, got)
    if not each.has_default or each.default is None:
        return value  # What is not there is NULL already.
    default = "'" + orjson.dumps({each.name: each.default}).decode().replace("'", "''") + "'"
    fallback = _shaped(each.shape, f"json_extract({default}, {path})")
    return f"CASE WHEN json_type({document}, {path}) IS NULL THEN {fallback} ELSE {value} END"


def _shaped(shape: SqlShape, got: str) -> str:
    if shape is SqlShape.INTEGER:
        return f"CAST({got} AS INTEGER)"
    if shape is SqlShape.REAL:
        odd = " ".join(f"""WHEN '{{"$float":"{code}"}}' THEN {sql}"""
                       for code, sql in _ODD_FLOATS.items())  # fmt: skip
        return f"CASE typeof({got}) WHEN 'text' THEN CASE {got} {odd} END ELSE {got} END"
    if shape is SqlShape.INT64:
        return _int64(f"""json_extract({got}, '$."$integer"')""")
    if shape is SqlShape.BYTES:
        return f"""json_extract({got}, '$."$bytes"')"""
    return got


def _int64(code: str) -> str:
    """Give the SQL that reads the base64 of eight bytes, the lowest first."""
    sixes = [f"instr('{_BASE64}', substr({code}, {place}, 1)) - 1" for place in range(1, 12)]
    parts = list[str]()
    for byte in range(8):
        group, third = divmod(byte, 3)
        one, other = sixes[group * 4 + third], sixes[group * 4 + third + 1]
        low, cut = 2 * third + 2, 4 - 2 * third  # Bits of the one, and bits not of the other.
        parts.append(f"(((({one}) << {low}) | (({other}) >> {cut})) & 255) << {8 * byte}")
    whole = " | ".join(f"({part})" for part in parts)
    return f"CASE WHEN {code} IS NOT NULL THEN {whole} END"
