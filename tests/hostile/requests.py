"""Requests over HTTP whose line, headers or framing no client of good will sends."""

from attrs import evolve

from tests.hostile.upgrades import UPGRADE, upgrade
from tests.hostile.wire import CANARY, RequestCase, head_of, request

_CALL = b'{"path":"counters:get","args":{"name":"x"}}'


def _plain() -> list[RequestCase]:
    cases: list[RequestCase] = []

    def add(
        name: str,
        data: bytes,
        status: int | tuple[int, ...] | None,
        code: str | None = None,
        text: bytes = b"",
    ) -> None:
        cases.append(RequestCase(name, data, status, code, text))

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
        "#",
        "x" * 5000,
        "",
    ):
        for path in ("/", "/api/nothing", "/version"):
            expected = {"/": 200, "/api/nothing": 404, "/version": 200}[path]
            add(
                f"{path} at Host {host!r:.20}",
                head_of(f"GET {path} HTTP/1.1", f"Host: {host}"),
                (expected, 400),
            )
    for path in (
        "/../../../../etc/passwd",
        "/..%2f..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/....//....//etc/passwd",
        "/%252e%252e/etc/passwd",
        "//etc/passwd",
        "/\\..\\..\\etc\\passwd",
        "/assets/../../schema.py",
        "/.env",
        "/.git/config",
        "/flow-data/flow.db",
        "/%00",
        "/index.html%00.js",
        "/%ff%fe",
        "/%",
        "/%zz",
        "/api/%ff",
        "/api/../version",
        "/api/query/../query",
        "/api/query%00",
        "/api/" + "a/" * 5000,
        "/" + "%2e" * 5000,
        "/api/storage/../../x",
        "/#x",
        "/api/query#x",
    ):
        add(f"path {path:.40}", head_of(f"GET {path} HTTP/1.1", "Host: x"), (400, 404, 405))
    for path in ("http://x/version", "x", "*", "http://", "://", "?", "@x", "http://[/"):
        add(f"target {path}", head_of(f"GET {path} HTTP/1.1", "Host: x"), (200, 307, 400, 404, 405))
    for path in ("\u00e9", "/\u00e9", "/a\0b", "/a b", "/\x01", "/\x7f"):
        add(f"target {path!r}", head_of(f"GET {path} HTTP/1.1", "Host: x"), 400)
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PRI", "X", "post", "GET" * 100):
        add(
            f"method {method:.10}",
            head_of(f"{method} /api/query HTTP/1.1", "Host: x"),
            (400, 404, 405),
        )
    for line in (
        "",
        " ",
        "GET",
        "GET /",
        "GET / HTTP",
        "GET / HTTP/x",
        "GET / HTTP/1",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 x",
        " GET / HTTP/1.1",
        "GET\t/\tHTTP/1.1",
        "\0",
        "G\0T / HTTP/1.1",
        "x" * 5000,
        "GET / HTTP/9.9",
        "GET / FTP/1.1",
        "{}",
        "\u00ff\u00fe",
    ):
        # One empty line before a request is passed over (RFC 9112, section 2.2).
        add(f"request line {line!r:.20}", head_of(line, "Host: x"), (200, 400, 404, 505))
    add("PRI of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), (400, 404, 405, 505))
    for settings in ("", "!", "AAMAAABkAAQCAAAAAAIAAAAA", "A" * 5000, "\u00e9"):
        add(
            f"h2c with settings {settings!r:.10}",
            head_of(
                "GET /version HTTP/1.1",
                "Host: x",
                "Upgrade: h2c",
                "Connection: Upgrade, HTTP2-Settings",
                f"HTTP2-Settings: {settings}",
            ),
            (200, 400),
        )
    add(
        "h2c without settings",
        head_of("GET /version HTTP/1.1", "Host: x", "Upgrade: h2c"),
        (200, 400),
    )
    add("h2c of HTTP/1.0", head_of("GET /version HTTP/1.0", "Upgrade: h2c"), (200, 400))
    add("websocket at another path", upgrade("/version", "Host: x", *UPGRADE), (400, 403))
    add("TLS", bytes.fromhex("16030100a5010000a10303") + bytes(200) + b"\r\n\r\n", 400)
    add("SSH", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 400)
    add("SMTP", b"EHLO x\r\n\r\n", 400)
    add("zeros", bytes(200) + b"\r\n\r\n", 400)
    add("a head without end", b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20_000, (400, 431))
    add(
        "one header of 100,000 bytes",
        head_of("GET / HTTP/1.1", "Host: x", "X: " + "y" * 100_000),
        (400, 431),
    )
    add(
        "args that are no JSON",
        head_of("GET /api/query?path=counters:get&args={ HTTP/1.1", "Host: x"),
        400,
        "BadJsonArgs",
    )
    add(
        "args of NaN",
        head_of("GET /api/query?path=counters:get&args=NaN HTTP/1.1", "Host: x"),
        400,
        "BadJsonArgs",
    )
    add(
        "args in bad UTF-8",
        head_of("GET /api/query?path=counters:get&args=%22%ff%22 HTTP/1.1", "Host: x"),
        400,
    )
    add(
        "a canary in an address",
        head_of(
            f"GET /api/query?path=values:ask&args={{%22v%22:%22{CANARY}%22}} HTTP/1.1", "Host: x"
        ),
        200,
        None,
        b'"error"',
    )
    add(
        "20,000 parameters",
        head_of("GET /api/query?" + "a=b&" * 15_000 + " HTTP/1.1", "Host: x"),
        400,
    )
    return [evolve(case, name=f"plain: {case.name}") for case in cases]


def _framing() -> list[RequestCase]:
    """Where a body ends: two readings of that are how requests are smuggled."""
    cases: list[RequestCase] = []

    def add(name: str, headers: list[str], body: bytes, status: int | tuple[int, ...]) -> None:
        data = head_of("POST /api/query HTTP/1.1", "Host: x", *headers) + body
        cases.append(RequestCase(f"framing: {name}", data, status))

    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(_CALL), _CALL)
    coded, length = "Transfer-Encoding: chunked", f"Content-Length: {len(_CALL)}"
    add("chunked", [coded], chunked, 200)
    add("both", [coded, length], chunked, 400)
    add("both, the other way round", [length, coded], chunked, 400)
    add("two lengths", [length, "Content-Length: 5"], _CALL, 400)
    add("the same length twice", [length, length], _CALL, (200, 400))
    add(
        "the same length twice in one line",
        [f"Content-Length: {len(_CALL)}, {len(_CALL)}"],
        _CALL,
        (200, 400),
    )
    for one in (
        "-1",
        "+5",
        "0x5",
        "5, 6",
        "1e3",
        "",
        " ",
        "9" * 19,
        "9" * 30,
        "9" * 5000,
        "5;",
        "\u00b2",
    ):
        add(f"length {one!r:.20} ({len(one)})", [f"Content-Length: {one}"], _CALL, (400, 413))
    for one in (
        "gzip",
        "chunked, gzip",
        "gzip, chunked",
        "xchunked",
        "chunked, chunked",
        "identity",
        "",
        "chunked;x",
        "chun\0ked",
        "\x0bchunked",
    ):
        add(f"coding {one!r}", [f"Transfer-Encoding: {one}"], chunked, (400, 501))
    add("two codings", [coded, "Transfer-Encoding: gzip"], chunked, (400, 501))
    add("coding in capitals", ["Transfer-Encoding: CHUNKED"], chunked, 200)
    for size in (
        b"x",
        b"-1",
        b"+5",
        b"0x5",
        b"5 5",
        b"",
        b" ",
        b"g",
        b"f" * 21,
        b"5;" + b"x" * 70_000,
    ):
        add(
            f"chunk of size {size[:20]!r}",
            [coded],
            size + b"\r\nhello\r\n0\r\n\r\n",
            (400, 413, 431),
        )
    add("a chunk that is longer than it says", [coded], b"2\r\nhello\r\n0\r\n\r\n", 400)
    add("a chunk without its end", [coded], b"5\r\nhelloXX0\r\n\r\n", 400)
    add("a trailer", [coded], b"%x\r\n%b\r\n0\r\nX: y\r\n\r\n" % (len(_CALL), _CALL), 200)
    add(
        "a trailer of 70,000 bytes",
        [coded],
        b"%x\r\n%b\r\n0\r\nX: %b\r\n\r\n" % (len(_CALL), _CALL, b"y" * 70_000),
        (200, 400, 431),
    )
    add("a body of a declared terabyte", [f"Content-Length: {1 << 40}"], b"", 413)
    add("a body past the bound", [f"Content-Length: {18 << 20}"], b"", 413)
    add("100 chunks of a byte", [coded], b"1\r\nx\r\n" * 100 + b"0\r\n\r\n", 400)
    add("Expect: nothing", ["Expect: x", length], _CALL, (200, 417))
    add("Expect: 100-continue", ["Expect: 100-continue", length], _CALL, 200)
    cases.append(
        RequestCase(
            "framing: a body of 18 MiB in chunks",
            lambda: (
                head_of("POST /api/query HTTP/1.1", "Host: x", coded)
                + (b"100000\r\n" + b" " * (1 << 20) + b"\r\n") * 18
            ),
            413,
        )
    )
    cases.append(
        RequestCase(
            "framing: 5 million empty arrays",
            lambda: request(
                "POST",
                "/api/query",
                b'{"path":"values:ask","args":{"value":[' + b"[]," * 5_000_000 + b"0]}}",
            ),
            413,
            "MessageTooLarge",
        )
    )
    return cases


CASES = [*_plain(), *_framing()]
