"""One secret, handed to a server in every way there is: it must not come out anywhere."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import trio

from tests.server_process import APPS, ServerProcess, planted_command
from tests.wire.client import Gone, Message, Socket, connected

pytestmark = pytest.mark.slow

CANARY = f"canary{uuid4().hex}"
PATHS = ("notes:add", "notes:raise_error", "notes:refuse", "notes:texts", "no:such", "ledger:move")


def leaks(server: ServerProcess) -> Iterator[str]:
    """Find the secret in what the server printed, and in files that are no database."""
    for path in (server.log_path, *server.data.rglob("*")):
        if path.is_file() and not path.name.startswith("flow.sqlite3"):
            text = path.read_text(errors="replace")
            for found in re.finditer(CANARY, text):
                yield f"{path.name}: {text[max(0, found.start() - 200) : found.end() + 80]}"


def requests(url: str) -> Iterator[httpx.Response]:
    """Ask in every way over HTTP, rightly and wrongly."""
    good, token = {"text": CANARY}, {"Authorization": f"Bearer {CANARY}"}
    key = {"Idempotency-Key": CANARY, "Convex-Request-Id": CANARY, "X-Other": CANARY}
    wrong = ({"text": {"a": CANARY}}, {CANARY: 1}, {"text": CANARY, "more": CANARY}, [CANARY])
    with httpx.Client(base_url=url, timeout=10) as http:
        for kind in ("query", "mutation", "action"):
            for path in PATHS:
                for args in (good, *wrong):
                    body = {"path": path, "args": args}
                    yield http.post(f"/api/{kind}", json=body, headers=key)
            body = {"path": "notes:add", "args": good}
            yield http.post(f"/api/{kind}", json=body, headers=token)
            admin = {"Authorization": f"Convex {CANARY}"}
            yield http.post(f"/api/{kind}", json=body, headers=admin)
            yield http.post(f"/api/{kind}", json=body, headers={"Authorization": CANARY})
            yield http.post(f"/api/{kind}", json={"path": CANARY, "args": {}, "format": CANARY})
            yield http.post(f"/api/{kind}", content=f'{{"path": "{CANARY}", {CANARY}')
            yield http.post(f"/api/{kind}", content=CANARY, headers={"Content-Encoding": CANARY})
        yield http.get("/api/query", params={"path": "notes:texts", "args": CANARY})
        yield http.get(f"/{CANARY}", params={CANARY: CANARY})
        yield http.request("BREW", f"/api/{CANARY}")


def messages() -> Iterator[list[Message | str]]:
    """Give what to send on a socket after its Connect; each list on one of its own."""
    for path in PATHS:
        for args in ({"text": CANARY}, {"text": [CANARY]}, {CANARY: CANARY}):
            call: Message = {"requestId": 0, "udfPath": path, "args": [args]}
            add = {"type": "Add", "queryId": 0, "udfPath": path, "args": [args]}
            edit: Message = {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1}
            yield [{"type": "Mutation", **call}, {"type": "Action", **call, "requestId": 1}]
            yield [{**edit, "modifications": [add]}]
    for kind in ("User", "Admin", "None", CANARY):
        yield [{"type": "Authenticate", "baseVersion": 0, "tokenType": kind, "value": CANARY}]
    yield [{"type": CANARY}]
    yield [{"type": "Event", "eventType": CANARY, "event": CANARY}]
    yield [{"type": "Mutation", "requestId": CANARY, "udfPath": CANARY, "args": CANARY}]
    yield [{"type": "Connect", "sessionId": CANARY, "connectionCount": CANARY}]
    yield [{"type": "ModifyQuerySet", "baseVersion": CANARY, "newVersion": 1}]


async def over_sockets(port: int) -> None:
    """Say it on sockets, and wait until each is answered or closed."""
    hello: Message = {"type": "Connect", "connectionCount": 0, "lastCloseReason": CANARY}
    for said in messages():
        try:
            async with connected(port) as socket:
                await socket.send({**hello, "sessionId": str(uuid4())}, *said)
                # An edit of the wrong base ends the session, so that all before it was read.
                await socket.send({"type": "ModifyQuerySet", "baseVersion": 9, "newVersion": 10})
                await until_closed(socket)
        except Gone:
            continue


async def until_closed(socket: Socket) -> None:
    while True:
        await socket.receive()


async def use(server: ServerProcess) -> list[httpx.Response]:
    """Put the secret everywhere; give all answers over HTTP."""
    found = await trio.to_thread.run_sync(lambda: list(requests(server.url)))
    await over_sockets(server.port)
    return found


async def test_j11_a_secret_is_in_no_log_metric_or_file(tmp_path: Path) -> None:
    """Tokens, keys, bodies, arguments and the environment stay where they were sent."""
    environment = {"APP_SECRET": CANARY, "FLOW_LOG_LEVEL": "debug", "FLOW_LOG_FORMAT": "json"}
    server = ServerProcess("ledger_app", tmp_path / "data", APPS, environment)
    with trio.fail_after(120), server.ended():
        await trio.to_thread.run_sync(server.start)
        answers = await use(server)
        for page in ("/metrics", "/healthz", "/version", "/"):
            shown = await trio.to_thread.run_sync(lambda page=page: httpx.get(server.url + page))
            assert CANARY not in shown.text, page
            assert CANARY not in str(shown.headers), page
        code = await trio.to_thread.run_sync(server.stop)

    assert code == 0
    assert {200, 400, 401, 404}.issubset({each.status_code for each in answers})
    assert list(leaks(server)) == []


@pytest.mark.parametrize("plant", ["refuse_commits", "die_after_commit=2"])
async def test_j11_a_secret_is_in_no_log_when_work_fails(tmp_path: Path, plant: str) -> None:
    """Neither in the trace of a batch that failed, nor after a death."""
    server = ServerProcess("ledger_app", tmp_path / "data", APPS, command=planted_command(plant))
    with trio.fail_after(120), server.ended():
        await trio.to_thread.run_sync(server.start)
        body = {"path": "notes:add", "args": {"text": CANARY}}
        try:
            answer = await trio.to_thread.run_sync(
                lambda: httpx.post(f"{server.url}/api/mutation", json=body)
            )
            assert plant == "refuse_commits"
            assert answer.status_code == 503
            assert CANARY not in answer.text
        except httpx.TransportError:
            assert server.popen is not None
            assert server.popen.wait() == -signal.SIGKILL

    assert list(leaks(server)) == []
