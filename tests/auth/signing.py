"""Keys and tokens for the tests: made anew in each run, some of them bad on purpose."""

import base64
import functools
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

NOW = 1_800_000_000.0
ISSUER = "https://issuer.example"
APP = "flow-app"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@functools.cache
def rsa_key(name: str = "main", bits: int = 2048) -> rsa.RSAPrivateKey:
    """One key for each name, since making one takes a tenth of a second."""
    return rsa.generate_private_key(65537, bits)


@functools.cache
def ec_key(name: str = "main", curve: type[ec.EllipticCurve] = ec.SECP256R1):
    return ec.generate_private_key(curve())


@functools.cache
def ed_key(name: str = "main") -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def jwk(key: PrivateKey, kid: str | None, **more: object) -> dict[str, Any]:
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        parts = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        parts = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        parts = OKPAlgorithm.to_jwk(public, as_dict=True)
    named = {} if kid is None else {"kid": kid}
    return {**{k: v for k, v in parts.items() if k != "key_ops"}, **named, **more}


def key_set(*keys: Mapping[str, object]) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


def data_url(content: bytes) -> str:
    return "data:application/json;base64," + base64.b64encode(content).decode()


def pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def part(content: bytes | Mapping[str, Any]) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(**changes: object) -> dict[str, object]:
    """Good claims, changed; a change to ``...`` takes the claim away."""
    good: dict[str, object] = {
        "iss": ISSUER,
        "sub": "ann",
        "aud": APP,
        "iat": NOW - 10,
        "exp": NOW + 3600,
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def sign(
    payload: Mapping[str, Any] | bytes,
    key: PrivateKey | None = None,
    algorithm: str = "RS256",
    **header: object,
) -> str:
    """A token signed by PyJWT; ``header`` adds to the header, ``kid=...`` leaves it out."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    names = {"kid": "rsa", **header}
    headers = {name: value for name, value in names.items() if value is not ...}
    return jwt.PyJWS().encode(raw, key or rsa_key(), algorithm, headers=headers)


def sign_by_hand(header: bytes | Mapping[str, Any], payload: bytes | Mapping[str, Any]) -> str:
    """An RS256 signature over any header, also one that no library would write."""
    signed = f"{part(header)}.{part(payload)}"
    signature = jwt.get_algorithm_by_name("RS256").sign(signed.encode(), rsa_key())
    return f"{signed}.{part(signature)}"


def sign_with_secret(secret: bytes, payload: Mapping[str, Any], **header: object) -> str:
    """An HS256 token whose secret is anything, also what PyJWT would refuse to use."""
    signed = f"{part({'alg': 'HS256', 'kid': 'rsa', **header})}.{part(payload)}"
    return f"{signed}.{part(hmac.digest(secret, signed.encode(), hashlib.sha256))}"
