"""A server that is started again: after which ends, when, and what clients notice of it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import trio

from flow_backend.cli.exit_codes import FINAL
from flow_backend.cli.supervise import Again, Enough, History, Patience
from tests.cli.support import PATIENCE_SECONDS, ROOT, Client, serving, write_app


@pytest.mark.parametrize("exit_code", [0, 130, -signal.SIGTERM, -signal.SIGINT])
def test_h_a_stop_is_no_fault(exit_code: int):
    assert History().ended(exit_code, served=True, up_seconds=1) == Enough("")


@pytest.mark.parametrize("exit_code", sorted(FINAL))
def test_h_what_no_restart_mends_is_not_started_again(exit_code: int):
    decision = History().ended(exit_code, served=True, up_seconds=1000)

    assert isinstance(decision, Enough)
    assert "not started again" in decision.reason


@pytest.mark.parametrize("exit_code", [1, 70, 71, 74, -signal.SIGKILL, -signal.SIGSEGV])
def test_h_waits_double_up_to_a_bound_and_begin_anew_after_a_sound_life(exit_code: int):
    history = History(Patience(first_seconds=0.1, most_seconds=1.0, steady_seconds=60))

    waits = [history.ended(exit_code, served=True, up_seconds=1) for _ in range(6)]

    assert waits == [Again(0.1), Again(0.2), Again(0.4), Again(0.8), Again(1.0), Again(1.0)]
    assert history.ended(exit_code, served=True, up_seconds=60) == Again(0.1)
    assert history.ended(exit_code, served=True, up_seconds=59.9) == Again(0.1)
    assert history.ended(exit_code, served=True, up_seconds=59.9) == Again(0.2)


def test_h_it_is_given_up_after_starts_that_all_failed_and_not_one_before():
    history = History(Patience(failed_starts_max=3))

    for _ in range(2):
        for _ in range(2):
            assert isinstance(history.ended(1, served=False, up_seconds=1), Again)
        assert isinstance(history.ended(1, served=True, up_seconds=1), Again)
    for _ in range(2):
        assert isinstance(history.ended(1, served=False, up_seconds=1), Again)
    assert isinstance(history.ended(1, served=False, up_seconds=1), Enough)


@pytest.mark.slow
async def test_h_killed_it_is_back_on_its_port_with_all_that_was_acknowledged(tmp_path: Path):
    """B1 and C1 under the supervisor; the free port that was taken first stays the same one."""
    with serving(write_app(tmp_path), "--supervise") as served, trio.fail_after(PATIENCE_SECONDS):
        client = Client(served.wait_ready())
        client.queries.append(("notes:texts", {}))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.run)
            assert (await client.mutate("notes:add", text="milk"))["success"]
            [server] = served.children()

            os.kill(server, signal.SIGKILL)
            assert (await client.mutate("notes:add", text="bread"))["success"]
            while client.results[0].get("value") != ["milk", "bread"]:
                await client.wait_heard()
            nursery.cancel_scope.cancel()
        [successor] = served.children()
        exit_code, said = served.stop()

    assert client.connections == 2
    assert successor != server
    assert exit_code == 0
    assert "The server was ended by the signal SIGKILL after" in said
    assert "It is started again in 0.1 s." in said
    assert not await trio.Path(f"/proc/{successor}").exists()


@pytest.mark.slow
def test_h_a_supervisor_that_is_killed_leaves_no_server_behind(tmp_path: Path):
    with serving(write_app(tmp_path), "--supervise") as served:
        served.wait_ready()
        [server] = served.children()
        served.popen.kill()
        served.popen.wait()

        # It is not our child, so that there is nothing to wait for but its disappearance.
        deadline = time.monotonic() + PATIENCE_SECONDS
        while Path(f"/proc/{server}").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not Path(f"/proc/{server}").exists()
        _, said = served.ended()

    assert "The supervisor has gone, so the server stops" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_h_a_mistake_in_the_app_is_told_once_and_not_tried_again(tmp_path: Path):
    write_app(tmp_path, "from small_app.nothing import x\n")
    with serving(tmp_path, "--supervise") as served:
        exit_code, said = served.ended()

    assert exit_code == 65
    assert said.count("notes.py") == 1
    assert "It is not started again: the app has a mistake" in said


def supervising(command: list[str]) -> "subprocess.Popen[str]":
    """Supervise what is no server, in a process of its own, since it takes over signals."""
    program = "import sys; from flow_backend.cli.supervise import Supervisor as S; "
    program += "sys.exit(S(sys.argv[1:], []).run())"
    return subprocess.Popen(
        [sys.executable, "-c", program, *command],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_h_what_dies_at_every_start_is_given_up():
    with supervising(["/bin/sh", "-c", "exit 9"]) as process:
        _, said = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 9
    assert said.count("The server ended with exit code 9 after") == 5
    assert "It is given up after 5 starts that all failed." in said


@pytest.mark.slow
def test_h_a_stop_that_comes_in_between_two_lives_is_obeyed():
    with supervising(["/bin/sh", "-c", "exit 9"]) as process:
        assert process.stderr is not None
        while "again in 0.4 s" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode in {0, 9, 128 + signal.SIGTERM}  # The next life may have begun.
    assert said == ""


@pytest.mark.slow
async def test_h_a_mutation_that_takes_the_process_down_twice_is_refused(tmp_path: Path):
    """H: the client sends it again after each restart, as it must; it is not run for ever."""
    environment = {"FLOW_WATCHDOG_SECONDS": "0.6"}
    with (
        serving(write_app(tmp_path), "--supervise", environment=environment) as served,
        trio.fail_after(PATIENCE_SECONDS),
    ):
        client = Client(served.wait_ready())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.run)
            assert (await client.mutate("notes:add", text="milk"))["success"]

            answer = await client.mutate("notes:hold", text="a secret")

            assert not answer["success"]
            assert "notes:hold took the whole server down 2 times" in answer["result"]
            assert (await client.mutate("notes:add", text="bread"))["success"]
            nursery.cancel_scope.cancel()
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
            body = {"path": "notes:hold", "args": {"text": "a secret"}}
            again = await http.post(f"{served.url}/api/mutation", json=body)
        assert "took the whole server down" in again.text
        assert served.call("query", "notes:texts") == ["milk", "bread"]
        exit_code, said = served.stop()

    assert client.connections == 3
    assert exit_code == 0
    assert said.count("The last process was ended by what it ran") == 2
    assert "These functions did it twice" in said
    assert said.count("Timeout (0:00:00.6") == 2  # The watchdog's traceback, on stderr.
    assert "notes.py" in said
    assert "secret" not in said
    for name in ("flow.running", "flow.suspects", "flow.crash"):
        path = tmp_path / "flow-data" / name
        assert b"secret" not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.slow
async def test_h_a_live_query_that_takes_the_process_down_twice_fails_alone(tmp_path: Path):
    """The client subscribes again after each restart; what else it watches must come back."""
    environment = {"FLOW_WATCHDOG_SECONDS": "0.6"}
    with (
        serving(write_app(tmp_path), "--supervise", environment=environment) as served,
        trio.fail_after(PATIENCE_SECONDS),
    ):
        client = Client(served.wait_ready())
        client.queries += [("notes:backtrack", {"text": "a" * 60}), ("notes:texts", {})]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.run)
            assert (await client.mutate("notes:add", text="milk"))["success"]
            while client.results.get(1, {}).get("value") != ["milk"] or 0 not in client.results:
                await client.wait_heard()
            nursery.cancel_scope.cancel()
        served.stop()

    assert client.results[0]["type"] == "QueryFailed"
    assert "notes:backtrack took the whole server down" in client.results[0]["errorMessage"]
