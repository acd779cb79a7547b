"""Who the client is: where tokens come from, and when a new one is due."""

from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias, cast

import orjson
from attrs import define, field

from flow_backend.client.outcome import Fields

FetchToken: TypeAlias = Callable[[bool], Awaitable[str | None]]
"""Gives a token, or None if there is nobody. The argument is True if the last one is used up."""

TokenSource: TypeAlias = str | FetchToken | None

LEEWAY_SECONDS: Final = 10.0
_REFRESH_SECONDS_MAX: Final = 20 * 86_400.0
_REFUSALS_MAX: Final = 3


@define
class Tokens:
    """The token in force, and what is known of its life.

    Attributes:
        stale: whether the token in force is to be asked for anew before the next connection.
        refresh_at: when a new one is due, on the loop's clock; None if never.
        refusals: how many tokens the server refused since it last took one.

    Source: the sync protocol, "Authentication".
    """

    source: TokenSource = None
    admin: Fields | None = None
    stale: bool = True
    refresh_at: float | None = None
    refusals: int = 0
    _value: str | None = field(default=None, repr=False)

    @property
    def wire(self) -> Fields | None:
        """Give what Authenticate says, None for nobody."""
        if self.admin is not None:
            return self.admin
        return None if self._value is None else {"tokenType": "User", "value": self._value}

    async def fetch(self, now: float, wall_seconds: float) -> bool:
        """Ask for a token: a fresh one if there was one already.

        ``now`` is the loop's clock, ``wall_seconds`` the wall's.

        Returns: whether it is another one than before.
        Raises: whatever the app's function raises; nothing has changed then.
        """
        before = self._value
        value = await self._ask(before is not None or self.refusals > 0)
        self._value, self.stale = value, False
        seconds = None if value is None else _refresh_seconds(value, wall_seconds)
        self.refresh_at = None if seconds is None or not callable(self.source) else now + seconds
        return value != before

    def refused(self) -> bool:
        """Note that the server refused the token. Returns: whether to try another one."""
        self.refusals += 1
        self.stale = True
        return self.admin is None and callable(self.source) and self.refusals <= _REFUSALS_MAX

    def confirmed(self) -> None:
        """Note that the server took the token."""
        self.refusals = 0

    async def _ask(self, force: bool) -> str | None:
        if callable(self.source):
            return await self.source(force)
        return self.source


def _refresh_seconds(token: str, wall_seconds: float) -> float | None:
    """Say how long a token may be used before a new one is fetched; None if it does not tell.

    The wall clock may be wrong: a token is not trusted longer than it lives, and one that seems to
    have ended already is left to the server's judgement for half its life.
    """
    claims = _claims(token)
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(expires, int | float):
        return None
    left = expires - wall_seconds
    life = expires - issued if isinstance(issued, int | float) else left
    if life <= 0:
        return None
    left = min(left, life) if left > 0 else life
    return min(max(left - LEEWAY_SECONDS, left / 2), _REFRESH_SECONDS_MAX)


def _claims(token: str) -> dict[str, Any]:
    try:
        body = token.split(".")[1]
        parsed: object = orjson.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError):
        return {}  # Not a JWT: the server will say so.
    return cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else {}
