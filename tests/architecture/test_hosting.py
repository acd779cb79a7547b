"""The unit of systemd, the Dockerfile and docs/hosting.md fit the code that they run."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import attrs
import click
import pytest

from flow_backend.cli.exit_codes import FINAL
from flow_backend.cli.serve import serve
from flow_backend.cli.supervise import OPTION, STOP_EXIT_CODES
from flow_backend.server.config import ENVIRONMENT_PREFIX, Settings
from tests.server_process import APPS, ROOT, ServerProcess

UNIT = ROOT / "docs" / "flow.service"
DOCKERFILE = ROOT / "Dockerfile"
HOSTING = ROOT / "docs" / "hosting.md"
STOP_SECONDS = 20
"""How long the server may take to stop. Source: the guarantees, I4."""

SETTINGS = {f"{ENVIRONMENT_PREFIX}{each.name.upper()}": each for each in attrs.fields(Settings)}


def unit() -> dict[str, list[str]]:
    """Give the unit's words, by name; a name may stand there more than once."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def instructions() -> list[tuple[str, str]]:
    """Give the Dockerfile's instructions, in order."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", "")
    return [
        (name, value.strip())
        for name, _, value in (line.partition(" ") for line in text.splitlines() if line)
    ]


def image() -> dict[str, str]:
    """Give the instructions of the last stage; each stands there once, but for COPY and RUN."""
    start = max(place for place, (name, _) in enumerate(instructions()) if name == "FROM")
    return dict(instructions()[start:])


def image_environment() -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(image()["ENV"]))


def check_command(command: list[str], program: str) -> None:
    """Make sure that a command starts a server with options that there are."""
    assert command[:2] == [program, "serve"]
    serve.make_context("serve", command[2:])


def test_h_systemd_starts_again_what_the_supervisor_would() -> None:
    words = unit()

    assert words["Restart"] == ["on-failure"]
    assert {int(code) for code in words["RestartPreventExitStatus"][0].split()} == set(FINAL)
    stops = {int(code) for code in words["SuccessExitStatus"][0].split()}
    # Zero, and the ends by SIGTERM and SIGINT, count as stops without being named.
    assert stops == {code for code in STOP_EXIT_CODES if code > 0}


def test_i4_systemd_waits_until_the_server_has_stopped() -> None:
    words = unit()

    assert int(words["TimeoutStopSec"][0]) > STOP_SECONDS
    assert signal.Signals[words["KillSignal"][0]] == signal.SIGTERM
    assert words["KillMode"] == ["mixed"]  # A supervisor passes the signal on by itself.


def test_g_systemd_allows_a_file_for_each_connection() -> None:
    assert int(unit()["LimitNOFILE"][0]) >= Settings().connections_max + 200


def test_the_unit_runs_the_command_that_there_is_with_settings_that_there_are() -> None:
    words = unit()

    check_command(shlex.split(words["ExecStart"][0]), "/opt/flow/bin/flow")
    [data] = words["Environment"]
    assert data == f"FLOW_DATA=/var/lib/{words['StateDirectory'][0]}"
    assert "FLOW_DATA" in SETTINGS
    assert words["StateDirectoryMode"] == ["0700"]


@pytest.mark.slow
def test_systemd_has_nothing_to_say_against_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is missing")
    there = UNIT.read_text().replace("/opt/flow/bin/flow", str(Path(sys.executable)))
    (tmp_path / "flow.service").write_text(there)

    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "flow.service")],
        capture_output=True,
        text=True,
    )

    assert [line for line in found.stderr.splitlines() if "flow.service" in line] == []


def test_the_image_has_settings_that_there_are_and_the_port_of_the_code() -> None:
    words, environment = image(), image_environment()

    assert [name for name in environment if name not in SETTINGS] == []
    assert environment["FLOW_PORT"] == words["EXPOSE"] == str(Settings().port)
    assert json.loads(words["VOLUME"]) == [environment["FLOW_DATA"]]
    assert words["USER"] not in {"root", "0"}
    assert signal.Signals[words["STOPSIGNAL"]] == signal.SIGTERM


def test_the_image_runs_the_command_that_there_is() -> None:
    """In the form without a shell, which would keep the signals for itself."""
    command = json.loads(image()["ENTRYPOINT"])

    check_command(command, "/opt/flow/bin/flow")
    assert OPTION in command


def test_a_command_with_an_option_that_is_not_there_would_be_found() -> None:
    with pytest.raises(click.UsageError):
        check_command(["flow", "serve", "--supervised"], "flow")


@pytest.mark.slow
def test_the_health_check_tells_a_server_that_serves_from_one_that_does_not(
    tmp_path: Path,
) -> None:
    _, _, text = image()["HEALTHCHECK"].partition(" CMD ")
    [program, *arguments] = json.loads(text)
    assert program == "/opt/flow/bin/python"
    assert "'/readyz'" in text

    def is_healthy(port: int) -> bool:
        environment = {**os.environ, **image_environment(), "FLOW_PORT": str(port)}
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=environment, capture_output=True).returncode == 0

    with ServerProcess("ledger_app", tmp_path / "data", APPS) as server:
        assert is_healthy(server.port)
    assert not is_healthy(server.port)


def test_what_the_image_is_made_of_is_there_and_not_left_out() -> None:
    """A path that is missing, or that .dockerignore leaves out, breaks the build."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [line[1:] for line in lines if line.startswith("!")]
    copied = [
        source.rstrip("/")
        for name, value in instructions()
        if name == "COPY" and not value.startswith("--from")
        for source in value.split()[:-1]
    ]

    assert len(copied) >= 8
    assert [path for path in copied if not (ROOT / path).exists()] == []
    assert [path for path in copied if not any(fnmatch(path, f"{k}*") for k in kept)] == []
    assert {"*", "flow/web", "**/node_modules"} <= set(lines)


def test_the_docs_name_the_codes_of_the_code() -> None:
    text = HOSTING.read_text()
    *others, last = sorted(FINAL)

    assert f"{', '.join(map(str, others))} and {last}\n" in text
    assert [code for code in sorted(FINAL) if f"{code} (" not in text] == []
    assert [name for name in re.findall(r"\bFLOW_[A-Z_]+", text) if name not in SETTINGS] == []
