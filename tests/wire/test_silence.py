"""Slow and silent clients of a real server: memory is bounded, they are let go, others unmoved."""

import re
import resource
import time
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.support import Served, serving, write_app
from tests.effort import FULL
from tests.wire.silence import APP, SILENCES, Peer

NUMBER = re.compile(r"^flow_(\w+) (\S+)$", re.MULTILINE)
NEVER_READ = 200
IDLE = 5000 if FULL else 500
PATIENCE_SECONDS = 90

pytestmark = pytest.mark.slow


@contextmanager
def served(folder: Path, **settings: object) -> Generator[Served]:
    environment = {f"FLOW_{name.upper()}": str(value) for name, value in settings.items()}
    with serving(write_app(folder, APP), environment=environment) as server:
        server.wait_ready()
        yield server


def peer_of(server: Served, stack: ExitStack, **how: Any) -> Peer:
    return stack.enter_context(closing(Peer((server.host, server.port), **how)))


def metrics(server: Served) -> dict[str, float]:
    text = httpx.get(f"{server.url}/metrics", timeout=PATIENCE_SECONDS).text
    return {
        name: float(value) for name, value in re.findall(r"^flow_(\w+) (\S+)$", text, re.MULTILINE)
    }


def resident_bytes(server: Served) -> int:
    pages = Path(f"/proc/{server.popen.pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def wait_until(server: Served, name: str, value: float) -> None:
    """Wait for a number of the metrics."""
    until = time.monotonic() + PATIENCE_SECONDS
    while (found := metrics(server)[name]) != value:
        assert time.monotonic() < until, f"{name} is {found}, not {value}"
        time.sleep(0.05)


def test_g_200_clients_that_never_read_are_bounded_and_let_go_and_others_see_all(tmp_path: Path):
    """What they do not take is merged; after ``stall_seconds`` they are closed."""
    with served(tmp_path, stall_seconds=2) as server, ExitStack() as stack:
        server.call("mutation", "notes:write", text="first")
        watcher = peer_of(server, stack).upgrade().greet().watch("notes:texts")
        assert watcher.read_message()["modifications"][0]["value"] == ["first"]
        for _ in range(NEVER_READ):
            peer_of(server, stack, receive_bytes=4096).upgrade().greet().watch("notes:texts")
        before = resident_bytes(server)

        number = 0
        most = before
        until = time.monotonic() + PATIENCE_SECONDS
        # Some end by our own count of seconds, some by the system's (TCP_USER_TIMEOUT).
        while metrics(server)["sessions"] > 1:
            assert time.monotonic() < until, metrics(server)
            number += 1
            text = f"{number} " + "x" * 300_000
            server.call("mutation", "notes:write", text=text)
            shown: list[str] = []
            while shown != [text]:
                message = watcher.read_message()
                if message["type"] == "Transition":
                    shown = [m["value"] for m in message["modifications"]][-1:]
                    shown = shown[0] if shown else []  # type: ignore[assignment]
            most = max(most, resident_bytes(server))

        # A frame is shared by all to whom it goes: a copy for each would be 60 MB and more a write.
        assert most - before < 100 << 20
        assert number > 1
        assert metrics(server)["live_queries"] == 1
        assert server.stop()[0] == 0


def test_g_a_quiet_session_costs_less_than_40_kib(tmp_path: Path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    assert hard == resource.RLIM_INFINITY or hard > IDLE + 200, f"raise ulimit -Hn, now {hard}"
    try:
        with served(tmp_path) as server, ExitStack() as stack:
            server.call("mutation", "notes:write", text="x")

            def open_sessions(count: int) -> None:
                peers: list[Peer] = []
                for _ in range(count):
                    peers.append(peer_of(server, stack).upgrade().greet().watch("notes:texts"))
                    if len(peers) > 50:
                        assert peers[-50].read_message()["type"] == "Transition"

            open_sessions(100)  # What all share is there then.
            before = resident_bytes(server)
            open_sessions(IDLE)
            each = (resident_bytes(server) - before) / IDLE

            assert each < 40 << 10
            assert metrics(server)["sessions"] == IDLE + 100
            server.call("mutation", "notes:write", text="y")
            code, said = server.stop()
            assert code == 0, said
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_g_every_silent_peer_is_let_go(tmp_path: Path):
    """Whatever a peer leaves undone has a time, after which its connection is given up."""
    times = {"head_seconds": 0.5, "body_stall_seconds": 0.5, "stall_seconds": 1.5}
    signs = {"ping_seconds": 0.4, "message_seconds": 0.6, "silence_seconds": 1.5}
    with served(tmp_path, keep_alive_seconds=1, **times, **signs) as server, ExitStack() as stack:
        for silence in SILENCES.values():
            silence(peer_of(server, stack, receive_bytes=4096))

        wait_until(server, "connections", 1)  # That of the question itself.
        counted = metrics(server)
        assert counted["sessions"] == counted["live_queries"] == 0
        server.call("mutation", "notes:write", text="still here")
        assert server.stop()[0] == 0


def test_i4_it_stops_within_20_s_with_all_kinds_of_silent_peers_connected(tmp_path: Path):
    """With the usual settings. Nobody who does not read, or does not end, can hold it up."""
    with served(tmp_path, linger_seconds=5) as server, ExitStack() as stack:
        for silence in SILENCES.values():
            silence(peer_of(server, stack, receive_bytes=4096))
        action = {"path": "notes:sleep", "args": {}}
        body = httpx.Request("POST", f"{server.url}/api/action", json=action).content
        head = b"POST /api/action HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        peer_of(server, stack).send(head % len(body) + body)
        wait_until(server, "actions_running", 1)
        session = peer_of(server, stack).upgrade().greet()
        session.say({"type": "Action", "requestId": 0, "udfPath": "notes:sleep", "args": [{}]})
        wait_until(server, "actions_running", 2)

        server.popen.terminate()
        # No measure of speed: it is what a service manager is told to wait before it kills.
        assert server.popen.wait(20) == 0


def test_g_a_server_without_file_descriptors_goes_on_when_it_has_some(tmp_path: Path):
    """EMFILE ends no accept loop: who waits in the backlog is served afterwards."""
    with served(tmp_path) as server, ExitStack() as stack:
        old = peer_of(server, stack).upgrade().greet().watch("notes:texts")
        old.read_message()
        pid = server.popen.pid
        used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 3, before[1]))
        peers = [peer_of(server, stack) for _ in range(10)]
        old.say(
            {"type": "Mutation", "requestId": 0, "udfPath": "notes:write", "args": [{"text": "x"}]}
        )
        while old.read_message()["type"] != "MutationResponse":
            pass

        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        for peer in peers:
            peer.upgrade().greet().watch("notes:texts")
            assert peer.read_message()["modifications"][0]["value"] == ["x"]
        assert metrics(server)["accept_pauses_total"] > 0
