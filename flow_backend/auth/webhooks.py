"""Signatures of webhooks: what comes in is verified, what goes out is signed, in one form."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from flow_backend.errors import WebhookRejected

TOLERANCE_SECONDS: Final = 300.0
"""How old, or how far ahead, a signed message may be: older ones may be copies."""

_PREFIX: Final = "whsec_"


def sign_webhook(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Give the headers that sign a body.

    ``secret`` is ``whsec_`` and base64, or any other text, whose bytes are the key; ``timestamp``
    counts seconds since the epoch.

    Source: the Standard Webhooks specification, symmetric signatures (v1: HMAC-SHA256).
    """
    signature = base64.b64encode(_signature(secret, message_id, timestamp, body)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }


def verify_webhook(secret: str, headers: Mapping[str, str], body: bytes, now_seconds: float) -> str:
    """Check that a body was signed with ``secret``, of late, and give the message's id.

    ``headers`` have their names in lower case. The same message may come again: whoever sent it
    repeats what was not answered, so act on an id once.

    Raises: WebhookRejected, which says what is missing or wrong.
    """
    message_id, stamp, signatures = (
        headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
    )
    if not (message_id and stamp and signatures):
        raise WebhookRejected(
            "this request is not signed: it needs the headers webhook-id, webhook-timestamp and "
            "webhook-signature"
        )
    # No int() of a text that may be megabytes long; a time in seconds has ten digits.
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise WebhookRejected("webhook-timestamp is not a time in seconds since 1970")
    apart = now_seconds - int(stamp)
    if abs(apart) > TOLERANCE_SECONDS:
        told = "old" if apart > 0 else "ahead of this server's clock"
        raise WebhookRejected(
            f"the message is {abs(apart):.0f} s {told}; {TOLERANCE_SECONDS:g} s are the most"
        )
    expected = _signature(secret, message_id, int(stamp), body)
    for each in signatures.split(" ")[:16]:
        version, _, encoded = each.partition(",")
        if version == "v1" and hmac.compare_digest(_decoded(encoded), expected):
            return message_id
    raise WebhookRejected("no signature of this message is right: is the secret the same?")


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _signature(secret: str, message_id: str, timestamp: int, body: bytes) -> bytes:
    key = secret.encode()
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise WebhookRejected("the secret begins with whsec_, but no base64 follows") from None
    if not key:
        raise WebhookRejected("the secret is empty: anyone could sign with it")
    signed = f"{message_id}.{timestamp}.".encode() + body
    return hmac.digest(key, signed, hashlib.sha256)
