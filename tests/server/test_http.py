"""The HTTP API over real sockets, as the official clients use it."""

from base64 import b64encode
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import trio

from flow_backend.actors.messages.calls import Call
from flow_backend.auth.identity import Identity
from flow_backend.functions.context import Caller
from flow_backend.server.metrics import render
from flow_backend.storage.base import RequestKey
from flow_backend.sync.messages import Token
from flow_backend.values.timestamp import encode_ts
from tests.server.stand_in import SEVEN, UPGRADE, StandIn, raw, running


@asynccontextmanager
async def client_of(backend: StandIn | None = None, web: Path | None = None, **settings: Any):
    async with (
        running(backend, web, **settings) as server,
        httpx.AsyncClient(base_url=server.url) as client,
    ):
        yield client


@pytest.mark.parametrize("args", [{"n": 1.0}, [{"n": 1.0}]])
@pytest.mark.parametrize("kind", ["query", "mutation", "action"])
async def test_functions_take_both_shapes_of_arguments(kind: str, args: object):
    """The JavaScript client sends an array around the object, the Python client does not."""
    body: dict[str, Any] = {"path": "t.js:echo", "args": args, "format": "convex_encoded_json"}
    async with client_of() as client:
        answer = await client.post(f"/api/{kind}", json=body)

    assert answer.status_code == 200
    assert answer.content == b'{"status":"success","value":{"n":1.0},"logLines":["[LOG] \'x\'"]}'


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (None, {"b": "AA==", "f": 1.0, "i": "5", "n": "NaN"}),
        ("convex_clean_json", {"b": "AA==", "f": 1.0, "i": "5", "n": "NaN"}),
        (
            "export_json",
            {"b": {"$bytes": "AA=="}, "f": 1.0, "i": 5, "n": {"$float": "AAAAAAAA+H8="}},
        ),
        (
            "convex_json",
            {
                "b": {"$bytes": "AA=="},
                "f": 1.0,
                "i": {"$integer": "BQAAAAAAAAA="},
                "n": {"$float": "AAAAAAAA+H8="},
            },
        ),
    ],
)
async def test_values_come_in_the_format_asked_for(form: str | None, value: object):
    body: dict[str, Any] = {"path": "t:rich", "args": {}, "format": form}
    async with client_of() as client:
        answer = await client.post("/api/query", json=body)

    assert answer.json() == {"status": "success", "value": value}
    assert b'"f":1.0' in answer.content  # The Python client takes no 1 for a 1.0.


async def test_a_function_that_fails_is_a_result():
    async with client_of() as client:
        answer = await client.post("/api/mutation", json={"path": "t:fails", "args": {}})

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "error",
        "errorMessage": "[Request ID: 0] Server Error\nUncaught Error: no",
        "errorData": {"a": 1.0},
    }


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/api/query", b"{", 400, "BadJsonBody"),
        ("/api/query", b'{"path":"\xff"}', 400, "BadJsonBody"),
        ("/api/query", b"[" * 100_000, 400, "BadJsonBody"),
        ("/api/query", b"[]", 400, "BadJsonBody"),
        ("/api/query", b'{"args":{}}', 400, "BadConvexFunctionIdentifier"),
        ("/api/query", b'{"path":"no path!","args":{}}', 400, "BadConvexFunctionIdentifier"),
        ("/api/query", b'{"path":"t:f","args":[{},{}]}', 400, "InvalidArguments"),
        ("/api/query", b'{"path":"t:f","args":{},"format":"xml"}', 400, "BadFormat"),
        ("/api/query_at_ts", b'{"path":"t:f","args":{}}', 400, "BadTimestamp"),
        ("/api/query_at_ts", b'{"path":"t:f","args":{},"ts":"?"}', 400, "BadTimestamp"),
        ("/api/query_batch", b'{"queries":[1]}', 400, "BadJsonBody"),
        ("/api/mutation", b'{"path":"t:full","args":{}}', 503, "TooManyConcurrentRequests"),
        ("/api/mutation", b'{"path":"t:lost","args":{}}', 503, "NotCommitted"),
        ("/api/mutation", b'{"path":"t:bug","args":{}}', 500, "InternalServerError"),
        ("/api/query", b'{"path":"t:f","args":{},"x":"' + b"x" * 2000 + b'"}', 413, None),
        ("/api/nothing", b"", 404, "NotFound"),
    ],
)
async def test_errors_have_a_code_and_a_message(
    path: str, body: bytes, status: int, code: str | None
):
    """The Python client fails on a body without them."""
    async with client_of(body_bytes_max=200_000 if len(body) > 9000 else 1024) as client:
        answer = await client.post(path, content=body)

    assert answer.status_code == status
    assert set(answer.json()) == {"code", "message"}
    assert code in (None, answer.json()["code"])
    assert "secret" not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_a_body_without_a_length_is_bounded_as_it_comes():
    async with running(body_bytes_max=2000) as server, raw(server) as client:
        head = b"POST /api/query HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        await client.send(head + b"3e8\r\n%b\r\n" % (b"x" * 1000) * 3)

        assert b" 413 " in await client.read_head()


