"""What is fuzzed: functions of any bytes that must not raise. Each states what must hold."""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Final

import h11
import orjson
from wsproto.frame_protocol import FrameProtocol, ParseFailed
from wsproto.frame_protocol import Opcode as WsOpcode

from flow_backend.errors import InvalidValue, MessageTooLarge, RemoteProtocolError
from flow_backend.server.direct import DirectCall, read_call
from flow_backend.server.frames import Control, FrameRefused, MessageReader, Opcode
from flow_backend.server.handshake import OpeningReader, Plain, Refusal, Upgrade
from flow_backend.storage.keys import sort_key_of_plain
from flow_backend.sync.client_identity import client_of
from flow_backend.sync.codec import parse_client_message
from flow_backend.sync.state import SyncState
from flow_backend.values.encode import (
    decode,
    encode,
    from_export,
    parse_json,
    to_clean,
    to_export,
    to_wire,
)
from flow_backend.values.order import key_of, prefix_end, sort_key, values_end
from flow_backend.values.sizes import check_value, nesting_of, size_of
from flow_backend.values.value import Value
from tests.fuzz.source import Source
from tests.values.models import compare

Events = list[bytes | tuple[int, bytes]]

_MESSAGE_BYTES: Final = 3000
_HEAD_BYTES: Final = 2000


def frames(data: bytes) -> None:
    """A client's bytes mean what they mean to another implementation, however they are cut."""
    source = Source(data)
    style = source.byte()
    pieces = source.pieces(_frames(source) if style & 1 else data[1:], style >> 5)
    ours, status = _read_by_us(pieces)
    assert status in (None, 1000, 1002, 1003, 1007, 1009), status
    theirs, refused = _read_by_wsproto(pieces)
    last = ours[-1] if ours else None
    if refused == 1002 and isinstance(last, tuple) and last[1][:2] == b"\x03\xf6":
        return  # The status 1014 was registered after the other one was written.
    shorter = min(len(ours), len(theirs))
    assert ours[:shorter] == theirs[:shorter], (ours, theirs)
    if status in (1002, 1007):
        # We refuse a header before all of it has come; zeros make it whole for the other one.
        assert refused or _read_by_wsproto([*pieces, bytes(14)])[1], (status, ours, theirs)
    # It looks at text before the message's end, and refuses it a little sooner than we do.
    assert refused == 1007 or len(theirs) >= len(ours), (ours, theirs, refused)
    if status is None:
        if refused == 1002:  # Or the other way round.
            assert _read_by_us([*pieces, bytes(14)])[1] == 1002, (ours, theirs)
        assert len(ours) >= len(theirs), (ours, theirs)


def _frames(source: Source) -> bytes:
    """Write frames that are nearly right: what random bytes would take long to become."""
    written = bytearray()
    for _ in range(source.byte() % 12):
        first, shape = source.byte(), source.byte()
        if shape & 0x0F:  # Mostly without reserved bits, and with an opcode that there is.
            first = first & 0x80 | (0, 1, 1, 8, 9, 10, 2, 0)[first & 7]
        payload = source.take(source.byte() % 40) * (1 if shape & 0x30 else 7)
        if shape & 0x40:
            payload = payload.decode("utf-8", "replace").encode()
        size = len(payload)
        written.append(first)
        if size < 126 and shape != 0xF0:
            written.append(0x80 | size)
        elif shape & 0x80:
            written += b"\xfe" + size.to_bytes(2, "big")
        else:
            written += b"\xff" + size.to_bytes(8, "big")
        mask = source.take(4).ljust(4, b"\0")
        written += mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes(written)


def _read_by_us(pieces: list[bytes]) -> tuple[Events, int | None]:
    reader = MessageReader(_MESSAGE_BYTES)
    events: Events = []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (event := reader.next_event()) is not None:
                if not isinstance(event, Control):
                    assert len(event) <= _MESSAGE_BYTES
                    event.decode()
                    events.append(event)
                    continue
                events.append((event.opcode, event.payload))
                if event.opcode is Opcode.CLOSE:
                    return events, 1000  # What comes after it means nothing.
    except FrameRefused as error:
        return events, error.status
    return events, None


