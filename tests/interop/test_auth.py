"""Tokens of the app's issuer, from the official JavaScript client."""

import time

import pytest

from tests.auth.signing import claims, rsa_key, sign
from tests.interop.support import run_node
from tests.server_process import ServerProcess

pytestmark = [pytest.mark.node, pytest.mark.slow]


def token(subject: str, number: int = 0) -> str:
    """A good token. Those of other numbers are other tokens of the same person."""
    now = time.time()
    return sign(claims(sub=subject, iat=now - 10, exp=now + 3600 + number))


def bad_token(number: int = 0) -> str:
    """As good, but for the key: nobody vouches for it."""
    now = time.time()
    return sign(claims(iat=now - 10, exp=now + 3600 + number), rsa_key("a stranger's"))


async def test_who_signs_in_is_seen_by_functions_and_live_queries(interop: ServerProcess):
    """Both tokens of a page load are confirmed, and queries run again for each new person."""
    told, after = await run_node(
        "auth.mjs",
        "people",
        url=interop.url,
        ann=[token("ann", 1), token("ann", 2)],
        bob=[token("bob", 1), token("bob", 2)],
    )

    # Each confirmation may be told, but no refusal.
    assert set(told.pop("changes")) == {True}
    assert told == {
        "asked": [False, True],
        "sent": 2,
        "mutation": {"value": "ann"},
        "action": {"value": "ann"},
    }
    # A second token of the same person changes no result, and nothing is told twice.
    assert after == {"seen": [None, "ann", "bob", None], "openings": 1}


async def test_a_refused_token_is_fetched_again(interop: ServerProcess):
    (told,) = await run_node(
        "auth.mjs",
        "recovers",
        url=interop.url,
        bad=bad_token(),
        ann=[token("ann", 1), token("ann", 2)],
    )

    (error,) = told["errors"]
    assert (error["authUpdateAttempted"], error["baseVersion"]) == (True, 0)
    assert told["seen"] == ["ann"]
    assert set(told["changes"]) == {True}
    assert told["asked"][:2] == [False, True]
    assert told["change"] == {"value": "ann"}


async def test_without_any_good_token_the_client_goes_on_as_nobody(interop: ServerProcess):
    bad = [bad_token(number) for number in range(8)]

    (told,) = await run_node("auth.mjs", "neverGood", url=interop.url, bad=bad)

    assert told["changes"] == [False]
    assert told["seen"] == [None]
    assert told["value"] == 1
    assert told["refused"] >= 1


async def test_tokens_over_http(interop: ServerProcess):
    (told,) = await run_node(
        "auth.mjs", "http", url=interop.url, ann=[token("ann")], bad=bad_token()
    )

    assert told["nobody"] == {"value": None}
    assert told["good"] == {"value": "ann"}
    assert '"code"' in told["refused"]["error"]["message"]
