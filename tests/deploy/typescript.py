"""The TypeScript compiler of flow_web, run on files that tests write."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ROOT / "flow_web" / "node_modules"


def missing() -> str | None:
    """Say what these tests need and this machine has not."""
    if shutil.which("node") is None:
        return "Node is missing: generated types are not compiled"
    if not (PACKAGES / "typescript").is_dir():
        return "flow_web/node_modules is missing (npm ci): generated types are not compiled"
    return None


def compile_types(folder: Path) -> dict[tuple[str, int], str]:
    """Compile a folder that has a tsconfig.json; give what was said by file and line."""
    tsc = PACKAGES / "typescript" / "bin" / "tsc"
    done = subprocess.run(
        ["node", str(tsc), "--noEmit", "--pretty", "false"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"^(\S+?)\((\d+),\d+\): error (.*)$", done.stdout, re.MULTILINE)
    assert bool(found) == (done.returncode != 0), done.stdout + done.stderr
    return {(name, int(line)): text for name, line, text in found}


def write_project(folder: Path, files: dict[str, str]) -> None:
    """Write files beside a tsconfig.json as strict as that of flow_web, and its packages."""
    folder.mkdir(parents=True, exist_ok=True)
    config = (ROOT / "flow_web" / "tsconfig.json").read_text()
    config = re.sub(r'"include": \[.*?\]', '"include": ["."]', config)
    config = config.replace('"types": ["vite/client", "node"]', '"types": []')
    for name, text in {**files, "tsconfig.json": config}.items():
        (folder / name).write_text(text)
    (folder / "node_modules").symlink_to(PACKAGES.resolve())
