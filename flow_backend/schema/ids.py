"""Document ids: a table's number and 16 bytes, written as text that cannot be mistyped."""

from base64 import b32encode
from itertools import accumulate
from random import Random
from typing import Final

from flow_backend.errors import InvalidId

INTERNAL_BYTES: Final = 16
TABLE_NUMBER_MAX: Final = 2**32 - 1

_FOOTER_BYTES: Final = 2
_ALPHABET: Final = b"0123456789abcdefghjkmnpqrstvwxyz"
_TO_OURS: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", _ALPHABET)

# Python reads base 32 with the digits 0-9a-v. All that is not ours becomes !, which it refuses.
_TO_DIGITS: Final = bytes(
    b"0123456789abcdefghijklmnopqrstuv"[_ALPHABET.index(byte)] if byte in _ALPHABET else ord("!")
    for byte in range(256)
)

# By the length of the text: how many bytes of it are the table's number.
_NUMBER_BYTES: Final = {31: 1, 32: 2, 34: 3, 36: 4, 37: 5}


def encode_id(table_number: int, internal: bytes) -> str:
    """Write the id of a document.

    Args:
        table_number: from 1 to 2^32 − 1.
        internal: the document's 16 bytes.

    Returns: 31 to 37 characters, 32 for the tables of an app.
    Source: the values, "Document IDs".
    """
    assert len(internal) == INTERNAL_BYTES, len(internal)
    body = _number_bytes(table_number) + internal
    return b32encode(body + _checksum(body)).rstrip(b"=").translate(_TO_OURS).decode()


def decode_id(text: str) -> tuple[int, bytes]:
    """Read an id, strictly: there is one text for each id, and no other is taken.

    Returns: the table's number, and the document's 16 bytes.
    Raises: InvalidId.
    Source: the values, "Document IDs".
    """
    count = _NUMBER_BYTES.get(len(text), 0)
    if not count:
        raise _invalid(text, "an id has 31, 32, 34, 36 or 37 characters")
    length = count + INTERNAL_BYTES + _FOOTER_BYTES
    unused = len(text) * 5 - length * 8
    bits = _parse(text, text)
    if bits & ((1 << unused) - 1):
        raise _invalid(text, "its last character has bits that no id sets")
    binary = (bits >> unused).to_bytes(length, "big")
    number = _read_number(binary[:count], text)
    body = binary[:-_FOOTER_BYTES]
    if binary[-_FOOTER_BYTES:] != _checksum(body):
        raise _invalid(text, "its checksum is wrong, so part of it was changed or lost")
    return number, body[count:]


def table_number_of(text: str) -> int:
    """Read the table's number alone, without a look at the rest.

    For ids that are known to be good; :func:`decode_id` is for what comes from outside.

    Raises: InvalidId if not even the number can be read.
    """
    count = _NUMBER_BYTES.get(len(text), 0)
    if not count:
        raise _invalid(text, "an id has 31, 32, 34, 36 or 37 characters")
    # Eight characters are five bytes, as many as the longest number has.
    return _read_number(_parse(text[:8], text).to_bytes(5, "big")[:count], text)


def new_internal_id(random: Random, day: int) -> bytes:
    """Draw the 16 bytes of a new document.

    Args:
        random: the transaction's own generator, so that a rerun draws the same.
        day: days since the Unix epoch; it is kept in the last two bytes and orders nothing.
    """
    assert 0 <= day < 2**16, day
    return random.randbytes(INTERNAL_BYTES - 2) + day.to_bytes(2, "big")


def _parse(part: str, text: str) -> int:
    try:
        return int(part.encode("ascii").translate(_TO_DIGITS), 32)
    except ValueError:  # It is also what a character outside of ASCII raises.
        raise _invalid(text, "an id has only digits and lower-case letters, no i, l, o or u") from (
            None
        )


def _number_bytes(number: int) -> bytes:
    assert 0 < number <= TABLE_NUMBER_MAX, number
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _read_number(groups: bytes, text: str) -> int:
    number = 0
    for place, group in enumerate(groups):
        is_last = place == len(groups) - 1
        if is_last == (group >= 0x80):
            raise _invalid(text, "its table's number does not have the length that it should")
        number |= (group & 0x7F) << 7 * place
    # A last group of 0 would be a longer writing of a shorter number.
    if groups[-1] == 0 or number > TABLE_NUMBER_MAX:
        raise _invalid(text, "there is no table of its number")
    return number


def _checksum(body: bytes) -> bytes:
    # Fletcher-16 modulo 256: the sum of the bytes, and the sum of all its prefixes.
    return bytes((sum(body) & 0xFF, sum(accumulate(body)) & 0xFF))


def _invalid(text: str, reason: str) -> InvalidId:
    # What a client sent may be long, or no UTF-8: the message shows its beginning, escaped.
    shown = ascii(text if len(text) <= 40 else f"{text[:40]}...")
    return InvalidId(f"{shown} is not a document id: {reason}")
