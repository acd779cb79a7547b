"""Who may tend a server: what every endpoint for admins asks first, and the smallest of them."""

from collections.abc import Mapping

import orjson
from attrs import define
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from flow_backend.functions.context import Caller
from flow_backend.server.calls import guarded
from flow_backend.server.core import BackendFacade
from flow_backend.server.requests import RequestRefused, token_of


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
    """Says whether a key is good.

    Source: the HTTP API, "Meta endpoints".
    """

    backend: BackendFacade

    def routes(self) -> list[Route]:
        """Give the routes of all endpoints."""
        return [Route("/api/check_admin_key", guarded(self.check))]

    async def check(self, request: Request) -> Response:
        """Say that the request's key is good, and for what."""
        await require_admin(self.backend, request.headers)
        body = {"success": True, "allowedOps": None, "isReadOnly": False}
        return Response(orjson.dumps(body), media_type="application/json")
