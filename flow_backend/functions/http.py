"""HTTP routes of an app: ``@http_action``, the request that it is handed, and its response."""

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import orjson
from attrs import define, field, frozen

from flow_backend.errors import AppDefinitionError, InvalidResult, RequestBodyError

if TYPE_CHECKING:
    from flow_backend.functions.context import ActionCtx

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_RESERVED: Final = "/.files"
_NAME_CHARACTERS: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
# How the message ends, and what belongs to the connection, is the server's to say.
_SERVERS_OWN: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"}
    | {"upgrade", "date"}
)

RawHeaders = tuple[tuple[bytes, bytes], ...]


class BodySource(Protocol):
    """Where a request's body comes from."""

    async def next_piece(self) -> bytes | None:
        """Give the next bytes, None at the end. Raises: RequestBodyError."""
        ...


@define(eq=False, kw_only=True)
class HttpRequest:
    """A request to a route.

    Attributes:
        url: as the client sees it, without the ``/http`` of the main port.
        path: of the url, with its escapes (``%20``) resolved.
        query: of the url; of a name that comes twice, the last.
        headers: by their names in lower case; of a name that comes twice, all with commas between.
    """

    method: str
    url: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    _source: BodySource = field(alias="source")
    _is_read: bool = field(default=False, init=False)

    async def stream(self) -> AsyncIterator[bytes]:
        """Give the body piece by piece, as it comes. It can be read once.

        The client is read no faster than this.

        Raises: RequestBodyError if it is too large, too slow, or the client has gone. An action
            that does not catch it answers with its status.
        """
        if self._is_read:
            raise RequestBodyError(500, "the body of a request can be read only once")
        self._is_read = True
        while (piece := await self._source.next_piece()) is not None:
            yield piece

    async def body(self, max_bytes: int | None = None) -> bytes:
        """Give the whole body.

        Raises: RequestBodyError as ``stream`` does, and for more than ``max_bytes``.
        """
        whole = bytearray()
        async for piece in self.stream():
            whole += piece
            if max_bytes is not None and len(whole) > max_bytes:
                raise RequestBodyError(413, f"this route takes a body of at most {max_bytes} bytes")
        return bytes(whole)

    async def text(self) -> str:
        """Give the whole body as text. Raises: RequestBodyError if it is no UTF-8."""
        try:
            return (await self.body()).decode()
        except UnicodeDecodeError:
            raise RequestBodyError(400, "the body is no text in UTF-8") from None

    async def json(self) -> Any:
        """Give the whole body, parsed. Raises: RequestBodyError if it is no JSON."""
        try:
            return orjson.loads(await self.body())
        except orjson.JSONDecodeError as error:
            raise RequestBodyError(400, f"the body is no JSON: {error.msg}") from None


@frozen
class ResponseHead:
    """What comes before a response's body, as it goes on the wire.

    ``length`` is what the body is to weigh, None if its end will show.
    """

    status: int
    headers: RawHeaders
    length: int | None


