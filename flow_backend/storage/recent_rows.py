"""Rows that the writer has read or written of late, as they are now.

A mutation reads a document, changes it, and so reads it again; the next one reads the same board.
Only the writer changes rows, so what it keeps stays true while it notes each change of its own.
"""

from typing import Final

from flow_backend.storage.base import StoredRow, TableName

BYTES_MAX: Final = 8 * 1024 * 1024
_ROW_BYTES: Final = 512
"""What a row takes besides its document, about."""

RowPlace = tuple[TableName, str]
"""A row's table and id."""


class RecentRows:
    """Keeps rows by table and id, as many as fit."""

    __slots__ = ("_bytes_left", "_bytes_max", "_rows", "forget", "get")

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._rows = dict[RowPlace, StoredRow]()
        self._bytes_max = bytes_max
        self._bytes_left = bytes_max
        # The dictionary's own: each is called for every row that a mutation reads.
        self.get = self._rows.get
        self.forget = self._rows.pop

    def put(self, place: RowPlace, row: StoredRow) -> None:
        """Keep a row."""
        # A row that is put again or forgotten still counts: all begins anew somewhat sooner.
        self._bytes_left -= len(row[3]) + _ROW_BYTES
        if self._bytes_left < 0:
            self.clear()
        self._rows[place] = row

    def clear(self) -> None:
        """Forget all."""
        self._rows.clear()
        self._bytes_left = self._bytes_max
