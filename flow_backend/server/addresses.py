"""How often one address may connect; and which address that is, seen through proxies."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from attrs import define, field

from flow_backend.errors import StartError
from flow_backend.server.config import ENVIRONMENT_PREFIX, USAGE_EXIT_CODE, Settings

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_FORGET_EVERY: Final = 1024
_SUBNET_BITS: Final = 64
"""One household or server has that much of IPv6 to itself, and may take any address of it."""


def networks(setting: str, texts: Sequence[str]) -> tuple[Network, ...]:
    """Read addresses and networks.

    Raises: StartError, which names the setting.
    """
    try:
        return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise StartError(
            f"{ENVIRONMENT_PREFIX}{setting.upper()} takes addresses and networks with commas "
            f"between, such as 10.0.0.0/8,::1: {error}.",
            USAGE_EXIT_CODE,
        ) from None


@lru_cache(4096)
def _parsed(text: str) -> Address | None:
    """Read an address, with or without a port; None if it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@define
class _Visitor:
    """One address: the connections that it has, and how many more it may open now."""

    allowance: float
    counted_at: float
    open: int = 0


@define
class AddressLimits:
    """Counts connections by the address that they come from.

    Owns: what is known of each address; what says nothing any more is forgotten.

    Source: the guarantees, "Security", J10.
    """

    per_second: int
    at_once: int
    trusted: tuple[Network, ...]
    exempt: tuple[Network, ...]
    _visitors: dict[str, _Visitor] = field(factory=dict[str, _Visitor])
    _forget_at: int = _FORGET_EVERY

    def __len__(self) -> int:
        return len(self._visitors)

    def is_proxy(self, peer: str) -> bool:
        """Tell whether a peer speaks for others, so that it is not counted itself."""
        address = _parsed(peer)
        return address is not None and _is_in(address, self.trusted)

    def origin(self, peer: str, forwarded: Sequence[str]) -> str:
        """Give the address that a request comes from.

        ``forwarded`` are the headers X-Forwarded-For. Each proxy adds at the right whom it heard,
        so from the right all that proxies of ours wrote is true; what stands further left anybody
        may have made up.
        """
        if not self.is_proxy(peer):
            return peer
        found = peer
        for text in reversed([part for header in forwarded for part in header.split(",")]):
            address = _parsed(text)
            if address is None:
                break
            found = str(address)
            if not _is_in(address, self.trusted):
                break
        return found

    def key(self, origin: str) -> str | None:
        """Give what an address is counted under; None if it may do as it likes."""
        address = _parsed(origin)
        if address is None:
            return origin
        if _is_in(address, self.exempt):
            return None
        if isinstance(address, ipaddress.IPv6Address):
            return str(ipaddress.IPv6Network((address, _SUBNET_BITS), strict=False))
        return str(address)

    def admit(self, key: str, now: float) -> bool:
        """Count one more connection, if it is allowed; ``leave`` must follow then."""
        visitor = self._visitors.get(key)
        if visitor is None:
            self._make_room(now)
            visitor = self._visitors[key] = _Visitor(self.per_second, now)
        since = max(0.0, now - visitor.counted_at)
        most = float(self.per_second)
        visitor.allowance = min(most, visitor.allowance + since * self.per_second)
        visitor.counted_at = now
        if visitor.open >= self.at_once or visitor.allowance < 1:
            return False
        visitor.allowance -= 1
        visitor.open += 1
        return True

    def leave(self, key: str) -> None:
        """Note that a connection which was admitted has ended."""
        self._visitors[key].open -= 1

    def _make_room(self, now: float) -> None:
        """Forget who has no connection and a full allowance: a stranger would be treated alike."""
        if len(self._visitors) < self._forget_at:
            return
        for key, visitor in list(self._visitors.items()):
            if not visitor.open and now - visitor.counted_at >= 1:
                del self._visitors[key]
        self._forget_at = max(_FORGET_EVERY, 2 * len(self._visitors))


def address_limits(settings: Settings) -> AddressLimits:
    """Give the limits that the settings ask for.

    Raises: StartError for an address that is none.
    """
    return AddressLimits(
        settings.address_sockets_per_second,
        settings.address_sockets_max,
        networks("trusted_proxies", settings.trusted_proxies),
        networks("rate_exempt", settings.rate_exempt),
    )


def _is_in(address: Address, among: Sequence[Network]) -> bool:
    return any(address in network for network in among)
