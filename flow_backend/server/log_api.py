"""The endpoints by which admins read the log of functions and follow it."""

from typing import Final

import orjson
import trio
from attrs import define
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from flow_backend.server.admin import require_admin
from flow_backend.server.calls import guarded
from flow_backend.server.core import BackendFacade
from flow_backend.server.function_log import FunctionLog, entry_of
from flow_backend.server.requests import RequestRefused
from flow_backend.storage.logs import LogFilter, LogRow

_WAIT_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 1.0
_ENTRIES: Final = 1000


@define
class LogApi:
    """Reads the log.

    ``cursor`` is the place after which to go on, in ms; 0 gives the newest entries at once. Of our
    own are ``limit``, ``since`` (ms; the oldest that is wanted of these), ``function`` and
    ``failed``.

    Source: the HTTP API, "env and logs".

    Attributes:
        log: None if the server keeps none.
    """

    backend: BackendFacade
    log: FunctionLog | None

    def routes(self) -> list[Route]:
        """Give the routes of all endpoints."""
        return [
            Route("/api/stream_function_logs", guarded(self.stream)),
            Route("/api/stream_udf_execution", guarded(self.stream)),
        ]

    async def stream(self, request: Request) -> Response:
        """Give entries; after a cursor, as soon as there is one."""
        await require_admin(self.backend, request.headers)
        if self.log is None:
            said = "This server keeps no log of functions: its FLOW_LOG_BYTES_MAX is 0."
            raise RequestRefused(404, "NoFunctionLog", said)
        asked = request.query_params
        wanted = LogFilter(asked.get("function") or None, asked.get("failed", "") in {"1", "true"})
        most = min(max(1, int(_number(asked.get("limit"), _ENTRIES))), _ENTRIES)
        cursor = round(_number(asked.get("cursor"), 0.0) * 1000)
        if cursor > 0:
            rows, place = await self._wait(self.log, request, cursor, most, wanted)
        else:
            since = round(_number(asked.get("since"), 0.0) * 1000)
            rows, place = await self.log.history(since, most, wanted)
        return _answer(rows, max(place, 1))

    async def _wait(
        self, log: FunctionLog, request: Request, place: int, most: int, wanted: LogFilter
    ) -> tuple[list[LogRow], int]:
        """Wait for entries as long as the key is good, which was looked at just now.

        Raises: AuthRejected once it is not.
        """
        over = trio.current_time() + _WAIT_SECONDS
        while True:
            rows, place = await log.after(place, most, wanted, _LOOK_SECONDS)
            # What is there is told at once: a server that stops waits for no second look.
            if rows or log.is_ending or trio.current_time() >= over:
                return rows, place
            await require_admin(self.backend, request.headers)


def _answer(rows: list[LogRow], micros: int) -> Response:
    body = {"entries": [entry_of(row) for row in rows], "newCursor": micros / 1000}
    return Response(orjson.dumps(body), media_type="application/json")


def _number(text: str | None, default: float) -> float:
    if text is None:
        return default
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e15:
        raise RequestRefused(400, "BadCursor", "cursor, since and limit are numbers, zero or more.")
    return number
