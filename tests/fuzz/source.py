"""Reads choices out of a fuzzer's bytes, so that it can build values as well as texts."""

import struct
from itertools import pairwise

from attrs import define

from flow_backend.values.value import Int64, Value

_TEXTS = ["", "a", "\0", "a\0b", "é", "\uffff", "\U00010000", "~", "z"]
_NAMES = ["", "a", "aa", "b", " ", "~", "_id", "z"]
_FLOATS = [0.0, -0.0, 1.0, -1.0, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf")]
_INTEGERS = [0, 1, -1, 127, 128, -128, -129, 32767, 32768, 2**31, 2**63 - 1, -(2**63)]


@define
class Source:
    """Bytes that are taken from the front; at their end all choices are the first."""

    data: bytes
    at: int = 0

    def byte(self) -> int:
        """Give the next byte, 0 at the end."""
        if self.at >= len(self.data):
            return 0
        self.at += 1
        return self.data[self.at - 1]

    def take(self, count: int) -> bytes:
        """Give the next ``count`` bytes, or as many as there are."""
        taken = self.data[self.at : self.at + count]
        self.at += len(taken)
        return taken

    def pieces(self, data: bytes, cuts: int) -> list[bytes]:
        """Cut ``data`` at up to ``cuts`` places."""
        places = sorted({self.byte() * 257 % (len(data) + 1) for _ in range(cuts)})
        edges = [0, *places, len(data)]
        return [data[start:stop] for start, stop in pairwise(edges)]

    def value(self, depth: int = 0) -> Value:
        """Build any value."""
        kind = self.byte() % (9 if depth < 5 else 7)
        match kind:
            case 0:
                return None
            case 1:
                return bool(self.byte() & 1)
            case 2:
                return self._float()
            case 3:
                return self._integer()
            case 4 | 5:
                return self._text()
            case 6:
                return self.take(self.byte() % 6)
            case 7:
                return [self.value(depth + 1) for _ in range(self.byte() % 4)]
            case _:
                names = [_NAMES[self.byte() % len(_NAMES)] for _ in range(self.byte() % 4)]
                return {name: self.value(depth + 1) for name in names}

    def _float(self) -> float:
        choice = self.byte()
        if choice < 128:
            return _FLOATS[choice % len(_FLOATS)]
        number: float = struct.unpack("<d", self.take(8).ljust(8, b"\0"))[0]
        return number

    def _integer(self) -> Int64:
        choice = self.byte()
        if choice < 128:
            return Int64(_INTEGERS[choice % len(_INTEGERS)])
        return Int64(int.from_bytes(self.take(1 + choice % 8), "little", signed=True))

    def _text(self) -> str:
        choice = self.byte()
        if choice < 128:
            return "".join(_TEXTS[self.byte() % len(_TEXTS)] for _ in range(choice % 4))
        return self.take(choice % 12).decode("utf-8", "replace")