def _read_by_wsproto(pieces: list[bytes]) -> tuple[Events, int | None]:
    protocol = FrameProtocol(client=False, extensions=[])
    events: Events = []
    text = ""
    try:
        for piece in pieces:
            protocol.receive_bytes(piece)
            for frame in protocol.received_frames():
                match frame.opcode:
                    case WsOpcode.TEXT:
                        text += str(frame.payload)
                        if frame.frame_finished and frame.message_finished:
                            events.append(text.encode())
                            text = ""
                    case WsOpcode.CLOSE:
                        events.append((8, _close_payload(frame.payload)))
                        return events, None
                    case WsOpcode.BINARY:
                        return events, 1003
                    case opcode:
                        assert isinstance(frame.payload, bytes | bytearray)
                        events.append((int(opcode), bytes(frame.payload)))
    except ParseFailed as error:
        return events, int(error.code)
    return events, None


def _close_payload(payload: object) -> bytes:
    # For a close it gives the code and the reason apart.
    code, reason = payload  # type: ignore[misc]
    if code == 1005:
        return b""
    return int(code).to_bytes(2, "big") + (reason or "").encode()  # type: ignore[has-type]


def messages(data: bytes) -> None:
    """A frame is a message or a protocol error, and so is a stream of them to the state."""
    state = SyncState()
    for line in data.split(b"\n")[:50]:
        for form in (line, line.decode("utf-8", "surrogateescape")):
            try:
                message = parse_client_message(form)
            except RemoteProtocolError as error:
                shown = str(error).encode()  # It goes on the wire.
                if len(shown) > 2000:
                    raise AssertionError(shown) from error
                continue
            before = (state.query_set, state.identity, dict(state.subscriptions), state.phase)
            try:
                state.receive(message)
            except RemoteProtocolError:
                after = (state.query_set, state.identity, dict(state.subscriptions), state.phase)
                assert before == after


def values(data: bytes) -> None:
    """JSON is a value or refused; a value survives every encoding that keeps it."""
    if data[:1] == b"\xff":
        value = Source(data[1:]).value()
    else:
        try:
            value = decode(data)
        except InvalidValue as error:
            str(error).encode()
            return
    text = encode(value)
    assert encode(decode(text)) == text
    assert orjson.dumps(to_wire(value), option=orjson.OPT_SORT_KEYS) == text
    assert json.loads(text) == orjson.loads(text)
    exported = orjson.dumps(to_export(value))
    assert encode(from_export(parse_json(exported))) == text, exported
    orjson.dumps(to_clean(value))
    assert nesting_of(value) <= 64
    # Every byte of JSON stands for nine at most: a number's one digit.
    assert size_of(value) <= 9 * max(len(data), 1) + 200_000
    check_value(value)
    sort_key(value)


def keys(data: bytes) -> None:
    """Keys sort as their values do, and sequences of them part by part."""
    source = Source(data)
    left, right, third = source.value(), source.value(), source.value()
    if source.byte() & 1:
        right = left
    one, other, more = sort_key(left), sort_key(right), sort_key(third)
    expected = _sign(compare(left, right))
    assert _sign((one > other) - (one < other)) == expected, (left, right)
    if one != other and one.startswith(other):
        # A string with a NUL goes on where the one before the NUL ends, and no value begins so.
        assert one[len(other)] == 0xFF, (left, right)
    assert key_of([left, third]) == one + more
    assert _sign((one + more > other + more) - (one + more < other + more)) == expected
    assert one < one + more < values_end(one)
    assert (values_end(one) < other) == (expected < 0), (left, right)
    above = prefix_end(one)
    assert above is not None
    assert one + more < above
    assert sort_key(decode(encode(left))) == one
    _plain_keys(left)


def _plain_keys(value: Value) -> None:
    """The quick way to a column's key gives what the plain one gives."""
    if isinstance(value, float):
        if value != value:
            return
        value += 0.0
    assert sort_key_of_plain(to_wire(value)) == sort_key(value), value


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def calls(data: bytes) -> None:
    """A call that is answered directly is the request that another implementation reads."""
    if data[:1] > b"\x80":
        data = b"POST /api/query HTTP/1.1\r\nHost: x\r\n" + data[1:]
    call = read_call(data, 1 << 16)
    if not isinstance(call, DirectCall):
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    request = connection.next_event()
    assert isinstance(request, h11.Request), request
    assert (request.method, request.target) == (b"POST", call.path.encode())
    read = {name.decode(): value.decode("latin-1") for name, value in request.headers}
    assert read == call.headers
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage), event
    assert (body, connection.trailing_data[0]) == (call.body, call.rest)


