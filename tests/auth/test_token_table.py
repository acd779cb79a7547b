"""Guarantee J5 as a table: every way in which a token can be bad, and the ways it may be good."""

import json
import string
from collections.abc import Callable

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from flow_backend.auth.providers import AuthProvider, CustomJwt, OpenIdConnect
from flow_backend.auth.verify import TOKEN_BYTES_MAX, TokenVerifier
from flow_backend.errors import AuthRejected
from tests.auth.signing import (
    APP,
    ISSUER,
    NOW,
    claims,
    data_url,
    ec_key,
    ed_key,
    jwk,
    key_set,
    part,
    pem,
    rsa_key,
    sign,
    sign_by_hand,
    sign_with_secret,
)

CUSTOM = "https://custom.example"
NO_AUDIENCE = "https://no-audience.example"
KEYS_URL = f"{ISSUER}/keys"


def custom(**changes: object) -> dict[str, object]:
    return claims(**{"iss": CUSTOM, **changes})


def verifier() -> TokenVerifier:
    """Three issuers: OpenID Connect, our own with ES256, our own with RS256 and no audience."""
    documents = {
        f"{ISSUER}/.well-known/openid-configuration": json.dumps(
            {"issuer": ISSUER, "jwks_uri": KEYS_URL}
        ).encode(),
        KEYS_URL: key_set(
            jwk(rsa_key(), "rsa", use="sig", alg="RS256"),
            jwk(ed_key(), "ed"),
            jwk(ec_key(), "ec"),
            jwk(rsa_key("other"), "encryption", use="enc"),
            jwk(rsa_key("other"), "rs512", alg="RS512"),
            jwk(rsa_key("short", 1024), "short"),
            {"kty": "oct", "kid": "secret", "k": part(b"s" * 32)},
            {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        ),
    }

    async def fetch(url: str) -> bytes:
        return documents[url]

    own_keys = data_url(key_set(jwk(ec_key(), "ec"), jwk(rsa_key(), "rsa")))
    providers: list[AuthProvider] = [
        OpenIdConnect(ISSUER, APP),
        CustomJwt(CUSTOM, own_keys, "ES256", APP),
        CustomJwt(NO_AUDIENCE, own_keys, "RS256"),
    ]
    return TokenVerifier(providers, fetch, lambda: NOW)


def sign_es(payload: dict[str, object], **header: object) -> str:
    return sign(payload, ec_key(), "ES256", **{"kid": "ec", **header})


GOOD: dict[str, Callable[[], str]] = {
    "RS256": lambda: sign(claims()),
    "EdDSA": lambda: sign(claims(), ed_key(), "EdDSA", kid="ed"),
    "ES256 of our own issuer": lambda: sign_es(custom()),
    "RS256 without audience": lambda: sign(claims(iss=NO_AUDIENCE, aud=...)),
    "any audience where none is set": lambda: sign(claims(iss=NO_AUDIENCE, aud="other")),
    "several audiences": lambda: sign(claims(aud=["other", APP])),
    "issuer with a trailing slash": lambda: sign(claims(iss=f"{ISSUER}/")),
    "own issuer with a trailing slash": lambda: sign_es(custom(iss=f"{CUSTOM}/")),
    "own issuer without https://": lambda: sign_es(custom(iss="custom.example")),
    "no kid, and one key for the algorithm": lambda: sign(claims(), kid=...),
    "expired within the leeway": lambda: sign(claims(exp=NOW - 59)),
    "valid from within the leeway": lambda: sign(claims(nbf=NOW + 60)),
    "issued within the leeway": lambda: sign(claims(iat=NOW + 60)),
    "no iat": lambda: sign(claims(iat=...)),
    "exp with a fraction": lambda: sign(claims(exp=NOW + 0.5)),
    "jku of someone else": lambda: sign(claims(), jku="https://evil.example/keys"),
    "jwk of someone else": lambda: sign(claims(), jwk=jwk(rsa_key("other"), "rsa")),
    "another typ": lambda: sign(claims(), typ="at+jwt"),
}

NO_PROVIDER: dict[str, Callable[[], str]] = {
    "another issuer": lambda: sign(claims(iss="https://evil.example")),
    "issuer that begins like ours": lambda: sign(claims(iss=f"{ISSUER}.evil.example")),
    "issuer with a path": lambda: sign(claims(iss=f"{ISSUER}/x")),
    "issuer with two slashes": lambda: sign(claims(iss=f"{ISSUER}//")),
    "issuer over http": lambda: sign(claims(iss="http://issuer.example")),
    "OpenID issuer without https://": lambda: sign(claims(iss="issuer.example")),
    "issuer in other letters": lambda: sign(claims(iss=ISSUER.upper())),
    "empty issuer": lambda: sign(claims(iss="")),
    "another audience": lambda: sign(claims(aud="other")),
    "audience that begins like ours": lambda: sign(claims(aud=f"{APP}-2")),
    "no audience": lambda: sign(claims(aud=...)),
    "empty list of audiences": lambda: sign(claims(aud=[])),
    "only other audiences": lambda: sign(claims(aud=["other", "another"])),
    "audience is a number": lambda: sign(claims(aud=7)),
    "audience is an object": lambda: sign(claims(aud={APP: True})),
    "own issuer, another audience": lambda: sign_es(custom(aud="other")),
}

MALFORMED: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "not a token": lambda: "hello",
    "two parts": lambda: sign(claims()).rpartition(".")[0],
    "four parts": lambda: sign(claims()) + ".AAAA",
    "five parts, encrypted": lambda: "AAAA.AAAA.AAAA.AAAA.AAAA",
    "blank in front": lambda: " " + sign(claims()),
    "line end behind": lambda: sign(claims()) + "\n",
    "Bearer in front": lambda: "Bearer " + sign(claims()),
    "not ASCII": lambda: sign(claims()).replace(".", "\N{MIDDLE DOT}"),
    "header is no base64": lambda: "A." + sign(claims()).partition(".")[2],
    "header is no JSON": lambda: sign_by_hand(b"{", claims()),
    "header is a list": lambda: sign_by_hand(b"[]", claims()),
    "header is not UTF-8": lambda: sign_by_hand(b'{"alg":"\xff"}', claims()),
    "header without alg": lambda: sign_by_hand({"kid": "rsa"}, claims()),
    "alg is a list": lambda: sign_by_hand({"alg": ["RS256"], "kid": "rsa"}, claims()),
    "kid is a number": lambda: sign_by_hand({"alg": "RS256", "kid": 1}, claims()),
    "header nests": lambda: sign_by_hand(
        b'{"alg":"RS256","x":' + b"[" * 5000 + b"]" * 5000 + b"}", claims()
    ),
    "bits beyond the last byte": lambda: loose(sign(claims())),
    "critical extension": lambda: sign_by_hand(
        {"alg": "RS256", "kid": "rsa", "crit": ["exp"]}, claims()
    ),
    "payload not encoded": lambda: sign_by_hand(
        {"alg": "RS256", "kid": "rsa", "b64": False}, claims()
    ),
    "payload is no JSON": lambda: sign(b"hello"),
    "payload is a list": lambda: sign(b"[]"),
    "payload nests": lambda: sign(claims(x=json.loads("[" * 80 + "]" * 80))),
    "payload nests far": lambda: sign(
        json.dumps(claims()).encode()[:-1] + b',"x":' + b"[" * 2000 + b"]" * 2000 + b"}"
    ),
    "NaN": lambda: sign(json.dumps(claims(exp=float("nan"))).encode()),
    "too long": lambda: sign(claims(x="x" * TOKEN_BYTES_MAX)),
}

