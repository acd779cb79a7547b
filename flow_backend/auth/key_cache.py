"""The keys of one issuer, fetched when they are needed and kept for a while."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, cast
from urllib.parse import urlsplit

import orjson
import structlog
import trio
from attrs import define, field

from flow_backend.auth.keys import Algorithm, KeySet, PublicKey, parse_key_set
from flow_backend.auth.providers import (
    AuthProvider,
    CustomJwt,
    OpenIdConnect,
    is_loopback,
    url_problem,
)
from flow_backend.errors import AuthUnavailable

Fetch = Callable[[str], Awaitable[bytes]]
"""GETs a URL. Raises AuthUnavailable or OSError if there is no good answer."""

FRESH_SECONDS: Final = 600.0
"""Keys this young are used without a question."""

STALE_SECONDS: Final = 24 * 3600.0
"""Keys this young are used if the issuer cannot be reached."""

RETRY_SECONDS: Final = 60.0
"""How often an issuer is asked for an unknown key, or again while old keys stand in for it."""


@define(kw_only=True, eq=False)
class KeyCache:
    """Finds keys of one provider, with as few questions to the issuer as safety allows.

    Owns: the provider's key set, and the one fetch that may be under way. Whoever needs keys
    meanwhile waits for that fetch and shares its outcome. Ages are taken without their sign, so
    that a clock that was set back makes keys neither eternal nor useless.
    """

    provider: AuthProvider
    fetch: Fetch
    now: Callable[[], float]
    _keys: KeySet | None = field(init=False, default=None)
    _fetched_at: float = field(init=False, default=0.0)
    _failed_at: float | None = field(init=False, default=None)
    _searched_at: float | None = field(init=False, default=None)
    _failure: str = field(init=False, default="")
    _attempts: int = field(init=False, default=0)
    _flight: trio.Lock = field(init=False, factory=trio.Lock)

    async def find(self, kid: str | None, algorithm: Algorithm) -> PublicKey | None:
        """Give the key of this name, or None if the issuer has none.

        Raises: AuthUnavailable if the issuer cannot be asked and what is known cannot tell.
        """
        if isinstance(self.provider, CustomJwt) and self.provider.static_keys is not None:
            return self.provider.static_keys.find(kid, algorithm)
        key = (await self._current()).find(kid, algorithm)
        if key is not None:
            return key
        # The issuer may have a new key. Anyone can make up a name, so it is not asked each time;
        # but a fetch that is under way is waited for, or the first user would lock out the others.
        if self._flight.locked() or not self._within(self._searched_at, RETRY_SECONDS):
            self._searched_at = self.now()
            await self._refresh()
            key = (await self._current()).find(kid, algorithm)
        if key is None and self._failed_at is not None:
            raise self._unavailable()
        return key

    async def _current(self) -> KeySet:
        """Give keys that may be used now."""
        if self._keys is not None:
            if self._within(self._fetched_at, FRESH_SECONDS):
                return self._keys
            if self._usable_when_stale() and self._within(self._failed_at, RETRY_SECONDS):
                return self._keys
        await self._refresh()
        if self._keys is None or not self._usable_when_stale():
            raise self._unavailable()
        return self._keys

    def _usable_when_stale(self) -> bool:
        return self._within(self._fetched_at, STALE_SECONDS)

    def _within(self, then: float | None, seconds: float) -> bool:
        return then is not None and abs(self.now() - then) < seconds

    async def _refresh(self) -> None:
        """Fetch the keys, or wait for the fetch under way. Failure is kept in ``_failed_at``."""
        attempts = self._attempts
        async with self._flight:
            # A fetch that was cancelled counts as none: then the next in line goes.
            if self._attempts != attempts:
                return
            try:
                keys = parse_key_set(await self.fetch(await self._key_set_url()))
            except (AuthUnavailable, OSError, ValueError) as error:
                self._note_failure(error)
            else:
                self._keys, self._fetched_at, self._failed_at = keys, self.now(), None
            self._attempts += 1

    def _note_failure(self, error: AuthUnavailable | OSError | ValueError) -> None:
        self._failed_at = self.now()
        # The words of an OSError may be anyone's; ours are known to quote nothing.
        self._failure = type(error).__name__ if isinstance(error, OSError) else str(error)
        age = None if self._keys is None else self._failed_at - self._fetched_at
        log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
        log.warning("auth_keys_unreachable", reason=self._failure, known_keys_age_seconds=age)

    async def _key_set_url(self) -> str:
        """Give where the keys are; an OpenID Connect issuer is asked for it.

        Raises: ValueError if the discovery document is no good.
        Source: OpenID Connect Discovery 1.0, section 4.3.
        """
        if not isinstance(self.provider, OpenIdConnect):
            return self.provider.jwks
        url = self.provider.discovery_url
        try:
            document: object = orjson.loads(await self.fetch(url))
        except orjson.JSONDecodeError:
            raise ValueError(f"{url} is not JSON") from None
        answer = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
        if not self.provider.matches_issuer(str(answer.get("issuer"))):
            raise ValueError(f"{url} names another issuer; domain in auth.py must equal it")
        keys_url = str(answer.get("jwks_uri", ""))
        # Only an issuer on this machine may point into this machine.
        local = is_loopback(urlsplit(url).hostname or "")
        if (problem := url_problem(keys_url, query=True, loopback=local)) is not None:
            raise ValueError(f"{url} has a jwks_uri that cannot be used: {problem}")
        return keys_url

    def _unavailable(self) -> AuthUnavailable:
        return AuthUnavailable(
            f"The keys that verify this token cannot be fetched: {self._failure}. Try again; if "
            "it stays, see that this server reaches the issuer."
        )
