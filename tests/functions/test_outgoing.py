"""What ``ctx.http`` may call, and what it may not (J12)."""

import ipaddress
from collections.abc import Callable
from functools import partial

import httpx
import pytest
import trio

from flow_backend.errors import AddressRefused
from flow_backend.functions import outgoing_client
from flow_backend.functions.outgoing import Outgoing, choose_addresses, is_public

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.9",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ],
)
def test_j12_an_address_that_is_not_public_is_refused(text: str) -> None:
    """Whatever wraps it: a name that leads there must not open the way into the network."""
    assert not is_public(ipaddress.ip_address(text))
    with pytest.raises(AddressRefused, match="FLOW_OUTGOING_ALLOW"):
        choose_addresses("inside.example", [text], ())


@pytest.mark.parametrize("text", ["1.1.1.1", "2606:4700:4700::1111", "64:ff9b::101:101"])
def test_a_public_address_is_called(text: str) -> None:
    """Those are what actions are for."""
    assert choose_addresses("outside.example", [text], ()) == [text]


def test_of_several_addresses_only_the_allowed_ones_are_called() -> None:
    """A name may have both kinds; the private one is never tried."""
    found = ["10.0.0.1", "1.1.1.1"]

    assert choose_addresses("both.example", found, ()) == ["1.1.1.1"]
    allowed = (ipaddress.ip_network("10.0.0.0/8"),)
    assert choose_addresses("both.example", found, allowed) == found


def test_a_scoped_address_is_looked_at_without_its_scope() -> None:
    """An address such as fe80::1%eth0 belongs to this machine's links."""
    with pytest.raises(AddressRefused):
        choose_addresses("link.example", ["fe80::1%eth0"], ())


async def _serve_one(listener: trio.SocketListener, answer: Callable[[], bytes]) -> None:
    stream = await listener.accept()
    async with stream:
        await stream.receive_some(4096)
        await stream.send_all(answer())


async def test_j12_loopback_is_called_only_where_it_is_allowed() -> None:
    """The check stands where the connection is opened, so this goes through httpx itself."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    refused, allowed = Outgoing(), Outgoing(LOOPBACK)
    try:
        with pytest.raises(AddressRefused, match=r"127\.0\.0\.1"):
            await refused.client.get(f"http://127.0.0.1:{port}/")

        async with trio.open_nursery() as nursery:
            hello = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
            nursery.start_soon(partial(_serve_one, listener, lambda: hello))
            answer = await allowed.client.get(f"http://127.0.0.1:{port}/")
        assert answer.text == "hi"
    finally:
        await refused.aclose()
        await allowed.aclose()
        await listener.aclose()


async def test_j12_a_redirect_leads_nowhere_else() -> None:
    """A public page may redirect to the inside: the new address is looked at as the first was."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    outgoing = Outgoing(LOOPBACK)
    there = b"HTTP/1.1 302 Found\r\nLocation: http://[::1]:9/\r\nContent-Length: 0\r\n\r\n"
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(_serve_one, listener, lambda: there))
            with pytest.raises(AddressRefused, match="::1"):
                await outgoing.client.get(f"http://127.0.0.1:{port}/", follow_redirects=True)
    finally:
        await outgoing.aclose()
        await listener.aclose()


async def test_a_host_without_an_address_is_a_connect_error() -> None:
    """As httpx has it, so that an app's own handling and a Retry see the usual error."""
    outgoing = Outgoing()
    try:
        with pytest.raises(httpx.ConnectError, match="no address"):
            await outgoing.client.get("http://nobody.invalid/")
    finally:
        await outgoing.aclose()


async def _hold(listener: trio.SocketListener, nursery: trio.Nursery, open_now: list[int]) -> None:
    """Answer each request after a moment, and note how many are under way."""

    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            while await stream.receive_some(4096):
                open_now.append(open_now[-1] + 1)
                await trio.sleep(0.02)
                open_now.append(open_now[-1] - 1)
                await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    while True:
        nursery.start_soon(answer, await listener.accept())


@pytest.mark.slow
async def test_requests_wait_for_their_turn_and_give_it_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However a response ends: read, left halfway, or refused on the way."""
    monkeypatch.setattr(outgoing_client, "CONNECTIONS_MAX", 3)
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/"
    outgoing, open_now = Outgoing(LOOPBACK), [0]

    async def ask(number: int) -> None:
        if number % 3 == 0:
            with pytest.raises(AddressRefused):
                await outgoing.client.get("http://10.0.0.1/")
        elif number % 3 == 1:
            async with outgoing.client.stream("GET", url) as answer:
                assert answer.status_code == 200
        else:
            assert (await outgoing.client.get(url)).text == "hi"

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_hold, listener, nursery, open_now)
            async with trio.open_nursery() as asking:
                for number in range(60):
                    asking.start_soon(ask, number)
            nursery.cancel_scope.cancel()
    finally:
        await outgoing.aclose()
        await listener.aclose()

    assert 1 < max(open_now) <= 3
