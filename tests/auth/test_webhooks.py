"""Signatures of webhooks: ours are verified, and nobody else's."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_backend import WebhookRejected, sign_webhook, verify_webhook

SECRET = "whsec_" + base64.b64encode(b"a key of twenty-four byt").decode()
NOW = 1_800_000_000
BODY = b'{"type":"reminder.rang"}'


@given(st.text(min_size=1), st.binary(max_size=200))
def test_what_was_signed_is_verified(secret: str, body: bytes) -> None:
    """With any secret that is no broken whsec_ one, and any body."""
    if secret.startswith("whsec_") or not secret.isprintable():
        secret = "plain"
    headers = sign_webhook(secret, "msg_1", NOW, body)

    assert verify_webhook(secret, headers, body, NOW + 5) == "msg_1"


def test_the_form_is_that_of_the_specification() -> None:
    """Computed here anew: another library must accept it."""
    headers = sign_webhook(SECRET, "msg_1", NOW, BODY)

    digest = hmac.new(b"a key of twenty-four byt", f"msg_1.{NOW}.".encode() + BODY, hashlib.sha256)
    assert headers == {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(NOW),
        "webhook-signature": "v1," + base64.b64encode(digest.digest()).decode(),
    }


def test_one_right_signature_among_several_is_enough() -> None:
    """While a secret is changed, a message carries both."""
    headers = sign_webhook(SECRET, "msg_1", NOW, BODY)
    headers["webhook-signature"] = "v1,AAAA v2,xyz " + headers["webhook-signature"]

    assert verify_webhook(SECRET, headers, BODY, NOW) == "msg_1"


@pytest.mark.parametrize(
    ("change", "body", "now", "words"),
    [
        ({}, b"other", NOW, "no signature"),
        ({"webhook-id": "msg_2"}, BODY, NOW, "no signature"),
        ({"webhook-timestamp": str(NOW + 1)}, BODY, NOW, "no signature"),
        ({"webhook-signature": "v1,!!!"}, BODY, NOW, "no signature"),
        ({"webhook-signature": ""}, BODY, NOW, "not signed"),
        ({"webhook-id": ""}, BODY, NOW, "not signed"),
        ({"webhook-timestamp": "soon"}, BODY, NOW, "not a time"),
        ({"webhook-timestamp": "9" * 5000}, BODY, NOW, "not a time"),
        ({"webhook-timestamp": "٣"}, BODY, NOW, "not a time"),
        ({}, BODY, NOW + 301, "old"),
        ({}, BODY, NOW - 301, "ahead"),
    ],
)
def test_anything_else_is_refused(
    change: dict[str, str], body: bytes, now: float, words: str
) -> None:
    """With words that say why."""
    headers = sign_webhook(SECRET, "msg_1", NOW, BODY) | change

    with pytest.raises(WebhookRejected, match=words):
        verify_webhook(SECRET, headers, body, now)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_%%%"])
def test_a_secret_that_is_none_signs_nothing(secret: str) -> None:
    """An empty one would let anyone in."""
    with pytest.raises(WebhookRejected, match="secret"):
        sign_webhook(secret, "msg_1", NOW, BODY)
