"""Values in the wire's encoding that are none, or stand at a bound."""

import orjson
from attrs import frozen

from tests.hostile.wire import CANARY


@frozen
class ValueCase:
    """JSON where a value is expected; ``back`` is how it comes back, None if it is refused."""

    name: str
    json: bytes
    back: bytes | None = None
    why: str = ""


def _nested(opening: bytes, closing: bytes, levels: int) -> bytes:
    return opening * levels + b"0" + closing * levels


def _bad_payloads() -> list[ValueCase]:
    payloads = [
        b"null",
        b"true",
        b"1",
        b"[]",
        b"{}",
        b'["AAAAAAAAAAA="]',
        b'"AAAAAAAAAAA"',
        b'"AAAAAAAAAAA=="',
        b'"AAAAAAAAAA_="',
        b'"AAAAAAAAAAA= "',
        b'" AAAAAAAAAAA="',
        b'"AAAA\\nAAAAAAA="',
        b'"="',
        b'"A"',
        b'"AA"',
        b'"AAA"',
        b'"AB=="',
        b'"AAB="',
        b'"AAAAAAAAAAB="',
        '"ÄÖÜ="'.encode(),
        b'"\\u0000AAA"',
    ]
    cases: list[ValueCase] = []
    for name in ("$integer", "$float", "$bytes"):
        cases += [
            ValueCase(f"{name} of {payload.decode()}", b'{"%b":%b}' % (name.encode(), payload))
            for payload in payloads
        ]
    for name in ("$integer", "$float"):
        cases += [
            ValueCase(
                f"{name} of the text {payload or 'nothing'}",
                b'{"%b":"%b"}' % (name.encode(), payload.encode()),
            )
            for payload in ("", "AA==", "AAAAAAAAAA==", "AAAAAAAAAAAA", "A" * 1000)
        ]
    # What a plain number says is written as one.
    cases += [
        ValueCase(f"$float of the number {name}", b'{"$float":"%b"}' % payload)
        for name, payload in (
            ("0", b"AAAAAAAAAAA="),
            ("1", b"AAAAAAAA8D8="),
            ("the smallest", b"AQAAAAAAAAA="),
            ("the largest", b"////////738="),
        )
    ]
    return cases


def _names() -> list[ValueCase]:
    refused = [
        "$",
        "$$",
        "$ref",
        "$undefined",
        "$set",
        "$map",
        "$commitTs",
        "$date",
        "$oid",
        "$Integer",
        "$integer ",
        "\u00e9",
        "\0",
        "\n",
        "\x1f",
        "\x7f",
        "\u2028",
        "\U0001f600",
        "x" * 1025,
        "a\u0301",
    ]
    cases: list[ValueCase] = []
    for name in refused:
        cases.append(ValueCase(f"field {name!r:.20}", orjson.dumps({name: "AA=="})))
        cases.append(
            ValueCase(f"field {name!r:.20} beside another", orjson.dumps({"a": 1, name: "AA=="}))
        )
        cases.append(
            ValueCase(f"field {name!r:.20} deep down", orjson.dumps([{"a": [{name: 1, "b": 2}]}]))
        )
    for name in ("$integer", "$float", "$bytes"):
        cases.append(ValueCase(f"{name} beside another", orjson.dumps({name: "AA==", "a": 1})))
        cases.append(ValueCase(f"two of {name}", b'{"%b":"AA==","$x":1}' % name.encode()))
    for name in ("", " ", "_", "__proto__", "a.b", "a$b", "-", "~", "x" * 1024, "constructor"):
        raw = orjson.dumps({name: "v"})
        cases.append(ValueCase(f"field {name!r:.20}, which is fine", raw, raw))
    return cases


def _bounds() -> list[ValueCase]:
    # The argument stands inside the object of arguments, which is a level.
    many = b"[%b0.0]" % (b"0.0," * 8191)
    fields = orjson.dumps({f"f{place:04}": 0.0 for place in range(1024)})
    cases = [
        ValueCase(
            "63 arrays",
            _nested(b"[", b"]", 63).replace(b"0", b"0.0"),
            _nested(b"[", b"]", 63).replace(b"0", b"0.0"),
        ),
        ValueCase("64 arrays", _nested(b"[", b"]", 64), why="nested"),
        ValueCase("64 objects", _nested(b'{"a":', b"}", 64), why="nested"),
        ValueCase("1,000 arrays", _nested(b"[", b"]", 1000)),
        ValueCase("500 objects in arrays", _nested(b'[{"a":', b"}]", 500)),
        ValueCase("8192 items", many, many),
        ValueCase("8193 items", b"[%b0]" % (b"0," * 8192), why="8193"),
        ValueCase("1024 fields", fields, fields),
        ValueCase(
            "1025 fields", orjson.dumps({f"f{place}": 0 for place in range(1025)}), why="1025"
        ),
        ValueCase("a text of 17 MiB", b'"%b"' % (b"x" * (17 << 20)), why="too large"),
    ]
    numbers = [
        (b"3", b"3.0"),
        (b"-0", b"0.0"),
        (b"-0.0", b'{"$float":"AAAAAAAAAIA="}'),
        (b"1e3", b"1000.0"),
        (b"9007199254740993", b"9007199254740992.0"),
        (b"18446744073709551615", b"1.8446744073709552e+19"),
        (b"18446744073709551616", b"1.8446744073709552e+19"),
        (b"-9223372036854775809", b"-9.223372036854776e+18"),
        (b"1e-400", b"0.0"),
        (b"5e-324", b"5e-324"),
        (b"1.7976931348623157e308", b"1.7976931348623157e+308"),
        (b"0." + b"1" * 5000, b"0.1111111111111111"),
    ]
    cases += [ValueCase(f"number {raw[:30]!r}", raw, back) for raw, back in numbers]
    same = [
        b'{"$integer":"AAAAAAAAAIA="}',
        b'{"$integer":"/////////38="}',
        b'{"$float":"AAAAAAAA+H8="}',
        b'{"$float":"AQAAAAAA8H8="}',
        b'{"$float":"//////////8="}',
        b'{"$float":"AAAAAAAA8P8="}',
        b'{"$bytes":""}',
        b'{"$bytes":"AAH/"}',
        b'"\\u0000"',
        b'""',
        b"null",
        b"[]",
        b"{}",
    ]
    cases += [ValueCase(f"{raw.decode()}, there and back", raw, raw) for raw in same]
    cases += [
        ValueCase("a name twice, the last one counts", b'{"a":1,"a":2}', b'{"a":2.0}'),
        ValueCase("a bad name twice", b'{"$x":1,"$x":1}'),
        ValueCase("a canary in a bad value", b'{"$x":"%b"}' % CANARY.encode()),
        ValueCase("a canary in a bad name's neighbour", b'{"a":"%b","$y":1}' % CANARY.encode()),
    ]
    return cases


CASES = [*_bad_payloads(), *_names(), *_bounds()]
