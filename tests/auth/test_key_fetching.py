"""Keys come from a real issuer over HTTP: found, kept, rotated, and missed when it is away."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest
import trio
import trio.testing
from attrs import define
from structlog.testing import capture_logs

from flow_backend.auth import verify as verify_module
from flow_backend.auth.identity import VerifiedToken
from flow_backend.auth.key_cache import Fetch
from flow_backend.auth.providers import CustomJwt, OpenIdConnect
from flow_backend.auth.verify import FETCH_BYTES_MAX, TokenVerifier, http_fetch
from flow_backend.errors import AuthRejected, AuthUnavailable
from tests.auth.issuer_server import DISCOVERY, KEYS, Answer, IssuerServer, issuer_server
from tests.auth.signing import APP, NOW, claims, ec_key, jwk, key_set, rsa_key, sign

DAY = 24 * 3600


@define
class World:
    """An issuer, a clock that stands until it is moved, and a verifier that trusts the issuer."""

    server: IssuerServer
    verifier: TokenVerifier
    time: float = NOW

    def token(self, kid: str = "rsa") -> str:
        return sign(claims(iss=self.server.url, exp=NOW + 9 * DAY), kid=kid)

    def rotated(self) -> str:
        return sign(claims(iss=self.server.url, exp=NOW + 9 * DAY), rsa_key("other"), kid="new")

    async def verify(self, token: str) -> VerifiedToken:
        return await self.verifier.verify(token)


@pytest.fixture
async def fetch() -> AsyncIterator[Fetch]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield http_fetch(client)


@pytest.fixture
async def world(fetch: Fetch) -> AsyncIterator[World]:
    async with issuer_server() as server:
        server.publish(jwk(rsa_key(), "rsa"))
        provider = OpenIdConnect(server.url, APP)
        yield (made := World(server, TokenVerifier([provider], fetch, lambda: made.time)))


async def test_keys_are_found_by_discovery_and_kept(world: World) -> None:
    first = await world.verify(world.token())
    second = await world.verify(world.token())

    assert first.identity.token_identifier == f"{world.server.url}|ann"
    assert first == second
    assert world.server.asked == [DISCOVERY, KEYS]


async def test_own_issuer_is_asked_for_its_keys_alone(world: World, fetch: Fetch) -> None:
    world.server.answers["/own?x=1"] = Answer(key_set(jwk(ec_key(), "ec")))
    provider = CustomJwt("own", f"{world.server.url}/own?x=1", "ES256", APP)
    verifier = TokenVerifier([provider], fetch, lambda: NOW)

    await verifier.verify(sign(claims(iss="own"), ec_key(), "ES256", kid="ec"))

    assert world.server.asked == ["/own?x=1"]


async def test_keys_are_asked_for_again_after_ten_minutes(world: World) -> None:
    await world.verify(world.token())

    world.time += 599
    await world.verify(world.token())
    assert len(world.server.asked) == 2
    world.time += 1
    await world.verify(world.token())
    assert len(world.server.asked) == 4


async def test_key_that_was_withdrawn_is_refused_within_ten_minutes(world: World) -> None:
    await world.verify(world.token())

    world.server.publish(jwk(rsa_key("other"), "new"))
    world.time += 600

    with pytest.raises(AuthRejected):
        await world.verify(world.token())


async def test_new_key_is_found_at_once(world: World) -> None:
    await world.verify(world.token())
    world.server.publish(jwk(rsa_key(), "rsa"), jwk(rsa_key("other"), "new"))

    await world.verify(world.rotated())

    assert len(world.server.asked) == 4


async def test_unknown_keys_ask_the_issuer_once_a_minute(world: World) -> None:
    """Anyone can make up names of keys; the issuer must not be flooded through us."""
    await world.verify(world.token())

    for number in range(20):
        with pytest.raises(AuthRejected):
            await world.verify(world.token(kid=f"made-up-{number}"))
    assert len(world.server.asked) == 4

    world.time += 60
    world.server.publish(jwk(rsa_key("other"), "new"))
    await world.verify(world.rotated())
    assert len(world.server.asked) == 6


async def test_many_at_once_share_one_fetch(world: World) -> None:
    world.server.hold()
    done: list[VerifiedToken] = []

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(_note, world, world.token(), done)
        await _wait_all_wait(world)
        world.server.gate.set()

    assert len(done) == 20
    assert world.server.asked == [DISCOVERY, KEYS]


async def test_many_with_a_new_key_share_one_fetch(world: World) -> None:
    """If only the first waited, the others would be refused in the minute after it."""
    await world.verify(world.token())
    world.server.publish(jwk(rsa_key("other"), "new"))
    world.server.hold()
    done: list[VerifiedToken] = []

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(_note, world, world.rotated(), done)
        await _wait_all_wait(world)
        world.server.gate.set()

    assert len(done) == 20
    assert len(world.server.asked) == 4


async def test_next_in_line_fetches_if_the_first_is_cancelled(world: World) -> None:
    world.server.hold()
    done: list[VerifiedToken] = []

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as first:
            async with trio.open_nursery() as inner:
                inner.start_soon(_note, world, world.token(), done)
                await _wait_all_wait(world)
                nursery.start_soon(_note, world, world.token(), done)
                first.cancel()
        world.server.gate.set()

    assert len(done) == 1


async def test_old_keys_stand_in_for_a_day_while_the_issuer_is_away(world: World) -> None:
    await world.verify(world.token())
    world.server.answers.clear()

    with capture_logs() as logs:
        world.time += DAY - 1
        await world.verify(world.token())
        asked = len(world.server.asked)
        await world.verify(world.token())  # The issuer is left alone for a minute.
        assert len(world.server.asked) == asked

        world.time += 1
        with pytest.raises(AuthUnavailable):
            await world.verify(world.token())

    assert [log["event"] for log in logs][:1] == ["auth_keys_unreachable"]
    assert logs[0]["known_keys_age_seconds"] == DAY - 1


async def test_unknown_key_is_no_rejection_while_the_issuer_is_away(world: World) -> None:
    """It may be a new key of the issuer, so the client is to try again, not to log out."""
    await world.verify(world.token())
    world.server.answers.clear()

    for _ in range(2):
        with pytest.raises(AuthUnavailable):
            await world.verify(world.rotated())

    await world.verify(world.token())


async def test_issuer_that_comes_back_is_asked_again(world: World) -> None:
    world.server.answers.clear()
    with pytest.raises(AuthUnavailable):
        await world.verify(world.token())

    world.server.publish(jwk(rsa_key(), "rsa"))

    await world.verify(world.token())


async def test_clock_that_was_set_back_does_not_keep_keys_for_ever(world: World) -> None:
    world.time += 2 * DAY
    await world.verify(world.token())

    world.time = NOW
    await world.verify(world.token())

    assert len(world.server.asked) == 4


async def test_nobody_listening_is_unavailable(fetch: Fetch) -> None:
    with trio.socket.socket() as bound:
        await bound.bind(("127.0.0.1", 0))  # Bound and not listening: no one else has the port.
        issuer = f"http://127.0.0.1:{bound.getsockname()[1]}"
        verifier = TokenVerifier([OpenIdConnect(issuer, APP)], fetch, lambda: NOW)

        with pytest.raises(AuthUnavailable, match="ConnectError"):
            await verifier.verify(sign(claims(iss=issuer)))


async def test_broken_network_of_another_fetch_is_unavailable() -> None:
    async def fetch(url: str) -> bytes:
        raise ConnectionResetError(url)

    verifier = TokenVerifier([OpenIdConnect("https://x.example", APP)], fetch, lambda: NOW)

    with pytest.raises(AuthUnavailable, match="ConnectionResetError"):
        await verifier.verify(sign(claims(iss="https://x.example")))


def discovery(world: World, **changes: object) -> bytes:
    good = {"issuer": world.server.url, "jwks_uri": world.server.url + KEYS}
    return json.dumps({**good, **changes}).encode()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"issuer": "https://evil.example"}, "another issuer"),
        ({"issuer": None}, "another issuer"),
        ({"jwks_uri": None}, "jwks_uri"),
        ({"jwks_uri": "http://evil.example/keys"}, "use https://"),
        ({"jwks_uri": "http://169.254.169.254/latest"}, "use https://"),
        ({"jwks_uri": "file:///etc/passwd"}, "https://"),
        ({"jwks_uri": "data:,{}"}, "https://"),
    ],
)
async def test_bad_discovery_document_is_not_followed(
    world: World, changes: dict[str, object], problem: str
) -> None:
    world.server.answers[DISCOVERY] = Answer(discovery(world, **changes))

    with pytest.raises(AuthUnavailable, match=problem):
        await world.verify(world.token())

    assert world.server.asked == [DISCOVERY]


async def test_issuer_elsewhere_cannot_point_into_this_machine() -> None:
    asked: list[str] = []

    async def fetch(url: str) -> bytes:
        asked.append(url)
        return json.dumps(
            {"issuer": "https://x.example", "jwks_uri": "http://127.0.0.1/keys"}
        ).encode()

    verifier = TokenVerifier([OpenIdConnect("https://x.example", APP)], fetch, lambda: NOW)

    with pytest.raises(AuthUnavailable):
        await verifier.verify(sign(claims(iss="https://x.example")))
    assert len(asked) == 1


@pytest.mark.parametrize("path", [DISCOVERY, KEYS])
@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"<html>", 200),
        Answer(b"[]", 200),
        Answer(b"{}", 200),
        Answer(b"{}", 500),
        Answer(b"{}", 404),
        Answer(b"", 302, [("Location", KEYS)]),
        Answer(b"{}", 200, [("Content-Encoding", "gzip")]),
        Answer(b" " * (FETCH_BYTES_MAX + 1)),
        Answer(b" ", declared=10**12),
    ],
    ids=["HTML", "list", "empty", "500", "404", "redirect", "gzip", "too long", "never ends"],
)
async def test_bad_answer_is_unavailable(
    world: World, path: str, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    if answer.declared is not None:
        monkeypatch.setattr(verify_module, "FETCH_SECONDS", 0.05)
    world.server.answers[path] = answer

    with pytest.raises(AuthUnavailable) as caught:
        await world.verify(world.token())

    assert "html" not in str(caught.value)


async def test_redirect_is_not_followed_even_to_good_keys(world: World) -> None:
    """Else whoever can make the issuer redirect chooses where keys come from."""
    world.server.answers["/elsewhere"] = world.server.answers[KEYS]
    world.server.answers[KEYS] = Answer(b"", 302, [("Location", "/elsewhere")])

    with pytest.raises(AuthUnavailable, match="302"):
        await world.verify(world.token())

    assert world.server.asked == [DISCOVERY, KEYS]


async def _note(world: World, token: str, done: list[VerifiedToken]) -> None:
    done.append(await world.verify(token))


async def _wait_all_wait(world: World) -> None:
    """Wait until the server has been asked, and everyone else waits for its answer."""
    await world.server.reached.wait()
    await trio.testing.wait_all_tasks_blocked()
