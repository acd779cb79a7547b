"""What a function sees of its caller, and when two callers are the same."""

import json
from collections.abc import Callable

import pytest

from flow_backend.auth.identity import Identity, VerifiedToken
from flow_backend.errors import AuthRejected
from flow_backend.values.value import JsonValue
from tests.auth.signing import ISSUER, NOW, claims, sign
from tests.auth.test_token_table import CUSTOM, NO_AUDIENCE, custom, sign_es, verifier

PROFILE = {
    "name": "Ann Lee",
    "given_name": "Ann",
    "family_name": "Lee",
    "nickname": "annie",
    "preferred_username": "ann",
    "profile": "https://x.example/ann",
    "picture": "https://x.example/ann.png",
    "website": "https://ann.example",
    "email": "ann@x.example",
    "email_verified": True,
    "gender": "female",
    "birthdate": "1990-01-02",
    "zoneinfo": "Europe/Paris",
    "locale": "fr",
    "phone_number": "+33 1",
    "phone_number_verified": False,
    "address": {"formatted": "1 rue X", "country": "FR"},
    "updated_at": 1_700_000_000,
}
PROFILE_WIRE = {
    "tokenIdentifier": f"{ISSUER}|ann",
    "subject": "ann",
    "issuer": ISSUER,
    "name": "Ann Lee",
    "givenName": "Ann",
    "familyName": "Lee",
    "nickname": "annie",
    "preferredUsername": "ann",
    "profileUrl": "https://x.example/ann",
    "pictureUrl": "https://x.example/ann.png",
    "websiteUrl": "https://ann.example",
    "email": "ann@x.example",
    "emailVerified": True,
    "gender": "female",
    "birthday": "1990-01-02",
    "timezone": "Europe/Paris",
    "language": "fr",
    "phoneNumber": "+33 1",
    "phoneNumberVerified": False,
    "address": "1 rue X",
    "updatedAt": "2023-11-14T22:13:20+00:00",
}


def from_openid(**more: object) -> Identity:
    return Identity.from_claims(json.loads(json.dumps(claims(**more))), custom=False)


def from_custom(**more: object) -> Identity:
    return Identity.from_claims(json.loads(json.dumps(claims(**more))), custom=True)


def test_standard_claims_become_attributes() -> None:
    identity = from_openid(**PROFILE)

    assert identity.to_wire() == PROFILE_WIRE
    assert identity.claims == {}
    assert (identity.email_verified, identity.phone_number_verified) == (True, False)


def test_other_claims_keep_their_names_and_shape() -> None:
    identity = from_openid(org={"id": 7}, roles=["a"])

    assert identity.claims == {"org": {"id": 7}, "roles": ["a"]}
    assert identity.to_wire()["org"] == {"id": 7}


def test_absent_attributes_are_left_out() -> None:
    assert from_openid().to_wire() == {
        "tokenIdentifier": f"{ISSUER}|ann",
        "subject": "ann",
        "issuer": ISSUER,
    }


def test_nested_claims_of_a_custom_token_are_named_by_their_path() -> None:
    identity = from_custom(org={"id": "o1", "unit": {"name": "x", "tags": [{"a": 1}]}}, none={})

    assert identity.claims == {
        "aud": "flow-app",
        "org.id": "o1",
        "org.unit.name": "x",
        "org.unit.tags": [{"a": 1}],
        "none": {},
    }


def test_standard_claims_of_a_custom_token_stay_claims() -> None:
    """Convex gives them raw; so the wire form has them under the names of the claims."""
    identity = from_custom(email="a@x", given_name="Ann")

    assert (identity.email, identity.given_name) == (None, None)
    assert identity.to_wire()["email"] == "a@x"
    assert identity.to_wire()["given_name"] == "Ann"


@pytest.mark.parametrize("order", [1, -1])
def test_claim_named_like_a_path_wins_over_the_path(order: int) -> None:
    more = {"org": {"id": "nested"}, "org.id": "top"}

    identity = from_custom(**dict(list(more.items())[::order]))

    assert identity.claims["org.id"] == "top"


@pytest.mark.parametrize("name", ["tokenIdentifier", "subject", "issuer"])
@pytest.mark.parametrize("make", [from_openid, from_custom])
def test_no_claim_passes_for_who_someone_is(make: Callable[..., Identity], name: str) -> None:
    identity = make(**{name: "root"})

    assert name not in identity.claims
    assert identity.to_wire()[name] != "root"


def test_claim_called_like_an_attribute_does_not_stand_in_for_it() -> None:
    """In some issuers people name claims of their own; ``emailVerified`` is the issuer's word."""
    identity = from_openid(emailVerified=True, pictureUrl="https://evil.example")

    assert "emailVerified" not in identity.to_wire()
    assert "pictureUrl" not in identity.to_wire()


