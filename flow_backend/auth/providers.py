"""What an app's ``auth.py`` declares: the issuers whose tokens it trusts."""

import ipaddress
from collections.abc import Sequence
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

from attrs import field, frozen

from flow_backend.auth.keys import Algorithm, KeySet, parse_data_url, parse_key_set
from flow_backend.errors import AppDefinitionError

_OPENID_ALGORITHMS: Final[tuple[Algorithm, ...]] = ("RS256", "EdDSA")


@frozen
class OpenIdConnect:
    """An issuer that publishes an OpenID Connect discovery document (Auth0, Clerk, Google, …).

    An app's ``auth.py`` says::

        from flow_backend.auth.providers import OpenIdConnect

        providers = [OpenIdConnect("https://accounts.example.com", application_id="my-app")]

    Attributes:
        domain: the issuer's URL, as in the ``iss`` of its tokens (a trailing slash is ignored).
            Keys come from ``<domain>/.well-known/openid-configuration``.
        application_id: one of the ``aud`` of its tokens. Without this check a token that the
            issuer made for any other app would be good here.

    Raises: AppDefinitionError, at construction, if one of them cannot be.
    """

    domain: str
    application_id: str

    def __attrs_post_init__(self) -> None:
        where = f"auth.py: OpenIdConnect(domain={self.domain!r})"
        _check_url(self.domain, f"{where}: domain")
        _check_text(self.application_id, f"{where}: application_id")

    @property
    def algorithms(self) -> tuple[Algorithm, ...]:
        """What its tokens may be signed with."""
        return _OPENID_ALGORITHMS

    @property
    def discovery_url(self) -> str:
        """Where the issuer says where its keys are."""
        return f"{self.domain.rstrip('/')}/.well-known/openid-configuration"

    def matches_issuer(self, issuer: str) -> bool:
        """Say if this is the issuer, give or take a trailing slash."""
        return issuer.removesuffix("/") == self.domain.removesuffix("/")

    def matches_audience(self, audience: Sequence[str]) -> bool:
        """Say if a token for ``audience`` is for this app."""
        return self.application_id in audience


@frozen
class CustomJwt:
    """An issuer of JSON Web Tokens that is no OpenID Connect provider, such as your own.

    An app's ``auth.py`` says::

        from flow_backend.auth.providers import CustomJwt

        providers = [
            CustomJwt(
                "https://login.example.com",
                jwks="https://login.example.com/keys.json",
                algorithm="ES256",
                application_id="my-app",
            )
        ]

    Attributes:
        issuer: as in the ``iss`` of its tokens; a trailing slash and a missing ``https://`` are
            ignored.
        jwks: where its key set is: an https URL, http on this machine, or a ``data:`` URL that
            holds the key set itself.
        algorithm: what its tokens are signed with. What a token says of itself changes nothing.
        application_id: one of the ``aud`` of its tokens. If it is left out, **any** token of this
            issuer is good, also one made for another app (see :attr:`caution`).
        static_keys: the key set of a ``data:`` URL, else None.

    Raises: AppDefinitionError, at construction, if one of them cannot be.
    """

    issuer: str
    jwks: str = field(repr=False)
    algorithm: Literal["RS256", "ES256"]
    application_id: str | None = None
    static_keys: KeySet | None = field(init=False, default=None, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        where = f"auth.py: CustomJwt(issuer={self.issuer!r})"
        _check_text(self.issuer, f"{where}: issuer")
        if "://" in self.issuer:
            _check_url(self.issuer, f"{where}: issuer")
        if self.algorithm not in ("RS256", "ES256"):
            raise AppDefinitionError(
                f"{where}: algorithm is {self.algorithm!r}; write 'RS256' or 'ES256', whichever "
                "the issuer signs with. Others are not supported."
            )
        if self.application_id is not None:
            _check_text(self.application_id, f"{where}: application_id")
        _check_text(self.jwks, f"{where}: jwks")
        if self.jwks.startswith("data:"):
            keys = _keys_in(self.jwks, self.algorithm, f"{where}: jwks")
            object.__setattr__(self, "static_keys", keys)
        else:
            _check_url(self.jwks, f"{where}: jwks", query=True)

    @property
    def algorithms(self) -> tuple[Algorithm, ...]:
        """What its tokens may be signed with."""
        return (self.algorithm,)

    @property
    def caution(self) -> str | None:
        """What the start of the server warns of, in a sentence."""
        if self.application_id is not None:
            return None
        return (
            f"auth.py: CustomJwt(issuer={self.issuer!r}) has no application_id, so tokens that "
            "this issuer made for other apps are good here too. Set it to the `aud` of your tokens."
        )

    def matches_issuer(self, issuer: str) -> bool:
        """Say if this is the issuer, give or take a trailing slash and ``https://``."""
        return _bare(issuer) == _bare(self.issuer)

    def matches_audience(self, audience: Sequence[str]) -> bool:
        """Say if a token for ``audience`` is for this app."""
        return self.application_id is None or self.application_id in audience


AuthProvider = OpenIdConnect | CustomJwt


def url_problem(url: str, *, query: bool = False, loopback: bool = True) -> str | None:
    """Say why keys cannot come from ``url``, or None if they can.

    Args:
        url: absolute.
        query: a query part is allowed.
        loopback: http is allowed on this machine's own addresses.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port  # Reading a port that is no number raises.
    except ValueError:
        return "it is not a URL"
    if parts.scheme not in ("https", "http") or not host:
        return "it must start with https://"
    if parts.scheme == "http" and not (loopback and is_loopback(host)):
        return "over plain http anyone on the way could put in keys of their own; use https://"
    return _surplus(url, parts, query)


def is_loopback(host: str) -> bool:
    """Say if ``host`` is this machine, without asking the network."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _surplus(url: str, parts: SplitResult, query: bool) -> str | None:
    if any(character <= " " or character > "~" for character in url):
        return "it has blanks or characters beyond ASCII; leave them out or percent-encode them"
    if parts.username is not None or parts.password is not None:
        return "it holds a user name or password; leave them out"
    if parts.fragment or (parts.query and not query):
        return "it has a part after ? or #; leave that out"
    return None


def _check_url(url: str, where: str, *, query: bool = False) -> None:
    _check_text(url, where)
    if (problem := url_problem(url, query=query)) is not None:
        raise AppDefinitionError(f"{where} cannot be used: {problem}.")


def _check_text(value: object, where: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise AppDefinitionError(f"{where} must be a string that is not empty.")


def _keys_in(url: str, algorithm: Algorithm, where: str) -> KeySet:
    try:
        keys = parse_key_set(parse_data_url(url))
    except ValueError as problem:
        raise AppDefinitionError(
            f"{where}: {problem}. Write data:application/json;base64, and the key set in base64."
        ) from None
    if not any(key.algorithm == algorithm for key in keys.keys):
        raise AppDefinitionError(
            f"{where}: the key set has no public key for {algorithm}. Put in the public key that "
            "belongs to the one that signs your tokens (RSA keys of 2048 bits or more)."
        )
    return keys


def _bare(issuer: str) -> str:
    return issuer.removeprefix("https://").removesuffix("/")