async def test_a_body_that_stops_halfway_is_answered():
    async with running(body_stall_seconds=0.05) as server, raw(server) as client:
        await client.send(b"POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")

        assert b" 408 " in await client.read_head()


async def test_compressed_bodies_are_refused():
    async with client_of() as client:
        answer = await client.post("/api/query", content=b"x", headers={"Content-Encoding": "gzip"})

    assert answer.status_code == 415


async def test_a_query_by_get():
    async with client_of() as client:
        answer = await client.get(
            "/api/query", params={"path": "t:echo", "args": '{"n":1}', "format": "json"}
        )
        broken = await client.get("/api/query", params={"path": "t:echo", "args": "{"})

    assert answer.json()["value"] == {"n": 1.0}
    assert broken.status_code == 400


async def test_consistent_queries_run_at_the_timestamp_that_was_pinned():
    """JavaScript's consistentQuery asks for a timestamp with an empty body, then queries at it."""
    backend = StandIn()
    async with client_of(backend) as client:
        ts = (
            await client.post("/api/query_ts", headers={"Content-Type": "application/json"})
        ).json()
        one: dict[str, Any] = {"path": "t:echo", "args": {}}
        await client.post("/api/query_at_ts", json=one | ts)
        batch = await client.post("/api/query_batch", json={"queries": [one, one]})

    assert ts == {"ts": encode_ts(SEVEN)}
    assert [at for _, at in backend.calls] == [SEVEN, SEVEN, SEVEN]
    assert [result["status"] for result in batch.json()["results"]] == ["success", "success"]


ADA = Identity(token_identifier="issuer|ada", subject="ada", issuer="issuer")


class SignedIn(StandIn):
    async def authenticate(self, token: Token) -> Caller:
        return Caller(ADA)


async def test_an_idempotency_key_belongs_to_its_caller():
    body: dict[str, Any] = {"path": "t:echo", "args": {}}
    headers = {"Idempotency-Key": "k1"}
    nobody, signed_in = StandIn(), SignedIn()
    async with client_of(nobody) as client:
        await client.post("/api/mutation", json=body, headers=headers)
        await client.post("/api/mutation", json=body)
        too_long = await client.post(
            "/api/mutation", json=body, headers={"Idempotency-Key": "k" * 256}
        )
    async with client_of(signed_in) as client:
        await client.post("/api/mutation", json=body, headers=headers)

    assert [key for _, key in nobody.calls] == [RequestKey("key:anonymous", "k1"), None]
    assert [key for _, key in signed_in.calls] == [RequestKey(f"key:{ADA.key}", "k1")]
    assert too_long.status_code == 400


@pytest.mark.parametrize(
    ("header", "status", "admin"),
    [
        ("Convex key", 200, True),
        ("convex prod:key|", 401, None),
        ("Convex key:" + b64encode(b'{"subject":"a"}').decode(), 200, True),
        ("Convex key:notjson", 401, None),
        ("Bearer x.y.z", 401, None),
        ("Basic abc", 401, None),
    ],
)
async def test_who_a_request_speaks_for(header: str, status: int, admin: bool | None):
    backend = StandIn()
    body: dict[str, Any] = {"path": "t:echo", "args": {}}
    async with client_of(backend) as client:
        answer = await client.post("/api/query", json=body, headers={"Authorization": header})

    assert answer.status_code == status
    assert [call.caller.admin for call, _ in backend.calls] == ([admin] if status == 200 else [])
    assert header.split()[1] not in answer.text


async def test_pages_of_other_origins_may_call():
    preflight = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,convex-client",
    }
    async with client_of() as client:
        asked = await client.options("/api/mutation", headers=preflight)
        called = await client.post(
            "/api/query", json={"path": "t:echo"}, headers={"Origin": "https://app.example"}
        )
        plain = await client.get("/healthz", headers={"Origin": "https://app.example"})

    assert asked.status_code == 200
    assert asked.headers["access-control-allow-headers"] == "content-type,convex-client"
    assert asked.headers["access-control-max-age"] == "86400"
    assert called.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-origin" not in plain.headers


async def test_only_listed_origins_may_call_if_there_is_a_list():
    async with client_of(origins=("https://app.example",)) as client:
        body: dict[str, Any] = {"path": "t:echo"}
        headers = {"Origin": "https://other.example"}
        called = await client.post("/api/query", json=body, headers=headers)

    assert "access-control-allow-origin" not in called.headers