@define(eq=False)
class HttpResponse:
    """What a route answers.

    Attributes:
        body: bytes, a text (sent as UTF-8), or an asynchronous iterator of bytes, whose pieces are
            sent as they come.
        headers: names and values; a list of pairs if a name comes more than once.
    """

    body: bytes | str | AsyncIterable[bytes] = b""
    status: int = 200
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = field(factory=dict[str, str])

    @classmethod
    def json(
        cls, value: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> "HttpResponse":
        """Answer with a value as JSON."""
        given = {name.lower(): text for name, text in (headers or {}).items()}
        return cls(orjson.dumps(value), status, {"content-type": "application/json", **given})

    def head(self) -> ResponseHead:
        """Check the head, and write it as it goes on the wire.

        Raises: InvalidResult.
        """
        status = cast("object", self.status)  # What an app wrote may be anything.
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise InvalidResult(f"a response has a status from 200 to 599, not {status!r}")
        pairs = self.headers.items() if isinstance(self.headers, Mapping) else self.headers
        headers = [_header(name, value) for name, value in pairs]
        if isinstance(self.body, str) and not any(name == b"content-type" for name, _ in headers):
            headers.append((b"content-type", b"text/plain; charset=utf-8"))
        length = self._length(headers)
        headers = [header for header in headers if header[0] != b"content-length"]
        if length is not None and status not in {204, 304}:
            headers.append((b"content-length", b"%d" % length))
        return ResponseHead(status, tuple(headers), length)

    def _length(self, headers: list[tuple[bytes, bytes]]) -> int | None:
        body: object = self.body
        if isinstance(body, str):
            return len(body.encode())
        if isinstance(body, bytes):
            return len(body)
        if not hasattr(body, "__aiter__"):
            raise InvalidResult(
                "the body of a response is bytes, a str or an asynchronous iterator of bytes, "
                f"not {type(body).__name__}"
            )
        declared = [value for name, value in headers if name == b"content-length"]
        if not declared:
            return None
        if len(declared) > 1 or not declared[0].isdigit() or len(declared[0]) > 18:
            raise InvalidResult("the header content-length of a response is one whole number")
        return int(declared[0])


def _header(name: str, value: str) -> tuple[bytes, bytes]:
    name = name.lower()
    if not name or not _NAME_CHARACTERS.issuperset(name):
        raise InvalidResult(f"{name!r} is no name of a header")
    if name in _SERVERS_OWN:
        raise InvalidResult(f"the server itself sets the header {name}")
    try:
        encoded = value.encode("latin-1")
    except UnicodeEncodeError:
        encoded = b"\0"
    if any((byte < 32 and byte != 9) or byte == 127 for byte in encoded):
        # The value itself may be a person's; it is not shown.
        raise InvalidResult(f"the value of the header {name} has characters that no header has")
    return name.encode(), encoded.strip()


HttpCall = Callable[["ActionCtx", HttpRequest], Awaitable[HttpResponse]]


class HttpAction:
    """An action that requests to a path run. ``path`` is its function's, as in ``hooks:paid``."""

    def __init__(self, call: HttpCall, method: str, route: str, is_prefix: bool) -> None:
        self.call = call
        self.method = method
        self.route = route
        self.is_prefix = is_prefix
        self.name = getattr(call, "__name__", "http_action")
        self.path = ""

    def __repr__(self) -> str:
        return f"<http action {self.method} {self.route}{'*' if self.is_prefix else ''}>"

    @property
    def place(self) -> str:
        """Where it stands: ``file:line``."""
        code = inspect.unwrap(self.call).__code__
        return f"{code.co_filename}:{code.co_firstlineno}"


def http_action(
    *, method: str = "GET", path: str | None = None, prefix: str | None = None
) -> Callable[[HttpCall], HttpAction]:
    """Make a trio coroutine answer HTTP requests.

    ``path`` is the whole path, or ``prefix`` its beginning, up to and with a ``/``. A GET route
    answers HEAD too.

    Raises: AppDefinitionError.
    """
    if method not in METHODS:
        raise AppDefinitionError(
            f"http_action(method={method!r}): a method is one of {', '.join(METHODS)}; "
            "HEAD is answered by the GET route"
        )
    route = path if path is not None else prefix
    if route is None or (path is not None and prefix is not None):
        raise AppDefinitionError("http_action takes either a path or a prefix")
    kind = "path" if path is not None else "prefix"
    if not route.startswith("/") or (prefix is not None and not route.endswith("/")):
        ends = "" if path is not None else " and ends"
        raise AppDefinitionError(f"http_action({kind}={route!r}): a {kind} starts{ends} with '/'")
    if "?" in route or "#" in route:
        raise AppDefinitionError(f"http_action({kind}={route!r}): a {kind} ends before '?' and '#'")
    if route == _RESERVED or route.startswith(f"{_RESERVED}/"):
        raise AppDefinitionError(f"http_action({kind}={route!r}): {_RESERVED} is reserved")

    def wrap(call: HttpCall) -> HttpAction:
        made = HttpAction(call, method, route, prefix is not None)
        if not inspect.iscoroutinefunction(call):
            raise AppDefinitionError(
                f"{made.place}: an http action is an async function: async def {made.name}"
            )
        return made

    return wrap


@define
class Router:
    """The routes of an app."""

    _exact: dict[tuple[str, str], HttpAction] = field(
        factory=dict[tuple[str, str], HttpAction], init=False
    )
    _prefixes: dict[tuple[str, str], HttpAction] = field(
        factory=dict[tuple[str, str], HttpAction], init=False
    )

    def __bool__(self) -> bool:
        return bool(self._exact or self._prefixes)

    @property
    def routes(self) -> list[HttpAction]:
        """All of them."""
        return [*self._exact.values(), *self._prefixes.values()]

    def add(self, action: HttpAction) -> None:
        """Add a route.

        Raises: AppDefinitionError if there is such a route already.
        """
        routes = self._prefixes if action.is_prefix else self._exact
        key = action.method, action.route
        if (other := routes.get(key)) is not None:
            raise AppDefinitionError(
                f"{action.place}: {action.method} {action.route} is also the route of "
                f"{other.name} ({other.place}); change one"
            )
        routes[key] = action

    def find(self, method: str, path: str) -> HttpAction | None:
        """Find who answers: an exact path before any prefix, and of those the longest.

        Source: the HTTP API, "Routing".
        """
        method = "GET" if method == "HEAD" else method
        if (found := self._exact.get((method, path))) is not None:
            return found
        end = path.rfind("/")
        while end >= 0:
            if (found := self._prefixes.get((method, path[: end + 1]))) is not None:
                return found
            end = path.rfind("/", 0, end)
        return None
