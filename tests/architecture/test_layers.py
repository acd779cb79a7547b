"""The house stands as ARCHITECTURE.md says."""

import re
import subprocess
import sys
from pathlib import Path

import flow_backend.errors
from flow_backend.sync.state import transitions_diagram

ROOT = Path(__file__).parents[2]


def test_imports_go_one_way() -> None:
    """A layer that imports upwards cannot be understood, tested or replaced alone."""
    linter = Path(sys.executable).parent / "lint-imports"

    found = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert found.returncode == 0, found.stdout


def test_architecture_draws_the_phases_that_the_code_has() -> None:
    """The diagram is what a reader believes; a phase that is missing there misleads."""
    text = (ROOT / "ARCHITECTURE.md").read_text()

    assert transitions_diagram() in text


def test_architecture_names_each_actor_of_the_code() -> None:
    """Every actor's module stands in the table of actors."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    actors = [
        match
        for module in (ROOT / "flow_backend" / "actors").glob("*.py")
        for match in re.findall(r"^class (\w+Actor)\b", module.read_text(), re.MULTILINE)
    ]

    assert len(actors) >= 5
    assert [name for name in actors if f"**{name}**" not in text] == []


def test_docs_name_every_error_code() -> None:
    """A person who meets a code can look it up."""
    text = (ROOT / "docs" / "errors.md").read_text()
    codes = {
        error.code
        for error in vars(flow_backend.errors).values()
        if isinstance(error, type) and issubclass(error, flow_backend.errors.FlowError)
    }

    assert [code for code in sorted(codes) if f"`{code}`" not in text] == []
