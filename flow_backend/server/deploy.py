"""The endpoints that put versions of the app in force, and tell how that goes on.

All take an admin's key. What is uploaded runs with the server's rights.
"""

from collections.abc import Mapping
from typing import Final, Literal

import orjson
from attrs import define, evolve
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from flow_backend.actors.deploy_requests import DeployRequest, RollbackRequest
from flow_backend.errors import AppDefinitionError
from flow_backend.functions.deployments import Fields
from flow_backend.functions.package import ZIP_BYTES_MAX
from flow_backend.server.admin import require_admin
from flow_backend.server.calls import FunctionApi, guarded
from flow_backend.server.requests import RequestRefused, read_body

_LISTED_MAX: Final = 1000
_LISTED: Final = 20
_MESSAGE_CHARACTERS_MAX: Final = 2000
_TRUE: Final = frozenset({"1", "true"})

Origin = Literal["deploy", "dev"]


@define
class DeployApi:
    """Deploys, rollbacks, and the versions that there were."""

    calls: FunctionApi

    def routes(self) -> list[Route]:
        """Give the routes of all endpoints."""
        return [
            Route("/api/flow/environment", guarded(self.environment)),
            Route("/api/flow/deploy", guarded(self.deploy), methods=["POST"]),
            Route("/api/flow/rollback", guarded(self.rollback), methods=["POST"]),
            Route("/api/flow/deployments", guarded(self.deployments)),
            Route("/api/flow/deployments/{number:int}", guarded(self.deployment)),
        ]

    async def environment(self, request: Request) -> Response:
        """Say which environment this is, and whether its name must be typed before a change."""
        await require_admin(self.calls.backend, request.headers)
        settings = self.calls.settings
        return _json({"name": settings.environment, "protected": settings.protected})

    async def deploy(self, request: Request) -> Response:
        """Begin to put the package in the body in force; answer with its number at once."""
        await require_admin(self.calls.backend, request.headers)
        asked = request.query_params
        self._confirm(asked)
        settings = evolve(self.calls.settings, body_bytes_max=ZIP_BYTES_MAX)
        zipped = await read_body(request, settings, self.calls.gate)
        wanted = DeployRequest(
            zipped=zipped,
            package=asked.get("package") or None,
            origin=_origin(asked),
            author=_text(asked, "author"),
            message=_text(asked, "message"),
            dry_run=_flag(asked, "dry_run"),
            agreed=_flag(asked, "yes"),
        )
        try:
            number = await self.calls.backend.deploys.start(wanted)
        except AppDefinitionError as error:
            raise RequestRefused(400, "BadPackage", str(error)) from None
        return _json({"number": number})

    async def rollback(self, request: Request) -> Response:
        """Begin to bring an earlier version back; answer with the new number at once."""
        await require_admin(self.calls.backend, request.headers)
        asked = request.query_params
        self._confirm(asked)
        wanted = RollbackRequest(
            to=_number(asked, "to"),
            author=_text(asked, "author"),
            message=_text(asked, "message"),
            dry_run=_flag(asked, "dry_run"),
            agreed=_flag(asked, "yes"),
        )
        try:
            number = await self.calls.backend.deploys.start_rollback(wanted)
        except AppDefinitionError as error:
            raise RequestRefused(400, "BadVersion", str(error)) from None
        return _json({"number": number})

    async def deployments(self, request: Request) -> Response:
        """List the newest versions, newest first; ``all`` adds those that never served."""
        await require_admin(self.calls.backend, request.headers)
        asked = request.query_params
        limit = min(_number(asked, "limit") or _LISTED, _LISTED_MAX)
        found = await self.calls.backend.deploys.newest(limit, served=not _flag(asked, "all"))
        return _json({"deployments": [_shown(each) for each in found]})

    async def deployment(self, request: Request) -> Response:
        """Give one version: where it stands, what it changes, what is wrong with it."""
        await require_admin(self.calls.backend, request.headers)
        number: int = request.path_params["number"]
        found = await self.calls.backend.deploys.find(number)
        if found is None:
            raise RequestRefused(404, "NotFound", f"There is no version {number}.")
        return _json(_shown(found))

    def _confirm(self, asked: Mapping[str, str]) -> None:
        """Make sure that a change of a protected environment is meant.

        Raises: RequestRefused.
        """
        settings = self.calls.settings
        if not settings.protected or _flag(asked, "dry_run"):
            return
        if asked.get("confirm") != settings.environment:
            raise RequestRefused(
                403,
                "ProtectedEnvironment",
                f"The environment {settings.environment!r} is protected: its name must be given "
                "with every change (--confirm).",
            )


def _shown(fields: Fields) -> Mapping[str, object]:
    """Give a row as it is sent: whole numbers, and no names that begin with ``_``."""
    kept = {name: value for name, value in fields.items() if not name.startswith("_")}
    restores = fields["restores"]
    return {
        **kept,
        "number": int(_float(fields["number"])),
        "restores": None if restores is None else int(_float(restores)),
        "created": fields["_creationTime"],
    }


def _float(value: object) -> float:
    assert isinstance(value, (int, float)), value
    return value


def _flag(asked: Mapping[str, str], name: str) -> bool:
    return asked.get(name, "").lower() in _TRUE


def _origin(asked: Mapping[str, str]) -> Origin:
    return "dev" if asked.get("origin") == "dev" else "deploy"


def _text(asked: Mapping[str, str], name: str) -> str:
    text = asked.get(name, "")
    if len(text) > _MESSAGE_CHARACTERS_MAX:
        raise RequestRefused(
            400, "BadRequest", f"'{name}' has at most {_MESSAGE_CHARACTERS_MAX} characters."
        )
    return text


def _number(asked: Mapping[str, str], name: str) -> int | None:
    text = asked.get(name)
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 9:
        raise RequestRefused(400, "BadRequest", f"'{name}' is a whole number, not {text[:20]!r}.")
    return int(text)


def _json(body: object) -> Response:
    return Response(
        orjson.dumps(body), media_type="application/json", headers={"Cache-Control": "no-store"}
    )
