"""HTTP routes of an app, through real sockets: outcomes, streams, and clients that leave."""

import hashlib
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from flow_backend import sign_webhook
from tests.server_process import APPS, DEADLINE_SECONDS, ROOT, ServerProcess

GUIDE = ROOT / "docs" / "guides" / "actions.md"
MIB = 1 << 20
SECRET = "whsec_b3V0c2lkZSBhcHA="


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for all of these, with a site port."""
    environment = {"FLOW_SITE_PORT": str(free_port()), "FLOW_BODY_STALL_SECONDS": "0.3"}
    data = tmp_path_factory.mktemp("routes") / "data"
    with ServerProcess("outside_app", data, APPS, environment) as started:
        yield started


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.url}/http", timeout=DEADLINE_SECONDS) as made:
        yield made


def site(server: ServerProcess) -> str:
    return f"http://127.0.0.1:{server.environment['FLOW_SITE_PORT']}"


def texts(server: ServerProcess) -> list[str]:
    """Give the texts of all events that the app has kept."""
    answer = httpx.post(f"{server.url}/api/query", json={"path": "events:texts", "args": {}})
    found: list[str] = answer.json()["value"]
    return found


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/files/deep/exact", 200, "exact"),
        ("GET", "/files/deep/other", 200, '{"route":"deep"}'),
        ("DELETE", "/files/deep/exact", 204, ""),
        ("HEAD", "/files/deep/exact", 200, ""),
        ("HEAD", "/zeros?size=10", 200, ""),
        ("GET", "/nowhere", 404, "No HttpAction routed for /nowhere"),
        ("PUT", "/files/deep/exact", 404, "No HttpAction routed for /files/deep/exact"),
        ("OPTIONS", "/files/x", 404, "No HttpAction routed for /files/x"),
        ("GET", "/files", 404, "No HttpAction routed for /files"),
        ("POST", "/json", 400, '{"code":"BadRequestBody","message":"the body is no JSON: '),
    ],
)
def test_a_request_finds_its_route_at_both_ports(
    server: ServerProcess, client: httpx.Client, method: str, path: str, status: int, text: str
) -> None:
    """Exact before prefix, the longest prefix first; HEAD as GET; nothing is answered by itself."""
    for answer in (client.request(method, path), httpx.request(method, site(server) + path)):
        assert answer.status_code == status
        assert answer.text.startswith(text)
        assert bool(answer.text) == bool(text)


def test_a_route_sees_the_url_that_clients_use(server: ServerProcess, client: httpx.Client) -> None:
    """Without the main port's prefix, with what a proxy says of the scheme."""
    path = "/files/a%20b?x=1&y=&x=2"

    seen = client.get(path, headers={"X-Forwarded-Proto": "https, http"}).json()
    forwarded = client.get(path, headers={"Forwarded": 'for=1.2.3.4;proto="https"'}).json()
    bare = httpx.get(site(server) + path).json()

    assert seen["url"] == f"https://127.0.0.1:{server.port}{path}"
    assert forwarded["url"] == seen["url"]
    assert bare["url"] == site(server) + path
    assert seen["path"] == "/files/a b"
    assert seen["query"] == {"x": "2", "y": ""}


def test_a_route_that_fails_says_so_as_convex_does(client: httpx.Client) -> None:
    """A mistake, an AppError with its data, and what is no response at all."""
    mistake, said_no = client.get("/refuse"), client.get("/refuse?no=1")
    nothing = client.get("/nothing")

    assert [each.status_code for each in (mistake, said_no, nothing)] == [500, 500, 500]
    assert mistake.json()["code"].endswith("] Server Error: Uncaught ValueError: a mistake")
    assert "hooks.py" in mistake.json()["trace"]
    assert "data" not in mistake.json()
    assert said_no.json()["data"] == {"why": "no"}
    assert nothing.json()["code"].endswith("hooks:nothing returned NoneType, no HttpResponse")


def test_headers_may_come_twice_and_nothing_is_added_for_other_origins(
    client: httpx.Client,
) -> None:
    """CORS is the route's own affair."""
    answer = client.get("/files/deep/exact", headers={"Origin": "https://elsewhere.example"})

    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_token_matters_only_to_a_route_that_asks(client: httpx.Client) -> None:
    """Others may use the header as they like."""
    bad = {"Authorization": "Bearer nonsense"}

    assert client.get("/who", headers=bad).text == "anyone"
    assert client.get("/who?ask=1", headers=bad).status_code == 500
    assert client.get("/who?ask=1", headers={"Authorization": "Basic eDp5"}).text == "nobody"
    assert client.get("/who?ask=1").text == "nobody"


