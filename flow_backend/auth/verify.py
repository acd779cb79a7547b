"""Verifying tokens: which issuer, is the signature its own, is the token for us and for now."""

import base64
import math
import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final, cast

import httpx
import orjson
import trio
from attrs import define, field, frozen

from flow_backend.auth.identity import Identity, VerifiedToken
from flow_backend.auth.key_cache import Fetch, KeyCache
from flow_backend.auth.keys import Algorithm, PublicKey
from flow_backend.auth.providers import AuthProvider, CustomJwt
from flow_backend.errors import AuthRejected, AuthUnavailable
from flow_backend.values.value import JsonValue

TOKEN_BYTES_MAX: Final = 16 * 1024

LEEWAY_SECONDS: Final = 60.0
"""How far the issuer's clock may be from ours. Guarantee J5 says 60 s, where Convex has 5 s."""

FETCH_SECONDS: Final = 5.0
FETCH_BYTES_MAX: Final = 1024 * 1024

_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


@frozen(repr=False)
class _Unverified:
    """A token taken apart. Nothing in it is to be believed yet."""

    algorithm: str
    kid: str | None
    issuer: str
    audience: tuple[str, ...]
    claims: dict[str, JsonValue]
    signed: bytes
    signature: bytes


@define(eq=False)
class TokenVerifier:
    """Verifies tokens of the issuers that an app trusts.

    The provider, and with it what a token must be signed with, is chosen by our configuration;
    where the keys are too. The ``jku``, ``x5u`` and ``jwk`` of a token are never looked at. No
    message says anything of the token, so that each may be logged and sent.

    All of :meth:`verify` took 0.15 ms of processor time for RS256 (0.04 of it the signature), 0.23
    for ES256 and 0.28 for EdDSA, so it is done on the loop: a thread would save little of that.

    Attributes:
        fetch: GETs a URL, such as :func:`http_fetch` makes.
        now: seconds since the epoch.

    Source: guarantees J5, J6 and J11; the semantics, "Providers".
    """

    providers: Sequence[AuthProvider]
    fetch: Fetch
    now: Callable[[], float]
    _caches: tuple[KeyCache, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._caches = tuple(
            KeyCache(provider=provider, fetch=self.fetch, now=self.now)
            for provider in self.providers
        )

    async def verify(self, token: str) -> VerifiedToken:
        """Say who ``token`` speaks for, and until when.

        Raises:
            AuthRejected: it is no good, and will not be; ``reason`` says how: ``NoAuthProvider``,
                ``InvalidAuthHeader`` or ``Unauthenticated``.
            AuthUnavailable: the issuer's keys are out of reach; the same token may do later.
        """
        parsed = _take_apart(token)
        cache = self._choose(parsed)
        algorithm = _pinned(parsed.algorithm, cache.provider)
        key = await cache.find(parsed.kid, algorithm)
        if key is None:
            raise _rejected("its issuer has no key of its `kid` for this algorithm")
        if not _is_signed(parsed, key):
            raise _rejected("its signature does not fit")
        expires_at = self._check_times(parsed.claims)
        custom = isinstance(cache.provider, CustomJwt)
        return VerifiedToken(Identity.from_claims(parsed.claims, custom), expires_at)

    def _choose(self, parsed: _Unverified) -> KeyCache:
        """Pick the first provider of this issuer and audience; one that fits the algorithm wins."""
        matching = [
            cache
            for cache in self._caches
            if cache.provider.matches_issuer(parsed.issuer)
            and cache.provider.matches_audience(parsed.audience)
        ]
        if not matching:
            raise AuthRejected(
                "No auth provider found matching the given token. Compare its `iss` and `aud` with "
                "the providers in auth.py.",
                "NoAuthProvider",
            )
        fitting = (cache for cache in matching if parsed.algorithm in cache.provider.algorithms)
        return next(fitting, matching[0])

    def _check_times(self, claims: dict[str, JsonValue]) -> float:
        """Give when the identity ends, in seconds since the epoch."""
        now = self.now()
        expires_at = _seconds(claims, "exp")
        if expires_at is None:
            raise _rejected("it has no `exp`, and a token must end some day")
        if now >= expires_at + LEEWAY_SECONDS:
            raise _rejected("it has expired; get a new one")
        for name in ("nbf", "iat"):
            start = _seconds(claims, name)
            if start is not None and now < start - LEEWAY_SECONDS:
                raise _rejected(f"its `{name}` is in the future; compare the clocks")
        # Who is let in by the leeway has the rest of it: to end at once would be to loop.
        return expires_at if now < expires_at else expires_at + LEEWAY_SECONDS


def http_fetch(client: httpx.AsyncClient) -> Fetch:
    """Make a fetch that takes at most 5 s and 1 MiB, and follows no redirect.

    The fetch raises AuthUnavailable for any answer but a plain 200; the message has the URL, and
    nothing that came over the network.
    """

    async def fetch(url: str) -> bytes:
        try:
            with trio.fail_after(FETCH_SECONDS):
                return await _get(client, url)
        except trio.TooSlowError:
            raise AuthUnavailable(f"{url} took more than {FETCH_SECONDS:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise AuthUnavailable(f"{url} gave no answer ({type(error).__name__})") from None

    return fetch


async def _get(client: httpx.AsyncClient, url: str) -> bytes:
    # A compressed body could be far larger than what comes over the wire, so none is asked for.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with client.stream("GET", url, headers=headers, follow_redirects=False) as response:
        if response.status_code != HTTPStatus.OK:
            raise AuthUnavailable(f"{url} answered with status {response.status_code}")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise AuthUnavailable(f"{url} answered in a compressed form that was not asked for")
        body = bytearray()
        # To leave the loop would leave the client's generators to the garbage collector. A cancel
        # unwinds them from the innermost one.
        with trio.CancelScope() as reading:
            async for part in response.aiter_raw():
                body += part
                if len(body) > FETCH_BYTES_MAX:
                    reading.cancel()
    if len(body) > FETCH_BYTES_MAX:
        raise AuthUnavailable(f"{url} answered with more than {FETCH_BYTES_MAX} bytes")
    return bytes(body)


def _take_apart(token: str) -> _Unverified:
    """Read a token without believing it.

    Raises: AuthRejected if it is no signed token in compact form.
    Source: RFC 7515, section 7.1.
    """
    if len(token) > TOKEN_BYTES_MAX:
        raise _malformed(f"it is longer than {TOKEN_BYTES_MAX} bytes")
    if _COMPACT.fullmatch(token) is None:
        raise _malformed("it is not three parts of base64url with dots between them")
    first, second, third = token.split(".")
    header, claims = _parse(_decode(first), "header"), _parse(_decode(second), "payload")
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or not isinstance(kid, str | None):
        raise _malformed("its header needs `alg`, and `kid` must be a string")
    if "crit" in header or "b64" in header:
        raise _malformed("its header asks for extensions that this server does not have")
    issuer, audience = claims.get("iss"), claims.get("aud")
    if not isinstance(issuer, str):
        raise _rejected("it needs the claims `iss` and `sub`")
    entries = audience if isinstance(audience, list) else [audience]
    names = tuple(name for name in entries if isinstance(name, str))
    signed = token.rpartition(".")[0].encode()
    return _Unverified(algorithm, kid, issuer, names, claims, signed, _decode(third))


def _decode(part: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise _malformed("one of its parts is not base64url") from None
    # Bits beyond the last byte would let one signature be written in several ways.
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != part.encode():
        raise _malformed("one of its parts is not base64url in its only form")
    return raw


def _parse(raw: bytes, part: str) -> dict[str, JsonValue]:
    try:
        value: object = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise _malformed(f"its {part} is not JSON") from None
    if not isinstance(value, dict):
        raise _malformed(f"its {part} is not a JSON object")
    return cast("dict[str, JsonValue]", value)


def _pinned(algorithm: str, provider: AuthProvider) -> Algorithm:
    for allowed in provider.algorithms:
        if algorithm == allowed:
            return allowed
    raise _rejected("it is signed with an algorithm that its provider in auth.py does not allow")


def _is_signed(parsed: _Unverified, key: PublicKey) -> bool:
    # The algorithm is the key's own. PyJWT's way through whole tokens gives the same answer and
    # takes three times as long, as it reads the token once more.
    assert parsed.algorithm == key.algorithm
    return key.key.Algorithm.verify(parsed.signed, key.key.key, parsed.signature)


def _seconds(claims: dict[str, JsonValue], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _rejected(f"its `{name}` must be a number of seconds")
    return float(value)


def _rejected(problem: str) -> AuthRejected:
    return AuthRejected(f"Could not validate token: {problem}.")


def _malformed(problem: str) -> AuthRejected:
    return AuthRejected(f"Could not parse token: {problem}.", "InvalidAuthHeader")
