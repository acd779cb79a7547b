"""Texts that are no JSON, or none that anybody should take."""

from attrs import frozen

from tests.hostile.wire import Data


@frozen
class JsonText:
    """A text; ``is_json`` if it is JSON all the same, and no object."""

    name: str
    data: Data
    is_json: bool = False


def _deep(opening: bytes, closing: bytes, levels: int) -> bytes:
    return opening * levels + closing * levels


NOT_OBJECTS = [
    JsonText(name, data, is_json)
    for name, data, is_json in [
        ("nothing", b"", False),
        ("spaces", b" \t\r\n", False),
        ("a form feed before it", b"\x0c{}", False),
        ("a no-break space before it", "\u00a0{}".encode(), False),
        ("null", b"null", True),
        ("true", b"true", True),
        ("a number", b"1", True),
        ("a string", b'"{}"', True),
        ("an array", b"[{}]", True),
        ("an empty array", b"[]", True),
        ("NaN", b'{"type":NaN}', False),
        ("Infinity", b'{"type":Infinity}', False),
        ("-Infinity", b'{"type":-Infinity}', False),
        ("nan", b'{"type":nan}', False),
        ("undefined", b'{"type":undefined}', False),
        ("1e400", b'{"type":1e400}', False),
        ("-1e400", b'{"type":-1e400}', False),
        ("1e99999999999", b'{"type":1e99999999999}', False),
        ("100,000 digits", b'{"type":%b}' % (b"9" * 100_000), False),
        ("a leading zero", b'{"type":01}', False),
        ("a plus sign", b'{"type":+1}', False),
        ("a point without digits", b'{"type":1.}', False),
        ("a point without digits before it", b'{"type":.5}', False),
        ("an exponent without digits", b'{"type":1e}', False),
        ("hexadecimal", b'{"type":0x10}', False),
        ("a high surrogate", b'{"type":"\\ud800"}', False),
        ("a low surrogate", b'{"type":"\\udc00"}', False),
        ("surrogates the wrong way round", b'{"type":"\\udc00\\ud800"}', False),
        ("a high surrogate and a letter", b'{"type":"\\ud800a"}', False),
        ("a high surrogate at the end", b'{"type":"\\ud83d', False),
        ("a surrogate in a name", b'{"\\ud800":1}', False),
        ("an escape that is none", b'{"type":"\\x41"}', False),
        ("a short escape", b'{"type":"\\u12"}', False),
        ("an escape of letters", b'{"type":"\\uzzzz"}', False),
        ("a NUL in a string", b'{"type":"a\0b"}', False),
        ("a line end in a string", b'{"type":"a\nb"}', False),
        ("a NUL behind it", b'{"type":"Event"}\0', False),
        ("a byte order mark", b"\xef\xbb\xbf{}", False),
        ("a comma too many", b'{"type":"Event",}', False),
        ("a comma too many in an array", b'{"type":[1,]}', False),
        ("two commas", b'{"type":[1,,2]}', False),
        ("a missing comma", b'{"type":1 "b":2}', False),
        ("a missing colon", b'{"type" 1}', False),
        ("a missing value", b'{"type":}', False),
        ("a name that is no string", b'{1:"Event"}', False),
        ("a bare name", b'{type:"Event"}', False),
        ("single quotes", b"{'type':'Event'}", False),
        ("a comment", b'{"type":"Event"/**/}', False),
        ("a line comment", b'{"type":"Event"}//', False),
        ("two objects", b"{}{}", False),
        ("a word behind it", b"{} x", False),
        ("half an object", b'{"type":"Event"', False),
        ("half a string", b'{"type":"Eve', False),
        ("half a word", b'{"type":tru', False),
        ("a brace too many", b"{}}", False),
        ("brackets that do not match", b'{"type":[}]', False),
        ("1025 arrays", _deep(b"[", b"]", 1025), False),
        ("100,000 arrays", _deep(b"[", b"]", 100_000), False),
        ("100,000 arrays that never end", b"[" * 100_000, False),
        ("100,000 objects", _deep(b'{"a":', b"}", 100_000), False),
        ("100,000 objects in arrays", b'[{"a":' * 100_000, False),
        ("a megabyte of minus signs", b"-" * 1_000_000, False),
        ("a megabyte of quotes", b'"' * 1_000_000, False),
        ("a megabyte of backslashes", b'"' + b"\\" * 1_000_000, False),
        ("UTF-16", "{}".encode("utf-16"), False),
        ("UTF-32", "{}".encode("utf-32-be"), False),
        ("CBOR", bytes.fromhex("a1647479706501"), False),
        ("a form", b"type=Event&event=1", False),
        ("a page", b"<!doctype html><p>", False),
    ]
]