@pytest.mark.parametrize(
    ("claim", "value", "attribute", "expected"),
    [
        ("email_verified", "true", "email_verified", True),
        ("email_verified", "false", "email_verified", False),
        ("email_verified", "yes", "email_verified", None),
        ("email_verified", 1, "email_verified", None),
        ("email", ["a@x"], "email", None),
        ("address", "1 rue X", "address", "1 rue X"),
        ("address", {"country": "FR"}, "address", None),
        ("updated_at", "2024-01-02T03:04:05Z", "updated_at", "2024-01-02T03:04:05+00:00"),
        ("updated_at", "2024-01-02T03:04:05", "updated_at", None),
        ("updated_at", "soon", "updated_at", None),
        ("updated_at", 1e300, "updated_at", None),
        ("updated_at", True, "updated_at", None),
    ],
)
def test_odd_standard_claims(claim: str, value: object, attribute: str, expected: object) -> None:
    found = getattr(from_openid(**{claim: value}), attribute)

    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize("make", [from_openid, from_custom])
def test_refreshed_token_is_the_same_identity(make: Callable[..., Identity]) -> None:
    """Else each refresh would run all live queries of the person again."""
    first = make(email="a@x", iat=1, exp=2, nbf=1, jti="a")
    second = make(email="a@x", iat=3, exp=4, nbf=3, jti="b")

    assert first == second
    assert hash(first) == hash(second)
    assert first.key == second.key
    assert VerifiedToken(first, 2) != VerifiedToken(second, 4)


@pytest.mark.parametrize(
    "change", [{"sub": "eve"}, {"iss": "https://x.example"}, {"email": "b@x"}, {"role": "admin"}]
)
def test_different_claims_are_different_identities(change: dict[str, object]) -> None:
    first, second = from_openid(), from_openid(**change)

    assert first != second
    assert first.key != second.key


def test_attribute_and_claim_of_one_name_are_not_the_same() -> None:
    """A function that reads ``identity.email`` sees them apart, so they may not share a run."""
    attribute = Identity(token_identifier="a|b", issuer="a", subject="b", email="a@x")
    claim = Identity(token_identifier="a|b", issuer="a", subject="b", claims={"email": "a@x"})

    assert attribute.to_wire() == claim.to_wire()
    assert attribute.key != claim.key


def test_attribute_wins_over_a_claim_of_its_name() -> None:
    identity = Identity(
        token_identifier="a|b", issuer="a", subject="b", email="a@x", claims={"email": "b@x"}
    )

    assert identity.to_wire()["email"] == "a@x"


def test_key_does_not_depend_on_the_order_of_claims() -> None:
    assert from_openid(a=1, b={"c": 1, "d": 2}) == from_openid(b={"d": 2, "c": 1}, a=1)


def test_nothing_changes_an_identity() -> None:
    roles: dict[str, JsonValue] = {"roles": ["user"]}
    identity = Identity(token_identifier="a|b", issuer="a", subject="b", claims=roles)

    roles["roles"] = ["admin"]
    wire = identity.to_wire()
    wire["roles"].append("admin")  # type: ignore[union-attr]

    assert identity.claims == {"roles": ["user"]}
    with pytest.raises(TypeError):
        identity.claims["x"] = 1  # type: ignore[index]


def test_attributes_round_trip() -> None:
    identity = from_openid(**PROFILE, org={"id": 7})

    assert Identity.from_attributes(identity.to_wire()) == identity


def test_acting_as_someone_needs_a_token_identifier_or_its_parts() -> None:
    by_parts = Identity.from_attributes({"issuer": "https://i", "subject": "a|1", "role": "x"})
    by_name = Identity.from_attributes(
        {"tokenIdentifier": "https://i|a|1", "role": "x", "email": None}
    )

    assert by_parts == by_name
    assert by_parts.token_identifier == "https://i|a|1"
    assert by_parts.claims == {"role": "x"}


def test_given_token_identifier_wins_over_the_parts() -> None:
    given = {"tokenIdentifier": "own", "issuer": "i", "subject": "s"}

    assert Identity.from_attributes({**given}).token_identifier == "own"


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"issuer": "i"},
        {"subject": "s"},
        {"tokenIdentifier": None},
        {"tokenIdentifier": 7},
        {"tokenIdentifier": "a|b", "email": 7},
        {"tokenIdentifier": "a|b", "emailVerified": "true"},
        {"tokenIdentifier": "a|b", "x": json.loads("[" * 80 + "]" * 80)},
    ],
)
def test_acting_as_no_one_is_rejected(attributes: dict[str, JsonValue]) -> None:
    with pytest.raises(AuthRejected) as caught:
        Identity.from_attributes(attributes)

    assert caught.value.reason == "InvalidAuthHeader"


async def test_provider_decides_how_claims_are_read() -> None:
    checked = verifier()

    openid = await checked.verify(sign(claims(email="a@x", org={"id": 1})))
    own = await checked.verify(sign_es(custom(email="a@x", org={"id": 1})))

    assert openid.identity.email == "a@x"
    assert openid.identity.claims == {"org": {"id": 1}}
    assert own.identity.email is None
    assert own.identity.claims == {"email": "a@x", "org.id": 1, "aud": "flow-app"}
    assert own.identity.token_identifier == f"{CUSTOM}|ann"


async def test_identity_ends_with_the_token_and_the_leeway_is_used_up() -> None:
    checked = verifier()

    live = await checked.verify(sign(claims(iss=NO_AUDIENCE, exp=NOW + 5)))
    late = await checked.verify(sign(claims(iss=NO_AUDIENCE, exp=NOW - 5)))

    assert live.expires_at == NOW + 5
    # At its exp it would end before it began, and the client would come again and again.
    assert late.expires_at == NOW + 55
