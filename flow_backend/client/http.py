"""A client that keeps no connection: one HTTP request for each call."""

import time
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Self, TypeVar, cast, overload
from uuid import UUID

import orjson
from attrs import define, field

from flow_backend.client.calls import Call, prepare_call
from flow_backend.client.outcome import Failure, Fields, log_function, log_lines
from flow_backend.client.socket import VERSION, address_of
from flow_backend.errors import AuthRejected, ClientError, ConnectionLost
from flow_backend.functions.function import Action, Kind, Mutation, Query
from flow_backend.runtime import SystemRuntime
from flow_backend.values.value import JsonValue

if TYPE_CHECKING:
    import httpx

P = ParamSpec("P")
R = TypeVar("R")

_TRIES: Final = 5
_FIRST_WAIT_SECONDS: Final = 0.2


@define(eq=False)
class HttpClient:
    """For programs that ask once and end: ``with HttpClient(url) as client``.

    Each query sees the newest state. A mutation is sent with a key of its own, again if its answer
    is lost, so that it takes effect once; an action is sent once.

    Attributes:
        seconds: how long one request may take.
    """

    url: str
    token: str | None = field(default=None, repr=False, kw_only=True)
    admin_key: str | None = field(default=None, repr=False, kw_only=True)
    seconds: float = field(default=60.0, kw_only=True)
    _client: "httpx.Client" = field(init=False)
    _runtime: SystemRuntime = field(factory=SystemRuntime, init=False)

    def __attrs_post_init__(self) -> None:
        # Only here and below: it is slow to load.
        import httpx

        address_of(self.url)
        headers = {"Convex-Client": f"flow-{VERSION}"}
        if self.admin_key is not None:
            headers["Authorization"] = f"Convex {self.admin_key}"
        elif self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        self._client = httpx.Client(
            base_url=self.url.rstrip("/"), headers=headers, timeout=self.seconds, trust_env=False
        )

    @overload
    def query(self, function: str, /, **args: Any) -> Any: ...
    @overload
    def query(self, function: Query[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def query(self, function: Any, /, *args: object, **kwargs: object) -> Any:
        """Ask a query.

        Raises: AppError with its data if it said no; FunctionFailed if it failed; AuthRejected if
            the server does not take the token; ConnectionLost if there was no answer.
        """
        return self._run("query", prepare_call(Kind.QUERY, function, args, kwargs), _TRIES)

    @overload
    def mutation(self, function: str, /, **args: Any) -> Any: ...
    @overload
    def mutation(self, function: Mutation[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def mutation(self, function: Any, /, *args: object, **kwargs: object) -> Any:
        """Run a mutation, at most once. Raises: as :meth:`query`."""
        key = str(UUID(int=self._runtime.random.getrandbits(128), version=4))
        call = prepare_call(Kind.MUTATION, function, args, kwargs)
        return self._run("mutation", call, _TRIES, {"Idempotency-Key": key})

    @overload
    def action(self, function: str, /, **args: Any) -> Any: ...
    @overload
    def action(self, function: Action[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def action(self, function: Any, /, *args: object, **kwargs: object) -> Any:
        """Run an action. Raises: as :meth:`query`."""
        return self._run("action", prepare_call(Kind.ACTION, function, args, kwargs), 1)

    def close(self) -> None:
        """Drop what is kept of connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, kind: str, call: Call, tries: int, headers: dict[str, str] | None = None) -> Any:
        body = orjson.dumps(
            {"path": call.path, "args": [call.args], "format": "convex_encoded_json"}
        )
        fields = self._answer(kind, call, body, headers or {}, tries)
        log_function(call.path, log_lines(fields))
        if fields.get("status") == "success":
            return call.read(fields.get("value"))
        data = (cast("JsonValue", fields["errorData"]),) if "errorData" in fields else ()
        raise Failure(str(fields.get("errorMessage")), data).error(call.path)

    def _answer(
        self, kind: str, call: Call, body: bytes, headers: dict[str, str], tries: int
    ) -> Fields:
        import httpx

        headers = {"Content-Type": "application/json", **headers}
        lost = ""
        for number in range(tries):
            if number:
                time.sleep(_FIRST_WAIT_SECONDS * 2 ** (number - 1))
            try:
                answer = self._client.post(f"/api/{kind}", content=body, headers=headers)
            except httpx.TransportError as error:
                lost = repr(error)
                continue
            if answer.status_code < 500 or answer.status_code == 560 or number == tries - 1:
                return _fields(answer)
            lost = f"it answered {answer.status_code}"
        raise ConnectionLost(f"{call.path}: {self.url} gave no answer ({lost}).")


def _fields(answer: "httpx.Response") -> Fields:
    try:
        parsed: object = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        parsed = None
    fields = cast("Fields", parsed) if isinstance(parsed, dict) else {}
    if "status" in fields:
        return fields
    said = str(fields.get("message") or f"status {answer.status_code}")
    if answer.status_code in {401, 403}:
        raise AuthRejected(said)
    raise ClientError(f"{answer.url}: {said}")