def openings(data: bytes) -> None:
    """The first bytes of a connection ask for something, or for too much, however they are cut."""
    source = Source(data)
    cuts = source.byte() % 4
    whole = data[1:]
    if data[:1] > b"\x80":
        whole = b"GET /api/sync HTTP/1.1\r\nHost: x\r\n" + whole
    reader = OpeningReader(_HEAD_BYTES, ("https://flow.example",))
    fed = b""
    for piece in [*source.pieces(whole, cuts), b""]:
        fed += piece
        match reader.feed(piece):
            case None:
                assert len(fed) <= 3 * _HEAD_BYTES
            case Plain(given):
                assert given in (fed, b"")
                break
            case Refusal(answer):
                head, _, body = answer.partition(b"\r\n\r\n")
                assert int(head.split(b" ")[1]) in (400, 403, 426, 431)
                assert set(orjson.loads(body)) == {"code", "message"}
                break
            case Upgrade(answer):
                assert b"101" in answer
                assert b"xtensions" not in answer
                break
    client_of(None, whole.decode("latin-1"))


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "frames": frames,
    "messages": messages,
    "values": values,
    "keys": keys,
    "openings": openings,
    "calls": calls,
}

SEEDS: Final[Mapping[str, list[bytes]]] = {
    "frames": [
        b"\x00\x81\x85\x01\x02\x03\x04igoni",
        b"\x20\x01\x82\x00\x00\x00\x00\xc3\xa4\x89\x80abcd\x80\x80abcd",
        b"\x00\x88\x82\x00\x00\x00\x00\x03\xe8",
        b"\x41\x05\x81\x01\x08hello\x00\x00\x00\x00\x80\x09\x41\x01\x04xyzw",
    ],
    "messages": [
        b'{"type":"Connect","sessionId":"7f0c1c52-9a39-4c0c-8a53-0b2a0f5f1c11",'
        b'"connectionCount":0,"lastCloseReason":null,"maxObservedTimestamp":"AQAAAAAAAAA="}\n'
        b'{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[{"type":"Add",'
        b'"queryId":0,"udfPath":"a/b.js:c","args":[{}],"journal":null},'
        b'{"type":"Remove","queryId":0}]}\n'
        b'{"type":"Mutation","requestId":0,"udfPath":"m","args":[{"a":1}],"componentPath":""}\n'
        b'{"type":"Authenticate","baseVersion":0,"tokenType":"User","value":"x"}\n'
        b'{"type":"Event","eventType":"x","event":1}',
        b'{"type":"Authenticate","baseVersion":0,"tokenType":"Admin","value":"k","acting_as":{}}',
    ],
    "values": [
        b'{"a":[1,-2.5e3,true,null,"\\u00e9\\ud83d\\ude00"],"b":{"$bytes":"AAH/"}}',
        b'{"i":{"$integer":"AQAAAAAAAAA="},"f":{"$float":"AAAAAAAA+H8="}}',
        b'[[[{"$float":"AAAAAAAAAIA="}]],{"$set":[]}]',
        b"\xff\x08\x03\x01\x02\x03\x00\x01",
    ],
    "keys": [b"\x08\x02\x01\x02\x03\x04\x05", bytes(range(3, 60)), b"\x07\x03" * 12],
    "calls": [
        b"POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}POST /",
        b"POST /api/action HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n"
        b"Content-Type: application/json\r\nContent-Length: 0\r\n\r\n",
        b"\xffContent-Length: 1\r\n\r\nxy",
    ],
    "openings": [
        b"\x02GET /api/1.48.0/sync HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        b"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\nOrigin: https://flow.example\r\n\r\n",
        b"\x00POST /api/query HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xffUpgrade: websocket\r\nConnection: Upgrade\r\nConvex-Client: python-0.8.1\r\n\r\n",
    ],
}


def run_one(target: str, data: bytes) -> None:
    """Run a target once, with what replays it if it fails."""
    try:
        TARGETS[target](data)
    except MessageTooLarge:
        return
    except BaseException:
        print(f"target {target} failed for {data!r}", file=sys.stderr)
        raise
