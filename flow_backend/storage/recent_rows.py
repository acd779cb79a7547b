"""Rows that the writer has read or written of late, as they are now.

A mutation reads a document, changes it, and so reads it again; the next one reads the same board.
Only the writer changes rows, so what it keeps stays true while it notes each change of its own.
"""

from typing import Final

from flow_backend.storage.base import StoredRow, TableName
from flow_backend.storage.keys import KeyParts

BYTES_MAX: Final = 8 * 1024 * 1024
_ROW_BYTES: Final = 1024
"""What a row takes besides its document, with its keys, about."""

RowPlace = tuple[TableName, str]
"""A row's table and id."""


class RecentRows:
    """Keeps rows by table and id, as many as fit."""

    __slots__ = ("_bytes_left", "_bytes_max", "_keys", "_rows", "forget", "get")

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._rows = dict[RowPlace, StoredRow]()
        self._keys = dict[RowPlace, tuple[bytes, KeyParts]]()
        self._bytes_max = bytes_max
        self._bytes_left = bytes_max
        # The dictionary's own: each is called for every row that a mutation reads.
        self.get = self._rows.get
        self.forget = self._rows.pop

    def put(self, place: RowPlace, row: StoredRow, keys: KeyParts | None = None) -> None:
        """Keep a row, and its keys if they are known."""
        # A row that is put again or forgotten still counts: all begins anew somewhat sooner.
        self._bytes_left -= len(row[3]) + _ROW_BYTES
        if self._bytes_left < 0:
            self.clear()
        self._rows[place] = row
        if keys is not None:
            self._keys[place] = row[3], keys

    def keys(self, place: RowPlace, raw: bytes) -> KeyParts | None:
        """Give the keys of a row whose document is these bytes, if they are known."""
        known = self._keys.get(place)
        # The very same bytes: so they need not be forgotten with a row whose write is undone.
        return known[1] if known is not None and known[0] is raw else None

    def clear(self) -> None:
        """Forget all."""
        self._rows.clear()
        self._keys.clear()
        self._bytes_left = self._bytes_max
