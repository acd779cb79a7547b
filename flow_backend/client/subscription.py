"""A live query as an async iterator: always the newest result, never a queue of old ones."""

from typing import TYPE_CHECKING, Generic, Self, TypeVar

from flow_backend.client.calls import Call
from flow_backend.client.outcome import Failure
from flow_backend.client.queries import OpenQuery
from flow_backend.errors import ClientError

if TYPE_CHECKING:
    from flow_backend.client.client import Client

R = TypeVar("R")


class Subscription(Generic[R]):
    """Results of a query, each time that it changes; a slow reader skips those in between.

    Open it with ``async with``; leaving the block ends it. A query that fails raises its error in
    the loop and stays open: a new loop over the same subscription goes on with what comes next.
    """

    def __init__(self, client: "Client", call: Call) -> None:
        self._client = client
        self._call = call
        self._query: OpenQuery | None = None
        self._seen = 0
        self._closed = False

    async def __aenter__(self) -> Self:
        if self._query is not None or self._closed:
            raise ClientError("A subscription is opened once; subscribe again for another.")
        self._query = self._client.open_query(self._call)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        if self._query is not None:
            self._client.close_query(self._query)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> R:
        """Wait for a result that was not given yet.

        Raises: AppError or FunctionFailed if the query fails; AuthRejected, ServerRefused or
            ClientClosed if nothing more will come.
        """
        if self._closed:
            raise StopAsyncIteration
        query = self._query
        if query is None:
            raise ClientError("Open it first: async with client.subscribe(...) as results")
        while query.changes == self._seen:
            await self._client.wait_query(query)
        self._seen = query.changes
        outcome = query.outcome
        assert outcome is not None
        if isinstance(outcome, Failure):
            raise outcome.error(self._call.path)
        result: R = self._call.read(outcome.value)
        return result
