"""WebSocket frames: what is written, and what bytes from a client mean. No I/O."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from attrs import define, field

from flow_backend.actors.transport import Frame
from flow_backend.errors import RemoteProtocolError
from flow_backend.records import frozen

_JOINED_BYTES: Final = 4096
_INT_XOR_BYTES: Final = 1024
_CONTROL_BYTES: Final = 125
_REASON_BYTES: Final = 123
_FIN: Final = 0x80
_MASKED: Final = 0x80
_WHOLE_TEXT: Final = 0x81
_BETWEEN_FRAMES: Final = -1
_XOR: Final = [bytes(byte ^ mask for byte in range(256)) for mask in range(256)]


class Opcode(IntEnum):
    """What a frame is."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class FrameRefused(RemoteProtocolError):
    """A client's frame ends the connection with a close ``status`` (RFC 6455, section 7.4.1)."""

    code = "ProtocolError"

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@frozen
class Control:
    """A ping, a pong or a close from the client; ``status`` is that of a close, 1005 for none."""

    opcode: Opcode
    payload: bytes
    status: int = 1005


# --- Writing. A server's frames are not masked.


def text_frame(parts: Sequence[bytes]) -> Frame:
    """Put a header before one message of UTF-8 text. Long parts are not copied."""
    size = sum(map(len, parts))
    if size <= _CONTROL_BYTES:
        return (b"".join((bytes((_WHOLE_TEXT, size)), *parts)),)
    if size < 1 << 16:
        header = b"\x81\x7e" + size.to_bytes(2, "big")
    else:
        header = b"\x81\x7f" + size.to_bytes(8, "big")
    # One short copy is cheaper than a system call with many parts.
    return (b"".join((header, *parts)),) if size < _JOINED_BYTES else (header, *parts)


def control_frame(opcode: Opcode, payload: bytes = b"") -> bytes:
    """Write a ping, a pong or a close."""
    assert len(payload) <= _CONTROL_BYTES, len(payload)
    return bytes((_FIN | opcode, len(payload))) + payload


def close_frame(status: int, reason: str) -> bytes:
    """Write a close; ``reason`` is cut to what fits, at a character's boundary."""
    text = reason.encode("utf-8", "replace")[:_REASON_BYTES].decode("utf-8", "ignore")
    return control_frame(Opcode.CLOSE, status.to_bytes(2, "big") + text.encode())


# --- Reading


