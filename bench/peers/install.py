"""Gets the peers from PyPI and npm on first use, into a folder that git ignores."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from attrs import frozen

from bench.wire import LoadError

CACHE: Final = Path(__file__).parents[1] / ".peers"
_HERE: Final = Path(__file__).parent


@frozen
class Installed:
    """The commands of the peers, without their options."""

    node: list[str]
    python: list[str]
    pocketbase: list[str]


def install() -> Installed:
    """Install what is not there yet.

    Raises: LoadError, which says what could not be had.
    """
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        raise LoadError("the peers need Node 20 or later with npm, which are not on the PATH")
    _install_python(CACHE / "python")
    _install_node(CACHE / "node", node)
    programs = CACHE / "python" / "bin"
    return Installed(
        [node, str(CACHE / "node" / "board.js")],
        [str(programs / "python"), str(_HERE / "python" / "board.py")],
        [str(programs / "pocketbase")],
    )


def _install_python(folder: Path) -> None:
    wanted = _HERE / "python" / "requirements.txt"
    if _is_current(folder, wanted):
        return
    print("Installing the peers from PyPI.", flush=True)
    _run([sys.executable, "-m", "venv", str(folder)], folder.parent)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    _run([*pip, "install", "-r", str(wanted)], folder)
    _note_current(folder, wanted)


def _install_node(folder: Path, node: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # Node looks for packages beside the program, so both stand in the cache.
    shutil.copy(_HERE / "node" / "board.js", folder)
    wanted = _HERE / "node" / "package.json"
    if _is_current(folder, wanted):
        return
    shutil.copy(wanted, folder)
    print("Installing the peers from npm; SQLite may be compiled, in a few minutes.", flush=True)
    environment = dict(os.environ)
    # Where no compiled package can be downloaded, its headers stand beside Node, if anywhere.
    prefix = Path(node).resolve().parents[1]
    if (prefix / "include" / "node" / "node.h").exists():
        environment.setdefault("npm_config_nodedir", str(prefix))
    quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
    _run(["npm", "install", *quiet], folder, environment)
    _note_current(folder, wanted)


def _run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        shown = (done.stdout + done.stderr)[-2000:]
        raise LoadError(f"{' '.join(command)} failed:\n{shown}")


def _is_current(folder: Path, wanted: Path) -> bool:
    stamp = folder / "installed"
    return stamp.exists() and stamp.read_text() == _hash(wanted)


def _note_current(folder: Path, wanted: Path) -> None:
    (folder / "installed").write_text(_hash(wanted))


def _hash(wanted: Path) -> str:
    return hashlib.sha256(wanted.read_bytes()).hexdigest()
