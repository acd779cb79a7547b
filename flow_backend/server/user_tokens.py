"""Looking at users' tokens, by the providers of the version that serves."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import structlog
from attrs import define

from flow_backend.actors.session import Authenticated
from flow_backend.auth.providers import AuthProvider, CustomJwt
from flow_backend.errors import AuthRejected
from flow_backend.functions.context import Caller
from flow_backend.runtime import Runtime

if TYPE_CHECKING:
    import httpx

    from flow_backend.auth.verify import TokenVerifier

log = structlog.stdlib.get_logger("flow.server")


@define(eq=False)
class UserTokens:
    """Verifies users' tokens.

    Owns: the connections to those who issue them. What is known of an issuer's keys stays as long
    as the providers are the same.

    Attributes:
        providers: gives those of the version in force; None if it has none.
    """

    providers: Callable[[], Sequence[AuthProvider] | None]
    runtime: Runtime
    _known: Sequence[AuthProvider] | None = None
    _verifier: "TokenVerifier | None" = None
    _client: "httpx.AsyncClient | None" = None

    async def verify(self, token: str) -> Authenticated:
        """Say who a token stands for, and until when.

        Raises: AuthRejected, AuthUnavailable.
        """
        providers = self.providers()
        if providers is None:
            raise AuthRejected(
                "No auth provider found matching the given token: this app has no auth.py",
                "NoAuthProvider",
            )
        if self._verifier is None or self._known != providers:
            await self.prepare(providers)
        assert self._verifier is not None, "it was prepared"
        verified = await self._verifier.verify(token)
        return Authenticated(Caller(verified.identity), verified.expires_at)

    async def prepare(self, providers: Sequence[AuthProvider]) -> None:
        """Get ready for providers: it takes a while, as all the system's certificates are read."""
        worker = self.runtime.worker("tokens")
        try:
            client, verifier = await worker.run(lambda: self._open(providers))
        finally:
            worker.close()
        self._client, self._verifier, self._known = client, verifier, providers
        for provider in providers:
            if isinstance(provider, CustomJwt) and provider.caution is not None:
                log.warning(provider.caution)

    def _open(self, providers: Sequence[AuthProvider]) -> Any:
        import httpx

        from flow_backend.auth.verify import TokenVerifier, http_fetch

        client = self._client or httpx.AsyncClient()
        return client, TokenVerifier(providers, http_fetch(client), time.time)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
