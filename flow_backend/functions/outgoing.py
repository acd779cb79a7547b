"""The way out: the HTTP client of actions, which calls no address that is not public."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from attrs import define, field

from flow_backend.errors import AddressRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 30.0
CONNECTIONS_MAX: Final = 100

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Tell whether an address belongs to the public internet, seen through IPv6's wrappings."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is None and address.teredo is not None:
            inner = address.teredo[1]
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


@lru_cache(1024)
def _is_allowed(text: str, allowed: tuple[Network, ...]) -> bool:
    # A scope such as %eth0 belongs to this machine's own links.
    address = ipaddress.ip_address(text.partition("%")[0])
    wrapped = getattr(address, "ipv4_mapped", None) or address
    return is_public(address) or any(wrapped in network for network in allowed)


def choose_addresses(
    host: str, found: Sequence[str], allowed: tuple[Network, ...]
) -> Sequence[str]:
    """Give those of a host's addresses that may be called, in their order.

    Raises: AddressRefused if there is none.
    """
    chosen = [each for each in dict.fromkeys(found) if _is_allowed(each, allowed)]
    if not chosen:
        told = host if host in found else f"{host} ({', '.join(dict.fromkeys(found))})"
        raise AddressRefused(
            f"Actions may not call {told}: it is no public address. If it is meant to be called, "
            "whoever runs the server allows its network with FLOW_OUTGOING_ALLOW, such as "
            "FLOW_OUTGOING_ALLOW=192.168.1.0/24."
        )
    return chosen


@define
class Outgoing:
    """``ctx.http``: one client for all actions, made when it is first needed.

    What may be called is decided where a connection is opened, by the very address that it goes
    to. So neither a redirect nor a name that resolves differently a second time leads around it.

    Attributes:
        allowed: networks that may be called although they are not public.
    """

    allowed: tuple[Network, ...] = ()
    make: Callable[[tuple[Network, ...]], httpx.AsyncClient] | None = None
    _client: httpx.AsyncClient | None = field(default=None, init=False)

    @property
    def is_open(self) -> bool:
        """Whether the client is there already."""
        return self._client is not None

    @property
    def client(self) -> httpx.AsyncClient:
        """The client. The first time it takes a tenth of a second: see :meth:`open`."""
        if self._client is None:
            self.open()
        assert self._client is not None
        return self._client

    def open(self) -> None:
        """Make the client: blocking work (imports, the system's certificates) for a thread."""
        if self._client is None:
            from flow_backend.functions.outgoing_client import make_client

            self._client = (self.make or make_client)(self.allowed)

    async def aclose(self) -> None:
        """Close what is open."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
