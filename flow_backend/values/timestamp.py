"""Commit timestamps and how they travel: eight bytes, least first, in base64."""

from base64 import b64encode
from binascii import a2b_base64
from functools import lru_cache
from typing import Final, NewType

from flow_backend.errors import InvalidValue

CommitTs = NewType("CommitTs", int)
"""A commit's place in the one order; never read as a time."""

NO_COMMIT: Final = CommitTs(0)
"""Before the first commit: what a connection starts at."""

LAST_TS: Final = CommitTs(2**63 - 1)
"""No timestamp is above this, so that every one fits into a signed 64-bit integer."""

_TEXT_LENGTH: Final = 12


# A round sends the same two timestamps to every client, so a small cache takes most of the cost.
@lru_cache(maxsize=256)
def encode_ts(ts: CommitTs) -> str:
    """Write a timestamp as it stands on the wire, 12 characters.

    Raises: InvalidValue if it is below 0 or above 2^63 − 1.
    Source: the sync protocol, "Scalar encodings".
    """
    if not 0 <= ts <= LAST_TS:
        raise InvalidValue(f"Timestamp {ts} is out of range: expected 0 to {LAST_TS}.")
    return b64encode(ts.to_bytes(8, "little")).decode("ascii")


def decode_ts(text: str) -> CommitTs:
    """Read a timestamp from the wire.

    Only the one text that :func:`encode_ts` writes is taken: no other padding, alphabet or spare
    bits, so that equal timestamps have equal texts.

    Raises: InvalidValue.
    Source: the sync protocol, "Scalar encodings".
    """
    if len(text) != _TEXT_LENGTH:
        raise InvalidValue(
            f"A timestamp has {_TEXT_LENGTH} characters of base64, but {len(text)} came."
        )
    try:
        raw = a2b_base64(text, strict_mode=True)
    except ValueError as error:  # Also text that is not ASCII.
        raise InvalidValue(f"A timestamp is base64, but this is not: {error}.") from error
    ts = CommitTs(int.from_bytes(raw, "little"))
    if len(raw) != 8 or ts > LAST_TS:
        raise InvalidValue(f"A timestamp is 8 bytes and at most {LAST_TS}.")
    if encode_ts(ts) != text:
        raise InvalidValue("The base64 of a timestamp has bits set that mean nothing.")
    return ts