REJECTED: dict[str, Callable[[], str]] = {
    "alg none": lambda: f"{part({'alg': 'none', 'kid': 'rsa'})}.{part(claims())}.",
    "alg None": lambda: f"{part({'alg': 'None', 'kid': 'rsa'})}.{part(claims())}.AAAA",
    "alg none, signed": lambda: sign_by_hand({"alg": "none", "kid": "rsa"}, claims()),
    "no signature": lambda: sign(claims()).rpartition(".")[0] + ".",
    "HS256 with the public key as PEM": lambda: sign_with_secret(pem(rsa_key()), claims()),
    "HS256 with the public key as JWK": lambda: sign_with_secret(
        json.dumps(jwk(rsa_key(), "rsa")).encode(), claims()
    ),
    "HS256 with an empty secret": lambda: sign_with_secret(b"", claims()),
    "HS256 with a published secret": lambda: sign_with_secret(b"s" * 32, claims(), kid="secret"),
    "RS512": lambda: sign(claims(), algorithm="RS512"),
    "PS256": lambda: sign(claims(), algorithm="PS256"),
    "alg in other letters": lambda: sign_by_hand({"alg": "rs256", "kid": "rsa"}, claims()),
    "RS256 that says EdDSA": lambda: sign_by_hand({"alg": "EdDSA", "kid": "ed"}, claims()),
    "ES256 of an OpenID issuer": lambda: sign(claims(), ec_key(), "ES256", kid="ec"),
    "RS256 of an ES256 issuer": lambda: sign(custom()),
    "EdDSA of an ES256 issuer": lambda: sign(custom(), ed_key(), "EdDSA", kid="ec"),
    "ES256 of an RS256 issuer": lambda: sign_es(claims(iss=NO_AUDIENCE)),
    "ES256K": lambda: sign(custom(), ec_key("k", ec.SECP256K1), "ES256K", kid="ec"),
    "key of someone else": lambda: sign(claims(), rsa_key("other")),
    "key of someone else, ES256": lambda: sign(custom(), ec_key("other"), "ES256", kid="ec"),
    "key of someone else, in the header": lambda: sign(
        claims(), rsa_key("other"), jwk=jwk(rsa_key("other"), "rsa")
    ),
    "key of someone else, linked": lambda: sign(
        claims(), rsa_key("other"), jku="https://evil.example/keys", x5u="https://evil.example/x"
    ),
    "unknown kid": lambda: sign(claims(), kid="new"),
    "empty kid": lambda: sign(claims(), kid=""),
    "kid of another type of key": lambda: sign(claims(), kid="ed"),
    "kid of a key to encrypt": lambda: sign(claims(), rsa_key("other"), kid="encryption"),
    "kid of a key for RS512": lambda: sign(claims(), rsa_key("other"), kid="rs512"),
    "kid of a short key": lambda: sign_short(),
    "kid of a broken key": lambda: sign(claims(), kid="broken"),
    "signature of another token": lambda: mix(claims(sub="eve"), claims()),
    "last byte of the signature": lambda: flip(sign(claims()), -3),
    "header changed": lambda: (
        f"{part({'alg': 'RS256', 'kid': 'rsa', 'x': 1})}.{sign(claims()).partition('.')[2]}"
    ),
    "ES256 with a zero signature": lambda: (
        sign_es(custom()).rpartition(".")[0] + "." + part(bytes(64))
    ),
    "ES256 with a short signature": lambda: (
        sign_es(custom()).rpartition(".")[0] + "." + part(bytes(63))
    ),
    "expired": lambda: sign(claims(exp=NOW - 60)),
    "expired, ES256": lambda: sign_es(custom(exp=NOW - 60)),
    "no exp": lambda: sign(claims(exp=...)),
    "exp is null": lambda: sign(claims(exp=None)),
    "exp is a string": lambda: sign(claims(exp=str(NOW + 3600))),
    "exp is true": lambda: sign(claims(exp=True)),
    "exp is infinite": lambda: sign(json.dumps(claims()).encode()[:-1] + b',"exp":"inf"}'),
    "not yet valid": lambda: sign(claims(nbf=NOW + 61)),
    "nbf is true": lambda: sign(claims(nbf=True)),
    "nbf is a string": lambda: sign(claims(nbf="0")),
    "issued in the future": lambda: sign(claims(iat=NOW + 61)),
    "no issuer": lambda: sign(claims(iss=...)),
    "issuer is a list": lambda: sign(claims(iss=[ISSUER])),
    "no subject": lambda: sign(claims(sub=...)),
    "empty subject": lambda: sign(claims(sub="")),
    "subject is a number": lambda: sign(claims(sub=7)),
}


