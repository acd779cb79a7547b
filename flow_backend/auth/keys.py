"""The public keys of an issuer: JSON Web Key Sets, read and searched."""

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, cast
from urllib.parse import unquote_to_bytes

import orjson
from attrs import field, frozen

if TYPE_CHECKING:
    import jwt

Algorithm = Literal["RS256", "ES256", "EdDSA"]

KEYS_MAX: Final = 100
"""Keys of one set that are looked at; issuers publish two or three."""

_RSA_BITS: Final = range(2048, 8193)
"""Shorter ones are weak, longer ones take the loop's time."""

_PUBLIC_PARTS: Final[Mapping[Algorithm, tuple[str, ...]]] = {
    "RS256": ("kty", "n", "e"),
    "ES256": ("kty", "crv", "x", "y"),
    "EdDSA": ("kty", "crv", "x"),
}


@frozen
class PublicKey:
    """One key, for the only algorithm that it may be used with."""

    kid: str | None
    algorithm: Algorithm
    key: "jwt.PyJWK" = field(repr=False, eq=False)


@frozen
class KeySet:
    """The keys of an issuer that verify signatures with the algorithms that we know."""

    keys: tuple[PublicKey, ...]

    def find(self, kid: str | None, algorithm: Algorithm) -> PublicKey | None:
        """Give the key of this name for ``algorithm``.

        A token without ``kid`` fits only a set with a single key for its algorithm.
        """
        fitting = [key for key in self.keys if key.algorithm == algorithm]
        if kid is None:
            return fitting[0] if len(fitting) == 1 else None
        return next((key for key in fitting if key.kid == kid), None)


def parse_key_set(raw: bytes) -> KeySet:
    """Read a JSON Web Key Set; keys that cannot verify a signature of ours are passed over.

    Raises: ValueError if it is no key set. The message quotes nothing of it.
    Source: RFC 7517, section 5.
    """
    try:
        document: object = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise ValueError("the key set is not JSON") from None
    keys = cast("dict[str, object]", document).get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise ValueError('the key set has no list called "keys"')  # noqa: TRY004 - It is parsing.
    entries = cast("list[object]", keys)[:KEYS_MAX]
    read = (_public_key(cast("dict[str, Any]", e)) for e in entries if isinstance(e, dict))
    return KeySet(tuple(key for key in read if key is not None))


def parse_data_url(url: str) -> bytes:
    """Give the content of a ``data:`` URL.

    Raises: ValueError if it is none.
    Source: RFC 2397.
    """
    header, comma, content = url.removeprefix("data:").partition(",")
    if not comma or not url.startswith("data:"):
        raise ValueError("a data: URL has a comma before its content")
    raw = unquote_to_bytes(content)
    if not header.endswith(";base64"):
        return raw
    try:
        return base64.b64decode(raw, validate=True)
    except binascii.Error:
        raise ValueError("the content of the data: URL is not base64") from None


def _public_key(entry: dict[str, Any]) -> PublicKey | None:
    import jwt  # Only here, since its cryptography is slow to load, and few servers need it.

    algorithm = _algorithm_of(entry)
    if algorithm is None:
        return None
    # Only the public parts go on: a private key that was published by mistake is not used as one.
    parts = {name: entry[name] for name in _PUBLIC_PARTS[algorithm] if name in entry}
    try:
        key = jwt.PyJWK(parts, algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        # One key that cannot be read must not take the others with it.
        return None
    if algorithm == "RS256" and key.key.key_size not in _RSA_BITS:
        return None
    kid = entry.get("kid")
    return PublicKey(kid if isinstance(kid, str) else None, algorithm, key)


def _algorithm_of(entry: dict[str, Any]) -> Algorithm | None:
    algorithm: Algorithm
    match entry.get("kty"), entry.get("crv"):
        case "RSA", _:
            algorithm = "RS256"
        case "EC", "P-256":
            algorithm = "ES256"
        case "OKP", "Ed25519":
            algorithm = "EdDSA"
        case _:
            return None
    operations = entry.get("key_ops", ["verify"])
    usable = (
        entry.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and entry.get("alg", algorithm) == algorithm
    )
    return algorithm if usable else None
