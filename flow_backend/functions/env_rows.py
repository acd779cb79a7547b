"""Environment variables as rows of ``_environment_variables``."""

from collections.abc import Mapping
from typing import Final

import orjson

from flow_backend.functions.seed import Seed
from flow_backend.schema.ids import encode_id
from flow_backend.schema.system import EnvironmentVariable
from flow_backend.schema.table import BY_CREATION_TIME
from flow_backend.storage.base import (
    IndexBounds,
    Reader,
    Snapshot,
    StoredRow,
    TableName,
    Transaction,
)
from flow_backend.values.value import JsonValue

_TABLE: Final = TableName(EnvironmentVariable.__table__)
_MS_A_DAY: Final = 86_400_000


def read_env(snapshot: Snapshot) -> dict[str, str]:
    """Give the variables that are stored."""
    snapshot.begin()
    try:
        return {name: str(_fields(row)["value"]) for name, row in _rows(snapshot).items()}
    finally:
        snapshot.end()


def write_env(transaction: Transaction, changes: Mapping[str, str | None], seed: int) -> None:
    """Set variables, or take away those whose value is None."""
    rows, chance = _rows(transaction), Seed(seed)
    for name, value in changes.items():
        row = rows.get(name)
        if value is None:
            if row is not None:
                transaction.delete(_TABLE, row)
        elif row is not None:
            transaction.replace(_TABLE, row, {**_fields(row), "value": value})
        else:
            drawn = chance.internal_id(int(transaction.now_ms // _MS_A_DAY))
            ident = encode_id(transaction.table_number(_TABLE), drawn)
            created = transaction.next_creation_time()
            fields: dict[str, JsonValue] = {"name": name, "value": value}
            transaction.insert(_TABLE, ident, {"_id": ident, "_creationTime": created, **fields})


def _rows(reader: Reader) -> dict[str, StoredRow]:
    found = reader.scan(IndexBounds(_TABLE, BY_CREATION_TIME))
    return {str(_fields(row)["name"]): row for row in found}


def _fields(row: StoredRow) -> dict[str, JsonValue]:
    fields: dict[str, JsonValue] = orjson.loads(row[3])
    return fields
