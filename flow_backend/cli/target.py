"""Which server a command talks to, with which key, and what it says when that fails."""

from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, cast

import click
import orjson
from attrs import define, field, frozen

from flow_backend.server.local import find_local

if TYPE_CHECKING:
    import httpx

DATA: Final = "flow-data"
_SECONDS: Final = 60.0

F = TypeVar("F", bound=Callable[..., Any])


class CommandError(click.ClickException):
    """What went wrong, in words for whoever gave the command.

    Attributes:
        status: of the server's answer, if that is what it was.
        code: the short name of the server's error.
        body: all that the server said of it.
    """

    def __init__(
        self,
        message: str,
        status: int | None = None,
        code: str | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.body: Mapping[str, Any] = body or {}


@frozen
class Target:
    """A server, and the key to show it."""

    url: str
    admin_key: str = field(repr=False)

    def client(self, seconds: float = _SECONDS) -> "AdminClient":
        """Give what sends requests; use it in a with block."""
        return AdminClient(self, seconds)


def data_option(command: F) -> F:
    """Add --data: the folder of a server on this machine."""
    return click.option(
        "--data",
        default=DATA,
        envvar="FLOW_DATA",
        show_default=True,
        help="The folder of the server on this machine.",
    )(command)


def target_options(command: F) -> F:
    """Add --url, --admin-key and --data, and call the command with ``target``, a Target.

    Without --url it is the server that runs on this machine with that data folder, and no key is
    needed.
    """

    @wraps(command)
    def with_target(
        *args: Any, url: str | None, admin_key: str | None, data: str, **options: Any
    ) -> Any:
        return command(*args, target=find_target(url, admin_key, data), **options)

    wrapped = data_option(with_target)
    wrapped = click.option(
        "--admin-key",
        envvar="FLOW_ADMIN_KEY",
        help="A key of `flow key create`; also FLOW_ADMIN_KEY.",
    )(wrapped)
    wrapped = click.option(
        "--url", envvar="FLOW_URL", help="The server, if it is another machine's; also FLOW_URL."
    )(wrapped)
    return cast("F", wrapped)


def find_target(url: str | None, admin_key: str | None, data: str) -> Target:
    """Find the server that is meant.

    Raises: CommandError that says what is missing.
    """
    local = find_local(Path(data))
    if url is None:
        if local is None:
            raise CommandError(
                f"No server runs here with the data folder {data!r}. Start one (flow serve, flow "
                "dev), name its folder with --data, or another machine's server with --url."
            )
        return Target(local.url, admin_key or local.admin_key)
    url = url.rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise CommandError(f"{url!r} is no address of a server: it begins with http:// or https://")
    if admin_key is None and local is not None and local.url == url:
        admin_key = local.admin_key
    if admin_key is None:
        raise CommandError(
            f"{url} needs an admin key: make one there with `flow key create NAME`, and give it "
            "with --admin-key or in FLOW_ADMIN_KEY."
        )
    return Target(url, admin_key)


@define
class AdminClient:
    """Sends requests to a server as an admin. Its errors are CommandErrors."""

    target: Target
    seconds: float
    _client: "httpx.Client" = field(init=False)

    def __attrs_post_init__(self) -> None:
        # Only here and below: it is slow to load.
        import httpx

        headers = {"Authorization": f"Convex {self.target.admin_key}"}
        self._client = httpx.Client(
            base_url=self.target.url, headers=headers, timeout=self.seconds, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._client.close()

    def get(self, path: str, **parameters: str | int) -> Any:
        """Ask for something; give the JSON of the answer."""
        return self._send("GET", path, params=parameters)

    def post(self, path: str, body: object = None, **parameters: str | int) -> Any:
        """Send JSON, or bytes as they are; give the JSON of the answer."""
        kind = "application/octet-stream"
        content = body
        if not isinstance(content, bytes):
            kind, content = "application/json", orjson.dumps({} if body is None else body)
        return self._send(
            "POST", path, params=parameters, content=content, headers={"Content-Type": kind}
        )

    def download(self, path: str, file: Path, progress: Callable[[int], None]) -> None:
        """Write the body of an answer to a file; ``progress`` is told of each piece's bytes."""
        import httpx

        try:
            with self._client.stream("GET", path) as answer:
                if not answer.is_success:
                    answer.read()
                    self._result(answer)
                with file.open("wb") as opened:
                    for piece in answer.iter_bytes():
                        opened.write(piece)
                        progress(len(piece))
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None

    def _send(self, method: str, path: str, **request: Any) -> Any:
        import httpx

        try:
            return self._result(self._client.request(method, path, **request))
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> CommandError:
        import httpx

        if isinstance(error, httpx.ConnectError):
            return CommandError(f"Nothing answers at {self.target.url}: is the server running?")
        if isinstance(error, httpx.TimeoutException):
            return CommandError(
                f"{self.target.url} did not answer within {self.seconds:g} s. What was asked may "
                "still have happened there: look before you ask again."
            )
        return CommandError(f"{self.target.url}: {str(error) or type(error).__name__}")

    def _result(self, answer: "httpx.Response") -> Any:
        try:
            body: Any = orjson.loads(answer.content) if answer.content else None
        except orjson.JSONDecodeError:
            body = None
        if answer.is_success:
            return body
        fields = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        said = fields.get("message") or f"{self.target.url} answered {answer.status_code}"
        raise CommandError(str(said), answer.status_code, fields.get("code"), fields)
