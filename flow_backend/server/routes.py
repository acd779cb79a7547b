"""The app's HTTP routes: under ``/http`` at the main port, and at the site port without it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

import structlog
import trio
from attrs import define, field
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from flow_backend.actors.messages.calls import Call
from flow_backend.errors import (
    AuthRejected,
    AuthUnavailable,
    FlowError,
    Overloaded,
    RequestBodyError,
)
from flow_backend.functions.context import NOBODY, Caller
from flow_backend.functions.exchange import (
    Exchange,
    body_error_response,
    failure_response,
    too_large,
)
from flow_backend.functions.http import HttpAction, HttpRequest, HttpResponse, ResponseHead, Router
from flow_backend.server.calls import error_response, refuse
from flow_backend.server.config import Settings
from flow_backend.server.core import BackendFacade
from flow_backend.storage.base import Refused
from flow_backend.sync.messages import UserToken

PREFIX: Final = "/http"
_CLOSE: Final = {"connection": "close"}
_SCHEMES: Final = frozenset({"http", "https"})

log = structlog.stdlib.get_logger("flow.http")


@define
class AppRoutes:
    """Serves requests to the app's routes. An ASGI application.

    ``prefix`` stands before the paths of all routes, and is not seen by them.

    Source: the HTTP API, "HTTP actions".
    """

    router: Callable[[], Router]
    backend: BackendFacade
    settings: Settings
    prefix: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope["path"].removeprefix(self.prefix)
        router = self.router()
        action = router.find(scope["method"], path)
        headers = _headers(scope["headers"])
        body = RequestBody(receive, self.settings, _has_body(headers))
        async with trio.open_nursery() as nursery:
            if action is None:
                nursery.start_soon(body.discard)
                await _not_found(router, path)(scope, receive, send)
            elif _declared(headers) > self.settings.http_request_bytes_max:
                nursery.start_soon(body.discard)
                error = too_large(self.settings.http_request_bytes_max)
                await _as_asgi(body_error_response(error), _CLOSE)(scope, receive, send)
            else:
                await self._serve(action, self._request(scope, path, headers), body, send)
            nursery.cancel_scope.cancel()

    async def _serve(
        self, action: HttpAction, request: "_Parts", body: "RequestBody", send: Send
    ) -> None:
        caller, failure = await self._caller(request.headers)
        exchange = Exchange(
            action=action,
            method=request.method,
            request_bytes_max=self.settings.http_request_bytes_max,
            response_bytes_max=self.settings.http_response_bytes_max,
            auth_failure=failure,
        )
        exchange.request = HttpRequest(
            method=request.method,
            url=request.url,
            path=request.path,
            query=request.query,
            headers=request.headers,
            source=exchange,
        )
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_carry, exchange, body)
                told = _Told()
                nursery.start_soon(self._act, exchange, caller, told)
                await _write(exchange, told, body, send)
                nursery.cancel_scope.cancel()
        finally:
            # The client has gone, or has all of its answer. The action goes on to its end.
            exchange.leave()

    async def _act(self, exchange: Exchange, caller: Caller, told: "_Told") -> None:
        try:
            result = await self.backend.act(Call(exchange.action.path, {}, caller), exchange)
            if isinstance(result, Refused):
                told.instead = _as_asgi(failure_response(result))
        except Overloaded as error:
            told.instead = error_response(error)
        except Exception as error:
            log.exception("A route failed", path=exchange.action.path, exc_info=error)
        exchange.end()

    async def _caller(self, headers: Mapping[str, str]) -> tuple[Caller, FlowError | None]:
        """Tell who asks. A token that is not believed matters only to an action that looks."""
        scheme, _, token = headers.get("authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return NOBODY, None
        try:
            return await self.backend.authenticate(UserToken(token.strip())), None
        except (AuthRejected, AuthUnavailable) as error:
            return NOBODY, error

    def _request(self, scope: Scope, path: str, headers: Mapping[str, str]) -> "_Parts":
        raw: str = scope["raw_path"].decode("ascii", "replace").removeprefix(self.prefix)
        query: str = scope["query_string"].decode("ascii", "replace")
        host = headers.get("host", "localhost")
        url = f"{_scheme(headers)}://{host}{raw}{'?' if query else ''}{query}"
        parsed = dict(parse_qsl(query, keep_blank_values=True, errors="replace"))
        return _Parts(scope["method"], url, path, parsed, headers)


@define
class _Parts:
    """What a request says before its body."""

    method: str
    url: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@define
class _Told:
    """What is answered if the action itself answers nothing."""

    instead: Response = field(
        factory=lambda: refuse(500, FlowError.code, "The route could not be run.")
    )


@define
class RequestBody:
    """The body of a request, as hypercorn gives it, within the bounds on its time."""

    receive: Receive
    settings: Settings
    is_coming: bool
    waited_seconds: float = 0.0
    _is_over: bool = False

    async def read(self) -> bytes | None:
        """Give the next bytes, None at the end. Raises: RequestBodyError."""
        if self._is_over:
            return None
        began = trio.current_time()
        # Only waiting for the client counts: how slowly it is read is up to the action.
        left = max(0.0, self.settings.body_seconds - self.waited_seconds)
        with trio.move_on_after(min(left, self.settings.body_stall_seconds)):
            message = await self.receive()
            self.waited_seconds += trio.current_time() - began
            if message["type"] != "http.request":
                raise RequestBodyError(408, "the client has gone before the end of its body")
            self._is_over = not message.get("more_body", False)
            self.is_coming = self.is_coming and not self._is_over
            return bytes(message.get("body", b""))
        raise RequestBodyError(408, "the body of this request came too slowly")

    async def discard(self) -> None:
        """Take what still comes, for ever.

        Hypercorn waits at the end of an answer until the rest of its queue is taken.
        """
        while True:
            await self.receive()


async def _carry(exchange: Exchange, body: RequestBody) -> None:
    await exchange.carry_body(body.read)
    await exchange.wait_ended()
    await body.discard()


async def _write(exchange: Exchange, told: _Told, body: RequestBody, send: Send) -> None:
    """Write the response as it comes; one that stops before its end is cut off visibly."""
    async for part in exchange.parts:
        match part:
            case ResponseHead():
                # What is not read of a body would be taken for the next request.
                head = [*part.headers, *([(b"connection", b"close")] if body.is_coming else [])]
                await send({"type": "http.response.start", "status": part.status, "headers": head})
            case bytes():
                await send({"type": "http.response.body", "body": part, "more_body": True})
    if exchange.finished:
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    elif not exchange.started:
        await told.instead({"type": "http", "method": exchange.method}, _nothing, send)
    # Else hypercorn closes the connection without the mark at the end of a whole response.


async def _nothing() -> Message:
    await trio.sleep_forever()
    return {}


def _headers(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _has_body(headers: Mapping[str, str]) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _declared(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "")
    return int(text[:18]) if text.isdecimal() else 0


def _scheme(headers: Mapping[str, str]) -> str:
    given = headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    for pair in headers.get("forwarded", "").partition(",")[0].split(";"):
        name, _, value = pair.partition("=")
        if not given and name.strip().lower() == "proto":
            given = value.strip().strip('"').lower()
    return given if given in _SCHEMES else "http"


def _not_found(router: Router, path: str) -> Response:
    if not router:
        text = "This Convex deployment does not have HTTP actions enabled."
        return PlainTextResponse(text, 404)
    return PlainTextResponse(f"No HttpAction routed for {path}", 404)


def _as_asgi(response: HttpResponse, more: Mapping[str, str] | None = None) -> Response:
    assert isinstance(response.body, bytes), response
    headers = {**dict(response.headers), **(more or {})}
    return Response(response.body, response.status, headers)
