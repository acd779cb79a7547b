"""The command that serves, as a process of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from attrs import define

ROOT = Path(__file__).parents[2]
APP = """
from flow_backend import Document, MutationCtx, QueryCtx, document, mutation, query

@document("notes")
class Note(Document):
    text: str

@mutation
def add(ctx: MutationCtx, text: str) -> None:
    ctx.db.insert(Note(text=text))

@query
def count(ctx: QueryCtx) -> int:
    return len(ctx.db.scan(Note).collect())
"""
OFFICIAL_CLIENT = """
import os, sys
from convex import ConvexClient

client = ConvexClient(sys.argv[1])
counts = iter(client.subscribe("notes:count", {}))
print(next(counts))
client.mutation("notes:add", {"text": "milk"})
print(next(counts), client.query("notes:count", {}), flush=True)
os._exit(0)  # Its threads would go on.
"""

pytestmark = pytest.mark.slow


@define
class Process:
    popen: "subprocess.Popen[str]"

    def url(self) -> str:
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        found = re.fullmatch(r"Flow is ready at (http://127\.0\.0\.1:\d+)\n", line)
        assert found is not None, (line, self.popen.communicate())
        return found[1]

    def stop(self) -> int:
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(20)


@pytest.fixture
def apps(tmp_path: Path) -> Path:
    """A folder with a small app in it."""
    (tmp_path / "small_app").mkdir()
    (tmp_path / "small_app" / "__init__.py").write_text('"""A small app."""\n')
    (tmp_path / "small_app" / "notes.py").write_text(APP)
    return tmp_path


@contextmanager
def serving(folder: Path, *arguments: str, **environment: str) -> Generator[Process]:
    program = "from flow_backend.cli.main import backend_commands as b; b()()"
    command = [sys.executable, "-c", program, "serve", "--app", "small_app", *arguments]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "FLOW_PORT": "0", **environment}
    with subprocess.Popen(
        command,
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as popen:
        try:
            yield Process(popen)
        finally:
            popen.kill()
            popen.communicate()


def refused(folder: Path, *arguments: str, **environment: str) -> tuple[str, int]:
    with serving(folder, *arguments, **environment) as process:
        output, problem = process.popen.communicate(timeout=20)
    assert output == ""
    assert "Traceback" not in problem
    return problem, process.popen.returncode


def test_what_was_written_is_there_after_a_restart(apps: Path):
    with serving(apps) as first:
        url = first.url()
        body = {"path": "notes:add", "args": {"text": "milk"}}
        answer = httpx.post(f"{url}/api/mutation", json=body)
        assert answer.json()["status"] == "success"
        assert first.stop() == 0
    with serving(apps) as second:
        answer = httpx.post(f"{second.url()}/api/query", json={"path": "notes:count", "args": {}})
        assert answer.json() == {"status": "success", "value": 1.0}


def test_the_official_python_client_sees_its_mutation_live(apps: Path):
    with serving(apps) as process:
        command = [sys.executable, "-c", OFFICIAL_CLIENT, process.url()]
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)

        assert said.stdout == "0.0\n1.0 1.0\n"
        assert process.stop() == 0


def test_a_stop_is_quick_although_a_client_never_reads(apps: Path):
    with serving(apps, FLOW_LINGER_SECONDS="0.2") as process:
        host, port = process.url().removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(
                b"GET /api/sync HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                b"Sec-WebSocket-Version: 13\r\n\r\n"
            )
            assert b" 101 " in client.recv(4096)

            assert process.stop() == 0
            assert client.recv(4096)[2:4] == (1001).to_bytes(2, "big")


def test_a_second_signal_ends_the_process_at_once(apps: Path):
    """The first one waits for what is under way, such as this action."""
    slow = "import trio\nfrom flow_backend import ActionCtx, action\n\n@action\n"
    slow += "async def slow(ctx: ActionCtx) -> None:\n    await trio.sleep(3600)\n"
    (apps / "small_app" / "slow.py").write_text(slow)
    with serving(apps) as process:
        url = process.url()
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            body = b'{"path":"slow:slow","args":{}}'
            head = b"POST /api/action HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b"
            client.sendall(head % (len(body), body))
            while "flow_actions_running 1.0" not in httpx.get(f"{url}/metrics").text:
                pass
            assert process.popen.stderr is not None
            process.popen.send_signal(signal.SIGINT)
            assert "Stopping" in process.popen.stderr.readline()
            process.popen.send_signal(signal.SIGINT)

            assert process.popen.wait(20) == 130


def test_a_port_that_is_taken_is_explained(apps: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        problem, exit_code = refused(apps, "--port", str(port))

    assert f"Port {port} on 127.0.0.1 is taken" in problem
    assert "--port" in problem
    assert exit_code == 1


def test_an_app_without_accounts_is_not_offered_to_the_network(apps: Path):
    problem, exit_code = refused(apps, "--host", "0.0.0.0")

    assert "auth.py" in problem
    assert "--no-auth" in problem
    assert exit_code == 64


def test_the_watchdog_ends_a_process_whose_loop_stands_still(apps: Path):
    """Code in C that never lets go of the interpreter can be stopped in no other way."""
    stuck = "\n\n@query\ndef stuck(ctx: QueryCtx) -> int:\n    return len(str(7 ** 10_000_000))\n"
    limit = "import sys\nsys.set_int_max_str_digits(0)\n"
    (apps / "small_app" / "notes.py").write_text(limit + APP + stuck)
    with serving(apps, FLOW_WATCHDOG_SECONDS="0.5") as process:
        url = process.url()
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{url}/api/query", json={"path": "notes:stuck", "args": {}}, timeout=15)
        problem = process.popen.communicate(timeout=15)[1]

    assert "Timeout" in problem
    assert "notes.py" in problem
    assert process.popen.returncode == 1