@define(repr=False)  # Messages hold what belongs in no log.
class MessageReader:
    """Takes the bytes of one client, gives its messages and control frames in order.

    A frame whose header declares too much is refused before any of it is kept, and what belongs to
    an unfinished message is stored once, unmasked, as it arrives.

    Source: RFC 6455, sections 5 to 8.
    """

    max_bytes: int
    _data: bytes = b""
    _at: int = 0
    _left: int = _BETWEEN_FRAMES
    _mask: bytes = b""
    _final: bool = False
    _message: bytearray | None = field(default=None)

    def feed(self, data: bytes) -> None:
        """Take what the socket gave. What was left over is no more than a header or a control."""
        self._data = self._data[self._at :] + data if self._at < len(self._data) else data
        self._at = 0

    @property
    def unfinished_bytes(self) -> int:
        """How much is kept of a message that has not come to its end."""
        return 0 if self._message is None else len(self._message)

    def next_event(self) -> bytes | Control | None:
        """Give the next message (as UTF-8) or control frame, None when more bytes are needed.

        Raises: FrameRefused; what came before it in the stream has then been given.
        """
        while True:
            if self._left == _BETWEEN_FRAMES:
                event = self._start_frame()
                if event is not None or self._left == _BETWEEN_FRAMES:
                    return event
            if not self._take_payload():
                return None
            self._left = _BETWEEN_FRAMES
            if self._final:
                assert self._message is not None
                message, self._message = bytes(self._message), None
                return _checked_text(message)

    def _start_frame(self) -> bytes | Control | None:
        data, at = self._data, self._at
        have = len(data) - at
        if have < 2:
            if not have:
                self._data, self._at = b"", 0  # An idle client holds no buffer.
            return None
        first, size, start = data[at], data[at + 1], at + 6
        if not size & _MASKED:
            raise FrameRefused(1002, "A client masks its frames, but this one is not masked.")
        size &= 0x7F
        if size > _CONTROL_BYTES:
            width = 2 if size == 126 else 8
            if have < 2 + width:
                return None
            start += width
            size = _long_size(data[at + 2 : at + 2 + width])
        elif first == _WHOLE_TEXT and self._message is None and at + 6 + size <= len(data):
            # Nearly all that a client says is of this kind, and needs no other look.
            self._at = end = start + size
            return _checked_text(_unmasked(data[start:end], data[start - 4 : start]))
        # The header alone decides, so that a frame that is too large is never waited for.
        self._check_header(first, size)
        if len(data) < start:
            return None
        mask, end = data[start - 4 : start], start + size
        if first & 0x08:
            return self._control(first, data, start, end)
        if first == _WHOLE_TEXT and end <= len(data):
            self._at = end
            return _checked_text(_unmasked(data[start:end], mask))
        self._at, self._left, self._mask = start, size, mask
        self._final = bool(first & _FIN)
        if self._message is None:
            self._message = bytearray()
        return None

    def _control(self, first: int, data: bytes, start: int, end: int) -> Control | None:
        if len(data) < end:
            return None
        self._at = end
        opcode = Opcode(first & 0x0F)
        payload = _unmasked(data[start:end], data[start - 4 : start])
        if opcode is not Opcode.CLOSE:
            return Control(opcode, payload)
        return Control(opcode, payload, _close_status(payload))

    def _take_payload(self) -> bool:
        """Move what has arrived of the frame's payload into the message; True at its end."""
        assert self._message is not None
        piece = self._data[self._at : self._at + self._left]
        self._at += len(piece)
        self._left -= len(piece)
        if self._at == len(self._data):
            self._data, self._at = b"", 0
        self._message += _unmasked(piece, self._mask)
        # The next piece starts where the mask is to go on.
        turn = len(piece) % 4
        self._mask = self._mask[turn:] + self._mask[:turn]
        return self._left == 0

    def _check_header(self, first: int, size: int) -> None:
        if first & 0x70:
            raise FrameRefused(1002, "A frame has reserved bits set; no extension was agreed on.")
        opcode, final = first & 0x0F, first & _FIN
        if opcode & 0x08:
            if opcode > Opcode.PONG:
                raise FrameRefused(1002, f"There is no control frame of opcode {opcode}.")
            if not final or size > _CONTROL_BYTES:
                raise FrameRefused(1002, "A control frame is whole, and has at most 125 bytes.")
            return
        if opcode == Opcode.BINARY:
            raise FrameRefused(1003, "Messages are text; this server takes no binary frames.")
        if opcode > Opcode.BINARY:
            raise FrameRefused(1002, f"There is no data frame of opcode {opcode}.")
        if (opcode == Opcode.TEXT) != (self._message is None):
            raise FrameRefused(1002, "A message was continued that had not begun, or not ended.")
        total = size + (len(self._message) if self._message is not None else 0)
        if total > self.max_bytes:
            raise FrameRefused(
                1009, f"A message has at most {self.max_bytes} bytes, this one {total} or more."
            )


def _long_size(field_bytes: bytes) -> int:
    size = int.from_bytes(field_bytes, "big")
    if size >> 63 or size <= (_CONTROL_BYTES if len(field_bytes) == 2 else 0xFFFF):
        raise FrameRefused(1002, "A frame's length is written in its shortest form.")
    return size


def _unmasked(data: bytes, mask: bytes) -> bytes:
    size = len(data)
    if size <= _INT_XOR_BYTES:
        # For short data one big integer is the fastest way; for long data a table is.
        key = int.from_bytes((mask * (size // 4 + 1))[:size], "little")
        return (int.from_bytes(data, "little") ^ key).to_bytes(size, "little")
    result = bytearray(data)
    for place in range(4):
        result[place::4] = result[place::4].translate(_XOR[mask[place]])
    return bytes(result)


def _checked_text(message: bytes) -> bytes:
    if not message.isascii():
        try:
            message.decode()
        except UnicodeDecodeError:
            raise FrameRefused(1007, "A message is UTF-8, but this one is not.") from None
    return message


def _close_status(payload: bytes) -> int:
    if not payload:
        return 1005
    status = int.from_bytes(payload[:2], "big")
    known = 1000 <= status <= 1014 and status not in (1004, 1005, 1006)
    if len(payload) == 1 or not (known or 3000 <= status <= 4999):
        raise FrameRefused(1002, "A close carries a status that may not be sent.")
    _checked_text(payload[2:])
    return status
