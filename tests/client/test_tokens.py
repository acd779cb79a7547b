"""Who the Python client is: tokens that are refused, expire, and are fetched in time."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from flow_backend.client import connect
from flow_backend.client.tokens import Tokens
from flow_backend.errors import AuthRejected
from tests.auth.issuer_server import KEYS, issuer_server
from tests.auth.signing import claims, jwk, rsa_key, sign
from tests.server_process import APPS, ServerProcess

pytestmark = pytest.mark.slow


def token(subject: str = "ann", lives: float = 3600.0, age: float = 0.0) -> str:
    now = time.time()
    return sign(claims(sub=subject, iat=now - age, exp=now - age + lives))


def bad_token(number: int) -> str:
    """As good, but for the key: nobody vouches for it."""
    now = time.time()
    return sign(claims(iat=now, exp=now + 3600 + number), rsa_key("a stranger's"))


@asynccontextmanager
async def served(tmp_path: Path) -> AsyncGenerator[ServerProcess]:
    """A server whose issuer is another server."""
    async with issuer_server() as issuer:
        issuer.publish(jwk(rsa_key(), "rsa", alg="RS256"))
        environment = {"INTEROP_KEYS": issuer.url + KEYS}
        server = ServerProcess("interop_app", tmp_path / "data", APPS, environment)
        await trio.to_thread.run_sync(server.start)
        with server.ended():
            yield server
            assert KEYS in issuer.asked


def source(asked: list[bool], *tokens: Callable[[], str | None]):
    """Give these in turn, the last one again and again."""

    async def fetch(force: bool) -> str | None:
        asked.append(force)
        return tokens[min(len(asked), len(tokens)) - 1]()

    return fetch


async def test_a_life_with_tokens(tmp_path: Path) -> None:
    """Signed in, expired, refused, given up, signed in as another: one server for them all."""
    async with served(tmp_path) as server:
        await it_is_who_the_token_says(server.url)
        await what_has_expired_is_fetched_again(server.url)
        await it_is_renewed_on_the_same_connection(server.url)
        await what_was_refused_is_fetched_again(server.url)
        await what_is_refused_for_good_is_said(server.url)
        await somebody_else_goes_on_with_the_same_subscription(server.url)


async def it_is_who_the_token_says(url: str) -> None:
    async with connect(url, token=token("bea")) as client:
        assert await client.query("people:me") == "bea"
        assert await client.mutation("people:change") == "bea"
        assert await client.action("people:act") == "bea"
    asked: list[bool] = []
    async with connect(url, token=source(asked, lambda: None)) as client:
        assert await client.query("people:me") is None
    assert asked == [False]


async def what_has_expired_is_fetched_again(url: str) -> None:
    """The server says when, and what was asked meanwhile is done by the same person."""
    short, asked = token(lives=1.5), list[bool]()
    fetch = source(asked, lambda: short, lambda: short, token)
    async with connect(url, token=fetch) as client:
        assert await client.query("people:me") == "ann"
        while len(asked) < 3:
            assert await client.mutation("people:change") == "ann"
            await trio.sleep(0.05)
        assert await client.mutation("people:change") == "ann"
        assert client.state.connections == 2
    assert asked == [False, True, True]


async def it_is_renewed_on_the_same_connection(url: str) -> None:
    """A token that lives for a second is renewed in its middle; nobody sees anything of it."""
    renewed, asked = trio.Event(), list[bool]()

    async def fetch(force: bool) -> str:
        asked.append(force)
        if len(asked) > 2:
            renewed.set()
        # Each lives for minutes, but says to be at the end of its life.
        return token(lives=60 + len(asked) / 1000, age=59.0)

    async with connect(url, token=fetch) as client, client.subscribe("people:me") as people:
        assert await anext(people) == "ann"
        await renewed.wait()
        assert await client.mutation("people:change") == "ann"
        assert client.state.failure is None
    assert asked[:3] == [False, True, True]


async def what_was_refused_is_fetched_again(url: str) -> None:
    asked: list[bool] = []
    fetch = source(asked, lambda: bad_token(0), lambda: bad_token(1), token)
    async with connect(url, token=fetch) as client:
        assert await client.mutation("people:change") == "ann"
    assert asked == [False, True, True]


async def what_is_refused_for_good_is_said(url: str) -> None:
    """No call waits for ever, none runs as nobody, and another token makes it good."""
    bad, asked = bad_token(9), list[bool]()
    sources = [
        bad,
        source(asked, lambda: bad),
        source(asked, *[lambda n=n: bad_token(n) for n in range(9)]),
    ]
    for each in sources:
        async with connect(url, token=each) as client:
            async with client.subscribe("people:me") as people:
                with pytest.raises(AuthRejected):
                    await client.mutation("people:change")
                with pytest.raises(AuthRejected):
                    await anext(people)
                with pytest.raises(AuthRejected):
                    await client.query("people:me")
                client.set_token(token("bea"))
                assert await anext(people) == "bea"
            assert await client.mutation("people:change") == "bea"
    # The same again is not tried, and others four times in all.
    assert asked == [False, True, False, True, True, True]


async def somebody_else_goes_on_with_the_same_subscription(url: str) -> None:
    async with connect(url) as client, client.subscribe("people:me") as people:
        assert await anext(people) is None
        for name in ("ann", "bea"):
            client.set_token(token(name))
            assert await anext(people) == name
        client.set_token(None)
        assert await anext(people) is None


@pytest.mark.parametrize(
    ("lives", "age", "due"),
    [
        (3600.0, 0.0, 3590.0),
        (3600.0, 3000.0, 590.0),  # One that the app had kept.
        (15.0, 0.0, 7.5),  # Never sooner than at half of what is left.
        (3600.0, -90_000.0, 3590.0),  # The wall clock is a day late.
        (3600.0, 90_000.0, 3590.0),  # The wall clock is a day early.
        (1e9, 0.0, 20 * 86_400.0),
    ],
)
async def test_a_token_is_renewed_before_it_expires(lives: float, age: float, due: float) -> None:
    now = 1_800_000_000.0
    made = sign(claims(iat=now - age, exp=now - age + lives))
    tokens = Tokens(source([], lambda: made))

    assert await tokens.fetch(5.0, now)

    assert tokens.refresh_at == 5.0 + due


async def test_tokens_that_do_not_tell_are_not_renewed() -> None:
    now = 1_800_000_000.0
    for made in ("opaque", "a.b.c", "a.W10.c", sign(claims(exp=...)), sign(claims(exp=5, iat=9))):
        tokens = Tokens(source([], lambda made=made: made))
        await tokens.fetch(5.0, now)
        assert tokens.refresh_at is None
    tokens = Tokens(sign(claims(exp=now + 60, iat=now)))
    await tokens.fetch(5.0, now)
    assert tokens.refresh_at is None
