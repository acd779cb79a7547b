"""Pages of a scan: cursors, and journals that keep a page's end where it was."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import orjson
from attrs import evolve, frozen

from flow_backend.errors import AppError, InvalidRange, LimitExceeded
from flow_backend.schema.document import Document
from flow_backend.schema.pages import Page, PageStatus, PaginationOptions
from flow_backend.storage.base import IndexBounds, Position, StoredRow
from flow_backend.storage.keys import position_of

if TYPE_CHECKING:
    from flow_backend.functions.scan import Scan

D = TypeVar("D", bound=Document)

MAX_ITEMS: Final = 32_000
_MAX_ROWS: Final = 32_000
_MAX_BYTES: Final = 16 * 2**20
_SPLIT_ROWS: Final = 6144
_SPLIT_SHARE: Final = 0.75


class InvalidCursorError(AppError):
    """A cursor that fits no longer; the official clients then start again at the first page."""

    def __init__(self, why: str) -> None:
        super().__init__({"isConvexSystemError": True, "paginationError": "InvalidCursor"})
        self.why = why

    def __str__(self) -> str:
        return f"InvalidCursor: {self.why}"


@frozen
class Place:
    """Where a page begins or ends: behind a row, or at the very end (no position)."""

    position: Position | None


END: Final = Place(None)


def fingerprint(scan: Scan[Document]) -> str:
    """Give what a cursor is bound to: the table, the index's fields, the bounds and the order."""
    bounds = scan.bounds
    spec = scan.db.spec(bounds.table)
    fields = next(each.fields for each in spec.all_indexes if each.name == bounds.index)
    described = [
        bounds.table,
        bounds.index,
        fields,
        bounds.prefix,
        bounds.lower,
        bounds.upper,
        scan.descending,
        scan.is_filtered,
    ]
    return hashlib.blake2b(orjson.dumps(described), digest_size=9).hexdigest()


def write_cursor(print_: str, place: Place) -> str:
    """Write a place as the opaque text that clients hold."""
    return urlsafe_b64encode(orjson.dumps([print_, place.position])).decode()


def read_cursor(text: str, print_: str) -> Place:
    """Read a cursor.

    Raises: InvalidCursorError if it is none, or belongs to another query.
    """
    try:
        parts: object = orjson.loads(urlsafe_b64decode(text.encode()))
    except (ValueError, Base64Error):
        raise InvalidCursorError("this is no cursor of this server") from None
    if not isinstance(parts, list) or len(cast("list[object]", parts)) != 2:
        raise InvalidCursorError("this is no cursor of this server")
    bound_to, position = cast("list[object]", parts)
    if bound_to != print_:
        raise InvalidCursorError("the cursor belongs to another query, or to another version of it")
    if position is None:
        return END
    if not isinstance(position, list):
        raise InvalidCursorError("this is no cursor of this server")
    return Place(tuple(cast("list[object]", position)))  # type: ignore[arg-type]  # Bound above.


def paginate(scan: Scan[D], options: PaginationOptions, journal: str | None) -> tuple[Page[D], str]:
    """Read one page.

    Returns: the page, and the journal that makes a re-run end it at the same place.
    Raises: InvalidCursorError, InvalidRange, LimitExceeded.
    Source: the server semantics, "Pagination".
    """
    count = _count(options)
    print_ = fingerprint(cast("Scan[Document]", scan))
    start = None if options.cursor is None else read_cursor(options.cursor, print_)
    end = _end(options, journal, print_)
    if start == END:
        return _empty(print_, END), write_cursor(print_, END)
    bounds = evolve(scan.bounds, after=start.position if start else None)
    if end is not None and end.position is not None:
        bounds = evolve(bounds, until=end.position)
    rows, kept, stopped, status = _read(scan, bounds, count if end is None else None, options)
    if stopped:
        finish = _place_of(scan, bounds, rows[-1]) if rows else (start or END)
    else:
        finish = end or END
    page = Page(
        page=kept,
        is_done=finish == END,
        continue_cursor=write_cursor(print_, finish),
        split_cursor=_middle(scan, bounds, rows, print_),
        page_status=status,
    )
    return page, page.continue_cursor


def _count(options: PaginationOptions) -> int:
    wanted = options.num_items
    if not wanted >= 1:
        raise InvalidRange(f"a page must request at least 1 document, not {wanted:g}")
    if wanted > MAX_ITEMS:
        raise LimitExceeded(f"a page has at most {MAX_ITEMS} documents, not {wanted:g}")
    return int(wanted)


def _end(options: PaginationOptions, journal: str | None, print_: str) -> Place | None:
    if options.end_cursor is not None:
        return read_cursor(options.end_cursor, print_)
    if journal is None:
        return None
    try:
        return read_cursor(journal, print_)
    except InvalidCursorError:
        return None  # A journal of an older version pins nothing: the page is read anew.


def _read(
    scan: Scan[D], bounds: IndexBounds, count: int | None, options: PaginationOptions
) -> tuple[list[StoredRow], list[D], bool, PageStatus | None]:
    """Read rows until the page is full, a limit is near, or the range ends."""
    most_rows = _MAX_ROWS if options.maximum_rows_read is None else options.maximum_rows_read
    most_bytes = _MAX_BYTES if options.maximum_bytes_read is None else options.maximum_bytes_read
    if not (most_rows >= 1 and most_bytes >= 1):
        raise InvalidRange("maximumRowsRead and maximumBytesRead must be above 0")
    rows: list[StoredRow] = []
    kept: list[D] = []
    size = 0
    stopped = False
    status: PageStatus | None = None
    try:
        for row in scan.rows(bounds):
            rows.append(row)
            size += len(row[3])
            document = scan.admits(row)
            if document is not None:
                kept.append(document)
            if len(rows) >= most_rows or size >= most_bytes:
                stopped, status = True, "SplitRequired"
                break
            if count is not None and len(kept) >= count:
                stopped = True
                break
    except LimitExceeded:
        # The call's own limit ends the page too, before the row that was too much.
        if not rows:
            raise
        stopped, status = True, "SplitRequired"
    if status is None and (
        len(rows) > min(_SPLIT_ROWS, _SPLIT_SHARE * most_rows) or size > _SPLIT_SHARE * most_bytes
    ):
        status = "SplitRecommended"
    return rows, kept, stopped, status


def _place_of(scan: Scan[Any], bounds: IndexBounds, row: StoredRow) -> Place:
    return Place(position_of(scan.db.spec(bounds.table), bounds.index, row))


def _middle(scan: Scan[Any], bounds: IndexBounds, rows: list[StoredRow], print_: str) -> str | None:
    if len(rows) <= 2:
        return None
    return write_cursor(print_, _place_of(scan, bounds, rows[(len(rows) - 1) // 2]))


def _empty(print_: str, place: Place) -> Page[Any]:
    return Page(page=[], is_done=place == END, continue_cursor=write_cursor(print_, place))
