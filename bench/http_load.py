"""The load's side of HTTP: keep-alive connections, each with one request under way at most."""

import socket
from collections.abc import Callable

import orjson

from bench.wire import Address, Hub, LoadError

_HEAD_END = b"\r\n\r\n"


class HttpClient:
    """One connection. Its answers are read whole; anything but a success voids the measurement."""

    def __init__(self, address: Address) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = "{}:{}".format(*address).encode()
        self._buffer = b""
        self.requests = 0
        self.answers = 0
        self.body = b""
        self.on_answer: Callable[[HttpClient], None] | None = None

    def send(self, method: str, path: str, body: object, headers: bytes = b"") -> None:
        """Send a request; it is small, so that the kernel takes it whole."""
        content = orjson.dumps(body)
        request = (
            b"%b %b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n%b"
            b"Content-Length: %d\r\n\r\n%b"
        ) % (method.encode(), path.encode(), self._host, headers, len(content), content)
        if self.socket.send(request) != len(request):
            raise LoadError("the server does not read: a small request was not taken whole")
        self.requests += 1

    def feed(self, data: memoryview) -> None:
        """Take what the socket gave."""
        self._buffer += bytes(data)
        head, found, rest = self._buffer.partition(_HEAD_END)
        if not found:
            return
        size = _content_length(head)
        if len(rest) < size:
            return
        if not head.startswith(b"HTTP/1.1 20"):
            raise LoadError(f"the server answered {head[:40]!r}: {rest[:300]!r}")
        self.body, self._buffer = rest[:size], rest[size:]
        self.answers += 1
        self.answered()
        if self.on_answer is not None:
            self.on_answer(self)

    def answered(self) -> None:
        """An answer is there, in ``body``."""


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    if b" 204 " in head[:16]:
        return 0
    raise LoadError(f"an answer without its length: {head!r}")


def open_clients(hub: Hub, count: int) -> list[HttpClient]:
    """Open connections to the hub's server."""
    clients = [HttpClient(hub.address) for _ in range(count)]
    for client in clients:
        hub.add(client)
    return clients


def ask(hub: Hub, client: HttpClient, path: str, body: object) -> dict[str, object]:
    """Send one POST and wait for its answer."""
    answers = client.answers
    client.send("POST", path, body)
    hub.wait(lambda: client.answers > answers, path)
    answer: dict[str, object] = orjson.loads(client.body)
    return answer


def call(hub: Hub, client: HttpClient, kind: str, path: str, **args: object) -> object:
    """Call a function over HTTP. Returns: its value. Raises: LoadError if it failed."""
    answer = ask(hub, client, f"/api/{kind}", {"path": path, "args": args, "format": "json"})
    if answer["status"] != "success":
        raise LoadError(f"{path} failed: {answer}")
    return answer["value"]


def check_success(client: HttpClient) -> None:
    """Void the measurement if a function failed: that is a status of 200 all the same."""
    if not client.body.startswith(b'{"status":"success"'):
        raise LoadError(f"a function failed: {client.body[:300]!r}")