def sign_short() -> str:
    signed = f"{part({'alg': 'RS256', 'kid': 'short'})}.{part(claims())}"
    key = rsa_key("short", 1024)
    return f"{signed}.{part(jwt.get_algorithm_by_name('RS256').sign(signed.encode(), key))}"


def mix(payload: dict[str, object], signed: dict[str, object]) -> str:
    header, _, signature = sign(signed).split(".")
    return f"{header}.{part(payload)}.{signature}"


def loose(token: str) -> str:
    """The same bytes in another writing: the last letter of 256 bytes has four spare bits."""
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) + 1]


def flip(token: str, place: int) -> str:
    letter = "A" if token[place] != "A" else "B"
    return token[:place] + letter + token[place:][1:]


@pytest.mark.parametrize("case", GOOD)
async def test_good_token_gives_its_subject(case: str) -> None:
    verified = await verifier().verify(GOOD[case]())

    assert verified.identity.subject == "ann"


BAD = [
    (code, case, table[case])
    for code, table in [
        ("NoAuthProvider", NO_PROVIDER),
        ("InvalidAuthHeader", MALFORMED),
        ("Unauthenticated", REJECTED),
    ]
    for case in table
]


@pytest.mark.parametrize(
    ("code", "token"), [pytest.param(code, token, id=case) for code, case, token in BAD]
)
async def test_bad_token_is_rejected_with_its_code(code: str, token: Callable[[], str]) -> None:
    made = token()

    with pytest.raises(AuthRejected) as caught:
        await verifier().verify(made)

    assert caught.value.reason == code
    assert caught.value.code == "Unauthenticated"


def test_table_is_as_long_as_promised() -> None:
    assert len(GOOD) + len(BAD) >= 50


async def test_changing_any_letter_of_a_token_breaks_it() -> None:
    token = sign_es(custom())
    checked = verifier()

    for place in range(len(token)):
        with pytest.raises(AuthRejected):
            await checked.verify(flip(token, place))
