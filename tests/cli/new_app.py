"""A folder that ``flow new`` made, with the web packages of flow_web linked into it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.deploy.typescript import PACKAGES
from tests.server_process import ROOT, flow_command


def flow(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Give a command in a folder."""
    return ran(folder, *flow_command(), *arguments)


def ran(folder: Path, *command: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run a program in a folder, with this repository's packages at hand."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def tool(name: str) -> Path:
    """Give a program of the environment that runs the tests."""
    return Path(sys.executable).with_name(name)


def make_new_app(folder: Path, name: str) -> Path:
    """Make an app; give its folder."""
    made = flow(folder, "new", name)
    assert made.returncode == 0, made.stderr
    return folder / name


def link_packages(web: Path) -> None:
    """Let the web client have its packages; what tools cache beside them stays in its folder."""
    modules = web / "node_modules"
    modules.mkdir()
    for each in PACKAGES.resolve().iterdir():
        if not each.name.startswith(".") or each.name == ".bin":
            (modules / each.name).symlink_to(each)
