"""Bodies of calls over HTTP in which something is wrong, and their headers."""

import gzip
import zlib

from tests.hostile.json_texts import NOT_OBJECTS
from tests.hostile.wire import CANARY, RequestCase, bytes_of, request

_CALL = b'{"path":"counters:get","args":{"name":"x"}}'
_COUNT = b'{"path":"counters:add","args":{"name":"smuggled"}}'


def _bodies() -> list[RequestCase]:
    cases: list[RequestCase] = []
    for endpoint in ("query", "mutation", "action", "query_at_ts", "query_batch"):
        for one in NOT_OBJECTS:
            if endpoint != "query" and not (one.is_json or one.name in ("NaN", "nothing")):
                continue
            data = request("POST", f"/api/{endpoint}", bytes_of(one.data))
            cases.append(RequestCase(f"{endpoint}: {one.name}", data, 400, "BadJsonBody"))

    def post(
        name: str,
        body: bytes,
        status: int,
        code: str | None = None,
        *,
        to: str = "query",
        headers: tuple[str, ...] = (),
        text: bytes = b"",
    ) -> None:
        data = request("POST", f"/api/{to}", body, headers)
        cases.append(RequestCase(f"{to}: {name}", data, status, code, text))

    for endpoint in ("query", "mutation", "action", "query_at_ts"):
        for path in (
            b"null",
            b"1",
            b"[]",
            b"{}",
            b'""',
            b'"\\u0000"',
            b'"a b"',
            b'"a\\nb"',
            b'"\xc3\xa9:a"',
            b'"a:b?c"',
            b'"%b"' % (b"a" * 1001),
        ):
            post(
                f"path {path[:20]!r}",
                b'{"path":%b,"args":{}}' % path,
                400,
                "BadConvexFunctionIdentifier",
                to=endpoint,
            )
        post("no path", b"{}", 400, "BadConvexFunctionIdentifier", to=endpoint)
        for args in (b"null", b"1", b'""', b"[]", b"[{},{}]", b"[[]]", b"[null]", b'"{}"'):
            post(
                f"args {args!r}",
                b'{"path":"counters:get","args":%b}' % args,
                400,
                "InvalidArguments",
                to=endpoint,
            )
        for form in (
            b"1",
            b'""',
            b'"xml"',
            b"[]",
            b"{}",
            b"true",
            b'"JSON"',
            b'"%b"' % (b"x" * 999),
        ):
            post(
                f"format {form[:20]!r}",
                b'{"path":"counters:get","args":{},"format":%b}' % form,
                400,
                "BadFormat",
                to=endpoint,
            )
    for ts in (b"null", b"1", b'""', b'"x"', b'"AAAAAAAAAAA"', b'"AAAAAAAAAIA="', b"[]", b"{}"):
        post(
            f"ts {ts!r}",
            b'{"path":"counters:get","args":{},"ts":%b}' % ts,
            400,
            "BadTimestamp",
            to="query_at_ts",
        )
    post(
        "a timestamp of long ago",
        b'{"path":"counters:get","args":{"name":"x"},"ts":"AQAAAAAAAAA="}',
        400,
        "SnapshotTooOld",
        to="query_at_ts",
    )
    post(
        "a timestamp of the end of time",
        b'{"path":"counters:get","args":{"name":"x"},"ts":"/////////38="}',
        400,
        None,
        to="query_at_ts",
    )
    for queries in (b"null", b"1", b'""', b"{}", b"[1]", b"[[]]", b"[null]"):
        post(
            f"queries {queries!r}",
            b'{"queries":%b}' % queries,
            400,
            "BadJsonBody",
            to="query_batch",
        )
    post(
        "1,001 queries",
        b'{"queries":[%b{}]}' % (b"{}," * 1000),
        400,
        "BadJsonBody",
        to="query_batch",
    )
    post(
        "a bad query among good ones",
        b'{"queries":[%b,{"path":1}]}' % _CALL,
        400,
        "BadConvexFunctionIdentifier",
        to="query_batch",
    )
    for path in (b"refusals:hidden", b"counters:_x", b"_system/cli/tables:default", b"os:system"):
        post(
            f"a function that is not public: {path.decode()}",
            b'{"path":"%b","args":{}}' % path,
            200,
            None,
            text=b"Could not find public function",
        )
    post("a mutation as a query", _COUNT, 200, None, text=b"Trying to execute")
    for key in ("$x", "\u00e9"):
        post(
            f"a field {key}",
            f'{{"path":"values:ask","args":{{"value":{{"{key}":1}}}}}}'.encode(),
            200,
            None,
            text=b'"status":"error"',
        )
    for encoding in (
        "gzip",
        "deflate",
        "br",
        "zstd",
        "compress",
        "x",
        "gzip, identity",
        "GZIP",
        "",
    ):
        bomb = (
            gzip.compress(bytes(1 << 20)) if encoding == "gzip" else zlib.compress(bytes(1 << 20))
        )
        post(
            f"Content-Encoding: {encoding}",
            bomb,
            415,
            "UnsupportedEncoding",
            headers=(f"Content-Encoding: {encoding}",),
        )
    parts = b'--b\r\nContent-Disposition: form-data; name="path"\r\n\r\n' * 1000 + b"--b--\r\n"
    post(
        "multipart",
        parts,
        400,
        "BadJsonBody",
        headers=("Content-Type: multipart/form-data; boundary=b",),
    )
    for kind in (
        "text/html",
        "application/x-www-form-urlencoded",
        "x",
        "application/json; charset=utf-16",
    ):
        post(f"Content-Type: {kind}", _CALL, 200, None, headers=(f"Content-Type: {kind}",))
    for key in ("", "x" * 256, "x" * 60_000):
        post(
            f"Idempotency-Key of {len(key)} characters",
            _COUNT,
            400,
            "BadIdempotencyKey",
            to="mutation",
            headers=(f"Idempotency-Key: {key}",),
        )
    for header in (
        "",
        "x",
        "Bearer",
        "Bearer ",
        "Convex",
        "Convex ",
        "Basic dXNlcjpwYXNz",
        f"Digest {CANARY}",
        f"Bearer {CANARY}",
        f"Bearer a.{CANARY}.b",
        f"Convex {CANARY}",
        f"convex {CANARY}:e30=",
        f"Convex {CANARY}:!",
        f"Convex {CANARY}:W10=",
        "Convex :",
        "Convex prod:x|y",
        f"Convex {CANARY}:" + "W" * 60_000,
        "Convex " + "a" * 60_000,
        "Convex " + "a:" * 30_000,
        "Convex " + "-" * 30_000 + "|" + ":" * 30_000,
        "Bearer " + "." * 60_000,
        "Bearer " + "a" * 60_000,
        "Bearer \u00e9",
        "Convex \u00e9:\u00e9",
        "Bearer a b c",
    ):
        post(
            f"Authorization: {header[:30]!r} ({len(header)})",
            _CALL,
            401,
            None,
            headers=(f"Authorization: {header}",),
        )
    post("a request id that is none", _CALL, 200, None, headers=("Convex-Request-Id: a\u00e9,b",))
    for host in (
        "[",
        "]",
        "[::1",
        "x:y",
        "x:99999",
        "a b",
        "../..",
        "x/@y",
        "%00",
        "?",
        "x" * 5000,
        ",",
    ):
        post(f"Host {host!r:.20}", _CALL, 200, None, headers=(f"X: y\r\nX-Host: {host}",))
    return cases


CASES = _bodies()
