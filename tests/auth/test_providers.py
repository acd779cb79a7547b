"""An app's ``auth.py`` that cannot work is refused when it is read, in words that help."""

from collections.abc import Callable

import pytest

from flow_backend.auth.providers import CustomJwt, OpenIdConnect
from flow_backend.errors import AppDefinitionError
from tests.auth.signing import data_url, ec_key, jwk, key_set, rsa_key

KEYS = "https://own.example/keys"


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (lambda: OpenIdConnect("issuer.example", "app"), "start with https://"),
        (lambda: OpenIdConnect("http://issuer.example", "app"), "use https://"),
        (lambda: OpenIdConnect("http://127.0.0.1.evil.example", "app"), "use https://"),
        (lambda: OpenIdConnect("ftp://issuer.example", "app"), "start with https://"),
        (lambda: OpenIdConnect("https://", "app"), "start with https://"),
        (lambda: OpenIdConnect("https://a:b@issuer.example", "app"), "user name"),
        (lambda: OpenIdConnect("https://a@issuer.example", "app"), "user name"),
        (lambda: OpenIdConnect("https://issuer.example?x=1", "app"), "after ? or #"),
        (lambda: OpenIdConnect("https://issuer.example#x", "app"), "after ? or #"),
        (lambda: OpenIdConnect("https://issuer.example:x", "app"), "not a URL"),
        (lambda: OpenIdConnect("https://issuer.example/a b", "app"), "blanks"),
        (lambda: OpenIdConnect("", "app"), "not empty"),
        (lambda: OpenIdConnect("https://issuer.example", ""), "application_id"),
        (lambda: OpenIdConnect("https://issuer.example", None), "application_id"),  # type: ignore[arg-type]
        (lambda: CustomJwt("", KEYS, "RS256"), "issuer"),
        (lambda: CustomJwt("http://own.example", KEYS, "RS256"), "use https://"),
        (lambda: CustomJwt("own", "http://own.example/keys", "RS256"), "use https://"),
        (lambda: CustomJwt("own", "file:///keys", "RS256"), "start with https://"),
        (lambda: CustomJwt("own", KEYS, "HS256"), "'RS256' or 'ES256'"),  # type: ignore[arg-type]
        (lambda: CustomJwt("own", KEYS, "none"), "'RS256' or 'ES256'"),  # type: ignore[arg-type]
        (lambda: CustomJwt("own", KEYS, "RS256", " "), "application_id"),
        (lambda: CustomJwt("own", "data:application/json", "RS256"), "comma"),
        (lambda: CustomJwt("own", "data:;base64,%%%", "RS256"), "base64"),
        (lambda: CustomJwt("own", "data:,hello", "RS256"), "not JSON"),
        (lambda: CustomJwt("own", "data:,[]", "RS256"), '"keys"'),
        (lambda: CustomJwt("own", "data:,{}", "RS256"), '"keys"'),
        (lambda: CustomJwt("own", data_url(key_set()), "RS256"), "no public key for RS256"),
        (
            lambda: CustomJwt("own", data_url(key_set(jwk(ec_key(), "a"))), "RS256"),
            "no public key for RS256",
        ),
        (
            lambda: CustomJwt("own", data_url(key_set(jwk(rsa_key("short", 1024), "a"))), "RS256"),
            "2048 bits",
        ),
    ],
)
def test_bad_declaration_says_what_to_do(make: Callable[[], object], hint: str) -> None:
    with pytest.raises(AppDefinitionError, match=r"auth\.py: ") as caught:
        make()

    assert hint in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.example",
        "https://issuer.example/realms/x/",
        "http://localhost:8080",
        "http://127.0.0.1:8080",
        "http://127.1.2.3",
        "http://[::1]:8080",
    ],
)
def test_good_domain_has_its_discovery_document_below(url: str) -> None:
    provider = OpenIdConnect(url, "app")

    assert provider.discovery_url == url.rstrip("/") + "/.well-known/openid-configuration"


def test_keys_may_stand_in_a_data_url_percent_encoded() -> None:
    content = key_set(jwk(ec_key(), "a")).decode().replace("%", "%25").replace(" ", "%20")

    provider = CustomJwt("own", f"data:text/plain;charset=utf-8,{content}", "ES256")

    assert provider.static_keys is not None
    assert [key.kid for key in provider.static_keys.keys] == ["a"]


def test_missing_application_id_is_cautioned_about() -> None:
    assert CustomJwt("own", KEYS, "RS256", "app").caution is None
    assert "application_id" in (CustomJwt("own", KEYS, "RS256").caution or "")
