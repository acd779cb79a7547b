"""Admin keys: made and revoked beside a running server, and what one may do."""

import json
import os
import stat
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import click
import httpx
import pytest
import trio
from click.testing import CliRunner, Result
from structlog.testing import capture_logs
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from flow.cli import main
from flow_backend.auth.admin_keys import FILE, AdminKeys, add_key, remove_key
from flow_backend.cli.target import CommandError, find_target
from flow_backend.errors import AdminKeysError
from flow_backend.server.local import FILE as LOCAL
from flow_backend.server.local import find_local
from flow_backend.server.run import admin_verifier
from tests.cli.support import Served, serving, write_app

SOURCE = """
from flow_backend import QueryCtx, internal_query, query

@internal_query
def secret(ctx: QueryCtx) -> str:
    return "for admins"

@query
def who(ctx: QueryCtx) -> str | None:
    return ctx.auth.identity.subject if ctx.auth.identity else None
"""
OFFICIAL_CLIENT = """
import os, sys
from convex import ConvexClient

client = ConvexClient(sys.argv[1])
client.set_admin_auth(sys.argv[2])
watched = next(iter(client.subscribe("notes:secret", {})))
print(client.query("notes:secret", {}), watched, flush=True)
os._exit(0)  # Its threads would go on.
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = write_app(tmp_path_factory.mktemp("keys"), SOURCE)
    with serving(folder, "--data", str(folder / "data")) as served:
        served.wait_ready()
        served.folder = folder / "data"
        yield served


def ask(url: str, key: str | None, path: str = "notes:secret") -> tuple[int, object]:
    headers = {} if key is None else {"Authorization": f"Convex {key}"}
    body = {"path": path, "args": {}}
    answer = httpx.post(f"{url}/api/query", json=body, headers=headers)
    said = answer.json()
    return answer.status_code, said.get("value", said.get("code", said.get("errorMessage")))


@pytest.mark.slow
def test_a_key_is_good_at_once_and_until_it_is_revoked(served: Served) -> None:
    data = str(served.folder)
    made = run("key", "create", "laptop", "--data", data)
    key = made.stdout.strip()
    assert key.startswith("laptop|")
    assert "nobody can show it again" in made.stderr

    assert ask(served.url, key) == (200, "for admins")
    check = httpx.get(
        f"{served.url}/api/check_admin_key", headers={"Authorization": f"Convex {key}"}
    )
    assert check.json() == {"success": True, "allowedOps": None, "isReadOnly": False}
    assert run("key", "list", "--data", data).stdout.splitlines()[2].split()[:2] == [
        "laptop",
        f"…{key[-4:]}",
    ]
    assert run("key", "create", "laptop", "--data", data).exit_code == 1, "the name is taken"

    assert run("key", "revoke", "laptop", "--data", data).exit_code == 0
    assert ask(served.url, key) == (401, "BadAdminKey")
    assert run("key", "revoke", "laptop", "--data", data).exit_code == 1, "there is none now"


@pytest.mark.slow
def test_nobody_else_is_an_admin(served: Served) -> None:
    key = add_key(served.folder, "real", 0.0)

    assert ask(served.url, "real|guessed") == (401, "BadAdminKey")
    assert ask(served.url, key[:-1]) == (401, "BadAdminKey")
    assert ask(served.url, key + "x" * 1000) == (401, "BadAdminKey")
    status, said = ask(served.url, None)
    assert (status, "Could not find public function" in str(said)) == (200, True)
    refused = httpx.get(f"{served.url}/api/check_admin_key")
    assert (refused.status_code, refused.json()["code"]) == (401, "BadAdminKey")


@pytest.mark.slow
def test_an_admin_may_act_as_a_user(served: Served) -> None:
    key = add_key(served.folder, "acting", 0.0)
    identity = b64encode(json.dumps({"issuer": "https://i", "subject": "anna"}).encode()).decode()

    assert ask(served.url, f"{key}:{identity}", "notes:who") == (200, "anna")
    assert ask(served.url, f"prod:{key}", "notes:who") == (200, None)


@pytest.mark.slow
def test_the_official_client_is_an_admin_with_a_key(served: Served) -> None:
    key = add_key(served.folder, "official", 0.0)

    command = [sys.executable, "-c", OFFICIAL_CLIENT, served.url, key]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert said.stdout == "for admins for admins\n"


@asynccontextmanager
async def watching(url: str, key: str) -> AsyncGenerator[WebSocketConnection]:
    """Watch what only admins may; the first answer is there."""
    query = {"type": "Add", "queryId": 0, "udfPath": "notes:secret", "args": [{}]}
    messages = (
        {"type": "Connect", "sessionId": str(uuid4()), "connectionCount": 0},
        {"type": "Authenticate", "baseVersion": 0, "tokenType": "Admin", "value": key},
        {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, "modifications": [query]},
    )
    stream = await trio.open_tcp_stream("127.0.0.1", int(url.rpartition(":")[2]))
    async with stream, trio.open_nursery() as nursery:
        socket = await wrap_client_stream(nursery, stream, "127.0.0.1", "/api/1.48.0/sync")
        for message in messages:
            await socket.send_message(json.dumps(message))
        await said(socket, "for admins")
        yield socket
        nursery.cancel_scope.cancel()


async def said(socket: WebSocketConnection, text: str) -> str:
    """Wait for a message that holds a text. Raises: ConnectionClosed."""
    while text not in (message := await socket.get_message()):
        pass
    return message


@pytest.mark.slow
async def test_what_is_connected_with_a_revoked_key_is_ended(served: Served) -> None:
    """Sessions hear why, and who follows the log is told nothing more; other admins go on."""
    key, other = (add_key(served.folder, name, 0.0) for name in ("gone", "kept"))
    headers = {"Authorization": f"Convex {key}"}
    path, answers = "/api/stream_function_logs", list[httpx.Response]()
    with trio.fail_after(20):
        async with (
            httpx.AsyncClient(base_url=served.url, headers=headers, timeout=60) as follower,
            watching(served.url, key) as socket,
            watching(served.url, other) as kept,
        ):
            begin = (await follower.get(path, params={"cursor": 0})).json()["newCursor"]

            async def follow() -> None:
                answers.append(await follower.get(path, params={"cursor": max(begin, 1)}))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(follow)
                await trio.sleep(0.1)
                remove_key(served.folder, "gone")

                assert "This admin key was revoked" in await said(socket, "AuthError")
                with pytest.raises(ConnectionClosed):
                    await said(socket, "what never comes")
            [answer] = answers
            assert (answer.status_code, answer.json()["code"]) == (401, "BadAdminKey")
            again = {"type": "Add", "queryId": 1, "udfPath": "notes:secret", "args": [{}]}
            edit = {"type": "ModifyQuerySet", "baseVersion": 1, "newVersion": 2}
            await kept.send_message(json.dumps({**edit, "modifications": [again]}))
            await said(kept, "for admins")


@pytest.mark.slow
async def test_a_damaged_file_ends_nothing_and_commands_on_the_machine_go_on(
    served: Served,
) -> None:
    key = add_key(served.folder, "before", 0.0)
    whole = (served.folder / FILE).read_bytes()
    with trio.fail_after(20):
        async with watching(served.url, key) as socket:
            (served.folder / FILE).write_bytes(whole[:-9])
            async with httpx.AsyncClient(base_url=served.url) as client:
                refused = await client.get(
                    "/api/check_admin_key", headers={"Authorization": f"Convex {key}"}
                )
            assert (refused.status_code, refused.json()["code"]) == (401, "BadAdminKey")
            assert "its file of them is damaged" in refused.json()["message"]
            with find_target(None, None, str(served.folder)).client() as local:
                assert local.get("/api/check_admin_key")["success"] is True
            with trio.move_on_after(2.5):
                assert "AuthError" not in await said(socket, "AuthError")

            (served.folder / FILE).write_bytes(whole)
            assert ask(served.url, key) == (200, "for admins")


async def test_what_is_wrong_with_the_file_is_logged_once(tmp_path: Path) -> None:
    """Anybody can show what is no key, as often as he likes."""
    is_admin = admin_verifier(AdminKeys(tmp_path, "local|secret"))
    (tmp_path / FILE).write_text("{")

    with capture_logs() as logged:
        for _ in range(3):
            with pytest.raises(AdminKeysError):
                await is_admin("a|b")
            assert await is_admin("local|secret")

    [line] = logged
    assert "flow key create" in line["reason"]


@pytest.mark.slow
def test_commands_on_the_same_machine_need_no_key(tmp_path: Path) -> None:
    folder = write_app(tmp_path, SOURCE)
    data = folder / "data"
    with serving(folder, "--data", str(data)) as served:
        served.wait_ready()
        assert stat.S_IMODE((data / LOCAL).stat().st_mode) == 0o600
        target = find_target(None, None, str(data))
        with target.client() as client:
            assert target.url == served.url
            assert client.get("/api/check_admin_key")["success"] is True
        assert find_target(served.url, None, str(data)).admin_key == target.admin_key
        served.stop()
    assert find_local(data) is None
    with pytest.raises(CommandError, match="No server runs here"):
        find_target(None, None, str(data))
    gone = r"Nothing answers at .*: is the server running"
    with pytest.raises(CommandError, match=gone), target.client() as client:
        client.get("/version")


def test_a_server_elsewhere_needs_a_key(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="needs an admin key: make one there"):
        find_target("https://flow.example", None, str(tmp_path))
    with pytest.raises(CommandError, match="no address of a server"):
        find_target("flow.example", "a|b", str(tmp_path))


def test_only_hashes_are_kept_and_only_the_owner_reads_them(tmp_path: Path) -> None:
    key = add_key(tmp_path, "one", 0.0)

    assert key.partition("|")[2] not in (tmp_path / FILE).read_text()
    assert len(key.partition("|")[2]) >= 43, "256 bits in base64"
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert [each for each in os.listdir(tmp_path) if each != FILE] == []
    assert AdminKeys(tmp_path).is_valid(key)
    assert not AdminKeys(tmp_path).is_valid("one|")


@pytest.mark.parametrize("name", ["", "a:b", "a|b", "-a", "x" * 65, "a b"])
def test_a_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(AdminKeysError, match="is no name for a key"):
        add_key(tmp_path, name, 0.0)


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")

    with pytest.raises(AdminKeysError, match=r"is damaged: remove it"):
        AdminKeys(tmp_path).is_valid("a|b")
    assert run("key", "list", "--data", str(tmp_path)).exit_code == 1


def test_help_loads_no_command() -> None:
    """Each has a line of help that is its own, too."""
    program = "import sys; from flow.cli import main; main(['--help'], standalone_mode=False)"
    program += "; print(*sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    listed, loaded = said.stdout.rsplit("\n", 2)[:2]
    assert "flow_backend.cli.lazy" in loaded.split()
    assert not {"httpx", "apsw", "flow_backend.cli.serve"} & {*loaded.split()}
    for name in main.list_commands(click.Context(main)):
        command = main.get_command(click.Context(main), name)
        assert command is not None
        assert name in listed
