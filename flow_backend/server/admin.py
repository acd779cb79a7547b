"""Who may tend a server: what every endpoint for admins asks first, and calls for them."""

from collections.abc import Mapping
from typing import Final

import orjson
from attrs import define
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from flow_backend.functions.context import Caller
from flow_backend.server.calls import FunctionApi, guarded
from flow_backend.server.core import BackendFacade
from flow_backend.server.requests import (
    RequestRefused,
    function_request,
    parse_object,
    read_body,
    token_of,
)

_ECHO_BYTES_MAX: Final = 128 << 20


async def require_admin(backend: BackendFacade, headers: Mapping[str, str]) -> Caller:
    """Give the admin whose key a request shows, acting as a user if it says so.

    Raises: RequestRefused and AuthRejected, both of which are answered 401.
    Source: the HTTP API, "Authentication header".
    """
    caller = await backend.authenticate(token_of(headers))
    if not caller.admin:
        raise RequestRefused(
            401,
            "BadAdminKey",
            "This needs an admin key: send it as 'Authorization: Convex <admin key>'. "
            "`flow key create` makes one.",
        )
    return caller


@define
class AdminApi:
    """What admins' tools ask for that is not about the app's deployment or data.

    Source: the HTTP API, "Meta endpoints" and "run".
    """

    calls: FunctionApi

    def routes(self) -> list[Route]:
        """Give the routes of all endpoints."""
        return [
            Route("/api/check_admin_key", guarded(self.check)),
            Route("/api/function", guarded(self.function), methods=["POST"]),
            Route("/echo", guarded(self.echo), methods=["POST"]),
        ]

    async def check(self, request: Request) -> Response:
        """Say that the request's key is good, and for what."""
        await require_admin(self.calls.backend, request.headers)
        body = {"success": True, "allowedOps": None, "isReadOnly": False}
        return Response(orjson.dumps(body), media_type="application/json")

    async def function(self, request: Request) -> Response:
        """Run a function of whatever kind, also an internal one."""
        calls = self.calls
        caller = await require_admin(calls.backend, request.headers)
        body = await read_body(request, calls.settings, calls.gate)
        return await calls.whatever_kind(function_request(parse_object(body)), caller, request)

    async def echo(self, request: Request) -> Response:
        """Send a body back as it comes, for those who test the way to the server."""
        self.calls.gate.check()
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > _ECHO_BYTES_MAX:
            raise RequestRefused(413, "MessageTooLarge", "An echo has at most 128 MiB.")
        return _Echo(media_type="application/octet-stream")


class _Echo(Response):
    """Answers with the request's own body, piece by piece."""

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Say nothing of a length: the body is not known yet."""
        super().init_headers(headers)
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        taken, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            piece: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            taken += len(piece)
            # One that came without its length and is too large is broken off.
            if taken > _ECHO_BYTES_MAX:
                return
            await send({"type": "http.response.body", "body": piece, "more_body": more})
