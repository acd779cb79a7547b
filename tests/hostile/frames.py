"""Frames that no client of good will sends (RFC 6455, sections 5 to 8)."""

from tests.hostile.wire import Alive, Close, Fatal, FrameCase, text, unmasked_long
from tests.server.stand_in import masked

_MIB = 1 << 20
_EVENT = b'{"type":"Event","eventType":"x","event":1}'
_MASK = b"\x01\x02\x03\x04"


def _header(first: int, second: int, more: bytes = b"") -> bytes:
    return bytes((first, second)) + more


def _fragments(*payloads: bytes, between: bytes = b"") -> bytes:
    frames: list[bytes] = []
    for place, payload in enumerate(payloads):
        last = place == len(payloads) - 1
        frames.append(masked((0x80 if last else 0) | (0 if place else 1), payload))
    return between.join(frames)


def _cases() -> list[FrameCase]:
    cases: list[FrameCase] = []

    def add(name: str, data: bytes, ending: int | Alive | Fatal) -> None:
        cases.append(FrameCase(name, data, Close(ending) if isinstance(ending, int) else ending))

    for bits in range(1, 8):
        add(f"reserved bits {bits:03b} on a text", masked(0x81 | bits << 4, _EVENT), 1002)
    for bits in (1, 2, 4):
        add(f"reserved bit {bits} on a ping", masked(0x89 | bits << 4, b""), 1002)
        add(f"reserved bit {bits} on a close", masked(0x88 | bits << 4, b"\x03\xe8"), 1002)
        add(
            f"reserved bit {bits} on a continuation",
            masked(0x01, b"{") + masked(0x80 | bits << 4, b"}"),
            1002,
        )
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        add(f"opcode {opcode}", masked(0x80 | opcode, b"x"), 1002)
        add(f"opcode {opcode} without FIN", masked(opcode, b"x"), 1002)
    add("a deflated frame, though nobody offered it", masked(0xC1, b"\xaaV\x05\x00"), 1002)
    add("binary", masked(0x82, _EVENT), 1003)
    add("binary in fragments", masked(0x02, b"{") + masked(0x80, b"}"), 1003)
    add("empty binary", masked(0x82, b""), 1003)
    for opcode, name in ((1, "text"), (8, "close"), (9, "ping"), (10, "pong")):
        add(f"{name} without a mask", _header(0x80 | opcode, 2, b"hi"), 1002)
        add(f"empty {name} without a mask", _header(0x80 | opcode, 0), 1002)
    add("continuation without a mask", masked(1, b"{") + _header(0x80, 1, b"}"), 1002)
    for opcode, name in ((8, "close"), (9, "ping"), (10, "pong")):
        add(f"{name} in fragments", masked(opcode, b""), 1002)
        add(f"{name} of 126 bytes", masked(0x80 | opcode, b"x" * 126), 1002)
        add(f"{name} of 65536 bytes", masked(0x80 | opcode, b"x" * 65536), 1002)
        add(
            f"{name} that declares 2^62",
            _header(0x80 | opcode, 0xFF, (1 << 62).to_bytes(8, "big") + _MASK),
            1002,
        )
    for size in (0, 1, 125):
        add(
            f"{size} bytes in a length of two",
            _header(0x81, 0xFE, size.to_bytes(2, "big") + _MASK + bytes(size)),
            1002,
        )
    for size in (0, 125, 126, 65535):
        add(
            f"{size} bytes in a length of eight",
            _header(0x81, 0xFF, size.to_bytes(8, "big") + _MASK + bytes(size)),
            1002,
        )
    add(
        "a ping of 5 bytes in a length of two",
        _header(0x89, 0xFE, b"\0\5" + _MASK + b"hello"),
        1002,
    )
    for bits in (63, 64):
        size = (1 << bits) - 1 if bits == 64 else 1 << bits
        add(f"a text of {size} bytes", _header(0x81, 0xFF, size.to_bytes(8, "big") + _MASK), 1002)
    for size in (32 * _MIB + 1, 1 << 32, (1 << 63) - 1):
        add(
            f"a text that declares {size} bytes",
            _header(0x81, 0xFF, size.to_bytes(8, "big") + _MASK),
            1009,
        )
        add(
            f"a fragment that declares {size} bytes",
            _header(0x01, 0xFF, size.to_bytes(8, "big") + _MASK),
            1009,
        )
        add(
            f"a binary that declares {size} bytes",
            _header(0x82, 0xFF, size.to_bytes(8, "big") + _MASK),
            1003,
        )
    add("continuation of nothing", masked(0x80, _EVENT), 1002)
    add("continuation of nothing, without FIN", masked(0x00, _EVENT), 1002)
    add("continuation after a whole text", text(_EVENT) + masked(0x80, b"x"), 1002)
    add("text inside a text", masked(0x01, b"{") + masked(0x81, _EVENT), 1002)
    add("fragment inside a text", masked(0x01, b"{") + masked(0x01, b"x"), 1002)
    add("binary inside a text", masked(0x01, b"{") + masked(0x82, b"x"), 1003)
    add("a text, a continuation, and one more", _fragments(b"", _EVENT) + masked(0x80, b"x"), 1002)
    known = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}
    for status in (*sorted(known), 3000, 3999, 4000, 4999):
        add(f"close {status}", masked(0x88, status.to_bytes(2, "big") + b"bye"), status)
    for status in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        add(f"close {status}, which may not be sent", masked(0x88, status.to_bytes(2, "big")), 1002)
    add("close without a status", masked(0x88, b""), 1005)
    add("close of one byte", masked(0x88, b"\x03"), 1002)
    for raw in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80"):
        add(f"close for a reason of {raw.hex()}", masked(0x88, b"\x03\xe8" + raw), 1007)
        add(f"text with {raw.hex()}", masked(0x81, b'{"type":"' + raw + b'"}'), 1007)
        add(
            f"text with {raw.hex()} over two fragments",
            _fragments(b'"' + raw[:1], raw[1:] + b'"'),
            1007,
        )
    add(
        "a character over three fragments is none of that",
        _fragments(b'{"type":"Event","eventType":"\xf0', b"\x9f\x98", b'\x80","event":1}'),
        Alive(),
    )
    add("a text that ends inside a character", masked(0x81, b'"\xf0\x9f\x98'), 1007)
    add(
        "a second text in place of a continuation",
        masked(0x01, b'"\xf0\x9f') + masked(0x81, b"\x98\x80"),
        1002,
    )
    add(
        "a message in 3,000 fragments of nothing, and pings between",
        _fragments(*[b""] * 2999, _EVENT, between=masked(0x89, b"")),
        Alive(),
    )
    add("a message in one byte each", _fragments(*[bytes((one,)) for one in _EVENT]), Alive())
    add("5,000 pings", masked(0x89, b"x" * 125) * 5000, Alive())
    add("5,000 pongs that nobody asked for", masked(0x8A, b"x" * 125) * 5000, Alive())
    add("5,000 empty texts", masked(0x81, b"") * 5000, Fatal())
    add("a close, then what breaks the rules", masked(0x88, b"\x03\xe8") + b"\xff" * 50, 1000)
    add("a request in HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1002)
    add("a handshake of TLS", bytes.fromhex("16030100a5010000a10303") + bytes(160), 1002)
    add("zeros", bytes(1000), 1002)
    cases += [
        FrameCase(
            "fragments that add up to too much",
            lambda: b"".join(unmasked_long(first, b" " * (17 * _MIB)) for first in (1, 0)),
            Close(1009),
        ),
        FrameCase("32 MiB of spaces", lambda: unmasked_long(0x81, b" " * (32 * _MIB)), Fatal()),
    ]
    return cases


CASES = _cases()
