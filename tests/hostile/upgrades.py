"""Requests for an upgrade that no client of good will sends (RFC 6455, section 4)."""

from tests.hostile.wire import CANARY, RequestCase, head_of

_KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
_VERSION = "Sec-WebSocket-Version: 13"
UPGRADE = ["Upgrade: websocket", "Connection: Upgrade", _KEY, _VERSION]


def upgrade(path: str, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    return head_of(f"{method} {path} HTTP/{version}", *lines)


def _upgrades() -> list[RequestCase]:
    cases: list[RequestCase] = []

    def add(name: str, data: bytes, status: int | tuple[int, ...], code: str | None = None) -> None:
        cases.append(RequestCase(f"upgrade: {name}", data, status, code))

    def sync(*lines: str, **how: str) -> bytes:
        return upgrade("/api/sync", "Host: x", *lines, **how)

    add("as it should be", sync(*UPGRADE), 101)
    add(
        "extensions are not agreed on",
        sync(*UPGRADE, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"),
        101,
    )
    add("a protocol that is not spoken", sync(*UPGRADE, "Sec-WebSocket-Protocol: chat"), 101)
    for key in (
        "",
        "x",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25j",
        "dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ==",
        "????????????????????????",
        "dGhlIHNhbXBsZSBub25jZ\u00e9==",
        "dGhl IHNhbXBsZSBub25jZQ==",
        "A" * 5000,
        CANARY,
    ):
        add(
            f"key {key!r:.40}",
            sync(*UPGRADE[:2], f"Sec-WebSocket-Key: {key}", _VERSION),
            400,
            "BadRequest",
        )
    add("no key", sync(*UPGRADE[:2], _VERSION), 400, "BadRequest")
    add(
        "two keys",
        sync(*UPGRADE, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="),
        400,
        "BadRequest",
    )
    for version in ("", "0", "8", "12", "14", "13.0", "013", "13, 8", "x", "-13", "1" * 5000):
        add(
            f"version {version!r:.20}",
            sync(*UPGRADE[:3], f"Sec-WebSocket-Version: {version}"),
            426,
            "UpgradeRequired",
        )
    add("no version", sync(*UPGRADE[:3]), 426, "UpgradeRequired")
    add("two versions", sync(*UPGRADE, "Sec-WebSocket-Version: 8"), 426, "UpgradeRequired")
    add("no Upgrade", sync(*UPGRADE[1:]), 426, "UpgradeRequired")
    add("no Connection", sync(UPGRADE[0], *UPGRADE[2:]), 426, "UpgradeRequired")
    add("Upgrade to h2c", sync("Upgrade: h2c", *UPGRADE[1:]), 426, "UpgradeRequired")
    add("Connection: close", sync(UPGRADE[0], "Connection: close", *UPGRADE[2:]), 426)
    add("Connection in two lines", sync("Connection: keep-alive", *UPGRADE), 101)
    add(
        "Connection in two lines, the other way round",
        sync(*UPGRADE, "Connection: keep-alive"),
        101,
    )
    add("in capitals", sync("UPGRADE: WebSocket", "CONNECTION: UPGRADE", _KEY, _VERSION), 101)
    for method in (
        "POST",
        "PUT",
        "HEAD",
        "OPTIONS",
        "DELETE",
        "TRACE",
        "CONNECT",
        "get",
        "G\u00c9T",
    ):
        add(f"method {method}", sync(*UPGRADE, method=method), (400, 403, 404, 405, 426, 501))
    for version in ("1.0", "0.9", "2.0", "3", "1.1.1", "x", ""):
        add(f"HTTP/{version}", sync(*UPGRADE, version=version), (400, 404, 426, 505))
    add("no version of HTTP", b"GET /api/sync\r\nHost: x\r\n\r\n", 400)
    add("no Host", upgrade("/api/sync", *UPGRADE), 400, "BadRequest")
    add("two Hosts", sync("Host: y", *UPGRADE), 400, "BadRequest")
    for body in ("Content-Length: 5", "Transfer-Encoding: chunked"):
        add(f"with a body ({body})", sync(*UPGRADE, body) + b"hello", 400, "BadRequest")
    for length in ("-1", "+5", "0x5", "5, 6", "1e3", "", "9" * 30, "\u00b2"):
        add(f"Content-Length {length!r:.20}", sync(*UPGRADE, f"Content-Length: {length}"), 400)
    for line in (
        "X",
        ": x",
        "X Y: z",
        "X\u00e9: y",
        "X\0: y",
        "X: a\0b",
        " X: folded onto the line before",
        "X : y",
    ):
        # The folded line belongs to the version, which is then another one.
        expected = 426 if line.startswith(" X") else 400
        add(f"header {line!r}", sync(*UPGRADE, line), expected)
    add("64 KiB of one header", sync(*UPGRADE, "X: " + "x" * 66_000), (400, 431))
    add(
        "a thousand headers",
        sync(*UPGRADE, *[f"X-{n}: {'x' * 80}" for n in range(1000)]),
        (400, 431),
    )
    add("a client of 60,000 hyphens", sync(*UPGRADE, "Convex-Client: " + "-" * 60_000), 101)
    add("a client of many versions", sync(*UPGRADE, "Convex-Client: " + "1.0.0-" * 9000), 101)
    for version in ("1", "1.2", "x", "1.2.3.4", "01.2.3", "1.2.3-", "%00", "1.2.3%0a", "-1.0.0"):
        add(
            f"client version {version}",
            upgrade(f"/api/{version}/sync", "Host: x", *UPGRADE),
            400,
            "InvalidVersion",
        )
    for path in (
        "/api//sync",
        "/api/../sync",
        "/api/1.0.0/1.0.0/sync",
        "/sync",
        "/api/sync/",
        "/api/sync%00",
        "//api/sync",
        "/API/sync",
        "http://x/api/sync",
    ):
        add(f"path {path}", upgrade(path, "Host: x", *UPGRADE), (400, 403, 404, 426))
    add(
        "a path of 70,000 characters",
        upgrade("/api/" + "x" * 70_000 + "/sync", "Host: x"),
        (400, 414, 431),
    )
    add("bare line feeds", sync(*UPGRADE).replace(b"\r\n", b"\n"), (101, 400))
    add("bare carriage returns", sync(*UPGRADE).replace(b"\r\n", b"\r")[:-2] + b"\r\n\r\n", 400)
    return cases


CASES = _upgrades()
