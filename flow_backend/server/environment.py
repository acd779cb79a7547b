"""The endpoints by which admins see and change the app's environment variables."""

from collections.abc import Mapping
from typing import cast

import orjson
from attrs import define
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from flow_backend.errors import InvalidEnvironment
from flow_backend.server.admin import require_admin
from flow_backend.server.calls import FunctionApi, guarded
from flow_backend.server.requests import RequestRefused, parse_object, read_body


@define
class EnvironmentApi:
    """Lists and changes environment variables.

    Source: the HTTP API, "env and logs".
    """

    calls: FunctionApi

    def routes(self) -> list[Route]:
        """Give the routes of all endpoints."""
        return [
            Route("/api/list_environment_variables", guarded(self.list)),
            Route("/api/update_environment_variables", guarded(self.update), methods=["POST"]),
        ]

    async def list(self, request: Request) -> Response:
        """Give all variables with their values."""
        await require_admin(self.calls.backend, request.headers)
        body = {"environmentVariables": dict(sorted(self.calls.backend.env.items()))}
        return Response(orjson.dumps(body), media_type="application/json")

    async def update(self, request: Request) -> Response:
        """Set variables, or take them away; all or none."""
        await require_admin(self.calls.backend, request.headers)
        body = parse_object(await read_body(request, self.calls.settings, self.calls.gate))
        try:
            await self.calls.backend.set_env(_changes(body.get("changes")))
        except InvalidEnvironment as error:
            raise RequestRefused(400, error.code, str(error)) from None
        return Response(b"{}", media_type="application/json")


def _changes(asked: object) -> Mapping[str, str | None]:
    changes: dict[str, str | None] = {}
    listed = cast("list[object]", asked) if isinstance(asked, list) else [None]
    for each in listed:
        change = cast("dict[str, object]", each) if isinstance(each, dict) else {}
        name, value = change.get("name"), change.get("value")
        if not isinstance(name, str) or not (value is None or isinstance(value, str)):
            # What came is not quoted: it may hold a secret.
            raise RequestRefused(
                400,
                "BadEnvironmentChange",
                'The body is {"changes": [{"name": "A", "value": "x"}, …]}, where null as the '
                "value takes a variable away.",
            )
        changes[name] = value
    return changes