def test_a_signed_webhook_is_taken_once_and_a_changed_one_refused(
    server: ServerProcess, client: httpx.Client
) -> None:
    """The mutation behind it is a transaction, so a repeated delivery changes nothing."""
    body = b'{"paid": true}'
    signed = sign_webhook(SECRET, "msg_1", int(time.time()), body)
    old = sign_webhook(SECRET, "msg_2", int(time.time()) - 3600, body)

    first = client.post("/hook", content=body, headers=signed)
    again = client.post("/hook", content=body, headers=signed)
    changed = client.post("/hook", content=b'{"paid": 1e9}', headers=signed)
    late = client.post("/hook", content=body, headers=old)
    bare = client.post("/hook", content=body)

    assert (first.json(), again.json()) == ({"new": True}, {"new": False})
    assert [each.status_code for each in (changed, late, bare)] == [401, 401, 401]
    assert texts(server).count('{"paid": true}') == 1


# --- Streams


def peak_bytes(server: ServerProcess) -> int:
    """Give the most memory that the server ever had in use."""
    assert server.popen is not None
    status = Path(f"/proc/{server.popen.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) << 10


@pytest.mark.slow
def test_20_mib_both_ways_are_streamed_with_flat_memory(
    server: ServerProcess, client: httpx.Client
) -> None:
    """What is in memory at once are pieces, of several transfers at a time, too."""
    size = 20 * MIB
    expected = hashlib.sha256(bytes(size)).hexdigest()
    client.post("/digest", content=bytes(MIB))
    before = peak_bytes(server)

    for _ in range(3):
        sent = client.post("/digest", content=bytes(size)).json()
        chunked = client.post("/digest", content=(bytes(MIB) for _ in range(20))).json()
        assert sent == chunked == {"sha256": expected, "size": size}
        for path in (f"/zeros?size={size}", f"/zeros?size={size}&declared=1"):
            with client.stream("GET", path) as response:
                received = sum(map(len, response.iter_raw()))
            assert received == size

    grown = peak_bytes(server) - before
    print(f"\n120 MiB up and 120 MiB down: the server's memory grew by {grown / MIB:.1f} MiB")
    assert grown < 8 * MIB


def test_past_20_mib_a_body_is_refused_and_the_connection_closed(client: httpx.Client) -> None:
    """Declared or not; the rest of it would be taken for the next request."""
    declared = client.post("/digest", content=bytes(20 * MIB + 1))
    chunked = client.post("/digest", content=(bytes(MIB) for _ in range(24)))

    assert (declared.status_code, chunked.status_code) == (413, 413)
    assert declared.headers["connection"] == chunked.headers["connection"] == "close"
    assert client.get("/who").text == "anyone"


def test_a_body_that_no_route_reads_does_not_hold_up_the_answer(
    server: ServerProcess, tmp_path: Path
) -> None:
    """Hypercorn would wait for ever to be rid of it, once its queue is full."""
    file = tmp_path / "go on"
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE_SECONDS) as sending:
        head = f"GET /http/drip?file={quote(str(file))} HTTP/1.1\r\nHost: x\r\n"
        sending.sendall(head.encode() + b"Content-Length: 20000000\r\n\r\n")
        sending.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                sending.send(bytes(MIB))
        sending.settimeout(DEADLINE_SECONDS)
        file.touch()
        answer = b""
        with suppress(ConnectionError):
            while piece := sending.recv(4096):
                answer += piece

    assert answer.endswith(b"0\r\n\r\n")
    assert b"connection: close" in answer


def test_past_20_mib_a_response_is_cut_off(server: ServerProcess, client: httpx.Client) -> None:
    """The client can tell that it does not have all of it; the log says which route it was."""
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(f"/zeros?size={20 * MIB + 1}")

    assert '"a response was cut off"' in server.log()


def test_a_response_whose_source_fails_is_cut_off(client: httpx.Client) -> None:
    """A status is no longer to be had; an end that looks whole would be a lie."""
    with client.stream("GET", "/cut") as response:
        assert response.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            response.read()


