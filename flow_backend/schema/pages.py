"""Pages: what a client asks for when it reads a list piece by piece, and what it gets."""

from typing import Generic, Literal, TypeVar

from attrs import frozen

T = TypeVar("T")
PageStatus = Literal["SplitRecommended", "SplitRequired"]


@frozen(kw_only=True)
class PaginationOptions:
    """What the client's pagination helpers send as the argument ``paginationOpts``.

    Attributes:
        num_items: how many rows the page should have, if no end is fixed.
        cursor: where the page starts (right behind it); None is the beginning.
        end_cursor: where the page ends, included; it overrides ``num_items``.
        id: the client's own mark, which makes its subscription unique; it means nothing here.
    """

    num_items: float
    cursor: str | None = None
    end_cursor: str | None = None
    id: float | None = None
    maximum_rows_read: float | None = None
    maximum_bytes_read: float | None = None


@frozen(kw_only=True)
class Page(Generic[T]):
    """A page of results. On the wire its fields have Convex's names (``isDone``, …)."""

    page: list[T]
    is_done: bool
    continue_cursor: str
    split_cursor: str | None = None
    page_status: PageStatus | None = None
