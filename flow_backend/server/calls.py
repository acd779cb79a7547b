"""The HTTP endpoints that call functions."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal, assert_never

import orjson
import structlog
from attrs import define
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from flow_backend.actors.gate import Gate
from flow_backend.actors.messages.calls import Call
from flow_backend.errors import (
    AuthRejected,
    AuthUnavailable,
    FlowError,
    NotCommitted,
    Overloaded,
    SnapshotTooOld,
)
from flow_backend.functions.context import Caller
from flow_backend.functions.function import Kind as FunctionKind
from flow_backend.server.config import Settings
from flow_backend.server.core import BackendFacade
from flow_backend.server.requests import (
    Format,
    FunctionRequest,
    RequestRefused,
    function_request,
    idempotency_key,
    parse_object,
    query_parameters,
    read_body,
    token_of,
)
from flow_backend.storage.base import Done, Refused, RequestKey
from flow_backend.values.encode import decode, to_clean, to_export
from flow_backend.values.timestamp import encode_ts
from flow_backend.values.value import JsonValue

Endpoint = Callable[[Request], Awaitable[Response]]
Kind = Literal["query", "mutation", "action"]

_BATCH_MAX: Final = 1000
_KINDS: Final[Mapping[FunctionKind, Kind]] = {
    FunctionKind.QUERY: "query",
    FunctionKind.MUTATION: "mutation",
    FunctionKind.ACTION: "action",
}
_REQUEST_ID_CHARACTERS_MAX: Final = 64

log = structlog.stdlib.get_logger("flow.http")


@define
class FunctionApi:
    """Calls functions for HTTP clients.

    A function's own failure is a result, with status 200; other errors have a body of ``code`` and
    ``message``, as all official clients expect.

    Source: the HTTP API, "Function endpoints".
    """

    backend: BackendFacade
    settings: Settings
    gate: Gate

    def routes(self) -> list[Route]:
        """Give the routes of all endpoints."""
        return [
            Route("/api/query", guarded(self.get_query), methods=["GET"]),
            Route("/api/query", guarded(self.query), methods=["POST"]),
            Route("/api/mutation", guarded(self.mutation), methods=["POST"]),
            Route("/api/action", guarded(self.action), methods=["POST"]),
            Route("/api/query_ts", guarded(self.query_ts), methods=["POST"]),
            Route("/api/query_at_ts", guarded(self.query_at_ts), methods=["POST"]),
            Route("/api/query_batch", guarded(self.query_batch), methods=["POST"]),
            Route("/api/run/{path:path}", guarded(self.run_path), methods=["POST"]),
        ]

    async def get_query(self, request: Request) -> Response:
        """Run a query that the address names."""
        return await self._query(request.headers, query_parameters(request))

    async def query(self, request: Request) -> Response:
        """Run a query at the newest state."""
        return await self._post("query", request)

    async def mutation(self, request: Request) -> Response:
        """Run a mutation; one with an Idempotency-Key runs only once."""
        return await self._post("mutation", request)

    async def action(self, request: Request) -> Response:
        """Run an action."""
        return await self._post("action", request)

    async def _post(self, kind: Kind, request: Request) -> Response:
        body = await read_body(request, self.settings, self.gate)
        return await self.call(kind, request.headers, body)

    async def call(self, kind: Kind, headers: Mapping[str, str], body: bytes) -> Response:
        """Run a function as a POST asks, of which ``headers`` find any case or have small names."""
        self.gate.check()
        asked = function_request(parse_object(body))
        if kind == "query":
            return await self._query(headers, asked)
        result = await self.run(kind, asked, await self._caller(headers), headers)
        return _json(envelope(result, asked.format))

    async def run(
        self, kind: Kind, asked: FunctionRequest, caller: Caller, headers: Mapping[str, str]
    ) -> Done | Refused:
        """Run a function for a caller who is known."""
        call = Call(asked.path, asked.args, caller)
        if kind == "query":
            return (await self.backend.query(call, asked.ts)).result
        if kind == "action":
            return await self.backend.act(call)
        key = _request_key(caller, idempotency_key(headers))
        return (await self.backend.mutate(call, key)).result

    async def query_at_ts(self, request: Request) -> Response:
        """Run a query at a timestamp that ``query_ts`` gave."""
        body = await read_body(request, self.settings, self.gate)
        asked = function_request(parse_object(body))
        if asked.ts is None:
            raise RequestRefused(400, "BadTimestamp", "The field 'ts' is missing.")
        return await self._query(request.headers, asked)

    async def _query(self, headers: Mapping[str, str], asked: FunctionRequest) -> Response:
        caller = await self._caller(headers)
        done = await self.backend.query(Call(asked.path, asked.args, caller), asked.ts)
        return _json(envelope(done.result, asked.format))

    async def query_ts(self, request: Request) -> Response:
        """Pin the newest state for some seconds. The body is empty, though called JSON."""
        await read_body(request, self.settings, self.gate)
        ts = await self.backend.pin_snapshot()
        return _json(orjson.dumps({"ts": encode_ts(ts)}))

    async def query_batch(self, request: Request) -> Response:
        """Run several queries at one timestamp."""
        fields = parse_object(await read_body(request, self.settings, self.gate))
        asked = _batch(fields.get("queries"))
        caller = await self._caller(request.headers)
        ts = await self.backend.pin_snapshot()
        results: list[bytes] = []
        size, most = 0, self.settings.batch_bytes_max
        for one in asked:
            done = await self.backend.query(Call(one.path, one.args, caller), ts)
            results.append(envelope(done.result, one.format))
            size += len(results[-1])
            if size > most:
                raise RequestRefused(
                    400,
                    "BatchTooLarge",
                    f"The results of a batch have at most {most} bytes together, and these have "
                    f"come to {size} after {len(results)} of {len(asked)}. Ask for fewer at once.",
                )
        return _json(b'{"results":[%b]}' % b",".join(results))

    async def run_path(self, request: Request) -> Response:
        """Run a function of whatever kind, whose path is part of the address."""
        fields = parse_object(await read_body(request, self.settings, self.gate))
        module, _, name = request.path_params["path"].rpartition("/")
        asked = function_request({**fields, "path": f"{module}:{name}" if module else name})
        return await self.whatever_kind(asked, await self._caller(request.headers), request)

    async def whatever_kind(
        self, asked: FunctionRequest, caller: Caller, request: Request
    ) -> Response:
        """Run a function of whatever kind it is."""
        self.gate.check()
        kind = self.backend.kind_of(asked.path)
        if kind is None:
            result: Done | Refused = Refused(
                f"Could not find function for '{asked.path}'. Is it deployed? `flow run` without a "
                "path lists what is."
            )
        else:
            result = await self.run(_KINDS[kind], asked, caller, request.headers)
        return _json(envelope(result, asked.format))

    async def _caller(self, headers: Mapping[str, str]) -> Caller:
        return await self.backend.authenticate(token_of(headers))


def envelope(result: Done | Refused, form: Format) -> bytes:
    """Write the body for a function's result. In the encoded format its bytes are used as they are.

    Source: the HTTP API, "Result envelope".
    """
    lines = b',"logLines":' + orjson.dumps(result.log_lines) if result.log_lines else b""
    match result:
        case Done(value):
            return b'{"status":"success","value":%b%b}' % (_in_format(value, form), lines)
        case Refused(message, _, data):
            # The field is there if and only if the app raised an AppError, whatever its data.
            shown = b"" if data is None else b',"errorData":' + _in_format(data, form)
            text = orjson.dumps(message)
            return b'{"status":"error","errorMessage":%b%b%b}' % (text, shown, lines)
        case _:
            assert_never(result)


def _in_format(encoded: bytes, form: Format) -> bytes:
    match form:
        case "convex_encoded_json":
            return encoded
        case "json":
            return orjson.dumps(to_clean(decode(encoded)))
        case "export_json":
            return orjson.dumps(to_export(decode(encoded)))
        case _:
            assert_never(form)


def _batch(queries: JsonValue) -> list[FunctionRequest]:
    if not isinstance(queries, list) or len(queries) > _BATCH_MAX:
        raise RequestRefused(
            400, "BadJsonBody", f"The field 'queries' is an array of at most {_BATCH_MAX} queries."
        )
    asked: list[FunctionRequest] = []
    for query in queries:
        if not isinstance(query, dict):
            raise RequestRefused(400, "BadJsonBody", "Each of 'queries' is an object.")
        asked.append(function_request(query))
    return asked


def _request_key(caller: Caller, key: str | None) -> RequestKey | None:
    if key is None:
        return None
    who = "anonymous" if caller.identity is None else caller.identity.key
    return RequestKey(f"key:{'admin:' if caller.admin else ''}{who}", key)


# --- Errors


def guarded(endpoint: Endpoint) -> Endpoint:
    """Make an endpoint answer all errors in the one form that clients know."""

    async def answer(request: Request) -> Response:
        return await answered(endpoint(request), request.scope["path"], request.headers)

    return answer


async def answered(run: Awaitable[Response], path: str, headers: Mapping[str, str]) -> Response:
    """Wait for an endpoint's answer; give any error as one, in the one form that clients know."""
    try:
        response = await run
    except FlowError as error:
        response = error_response(error)
    except Exception as error:
        # The text may hold a person's data: it goes to the log alone.
        log.exception("A request failed", path=path, exc_info=error)
        response = refuse(500, FlowError.code, _TRY_LATER)
    request_id = _request_id(headers)
    if request_id is not None:
        response.headers["Convex-Request-Id"] = request_id
    return response


_TRY_LATER: Final = "Your request couldn't be completed. Try again later."


def error_response(error: FlowError) -> Response:
    """Give the answer for an error that is no function's own.

    Source: the HTTP API, "Error body for everything that is not a function error".
    """
    match error:
        case RequestRefused():
            return refuse(error.status, error.reason, str(error))
        case AuthRejected():
            return refuse(401, error.reason, str(error))
        case SnapshotTooOld():
            return refuse(400, error.code, str(error))
        case Overloaded() | NotCommitted() | AuthUnavailable():
            return refuse(503, error.code, str(error), {"Retry-After": "1"})
        case _:
            log.error("A request failed", code=error.code, exc_info=error)
            return refuse(500, error.code, _TRY_LATER)


def refuse(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Write an error."""
    body = orjson.dumps({"code": code, "message": message})
    return Response(body, status, headers, "application/json")


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


def _request_id(headers: Mapping[str, str]) -> str | None:
    given = headers.get("convex-request-id")
    if given is None or not given.isascii() or not given.isalnum():
        return None
    return given[:_REQUEST_ID_CHARACTERS_MAX]