async def test_operators_can_ask_how_it_goes():
    async with client_of(name="quiet-heron-1") as client:
        version = await client.get("/version")
        name = await client.get("/instance_name")
        metrics = await client.get("/metrics")
        live = await client.get("/healthz")
        ready = await client.get("/readyz")
        root = await client.get("/")

    assert version.text
    assert name.text == "quiet-heron-1"
    assert "flow_commits_total 3.0" in metrics.text
    assert "flow_live_queries 2.0" in metrics.text
    assert "flow_http_requests_total 3.0" in metrics.text
    assert (live.status_code, ready.status_code) == (200, 200)
    assert "running" in root.text


def test_metrics_are_counters_or_gauges_by_their_names():
    text = render({"commits_total": 3, "sessions": 1}).decode()

    assert "# TYPE flow_commits_total counter" in text
    assert "# TYPE flow_sessions gauge" in text


async def test_a_request_id_is_given_back():
    async with client_of() as client:
        good = await client.post("/api/query", headers={"Convex-Request-Id": "abc123"})
        odd = await client.post("/api/query", headers={"Convex-Request-Id": "<b>"})

    assert good.headers["convex-request-id"] == "abc123"
    assert "convex-request-id" not in odd.headers


async def test_what_went_wrong_is_logged_without_what_was_sent(log_lines: list[Any]):
    async with client_of() as client:
        await client.post("/api/mutation", json={"path": "t:bug", "args": {"x": "canary"}})

    assert [line["event"] for line in log_lines] == ["A request failed"]
    assert "canary" not in str(log_lines)


@pytest.fixture
def web(tmp_path: Path) -> Path:
    folder = tmp_path / "web"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<title>Flow</title>")
    (folder / "assets" / "index-BqL3x9_a.js").write_text("1")
    (folder / "sw.js").write_text("2")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    return folder


async def test_the_web_app_is_served_with_its_cache_headers(web: Path):
    async with client_of(web=web) as client:
        index = await client.get("/")
        place = await client.get("/boards/7")
        hashed = await client.get("/assets/index-BqL3x9_a.js")
        worker = await client.get("/sw.js")
        again = await client.get("/sw.js", headers={"If-None-Match": worker.headers["etag"]})
        missing = await client.get("/assets/gone.js")

    assert index.text == place.text == "<title>Flow</title>"
    assert index.headers["cache-control"] == worker.headers["cache-control"] == "no-cache"
    assert index.headers["content-type"].startswith("text/html")
    assert "immutable" in hashed.headers["cache-control"]
    assert hashed.headers["content-type"].startswith("text/javascript")
    assert again.status_code == 304
    assert missing.status_code == 404


async def test_texts_are_compressed_for_who_can_read_it(web: Path):
    """A page's code is a third of its size on the wire."""
    code = "const flow = 1;\n" * 200
    (web / "assets" / "index-BqL3x9_a.js").write_text(code)
    async with client_of(web=web) as client:
        small = await client.get("/assets/index-BqL3x9_a.js", headers={"Accept-Encoding": "gzip"})
        plain = await client.get("/assets/index-BqL3x9_a.js", headers={"Accept-Encoding": ""})
        short = await client.get("/sw.js", headers={"Accept-Encoding": "gzip"})

    assert small.text == plain.text == code
    assert small.headers["content-encoding"] == "gzip"
    assert small.headers["vary"] == "Accept-Encoding"
    assert int(small.headers["content-length"]) < len(code) / 3
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in short.headers


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/link.txt", "//etc/passwd"],
)
async def test_no_path_leads_out_of_the_web_folder(web: Path, path: str):
    async with running(web=web) as server, raw(server) as client:
        request = b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path.encode()
        await client.send(request)

        answer = await client.read_all()
    assert b"secret" not in answer
    assert b"root:" not in answer


async def test_a_websocket_on_a_used_connection_is_refused_not_left_hanging():
    """Browsers open a new connection for each WebSocket; whoever does not is told."""
    async with running() as server, raw(server) as client:
        await client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in await client.read_head()
        await client.read(4)
        await client.send(UPGRADE % (b"/api/sync", b""))

        assert b" 403 " in await client.read_head()


async def test_several_requests_share_a_connection():
    async with running() as server, raw(server) as client:
        for _ in range(3):
            await client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 200 " in await client.read_head()
            assert await client.read(4) == b"live"
        assert server.counters.accepted == 1


async def test_a_connection_ends_with_its_client():
    async with running(keep_alive_seconds=60) as server:
        async with raw(server) as client:
            await client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            await client.read_head()
        with trio.fail_after(5):
            while server.counters.open:
                await trio.lowlevel.checkpoint()


async def test_a_call_is_passed_on_as_it_came():
    backend = StandIn()
    async with client_of(backend) as client:
        await client.post("/api/action", content=orjson.dumps({"path": "a/b.js:c", "args": [{}]}))

    assert backend.calls == [(Call("a/b:c", {}), None)]