def test_the_head_and_each_piece_go_out_at_once(client: httpx.Client, tmp_path: Path) -> None:
    """The second piece is made only when the first has arrived."""
    file = tmp_path / "go on"

    with client.stream("GET", f"/drip?file={quote(str(file))}") as response:
        pieces = response.iter_raw()
        assert next(pieces) == b"first"
        file.touch()
        assert next(pieces) == b"second"


def until(there: Path) -> None:
    ends = time.monotonic() + DEADLINE_SECONDS
    while not there.exists():
        assert time.monotonic() < ends, f"{there} never came"
        time.sleep(0.005)


def test_a_client_that_leaves_ends_the_stream_made_for_it(
    server: ServerProcess, tmp_path: Path
) -> None:
    """And what the stream holds is let go."""
    ended = tmp_path / "ended"
    note = quote(str(ended))

    with socket.create_connection(("127.0.0.1", server.port)) as leaving:
        request = f"GET /http/zeros?size={20 * MIB}&note={note} HTTP/1.1\r\nHost: x\r\n\r\n"
        leaving.sendall(request.encode())
        assert leaving.recv(100).startswith(b"HTTP/1.1 200")
        assert not ended.exists()

    until(ended)


def test_a_route_runs_to_its_end_when_its_client_leaves(
    server: ServerProcess, tmp_path: Path
) -> None:
    """What was asked for is done, as with every call."""
    begun, file = tmp_path / "begun", tmp_path / "go on"
    query = f"begun={quote(str(begun))}&file={quote(str(file))}"

    with socket.create_connection(("127.0.0.1", server.port)) as leaving:
        head = f"POST /http/after?{query} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"
        leaving.sendall(head.encode() + b"gone")
        until(begun)
    file.touch()

    ends = time.monotonic() + DEADLINE_SECONDS
    while "gone" not in texts(server):
        assert time.monotonic() < ends


@pytest.mark.slow
def test_j9_a_body_that_stands_still_is_given_up(server: ServerProcess) -> None:
    """The route hears of it; a client that hangs up halfway is no whole body either."""
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"POST /http/digest HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        answer = slow.recv(4096)
        while b"slowly" not in answer:
            piece = slow.recv(4096)
            assert piece, answer
            answer += piece

    assert answer.startswith(b"HTTP/1.1 408")


def test_the_site_port_serves_routes_alone(server: ServerProcess) -> None:
    """Neither calls, nor the web app, nor sessions."""
    port = int(server.environment["FLOW_SITE_PORT"])
    call = {"path": "events:texts", "args": {}}

    assert httpx.post(f"{site(server)}/api/query", json=call).status_code == 404
    assert httpx.get(f"{site(server)}/version").status_code == 404
    with socket.create_connection(("127.0.0.1", port)) as asking:
        asking.sendall(
            b"GET /api/sync HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert asking.recv(4096).startswith(b"HTTP/1.1 404")


def test_an_app_without_routes_says_so(tmp_path: Path) -> None:
    """In the words that tools know."""
    with ServerProcess("ledger_app", tmp_path / "data", APPS) as started:
        answer = httpx.get(f"{started.url}/http/hook")

    assert answer.status_code == 404
    assert answer.text == "This Convex deployment does not have HTTP actions enabled."


def test_json_goes_both_ways(client: httpx.Client) -> None:
    answer = client.post("/json", json={"a": [1, None, "ä"]})

    assert answer.status_code == 201
    assert answer.json() == {"a": [1, None, "ä"]}
    assert answer.headers["x-made-by"] == "outside_app"
    assert json.loads(answer.content) == answer.json()


def test_the_routes_of_the_guide_work(tmp_path: Path) -> None:
    """docs/guides/actions.md shows them whole."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "__init__.py").touch()
    for block in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL):
        if (named := re.match(r"# (payments|hooks)\.py\n", block)) is not None:
            (folder / f"{named[1]}.py").write_text(block)
    body = b"12 euros"
    signed = sign_webhook("whsec_c2hvcA==", "msg_1", int(time.time()), body)

    with ServerProcess("shop", tmp_path / "data", tmp_path) as started:
        for _ in range(2):
            taken = httpx.post(f"{started.url}/http/paid", content=body, headers=signed)
            assert taken.status_code == 204
        refused = httpx.post(f"{started.url}/http/paid", content=b"12 cents", headers=signed)
        lines = httpx.get(f"{started.url}/http/lines/all")

    assert refused.status_code == 401
    assert lines.text == "12 euros\n"
