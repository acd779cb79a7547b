"""Who a caller is: the identity that functions see, made from the claims of a token."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import orjson
from attrs import Factory, field, frozen

from flow_backend.errors import AuthRejected
from flow_backend.values.value import JsonValue

DEPTH_MAX: Final = 64
"""Claims nest no deeper, as values do."""

_TEXTS: Final[Mapping[str, str]] = {
    "tokenIdentifier": "token_identifier",
    "subject": "subject",
    "issuer": "issuer",
    "name": "name",
    "givenName": "given_name",
    "familyName": "family_name",
    "nickname": "nickname",
    "preferredUsername": "preferred_username",
    "profileUrl": "profile_url",
    "pictureUrl": "picture_url",
    "websiteUrl": "website_url",
    "email": "email",
    "gender": "gender",
    "birthday": "birthday",
    "timezone": "timezone",
    "language": "language",
    "phoneNumber": "phone_number",
    "address": "address",
    "updatedAt": "updated_at",
}
_FLAGS: Final[Mapping[str, str]] = {
    "emailVerified": "email_verified",
    "phoneNumberVerified": "phone_number_verified",
}
_ATTRIBUTES: Final[Mapping[str, str]] = {**_TEXTS, **_FLAGS}
"""Attribute name on the wire to field name."""

_OPENID_TEXTS: Final[Mapping[str, str]] = {
    "name": "name",
    "given_name": "given_name",
    "family_name": "family_name",
    "nickname": "nickname",
    "preferred_username": "preferred_username",
    "profile": "profile_url",
    "picture": "picture_url",
    "website": "website_url",
    "email": "email",
    "gender": "gender",
    "birthdate": "birthday",
    "zoneinfo": "timezone",
    "locale": "language",
    "phone_number": "phone_number",
}
_OPENID_FLAGS: Final = ("email_verified", "phone_number_verified")

_ABOUT_THE_TOKEN: Final = frozenset({"iss", "sub", "exp", "nbf", "iat", "jti"})
"""Claims about the token. They change when it is refreshed, so no identity may hold them."""

_ABOUT_THE_LOGIN: Final = frozenset(
    {"aud", "azp", "auth_time", "acr", "amr", "nonce", "at_hash", "c_hash", "s_hash"}
)
"""What OpenID Connect adds about one login; no custom claims either."""

_FROM_OPENID: Final = (
    _ABOUT_THE_TOKEN | _ABOUT_THE_LOGIN | set(_OPENID_TEXTS) | {*_OPENID_FLAGS, "address"}
) | {"updated_at"}


def _freeze(claims: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    return MappingProxyType(dict(claims))


def _key_of(identity: "Identity") -> str:
    parts = [identity.attributes(), dict(identity.claims)]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


@frozen(kw_only=True, eq=False, repr=False)
class Identity:
    """A signed-in caller, as ``ctx.auth.identity`` shows it.

    Two identities are equal if all their attributes and claims are. When a token ends is no part
    of it: a refreshed token of the same person is the same identity, and no live query runs again.

    Attributes:
        token_identifier: ``issuer|subject``, the stable name of a person: store this one.
        updated_at: when the issuer last changed the profile, in RFC 3339.
        claims: what else the token says, by claim name. Not to be changed by whoever reads it.
        key: a digest of all the rest. Equal identities have equal keys, and live queries that read
            the identity are split by it. It says nothing of the person, so it may be logged.

    Source: the semantics, "Identity object".
    """

    token_identifier: str
    subject: str
    issuer: str
    name: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    nickname: str | None = None
    preferred_username: str | None = None
    profile_url: str | None = None
    picture_url: str | None = None
    website_url: str | None = None
    email: str | None = None
    email_verified: bool | None = None
    gender: str | None = None
    birthday: str | None = None
    timezone: str | None = None
    language: str | None = None
    phone_number: str | None = None
    phone_number_verified: bool | None = None
    address: str | None = None
    updated_at: str | None = None
    claims: Mapping[str, JsonValue] = field(factory=dict[str, JsonValue], converter=_freeze)
    key: str = field(init=False, default=Factory(_key_of, takes_self=True))

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, Identity) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        # Names and addresses of people have no place in a log or a traceback.
        return f"Identity(issuer={self.issuer!r}, key={self.key[:12]!r})"

    @classmethod
    def from_claims(cls, claims: Mapping[str, JsonValue], custom: bool) -> "Identity":
        """Make the identity that a verified token speaks of.

        Args:
            claims: the payload of the token, with ``iss`` and ``sub``.
            custom: the token is of a :class:`CustomJwt` provider. Then no claim becomes an
                attribute, and nested ones are named by their path: ``org.id``.

        A standard claim of the wrong type is left out. Claims about the token itself (``exp``,
        ``iat``, ``jti``) are in no identity, since they change with each refresh.

        Raises: AuthRejected if issuer or subject is missing, or claims nest too deep.
        """
        issuer, subject = claims.get("iss"), claims.get("sub")
        if not (isinstance(issuer, str) and issuer and isinstance(subject, str) and subject):
            raise AuthRejected("Could not validate token: it needs the claims `iss` and `sub`.")
        _check_depth(claims)
        fields: dict[str, Any] = {} if custom else _openid_fields(claims)
        return cls(
            token_identifier=f"{issuer}|{subject}",
            issuer=issuer,
            subject=subject,
            claims=_flat_claims(claims) if custom else _openid_claims(claims),
            **fields,
        )

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, JsonValue]) -> "Identity":
        """Make the identity that an admin acts as, from attributes in camelCase.

        ``tokenIdentifier`` is needed, or ``issuer`` and ``subject``. A null counts as absent;
        names that are no attribute are custom claims.

        Raises: AuthRejected if neither is there or an attribute has the wrong type.
        Source: the sync protocol, "Authenticate".
        """
        _check_depth(attributes)
        fields: dict[str, Any] = {}
        for name, attribute in _ATTRIBUTES.items():
            value = attributes.get(name)
            expected = bool if name in _FLAGS else str
            if value is not None and not isinstance(value, expected):
                raise _bad_attributes(f"`{name}` must be a {expected.__name__}")
            if value is not None:
                fields[attribute] = value
        claims = {name: value for name, value in attributes.items() if name not in _ATTRIBUTES}
        return cls(claims=claims, **_named(fields))

    def attributes(self) -> dict[str, JsonValue]:
        """Give the attributes that are known, by their names on the wire, without claims."""
        known: dict[str, JsonValue] = {}
        for name, attribute in _ATTRIBUTES.items():
            value: str | bool | None = getattr(self, attribute)
            if value is not None:
                known[name] = value
        return known

    def to_wire(self) -> dict[str, JsonValue]:
        """Give a fresh JSON object: attributes in camelCase, and each claim under its own name.

        Absent attributes are left out. An attribute wins over a claim of the same name.
        """
        claims: dict[str, JsonValue] = orjson.loads(orjson.dumps(dict(self.claims)))
        return {**claims, **self.attributes()}


@frozen
class VerifiedToken:
    """A token that was found good: who it speaks for, and until when.

    ``expires_at`` is in seconds since the epoch; None never ends. Then the session's identity ends
    too (guarantee J6).
    """

    identity: Identity
    expires_at: float | None


def _openid_fields(claims: Mapping[str, JsonValue]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for claim, attribute in _OPENID_TEXTS.items():
        if isinstance(value := claims.get(claim), str):
            fields[attribute] = value
    for claim in _OPENID_FLAGS:
        # Some issuers write their flags as strings.
        flag = {True: True, False: False, "true": True, "false": False}
        if isinstance(value := claims.get(claim), (bool, str)) and value in flag:
            fields[claim] = flag[value]
    address = claims.get("address")
    formatted = address.get("formatted") if isinstance(address, dict) else address
    if isinstance(formatted, str):
        fields["address"] = formatted
    if (updated_at := _instant(claims.get("updated_at"))) is not None:
        fields["updated_at"] = updated_at
    return fields


def _openid_claims(claims: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    # A claim that is called like an attribute could pass for it where the attribute is absent: in
    # some issuers people name their own claims, and `emailVerified` must be the issuer's word.
    return {
        name: value
        for name, value in claims.items()
        if name not in _FROM_OPENID and name not in _ATTRIBUTES
    }


def _flat_claims(claims: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    kept = {
        name: value
        for name, value in claims.items()
        if name not in _ABOUT_THE_TOKEN and name not in ("tokenIdentifier", "issuer", "subject")
    }
    flat: dict[str, JsonValue] = {}
    waiting = [(name, value) for name, value in kept.items() if _is_nested(value)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict) and value:
            waiting.extend((f"{path}.{name}", part) for name, part in value.items())
        else:
            flat[path] = value
    # A claim that is called `org.id` wins over an `id` in `org`: it stands at the issuer's level.
    flat.update((name, value) for name, value in kept.items() if not _is_nested(value))
    return flat


def _is_nested(value: JsonValue) -> bool:
    return isinstance(value, dict) and bool(value)


def _named(fields: dict[str, Any]) -> dict[str, Any]:
    """Add what is missing of token identifier, issuer and subject."""
    if "issuer" in fields and "subject" in fields:
        return {"token_identifier": f"{fields['issuer']}|{fields['subject']}", **fields}
    if "token_identifier" not in fields:
        raise _bad_attributes("give `tokenIdentifier`, or `issuer` and `subject`")
    # A subject may have a vertical bar, the URL of an issuer has none.
    issuer, _, subject = fields["token_identifier"].partition("|")
    return {"issuer": issuer, "subject": subject, **fields}


def _bad_attributes(problem: str) -> AuthRejected:
    return AuthRejected(f"The identity to act as is no good: {problem}.", "InvalidAuthHeader")


def _check_depth(claims: Mapping[str, JsonValue]) -> None:
    level: list[JsonValue] = list(claims.values())
    for _ in range(DEPTH_MAX):
        level = [part for value in level for part in _parts(value)]
        if not level:
            return
    raise AuthRejected(
        f"Could not validate token: its claims nest deeper than {DEPTH_MAX} levels.",
        "InvalidAuthHeader",
    )


def _parts(value: JsonValue) -> list[JsonValue]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def _instant(value: JsonValue) -> str | None:
    """Turn seconds since the epoch, or a time with its zone, into RFC 3339."""
    try:
        if isinstance(value, str):
            time = datetime.fromisoformat(value)
            return time.isoformat() if time.tzinfo is not None else None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None
    return None
