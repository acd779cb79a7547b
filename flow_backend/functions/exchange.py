"""One HTTP request and its response, between the connection's task and that of its action."""

from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final, cast

import orjson
import trio
from attrs import define, field

from flow_backend.errors import FlowError, InvalidResult, LimitExceeded, RequestBodyError
from flow_backend.functions.http import HttpAction, HttpRequest, HttpResponse, ResponseHead
from flow_backend.storage.base import Refused

PIECE_BYTES: Final = 1 << 16
_GONE: Final = "the client has gone"


class ClientGone(Exception):  # It is no error of anybody's.
    """Nobody reads the response any more."""


@define(eq=False, kw_only=True)
class Exchange:
    """Carries a body to an action, and its response back, each piece when the other side asks.

    The two sides are tasks of their own: an action goes on to its end when its client leaves, and
    the connection does not wait for an action that was given up. Nothing is stored between them
    but one piece in each direction.

    Attributes:
        auth_failure: why the token that came along is not believed; only who asks is told.
        finished: whether the whole response was handed over.
        started: whether its head was.
    """

    action: HttpAction
    method: str
    request_bytes_max: int
    response_bytes_max: int
    auth_failure: FlowError | None = None
    request: HttpRequest = field(init=False)
    started: bool = field(default=False, init=False)
    finished: bool = field(default=False, init=False)
    failure: RequestBodyError | None = field(default=None, init=False)
    _ended: trio.Event = field(factory=trio.Event, init=False)
    _pieces_in: trio.MemorySendChannel[bytes] = field(init=False)
    _pieces: trio.MemoryReceiveChannel[bytes] = field(init=False)
    _parts_in: trio.MemorySendChannel[ResponseHead | bytes] = field(init=False)
    parts: trio.MemoryReceiveChannel[ResponseHead | bytes] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._pieces_in, self._pieces = trio.open_memory_channel[bytes](0)
        self._parts_in, self.parts = trio.open_memory_channel[ResponseHead | bytes](0)

    # --- The connection's side

    async def carry_body(self, read: Callable[[], Awaitable[bytes | None]]) -> None:
        """Hand over the body; ``read`` gives its next bytes, None at its end.

        What ``read`` raises as RequestBodyError, the action is told.
        """
        size = 0
        try:
            while (piece := await read()) is not None:
                size += len(piece)
                if size > self.request_bytes_max:
                    raise too_large(self.request_bytes_max)
                if piece:
                    await self._pieces_in.send(piece)
        except RequestBodyError as error:
            self.failure = error
        except trio.BrokenResourceError:
            return  # The action has ended.
        self._pieces_in.close()

    async def wait_ended(self) -> None:
        """Wait until nothing more comes from the action."""
        await self._ended.wait()

    def leave(self) -> None:
        """End it from the connection's side: nobody is there any more."""
        self.failure = self.failure or RequestBodyError(408, _GONE)
        self._pieces_in.close()
        self.parts.close()

    # --- The action's side

    async def next_piece(self) -> bytes | None:
        """Give the next bytes of the body, None at its end.

        Raises: RequestBodyError.
        """
        try:
            return await self._pieces.receive()
        except trio.EndOfChannel:
            if self.failure is not None:
                raise self.failure from None
            return None
        except trio.ClosedResourceError:
            raise RequestBodyError(408, "this action was ended") from None

    async def respond(self, response: HttpResponse) -> None:
        """Hand over a response.

        Raises: InvalidResult, LimitExceeded, what the body's iterator raises; ClientGone.
        """
        head = response.head()
        async with AsyncExitStack() as stack:
            body = response.body
            if not isinstance(body, (bytes, str)) and (close := getattr(body, "aclose", None)):
                # Also one that is not read to its end has to end now, not at some collection.
                stack.push_async_callback(close)
            if self.method == "HEAD" or head.status in {204, 304}:
                await self._hand_over(head)
            elif isinstance(body, (bytes, str)):
                await self._send_whole(head, body.encode() if isinstance(body, str) else body)
            else:
                await self._send_stream(head, body)
        self.finished = True
        self.end()

    async def _send_whole(self, head: ResponseHead, body: bytes) -> None:
        self._check_size(len(body))
        await self._hand_over(head)
        for start in range(0, len(body), PIECE_BYTES):
            await self._hand_over(body[start : start + PIECE_BYTES])

    async def _send_stream(self, head: ResponseHead, body: AsyncIterable[bytes]) -> None:
        size = 0
        async for piece in body:
            if not isinstance(cast("object", piece), bytes):
                raise InvalidResult(
                    f"the body of a response consists of bytes, not {type(piece).__name__}"
                )
            size += len(piece)
            self._check_size(size)
            if head.length is not None and size > head.length:
                raise InvalidResult(f"the body has more than the {head.length} bytes it declares")
            # The head goes out with the first piece: an error before that still has a status.
            if piece and not self.started:
                await self._hand_over(head)
            for start in range(0, len(piece), PIECE_BYTES):
                await self._hand_over(piece[start : start + PIECE_BYTES])
        if head.length is not None and size < head.length:
            raise InvalidResult(f"the body has {size} bytes, and declares {head.length}")
        if not self.started:
            await self._hand_over(head)

    def _check_size(self, size: int) -> None:
        if size > self.response_bytes_max:
            raise LimitExceeded(
                f"The response of {self.action.path} has more than {self.response_bytes_max} "
                "bytes, which is the limit (FLOW_HTTP_RESPONSE_BYTES_MAX)."
            )

    async def _hand_over(self, part: ResponseHead | bytes) -> None:
        self.started = True
        try:
            await self._parts_in.send(part)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise ClientGone from None

    def end(self) -> None:
        """Say that nothing more comes from the action, also if its response is not whole."""
        self._parts_in.close()
        self._pieces.close()
        self._ended.set()


def too_large(most: int) -> RequestBodyError:
    """Give the error for a body of more than ``most`` bytes."""
    return RequestBodyError(
        413, f"a body has at most {most} bytes here (FLOW_HTTP_REQUEST_BYTES_MAX)"
    )


def failure_response(refused: Refused) -> HttpResponse:
    """Say over HTTP that a route has failed.

    Source: the HTTP API, "HTTP actions", outcomes.
    """
    head, _, text = refused.message.partition("\n")
    first, _, _ = text.partition("\n")
    body = orjson.dumps({"code": f"{head}: {first}" if first else head})[:-1]
    if text:
        body += b',"trace":' + orjson.dumps(text)
    if refused.data is not None:
        body += b',"data":' + refused.data
    return HttpResponse(body + b"}", 500, {"content-type": "application/json"})


def body_error_response(error: RequestBodyError) -> HttpResponse:
    """Say over HTTP what is wrong with a request's body."""
    return HttpResponse.json({"code": error.code, "message": str(error)}, error.status)
