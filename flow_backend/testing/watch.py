"""A live query that a test looks at after each step."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import orjson
from attrs import define, field

from flow_backend.actors.messages.to_query import QueryResult, Resubscribe, Round
from flow_backend.sync.messages import QueryId

R = TypeVar("R")


@define(eq=False)
class Watch(Generic[R]):
    """What a client that watches a query is shown.

    It is kept up to date by itself, as a client's is. ``with app.watch(…) as board:`` ends it, or
    :meth:`close`, or the end of the test's app.

    Attributes:
        changes: all results that it was told, the first one included, and what it raised when it
            failed. Nobody is told a result twice.
    """

    _take: Callable[[Any], R]
    _failure: Callable[[Any], Exception]
    _close: Callable[[], None]
    changes: list[R | Exception] = field(factory=list["R | Exception"])

    @property
    def value(self) -> R:
        """The newest result. Raises: what the query raised, if it failed."""
        __tracebackhide__ = True
        newest = self.changes[-1]
        if isinstance(newest, Exception):
            raise newest
        return newest

    def close(self) -> None:
        """Watch no more. It is safe to call it again."""
        close, self._close = self._close, _nothing
        close()

    def __enter__(self) -> "Watch[R]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(self, message: Round | Resubscribe) -> None:
        """Take what the backend tells."""
        if isinstance(message, Round) and (result := message.changes.get(QueryId(0))) is not None:
            self.changes.append(self._read(result))

    def _read(self, result: QueryResult) -> R | Exception:
        told = orjson.loads(b"{" + result.body)
        return self._take(told["value"]) if result.updated else self._failure(told)


def _nothing() -> None:
    """Close nothing: it is closed already."""
