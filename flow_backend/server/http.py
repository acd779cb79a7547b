"""All that the server answers over HTTP, as one ASGI application."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import define
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from flow_backend.functions.http import Router
from flow_backend.server.admin import AdminApi
from flow_backend.server.calls import FunctionApi, guarded, refuse
from flow_backend.server.config import Settings
from flow_backend.server.core import BackendFacade
from flow_backend.server.deploy import DeployApi
from flow_backend.server.environment import EnvironmentApi
from flow_backend.server.handshake import origin_allowed
from flow_backend.server.memory import MemoryWatch
from flow_backend.server.metrics import CONTENT_TYPE, ServerCounters, render
from flow_backend.server.routes import PREFIX, AppRoutes
from flow_backend.server.web import WebFolder

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework

App = Callable[[Any, Any, Any], Awaitable[None]]

_RUNNING: Final = "This Flow deployment is running. Point a client at this address to use it.\n"
_META_PATHS: Final = frozenset({"/version", "/instance_name"})
_PREFLIGHT_SECONDS: Final = b"86400"


@define
class Readiness:
    """Whether the server takes work: true between its start and the first sign of its stop."""

    ready: bool = False


@define
class Meta:
    """What operators and tools ask of a server.

    Source: the HTTP API, "Meta endpoints".
    """

    backend: BackendFacade
    settings: Settings
    counters: ServerCounters
    readiness: Readiness
    memory: MemoryWatch

    def routes(self) -> list[Route]:
        """Give the routes of all endpoints."""
        return [
            Route("/version", guarded(self.version)),
            Route("/instance_name", guarded(self.instance_name)),
            Route("/metrics", guarded(self.metrics)),
            Route("/healthz", guarded(self.live)),
            Route("/readyz", guarded(self.is_ready)),
        ]

    async def version(self, _request: Request) -> Response:
        """Say which version of the server this is."""
        return PlainTextResponse(server_version())

    async def instance_name(self, _request: Request) -> Response:
        """Say what the server calls itself."""
        return PlainTextResponse(self.settings.name)

    async def metrics(self, _request: Request) -> Response:
        """Give all numbers, for Prometheus."""
        numbers = {
            **self.counters.by_name(),
            **self.memory.by_name(),
            **self.backend.metrics(),
        }
        return Response(render(numbers), headers={"Content-Type": CONTENT_TYPE})

    async def live(self, _request: Request) -> Response:
        """Say that the loop turns."""
        return PlainTextResponse("live")

    async def is_ready(self, _request: Request) -> Response:
        """Say whether new work is taken: a load balancer asks this one."""
        if not self.readiness.ready:
            return PlainTextResponse("stopping", 503)
        if self.memory.gate.shut:
            return PlainTextResponse("memory is full", 503)
        return PlainTextResponse("ready")


def server_version() -> str:
    """Give the version of the installed package, or ``0`` in a bare checkout."""
    try:
        return version("flow")
    except PackageNotFoundError:
        return "0"


def build_http_app(
    backend: BackendFacade,
    settings: Settings,
    counters: ServerCounters,
    readiness: Readiness,
    memory: MemoryWatch,
    web: WebFolder | None = None,
    router: Callable[[], Router] = Router,
    more: Sequence[Route] = (),
) -> "ASGIFramework":
    """Put the endpoints of the main port together; ``more`` are those of exports and imports."""
    calls = FunctionApi(backend, settings, memory.gate)
    routes = calls.routes() + AdminApi(calls).routes() + DeployApi(calls).routes()
    routes += EnvironmentApi(calls).routes()
    routes += Meta(backend, settings, counters, readiness, memory).routes()
    routes += [
        *more,
        Route("/api/{path:path}", guarded(_no_endpoint), methods=_METHODS),
        Route("/{path:path}", guarded(web or _running), methods=["GET", "HEAD"]),
    ]
    api = Cors(Starlette(routes=routes), settings.origins)
    app_routes = AppRoutes(router, backend, settings, PREFIX)

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        # Only there: a page of the web app answers each other path of its own, so that a route
        # could be hidden by a file that is added later.
        under_prefix = scope["type"] == "http" and scope["path"].startswith(f"{PREFIX}/")
        await (app_routes if under_prefix else api)(scope, receive, send)

    return cast("ASGIFramework", Counted(dispatch, counters, settings.head_bytes_max))


def build_site_app(
    backend: BackendFacade,
    settings: Settings,
    counters: ServerCounters,
    router: Callable[[], Router],
) -> "ASGIFramework":
    """Give what the site port serves: the app's routes alone."""
    routes = AppRoutes(router, backend, settings)
    return cast("ASGIFramework", Counted(routes, counters, settings.head_bytes_max))


_METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


async def _no_endpoint(request: Request) -> Response:
    if request.url.path.endswith("/sync"):
        return refuse(426, "UpgradeRequired", "This address speaks WebSocket.")
    return refuse(404, "NotFound", f"There is no endpoint {request.method} {request.url.path}.")


async def _running(request: Request) -> Response:
    if request.url.path == "/":
        return PlainTextResponse(_RUNNING)
    return refuse(404, "NotFound", f"There is nothing at {request.url.path}.")


@define
class Counted:
    """Counts requests; and refuses WebSockets, which have a listener of their own.

    One may still come here, on a connection that was used for another request before.
    """

    app: App
    counters: ServerCounters
    head_bytes_max: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        self.counters.http_requests += 1
        refused = _refused_head(scope["headers"], self.head_bytes_max)
        if refused is not None:
            await refused(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _refused_head(headers: Sequence[tuple[bytes, bytes]], bytes_max: int) -> App | None:
    """Give the answer to a head that h11 lets through, and nobody should.

    A request that says in two ways where its body ends is how one is smuggled past a proxy. And of
    a head, h11 bounds only what is unfinished: the last piece of it may be as large again.
    """
    close = {"Connection": "close"}
    if {name for name, _ in headers} >= {b"content-length", b"transfer-encoding"}:
        text = "A body ends by its Content-Length or by its Transfer-Encoding, not by both."
        return refuse(400, "BadRequest", text, close)
    if sum(len(name) + len(value) + 4 for name, value in headers) > bytes_max:
        return refuse(431, "BadRequest", f"A head has at most {bytes_max} bytes.", close)
    return None


@define
class Cors:
    """Lets pages of other origins call the API. It has no cookies, so all origins may by default.

    Source: the HTTP API, "CORS".
    """

    app: App
    origins: Sequence[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path: str = scope["path"]
        headers = dict(cast("list[tuple[bytes, bytes]]", scope["headers"]))
        origin = headers.get(b"origin")
        covered = path.startswith("/api/") or path in _META_PATHS
        if (
            origin is None
            or not covered
            or not origin_allowed(origin.decode("latin-1"), self.origins)
        ):
            await self.app(scope, receive, send)
            return
        added = [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"Origin"),
        ]
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await _answer_preflight(send, added, headers)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self.app(scope, receive, send_with_headers)


async def _answer_preflight(
    send: Send, added: list[tuple[bytes, bytes]], headers: Mapping[bytes, bytes]
) -> None:
    answer = [
        *added,
        (b"access-control-allow-methods", b"GET, POST, OPTIONS, PATCH, DELETE, PUT"),
        (b"access-control-max-age", _PREFLIGHT_SECONDS),
        (b"content-length", b"0"),
    ]
    asked = headers.get(b"access-control-request-headers")
    if asked is not None:
        answer.append((b"access-control-allow-headers", asked))
    await send({"type": "http.response.start", "status": 200, "headers": answer})
    await send({"type": "http.response.body", "body": b""})
