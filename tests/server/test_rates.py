"""J10: how often an address may connect and a session speak, at the bound and past it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from flow_backend.errors import StartError
from flow_backend.server.addresses import AddressLimits, address_limits
from flow_backend.server.app import Server
from flow_backend.server.config import Settings
from flow_backend.server.pace import MessageRate, Pace
from tests.server.stand_in import UPGRADE, RawClient, masked, raw, running, upgraded

NO_PROXY: dict[str, Any] = {"rate_exempt": (), "trusted_proxies": ()}


def limits(**settings: Any) -> AddressLimits:
    return address_limits(Settings(**settings))


# --- Addresses


def test_j10_an_address_may_open_so_many_sockets_a_second_and_no_more():
    some = limits(address_sockets_per_second=3, address_sockets_max=100)

    assert [some.admit("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert some.admit("b", 0.0)  # Another address is not concerned.
    assert not some.admit("a", 0.3)
    assert some.admit("a", 0.4)
    assert [some.admit("a", 9.0) for _ in range(4)] == [True, True, True, False]


def test_j10_an_address_may_have_so_many_sockets_at_once_and_no_more():
    some = limits(address_sockets_per_second=100, address_sockets_max=2)

    assert [some.admit("a", float(now)) for now in range(3)] == [True, True, False]
    some.leave("a")
    assert [some.admit("a", float(now)) for now in range(3, 5)] == [True, False]


def test_j10_what_was_refused_costs_nothing_of_what_is_allowed():
    """Else a client that knocks too often would never get in again."""
    some = limits(address_sockets_per_second=1, address_sockets_max=1)
    assert some.admit("a", 0.0)
    for tenth in range(1, 100):
        assert not some.admit("a", tenth / 10)
    some.leave("a")
    assert some.admit("a", 10.0)


def test_j10_who_has_left_is_forgotten():
    """Addresses are many: what is kept of them is bounded by who is here."""
    some = limits()
    for number in range(20_000):
        now = number / 1000
        assert some.admit(f"address {number}", now)
        some.leave(f"address {number}")
    assert len(some) <= 5000


PROXIES: dict[str, Any] = {"trusted_proxies": ("10.0.0.0/8", "::1")}


@pytest.mark.parametrize(
    ("peer", "forwarded", "origin"),
    [
        ("203.0.113.9", (), "203.0.113.9"),
        ("203.0.113.9", ("198.51.100.1",), "203.0.113.9"),  # No proxy of ours: not believed.
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("1.1.1.1, 198.51.100.1",), "198.51.100.1"),  # The left is made up.
        ("10.0.0.1", ("1.1.1.1", "198.51.100.1"), "198.51.100.1"),  # So are earlier headers.
        ("10.0.0.1", ("1.1.1.1, 198.51.100.1, 10.2.3.4",), "198.51.100.1"),  # Two proxies.
        ("10.0.0.1", ("10.9.9.9, 10.2.3.4",), "10.9.9.9"),  # All are ours: the first of them.
        ("10.0.0.1", ("198.51.100.1:4711",), "198.51.100.1"),
        ("::1", ("[2001:db8::7]:4711",), "2001:db8::7"),
        ("::1", ("2001:db8::7",), "2001:db8::7"),
        ("10.0.0.1", ("198.51.100.1, unknown",), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.1, unknown, 10.2.3.4",), "10.2.3.4"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("::ffff:10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
    ],
)
def test_j10_trusted_proxies_are_looked_through_from_the_right(
    peer: str, forwarded: tuple[str, ...], origin: str
):
    assert limits(**PROXIES).origin(peer, forwarded) == origin


def test_j10_an_exempt_address_is_not_counted_and_a_subnet_counts_as_one():
    some = limits()

    assert some.key("127.0.0.1") is None
    assert some.key("::1") is None
    assert some.key("203.0.113.9") == "203.0.113.9"
    assert some.key("2001:db8::1") == some.key("2001:db8::ffff:1")
    assert some.key("2001:db8::1") != some.key("2001:db8:0:1::1")


@pytest.mark.parametrize("name", ["trusted_proxies", "rate_exempt"])
def test_an_address_that_is_none_is_named(name: str):
    with pytest.raises(StartError, match=rf"FLOW_{name.upper()} takes addresses.*'my-proxy'"):
        limits(**{name: ("my-proxy",)})


async def test_j10_a_socket_too_many_in_a_second_is_told_when_to_come():
    async with running(address_sockets_per_second=2, **NO_PROXY) as server:
        async with upgraded(server), upgraded(server), raw(server) as third:
            head = await third.read_head()

        assert head.startswith(b"HTTP/1.1 429 ")
        assert b"Retry-After: " in head
        assert server.counters.rate_refused == 1


async def test_j10_a_socket_too_many_at_once_is_refused_until_another_ends():
    async with running(address_sockets_max=1, **NO_PROXY) as server:
        async with upgraded(server) as first, raw(server) as second:
            assert (await second.read_head()).startswith(b"HTTP/1.1 429 ")
            await first.send(masked(0x88, b""))
            await first.read_all()
        async with upgraded(server) as third:
            await third.send(masked(0x81, b"?"))
            assert await third.read_frame() == (0x81, b"?")


async def test_j10_this_machine_is_exempt_unless_a_setting_says_otherwise():
    settings: dict[str, Any] = {"address_sockets_max": 1, "address_sockets_per_second": 1}
    async with running(**settings) as server, upgraded(server), upgraded(server):
        assert server.counters.rate_refused == 0


@asynccontextmanager
async def for_whom(server: Server, address: bytes) -> AsyncGenerator[RawClient]:
    async with raw(server) as client:
        await client.send(UPGRADE % (b"/api/sync", b"X-Forwarded-For: %b\r\n" % address))
        yield client


async def test_j10_behind_a_proxy_each_client_is_counted_by_itself():
    proxy: dict[str, Any] = {"rate_exempt": (), "address_sockets_max": 1}
    async with running(**proxy) as server, for_whom(server, b"203.0.113.9") as first:
        assert b" 101 " in await first.read_head()
        async with for_whom(server, b"203.0.113.8") as second:
            assert b" 101 " in await second.read_head()
        async with for_whom(server, b"1.2.3.4, 203.0.113.9") as third:
            assert b" 429 " in await third.read_head()
        await first.send(masked(0x88, b""))
        await first.read_all()
        async with for_whom(server, b"203.0.113.9") as fourth:
            assert b" 101 " in await fourth.read_head()


# --- Messages


def test_j10_a_session_may_send_its_burst_and_then_at_its_rate():
    pace = Pace(MessageRate(200, 1000, 20.0), 0.0)
    sent = 0
    for tick in range(200):  # Ten seconds of a client that never stops.
        while pace.allowance >= 0:
            pace.allowance -= 1
            sent += 1
        assert pace.earn(tick / 20)

    assert 1000 + 200 * 9 <= sent <= 1000 + 200 * 10 + 2


def test_j10_a_session_that_never_slows_down_is_given_up():
    pace = Pace(MessageRate(10, 10, 5.0), 0.0)
    now = 0.0
    while pace.earn(now):
        pace.allowance = -1.0
        now += 0.05
    assert 5.0 < now < 5.5


def test_j10_a_session_that_pauses_begins_anew():
    pace = Pace(MessageRate(10, 10, 5.0), 0.0)
    for second in range(0, 100, 2):
        pace.allowance = -1.0
        assert pace.earn(float(second))


async def test_j10_past_its_burst_a_session_is_read_slower_and_loses_nothing():
    settings: dict[str, Any] = {"messages_burst": 10, "messages_per_second": 200, **NO_PROXY}
    async with running(**settings) as server, upgraded(server) as client:
        frames = [masked(0x81, b"%d" % number) for number in range(50)]
        await client.send(b"".join(frames))

        for number in range(50):
            assert await client.read_frame() == (0x81, b"%d" % number)
        assert server.counters.sockets.too_fast == 0


@pytest.mark.parametrize("opcode", [0x81, 0x89, 0x8A])
async def test_j10_a_session_that_goes_on_sending_too_fast_is_closed(opcode: int):
    """1013: an official client comes back later, and sends again what was not answered."""
    settings: dict[str, Any] = {"messages_burst": 5, "messages_per_second": 5, **NO_PROXY}
    async with running(rate_seconds=0.2, **settings) as server, upgraded(server) as client:
        await client.send(masked(opcode, b"") * 1000)

        while (frame := await client.read_frame())[0] != 0x88:
            pass
        assert frame[1] == (1013).to_bytes(2, "big") + b"TooManyConcurrentRequests"
        assert server.counters.sockets.too_fast == 1
