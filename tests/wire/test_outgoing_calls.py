"""Actions that call a slow, failing and hanging server, and the mutations of others meanwhile."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server_process import APPS, DEADLINE_SECONDS, ServerProcess

pytestmark = pytest.mark.slow

ACTION_SECONDS = 2.0
CLIENT = httpx.Client(timeout=DEADLINE_SECONDS, limits=httpx.Limits(max_connections=100))
"""For all threads: to make one takes a while."""

HANGING = 60
MUTATIONS = 100


class World:
    """A server on loopback: what it does is named by the first word of the path."""

    def __init__(self) -> None:
        self.asked = Counter[str]()
        self.hanging = 0
        self._over = threading.Event()
        self._changed = threading.Condition()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(4096)
            path = request.split(b" ")[1].decode()
            with self._changed:
                self.asked[path] += 1
                times = self.asked[path]
            match path.split("/")[1]:
                case "slow":
                    time.sleep(0.05)
                case "fails" if times <= 2:
                    return self._say(connection, b"503 Service Unavailable", b"")
                case "breaks" if times <= 2:
                    return None
                case "never":
                    return self._say(connection, b"500 Internal Server Error", b"")
                case "hangs":
                    with self._changed:
                        self.hanging += 1
                        self._changed.notify_all()
                    self._over.wait(DEADLINE_SECONDS)
                case _:
                    pass
            return self._say(connection, b"200 OK", b"hello")

    def _say(self, connection: socket.socket, status: bytes, body: bytes) -> None:
        head = b"HTTP/1.1 %b\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        connection.sendall(head % (status, len(body)) + body)

    def wait_hanging(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.hanging >= count, DEADLINE_SECONDS)

    def close(self) -> None:
        self._over.set()
        self._listening.close()


@contextmanager
def opened_world() -> Iterator[World]:
    world = World()
    try:
        yield world
    finally:
        world.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    environment = {
        "FLOW_OUTGOING_ALLOW": "127.0.0.0/8",
        "FLOW_ACTION_SECONDS": str(ACTION_SECONDS),
    }
    data = tmp_path_factory.mktemp("outgoing") / "data"
    with ServerProcess("outside_app", data, APPS, environment) as started:
        yield started


def called(server: ServerProcess, kind: str, path: str, **args: Any) -> dict[str, Any]:
    answer = CLIENT.post(f"{server.url}/api/{kind}", json={"path": path, "args": args})
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("how", ["fails", "breaks"])
def test_retries_follow_the_policy_until_the_world_answers(server: ServerProcess, how: str) -> None:
    """Two failures of a status or of the connection, then it is done, and written once."""
    with opened_world() as world:
        answer = called(server, "action", "events:fetch", url=f"{world.url}/{how}")

        assert answer["value"] == "hello"
        assert world.asked == {f"/{how}": 3}


def test_after_the_last_attempt_the_caller_is_told(server: ServerProcess) -> None:
    """And the log has each attempt, by function and kind, with no address in it (J11)."""
    with opened_world() as world:
        answer = called(server, "action", "events:fetch", url=f"{world.url}/never")

        assert answer["status"] == "error"
        assert world.asked == {"/never": 4}
    lines = [line for line in server.log().splitlines() if "an attempt of an action" in line]
    assert [f'"attempt": {number}' in line for number, line in enumerate(lines[-4:], 1)] == [
        True
    ] * 4
    assert not [line for line in lines if world.url in line or "/never" in line]


def test_the_deadline_holds_and_mutations_go_on(server: ServerProcess) -> None:
    """As many actions as may run hang on the world; a mutation does not notice."""
    with opened_world() as world, ThreadPoolExecutor(HANGING) as pool:
        called(server, "action", "events:fetch_once", url=f"{world.url}/slow")
        alone = timed(server, "alone")
        began = time.monotonic()
        hanging = [
            pool.submit(called, server, "action", "events:fetch_once", url=f"{world.url}/hangs")
            for _ in range(HANGING)
        ]
        world.wait_hanging(HANGING)
        meanwhile = timed(server, "meanwhile")
        answers = [each.result() for each in hanging]
        took = time.monotonic() - began

    told = f"events:fetch_once took longer than {ACTION_SECONDS:g} s and was ended"
    assert {answer["errorMessage"] for answer in answers} == {told}
    print(
        f"\na mutation takes {alone * 1e3:.1f} ms (median), and {meanwhile * 1e3:.1f} ms while "
        f"{HANGING} actions hang; those were answered after {took:.2f} s of {ACTION_SECONDS:g}"
    )


def test_blocking_work_is_done_beside_the_loop(server: ServerProcess) -> None:
    """More of it than there are threads: the others wait, and mutations do not."""
    with ThreadPoolExecutor(20) as pool:
        working = [
            pool.submit(called, server, "action", "events:compute", seconds=0.2) for _ in range(20)
        ]
        took = timed(server, "beside")
        assert [each.result()["status"] for each in working] == ["success"] * 20
    print(f"\na mutation takes {took * 1e3:.1f} ms (median) while 20 actions block their threads")


def timed(server: ServerProcess, name: str) -> float:
    """Give the median time of a mutation over one connection, seconds."""
    times: list[float] = []
    for number in range(MUTATIONS):
        began = time.perf_counter()
        answer = called(server, "mutation", "events:add", message=f"{name} {number}", text=name)
        times.append(time.perf_counter() - began)
        assert answer["value"] is True
    return sorted(times)[MUTATIONS // 2]


def test_j12_an_address_of_this_machine_is_refused_unless_allowed(tmp_path: Path) -> None:
    """By default; and the world is not even asked, nor is it tried again."""
    with opened_world() as world, ServerProcess("outside_app", tmp_path / "data", APPS) as started:
        answer = called(started, "action", "events:fetch", url=f"{world.url}/x")

        assert "FLOW_OUTGOING_ALLOW" in answer["errorMessage"]
        assert world.asked == {}
