"""Guarantee J11: nothing of a token is in what an error, a log or a repr says."""

import traceback

import pytest
from structlog.testing import capture_logs

from flow_backend.errors import AuthRejected
from tests.auth.signing import claims, part, sign, sign_by_hand
from tests.auth.test_token_table import BAD, verifier

CANARY = "c4n4ry-s3cret"


def with_canary() -> list[str]:
    """Tokens with the canary wherever there is room for it, good and bad."""
    return [
        CANARY,
        f"{part(CANARY.encode())}.{part(CANARY.encode())}.{part(CANARY.encode())}",
        sign(claims(sub=CANARY, exp=0)),
        sign(claims(iss=CANARY)),
        sign(claims(aud=CANARY)),
        sign(claims(sub=CANARY), kid=CANARY),
        sign(claims(exp=CANARY)),
        sign(claims(nbf=CANARY)),
        sign_by_hand({"alg": CANARY, "kid": "rsa"}, claims()),
        sign_by_hand({"alg": "RS256", "kid": [CANARY]}, claims()),
        sign_by_hand({"alg": "RS256", "crit": [CANARY]}, claims()),
        sign_by_hand(b'{"alg":"' + CANARY.encode(), claims()),
    ]


def everything_said(error: AuthRejected) -> str:
    return f"{error!r} {''.join(traceback.format_exception(error))}"


@pytest.mark.parametrize("token", with_canary())
async def test_rejection_says_nothing_of_the_token(token: str) -> None:
    with capture_logs() as logs, pytest.raises(AuthRejected) as caught:
        await verifier().verify(token)

    said = everything_said(caught.value) + repr(logs)
    assert CANARY not in said
    assert part(CANARY.encode()) not in said


async def test_no_rejection_of_the_table_quotes_a_part_of_its_token() -> None:
    checked = verifier()

    for _, _, make in BAD:
        token = make()
        with pytest.raises(AuthRejected) as caught:
            await checked.verify(token)
        said = everything_said(caught.value)
        assert not [piece for piece in token.split(".") if len(piece) > 8 and piece in said]


async def test_repr_of_a_verified_token_names_no_person() -> None:
    token = sign(claims(sub=CANARY, email=CANARY, name=CANARY, team=CANARY))

    verified = await verifier().verify(token)

    assert verified.identity.email == CANARY
    assert CANARY not in repr(verified)
