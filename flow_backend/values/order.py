"""Gives values keys whose plain byte order is the order of the values."""

import struct
from collections.abc import Iterable, Sequence
from typing import Final, cast

from flow_backend.values.encode import float_of_int
from flow_backend.values.names import check_field_names
from flow_backend.values.refusal import NESTING_MAX, refuse_nesting, refuse_text, refuse_type
from flow_backend.values.value import UNSET, Int64, Unset, Value

_UNSET: Final = b"\x01"
_NULL: Final = b"\x03"
_FALSE: Final = b"\x0e"
_TRUE: Final = b"\x0f"
_END: Final = b"\x00"

_PACK_FLOAT: Final = struct.Struct(">d").pack
_FLIPPED: Final = bytes(byte ^ 0xFF for byte in range(256))


def sort_key(value: Value | Unset) -> bytes:
    """Give the key of one value; keys are equal when the values are, and compare as these do.

    A plain ``int`` has the key of the float that it means; an Int64 sorts before every float.

    Raises: InvalidValue for what has no wire form.
    Source: the values, "Sort-key encoding".
    """
    return _key(value, 0)


def key_of(values: Iterable[Value | Unset]) -> bytes:
    """Give the key of a sequence: the keys of its values, one after the other.

    Raises: InvalidValue, as :func:`sort_key`.
    """
    return b"".join([_key(value, 0) for value in values])


def values_end(key: bytes) -> bytes:
    r"""Give the end of the range of sequences that begin with the values of ``key``.

    It stands right behind every key that goes on with another value, and before all others that
    merely begin with the same bytes: ``"a"`` and ``"a\0b"`` do, since a NUL inside a string is
    written as the end of one and FF. So it is where "equal to" ends and "greater than" starts.

    Args:
        key: from :func:`key_of` or :func:`sort_key`, whole.
    """
    return key + b"\xff"


def prefix_end(key: bytes) -> bytes | None:
    """Give the smallest byte string above all that begin with ``key``; None if there is none.

    It goes by bytes: for the sequences that begin with certain values, see :func:`values_end`.
    """
    kept = key.rstrip(b"\xff")
    if not kept:
        return None
    return kept[:-1] + bytes((kept[-1] + 1,))


def _key(value: object, depth: int) -> bytes:
    if isinstance(value, str):
        return b"\x10" + _utf8(value).replace(b"\x00", b"\x00\xff") + _END
    if isinstance(value, float):
        return _float_key(value)
    if value is None:
        return _NULL
    if isinstance(value, int):
        return _int_key(value)
    if isinstance(value, bytes):
        return b"\x11" + value.replace(b"\x00", b"\x00\xff") + _END
    if isinstance(value, (list, tuple)):
        return _array_key(cast("Sequence[object]", value), depth)
    if isinstance(value, dict):
        return _object_key(cast("dict[str, object]", value), depth)
    if value is UNSET and depth == 0:
        return _UNSET
    raise refuse_type(value)


def _utf8(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise refuse_text() from None


def _float_key(value: float) -> bytes:
    bits = _PACK_FLOAT(value)
    if bits[0] < 0x80:
        return b"\x0d" + bytes((bits[0] | 0x80,)) + bits[1:]
    # The more negative, the larger the bits: all of them are turned over.
    return b"\x0d" + bits.translate(_FLIPPED)


def _int_key(value: int) -> bytes:
    if isinstance(value, bool):
        return _TRUE if value else _FALSE
    if not isinstance(value, Int64):
        return _float_key(float_of_int(value))
    if value == 0:
        return b"\x08"
    # The tag tells the width, so the narrow ones lie nearer to zero on both sides.
    bits = (value if value > 0 else ~value).bit_length()
    width = 0 if bits < 8 else 1 if bits < 16 else 2 if bits < 32 else 3
    tag = 0x09 + width if value > 0 else 0x07 - width
    return bytes((tag,)) + value.to_bytes(1 << width, "big", signed=True)


def _array_key(value: Sequence[object], depth: int) -> bytes:
    if depth >= NESTING_MAX:
        raise refuse_nesting()
    return b"\x12" + b"".join([_key(item, depth + 1) for item in value]) + _END


def _object_key(value: dict[str, object], depth: int) -> bytes:
    if depth >= NESTING_MAX:
        raise refuse_nesting()
    check_field_names(value)
    parts = [b"\x15"]
    for name in sorted(value):
        # An empty name would look like the end: FF marks it, and sorts after what can follow one.
        parts.append(name.encode() + _END if name else b"\x00\xff")
        parts.append(_key(value[name], depth + 1))
    parts.append(_END)
    return b"".join(parts)
