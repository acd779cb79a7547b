"""What an app's actions find outside in a test: what the test says, and no network."""

from collections.abc import Awaitable, Callable

import httpx

from flow_backend.functions.outgoing_client import USER_AGENT
from flow_backend.testing.failures import NothingOutside

Outside = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


class _Answers(httpx.AsyncBaseTransport):
    """Answers requests with what a function of the test returns."""

    def __init__(self, answer: Outside) -> None:
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request; the function is given its whole body."""
        await request.aread()
        answered = self._answer(request)
        return answered if isinstance(answered, httpx.Response) else await answered


def make_client(http: Outside | httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    """Make what is ``ctx.http`` in a test."""
    transport = http if isinstance(http, httpx.AsyncBaseTransport) else _Answers(http or _nothing)
    return httpx.AsyncClient(
        transport=transport, headers={"User-Agent": USER_AGENT}, trust_env=False
    )


def _nothing(request: httpx.Request) -> httpx.Response:
    raise NothingOutside(
        f"An action asks for {request.method} {request.url}. A test has no network: say what "
        "comes back with TestApp(…, http=lambda request: httpx.Response(200, …))."
    )
