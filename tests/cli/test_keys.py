"""Admin keys: made and revoked beside a running server, and what one may do."""

import json
import os
import stat
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import click
import httpx
import pytest
from click.testing import CliRunner, Result

from flow.cli import main
from flow_backend.auth.admin_keys import FILE, AdminKeys, add_key
from flow_backend.cli.target import CommandError, find_target
from flow_backend.errors import AdminKeysError
from flow_backend.server.local import FILE as LOCAL
from flow_backend.server.local import find_local
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
